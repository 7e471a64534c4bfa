"""`pynn`: a directory of connection lists for PyNN's `FromFileConnector`, two per projection.

Indices count inside each population. `…_excitatory.txt` holds the weights that are not
negative, `…_inhibitory.txt` the negative ones with their sign, as PyNN wants them for
current-based synapses; a list without synapses is omitted. With the delays, spikes of
all paths arrive in the same step (`SynapseGraph.delay_steps`): one time step per layer,
more if a connection skips layers. A synapse of an average pooling has the weight 1 /
(neurons in the window), the mean, whatever the pool weight of the graph. `nodes.csv`
has the biases, and the numbers of neurons with a model.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from snnb.formats.description import neuron_warning, refuse_fast_cycles
from snnb.formats.node_table import NODES_FILE, write_node_csv
from snnb.formats.request import TEXT_BATCH, Format, Request, file_name
from snnb.formats.text_lines import lines, texts
from snnb.graph.connection import EdgeBatch
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph

if TYPE_CHECKING:
    import pyarrow

HEADER = b'# columns = ["i", "j", "weight", "delay"]\n'


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph: lists of the connections of each projection; see `Format`."""
    path.mkdir()
    counter = request.counter(graph.number_of_edges())
    exact = request.options.exact
    write_node_csv(path / NODES_FILE, graph.populations)
    step_ms = max(1.0, 1.0 if graph.recording is None else graph.recording.dt_ms)
    delay_steps = graph.delay_steps
    for number, projection in enumerate(graph.projections):
        delay_ms = step_ms * delay_steps[projection]
        name = file_name(number, projection)
        lists = [path / f"{name}_excitatory.txt", path / f"{name}_inhibitory.txt"]
        with lists[0].open("wb") as excitatory, lists[1].open("wb") as inhibitory:
            excitatory.write(HEADER)
            inhibitory.write(HEADER)
            for batch in projection.edge_batches(TEXT_BATCH):
                is_inhibitory = batch.weight < 0
                excitatory.write(
                    _connections(projection, batch, ~is_inhibitory, delay_ms, exact)
                )
                inhibitory.write(
                    _connections(projection, batch, is_inhibitory, delay_ms, exact)
                )
                counter.add(batch.source.size)
        for file in lists:
            # PyNN cannot read a list without lines
            if file.stat().st_size == len(HEADER):
                file.unlink()


def _connections(
    projection: GraphProjection,
    batch: EdgeBatch,
    is_listed: np.ndarray,
    delay_ms: float,
    exact: bool,
) -> "pyarrow.Buffer":
    """Return a line for each edge of a batch where `is_listed`.

    It has the indices of both neurons in their populations, weight and delay.
    """
    source = batch.source[is_listed] - projection.source.first
    target = batch.target[is_listed] - projection.target.first
    weight = texts(batch.weight[is_listed], exact)
    return lines(texts(source), " ", texts(target), " ", weight, f" {delay_ms}")


def _check(graph: SynapseGraph, request: Request) -> Optional[str]:
    refuse_fast_cycles(graph, request)
    return neuron_warning(graph, "PyNN")


FORMAT = Format(
    "_pynn", write, _check, directory=True, simulates=True, own_options=("exact",)
)
