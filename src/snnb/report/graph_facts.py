"""What the report says of a graph: populations and projections, and how degrees and traffic are distributed."""

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from snnb.graph.statistics import ProjectionSummary
from snnb.graph.synapse_graph import SynapseGraph

BINS = 40


@dataclass(frozen=True)
class PopulationFacts:
    """A population; rates are None without spikes."""

    name: str
    layer: str
    shape: Tuple[int, ...]
    neurons: int
    coding: Optional[str]
    mean_rate: Optional[float]  # spikes per neuron and step
    silent: Optional[float]  # share of the neurons that never spiked
    traffic: float  # spikes per step over all synapses that leave it


@dataclass(frozen=True)
class ProjectionFacts:
    """A projection."""

    source: int  # number of the population
    target: int
    summary: ProjectionSummary
    zero_weights: Optional[float]  # share of its kernels' weights that are 0; None where it has no kernel
    traffic: float  # spikes per step over its synapses


@dataclass(frozen=True)
class Distribution:
    """How many neurons have how much: counts in bins of equal logarithms, and those that have nothing."""

    counts: np.ndarray  # int64, shape (bins,)
    edges: np.ndarray  # powers of ten, shape (bins + 1,)
    zero: int


@dataclass(frozen=True)
class GraphFacts:
    """A graph."""

    populations: List[PopulationFacts]
    projections: List[ProjectionFacts]
    neurons: int
    synapses: int
    out_degrees: Distribution  # of all nodes that have synapses to others
    in_degrees: Distribution  # of all neurons
    traffic: Distribution  # spikes per step that spiking nodes send over their synapses
    half: Optional[float]  # share of the spiking nodes that carries 50 % of the traffic; None where nothing spikes
    most: Optional[float]  # the same for 90 %
    class_name: Optional[str] = None  # the class whose samples the spikes are of; None for all samples


def graph_facts(graph: SynapseGraph) -> GraphFacts:
    """Read a graph and count; no edge is generated where it can be avoided."""
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
                name=population.name,
                layer=population.layer,
                shape=population.shape,
                neurons=population.size,
                coding=population.coding,
                mean_rate=None if rate is None else float(rate.mean()),
                silent=None if rate is None else float((rate == 0).mean()),
                traffic=float(sent[population.name].sum()),
            )
        )
    # The last population sends nothing to anybody, and a constant input does not spike.
    carrying = [p.name for p in graph.populations if degrees[p.name].any() and p.coding not in (None, "current")]
    traffic = np.concatenate([np.empty(0), *(sent[name] for name in carrying)])
    leaving = np.concatenate([degrees[p.name] for p in graph.populations if degrees[p.name].any()])
    return GraphFacts(
        populations=populations,
        projections=projections,
        neurons=graph.number_of_neurons(),
        synapses=graph.number_of_edges(),
        out_degrees=distribution(leaving),
        in_degrees=distribution(np.concatenate([into[p.name] for p in graph.populations[1:]])),
        traffic=distribution(traffic),
        half=share_that_carries(traffic, 0.5),
        most=share_that_carries(traffic, 0.9),
        class_name=graph.class_name,
    )


def distribution(values: np.ndarray) -> Distribution:
    """Sort values into bins of equal logarithms."""
    some = values[values > 0]
    logarithms = np.log10(some) if some.size else np.zeros(1)
    low, high = float(np.floor(logarithms.min())), float(np.ceil(logarithms.max()))
    counts, edges = np.histogram(np.log10(some), np.linspace(low, max(high, low + 1), BINS + 1))
    return Distribution(counts, edges, int(values.size - some.size))


def share_that_carries(traffic: np.ndarray, share: float) -> Optional[float]:
    """Return the smallest share of the neurons that together carry this share of the traffic; None without any."""
    total = traffic.sum()
    if total <= 0:
        return None
    carried = np.cumsum(np.sort(traffic)[::-1])
    return float(np.searchsorted(carried, share * total * (1 - 1e-12)) + 1) / traffic.size
