"""The table of nodes that goes with an export: one numbering in all of them."""

from typing import Dict

import numpy as np

from snnb.synapses.export.request import Request
from snnb.synapses.graph import SynapseGraph


def node_table(graph: SynapseGraph, request: Request) -> Dict[str, np.ndarray]:
    """Return the columns of the node table; row n is node n.

    Returns
    -------
    dict
        `population` (int32, which of `population_names`); `index` (int32, a column an axis, -1 behind the last axis);
        `bias` (float32); with spike counts, `rate` (float64, in the unit asked for) and `spike_count` (float64).
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
