"""Arrays for the compiled loops: they begin with a cache line, and are filled up to whole groups of neurons."""

import numpy as np

from snnb.simulation.engines.event.types import GROUP

# Bytes of a cache line.
LINE = 64


def aligned(values: np.ndarray) -> np.ndarray:
    """Copy an array to where a cache line begins, so that rows and vectors of 16 numbers lie in one line each."""
    room = np.empty(values.nbytes + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    copy = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def filled_up(neurons: int) -> int:
    """Return the next multiple of `GROUP`."""
    return -(-neurons // GROUP) * GROUP


def neurons_of(values: np.ndarray) -> np.ndarray:
    """Copy an array of shape `(..., neurons)`, with zeros up to a multiple of `GROUP` neurons, aligned."""
    filled = aligned(np.zeros((*values.shape[:-1], filled_up(values.shape[-1])), values.dtype))
    filled[..., : values.shape[-1]] = values
    return filled
