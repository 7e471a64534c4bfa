"""Reading CIFAR's batches, which are Python pickles, without Python's own reader.

A pickle can run any code and take any memory. This reader takes only the instructions of the pickle language (see
Lib/pickletools.py of Python) that make dictionaries of numbers, lists, byte strings and numpy arrays. It imports and
calls nothing that a pickle names: it collects the parts of a pickled array and makes the array from its bytes. Every
length is compared with the size of the file before memory is taken for it.
"""

import hashlib
import pickletools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple, Type, TypeVar

import numpy as np

from snnb.errors import InputError
from snnb.files import read_regular
from snnb.text import printable

LARGEST_BATCH = 1 << 28  # bytes; the largest official file has 155 MB
LARGEST_NUMBER = 20  # bytes of a number, or digits if it is written as text
# A file may have so many instructions, and one more for each 100 bytes; an image is 3,072 bytes in ten instructions.
LEAST_INSTRUCTIONS = 10_000
BYTES_PER_INSTRUCTION = 100
INSTRUCTIONS = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}
#: Number of bytes that hold the length of an argument, by pickletools' constant for such an argument.
LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
ARRAY, DTYPE, ENCODE = "array", "dtype", "encode"
ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): ARRAY,
    ("numpy", "ndarray"): ARRAY,
    ("numpy", "dtype"): DTYPE,
    ("_codecs", "encode"): ENCODE,
}
UNSIGNED = ("BININT1", "BININT2")
SIGNED = ("BININT", "LONG1", "LONG4")
BYTES = ("BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
TEXTS = {**dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), "utf-8"), "UNICODE": "raw-unicode-escape"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
T = TypeVar("T")


@dataclass(frozen=True)
class _Name:
    """A function or class that a pickle may name; `makes` says what it makes, as in `ADMITTED`."""

    makes: str


@dataclass
class _Object:
    """The result of a call of a `_Name`: what it makes, its arguments, and the state that was set later."""

    makes: str
    arguments: Tuple[Any, ...]
    state: Tuple[Any, ...] = ()


class _RefusedError(Exception):
    """The pickle asks for something that no CIFAR file holds."""


