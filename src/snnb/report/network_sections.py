"""Sections of the page about the graph.

The network, its populations and projections, degrees and traffic.
"""

from dataclasses import replace
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.core.formatting import format_shape
from snnb.core.quantities import number
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph
from snnb.plots.network import plot_distribution
from snnb.report.diagram import Arrow, Box, diagram
from snnb.report.page import Figure, Section, Table, embed_figure
from snnb.rundir.directory import RunDirectory
from snnb.stages.graph import graph_command, graph_file
from snnb.stages.stage import unaltered

MOST_BOXES, MOST_ROWS = 300, 1000  # boxes of a diagram, and rows of a table
# A row of a table, with its traffic in spikes per step
Row = Tuple[float, Sequence[str]]


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


class _Degrees(NamedTuple):
    """Degrees of the neurons of each population, by its name: int64, shape (size,)."""

    outgoing: Dict[str, np.ndarray]
    incoming: Dict[str, np.ndarray]

    @classmethod
    def of(cls, graph: SynapseGraph) -> "_Degrees":
        """Sum up the degrees over the projections of a graph."""
        sizes = {population.name: population.size for population in graph.populations}
        outgoing = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
        incoming = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
        for projection in graph.projections:
            outgoing[projection.source.name] += projection.out_degrees
            incoming[projection.target.name] += projection.in_degrees
        return cls(outgoing, incoming)

    def traffic(self, population: GraphPopulation) -> np.ndarray:
        """Return the spikes per step over the synapses of each neuron: float64."""
        traffic: np.ndarray = population.traffic() * self.outgoing[population.name]
        return traffic

    def spiking_traffic(self, graph: SynapseGraph) -> np.ndarray:
        """Return the traffic of all neurons that spike and have outgoing synapses."""
        parts = [np.empty(0)]
        for population in graph.populations:
            is_spiking = population.coding not in (None, "current")
            if is_spiking and self.outgoing[population.name].any():
                parts.append(self.traffic(population))
        return np.concatenate(parts)

    def section(self, graph: SynapseGraph) -> Section:
        """Return the section with the distributions of the degrees."""
        # The last population has no outgoing synapses
        outgoing = [degrees for degrees in self.outgoing.values() if degrees.any()]
        incoming = [self.incoming[population.name] for population in graph.layers]
        figures = [
            _histogram(
                np.concatenate([np.empty(0), *outgoing]),
                "out-degree of a neuron",
                "have no outgoing synapse",
            ),
            _histogram(
                np.concatenate(incoming),
                "in-degree of a neuron",
                "have no incoming synapse",
            ),
        ]
        return Section("degrees", "Degrees", ["Both axes are logarithmic."], figures)


def _projection_rows(graph: SynapseGraph) -> Tuple[List[Arrow], List[Row]]:
    """Return the arrow of each projection, and its row with its traffic."""
    numbers = {p.name: number for number, p in enumerate(graph.populations)}
    arrows: List[Arrow] = []
    rows: List[Row] = []
    for projection, summary in zip(graph.projections, graph.summary()):
        weights = 0
        nonzero_weights = 0
        for connection in projection.connections:
            if connection.kernel is not None:
                weights += connection.kernel.size
                nonzero_weights += int(np.count_nonzero(connection.kernel))
        traffic = float(projection.source.traffic() @ projection.out_degrees)
        words = f"{summary.edges:,} synapses, {traffic:,.4g} spikes per step"
        ends = (numbers[summary.source], numbers[summary.target])
        arrows.append(Arrow(*ends, traffic, words))
        zero_edges = summary.zero_edges / summary.edges if summary.edges else None
        cells = (
            summary.source,
            summary.target,
            summary.rule,
            f"{summary.edges:,}",
            f"{summary.out_degree.mean:,.4g}",
            f"{summary.in_degree.mean:,.4g}",
            _number(summary.weight.min),
            _number(summary.weight.mean),
            _number(summary.weight.max),
            _share(1 - nonzero_weights / weights if weights else None),
            _share(zero_edges),
            _number(traffic),
        )
        rows.append((traffic, cells))
    return arrows, rows


def _population_rows(
    graph: SynapseGraph,
    degrees: _Degrees,
) -> Tuple[List[Box], List[Row]]:
    """Return the box of each population, and its row with its traffic."""
    rates = {
        p.name: p.rate
        for p in graph.populations
        if p.rate is not None and p.coding != "current"
    }
    highest = max((float(rate.mean()) for rate in rates.values()), default=0.0) or 1.0
    boxes: List[Box] = []
    rows: List[Row] = []
    for population in graph.populations:
        mean: Optional[float] = None
        silent: Optional[float] = None
        words = format_shape(population.shape)
        if population.name in rates:
            rate = rates[population.name]
            mean = float(rate.mean())
            silent = float((rate == 0).mean())
            words += f", rate {mean:.3g}"
        boxes.append(Box(population.name, words, (mean or 0.0) / highest))
        traffic = float(degrees.traffic(population).sum())
        model: Tuple[str, ...] = ()
        if graph.neuron_model:
            neuron = population.neuron
            model = ("", "") if neuron is None else neuron.describe()
        cells = (
            population.name,
            population.layer,
            format_shape(population.shape),
            f"{population.size:,}",
            population.coding or "",
            _number(mean),
            _share(silent),
            _number(traffic),
            *model,
        )
        rows.append((traffic, cells))
    return boxes, rows


def network_sections(
    graph: SynapseGraph, *, is_imported: bool = False
) -> List[Section]:
    """Return the sections about a graph, computed from its projections.

    Edges are generated only where necessary.

    `is_imported`: the graph is external, so that the unit of its weights is unknown.
    """
    degrees = _Degrees.of(graph)
    arrows, projections = _projection_rows(graph)
    boxes, populations = _population_rows(graph, degrees)
    weights_are = "are relative to the threshold"
    if is_imported:
        weights_are = "as in the file"
    elif graph.neuron_model:
        weights_are = (
            "are those of the trained spiking network, added to the current of a neuron"
        )
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
        degrees.section(graph),
        _traffic(degrees.spiking_traffic(graph)),
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
    rows: Sequence[Row],
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
