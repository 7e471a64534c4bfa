"""docs/graph-format.md is right: the reader of the page finds the same edges."""

from pathlib import Path

import h5py
import numpy as np

from snnb.graph import SynapseGraph
from tests.graph.edges import all_edges

PAGE = (Path(__file__).parents[2] / "docs" / "graph-format.md").read_text(encoding="utf-8")


def documented_reader():
    code = PAGE.split("```python\n")[-1].split("```")[0]
    names = {}
    exec(code, names)
    return names["edges"]


def test_the_documented_reader_finds_the_same_edges(graph, graph_path, weights_graph):
    for opened, path in ((graph, graph_path), (weights_graph, weights_graph.path)):
        assert isinstance(opened, SynapseGraph)
        merged = {}
        for source, target, weight in documented_reader()(str(path)):
            merged[source, target] = merged.get((source, target), 0.0) + float(weight)
        sources, targets, weights, _ = all_edges(opened)
        assert sorted(merged) == sorted(zip(sources.tolist(), targets.tolist()))
        found = np.array([merged[edge] for edge in zip(sources.tolist(), targets.tolist())])
        assert (found.astype(np.float32) == weights).all()


def test_every_attribute_and_dataset_is_documented(graph_path):
    with h5py.File(str(graph_path), "r") as file:
        names = set(file.attrs)
        file.visititems(lambda path, node: names.update(node.attrs, [path.rsplit("/", 1)[-1]]))
    assert {
        name for name in names if not name.isdigit() and f"`{name}`" not in PAGE and f"`/{name}" not in PAGE
    } == set()
