"""Compile loops with numba. To import this module imports numba: do so where loops run, not where a program starts."""

import inspect
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F, *, files: Optional[Iterable[Path]] = None) -> F:
    """Compile a function at its first call, and keep the machine code on disk.

    The compiled function releases Python's interpreter lock, does not check whether an index is inside its array, and
    divides as numpy does: a division by zero raises nothing.

    Numba keeps the machine code as long as the function's own file does not change. But the code also contains the
    compiled functions that it calls, so a change in their files must make it stale too. Where no file can be written,
    as in a read-only installation, nothing is kept.

    Parameters
    ----------
    function : callable
        What numba can compile.
    files : iterable of Path, optional
        The function's own file and the files of the compiled functions that it calls. By default all Python files of
        its own folder. As a decorator with other files, write `@partial(compiled, files=...)`.

    Returns
    -------
    callable
        The function, compiled.
    """
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        kept: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no folder that it may write
        return numba.njit(**options)(function)
    read = Path(inspect.getfile(function)).parent.glob("*.py") if files is None else files
    status = [(path.name, path.stat()) for path in sorted(read)]
    kept._cache._cache_file._source_stamp = tuple((name, s.st_mtime_ns, s.st_size) for name, s in status)
    return kept
