"""The graph as a `networkx.DiGraph`: nodes `(population, index)`, edges with weight, rate and edge."""

from typing import TYPE_CHECKING

import networkx
import numpy as np

if TYPE_CHECKING:
    from snnb.synapses.graph import SynapseGraph


def digraph(graph: "SynapseGraph", rate_unit: str) -> "networkx.DiGraph":
    """Build the DiGraph; graph attributes tell what it was recorded over."""
    result = networkx.DiGraph(**graph.describe(rate_unit))
    scale = 1.0 if graph.recording is None else graph.recording.rate_scale(rate_unit)
    names = []
    rates = []
    for population in graph.populations:
        indices = [(population.name, index) for index in np.ndindex(*population.shape)]
        counts = population.spike_count
        rate = population.edge_rate(scale).tolist()
        biases = population.bias.ravel().tolist()
        if counts is None or population.rate is None:
            columns = [{"bias": bias} for bias in biases]
        else:
            columns = [
                {"rate": rate, "spike_count": count, "bias": bias, "coding": population.coding}
                for rate, count, bias in zip(
                    (population.rate * scale).ravel().tolist(), counts.ravel().tolist(), biases
                )
            ]
        result.add_nodes_from(zip(indices, columns))
        names += indices
        rates += rate
    for batch in (batch for projection in graph.projections for batch in projection.edge_batches(rate_scale=scale)):
        edges = zip(*(values.tolist() for values in batch))
        if graph.recording is None:
            result.add_edges_from(
                (names[s], names[t], {"weight": weight, "edge": edge}) for s, t, weight, edge in edges
            )
        else:
            result.add_edges_from(
                (names[s], names[t], {"weight": weight, "rate": rates[s], "edge": edge}) for s, t, weight, edge in edges
            )
    return result
