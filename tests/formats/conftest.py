"""The graphs of tests/graph."""

from tests.graph.conftest import (
    counts,
    graph,
    graph_path,
    model,
    parsed,
    pruned_graph,
    residual_graph,
    spike_times,
    weights_graph,
)

__all__ = [
    "counts",
    "graph",
    "graph_path",
    "model",
    "parsed",
    "pruned_graph",
    "residual_graph",
    "spike_times",
    "weights_graph",
]
