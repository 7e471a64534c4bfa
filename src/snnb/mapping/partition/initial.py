"""Initial partitions: the sequential one, also the baseline, and Mt-KaHyPar's."""

from dataclasses import replace
from typing import Iterator, List, Optional, Sequence

import numpy as np

from snnb.chips.hardware import Hardware, Limits
from snnb.core.compiled import compiled, inner
from snnb.core.progress import Progress, Throttle, silent
from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.mtkahypar import (
    SEED_END,
    PartitionJob,
    Start,
    Starts,
    partitions,
)
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.repair import split_overfull
from snnb.mapping.partition.source_lists import SourceLists, Sources
from snnb.mapping.traffic import MappableNetwork, TrafficSums

# The core that `_fill_cores` fills: its number, and what it contains
OPEN_CORE = np.dtype(
    [("number", "i8"), ("neurons", "i8"), ("axons", "i8"), ("synapses", "i8")],
)


def sequential_baseline(
    network: MappableNetwork,
    hardware: Hardware,
    progress: Progress = silent,
    *,
    allow_alone: bool = False,
) -> TrafficSums:
    """Return the partition that fills cores in the order of the ids.

    It may need more cores than there are. With `allow_alone`, a neuron that alone
    exceeds a limit is the only one of its core; otherwise raise `InputError`.
    """
    core = sequential(network, Limits.of(hardware), progress)
    sums = split_overfull(network, core, hardware, allow_alone=allow_alone)
    return replace(sums, method="sequential")


def sequential(
    network: MappableNetwork,
    limits: Limits,
    progress: Progress = silent,
) -> np.ndarray:
    """Fill cores with neurons in the order of their ids.

    A core is full when the next neuron would exceed a limit. PACMAN (Galluppi et al.,
    CF 2012) and AxonCUDA do the same. Return the core of each neuron, without gaps:
    int32, shape (neurons,). The network is one that `check_possible` accepts.
    """
    core = np.empty(network.neurons, np.int32)
    last_core_with_axon = np.full(network.graph.number_of_nodes(), -1, np.int32)
    open_core = np.zeros(1, OPEN_CORE)
    bounds = np.array(limits, np.int64)
    throttle = Throttle()
    for population in network.populations:
        lists = SourceLists(network, population)
        population_start = population.first - network.first
        for begin, end in lists.ranges():
            part_start = population_start + lists.filters * begin
            part_end = population_start + lists.filters * end
            _fill_cores(
                open_core,
                bounds,
                lists.filters,
                lists.list_sources(begin, end),
                network.in_degrees[part_start:part_end],
                last_core_with_axon,
                core[part_start:part_end],
            )
            if throttle.due(last=part_end == network.neurons):
                cores = open_core["number"][0] + 1
                progress(part_end, network.neurons, f"{cores} cores")
    return core


@inner
def _add_axons(sources: np.ndarray, last_core_with_axon: np.ndarray, core: int) -> int:
    """Give the core an axon for each source; return the number of new axons."""
    new_axons = 0
    for source in sources:
        if last_core_with_axon[source] != core:
            last_core_with_axon[source] = core
            new_axons += 1
    return new_axons


@compiled
def _fill_cores(
    open_core: np.ndarray,
    limits: np.ndarray,
    filters: int,
    sources: Sources,
    synapses: np.ndarray,
    last_core_with_axon: np.ndarray,
    core: np.ndarray,
) -> None:
    """Place neurons one by one; start a new core when a limit would be exceeded.

    Parameters
    ----------
    open_core : (1,) array of `OPEN_CORE`
        The core that is filled; updated.
    limits : (5,) int64 array
        The values of `Limits`: neurons, axons and synapses of a core come first.
    filters : int
        Number of neurons at a position; the first neuron is the first of its position.
    sources : Sources
        Of these neurons.
    synapses : (neurons,) int64 array
        Synapses onto each neuron.
    last_core_with_axon : (nodes,) int32 array
        The last core with an axon for each source, −1 without one; updated.
    core : (neurons,) int32 array
        Output: the core of each neuron.
    """
    max_neurons = limits[0]
    max_axons = limits[1]
    max_synapses = limits[2]
    fill = open_core[0]
    position_with_axons = -1  # the sources of this position have axons already
    for neuron in range(core.size):
        position = neuron // filters
        position_begin = sources.position_start[position]
        position_end = sources.position_start[position + 1]
        position_sources = sources.position_source[position_begin:position_end]
        neuron_begin = sources.neuron_start[neuron]
        neuron_end = sources.neuron_start[neuron + 1]
        neuron_sources = sources.neuron_source[neuron_begin:neuron_end]
        axons = _add_axons(neuron_sources, last_core_with_axon, fill.number)
        if position != position_with_axons:
            axons += _add_axons(position_sources, last_core_with_axon, fill.number)
        is_full = (
            fill.neurons == max_neurons
            or fill.axons + axons > max_axons
            or fill.synapses + synapses[neuron] > max_synapses
        )
        if is_full and fill.neurons > 0:
            fill.number += 1
            fill.neurons = 0
            fill.axons = 0
            fill.synapses = 0
            axons = _add_axons(neuron_sources, last_core_with_axon, fill.number)
            axons += _add_axons(position_sources, last_core_with_axon, fill.number)
        position_with_axons = position
        core[neuron] = fill.number
        fill.neurons += 1
        fill.axons += axons
        fill.synapses += synapses[neuron]


