"""The table of nodes of an export."""

import csv
from pathlib import Path
from typing import Dict, Sequence

import numpy as np

from snnb.graph.export.request import Request
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph

NODES_FILE = "nodes.csv"
COLUMNS = ("id", "population", "index", "bias", "coding", "spike_count")


def node_table(graph: SynapseGraph, request: Request) -> Dict[str, np.ndarray]:
    """Return the columns of the node table; row n is node n.

    They are `population` (int32, which of `population_names`); `index` (int32, a column an axis, -1 behind the last
    axis); `bias` (float32); with spike counts, `rate` (float64, in the requested unit) and `spike_count` (float64).
    """
    axes = max(len(population.shape) for population in graph.populations)
    columns: Dict[str, np.ndarray] = {
        "population": np.repeat(np.arange(len(graph.populations), dtype=np.int32), [p.size for p in graph.populations]),
        "population_names": np.array([population.name for population in graph.populations]),
        "index": np.full((graph.number_of_nodes(), axes), -1, np.int32),
        "bias": np.concatenate([population.bias.ravel() for population in graph.populations]),
    }
    for population in graph.populations:
        indices = np.indices(population.shape, np.int32).reshape(len(population.shape), -1).T
        columns["index"][population.first : population.first + population.size, : len(population.shape)] = indices
    if graph.recording is not None:
        counts = [population.spike_count for population in graph.populations]
        columns["spike_count"] = np.concatenate(
            [count.ravel().astype(np.float64) for count in counts if count is not None]
        )
        columns["rate"] = columns["spike_count"] / graph.recording.steps * request.rate_scale(graph)
    return columns


def write_node_csv(path: Path, populations: Sequence[GraphPopulation], first: int = 0) -> None:
    """Write `nodes.csv`, a row a neuron; a bias has the digits that read back as the same float64.

    Of an integer network written as integers, the last column is the threshold.

    Parameters
    ----------
    path : Path
    populations : sequence of GraphPopulation
    first : id in the graph of the node that is 0 in this export
    """
    integers = any(np.ndim(population.unit) for population in populations)
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*COLUMNS, *(["threshold"] if integers else [])])
        for population in populations:
            ids = range(population.first - first, population.first - first + population.size)
            biases = map(repr, population.bias.astype(np.float64).ravel().tolist())
            counts = population.spike_count
            texts = [""] * population.size if counts is None else map(repr, counts.ravel().tolist())
            own = [[repr(threshold)] * integers for threshold in population.firing_threshold.ravel().tolist()]
            for node, index, bias, count, threshold in zip(ids, np.ndindex(*population.shape), biases, texts, own):
                rows.writerow([node, population.name, index, bias, population.coding or "", count, *threshold])
