"""`hmetis`: the hypergraph for hMETIS, KaHyPar, Mt-KaHyPar: a neuron and all its targets are one hyperedge.

Nodes count from 1; a hyperedge weighs max(1, round(scale × spike count)), each node 1: one neuron to place. The source
is the first pin, and the target of its synapse with itself once more, which partitioners ignore.
"""

from pathlib import Path

import numpy as np

from snnb.formats.metis import scaled
from snnb.formats.request import TEXT_BATCH, Format, Request, SpikingPart, need_counts, with_heads
from snnb.graph.projection import distinct, out_degrees, repeats
from snnb.graph.synapse_graph import SynapseGraph


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one hyperedge per neuron; see `Format`."""
    from snnb.formats.text_lines import integer_rows

    part = SpikingPart.of(graph, request)
    spikes = [
        np.zeros(p.size) if p.coding == "current" or p.spike_count is None else p.spike_count.ravel().astype(np.float64)
        for p in part.populations
    ]
    degrees = np.concatenate([out_degrees(part.projections, p) for p in part.populations])
    weights, scale = scaled(np.concatenate(spikes), degrees > 0, request.options.scale, 1.0)
    counter = request.counter(part.edges)
    with path.open("wb") as file:
        metadata = "; ".join(f"{name} {value}" for name, value in graph.describe().items())
        file.write(f"% hyperedge weight max(1, round({scale!r} x spike count of the source)); {metadata}\n".encode())
        file.write(f"{np.count_nonzero(degrees)} {part.nodes} 11\n".encode())
        for node, indptr, target, _ in part.rows(TEXT_BATCH):
            if repeats(part.projections):
                indptr, target = distinct(indptr, target)
            heads = np.stack([weights[node], node + 1], axis=1)
            file.write(integer_rows(*with_heads(indptr, target + 1, heads)).data)
            counter.add(target.size)
        file.write(b"1\n" * part.nodes)


FORMAT = Format(".hgr", write, need_counts, partial=True, own_options=("scale", "with_input"))
