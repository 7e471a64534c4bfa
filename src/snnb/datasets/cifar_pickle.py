"""Read CIFAR's batches, which are Python pickles, without running what they may contain.

Format: https://www.cs.toronto.edu/~kriz/cifar.html, section "Dataset layout".
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any, Dict, Tuple

from snnb.core.errors import InputError
from snnb.io.text import printable

# What a pickled array of numbers names: in Python 2 and 3, with numpy 1 and 2.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _RefusedError(Exception):
    """The pickle names something that no CIFAR batch names."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _RefusedError(f"{module}.{name}")
        return super().find_class(module.replace("numpy._core", "numpy.core"), name)


def read_batch(path: Path) -> Tuple[Dict[str, object], str]:
    """Read one file of CIFAR's Python version.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    batch : dict of str to object
        Lists, numbers, strings and arrays. Strings that Python 2 wrote are bytes, except the keys.
    sha256 : str
        SHA-256 of the file.

    Raises
    ------
    InputError
        The file is damaged, or it names a function or class that could run code.
    """
    content = path.read_bytes()
    try:
        loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        batch = {key.decode() if isinstance(key, bytes) else str(key): value for key, value in loaded.items()}
    except _RefusedError as error:
        raise InputError(
            f"{path} is refused: it names {printable(str(error))}, which no CIFAR batch does and which may run code; "
            "download the official file."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = printable(str(error)) or type(error).__name__
        raise InputError(f"{path} is not a readable CIFAR batch ({reason}); download it again.") from None
    return batch, hashlib.sha256(content).hexdigest()
