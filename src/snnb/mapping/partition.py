"""A core for each neuron: the methods, and the best of what they give."""

from dataclasses import dataclass
from functools import partial
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError, how_to_install
from snnb.core.processors import in_parallel
from snnb.core.progress import Progress, Say, silent
from snnb.mapping import kahypar
from snnb.mapping.contract import contract
from snnb.mapping.contracted import Contracted
from snnb.mapping.groups import grouped
from snnb.mapping.hardware import Hardware
from snnb.mapping.kahypar import Job
from snnb.mapping.limits import Limits, too_few_cores
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.search import Search
from snnb.mapping.sequential import sequential
from snnb.mapping.traffic import connectivity, usage

MOST_NEURONS = 100_000  # that are placed one by one
MOST_PINS = 4_000_000  # of a hypergraph of single neurons
FEWEST_GROUPS = 3_000  # up to here the search starts with several numbers of cores, and from the sequential mapping
FEW_GROUPS = 20_000  # up to here it also takes moves that cost more, and Mt-KaHyPar gets several seeds
TRIALS_A_GROUP = 400
MOST_TRIALS = 6_000_000
EPOCHS = 4
COOLING = 0.4  # from an epoch to the next
HEAT = 0.3  # of the first epoch, in costs of a group
PENALTY = 10.0  # for broken limits in the first epoch, in costs of a core; ten times as much in each one after
MORE_CORES = 0.05
MORE_CORES_FOR_AXONS = 0.10
WITHOUT = f"Mt-KaHyPar is not installed: only snnb's own moves were tried; better with {how_to_install('mapping')}"


@dataclass(frozen=True, eq=False)
class Tried:
    """What one method gave.

    Attributes
    ----------
    method : str
    core : ndarray of int32, shape (neurons,)
        Core of each neuron, from 0 without gaps.
    connectivity : float
        Spikes between cores a sample.
    """

    method: str
    core: np.ndarray
    connectivity: float

    @classmethod
    def of(cls, method: str, network: PlacedNetwork, core: np.ndarray) -> "Tried":
        """Count the spikes between cores.

        Parameters
        ----------
        method : str
        network : PlacedNetwork
        core : ndarray of int32, shape (neurons,)
        """
        return cls(method, core, connectivity(network, core, int(core.max(initial=-1)) + 1))

    @property
    def cores(self) -> int:
        """Number of cores."""
        return int(self.core.max(initial=-1)) + 1


@dataclass(frozen=True, eq=False)
class Partition:
    """A core for each neuron, within the limits of the hardware.

    Attributes
    ----------
    core : ndarray of int32, shape (neurons,)
        Cores count from 0 without gaps.
    method : str
        The method that it comes from.
    tried : tuple of Tried
        What each method gave that was tried, `sequential` first.
    warnings : tuple of str
        What could not be tried, and why.
    """

    core: np.ndarray
    method: str
    tried: Tuple[Tried, ...]
    warnings: Tuple[str, ...] = ()


def partition(
    network: PlacedNetwork, hardware: Hardware, *, method: str = "auto", seed: int = 0, progress: Progress = silent
) -> Partition:
    """Give each neuron a core, so that few spikes travel between cores.

    Parameters
    ----------
    network : PlacedNetwork
        One that `check_possible` lets pass.
    hardware : Hardware
    method : {"auto", "sequential", "groups", "hypergraph"}
        `sequential` fills a core after the other. `groups` partitions positions and chunks of channels, then moves
        single neurons where these are few enough. `hypergraph` partitions single neurons. `auto` takes the best of all
        that fit. A method that finds nothing better than `sequential` gives that.
    seed : int
        The same seed gives the same partition.
    progress : Progress
        Told of the steps done, with the connectivity so far.

    Raises
    ------
    InputError
        The hardware has too few cores; or `hypergraph` was asked for, and Mt-KaHyPar is not installed or the network
        has too many neurons or synapses.
    """
    if method == "hypergraph":
        kahypar.require()
    limits = Limits.of(hardware)
    first = Tried.of("sequential", network, sequential(network, limits, progress))
    tried = [first] if first.cores <= hardware.cores else []
    single = None if method == "sequential" else _contracted_neurons(network)
    if method == "hypergraph" and single is None:
        raise InputError(
            f"the network has more than {MOST_NEURONS:,} neurons or {MOST_PINS:,} pins, too many to place one by one: "
            "use --method groups"
        )
    warnings = [] if method == "sequential" or kahypar.available() else [WITHOUT]
    steps: List[Tuple[str, Callable[[Progress], Optional[np.ndarray]]]] = []
    known = (limits, hardware.cores, first.core, seed, warnings.append)
    if method in ("groups", "auto"):
        steps.append(("groups", partial(_by_groups, network, single, *known)))
    if method in ("hypergraph", "auto") and single is not None and kahypar.available():
        steps.append(("hypergraph", partial(_searched, single, *known)))
    for number, (name, search) in enumerate(steps):
        best = min((one.connectivity for one in tried), default=np.inf)
        core = search(_told(progress, number, len(steps), name, best))
        if core is not None and _legal(network, limits, core):
            tried.append(Tried.of(name, network, _without_gaps(core)))
        else:
            warnings.append(f"{name} found no mapping that keeps the limits")
    if not tried:
        raise too_few_cores(network, hardware, first.cores)
    taken = min(tried, key=lambda one: one.connectivity)
    return Partition(taken.core, taken.method, tuple(tried), tuple(warnings))


