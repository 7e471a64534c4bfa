"""Assign the neurons of a network to cores by a method, so that few spikes travel between cores."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from snnb.chips.hardware import Hardware, Limits
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.graph.projection import KernelProjection
from snnb.mapping.groups import grouped, patches, sequential
from snnb.mapping.growth import grown
from snnb.mapping.limits import shared_entries, split_overfull, synapse_loads, too_few_cores
from snnb.mapping.search import (
    ABUNDANT,
    FEW_GROUPS,
    FEW_PINS,
    FEWEST_GROUPS,
    MORE_CORES,
    MOST_PINS,
    MOST_VISITS,
    WORTH,
    Cores,
    Search,
    contract,
    kahypar_is_installed,
    require_kahypar,
    search_groups,
    search_neurons,
)
from snnb.mapping.search_kernels import Contracted
from snnb.mapping.traffic import PlacedNetwork, TrafficSums, count_traffic

MOST_SINGLE_NEURONS = 1_000_000  # for a hypergraph of single neurons
MOST_SINGLE_PINS = 4_000_000  # of a hypergraph of single neurons
MOST_KEPT = 0.25  # share of the synapses below which, as others were dropped, neurons share few sources
PATCHES = ((1, False), (2, False), (2, True))  # numbers that fill a core, and whether populations of a shape are alike
FEW_VISITS = 300_000_000  # see `MOST_VISITS`; of patches, and of groups before neurons are partitioned anew
WITHOUT = "Mt-KaHyPar is not installed: only snnb's own search is used; for better results: pip install mtkahypar"
# Of the cost of the best known mapping; returns the cores of the neurons in each mapping found
Step = Callable[[float, Progress], Sequence[Cores]]


@dataclass(frozen=True, eq=False)
class Partition:
    """A core for each neuron, within the limits of the hardware."""

    best: TrafficSums
    tried: Tuple[TrafficSums, ...]  # valid partitions of all methods that were tried, `sequential` first
    sequential: TrafficSums  # the baseline; it may need more cores than there are
    warnings: Tuple[str, ...] = ()  # methods without a result, and why


def sequential_baseline(
    network: PlacedNetwork, hardware: Hardware, progress: Progress = silent, *, allow_alone: bool = False
) -> TrafficSums:
    """Return the partition that fills cores in the order of the ids; it may need more cores than there are.

    With `allow_alone`, a neuron that alone exceeds a limit is the only one of its core; otherwise raise `InputError`.
    """
    core = sequential(network, Limits.of(hardware), progress)
    return replace(split_overfull(network, core, hardware, allow_alone=allow_alone), method="sequential")


def partition(
    network: PlacedNetwork, hardware: Hardware, *, method: str = "auto", seed: int = 0, progress: Progress = silent
) -> Partition:
    """Assign each neuron to a core, so that few spikes travel between cores; the same seed gives the same partition.

    `sequential` fills one core after the other. `groups` partitions positions and chunks of channels, then moves single
    neurons if there are few enough. If sources share lists of synapses, it partitions patches first, and then positions
    and channels without regard to a memory that is abundant, and with an estimate of it for few neurons. In a graph of
    listed edges it lets cores grow around shared sources instead. `hypergraph` partitions single neurons. `auto` tries
    `groups`, improves the best partition on single neurons, and partitions these anew if that is quick, or if most
    weights were dropped, then without patches; without shared lists it does not try `groups` for at most
    `FEWEST_GROUPS` neurons. Cores that exceed a limit of output axons or synapse memory are divided. The result is the
    best of the method's and the sequential partition. The network is one that `check_possible` accepts.

    Raise `InputError` if the hardware has too few cores; or `method` is `hypergraph`, and Mt-KaHyPar is not installed
    or the network is too large.
    """
    if method == "hypergraph":
        require_kahypar()
    baseline = sequential_baseline(network, hardware, progress)
    if method == "sequential":
        if baseline.cores > hardware.cores:
            raise too_few_cores(network, hardware, baseline.cores)
        return Partition(baseline, (baseline,), baseline)
    tries = _Tries(network, hardware, baseline, method, seed)
    steps = tries.steps()
    tried: Dict[str, None] = {}  # methods of steps with a result, valid or not, in order
    for number, (name, step) in enumerate(steps):
        lowest = tries.best.connectivity if tries.valid else np.inf
        found = step(lowest * tries.scale, _step_progress(progress, number, len(steps), name, lowest))
        tried.update({name: None} if found else {})
        for core in found:
            if core is not None:
                tries.add(name, core)
    if not tries.valid:
        raise too_few_cores(network, hardware, baseline.cores)
    warnings, succeeded = tries.warnings, {one.method for one in tries.valid}
    if tries.best.connectivity:  # else there is nothing to improve
        warnings += [f"{name} found no mapping within the limits" for name in tried if name not in succeeded]
    return Partition(tries.best, tuple(tries.valid), baseline, tuple(warnings))


def _step_progress(progress: Progress, number: int, steps: int, name: str, lowest: float) -> Progress:
    """Return the progress of one method as a part of the progress of all methods."""
    note = name if lowest == np.inf else f"{name}, connectivity so far {lowest:,.0f}"
    return lambda done, total, _="": progress(number * total + done, steps * total, note)


class _Tries:
    """Steps of `partition`, and the valid partitions that they have found."""

    def __init__(
        self, network: PlacedNetwork, hardware: Hardware, baseline: TrafficSums, method: str, seed: int
    ) -> None:
        self._network, self._hardware, self._method, self._seed = network, hardware, method, seed
        self._baseline = baseline
        self.valid = [baseline] if baseline.cores <= hardware.cores else []
        self._undivided = baseline.core  # the last partition, before cores were divided
        self._patch = np.empty(0, np.int32)  # the patch of each neuron that was tried last
        self._installed = kahypar_is_installed()
        self.warnings = [] if self._installed else [WITHOUT]
        self._loads, capacity = synapse_loads(network, hardware)
        self._without_memory = Limits.of(hardware)
        self._limits = self._without_memory._replace(synapses=capacity)
        spikes = network.spikes[network.first :].sum()
        self.scale = network.counts.sum() / spikes if spikes else 1.0  # of the costs of the search
        self._single = self._contract_single()
        if method == "hypergraph" and self._single is None:
            raise InputError(
                f"the network has more than {MOST_SINGLE_NEURONS:,} neurons or {MOST_SINGLE_PINS:,} pins, too many for "
                "individual placement: use --method groups"
            )

    def _contract_single(self) -> Optional[Contracted]:
        """Return the network with a group for each neuron, or None if it is too large."""
        network = self._network
        synapses = (2 if network.listed else 64) * MOST_SINGLE_PINS  # sources at a position share their pins
        if network.neurons > MOST_SINGLE_NEURONS or network.in_degrees.sum() > synapses:
            return None
        single = contract(network, np.arange(network.neurons, dtype=np.int32), network.neurons, self._loads)
        return single if single.pins <= MOST_SINGLE_PINS else None

    def steps(self) -> List[Tuple[str, Step]]:
        """Return the steps of the method, each with the name of the method whose partitions it gives."""
        steps: List[Tuple[str, Step]] = []
        if self._method != "hypergraph":
            if self._memory_is_estimated:
                if not self._anew:
                    steps += [("groups", partial(self._patches, share, alike)) for share, alike in PATCHES]
                if self._memory_is_abundant:
                    steps.append(("groups", self._groups_without_memory))
                    if self._takes_neurons and not self._anew:
                        steps.append(("hypergraph", self._cycle_without_memory))
                steps.append(("groups", self._groups_with_estimates))
            elif not self._takes_neurons or self._network.neurons > FEWEST_GROUPS:
                steps.append(("groups", self._groups))
        if self._takes_neurons:
            most_pins = FEW_PINS if steps and not self._network.listed else MOST_PINS
            steps.append(("hypergraph", partial(self._neurons, most_pins)))
        return steps

    def add(self, method: str, core: np.ndarray) -> None:
        """Divide the cores that exceed a limit; add the partition unless that makes too many."""
        _, first, inverse = np.unique(core, return_index=True, return_inverse=True)
        rank = np.empty(first.size, np.int32)  # number cores without gaps, in the order of their first neurons
        rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
        sums = replace(split_overfull(self._network, rank[inverse], self._hardware), method=method)
        if sums.cores <= self._hardware.cores:
            self.valid.append(sums)
            self._undivided = rank[inverse]

    @property
    def best(self) -> TrafficSums:
        """The valid partition with the lowest connectivity."""
        return min(self.valid, key=lambda one: one.connectivity)

    @property
    def _takes_neurons(self) -> bool:
        """Whether Mt-KaHyPar partitions single neurons."""
        return self._method != "groups" and self._single is not None and self._installed

    @cached_property
    def _anew(self) -> bool:
        """Whether to partition single neurons anew after groups, which share few sources if most weights were dropped.

        That requires that the neurons alone determine the number of cores, since Mt-KaHyPar knows no other limit; or
        that synapse memory is limited, since the patches tried otherwise suppose that sources share lists of synapses.
        """
        network = self._network
        sparse = [p for p in network.graph.projections if p.enumerated and p.connections]
        if self._memory_is_estimated:
            suits = self._memory_is_abundant
        else:
            suits = self._baseline.cores <= -(-network.neurons // self._limits.neurons) * (1 + MORE_CORES)
        if not (self._takes_neurons and sparse and suits):
            return False
        kept, nodes = sum(projection.number_of_edges for projection in sparse), network.graph.number_of_nodes()
        dropped = sum(KernelProjection(p.connections, nodes).number_of_edges for p in sparse) - kept
        synapses = int(network.in_degrees.sum())
        return synapses < MOST_KEPT * (synapses + dropped)

    @property
    def _memory_is_estimated(self) -> bool:
        """Whether the memory is limited, and that of shared lists only estimated by `synapse_loads`."""
        return self._limits.synapses < self._without_memory.synapses and not self._network.listed

    @property
    def _memory_is_abundant(self) -> bool:
        """Whether the neurons need more than `ABUNDANT` times as many cores as the memory."""
        needed = self._loads.sum() / self._limits.synapses
        return ABUNDANT * needed < self._network.neurons / self._limits.neurons

    @property
    def _estimates_help(self) -> bool:
        """Whether to limit the estimated memory: for small networks and those without a mapping."""
        return self._network.neurons <= FEW_GROUPS or all(one is self._baseline for one in self.valid)

    def _search_groups(
        self,
        net: Contracted,
        start: np.ndarray,
        known: float,
        progress: Progress,
        limits: Limits,
        most_visits: int = MOST_VISITS,
    ) -> Cores:
        """Search for a mapping of groups, see `search_groups`."""
        return search_groups(
            net,
            start,
            known,
            progress,
            limits=limits,
            most=self._hardware.cores,
            seed=self._seed,
            warn=self.warnings.append,
            most_visits=most_visits,
        )

    def _patches(self, share: int, alike: bool, known: float, progress: Progress) -> Sequence[Cores]:
        """Return patches, each of which takes a part of a core with its shared lists of synapses, and their partition.

        The search does not know the output axons and the exact memory, so patches on cores of their own can be better.
        Smaller patches do not keep to their part of the output axons: cores can be divided.
        """
        network, limits = self._network, self._limits
        part = limits._replace(neurons=max(limits.neurons // share, 1), synapses=limits.synapses // share)
        axons_out = self._hardware.axons_out_per_core if share == 1 else None
        group, groups = patches(network, part, axons_out, mixed=share == 1, alike=alike)
        if np.array_equal(group, self._patch):
            return []
        self._patch = group
        loads = np.zeros(network.neurons, np.int64)
        loads[np.unique(group, return_index=True)[1]] = shared_entries(count_traffic(network, group, groups))
        net, start = contract(network, group, groups, loads), np.arange(groups, dtype=np.int32)
        core = self._search_groups(net, start, known, progress, limits, FEW_VISITS)
        return [*([group] if share == 1 else []), None if core is None else core[group]]

    def _groups(self, known: float, progress: Progress) -> Sequence[Cores]:
        """Partition groups of neurons, or let cores grow without kernels; then move single neurons if there are few."""
        if self._network.listed:
            core: Cores = grown(self._network, self._loads, self._limits)
        else:
            core = self._core_of_groups(self._loads, self._limits, known, progress)
        if core is not None and self._single is not None:
            moves = Search(self._single, core, int(core.max()) + 1, self._limits, self._seed)
            moves.descend()
            core = moves.core.copy()
        return [core]

    def _groups_without_memory(self, known: float, progress: Progress) -> Sequence[Cores]:
        """Partition groups of neurons without the limit of synapse memory."""
        loads = np.zeros_like(self._loads)
        return [self._core_of_groups(loads, self._without_memory, known, progress)]

    def _groups_with_estimates(self, known: float, progress: Progress) -> Sequence[Cores]:
        """Partition groups of neurons with the estimate of synapse memory, where that helps."""
        return self._groups(known, progress) if self._estimates_help else []

    def _core_of_groups(self, loads: np.ndarray, limits: Limits, known: float, progress: Progress) -> Cores:
        """Return the cores of the neurons after a search on groups; the sequential partition is one of its starts."""
        group, groups = grouped(self._network, loads, limits)
        net = contract(self._network, group, groups, loads)
        start = np.zeros(groups, np.int32)
        start[group[::-1]] = self._baseline.core[::-1]  # the core of the first neuron of each group
        most_visits = FEW_VISITS if self._anew else MOST_VISITS
        core = self._search_groups(net, start, known, progress, limits, most_visits)
        return None if core is None else core[group]

    def _cycle_without_memory(self, known: float, progress: Progress) -> Sequence[Cores]:
        """Improve the last partition on single neurons without the limit of synapse memory, if it is a good one."""
        if not self.valid or self.valid[-1].connectivity * self.scale > WORTH * known:
            return []
        return [self._search_neurons(self._undivided, progress, self._without_memory, FEW_PINS)]

    def _neurons(self, most_pins: int, known: float, progress: Progress) -> Sequence[Cores]:
        """Partition single neurons; `auto` improves the best partition, unless memory is scarce."""
        auto = self._method == "auto"
        if auto and self._memory_is_estimated and not (self._memory_is_abundant or self._estimates_help):
            return []
        found = self.best.core if auto and self.valid else None
        again = not (self._memory_is_estimated and self._memory_is_abundant)  # else in `_cycle_without_memory`
        return [self._search_neurons(found, progress, self._limits, most_pins, again=again)]

    def _search_neurons(
        self, found: Cores, progress: Progress, limits: Limits, most_pins: int, *, again: bool = True
    ) -> Cores:
        """Search for a mapping of single neurons, see `search_neurons`."""
        assert self._single is not None
        return search_neurons(
            self._single,
            self._baseline.core,
            found,
            progress,
            limits=limits,
            most=self._hardware.cores,
            seed=self._seed,
            warn=self.warnings.append,
            most_pins=most_pins,
            again=again,
            anew=self._anew,
        )
