"""Arrays for the compiled loops: they begin with a cache line, and are filled up to whole groups of neurons."""

import math
from typing import Tuple, Type

import numpy as np

from snnb.simulation.engines.event.types import GROUP

# Bytes of a cache line.
LINE = 64


def zeros(shape: Tuple[int, ...], dtype: Type[np.generic]) -> np.ndarray:
    """Make an array that begins with a cache line, so that rows and vectors of 16 numbers lie in one line each."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, np.uint8)  # memory that nobody has touched: the operating system has made it zero
    start = -room.ctypes.data % LINE
    return room[start : start + size].view(dtype).reshape(shape)


def aligned(values: np.ndarray) -> np.ndarray:
    """Copy an array to where a cache line begins."""
    copy = zeros(values.shape, values.dtype.type)
    copy[...] = values
    return copy


def filled_up(neurons: int) -> int:
    """Return the next multiple of `GROUP`."""
    return -(-neurons // GROUP) * GROUP


def neurons_of(values: np.ndarray) -> np.ndarray:
    """Copy an array of shape `(..., neurons)`, with zeros up to a multiple of `GROUP` neurons, aligned."""
    filled = zeros((*values.shape[:-1], filled_up(values.shape[-1])), values.dtype.type)
    filled[..., : values.shape[-1]] = values
    return filled
