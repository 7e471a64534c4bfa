"""Check that disk and memory hold the simulation of a graph."""

import shutil
import tempfile
from typing import Sequence

from snnb.core.errors import ResourceError
from snnb.core.machine import memory
from snnb.graph.export.write_export import estimate
from snnb.graph.synapse_graph import SynapseGraph

# Bytes of memory that a synapse takes, a little above what was measured on lenet_mnist: 59, 650 (mapped 780) and 41.
SYNAPSE_BYTES = {"brian2": 70, "sanafe": 850, "scipy": 45}


def require_room(graph: SynapseGraph, simulator: str, formats: Sequence[str]) -> None:
    """Refuse a graph whose exports do not fit on the disk, or whose simulation does not fit into memory.

    Parameters
    ----------
    graph : SynapseGraph
    simulator : {"brian2", "sanafe", "scipy"}
    formats : sequence of str
        Of the exports.
    """
    from rich.filesize import decimal

    folder, size = tempfile.gettempdir(), sum(estimate(graph, name).size_bytes for name in formats)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ResourceError(
            f"the simulation of a graph writes it to {folder}, which takes {decimal(size)} of the {decimal(free)} that "
            "are free there; set TMPDIR to a folder on another disk"
        )
    size, free = SYNAPSE_BYTES[simulator] * graph.number_of_edges(), memory().available
    if size > free:
        raise ResourceError(
            f"{simulator} takes about {decimal(size)} of memory for {graph.number_of_edges():,} synapses, "
            f"{decimal(free)} are free; "
            + ("" if simulator == "scipy" else "take --with scipy, which needs least, or ")
            + "use a machine with more memory"
        )
