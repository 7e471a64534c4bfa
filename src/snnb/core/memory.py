"""Check that there is enough memory before it is needed: native code ends the process when it gets none."""

import resource
from pathlib import Path

from snnb.core.errors import ResourceError
from snnb.core.processors import processors

TENSORFLOW = 1_750_000_000  # bytes of address space to import it and run a small network, beside its threads
ARRAY_LIBRARIES = 120_000_000  # bytes of address space for numpy, Pillow and scikit-learn
COMPILED = 500_000_000  # bytes of address space for numba and LLVM
EACH_THREAD = 72 << 20  # a stack and an arena of the allocator


def require_address_space(size: int, what: str) -> None:
    """Raise `ResourceError` when a limit on address space (`ulimit -v`) does not leave `size` bytes and the threads.

    Below that, TensorFlow 2.2 and LLVM do not raise but abort.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])  # proc(5): of the whole address space
    left = limit - pages * resource.getpagesize()
    needed = size + EACH_THREAD * processors()
    if left < needed:
        raise ResourceError(
            f"{what} needs {needed / 1e9:.1f} GB of address space to start, the limit leaves {max(left, 0) / 1e9:.1f}; "
            "raise it with `ulimit -v`, or use a machine with more memory"
        )


def memory_of_this_machine() -> int:
    """Return its size in bytes."""
    import psutil

    return int(psutil.virtual_memory().total)


def require_memory(numbers: int, what: str) -> None:
    """Raise `ResourceError` when this machine's memory cannot hold so many numbers of 8 bytes."""
    need, there = 8 * numbers, memory_of_this_machine()
    if need > there:
        raise ResourceError(
            f"{what} has {numbers:,} neurons, which take {need / 1e9:,.0f} GB for one number each; this machine has "
            f"{there / 1e9:,.0f} GB of memory, so take a smaller input or another machine"
        )
