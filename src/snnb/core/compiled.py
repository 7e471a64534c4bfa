"""Compile loops with numba. This module imports numba, so import it where loops run, not at start-up."""

import ast
import hashlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, List, Optional, Set, TypeVar

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.event import Event, Listener, register
from platformdirs import user_cache_path

from snnb.core.progress import compilation

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function at its first call, and cache the machine code on disk.

    The compiled function releases Python's interpreter lock, does not check indices, and divides by zero as numpy does.

    The cache is `$NUMBA_CACHE_DIR`, or `snnb/numba` in the user's cache directory, which all copies of the package
    share. Its key is the content of the function's file and of the files of the same package that it imports (by
    absolute imports), since machine code contains the functions that it calls and the constants that it reads. Numba
    adds its version, the CPU and the types of the arguments. Nothing is cached if the directory cannot be written.
    """
    made: Any = numba.njit(nogil=True, boundscheck=False, error_model="numpy")(function)
    with suppress(RuntimeError):  # the locator has found no directory
        made._cache = _Cache(function)
    return made


class _Locator(_CacheLocator):
    """Location of cached machine code: one directory for each content of the sources."""

    def __init__(self, function: Callable[..., object], file: str) -> None:
        self._py_file, self._line = file, function.__code__.co_firstlineno
        module = function.__module__
        self._stamp = _digest(Path(file), module)
        base = numba.config.CACHE_DIR or user_cache_path("snnb") / "numba"
        self._directory = str(Path(base) / f"{module}-{self._stamp[:16]}")

    @classmethod
    def from_function(cls, py_func: Callable[..., object], py_file: str) -> "Optional[_Locator]":
        locator = cls(py_func, py_file)
        try:
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator

    def get_cache_path(self) -> str:
        return self._directory

    def get_source_stamp(self) -> str:
        return self._stamp

    def get_disambiguator(self) -> str:
        return str(self._line)


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes = (_Locator,)


class _Cache(FunctionCache):
    _impl_class = _CacheImpl


class _Compiling(Listener):
    """Report compilations of functions that are not in the cache."""

    def on_start(self, event: Event) -> None:
        dispatcher = (event.data or {}).get("dispatcher")
        compilation.begin(cached=isinstance(getattr(dispatcher, "_cache", None), _Cache))

    def on_end(self, event: Event) -> None:
        compilation.end()


register("numba:compile", _Compiling())


@lru_cache(maxsize=None)
def _digest(file: Path, module: str) -> str:
    """Return the SHA-256 of a module's file, of those of its package that it imports, directly or not, and of numba."""
    top = file.parents[module.count(".")]
    sources: Set[Path] = set()
    found = [file]
    while found:
        path = found.pop()
        if path not in sources:
            sources.add(path)
            found += _imported(path, top, module.partition(".")[0])
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(sources):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(top)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@lru_cache(maxsize=None)
def _imported(file: Path, top: Path, package: str) -> List[Path]:
    """Return the files of a package that a file of it may import; `top` is the folder that holds the package."""
    names: Set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    paths = [top / name.replace(".", "/") for name in names if name.partition(".")[0] == package]
    return [path for stem in paths for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()]
