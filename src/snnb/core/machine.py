"""Processors and memory of the machine, within the limits of the control groups of this process.

Containers and batch systems limit a process by its control group (cgroup) and the
parents of that, while `/proc` shows the entire machine. Both versions of cgroups, also
at once: https://docs.kernel.org/admin-guide/cgroup-v2.html,
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html,
https://docs.kernel.org/scheduler/sched-bwc.html.
"""

import math
import os
import tempfile
from pathlib import Path, PurePosixPath
from typing import (
    TYPE_CHECKING,
    BinaryIO,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Sequence,
    Tuple,
)

from snnb.core.errors import FULL, ResourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

PROCESS = Path("/proc/self")
SCRATCH_BYTES = 64_000_000
SMALL_BYTES = 1_000_000  # smaller needs are not compared with the available memory
# limit, use, and prefix of the keys in memory.stat; version 2, version 1
MEMORY_FILES = (
    ("memory.max", "memory.current", ""),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)


class Memory(NamedTuple):
    """Size of the memory and its part that is available without swapping, in bytes."""

    total: int
    available: int


def processors() -> int:
    """Return the number of processors that this process may use; a part of one counts as one."""
    number = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )
    for group in _groups("cpu"):
        quota, period = [*_words(group / "cpu.max"), "", ""][:2]
        if not quota:
            quota, period = (
                "".join(_words(group / f"cpu.cfs_{name}_us"))
                for name in ("quota", "period")
            )
        if quota.isdigit() and period.isdigit():  # neither `max` nor -1
            number = min(number, max(1, -(-int(quota) // int(period))))
    return number


def memory() -> Memory:
    """Return the memory that this process may use; file caches count as available, as in the kernel's MemAvailable."""
    import psutil

    machine = psutil.virtual_memory()
    total, available = int(machine.total), int(machine.available)
    for group in _groups("memory"):
        for limit_file, use_file, prefix in MEMORY_FILES:
            limit, use = (
                "".join(_words(group / name)) for name in (limit_file, use_file)
            )
            if limit.isdigit() and use.isdigit():
                words = _words(group / "memory.stat")
                counters = dict(zip(words[::2], map(int, words[1::2])))
                cache = sum(
                    counters.get(f"{prefix}{name}_file", 0)
                    for name in ("active", "inactive")
                )
                total = min(total, int(limit))
                available = min(available, max(0, int(limit) - int(use) + cache))
    return Memory(total, available)


def require_memory(needed_bytes: int, subject: str) -> None:
    """Raise `ResourceError` if `needed_bytes` bytes for `subject` are more than the memory that is available."""
    if needed_bytes <= SMALL_BYTES:
        return
    available = memory().available
    if needed_bytes > available:
        raise ResourceError(
            f"{subject} take {needed_bytes / 1e9:,.1f} GB of memory, and "
            f"{available / 1e9:,.1f} GB are available; if the number is correct, use "
            "a machine with more memory",
        )


def scratch_array(shape: Tuple[int, ...], dtype: "DTypeLike") -> "np.ndarray":
    """Return an array of zeros, mapped from a temporary file if it has more than `SCRATCH_BYTES`.

    Raise `ResourceError` if the disk of temporary files cannot hold it.
    """
    import numpy as np

    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= SCRATCH_BYTES:
        return np.zeros(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            return mapped_zeros(file, shape, dtype)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ResourceError(
            f"{tempfile.gettempdir()} has no space for {size / 1e6:,.0f} MB of "
            "temporary data; free space, or set TMPDIR to a folder on another disk",
        ) from error


def mapped_zeros(
    file: BinaryIO,
    shape: Tuple[int, ...],
    dtype: "DTypeLike",
) -> "np.ndarray":
    """Map an empty file into memory as an array of zeros; raise `OSError` if the disk is full."""
    import numpy as np

    # Without allocated blocks, SIGBUS ends the process that writes to the array when
    # the disk is full.
    os.posix_fallocate(file.fileno(), 0, math.prod(shape) * np.dtype(dtype).itemsize)
    return np.memmap(file, dtype, "w+", shape=shape)


def _groups(controller: str) -> Iterator[Path]:
    """Yield the directories of cgroups that may limit a controller.

    They are those of the cgroups of this process, and of their parents.
    """
    paths: Dict[str, str] = {}  # by controller, which is empty for version 2
    for line in _lines(PROCESS / "cgroup"):
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    for line in _lines(PROCESS / "mountinfo"):
        mount = _Mount.parse(line)
        if mount.kind == "cgroup2":
            path = paths.get("", "/")
        elif mount.kind == "cgroup" and controller in mount.options:
            path = paths.get(controller, "/")
        else:
            continue
        try:
            inner = PurePosixPath(path).relative_to(mount.root)
        except ValueError:
            # Of another cgroup namespace; the mount's root is all that is visible
            inner = PurePosixPath()
        group = mount.point if ".." in inner.parts else mount.point / inner
        yield group
        for parent in group.parents:
            if mount.point == parent or mount.point in parent.parents:
                yield parent


class _Mount(NamedTuple):
    """A mounted file system."""

    root: str  # the directory of the file system that is mounted
    point: Path  # where
    kind: str  # type of the file system, such as `cgroup2`
    options: Sequence[str]  # of the file system; controllers of a `cgroup`

    @staticmethod
    def parse(line: str) -> "_Mount":
        """Read a line of /proc/self/mountinfo, see proc(5)."""
        mount, _, system = line.partition(" - ")
        root, place = (word.replace(r"\040", " ") for word in mount.split()[3:5])
        words = system.split()
        return _Mount(root, Path(place), words[0], words[-1].split(","))


def _lines(path: Path) -> List[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _words(path: Path) -> List[str]:
    return " ".join(_lines(path)).split()
