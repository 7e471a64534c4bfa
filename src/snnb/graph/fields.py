"""Attributes and arrays of a graph's file, each read with a look at type, shape and range.

What is read here reaches compiled loops, which look at no bounds, and a mapping of the file into memory.
"""

from typing import Container, Optional, Sequence, Tuple, Union

import h5py
import numpy as np

from snnb.core.errors import InputError
from snnb.io.hdf5 import RAISED_BY_HDF5, damaged
from snnb.io.text import LONGEST_NAME, printable

REMEDY = "make it again with `snnb graph --force`"
LONGEST_TEXT = 10_000
LARGEST = 1 << 53  # whole numbers up to here are exact as float64 too
Stored = Union[h5py.Group, h5py.Dataset]
SHORTEST_STEP, LONGEST_STEP = 1e-9, 1e9  # milliseconds; beyond them rates are no numbers


def wrong(item: Stored, what: str) -> InputError:
    """Return the one line that says what of a group or array is not as `snnb graph` writes it."""
    return InputError(f"{item.file.filename}: {item.name}: {what}; {REMEDY}")


def has(item: Stored, name: str) -> bool:
    """Whether there is an attribute of that name."""
    return name in item.attrs


def attribute(item: Stored, name: str) -> object:
    """Read an attribute that has to be there."""
    try:
        if name in item.attrs:
            return item.attrs[name]
    except (*RAISED_BY_HDF5, MemoryError) as error:  # no attribute is large: it declares what it has not
        raise wrong(item, f"the attribute {name} cannot be read") from error
    raise wrong(item, f"has no attribute {name}")


def text(item: Stored, name: str, allowed: Optional[Container[str]] = None, longest: int = LONGEST_NAME) -> str:
    """Read a text that can be shown; one of `allowed` if these are given."""
    value = attribute(item, name)
    if not isinstance(value, str) or len(value) > longest or printable(value) != value:
        raise wrong(item, f"the attribute {name} is no short text")
    if allowed is not None and value not in allowed:
        raise wrong(item, f"the attribute {name} is {value[:50]!r}, which cannot be")
    return value


def integer(item: Stored, name: str, least: int = 0, most: int = LARGEST) -> int:
    """Read a whole number from `least` to `most`."""
    value = attribute(item, name)
    if not isinstance(value, np.integer) or not least <= int(value) <= most:
        raise wrong(item, f"the attribute {name} is no whole number from {least} to {most}")
    return int(value)


def integers(item: Stored, name: str, length: Sequence[int], least: int = 1) -> Tuple[int, ...]:
    """Read some whole numbers, `least` or more; there may be as many as `length` says."""
    value = attribute(item, name)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind != "i" or value.size not in length:
        raise wrong(item, f"the attribute {name} is no row of whole numbers")
    numbers = tuple(value.tolist())
    if min(numbers) < least or max(numbers) > LARGEST:
        raise wrong(item, f"the attribute {name} has a number that is not from {least} to {LARGEST}")
    return numbers


def time_step(item: Stored, name: str) -> float:
    """Read the length of a time step in milliseconds."""
    value = attribute(item, name)
    if not isinstance(value, np.floating) or not SHORTEST_STEP <= float(value) <= LONGEST_STEP:
        raise wrong(item, f"the attribute {name} is no number of milliseconds")
    return float(value)


def flag(item: Stored, name: str) -> bool:
    """Read a truth value."""
    value = attribute(item, name)
    if not isinstance(value, np.bool_):
        raise wrong(item, f"the attribute {name} is neither true nor false")
    return bool(value)


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group that has to be there."""
    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise wrong(parent, f"has no group {name}")
    return found


def dataset(parent: h5py.Group, name: str, types: Sequence[str], shape: Tuple[Optional[int], ...]) -> h5py.Dataset:
    """Return an array that has to be there, of one of these types and this shape (None: any length); reads no value."""
    found = parent.get(name)
    if not isinstance(found, h5py.Dataset):
        raise wrong(parent, f"has no array {name}")
    if found.dtype not in [np.dtype(kind) for kind in types]:
        raise wrong(found, f"holds {found.dtype}, not {types[0]}")
    lengths = found.shape or ()
    if len(lengths) != len(shape) or any(want is not None and want != there for want, there in zip(shape, lengths)):
        raise wrong(found, f"has the shape {lengths}, not {shape}")
    return found


def values(array: h5py.Dataset) -> np.ndarray:
    """Read an array whole; what HDF5 raises over it becomes an `InputError`."""
    name = array.file.filename  # also tells that the graph has been closed, which is no damage
    try:
        found = array[()]
    except RAISED_BY_HDF5 as error:
        raise damaged(name, error, REMEDY) from error
    return np.asarray(found)


def require_finite(item: Stored, numbers: np.ndarray, *, least: float = -np.inf) -> None:
    """Raise `InputError` when a number is not finite or below `least`; takes one pass, and no memory."""
    if not numbers.size:
        return
    low, high = numbers.min(), numbers.max()  # NaN, if there is any
    if not (np.isfinite(low) and np.isfinite(high) and low >= least):
        raise wrong(item, "holds a number that cannot be")
