"""What the report says of a graph: populations and projections, and how degrees and traffic are distributed."""

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from snnb.graph.statistics import ProjectionSummary
from snnb.graph.synapse_graph import SynapseGraph

BINS = 40


@dataclass(frozen=True)
class PopulationFacts:
    """A population.

    Attributes
    ----------
    name, layer : str
    shape : tuple of int
    neurons : int
    coding : str or None
    mean_rate, silent : float or None
        Spikes per neuron and step; share of the neurons that never spiked. None without spikes.
    traffic : float
        Spikes a step over all synapses that leave it.
    """

    name: str
    layer: str
    shape: Tuple[int, ...]
    neurons: int
    coding: Optional[str]
    mean_rate: Optional[float]
    silent: Optional[float]
    traffic: float


@dataclass(frozen=True)
class ProjectionFacts:
    """A projection.

    Attributes
    ----------
    source, target : int
        Numbers of the populations.
    summary : ProjectionSummary
    zero_weights : float or None
        Share of its kernels' weights that are 0; None where it has no kernel.
    traffic : float
        Spikes a step over its synapses.
    """

    source: int
    target: int
    summary: ProjectionSummary
    zero_weights: Optional[float]
    traffic: float


@dataclass(frozen=True)
class Distribution:
    """How many neurons have how much: counts in bins of equal logarithms, and those that have nothing.

    Attributes
    ----------
    counts : ndarray of int64, shape (bins,)
    edges : ndarray of float, shape (bins + 1,)
        Powers of ten.
    zero : int
    """

    counts: np.ndarray
    edges: np.ndarray
    zero: int


@dataclass(frozen=True)
class GraphFacts:
    """A graph.

    Attributes
    ----------
    populations : list of PopulationFacts
    projections : list of ProjectionFacts
    neurons, synapses : int
    out_degrees, in_degrees, traffic : Distribution
        Of all nodes that have synapses to others; of all neurons; spikes a step that those which spike send over
        their synapses.
    half, most : float or None
        Share of the spiking nodes that carries 50 and 90 % of the traffic; None where nothing spikes.
    class_name : str or None
        The class whose samples the spikes are of; None for all samples.
    """

    populations: List[PopulationFacts]
    projections: List[ProjectionFacts]
    neurons: int
    synapses: int
    out_degrees: Distribution
    in_degrees: Distribution
    traffic: Distribution
    half: Optional[float]
    most: Optional[float]
    class_name: Optional[str] = None


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
