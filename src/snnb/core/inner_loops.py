"""Functions that only compiled functions call. This module imports numba, so import it where loops run."""

from functools import partial

import numba

_njit = partial(
    numba.njit, nogil=True, boundscheck=False, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)

inner = _njit()
"""Compile a function as a part of the `compiled` functions that call it, without the code that Python would call it by.

That code unpacks each array of each named tuple, and takes longer to compile than a short function. The machine code is
cached as a part of the caller's. Python must not call the function.
"""

inlined = _njit(forceinline=True)
"""The same for a function whose call would take as long as its loop."""