def initial_partitions(
    problem: Problem,
    baseline: np.ndarray,
    graph: Optional[Hypergraph],
    max_jobs: int,
) -> Starts:
    """Return the initial partitions of a refinement.

    They are Mt-KaHyPar's or, if it has none, the sequential partition, for each number
    of cores: as many as neurons and synapses need, as many as the sequential partition
    has, and a few more.

    Parameters
    ----------
    problem : Problem
        The groups to partition.
    baseline : (groups,) int32 array
        The core of each group in the sequential partition.
    graph : Hypergraph or None
        The groups for Mt-KaHyPar; None if it is not used.
    max_jobs : int
        Maximum number of jobs of Mt-KaHyPar. With 0 there are no initial partitions.
    """
    core_counts = _list_core_counts(problem, baseline)
    jobs: List[PartitionJob] = []
    if graph is not None:
        jobs = _list_jobs(problem, graph, core_counts)[:max_jobs]
    if max_jobs == 0:
        core_counts = []
    compute = _compute_starts(problem, baseline, graph, jobs, core_counts)
    return Starts(compute, number=len(jobs) or len(core_counts))


def _list_core_counts(problem: Problem, baseline: np.ndarray) -> List[int]:
    """Return the numbers of cores of initial partitions, each once."""
    net = problem.net
    limits = problem.limits
    cores_for_neurons = -(-int(net.neurons.sum()) // limits.neurons)
    cores_for_synapses = -(-int(net.synapses.sum()) // limits.synapses)
    min_cores = max(cores_for_neurons, cores_for_synapses)
    baseline_cores = int(baseline.max()) + 1
    extra_cores = max(1, int(baseline_cores * problem.settings.extra_cores))
    core_counts: List[int] = []
    for cores in (baseline_cores + extra_cores, min_cores, baseline_cores):
        cores = min(cores, problem.max_cores)
        if cores >= min_cores and cores not in core_counts:
            core_counts.append(cores)
    return core_counts


def _list_jobs(
    problem: Problem,
    graph: Hypergraph,
    core_counts: Sequence[int],
) -> List[PartitionJob]:
    """Return the jobs of Mt-KaHyPar: all numbers of cores, by seed."""
    node_weight = graph.node_weight.sum()
    jobs: List[PartitionJob] = []
    for number in range(problem.settings.seeds_of_mtkahypar):
        seed = (problem.seed + number) % SEED_END
        for cores in core_counts:
            is_large_enough = cores * graph.capacity >= node_weight
            if is_large_enough and 1 < cores < problem.net.groups:
                jobs.append((cores, seed))
    return jobs


def _compute_starts(
    problem: Problem,
    baseline: np.ndarray,
    graph: Optional[Hypergraph],
    jobs: Sequence[PartitionJob],
    core_counts: Sequence[int],
) -> Iterator[Start]:
    """Yield the partitions of the jobs, or if all fail the sequential partition.

    The latter is cut to each of the numbers of cores: the last core has all groups of
    the cores that do not exist.
    """
    has_start = False
    if graph is not None:
        for start in partitions(graph, jobs, problem.settings, problem.warn):
            has_start = True
            yield start
    if not has_start:
        for cores in core_counts:
            core = np.minimum(baseline, cores - 1).astype(np.int32)
            yield Start(cores, core)
