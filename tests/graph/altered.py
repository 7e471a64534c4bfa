"""Open graphs whose paths come on stdin, use them in every way, and tell on stdout what became of each: a worker.

A crash ends this process and not the tests.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict

import numpy as np

from snnb.core.errors import InputError, ResourceError
from snnb.graph import SynapseGraph
from snnb.graph import graph_log as log
from snnb.graph.export.write_export import export


def use(path: Path) -> Dict[str, Any]:
    """Return what has a size in the graph, after a look at every edge in every way that there is."""
    with SynapseGraph.open(path) as graph, tempfile.TemporaryDirectory() as folder:
        nodes, edges = graph.number_of_nodes(), 0
        for batch in graph.edge_batches(100):
            assert batch.source.size == batch.target.size == batch.weight.size == batch.edge.size <= 100
            assert 0 <= batch.source.min() < batch.target.max() < nodes
            assert np.isfinite(batch.weight).all()
            edges += batch.source.size
        assert edges == graph.number_of_edges()
        assert edges == sum(len(graph.successors(node)) for node in graph.nodes)
        assert edges == sum(len(graph.predecessors(node)) for node in graph.nodes)
        assert edges == graph.to_scipy().nnz
        bias = [graph.nodes[node].bias for node in (0, nodes // 2, nodes - 1)]
        assert log.lines(graph)
        for format in ("csv", "sonata"):
            export(graph, format, Path(folder) / format)
        rows = (Path(folder) / "csv").read_bytes().count(b"\n")
        return {"nodes": nodes, "edges": edges, "rows": rows, "biases": len(bias)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # h5py prints of types that it does not know
    for line in sys.stdin:
        try:
            answer = {"sizes": use(Path(line.strip()))}
        except (InputError, ResourceError) as error:
            answer = {"refused": str(error)}
        except Exception as error:
            answer = {"raised": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
