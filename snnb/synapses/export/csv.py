"""`csv`: a line a synapse, neurons as `(row, column, channel)`; compressed if the name ends in `.gz`."""

import gzip
from pathlib import Path
from typing import IO

import numpy as np

from snnb.synapses.export.request import Format, Request
from snnb.synapses.graph import SynapseGraph

HEADER = "source_group,source_neuron,dest_group,dest_neuron,weight,rate,edge\n"


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    compressed = ".gz" in path.suffixes
    with gzip.open(str(path), "wt") if compressed else path.open("w", encoding="utf-8") as file:
        _write(graph, file, request)


def _write(graph: SynapseGraph, file: IO[str], request: Request) -> None:
    file.write(HEADER)
    scale = request.rate_scale(graph)
    done, total = 0, graph.number_of_edges()
    for projection in graph.projections:
        source, target = projection.source, projection.target
        source_names = [f'{source.name},"{index}"' for index in np.ndindex(*source.shape)]
        target_names = [f'{target.name},"{index}"' for index in np.ndindex(*target.shape)]
        rates = [str(rate) for rate in source.edge_rate(scale)]
        for batch in projection.edge_batches(rate_scale=scale):
            file.writelines(
                f"{source_names[s]},{target_names[t]},{weight},{rates[s]},{edge}\n"
                for s, t, weight, edge in zip(
                    (batch.source - source.first).tolist(),
                    (batch.target - target.first).tolist(),
                    batch.weight,
                    batch.edge,
                )
            )
            done += batch.source.size
            request.progress(done, total)


def _size(graph: SynapseGraph) -> float:
    return 110.0 * graph.number_of_edges()


FORMAT = Format("spreadsheets, pandas", ".csv", write, _size, 500_000)
