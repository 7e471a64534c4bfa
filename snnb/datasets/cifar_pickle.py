"""CIFAR's batches are Python pickles, and a pickle can run any code or take any memory: these are read by hand.

Of the pickle language (Lib/pickletools.py) only what dictionaries of numbers, lists, byte strings and numpy arrays are
made of is understood. Nothing is imported: of the names that a pickled array mentions the parts are collected, and the
array is made of its bytes. Every length is compared with the file before anything is made of it.
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

LONGEST = 1 << 28  # bytes; the largest official file has 155 MB
LONGEST_NUMBER = 20  # bytes, or digits of a number that is written as text
STEPS = 10_000  # and one more for so many bytes of the file; an image is 3,072 of them and takes ten steps:
BYTES_A_STEP = 100
INSTRUCTIONS = {found.code.encode("latin1"): found for found in pickletools.opcodes}
#: How many bytes say the length of an argument, by pickletools' name for such a length.
LENGTHS = {
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
    """One of the names of `ADMITTED`, by what it makes."""

    makes: str


@dataclass
class _Object:
    """What calling a name has made: the arguments, and the state that was set later."""

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
        """The object that the pickle describes; a damaged one raises in any way."""
        for _ in range(STEPS + len(self.content) // BYTES_A_STEP):
            name, argument = self.instruction()
            if name == "STOP":
                return self.stack.pop()
            self.carry_out(name, argument)
        raise ValueError("more steps than a batch of its size takes")

    def instruction(self) -> Tuple[str, bytes]:
        """The next instruction's name in pickletools, and the bytes of its argument."""
        found = INSTRUCTIONS.get(self.taken(1))
        if found is None:
            raise ValueError(f"byte {self.position - 1:,} is no instruction")
        if found.arg is None:
            return found.name, b""
        if found.arg.n == pickletools.UP_TO_NEWLINE:
            return found.name, b"\n".join(self.line() for _ in range(2 if found.name == "GLOBAL" else 1))
        if found.arg.n in LENGTHS:
            return found.name, self.taken(int.from_bytes(self.taken(LENGTHS[found.arg.n]), "little"))
        return found.name, self.taken(found.arg.n)

    def taken(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.content):
            left = len(self.content) - self.position
            raise ValueError(f"{size:,} bytes are announced at byte {self.position:,}, but {left:,} are left")
        part = self.content[self.position : end]
        self.position = end
        return part

    def line(self) -> bytes:
        return self.taken(self.content.index(b"\n", self.position) + 1 - self.position)[:-1]

    def carry_out(self, name: str, argument: bytes) -> None:
        if name in BYTES:
            self.stack.append(argument)
        elif name in UNSIGNED or name in SIGNED or name == "INT":
            self.stack.append(_integer(name, argument))
        elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else _place(name, argument)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[_place(name, argument)])
        elif name in TEXTS:
            self.stack.append(argument.decode(TEXTS[name]))
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name == "POP":
            self.stack.pop()
        elif name in TUPLES or name == "TUPLE":
            self.stack.append(tuple(self.popped(TUPLES[name]) if name in TUPLES else self.marked()))
        elif name in ("EMPTY_LIST", "LIST"):
            self.stack.append(self.marked() if name == "LIST" else [])
        elif name in ("EMPTY_DICT", "DICT"):
            self.stack.append(_pairs(self.marked()) if name == "DICT" else {})
        elif name in ("APPEND", "APPENDS"):
            items = self.popped(1) if name == "APPEND" else self.marked()
            _checked(list, self.stack[-1]).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self.popped(2) if name == "SETITEM" else self.marked()
            _checked(dict, self.stack[-1]).update(_pairs(items))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            module, called = argument.decode().split("\n") if name == "GLOBAL" else self.popped(2)
            self.stack.append(_admitted(module, called))
        elif name == "REDUCE":
            function, arguments = self.popped(2)
            self.stack.append(self.called(_checked(_Name, function), _checked(tuple, arguments)))
        elif name == "BUILD":
            (state,) = self.popped(1)
            _checked(_Object, self.stack[-1]).state = _checked(tuple, state)
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"the instruction {name}, which no batch has")

    def popped(self, count: int) -> List[Any]:
        start = len(self.stack) - count
        if start < 0:
            raise ValueError("an instruction lacks what it works on")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def marked(self) -> List[Any]:
        return self.popped(len(self.stack) - self.marks.pop())

    def called(self, name: _Name, arguments: Tuple[Any, ...]) -> Any:
        if name.makes != ENCODE:
            return _Object(name.makes, arguments)
        text, encoding = arguments  # bytes, as Python 3 writes them in the old protocol
        if encoding != "latin1":
            raise ValueError("another codec than latin1")
        self.encoded += len(_checked(str, text))
        if self.encoded > len(self.content):  # the same text, encoded again and again
            raise ValueError("more bytes than the file has")
        return text.encode("latin1")


def _checked(kind: Type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} where a {kind.__name__} should be")
    return value


def _integer(name: str, argument: bytes) -> int:
    if len(argument) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(argument):,} bytes")
    if name == "INT":
        return int(argument)
    return int.from_bytes(argument, "little", signed=name in SIGNED)


def _place(name: str, argument: bytes) -> int:
    return _integer("INT" if name in ("PUT", "GET") else "BININT1", argument)


def _pairs(items: List[Any]) -> Dict[Any, Any]:
    keys, values = items[::2], items[1::2]
    if len(keys) != len(values) or not all(isinstance(key, (bytes, str)) for key in keys):
        raise ValueError("a dictionary whose keys are no names")
    return dict(zip(keys, values))


def _admitted(module: Any, name: Any) -> _Name:
    if (_checked(str, module), _checked(str, name)) not in ADMITTED:
        raise _RefusedError(printable(f"{module}.{name}")[:100])
    return _Name(ADMITTED[module, name])


def _array(found: _Object) -> np.ndarray:
    """The numpy array that an object stands for, of plain integers whose bytes fit its shape."""
    if found.makes != ARRAY:
        raise ValueError(f"a {found.makes} that is no array")
    _, shape, dtype, fortran_order, content = found.state
    if _checked(_Object, dtype).makes != DTYPE:
        raise ValueError("an array without a dtype")
    code, order = _text(dtype.arguments[0]), _text(dtype.state[1])
    if not re.fullmatch("[iu][1248]", code) or order not in ("<", ">", "|", "="):
        raise ValueError("an array of something else than integers")
    flat = np.frombuffer(_checked(bytes, content), dtype=np.dtype(order.replace("|", "=") + code))
    return flat.reshape(_checked(tuple, shape), order="F" if fortran_order else "C")


def read_batch(path: Path) -> Tuple[Dict[str, Any], str]:
    """Read one file of CIFAR's Python version: a dictionary of arrays, lists, numbers and byte strings; its SHA-256.

    Keys are text; arrays are numpy arrays of integers; strings stay bytes where Python 2 wrote them.

    Raises
    ------
    InputError : the file is cut, is no such pickle, asks for anything that could run, or is larger than any batch.
    """
    content = read_regular(path, LONGEST, "download the official file.")
    try:
        found = _checked(dict, _Machine(content).load())
        batch = {_text(key): _array(value) if isinstance(value, _Object) else value for key, value in found.items()}
    except _RefusedError as error:
        raise InputError(
            f"{path} is refused: it asks for {error}, which no CIFAR batch does and which may run code; "
            "download the official file."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = printable(str(error))[:200] or type(error).__name__
        raise InputError(f"{path} is no readable CIFAR batch ({reason}); download it again.") from None
    return batch, hashlib.sha256(content).hexdigest()


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else _checked(str, value)
