"""Compile loops with numba. This module imports numba, so import it where loops run, not at start-up."""

import hashlib
import platform
import re
import sys
from contextlib import suppress
from functools import lru_cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Callable, List, Set, TypeVar

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.event import Event, Listener, register
from platformdirs import user_cache_path

from snnb.core.progress import compilation

F = TypeVar("F", bound=Callable[..., object])

_OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
_CPU_INFO = Path("/proc/cpuinfo")
# Flags of /proc/cpuinfo that a level adds to the previous level (x86-64 psABI, section
# 3.1.1)
_FLAGS = {
    "x86-64-v2": "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3",
    "x86-64-v3": "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave",
    "x86-64-v4": "avx512bw avx512cd avx512dq avx512f avx512vl",
}
_IMPORTS = re.compile(r"^from (snnb(?:\.\w+)*) import (\([^)]*\)|.*)", re.MULTILINE)
# Machine code in the environment, for example in a container image: read, never written
_COMPILED_BEFORE = Path(sys.prefix, "share", "snnb", "numba")


def compiled(function: F) -> F:
    """Compile a function at its first call, and cache the machine code on disk.

    The compiled function releases Python's interpreter lock, does not check indices,
    and divides by zero as numpy does.

    The cache is `$NUMBA_CACHE_DIR`, or `snnb/numba` in the user's cache directory. Its
    key is the level of the processor, the types of the arguments, and the content of
    the sources, see `_digest`. Nothing is cached if no directory can be written.
    """
    dispatcher: Any = numba.njit(**_OPTIONS)(function)
    cache_dir = numba.config.CACHE_DIR
    # For this function only, not for functions of other packages
    numba.config.CACHE_DIR = cache_dir or _directory()
    # No directory can be written, or no source is found
    with suppress(RuntimeError, OSError):
        dispatcher._cache = _Cache(function)
    numba.config.CACHE_DIR = cache_dir
    return dispatcher


_inner = partial(numba.njit, **_OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)

inner = _inner()
"""Compile a function as a part of the `compiled` functions that call it, without the code that Python would call it by.

That code unpacks each array of each named tuple, and takes longer to compile than a
short function. The machine code is cached as a part of the caller's. Python must not
call the function.
"""

inlined = _inner(forceinline=True)
"""The same for a function of an inner loop, whose call would take as long as its body.

A call counts the references to each array by atomic operations: 0.1 µs for a named
tuple of ten arrays. Numba removes them from the loops of the caller unless some remain
in one of its branches, as where a branch assigns a variable that is used later; a
conditional expression does not have this effect. `inspect_asm()` shows what remains as
`call`.
"""


def typed_once(function: Callable[..., object]) -> Callable[..., object]:
    """Return a callable for the compiled `function` that determines the types of its arguments only once.

    They must be the same in all calls: dtypes, and contiguous arrays. Numba finds the
    types of named tuples in every call, by a key that has uninitialised bytes in numba
    0.58, so that half of the calls take 0.2 ms more in some runs.
    """
    dispatcher: Any = function
    entry: Any = None

    def call(*arguments: object) -> object:
        nonlocal entry
        if entry is None:
            entry = dispatcher.compile(tuple(map(numba.typeof, arguments)))
        return entry(*arguments)

    return call


class _Cache(FunctionCache):
    """Numba's cache, in which a damaged file counts as none, and a full disk does not matter.

    Names of files contain the hash of the sources instead of their times in the index.
    Files of earlier sources are removed when the function is compiled.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        self._digest = _digest(function.__module__)[:16]
        self._cache_file = IndexDataCacheFile(
            self._cache_path,
            f"{self._impl.filename_base}-{self._digest}",
            "",
        )

    def load_overload(self, sig: object, target_context: object) -> object:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # any may come from a damaged pickle
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: object, data: object) -> None:
        with suppress(OSError):
            for file in Path(self._cache_path).glob(
                self._impl.filename_base.rpartition("-")[0] + "-*",
            ):
                if self._digest not in file.name:
                    file.unlink()
            super().save_overload(sig, data)


@lru_cache(maxsize=None)
def _digest(module: str) -> str:
    """Return a hash of the source of an imported module and of the modules of snnb that it imports.

    Machine code contains functions and constants of all of them. Numba compares the
    file of the function only.
    """
    source = Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8")
    digest = hashlib.sha256(source.encode())
    for package, names in _IMPORTS.findall(source):
        for name in (
            package,
            *(f"{package}.{name}" for name in re.findall(r"\w+", names)),
        ):
            if name in sys.modules:
                digest.update(_digest(name).encode())
    return digest.hexdigest()


@lru_cache(maxsize=None)
def _directory() -> str:
    """Return the default cache directory, with links to the files that were compiled before.

    Links, since numba uses a cache only in a directory that it can write to.
    """
    directory = user_cache_path("snnb") / "numba"
    with suppress(OSError):
        for file in _COMPILED_BEFORE.glob("*/*.nb[ic]"):
            link = directory / file.relative_to(_COMPILED_BEFORE)
            link.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                link.symlink_to(file)
    return str(directory)


def processor_levels() -> List[str]:
    """Return the levels of x86-64 that this processor has, lowest first; none on other or unknown processors."""
    flags: Set[str] = set()
    if platform.machine() == "x86_64":
        with suppress(OSError), _CPU_INFO.open(encoding="utf-8") as lines:
            flags.update(
                next((line for line in lines if line.startswith("flags")), "").split(),
            )
    return list(
        takewhile(lambda level: flags.issuperset(_FLAGS[level].split()), _FLAGS),
    )


# Compile for the level of the processor instead of its model, so that all machines of a
# level share machine code, in an image or on a shared file system. It is as fast. In
# the environment, batch systems would hand it on to other machines.
if (
    numba.config.CPU_NAME is None
    and numba.config.CPU_FEATURES is None
    and (_levels := processor_levels())
):
    numba.config.CPU_NAME, numba.config.CPU_FEATURES = _levels[-1], ""


# The cache has a directory for each place of the sources: another environment compiles
# again. Commands, and modes of a command, use different loops.
FIRST_USE = "compiling loops not used in this environment before"


class _Compiling(Listener):
    """Report compilations of functions that are not in the cache."""

    def on_start(self, event: Event) -> None:
        dispatcher = (event.data or {}).get("dispatcher")
        has_cache = isinstance(getattr(dispatcher, "_cache", None), _Cache)
        compilation.show(FIRST_USE if has_cache else "compiling")

    def on_end(self, event: Event) -> None:
        compilation.show("")


register("numba:compile", _Compiling())