def _told(progress: Progress, number: int, steps: int, name: str, best: float) -> Progress:
    """Pass the progress of a method on as that of all, with the connectivity of the best one before it."""
    so_far = "" if best == np.inf else f", connectivity so far {best:,.0f}"

    def told(done: int, total: int, note: str = "") -> None:
        progress(number * total + done, steps * total, f"{name}{so_far}")

    return told


def _contracted_neurons(network: PlacedNetwork) -> Optional[Contracted]:
    """Return the network with a group for each neuron; None where it is too large for that."""
    if network.neurons > MOST_NEURONS or network.in_degrees.sum() > 64 * MOST_PINS:
        return None
    net = contract(network, np.arange(network.neurons, dtype=np.int32), network.neurons)
    return net if net.pins <= MOST_PINS else None


def _by_groups(
    network: PlacedNetwork,
    single: Optional[Contracted],
    limits: Limits,
    most: int,
    first: np.ndarray,
    seed: int,
    warn: Say,
    progress: Progress,
) -> Optional[np.ndarray]:
    """Partition groups; then let single neurons move where there are few enough."""
    group, groups = grouped(network, limits)
    net = contract(network, group, groups)
    start = np.zeros(groups, np.int32)
    start[group[::-1]] = first[::-1]  # the core of the first neuron of each
    whole = _searched(net, limits, most, start, seed, warn, progress)
    if whole is None:
        return None
    core: np.ndarray = whole[group]
    if single is not None:
        search = Search(single, core, int(core.max()) + 1, limits, seed)
        search.descend()
        core = search.core.copy()
    return core


def _searched(
    net: Contracted, limits: Limits, most: int, first: np.ndarray, seed: int, warn: Say, progress: Progress
) -> Optional[np.ndarray]:
    """Return the best legal mapping of groups that the search finds from several starts; None when there is none."""
    best: Optional[np.ndarray] = None
    lowest, numbers = np.inf, list(_numbers_of_cores(net, limits, most, int(first.max()) + 1))
    total = 3 * len(numbers)  # at most
    starts = _starts(net, limits, numbers, first, seed, warn)
    searches = (partial(_improved, net, start, cores, limits, seed) for cores, start in starts)
    for number, found in enumerate(in_parallel(searches)):
        progress(min(number + 1, total), total)
        for core, cost in found:
            if cost < lowest:
                best, lowest = core, cost
    progress(total, total)
    return best


def _numbers_of_cores(net: Contracted, limits: Limits, most: int, used: int) -> Iterator[int]:
    """Yield how many cores to try: as few as neurons and synapses need, and a few more."""
    least = max(-(-int(net.neurons.sum()) // limits.neurons), -(-int(net.synapses.sum()) // limits.synapses))
    more = max(1, int(used * (MORE_CORES if used <= least * (1 + MORE_CORES) else MORE_CORES_FOR_AXONS)))
    wanted = (least, used, used + more) if net.groups <= FEWEST_GROUPS else (used + more,)
    yield from sorted({min(cores, most) for cores in wanted if cores >= least})


def _starts(
    net: Contracted, limits: Limits, numbers: Sequence[int], first: np.ndarray, seed: int, warn: Say
) -> Iterator[Tuple[int, np.ndarray]]:
    """Yield numbers of cores and mappings to start from, Mt-KaHyPar's and the sequential one; they may break limits."""
    seeds = range(seed, seed + (2 if net.groups <= FEW_GROUPS else 1))
    if kahypar.available() and net.groups > 1:
        graph = kahypar.hypergraph(net, limits)
        jobs = [Job(cores, number % (1 << 31)) for cores in numbers if 1 < cores < net.groups for number in seeds]
        for job, start in kahypar.partitions(graph, jobs, warn):
            yield job.blocks, start
        if net.groups > FEWEST_GROUPS:
            return
    for cores in numbers:
        yield cores, np.minimum(first, cores - 1).astype(np.int32)


def _improved(
    net: Contracted, start: np.ndarray, cores: int, limits: Limits, seed: int
) -> List[Tuple[np.ndarray, int]]:
    """Descend; anneal where groups are few, or while limits are broken, and descend again. Return what is legal."""
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


def _legal(network: PlacedNetwork, limits: Limits, core: np.ndarray) -> bool:
    """Whether a mapping keeps the limits, counted anew neuron by neuron."""
    counted = usage(network, core, int(core.max()) + 1)
    return all(bool((numbers <= limit).all()) for numbers, limit in zip(counted, limits))


def _without_gaps(core: np.ndarray) -> np.ndarray:
    """Give cores new numbers, from 0 without gaps, in the order in which the neurons first name them."""
    _, first, inverse = np.unique(core, return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int32)
    rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
    return rank[inverse]
