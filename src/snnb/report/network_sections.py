"""Sections of the page about the graph.

The network, its populations and projections, degrees and traffic.
"""

from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

import numpy as np

from snnb.core.formatting import times
from snnb.core.quantities import number
from snnb.graph.synapse_graph import SynapseGraph
from snnb.plots.network import plot_distribution
from snnb.report.diagram import Arrow, Box, diagram
from snnb.report.page import Figure, Section, Table, embed_figure
from snnb.rundir.directory import RunDirectory
from snnb.stages.graph import graph_command, graph_file
from snnb.stages.stage import unaltered

MOST_BOXES, MOST_ROWS = 300, 1000  # boxes of a diagram, and rows of a table
# Rows of a table, each with its traffic in spikes per step
Rows = Sequence[Tuple[float, Sequence[str]]]


def graph_sections(run: RunDirectory, graph: Optional[str]) -> List[Section]:
    """Return the sections about a graph of a run, given its stamp.

    One that has the command if there is no graph.
    """
    if graph is None:
        return [
            Section(
                "network",
                "The network",
                [f"No graph: `{graph_command(run)}` creates it."],
            ),
        ]
    with SynapseGraph.open(unaltered(run, graph_file(run, graph))) as graph_of_run:
        network, *graph_parts = network_sections(
            graph_of_run,
            is_imported=bool(run.manifest.run.imported),
        )
        arrays_sha256 = graph_of_run.attributes.get("source_sha256")
        neurons, synapses = (
            graph_of_run.number_of_neurons(),
            graph_of_run.number_of_edges(),
        )
    figures = [("neurons", f"{neurons:,}"), ("synapses", f"{synapses:,}")]
    words = network.words
    if run.manifest.run.imported:
        record = run.records_of("graph")[graph]
        files = [f"{file.path} (SHA-256 {file.sha256})" for file in record.inputs]
        origin = (
            f"read from {' and '.join(files)}"
            if files
            else f"made of arrays in Python (SHA-256 {arrays_sha256})"
        )
        words = [
            f"External graph, {origin}.",
            *(f"Warning: {warning}." for warning in record.warnings),
            *words,
        ]
    return [replace(network, words=words, key_figures=figures), *graph_parts]


def network_sections(
    graph: SynapseGraph, *, is_imported: bool = False
) -> List[Section]:
    """Return the sections about a graph, computed from its projections.

    Edges are generated only where necessary.

    `is_imported`: the graph is external, so that the unit of its weights is unknown.
    """
    out_degrees = {
        population.name: np.zeros(population.size, np.int64)
        for population in graph.populations
    }
    in_degrees = {
        population.name: np.zeros(population.size, np.int64)
        for population in graph.populations
    }
    numbers = {
        population.name: number for number, population in enumerate(graph.populations)
    }
    arrows, projections = [], []
    for projection, s in zip(graph.projections, graph.summary()):
        source, target = projection.source.name, projection.target.name
        out_degrees[source] += projection.out_degrees
        in_degrees[target] += projection.in_degrees
        kernels = [
            connection.kernel
            for connection in projection.connections
            if connection.kernel is not None
        ]
        weights = sum(kernel.size for kernel in kernels)
        nonzero = sum(int(np.count_nonzero(kernel)) for kernel in kernels)
        traffic = float(projection.source.traffic() @ projection.out_degrees)
        words = f"{s.edges:,} synapses, {traffic:,.4g} spikes per step"
        arrows.append(Arrow(numbers[source], numbers[target], traffic, words))
        row = (
            s.source, s.target, s.rule, f"{s.edges:,}", f"{s.out_degree.mean:,.4g}", f"{s.in_degree.mean:,.4g}",
            _number(s.weight.min), _number(s.weight.mean), _number(s.weight.max),
            _share(1 - nonzero / weights if weights else None), _share(s.zero_edges / s.edges if s.edges else None),
            _number(traffic),
        )  # fmt: skip
        projections.append((traffic, row))
    traffic_by_population = {
        p.name: p.traffic() * out_degrees[p.name] for p in graph.populations
    }
    rates = {
        p.name: p.rate
        for p in graph.populations
        if p.rate is not None and p.coding != "current"
    }
    highest = max((float(rate.mean()) for rate in rates.values()), default=0.0) or 1.0
    boxes, populations = [], []
    for p in graph.populations:
        rate, traffic = rates.get(p.name), float(traffic_by_population[p.name].sum())
        mean = None if rate is None else float(rate.mean())
        words = times(p.shape) + ("" if mean is None else f", rate {mean:.3g}")
        boxes.append(Box(p.name, words, (mean or 0.0) / highest))
        silent = None if rate is None else float((rate == 0).mean())
        model = (
            ()
            if not graph.neuron_model
            else ("", "")
            if p.neuron is None
            else p.neuron.describe()
        )
        cells = (
            p.name, p.layer, times(p.shape), f"{p.size:,}", p.coding or "", _number(mean), _share(silent),
            _number(traffic), *model,
        )  # fmt: skip
        populations.append((traffic, cells))
    weights_are = "are relative to the threshold"
    if is_imported:
        weights_are = "as in the file"
    elif graph.neuron_model:
        weights_are = (
            "are those of the trained spiking network, added to the current of a neuron"
        )
    # The last population has no outgoing synapses, and a constant input does not spike.
    leaving = [p for p in graph.populations if out_degrees[p.name].any()]
    spiking_traffic = [
        traffic_by_population[p.name]
        for p in leaving
        if p.coding not in (None, "current")
    ]
    all_out_degrees = np.concatenate(
        [np.empty(0), *(out_degrees[p.name] for p in leaving)]
    )
    all_in_degrees = np.concatenate([in_degrees[p.name] for p in graph.layers])
    degrees = [
        _histogram(
            all_out_degrees, "out-degree of a neuron", "have no outgoing synapse"
        ),
        _histogram(all_in_degrees, "in-degree of a neuron", "have no incoming synapse"),
    ]
    return [
        _network(boxes, arrows),
        _table(
            "populations",
            (
                "population", "layer", "shape", "neurons", "coding", "rate", "silent", "traffic",
                *(("threshold", "reset") if graph.neuron_model else ()),
            ),
            populations,
            (3, 5, 6, 7),
            f"{graph.number_of_neurons():,} neurons without the input. Rate: spikes "
            "per neuron and step. Silent: neurons that never spiked. Traffic: spikes "
            "per step over all outgoing synapses of the population.",
        ),
        _table(
            "projections",
            (
                "from", "to", "layer", "synapses", "out-degree", "in-degree", "least weight", "mean weight",
                "greatest weight", "zero weights", "zero edges", "traffic",
            ),
            projections,
            range(3, 12),
            f"{graph.number_of_edges():,} synapses. Degrees are means; weights "
            f"{weights_are}. Zero weights: fraction of the kernel's elements; zero "
            "edges: fraction of the synapses whose weight or rate is 0.",
        ),
        Section("degrees", "Degrees", ["Both axes are logarithmic."], degrees),
        _traffic(np.concatenate([np.empty(0), *spiking_traffic])),
    ]  # fmt: skip


