"""What computed a stage: versions, device, time and memory. Reads versions without importing the packages."""

import platform
import resource
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Literal, Optional

from snnb.rundir.records import Environment
from snnb.version import __version__

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


def version_of(*distributions: str) -> Optional[str]:
    """Version of the first of `distributions` that is installed, else None."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def device() -> Literal["cpu", "gpu"]:
    """`gpu` when the TensorFlow of this process sees one, else `cpu`; TensorFlow is not imported for the question."""
    tensorflow = sys.modules.get("tensorflow")
    return "gpu" if tensorflow is not None and tensorflow.config.list_physical_devices("GPU") else "cpu"


def current_environment() -> Environment:
    """The environment of this process, for the manifest."""
    return Environment(
        python=platform.python_version(),
        snnb=__version__,
        numpy=version_of("numpy") or "unknown",
        tensorflow=version_of("tensorflow", "tensorflow-cpu"),
        snntoolbox=version_of("snntoolbox"),
        device=device(),
    )


def now_utc() -> datetime:
    """The present, in UTC."""
    return datetime.now(timezone.utc)


def reset_peak_memory() -> None:
    """Let `peak_memory` count from here (Linux, proc(5): clear_refs 5); elsewhere it counts from the start."""
    try:
        CLEAR_REFS.write_text("5")
    except OSError:
        return


def peak_memory() -> int:
    """Largest resident memory of this process in bytes since `reset_peak_memory`."""
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