class _Machine:
    """The stack machine of the pickle language, as far as CIFAR's files need it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0
        self.stack: List[Any] = []
        self.marks: List[int] = []
        self.memo: Dict[int, Any] = {}
        self.encoded = 0  # bytes

    def load(self) -> Any:
        """Return the object that the pickle describes; a damaged pickle can raise any error."""
        for _ in range(LEAST_INSTRUCTIONS + len(self.content) // BYTES_PER_INSTRUCTION):
            name, argument = self.next_instruction()
            if name == "STOP":
                return self.stack.pop()
            self.execute(name, argument)
        raise ValueError("more instructions than a batch of its size has")

    def next_instruction(self) -> Tuple[str, bytes]:
        """Return the name of the next instruction, as in pickletools, and the bytes of its argument."""
        found = INSTRUCTIONS.get(self.read_bytes(1))
        if found is None:
            raise ValueError(f"byte {self.position - 1:,} is not an instruction")
        if found.arg is None:
            return found.name, b""
        if found.arg.n == pickletools.UP_TO_NEWLINE:
            return found.name, b"\n".join(self.read_line() for _ in range(2 if found.name == "GLOBAL" else 1))
        if found.arg.n in LENGTH_BYTES:
            return found.name, self.read_bytes(int.from_bytes(self.read_bytes(LENGTH_BYTES[found.arg.n]), "little"))
        return found.name, self.read_bytes(found.arg.n)

    def read_bytes(self, size: int) -> bytes:
        """Return the next `size` bytes of the pickle."""
        end = self.position + size
        if end > len(self.content):
            left = len(self.content) - self.position
            raise ValueError(f"{size:,} bytes are announced at byte {self.position:,}, but {left:,} are left")
        part = self.content[self.position : end]
        self.position = end
        return part

    def read_line(self) -> bytes:
        """Return the bytes up to the next line end, which is left out."""
        return self.read_bytes(self.content.index(b"\n", self.position) + 1 - self.position)[:-1]

    def execute(self, name: str, argument: bytes) -> None:
        """Carry out an instruction on the stack and the memo."""
        if name in BYTES:
            self.stack.append(argument)
        elif name in UNSIGNED or name in SIGNED or name == "INT":
            self.stack.append(_integer(name, argument))
        elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else _memo_index(name, argument)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[_memo_index(name, argument)])
        elif name in TEXTS:
            self.stack.append(argument.decode(TEXTS[name]))
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name == "POP":
            self.stack.pop()
        elif name in TUPLES or name == "TUPLE":
            self.stack.append(tuple(self.pop(TUPLES[name]) if name in TUPLES else self.pop_to_mark()))
        elif name in ("EMPTY_LIST", "LIST"):
            self.stack.append(self.pop_to_mark() if name == "LIST" else [])
        elif name in ("EMPTY_DICT", "DICT"):
            self.stack.append(_pairs(self.pop_to_mark()) if name == "DICT" else {})
        elif name in ("APPEND", "APPENDS"):
            items = self.pop(1) if name == "APPEND" else self.pop_to_mark()
            _expect(list, self.stack[-1]).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self.pop(2) if name == "SETITEM" else self.pop_to_mark()
            _expect(dict, self.stack[-1]).update(_pairs(items))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            module, name_in_module = argument.decode().split("\n") if name == "GLOBAL" else self.pop(2)
            self.stack.append(_admitted(module, name_in_module))
        elif name == "REDUCE":
            function, arguments = self.pop(2)
            self.stack.append(self.call(_expect(_Name, function), _expect(tuple, arguments)))
        elif name == "BUILD":
            (state,) = self.pop(1)
            _expect(_Object, self.stack[-1]).state = _expect(tuple, state)
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"the instruction {name}, which no batch has")

    def pop(self, count: int) -> List[Any]:
        """Remove the last `count` objects from the stack, and return them in their order."""
        start = len(self.stack) - count
        if start < 0:
            raise ValueError("an instruction needs more objects than are there")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pop_to_mark(self) -> List[Any]:
        """Remove the objects after the last mark from the stack, and return them in their order."""
        return self.pop(len(self.stack) - self.marks.pop())

    def call(self, name: _Name, arguments: Tuple[Any, ...]) -> Any:
        """Return a description of what the call would make; only text is encoded at once."""
        if name.makes != ENCODE:
            return _Object(name.makes, arguments)
        text, encoding = arguments  # Python 3 writes bytes in this way in the protocol of Python 2
        if encoding != "latin1":
            raise ValueError("an encoding other than latin1")
        self.encoded += len(_expect(str, text))
        if self.encoded > len(self.content):  # the same text is encoded again and again
            raise ValueError("more bytes than the file has")
        return text.encode("latin1")


def _expect(kind: Type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} where a {kind.__name__} should be")
    return value


def _integer(name: str, argument: bytes) -> int:
    if len(argument) > LARGEST_NUMBER:
        raise ValueError(f"a number of {len(argument):,} bytes")
    if name == "INT":
        return int(argument)
    return int.from_bytes(argument, "little", signed=name in SIGNED)


def _memo_index(name: str, argument: bytes) -> int:
    return _integer("INT" if name in ("PUT", "GET") else "BININT1", argument)


def _pairs(items: List[Any]) -> Dict[Any, Any]:
    keys, values = items[::2], items[1::2]
    if len(keys) != len(values) or not all(isinstance(key, (bytes, str)) for key in keys):
        raise ValueError("a dictionary whose keys are not text")
    return dict(zip(keys, values))


def _admitted(module: Any, name: Any) -> _Name:
    if (_expect(str, module), _expect(str, name)) not in ADMITTED:
        raise _RefusedError(printable(f"{module}.{name}")[:100])
    return _Name(ADMITTED[module, name])


def _array(found: _Object) -> np.ndarray:
    """Make the numpy array that an object describes, of plain integers."""
    if found.makes != ARRAY:
        raise ValueError(f"a {found.makes} that is not an array")
    _, shape, dtype, fortran_order, content = found.state
    if _expect(_Object, dtype).makes != DTYPE:
        raise ValueError("an array without a dtype")
    code, order = _as_text(dtype.arguments[0]), _as_text(dtype.state[1])
    if not re.fullmatch("[iu][1248]", code) or order not in ("<", ">", "|", "="):
        raise ValueError("an array of elements that are not integers")
    flat = np.frombuffer(_expect(bytes, content), dtype=np.dtype(order.replace("|", "=") + code))
    return flat.reshape(_expect(tuple, shape), order="F" if fortran_order else "C")


def read_batch(path: Path) -> Tuple[Dict[str, object], str]:
    """Read one file of CIFAR's Python version.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    batch : dict of str to object
        Lists, numbers, byte strings and arrays of integers. Strings stay bytes where Python 2 wrote them.
    sha256 : str
        That of the file.

    Raises
    ------
    InputError
        The file is damaged or is not such a pickle, it names something that could run, or it is larger than any batch.
    """
    content = read_regular(path, LARGEST_BATCH, "download the official file.")
    try:
        loaded = _expect(dict, _Machine(content).load())
        batch = {_as_text(key): _array(value) if isinstance(value, _Object) else value for key, value in loaded.items()}
    except _RefusedError as error:
        raise InputError(
            f"{path} is refused: it asks for {error}, which no CIFAR batch does and which may run code; "
            "download the official file."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = printable(str(error))[:200] or type(error).__name__
        raise InputError(f"{path} is not a readable CIFAR batch ({reason}); download it again.") from None
    return batch, hashlib.sha256(content).hexdigest()


def _as_text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else _expect(str, value)
