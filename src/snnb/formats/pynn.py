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
from typing import Optional

from snnb.formats.description import only_described, refuse_fast_cycles
from snnb.formats.node_table import NODES_FILE, write_node_csv
from snnb.formats.request import TEXT_BATCH, Format, Request, file_name
from snnb.formats.text_lines import lines, texts
from snnb.graph.synapse_graph import SynapseGraph

HEADER = b'# columns = ["i", "j", "weight", "delay"]\n'


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, with lists of the connections of each projection; see `Format`."""
    path.mkdir()
    counter = request.counter(graph.number_of_edges())
    write_node_csv(path / NODES_FILE, graph.populations)
    step = max(1.0, 1.0 if graph.recording is None else graph.recording.dt_ms)
    delays = graph.delay_steps
    for number, projection in enumerate(graph.projections):
        firsts = projection.source.first, projection.target.first
        name = file_name(number, projection)
        lists = [path / f"{name}_excitatory.txt", path / f"{name}_inhibitory.txt"]
        with lists[0].open("wb") as excitatory, lists[1].open("wb") as inhibitory:
            for file in (excitatory, inhibitory):
                file.write(HEADER)
            for batch in projection.edge_batches(TEXT_BATCH):
                negative = batch.weight < 0
                for file, which in ((excitatory, ~negative), (inhibitory, negative)):
                    i, j = (
                        texts(batch.source[which] - firsts[0]),
                        texts(batch.target[which] - firsts[1]),
                    )
                    weight = texts(batch.weight[which], request.options.exact)
                    file.write(
                        lines(i, " ", j, " ", weight, f" {step * delays[projection]}")
                    )
                counter.add(batch.source.size)
        for empty in lists:
            if empty.stat().st_size == len(
                HEADER
            ):  # PyNN cannot read a list without lines
                empty.unlink()


def _check(graph: SynapseGraph, request: Request) -> Optional[str]:
    refuse_fast_cycles(graph, request)
    return only_described(graph, "PyNN")


FORMAT = Format(
    "_pynn", write, _check, directory=True, simulates=True, own_options=("exact",)
)
