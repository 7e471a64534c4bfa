"""`csv`: a line a synapse, neurons as `(row, column, channel)`; compressed if the file's name ends in `.gz`.

Biases, coding and spike counts of the neurons stand in `NAME.csv.nodes.csv` beside it.
"""

import gzip
from pathlib import Path
from typing import IO, Tuple, cast

import numpy as np

from snnb.graph.export.request import TEXT_BATCH, Format, Request
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph

HEADER = b"source_group,source_neuron,dest_group,dest_neuron,weight,rate,edge\n"


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph: a line a synapse; see `Format`."""
    with path.open("wb") as plain:
        if request.compressed:
            with gzip.GzipFile("", "wb", compresslevel=1, fileobj=plain, mtime=0) as compressed:
                _write(graph, cast(IO[bytes], compressed), request)
        else:
            _write(graph, plain, request)


def _write(graph: SynapseGraph, file: IO[bytes], request: Request) -> None:
    from snnb.graph.export.digits import NUMBER
    from snnb.graph.export.lines import csv_lines, number_texts

    file.write(HEADER)
    counter = request.counter(graph.number_of_edges())
    scale = request.rate_scale(graph)
    for projection in graph.projections:
        source, target = _texts(projection.source), _texts(projection.target)
        rates = projection.source.edge_rate(scale)
        rate_text, rate_start = np.empty(rates.size * (NUMBER + 2), np.uint8), np.empty(rates.size + 1, np.int64)
        number_texts(rate_text, rate_start, rates, graph.recording is not None, request.options.exact)
        longest = int(np.diff(source[1]).max() + np.diff(target[1]).max()) + 3 * NUMBER
        out = np.empty(TEXT_BATCH * longest, np.uint8)
        for batch in projection.edge_batches(TEXT_BATCH, scale):
            end = csv_lines(
                out,
                batch.source - projection.source.first,
                batch.target - projection.target.first,
                batch.weight,
                batch.edge,
                *source,
                *target,
                rate_text,
                rate_start,
                request.options.exact,
            )
            file.write(out[:end].data)
            counter.add(batch.source.size)


def _texts(population: GraphPopulation) -> Tuple[np.ndarray, np.ndarray]:
    """Return `name,"(row, column, channel)",` of every neuron, one behind the other, and where each begins."""
    name = population.name
    if any(sign in name for sign in ',"\n\r'):
        name = '"' + name.replace('"', '""') + '"'
    texts = [f'{name},"{index}",'.encode() for index in np.ndindex(*population.shape)]
    return np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])


def _size(graph: SynapseGraph, request: Request) -> float:
    names = {p.name: len(p.name) + len(str(tuple(length - 1 for length in p.shape))) + 4 for p in graph.populations}
    plain = sum(p.number_of_edges * (names[p.source.name] + names[p.target.name] + 33) for p in graph.projections)
    return plain / 4 if request.compressed else plain


FORMAT = Format(
    "spreadsheets, pandas", ".csv", write, _size, 3e6, sidecar=True, nodes_beside=True, own_options=("rate_unit",)
)
