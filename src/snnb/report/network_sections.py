"""Sections of the page about the graph: the network, its populations and projections, degrees and traffic."""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple, TypeVar

import numpy as np

from snnb.core.formatting import quantity, times
from snnb.graph.populations import GraphPopulation
from snnb.graph.statistics import ProjectionSummary
from snnb.graph.synapse_graph import SynapseGraph
from snnb.report.diagram import Arrow, Box, diagram
from snnb.report.page import Figure, Section, Table, drawn
from snnb.report.report_plots import plot_distribution

MOST_BOXES, MOST_ROWS = 300, 1000  # of a diagram, of a table


@dataclass(frozen=True)
class PopulationFacts:
    """A population and its figures; rates are None without spikes."""

    population: GraphPopulation
    mean_rate: Optional[float]  # spikes per neuron and step
    silent: Optional[float]  # share of the neurons that never spiked
    traffic: float  # spikes per step over all outgoing synapses


@dataclass(frozen=True)
class ProjectionFacts:
    """Figures of a projection."""

    source: int  # index of the population
    target: int
    summary: ProjectionSummary
    zero_weights: Optional[float]  # share of zeros in its kernels; None without a kernel
    traffic: float  # spikes per step over its synapses


Row = TypeVar("Row", PopulationFacts, ProjectionFacts)


@dataclass(frozen=True)
class GraphFacts:
    """Figures of a graph."""

    populations: List[PopulationFacts]
    projections: List[ProjectionFacts]
    neurons: int
    synapses: int
    out_degrees: np.ndarray  # of all nodes of populations with outgoing synapses
    in_degrees: np.ndarray  # of all neurons
    traffic: np.ndarray  # spikes per step over the outgoing synapses, of each spiking node
    class_name: Optional[str] = None  # class whose samples were counted; None for all samples


def graph_facts(graph: SynapseGraph) -> GraphFacts:
    """Compute the figures of a graph from its projections, without generating edges where possible."""
    degrees = {population.name: np.zeros(population.size, np.int64) for population in graph.populations}
    into = {population.name: np.zeros(population.size, np.int64) for population in graph.populations}
    numbers = {population.name: number for number, population in enumerate(graph.populations)}
    projections = []
    for projection, summary in zip(graph.projections, graph.summary()):
        source, target = projection.source.name, projection.target.name
        degrees[source] += projection.out_degrees
        into[target] += projection.in_degrees
        kernels = [connection.kernel for connection in projection.connections if connection.kernel is not None]
        weights = sum(kernel.size for kernel in kernels)
        nonzero = sum(int(np.count_nonzero(kernel)) for kernel in kernels)
        carried = float(projection.source.traffic() @ projection.out_degrees)
        zero = None if not weights else 1 - nonzero / weights
        projections.append(ProjectionFacts(numbers[source], numbers[target], summary, zero, carried))
    sent = {p.name: p.traffic() * degrees[p.name] for p in graph.populations}
    populations = []
    for population in graph.populations:
        spikes = population.rate is not None and population.coding != "current"
        rate = population.rate if spikes else None
        populations.append(
            PopulationFacts(
                population,
                mean_rate=None if rate is None else float(rate.mean()),
                silent=None if rate is None else float((rate == 0).mean()),
                traffic=float(sent[population.name].sum()),
            )
        )
    # The last population has no outgoing synapses, and a constant input does not spike.
    carrying = [p.name for p in graph.populations if degrees[p.name].any() and p.coding not in (None, "current")]
    traffic = np.concatenate([np.empty(0), *(sent[name] for name in carrying)])
    leaving = np.concatenate([np.empty(0), *(degrees[p.name] for p in graph.populations if degrees[p.name].any())])
    return GraphFacts(
        populations=populations,
        projections=projections,
        neurons=graph.number_of_neurons(),
        synapses=graph.number_of_edges(),
        out_degrees=leaving,
        in_degrees=np.concatenate([into[p.name] for p in graph.layers]),
        traffic=traffic,
        class_name=graph.class_name,
    )


def share_that_carries(traffic: np.ndarray, share: float) -> Optional[float]:
    """Return the smallest share of the neurons that carries this share of the traffic; None without traffic.

    `traffic` has the spikes per step of each neuron over its outgoing synapses.
    """
    total = traffic.sum()
    if total <= 0:
        return None
    carried = np.cumsum(np.sort(traffic)[::-1])
    return float(np.searchsorted(carried, share * total * (1 - 1e-12)) + 1) / traffic.size


def network_sections(facts: GraphFacts) -> List[Section]:
    """Return the sections about a graph."""
    return [_network(facts), _populations(facts), _projections(facts), _degrees(facts), _traffic(facts)]


