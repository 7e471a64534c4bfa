"""A MODEL_graph.h5 from outside: of another run, or written by hand after docs/graph-format.md."""

import shutil
from pathlib import Path

from snnb.graph.store import FORMAT
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.atomic import atomic_path


def recognises(path: Path) -> bool:
    """Whether a file begins as a MODEL_graph.h5."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(FORMAT)) == FORMAT.encode()


def copy(path: Path, target: Path) -> SynapseGraph:
    """Copy a graph's file after opening it, and open the copy."""
    SynapseGraph.open(path).close()
    with atomic_path(target, force=True) as temporary:
        shutil.copyfile(path, temporary)
    return SynapseGraph.open(target)
