"""Versions, device, time and memory of this process."""

import platform
import resource
import sys
from contextlib import suppress
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Optional

from snnb.rundir.manifest import Environment
from snnb.version import __version__

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


def version_of(*distributions: str) -> Optional[str]:
    """Return the version of the first of `distributions` that is installed, or None."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def current_environment() -> Environment:
    """Return the environment of this process, for the manifest."""
    # None if this process has not imported it
    tensorflow = sys.modules.get("tensorflow")
    return Environment(
        python=platform.python_version(),
        snnb=__version__,
        numpy=version_of("numpy") or "unknown",
        tensorflow=version_of("tensorflow", "tensorflow-cpu"),
        snntoolbox=version_of("snntoolbox"),
        device="gpu"
        if tensorflow is not None and tensorflow.config.list_physical_devices("GPU")
        else "cpu",
    )


def now_utc() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(timezone.utc)


def reset_peak_memory() -> None:
    """Reset `peak_memory` if the system allows it (proc(5): clear_refs 5)."""
    with suppress(OSError):
        CLEAR_REFS.write_text("5", encoding="ascii")


def peak_memory() -> int:
    """Return the largest resident memory of this process in bytes since `reset_peak_memory`."""
    with suppress(OSError):
        for line in STATUS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