def _network(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Section:
    words = (
        "A box is a population of neurons, an arrow a projection. The wider the "
        "arrow, the more spikes its synapses carry in a time step; a grey arrow "
        "carries none. The stronger the colour of a box, the higher its mean rate."
    )
    if len(boxes) > MOST_BOXES or len(arrows) > MOST_ROWS:
        words = (
            f"{len(boxes):,} populations and {len(arrows):,} projections are too many "
            "to draw."
        )
        return Section("network", "The network", [words])
    return Section("network", "The network", [words], [Figure(diagram(boxes, arrows))])


def _table(
    key: str,
    head: Sequence[str],
    rows: Rows,
    right: Sequence[int],
    words: str,
) -> Section:
    """Return a section with a table.

    Of many rows, it has those with the most traffic.
    """
    rows_shown = rows
    if len(rows) > MOST_ROWS:
        busiest_rows = sorted(range(len(rows)), key=lambda number: -rows[number][0])[
            :MOST_ROWS
        ]
        rows_shown = [rows[number] for number in sorted(busiest_rows)]
        words += f" The {MOST_ROWS:,} of {len(rows):,} with the most traffic."
    return Section(
        key,
        key.capitalize(),
        [words],
        tables=[Table(head, [row for _, row in rows_shown], right=right)],
    )


def _traffic(traffic: np.ndarray) -> Section:
    """Return the section about the spikes per step over the outgoing synapses of each spiking node."""
    total = traffic.sum()
    if total <= 0:
        return Section(
            "traffic",
            "Traffic",
            ["No neuron with outgoing synapses spikes: the graph has no traffic."],
        )
    traffic_sums = np.cumsum(
        np.sort(traffic)[::-1]
    )  # by the neurons with the most traffic
    n_neurons = (
        np.searchsorted(traffic_sums, np.array([0.5, 0.9]) * total * (1 - 1e-12)) + 1
    )
    half, ninety_percent = n_neurons / traffic.size
    words = (
        f"Half of the traffic comes from {half:.1%} of the neurons with outgoing "
        f"synapses, and 90 % of it from {ninety_percent:.1%}. Traffic of a neuron: "
        "its spikes per step times its out-degree."
    )
    figure = _histogram(traffic, "traffic of a neuron (spikes per step)", "never spike")
    return Section("traffic", "Traffic", [words], [figure])


def _histogram(values: np.ndarray, label: str, zero_text: str) -> Figure:
    zero = values.size - np.count_nonzero(values)
    caption = f"{zero:,} more {zero_text}." if zero else ""
    return Figure(
        embed_figure(f"neurons by {label}", plot_distribution(values, label)),
        caption,
    )


def _number(value: Optional[float]) -> str:
    return "" if value is None else number(value).value


def _share(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.1%}"
