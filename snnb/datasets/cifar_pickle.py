"""CIFAR's batches are Python pickles, and a pickle can run any code: these are read without running any.

The unpickler knows four names, those that a pickled numpy array mentions, and puts inert stand-ins in their place;
the array is made from the bytes that they collected.
"""

import pickle
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import numpy as np

from snnb.errors import InputError


class _Dtype:
    """Stand-in for numpy.dtype: keeps the type code, and from the state that pickle sets, the byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = _text(code)
        self.order = "|"

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        self.order = _text(state[1])


class _Array:
    """Stand-in for numpy.ndarray: keeps the state that pickle sets."""

    def __init__(self, *_: Any) -> None:
        self.state: Optional[Tuple[Any, ...]] = None

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        self.state = state

    def to_numpy(self) -> np.ndarray:
        """The array; raises `ValueError` unless it is one of plain integers whose bytes fit its shape."""
        if self.state is None:
            raise ValueError("an array without content")
        _, shape, dtype, fortran_order, content = self.state
        if not isinstance(dtype, _Dtype) or dtype.code[:1] not in "iu" or not isinstance(content, bytes):
            raise ValueError("an array of something else than integers")
        flat = np.frombuffer(content, dtype=np.dtype(dtype.order.replace("|", "=") + dtype.code))
        return flat.reshape(shape, order="F" if fortran_order else "C")


def _latin1(text: str, encoding: Any) -> bytes:
    """What `_codecs.encode` is called for: Python 3 writes bytes so in the old protocol."""
    if _text(encoding) != "latin1":
        raise pickle.UnpicklingError(f"the codec {encoding!r}")
    return text.encode("latin1")


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise _RefusedError(f"{module}.{name}")
        return _ADMITTED[module, name]


class _RefusedError(Exception):
    """The pickle asks for something that no CIFAR file holds."""


def read_batch(path: Path) -> Dict[str, Any]:
    """Read one file of CIFAR's Python version: a dictionary of arrays, lists, numbers and byte strings.

    Keys are text; arrays are numpy arrays of integers; strings stay bytes where Python 2 wrote them.

    Raises
    ------
    InputError : the file is cut, is no such pickle, or asks for anything that could run.
    """
    try:
        with path.open("rb") as stream:
            content = _Unpickler(stream, encoding="bytes").load()
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}, not a dictionary")
        return {_text(key): value.to_numpy() if isinstance(value, _Array) else value for key, value in content.items()}
    except _RefusedError as error:
        raise InputError(
            f"{path} is refused: it asks for {error}, which no CIFAR batch does and which may run code; "
            "download the official file."
        ) from None
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(f"{path} is no readable CIFAR batch ({error}); download it again.") from None


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