def _network(facts: GraphFacts) -> Section:
    highest = max((p.mean_rate for p in facts.populations if p.mean_rate is not None), default=0.0)
    boxes = [
        Box(
            p.population.name,
            times(p.population.shape) + ("" if p.mean_rate is None else f", rate {p.mean_rate:.3g}"),
            (p.mean_rate or 0.0) / highest if highest else 0.0,
        )
        for p in facts.populations
    ]
    arrows = [
        Arrow(p.source, p.target, p.traffic, f"{p.summary.edges:,} synapses, {p.traffic:,.4g} spikes per step")
        for p in facts.projections
    ]
    words = (
        "A box is a population of neurons, an arrow a projection. The wider the arrow, the more spikes its synapses "
        "carry in a time step; a grey arrow carries none. The stronger the colour of a box, the higher its mean rate."
    )
    only = [] if facts.class_name is None else [f"Spikes of the samples of class {facts.class_name} only."]
    if len(boxes) > MOST_BOXES or len(arrows) > MOST_ROWS:
        words = f"{len(boxes):,} populations and {len(arrows):,} projections are too many to draw."
        return Section("network", "The network", [*only, words])
    return Section("network", "The network", [*only, words], [Figure(diagram(boxes, arrows))])


def _populations(facts: GraphFacts) -> Section:
    shown, note = _busiest(facts.populations)
    rows = [
        (p.population.name, p.population.layer, times(p.population.shape), f"{p.population.size:,}",
         p.population.coding or "", _number(p.mean_rate), _share(p.silent), _number(p.traffic))
        for p in shown
    ]  # fmt: skip
    head = ("population", "layer", "shape", "neurons", "coding", "rate", "silent", "traffic")
    words = (
        f"{facts.neurons:,} neurons without the input. Rate: spikes per neuron and step. Silent: neurons that never "
        "spiked. Traffic: spikes per step over all outgoing synapses of the population." + note
    )
    return Section("populations", "Populations", [words], tables=[Table(head, rows, right=(3, 5, 6, 7))])


def _projections(facts: GraphFacts) -> Section:
    shown, note = _busiest(facts.projections)
    rows = [
        (p.summary.source, p.summary.target, p.summary.rule, f"{p.summary.edges:,}",
         f"{p.summary.out_degree.mean:,.4g}", f"{p.summary.in_degree.mean:,.4g}",
         _number(p.summary.weight.min), _number(p.summary.weight.mean), _number(p.summary.weight.max),
         _share(p.zero_weights), _share(p.summary.zero_edges / p.summary.edges if p.summary.edges else None),
         _number(p.traffic))
        for p in shown
    ]  # fmt: skip
    head = (
        "from", "to", "layer", "synapses", "out-degree", "in-degree", "least weight", "mean weight", "greatest weight",
        "zero weights", "zero edges", "traffic",
    )  # fmt: skip
    words = (
        f"{facts.synapses:,} synapses. Degrees are means; weights are in thresholds. Zero weights: share of the "
        "kernel's elements; zero edges: share of the synapses whose weight or rate is 0." + note
    )
    return Section("projections", "Projections", [words], tables=[Table(head, rows, right=range(3, len(head)))])


def _busiest(rows: Sequence[Row]) -> Tuple[Sequence[Row], str]:
    """Return the rows of a table, those with the most traffic if there are too many, and a note about it."""
    if len(rows) <= MOST_ROWS:
        return rows, ""
    least = sorted(row.traffic for row in rows)[-MOST_ROWS]
    shown = [row for row in rows if row.traffic >= least][:MOST_ROWS]
    return shown, f" The {MOST_ROWS:,} of {len(rows):,} with the most traffic."


def _degrees(facts: GraphFacts) -> Section:
    figures = [
        _histogram(facts.out_degrees, "out-degree of a neuron", "have no outgoing synapse"),
        _histogram(facts.in_degrees, "in-degree of a neuron", "have no incoming synapse"),
    ]
    return Section("degrees", "Degrees", ["Both axes are logarithmic."], figures)


def _traffic(facts: GraphFacts) -> Section:
    half, most = (share_that_carries(facts.traffic, share) for share in (0.5, 0.9))
    if half is None or most is None:
        return Section("traffic", "Traffic", ["No neuron with outgoing synapses spikes: the graph has no traffic."])
    words = (
        f"Half of the traffic comes from {half:.1%} of the neurons with outgoing synapses, and 90 % of it from "
        f"{most:.1%}. Traffic of a neuron: its spikes per step times its out-degree."
    )
    figure = _histogram(facts.traffic, "traffic of a neuron (spikes per step)", "never spike")
    return Section("traffic", "Traffic", [words], [figure])


def _histogram(values: np.ndarray, label: str, of_zero: str) -> Figure:
    zero = values.size - np.count_nonzero(values)
    caption = f"{zero:,} more {of_zero}." if zero else ""
    return Figure(drawn(f"neurons by {label}", plot_distribution, values, label), caption)


def _number(value: Optional[float]) -> str:
    return "" if value is None else quantity(value)


def _share(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.1%}"
