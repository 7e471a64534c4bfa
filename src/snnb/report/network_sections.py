"""Sections of the page about the graph: the network, its populations and projections, degrees and traffic."""

from typing import List, Optional

from snnb.core.formatting import quantity
from snnb.report.charts import histogram
from snnb.report.diagram import Arrow, Box, diagram
from snnb.report.graph_facts import Distribution, GraphFacts, ProjectionFacts
from snnb.report.page import Figure, Section, Table


def network_sections(facts: GraphFacts) -> List[Section]:
    """Return the sections of a graph."""
    return [_network(facts), _populations(facts), _projections(facts), _degrees(facts), _traffic(facts)]


def _network(facts: GraphFacts) -> Section:
    highest = max((p.mean_rate for p in facts.populations if p.mean_rate is not None), default=0.0)
    boxes = [
        Box(
            p.name,
            "×".join(map(str, p.shape)) + ("" if p.mean_rate is None else f", rate {p.mean_rate:.3g}"),
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
        "carry in a time step; a grey one carries none. Boxes: the darker, the higher the mean rate."
    )
    only = [] if facts.class_name is None else [f"Spikes of the samples of class {facts.class_name} only."]
    return Section("network", "The network", [*only, words], [Figure(diagram(boxes, arrows))])


def _populations(facts: GraphFacts) -> Section:
    rows = [
        (p.name, p.layer, "×".join(map(str, p.shape)), f"{p.neurons:,}", p.coding or "",
         _number(p.mean_rate), _share(p.silent), _number(p.traffic))
        for p in facts.populations
    ]  # fmt: skip
    head = ("population", "layer", "shape", "neurons", "coding", "rate", "silent", "traffic")
    words = (
        f"{facts.neurons:,} neurons without the input. Rate: spikes per neuron and step. Silent: neurons that never "
        "spiked. Traffic: spikes per step over all synapses that leave the population."
    )
    return Section("populations", "Populations", [words], tables=[Table(head, rows, right=(3, 5, 6, 7))])


def _projections(facts: GraphFacts) -> Section:
    rows = [_projection_row(facts, projection) for projection in facts.projections]
    head = (
        "from", "to", "layer", "synapses", "out-degree", "in-degree", "least weight", "mean weight", "greatest weight",
        "zero weights", "zero edges", "traffic",
    )  # fmt: skip
    words = (
        f"{facts.synapses:,} synapses. Degrees are means; weights are in thresholds. Zero weights: share of the "
        "kernel's elements; zero edges: share of the synapses whose weight or rate is 0."
    )
    return Section("projections", "Projections", [words], tables=[Table(head, rows, right=range(3, len(head)))])


def _projection_row(facts: GraphFacts, projection: ProjectionFacts) -> List[str]:
    found = projection.summary
    return [
        found.source,
        found.target,
        found.rule,
        f"{found.edges:,}",
        f"{found.out_degree.mean:,.4g}",
        f"{found.in_degree.mean:,.4g}",
        *(_number(value) for value in (found.weight.min, found.weight.mean, found.weight.max)),
        _share(projection.zero_weights),
        _share(found.zero_edges / found.edges if found.edges else None),
        _number(projection.traffic),
    ]


def _degrees(facts: GraphFacts) -> Section:
    figures = [
        _histogram(facts.out_degrees, "synapses that leave a neuron", "send to nobody"),
        _histogram(facts.in_degrees, "synapses onto a neuron", "have no input"),
    ]
    return Section("degrees", "Degrees", ["Both axes are logarithmic."], figures)


def _traffic(facts: GraphFacts) -> Section:
    if facts.half is None or facts.most is None:
        nothing = "No neuron that has synapses to others spikes: the graph has no traffic."
        return Section("traffic", "Traffic", [nothing])
    words = (
        f"Half of the traffic comes from {facts.half:.1%} of the neurons that have synapses to others, and 90 % of it "
        f"from {facts.most:.1%}. Traffic of a neuron: its spikes per step times its synapses."
    )
    figure = _histogram(facts.traffic, "spikes per step over a neuron's synapses", "never spike")
    return Section("traffic", "Traffic", [words], [figure])


def _histogram(found: Distribution, label: str, of_zero: str) -> Figure:
    caption = f"{found.zero:,} more {of_zero}." if found.zero else ""
    return Figure(histogram(found.counts, found.edges, label), caption)


def _number(value: Optional[float]) -> str:
    return "" if value is None else quantity(value)


def _share(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.1%}"
