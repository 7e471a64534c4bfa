"""The log.txt of a graph."""

from typing import List

from snnb.graph.statistics import Spread
from snnb.graph.synapse_graph import SynapseGraph
from snnb.graph.toolbox_count import toolbox_synapses


def lines(graph: SynapseGraph) -> List[str]:
    """Return the lines of the log: sources of the graph, projections, totals, count of the toolbox."""
    text = [*_provenance(graph), ""]
    for summary in graph.summary():
        text += [
            f"{summary.source} → {summary.target} ({summary.rule})",
            f"  edges               {summary.edges:,}, of which {summary.zero_edges:,} are 0 (no weight or no spike)",
            f"  out-degree          {_spread(summary.out_degree)}",
            f"  in-degree           {_spread(summary.in_degree)}",
            f"  weight              {_spread(summary.weight)}",
            f"  edge                {_spread(summary.edge)}, sum {summary.edge.sum:.9g}",
        ]
        if summary.spikes_per_second is not None:
            text.append(f"  spikes carried      {summary.spikes_per_second:,.6g} a second")
        text.append("")
    return [*text, *_totals(graph)]


def _provenance(graph: SynapseGraph) -> List[str]:
    text = [
        f"graph of {graph.populations[-1].first + graph.populations[-1].size:,} nodes "
        f"in {len(graph.populations)} populations, {len(graph.projections)} projections",
        f"weights of average pooling: {graph.attributes['pool_weight']}",
        f"SHA-256 of the parsed model: {graph.attributes['parsed_sha256']}",
    ]
    if graph.recording is None:
        return [*text, "weights only, no spike counts: edge = weight"]
    recording = graph.recording
    codings = sorted(
        {(population.coding, population.name) for population in graph.populations if population.coding != "spikes"}
    )
    return [
        *text,
        f"SHA-256 of the spike counts: {graph.attributes['counts_sha256']}",
        *([] if graph.class_name is None else [f"spikes of the samples of one class only: {graph.class_name}"]),
        f"rates: spikes per time step of {recording.dt_ms:g} ms, over {recording.num_samples:,} samples of "
        f"{recording.num_timesteps:,} steps counted after a warm-up of {recording.warm_up:,}",
        "edge = rate of the source × weight, in thresholds per time step",
        *(f"coding of {name}: {coding}" for coding, name in codings),
        *(
            f"note: {population.name} has rates above one spike a step; are the counts those of so many steps?"
            for population in graph.populations
            if population.coding != "current" and population.rate is not None and population.rate.max() > 1
        ),
    ]


def _totals(graph: SynapseGraph) -> List[str]:
    edges, counted = graph.number_of_edges(), toolbox_synapses(graph.projections)
    text = [
        f"neurons             {graph.number_of_neurons():,} (nodes, with the input: {graph.number_of_nodes():,})",
        f"synapses            {edges:,}",
        f"the toolbox counts  {counted:,}",
    ]
    if counted != edges:
        text.append(
            "  It gives all neurons of a layer one fan-out: kernel size × filters towards a convolution, also at the "
            "border where the kernel hangs over, and 1 towards a pooling, also where windows overlap or leave it out."
        )
    return text


def _spread(spread: Spread) -> str:
    return f"{spread.min:.6g} … {spread.max:.6g}, mean {spread.mean:.6g}"
