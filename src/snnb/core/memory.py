"""Refuse work that the memory of this machine cannot hold, and keep large arrays on disk."""

import math
import tempfile
from typing import Tuple

import numpy as np
from numpy.typing import DTypeLike

from snnb.core.errors import ResourceError
from snnb.core.machine import memory

SCRATCH_BYTES = 64_000_000


def require_memory(neurons: int, what: str) -> None:
    """Raise `ResourceError` if the memory cannot hold a number of 8 bytes for each neuron of `what`."""
    needed, available = 8 * neurons, memory().total
    if needed > available:
        raise ResourceError(
            f"{what} has {neurons:,} neurons, which take {needed / 1e9:,.0f} GB for one number each; this machine has "
            f"{available / 1e9:,.0f} GB of memory, so take a smaller input or another machine"
        )


def scratch_array(shape: Tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return an array of zeros, mapped from a temporary file if it has more than `SCRATCH_BYTES`."""
    if math.prod(shape) * np.dtype(dtype).itemsize <= SCRATCH_BYTES:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, "w+", shape=shape)
