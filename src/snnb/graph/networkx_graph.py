"""The graph as a `networkx.DiGraph`: nodes `(population, index)`, edges with weight, rate and edge."""

from typing import Mapping, Optional, Sequence

import networkx
import numpy as np

from snnb.graph.populations import GraphPopulation, Recording
from snnb.graph.projection import GraphProjection


def digraph(
    populations: Sequence[GraphPopulation],
    projections: Sequence[GraphProjection],
    recording: Optional[Recording],
    described: Mapping[str, object],
    rate_unit: str,
) -> "networkx.DiGraph":
    """Build the DiGraph; its attributes are those of `described`."""
    result = networkx.DiGraph(**described)
    scale = 1.0 if recording is None else recording.rate_scale(rate_unit)
    names = []
    rates = []
    for population in populations:
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
    for batch in (batch for projection in projections for batch in projection.edge_batches(rate_scale=scale)):
        edges = zip(*(values.tolist() for values in batch))
        if recording is None:
            result.add_edges_from(
                (names[s], names[t], {"weight": weight, "edge": edge}) for s, t, weight, edge in edges
            )
        else:
            result.add_edges_from(
                (names[s], names[t], {"weight": weight, "rate": rates[s], "edge": edge}) for s, t, weight, edge in edges
            )
    return result
