"""Compile loops with numba. Importing this module imports numba: do so where loops run, not where a program starts."""

from typing import Callable, TypeVar

import numba

F = TypeVar("F", bound=Callable)


def jit(function: F) -> F:
    """Compile a function on its first call, and keep the machine code on disk where there is a place for it."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no writable place, as in a read-only container
        return numba.njit(nogil=True)(function)
