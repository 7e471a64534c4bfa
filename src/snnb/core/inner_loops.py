"""Functions that only compiled functions call, and calls with arguments of the same types each time.

This module imports numba, so import it where loops run.
"""

from functools import partial
from typing import Any, Callable

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


def typed_once(function: Callable[..., object]) -> Callable[..., object]:
    """Return a call of the compiled `function` that finds the types of its arguments at the first call only.

    They must be the same in all calls: dtypes, and contiguous arrays. Numba finds the types of named tuples in every
    call, by a key that has uninitialised bytes in numba 0.58, so that half of the calls take 0.2 ms more in some runs.
    """
    dispatcher: Any = function
    entry: Any = None

    def call(*arguments: object) -> object:
        nonlocal entry
        if entry is None:
            entry = dispatcher.compile(tuple(map(numba.typeof, arguments)))
        return entry(*arguments)

    return call
