"""`csv`: one line per synapse, neurons as `(row, column, channel)` or by name; compressed if the file ends in `.gz`.

Biases, coding and spike counts of the neurons are in `NAME.csv.nodes.csv` next to it.
"""

import gzip
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, List, cast

import numpy as np

from snnb.formats.request import TEXT_BATCH, Format, Request
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph

HEADER = b"source_group,source_neuron,dest_group,dest_neuron,weight,rate,edge\n"


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one line per synapse; see `Format`."""
    from snnb.formats.text_lines import EdgeWriter, number_texts

    counter, scale = request.counter(graph.number_of_edges()), request.rate_scale(graph)
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(path.open("wb"))
        if request.compressed:
            file = cast(BinaryIO, stack.enter_context(gzip.GzipFile("", "wb", 1, file, 0)))
        file.write(HEADER)
        for projection in graph.projections:
            source, target = projection.source, projection.target
            rates = [""] * source.size
            if graph.recording is not None:
                rates = number_texts(source.edge_rate(scale), request.options.exact)
            after = [f",{rate}," for rate in rates]
            writer = EdgeWriter(_names(source), _names(target), after, request.options.exact)
            for batch in projection.edge_batches(TEXT_BATCH, scale):
                ends = batch.source - source.first, batch.target - target.first
                file.write(writer.lines(*ends, batch.weight, batch.edge))
                counter.add(batch.source.size)


def _names(population: GraphPopulation) -> List[str]:
    """Return `population,"(row, column, channel)",` of every neuron, or `population,name,`."""
    group = _quoted(population.name)
    if population.names is not None:
        return [f"{group},{_quoted(name)}," for name in population.names.tolist()]
    return [f'{group},"{index}",' for index in np.ndindex(*population.shape)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(sign in name for sign in ',"\n\r') else name


FORMAT = Format(".csv", write, sidecar=True, nodes_beside=True, own_options=("rate_unit", "exact"))
