"""`snnb doctor`: Python, TensorFlow, GPU, memory and disk of this machine."""

import os
import shutil
from pathlib import Path
from typing import List, Optional

from snnb.cli import output
from snnb.cli.tables import table_lines
from snnb.core.machine import memory, processors
from snnb.io.text import Document

GIB = 2**30
NO_TENSORFLOW = "not installed (required by train and --engine tensorflow)"
NO_TOOLBOX = "not installed (Python 3.8 only; for --parser or --engine toolbox)"


class Place(Document):
    """A directory, which may not exist yet, and the disk that it is on."""

    path: Path
    free_bytes: int
    writable: bool

    @classmethod
    def of(cls, path: Path) -> "Place":
        """Return a place with its free space.

        `writable` is whether the directory can be written or made.
        """
        existing = path.absolute()
        while not existing.exists():
            existing = existing.parent
        free = shutil.disk_usage(existing).free
        return cls(path=path, free_bytes=free, writable=os.access(existing, os.W_OK))

    def __str__(self) -> str:
        """Return the place as text."""
        writable = "" if self.writable else ", cannot be written"
        return f"{self.path}: {self.free_bytes / GIB:.1f} GiB free{writable}"


class Machine(Document):
    """Output of `snnb doctor --json`."""

    python: str
    snnb: str
    numpy: str
    tensorflow: Optional[str]
    snntoolbox: Optional[str]
    tensorflow_imports: str  # `imports`, or the error
    tf_keras: Optional[str]
    gpus: List[str]
    cores: int
    memory_bytes: int
    memory_available_bytes: int
    runs: Place
    data: Place


def doctor() -> None:
    """Run `snnb doctor`."""
    from snnb.datasets.catalogue import data_directory
    from snnb.rundir.environment import current_environment, version_of

    gpus: List[str] = []
    try:
        from snnb.core.quiet_tensorflow import tensorflow

        imports = "imports"
        gpus = [gpu.name for gpu in tensorflow.config.list_physical_devices("GPU")]
    except Exception as error:  # any fault of the installation is shown
        imports = f"import fails: {type(error).__name__}: {error}"
    total, available = memory()
    # Not `model_dump`, which omits what is not installed
    versions = dict(current_environment())
    del versions["device"]
    info = Machine(
        **versions,
        tensorflow_imports=imports,
        tf_keras=version_of("tf-keras"),
        gpus=gpus,
        cores=processors(),
        memory_bytes=total,
        memory_available_bytes=available,
        runs=Place.of(Path(os.environ.get("SNNB_RUNS") or "runs")),
        data=Place.of(data_directory()),
    )
    tensorflow_state = NO_TENSORFLOW
    if info.tensorflow:
        keras = "" if info.tf_keras is None else f" with tf-keras {info.tf_keras}"
        tensorflow_state = f"{info.tensorflow}{keras}, {info.tensorflow_imports}"
    free_gib = info.memory_available_bytes / GIB
    total_gib = info.memory_bytes / GIB
    rows = [
        ("snnb", f"{info.snnb}, Python {info.python}, numpy {info.numpy}"),
        ("tensorflow", tensorflow_state),
        ("snntoolbox", info.snntoolbox or NO_TOOLBOX),
        ("gpu", ", ".join(info.gpus) or "none available to TensorFlow"),
        ("cores", str(info.cores)),
        ("memory", f"{free_gib:.1f} of {total_gib:.1f} GiB free"),
        ("runs", str(info.runs)),
        ("data sets", str(info.data)),
    ]
    output.current.result(table_lines(rows, head=False), info)
