"""Initial partitions: the sequential one, which is also the baseline, and those of Mt-KaHyPar."""

from dataclasses import replace
from typing import Iterator, List, Optional, Tuple

import numpy as np

from snnb.chips.hardware import Hardware, Limits
from snnb.core.compiled import compiled, inner
from snnb.core.progress import Progress, Throttle, silent
from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.mtkahypar import SEED_END, Job, Start, partitions
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.repair import split_overfull
from snnb.mapping.partition.source_lists import SourceLists, Sources
from snnb.mapping.traffic import MappableNetwork, TrafficSums


def sequential_baseline(
    network: MappableNetwork, hardware: Hardware, progress: Progress = silent, *, allow_alone: bool = False
) -> TrafficSums:
    """Return the partition that fills cores in the order of the ids; it may need more cores than there are.

    With `allow_alone`, a neuron that alone exceeds a limit is the only one of its core; otherwise raise `InputError`.
    """
    core = sequential(network, Limits.of(hardware), progress)
    return replace(split_overfull(network, core, hardware, allow_alone=allow_alone), method="sequential")


def sequential(network: MappableNetwork, limits: Limits, progress: Progress = silent) -> np.ndarray:
    """Fill cores with neurons in the order of their ids, a new core when a limit would be exceeded.

    PACMAN (Galluppi et al., CF 2012) and AxonCUDA do the same. The result, int32, shape (neurons,), has no gaps. The
    network is one that `check_possible` accepts.
    """
    core = np.empty(network.neurons, np.int32)
    seen = np.full(network.graph.number_of_nodes(), -1, np.int32)
    state, bounds, throttle = np.zeros(4, np.int64), np.array(limits, np.int64), Throttle()
    for population in network.populations:
        lists = SourceLists(network, population)
        for first, last in lists.parts():
            part = slice(*(population.first - network.first + lists.filters * at for at in (first, last)))
            _fill_cores(state, bounds, lists.filters, lists.of(first, last), network.in_degrees[part], seen, core[part])
            if throttle.due(last=part.stop == network.neurons):
                progress(part.stop, network.neurons, f"{state[0] + 1} cores")
    return core


@inner
def _newly_seen(source: np.ndarray, seen: np.ndarray, core: int) -> int:
    """Count the sources without a mark of the core, and mark them."""
    new = 0
    for s in source:
        if seen[s] != core:
            seen[s] = core
            new += 1
    return new


@compiled
def _fill_cores(
    state: np.ndarray,
    limits: np.ndarray,
    filters: int,
    sources: Sources,
    synapses: np.ndarray,
    seen: np.ndarray,
    core: np.ndarray,
) -> None:
    """Place neurons one by one; start a new core when a limit would be exceeded.

    Parameters
    ----------
    state : current core, and its neurons, axons and synapses; updated
    limits : maximum of neurons, axons and synapses of a core
    filters : number of neurons at a position; the first neuron is the first of its position
    seen : (nodes,) int32 array; the last core with an axon for each source; updated
    core : (neurons,) int32 array; output
    """
    seen_position = -1  # the position whose sources are all seen
    for neuron in range(core.size):
        position = neuron // filters
        position_sources = sources.position_source[
            sources.position_start[position] : sources.position_start[position + 1]
        ]
        neuron_sources = sources.neuron_source[sources.neuron_start[neuron] : sources.neuron_start[neuron + 1]]
        new = _newly_seen(neuron_sources, seen, state[0])
        if position != seen_position:
            new += _newly_seen(position_sources, seen, state[0])
        full = state[1] == limits[0] or state[2] + new > limits[1] or state[3] + synapses[neuron] > limits[2]
        if full and state[1]:
            state[0] += 1
            state[1:] = 0
            new = _newly_seen(neuron_sources, seen, state[0]) + _newly_seen(position_sources, seen, state[0])
        seen_position = position
        core[neuron] = state[0]
        state[1] += 1
        state[2] += new
        state[3] += synapses[neuron]


def initial_partitions(
    problem: Problem, baseline: np.ndarray, graph: Optional[Hypergraph], max_jobs: int
) -> Tuple[Iterator[Start], int]:
    """Return initial partitions and their number: of Mt-KaHyPar, or if it has none the sequential one.

    They have the cores that neurons and synapses need, those of the sequential partition, and a few more. `baseline`
    (int32, shape (groups,)) is the sequential partition. Mt-KaHyPar has at most `max_jobs` jobs; it is not installed
    without `graph`. With 0 jobs there are no initial partitions.
    """
    net, limits, settings = problem.net, problem.limits, problem.settings
    min_cores = max(-(-int(net.neurons.sum()) // limits.neurons), -(-int(net.synapses.sum()) // limits.synapses))
    n_baseline = int(baseline.max()) + 1
    extra = max(1, int(n_baseline * settings.extra_cores))
    candidates = [min(cores, problem.max_cores) for cores in (n_baseline + extra, min_cores, n_baseline)]
    numbers = [cores for n, cores in enumerate(candidates) if cores >= min_cores and cores not in candidates[:n]]
    jobs: List[Job] = []
    if graph is not None:
        possible = [n for n in numbers if 1 < n < net.groups and n * graph.capacity >= graph.node_weight.sum()]
        seeds = range(settings.seeds_of_mtkahypar)
        jobs = [(cores, (problem.seed + n) % SEED_END) for n in seeds for cores in possible][:max_jobs]

    def starts() -> Iterator[Start]:
        has_start = False
        for start in () if graph is None else partitions(graph, jobs, settings, problem.warn):
            has_start = True
            yield start
        for cores in () if has_start or max_jobs == 0 else numbers:
            yield cores, np.minimum(baseline, cores - 1).astype(np.int32)

    return starts(), len(jobs) or (len(numbers) if max_jobs else 0)
