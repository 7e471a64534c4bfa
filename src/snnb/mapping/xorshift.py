"""Random numbers of the compiled loops. Importing this module imports numba."""

import numpy as np

from snnb.core.compiled import inlined


@inlined
def draw_below(state: np.ndarray, limit: int) -> int:
    """Draw an integer from 0 to limit − 1, and update the state: uint64, (1,), not 0.

    The generator is xorshift64* (Vigna, ACM TOMS 42, 2016).
    """
    value = state[0]
    value ^= value >> np.uint64(12)
    value ^= value << np.uint64(25)
    value ^= value >> np.uint64(27)
    state[0] = value
    number = (value * np.uint64(2685821657736338717)) >> np.uint64(33)
    return np.int64(number % np.uint64(limit))  # type: ignore[return-value]
