"""Assignment of neurons to cores: the methods, and the best of their results."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Callable, Deque, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError, how_to_install
from snnb.core.machine import processors
from snnb.core.progress import Progress, Say, silent
from snnb.mapping import kahypar
from snnb.mapping.groups import grouped, tiled
from snnb.mapping.growth import grown
from snnb.mapping.hardware import Hardware
from snnb.mapping.limits import Limits, too_few_cores
from snnb.mapping.memory import shared_entries, split_overfull, synapse_loads
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.reach import Contracted, contract
from snnb.mapping.search import Search
from snnb.mapping.sequential import sequential
from snnb.mapping.traffic import TrafficSums, count_traffic

MOST_NEURONS = 100_000  # for a hypergraph of single neurons
MOST_PINS = 4_000_000  # of a hypergraph of single neurons
FEWEST_GROUPS = 3_000  # up to here the search starts with several numbers of cores, and from the sequential mapping
FEW_GROUPS = 20_000  # up to here it also anneals, and Mt-KaHyPar gets several seeds
TRIALS_A_GROUP = 400
MOST_TRIALS = 6_000_000
EPOCHS = 4
TILES_A_CORE = (1, 2)  # numbers of tiles that fill a core, which are tried
COOLING = 0.4  # factor of the temperature from one epoch to the next
HEAT = 0.3  # temperature of the first epoch, in mean costs of a group
PENALTY = 10.0  # of exceeded limits in the first epoch, in mean costs of a core; ten times as much in each next epoch
MORE_CORES = 0.05
MORE_CORES_FOR_AXONS = 0.10
WITHOUT = f"Mt-KaHyPar is not installed: only snnb's own moves were tried; better with {how_to_install('mapping')}"
Cores = Optional[np.ndarray]  # core of each neuron or group; None if no valid mapping was found


@dataclass(frozen=True, eq=False)
class Partition:
    """A core for each neuron, within the limits of the hardware."""

    best: TrafficSums
    tried: Tuple[TrafficSums, ...]  # valid partitions of all methods that were tried, `sequential` first
    sequential: TrafficSums  # the baseline; it may need more cores than there are
    warnings: Tuple[str, ...] = ()  # methods without a result, and why


def _within(method: str, network: PlacedNetwork, core: np.ndarray, hardware: Hardware) -> TrafficSums:
    return replace(split_overfull(network, core, hardware), method=method)


def sequential_baseline(network: PlacedNetwork, hardware: Hardware, progress: Progress = silent) -> TrafficSums:
    """Return the partition that fills cores in the order of the ids; it may need more cores than there are."""
    return _within("sequential", network, sequential(network, Limits.of(hardware), progress), hardware)


def partition(
    network: PlacedNetwork, hardware: Hardware, *, method: str = "auto", seed: int = 0, progress: Progress = silent
) -> Partition:
    """Assign each neuron to a core, so that few spikes travel between cores; the same seed gives the same partition.

    `sequential` fills one core after the other. `groups` partitions positions and chunks of channels, then moves single
    neurons if there are few enough; and tiles, if sources share lists of synapses. In a graph of listed edges it lets
    cores grow around shared sources instead (`growth`). `hypergraph` partitions single neurons. `auto` tries all
    methods. Cores that exceed a limit of output axons or synapse memory are divided. The result is the best of the
    method's and the sequential partition. The network is one that `check_possible` accepts.

    Raise `InputError` if the hardware has too few cores; or `method` is `hypergraph`, and Mt-KaHyPar is not installed
    or the network is too large.
    """
    if method == "hypergraph":
        kahypar.require()
    baseline = sequential_baseline(network, hardware, progress)
    tried = [baseline] if baseline.cores <= hardware.cores else []
    if method == "sequential":
        if not tried:
            raise too_few_cores(network, hardware, baseline.cores)
        return Partition(baseline, (baseline,), baseline)
    loads, most = synapse_loads(network, hardware)
    limits = Limits.of(hardware)._replace(synapses=most)
    single = _contracted_neurons(network, loads)
    if method == "hypergraph" and single is None:
        raise InputError(
            f"the network has more than {MOST_NEURONS:,} neurons or {MOST_PINS:,} pins, too many to place one by one: "
            "use --method groups"
        )
    warnings = [] if kahypar.is_installed() else [WITHOUT]
    steps: List[Tuple[str, Callable[[Progress], Cores]]] = []
    known = (limits, hardware.cores, baseline.core, seed, warnings.append)
    if method in ("groups", "auto"):
        steps.append(("groups", partial(_by_groups, network, loads, single, *known)))
        shared = most < Limits.of(hardware).synapses and not network.listed
        for share in TILES_A_CORE if shared else ():
            steps.append(("groups", partial(_by_tiles, network, share, limits, hardware.cores, seed, warnings.append)))
    if method in ("hypergraph", "auto") and single is not None and kahypar.is_installed():
        steps.append(("hypergraph", partial(_searched, single, *known)))
    for number, (name, search) in enumerate(steps):
        lowest = min((one.connectivity for one in tried), default=np.inf)
        core = search(_step_progress(progress, number, len(steps), name, lowest))
        found = None if core is None else _within(name, network, _without_gaps(core), hardware)
        if found is not None and found.cores <= hardware.cores:
            tried.append(found)
    missing = sorted({name for name, _ in steps} - {one.method for one in tried})
    warnings += [f"{name} found no mapping that keeps the limits" for name in missing]
    if not tried:
        raise too_few_cores(network, hardware, baseline.cores)
    return Partition(min(tried, key=lambda one: one.connectivity), tuple(tried), baseline, tuple(warnings))


def _step_progress(progress: Progress, number: int, steps: int, name: str, lowest: float) -> Progress:
    """Return the progress of one method as a part of the progress of all methods."""
    note = name if lowest == np.inf else f"{name}, connectivity so far {lowest:,.0f}"
    return lambda done, total, _="": progress(number * total + done, steps * total, note)


def _contracted_neurons(network: PlacedNetwork, loads: np.ndarray) -> Optional[Contracted]:
    """Return the network with a group for each neuron; None if it is too large."""
    most = (2 if network.listed else 64) * MOST_PINS  # sources at a position share their pins
    if network.neurons > MOST_NEURONS or network.in_degrees.sum() > most:
        return None
    net = contract(network, np.arange(network.neurons, dtype=np.int32), network.neurons, loads)
    return net if net.pins <= MOST_PINS else None


def _by_groups(
    network: PlacedNetwork,
    loads: np.ndarray,
    single: Optional[Contracted],
    limits: Limits,
    most: int,
    first: np.ndarray,
    seed: int,
    warn: Say,
    progress: Progress,
) -> Cores:
    """Partition groups of neurons, or let cores grow without kernels; then move single neurons if there are few."""
    if network.listed:
        core = grown(network, loads, limits)
    else:
        group, groups = grouped(network, loads, limits)
        net = contract(network, group, groups, loads)
        start = np.zeros(groups, np.int32)
        start[group[::-1]] = first[::-1]  # the core of the first neuron of each group
        core_of_group = _searched(net, limits, most, start, seed, warn, progress)
        if core_of_group is None:
            return None
        core = core_of_group[group]
    if single is not None:
        search = Search(single, core, int(core.max()) + 1, limits, seed)
        search.descend()
        core = search.core.copy()
    return core


def _by_tiles(
    network: PlacedNetwork, share: int, limits: Limits, most: int, seed: int, warn: Say, progress: Progress
) -> Cores:
    """Partition tiles, each of which takes a part of a core with its shared lists of synapses."""
    part = limits._replace(neurons=max(limits.neurons // share, 1), synapses=limits.synapses // share)
    group, groups = tiled(network, part, mixed=share == 1)
    loads = np.zeros(network.neurons, np.int64)
    loads[np.unique(group, return_index=True)[1]] = shared_entries(count_traffic(network, group, groups))
    net = contract(network, group, groups, loads)
    core = _searched(net, limits, most, np.arange(groups, dtype=np.int32), seed, warn, progress)
    return None if core is None else core[group]


def _searched(
    net: Contracted, limits: Limits, most: int, first: np.ndarray, seed: int, warn: Say, progress: Progress
) -> Cores:
    """Return the best valid mapping of groups that the search finds from several starts."""
    best: Cores = None
    lowest, numbers = np.inf, _numbers_of_cores(net, limits, most, int(first.max()) + 1)
    total = 3 * len(numbers)  # at most
    starts = _starts(net, limits, numbers, first, seed, warn)
    searches = (partial(_improved, net, start, cores, limits, seed) for cores, start in starts)
    for number, found in enumerate(_in_parallel(searches)):
        progress(min(number + 1, total), total)
        for core, connectivity in found:
            if connectivity < lowest:
                best, lowest = core, connectivity
    progress(total, total)
    return best


Found = List[Tuple[np.ndarray, int]]  # mappings and their connectivity over all samples


def _in_parallel(calls: Iterable[Callable[[], Found]]) -> Iterator[Found]:
    """Yield results in the order of the calls; as many calls run at a time as there are processors."""
    running: Deque[Future[Found]] = deque()
    with ThreadPoolExecutor(processors()) as pool:
        for call in calls:
            running.append(pool.submit(call))
            if len(running) >= processors():
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _numbers_of_cores(net: Contracted, limits: Limits, most: int, used: int) -> List[int]:
    """Return the numbers of cores to try: as few as neurons and synapses need, and a few more."""
    least = max(-(-int(net.neurons.sum()) // limits.neurons), -(-int(net.synapses.sum()) // limits.synapses))
    more = max(1, int(used * (MORE_CORES if used <= least * (1 + MORE_CORES) else MORE_CORES_FOR_AXONS)))
    wanted = (least, used, used + more) if net.groups <= FEWEST_GROUPS else (used + more,)
    return sorted({min(cores, most) for cores in wanted if cores >= least})


def _starts(
    net: Contracted, limits: Limits, numbers: Sequence[int], first: np.ndarray, seed: int, warn: Say
) -> Iterator[Tuple[int, np.ndarray]]:
    """Yield numbers of cores and initial mappings: Mt-KaHyPar's and the sequential one. They may exceed limits."""
    seeds = range(seed, seed + (2 if net.groups <= FEW_GROUPS else 1))
    if kahypar.is_installed() and net.groups > 1:
        graph = kahypar.hypergraph(net, limits)
        possible = [n for n in numbers if 1 < n < net.groups and n * graph.capacity >= graph.node_weight.sum()]
        jobs = [(cores, number % (1 << 31)) for cores in possible for number in seeds]
        yield from kahypar.partitions(graph, jobs, warn)
        if net.groups > FEWEST_GROUPS:
            return
    for cores in numbers:
        yield cores, np.minimum(first, cores - 1).astype(np.int32)


def _improved(net: Contracted, start: np.ndarray, cores: int, limits: Limits, seed: int) -> Found:
    """Descend; anneal if groups are few or limits are exceeded, and descend again. Return the valid mappings."""
    search = Search(net, start, cores, limits, seed)
    search.descend()
    found = [(search.core.copy(), search.cost)] if search.legal else []
    if cores == 1 or (search.legal and net.groups > FEW_GROUPS):
        return found
    trials = min(TRIALS_A_GROUP * net.groups, MOST_TRIALS)
    hot, penalty = max(HEAT * search.cost / net.groups, 1e-9), PENALTY * max(search.cost, 1) / cores
    for epoch in range(EPOCHS):
        ends = [hot * COOLING**at for at in (epoch, epoch + 1)]
        search.anneal(trials // EPOCHS, ends[0], ends[1], penalty * 10**epoch)
    search.descend()
    if not search.legal:
        search.mend()
        search.descend()
    return [*found, (search.core.copy(), search.cost)] if search.legal else found


def _without_gaps(core: np.ndarray) -> np.ndarray:
    """Renumber cores from 0 without gaps, in the order of their first neurons."""
    _, first, inverse = np.unique(core, return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int32)
    rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
    return rank[inverse]
