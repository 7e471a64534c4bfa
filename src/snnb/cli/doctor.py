"""`snnb doctor`: what this machine offers."""

import os
import shutil
from pathlib import Path
from typing import Dict, List, Tuple

from snnb.cli import output
from snnb.core.machine import memory, processors
from snnb.io.text import JsonValue

NO_TENSORFLOW = "not installed: train, parse and simulate need it, all other commands work"
NO_TOOLBOX = "not installed (Python 3.8 only): for --parser and --engine toolbox"


def doctor() -> None:
    """Show what this machine offers: Python, TensorFlow, GPU, memory, disk."""
    console = output.current
    from snnb.pipeline.prepare import data_directory
    from snnb.rundir.versions import current_environment, version_of

    tensorflow, gpus = _tensorflow()
    size, available = memory()
    tf_keras = version_of("tf-keras")
    keras = "" if tf_keras is None else f" with tf-keras {tf_keras}"
    found: Dict[str, JsonValue] = {
        **current_environment().model_dump(exclude={"device"}),
        "tensorflow_imports": tensorflow,
        "tf_keras": tf_keras,
        "gpus": gpus,
        "cores": processors(),
        "memory_bytes": size,
        "memory_available_bytes": available,
        "runs": _place(Path(os.environ.get("SNNB_RUNS") or "runs")),
        "data": _place(data_directory()),
    }
    rows: List[Tuple[str, str]] = [
        ("snnb", f"{found['snnb']}, Python {found['python']}, numpy {found['numpy']}"),
        ("tensorflow", f"{found['tensorflow']}{keras}, {tensorflow}" if found["tensorflow"] else NO_TENSORFLOW),
        ("snntoolbox", found["snntoolbox"] or NO_TOOLBOX),
        ("gpu", ", ".join(gpus) or "none that TensorFlow can use"),
        ("cores", str(found["cores"])),
        ("memory", f"{found['memory_available_bytes'] / 2**30:.1f} of {found['memory_bytes'] / 2**30:.1f} GiB free"),
        ("runs", _in_words(found["runs"])),
        ("data sets", _in_words(found["data"])),
    ]
    console.result(output.table_lines(rows, head=False), found)


def _tensorflow() -> Tuple[str, List[str]]:
    try:
        import tensorflow
    except Exception as error:  # whatever the installation suffers from is the answer
        return f"does not import: {type(error).__name__}: {error}", []
    gpus = tensorflow.config.list_physical_devices("GPU")
    return "imports", [gpu.name for gpu in gpus]


def _place(path: Path) -> Dict[str, JsonValue]:
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return {"path": path, "free_bytes": shutil.disk_usage(there).free, "writable": os.access(there, os.W_OK)}


def _in_words(place: Dict[str, JsonValue]) -> str:
    writable = "" if place["writable"] else ", cannot be written"
    return f"{place['path']}: {place['free_bytes'] / 2**30:.1f} GiB free{writable}"
