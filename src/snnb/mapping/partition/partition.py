"""Partition a network: assign its neurons to cores, so that few spikes travel between cores."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from snnb.chips.hardware import Hardware, Limits
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.graph.projection import SparseProjection
from snnb.mapping.limits import shared_entries, synapse_loads
from snnb.mapping.partition import mtkahypar
from snnb.mapping.partition.contraction import Contracted, Problem, contract
from snnb.mapping.partition.groups import grouped
from snnb.mapping.partition.growth import grown
from snnb.mapping.partition.initial import initial_partitions, sequential_baseline
from snnb.mapping.partition.patches import patches
from snnb.mapping.partition.refinement import Cores, Refinement, refine
from snnb.mapping.partition.repair import split_overfull
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.refusals import too_few_cores
from snnb.mapping.traffic import MappableNetwork, TrafficSums, count_traffic

NOT_INSTALLED = "Mt-KaHyPar is not installed: only snnb's own search is used; for better results: pip install mtkahypar"
# Return the cores of the neurons in each partition found, before repair
Phase = Callable[[Progress], Sequence[Cores]]


@dataclass(frozen=True, eq=False)
class Partition:
    """A core for each neuron, within the limits of the hardware."""

    best: TrafficSums
    tried: Tuple[TrafficSums, ...]  # valid partitions of all methods that were tried, `sequential` first
    sequential: TrafficSums  # the baseline; it may need more cores than there are
    warnings: Tuple[str, ...] = ()  # methods without a result, and why


def partition(
    network: MappableNetwork,
    hardware: Hardware,
    *,
    method: str = "auto",
    seed: int = 0,
    settings: SearchSettings = SearchSettings(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Partition:
    """Assign each neuron to a core, so that few spikes travel between cores; the same seed gives the same partition.

    docs/mapping.md has the method in pseudo-code. The network is one that `check_possible` accepts.

    Raise `InputError` if the hardware has too few cores; or `method` is `hypergraph`, and Mt-KaHyPar is not installed
    or the network is too large.
    """
    if method == "hypergraph":
        mtkahypar.require()
    baseline = sequential_baseline(network, hardware, progress)
    if method == "sequential":
        if baseline.cores > hardware.cores:
            raise too_few_cores(network, hardware, baseline)
        return Partition(baseline, (baseline,), baseline)
    search = _Search(network, hardware, baseline, method, seed, settings)
    phases = search.phases()
    methods: Dict[str, None] = {}  # with a result, valid or not, in order
    for number, (name, phase) in enumerate(phases):
        cores_found = phase(search.progress_of(progress, number, len(phases), name))
        methods.update({name: None} if cores_found else {})
        for core in cores_found:
            if core is not None:
                search.keep(name, core)
    if not search.valid:
        raise too_few_cores(network, hardware, baseline)
    warnings, succeeded = search.warnings, {one.method for one in search.valid}
    if search.best.connectivity:  # else there is nothing to improve
        warnings += [f"{name} found no mapping within the limits" for name in methods if name not in succeeded]
    return Partition(search.best, tuple(search.valid), baseline, tuple(warnings))


class _Search:
    """The phases of `partition`, and the valid partitions that they have found."""

    def __init__(
        self,
        network: MappableNetwork,
        hardware: Hardware,
        baseline: TrafficSums,
        method: str,
        seed: int,
        settings: SearchSettings,
    ) -> None:
        self._network, self._hardware, self._method, self._seed = network, hardware, method, seed
        self._baseline, self._settings = baseline, settings
        self.valid = [baseline] if baseline.cores <= hardware.cores else []
        self._unrepaired = baseline.core  # the last valid partition, before repair
        self._patch = np.empty(0, np.int32)  # the patch of each neuron that was tried last
        self._installed = mtkahypar.is_installed()
        self.warnings = [] if self._installed else [NOT_INSTALLED]
        self._loads, capacity = synapse_loads(network, hardware)
        self._without_memory = Limits.of(hardware)
        self._limits = self._without_memory._replace(synapses=capacity)
        # Whether the memory is limited, and sources share lists of it, so that `synapse_loads` are an estimate
        self._lists_are_shared = capacity < self._without_memory.synapses and not network.listed
        # Whether the neurons need many times as many cores as the memory
        cores_for_memory, cores_for_neurons = self._loads.sum() / capacity, network.neurons / self._limits.neurons
        self._memory_is_ample = settings.min_ratio_of_ample_memory * cores_for_memory < cores_for_neurons
        spikes = network.spikes[network.first :].sum()
        self._scale = network.counts.sum() / spikes if spikes else 1.0  # of the costs of the search
        self._single = self._contract_single()
        # Whether Mt-KaHyPar partitions single neurons
        self._takes_neurons = method != "groups" and self._single is not None and self._installed
        if method == "hypergraph" and self._single is None:
            raise InputError(
                f"the network has more than {settings.max_single_neurons:,} neurons or "
                f"{settings.max_single_pins:,} pins, too many for individual placement: use --method groups"
            )

    def _contract_single(self) -> Optional[Contracted]:
        """Return the network with a group for each neuron, or None if it is too large."""
        network, settings = self._network, self._settings
        per_pin = settings.max_listed_synapses_per_pin if network.listed else settings.max_synapses_per_pin
        too_many = network.in_degrees.sum() > per_pin * settings.max_single_pins
        if too_many or network.neurons > settings.max_single_neurons:
            return None
        single = contract(network, np.arange(network.neurons, dtype=np.int32), network.neurons, self._loads)
        return single if single.pins <= settings.max_single_pins else None

    def phases(self) -> List[Tuple[str, Phase]]:
        """Return the phases of the method, each with the name of the method whose partitions it gives."""
        phases: List[Tuple[str, Phase]] = []
        small = self._network.neurons <= self._settings.max_neurons_without_groups
        if self._method != "hypergraph":
            if self._lists_are_shared:
                if not self._from_scratch:
                    phases += [("groups", partial(self._patches, *kind)) for kind in self._settings.patches]
                if self._memory_is_ample:
                    phases.append(("groups", self._groups_without_memory))
                    if self._takes_neurons and not self._from_scratch:
                        phases.append(("hypergraph", self._v_cycle_without_memory))
                phases.append(("groups", self._groups))
            elif not (self._takes_neurons and small):
                phases.append(("groups", self._groups))
        if self._takes_neurons:
            after_groups = bool(phases) and not self._network.listed
            max_pins = self._settings.max_pins_after_groups if after_groups else self._settings.max_pins
            phases.append(("hypergraph", partial(self._neurons, max_pins)))
        return phases

    def keep(self, method: str, core: np.ndarray) -> None:
        """Repair a partition, and add it unless it then has too many cores."""
        _, first, inverse = np.unique(core, return_index=True, return_inverse=True)
        rank = np.empty(first.size, np.int32)  # number cores without gaps, in the order of their first neurons
        rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
        sums = replace(split_overfull(self._network, rank[inverse], self._hardware), method=method)
        if sums.cores <= self._hardware.cores:
            self.valid.append(sums)
            self._unrepaired = rank[inverse]

    @property
    def best(self) -> TrafficSums:
        """The valid partition with the lowest connectivity."""
        return min(self.valid, key=lambda one: one.connectivity)

    def progress_of(self, progress: Progress, number: int, phases: int, name: str) -> Progress:
        """Return the progress of one phase as a part of the progress of all."""
        note = f"{name}, connectivity so far {self.best.connectivity:,.0f}" if self.valid else name
        return lambda done, total, _="": progress(number * total + done, phases * total, note)

    @property
    def _best_known_cost(self) -> float:
        return self.best.connectivity * self._scale if self.valid else np.inf

    @cached_property
    def _from_scratch(self) -> bool:
        """Whether to partition single neurons from scratch: if most weights were dropped, they share few sources.

        That requires that the neurons alone determine the number of cores, since Mt-KaHyPar knows no other limit; or
        that synapse memory is limited, since patches suppose that sources share lists of synapses.
        """
        network = self._network
        sparse = [projection for projection in network.graph.projections if isinstance(projection, SparseProjection)]
        if self._lists_are_shared:
            suits = self._memory_is_ample
        else:
            min_cores = -(-network.neurons // self._limits.neurons)
            suits = self._baseline.cores <= min_cores * (1 + self._settings.extra_cores)
        if not (self._takes_neurons and sparse and suits):
            return False
        synapses, dropped = int(network.in_degrees.sum()), sum(projection.dropped for projection in sparse)
        return synapses < self._settings.max_weights_kept_for_scratch * (synapses + dropped)

    @property
    def _estimates_help(self) -> bool:
        """Whether to limit the estimated memory: for small networks and those without a mapping."""
        small = self._network.neurons <= self._settings.max_neurons_for_memory_estimate
        return small or all(one is self._baseline for one in self.valid)

    def _patches(self, per_core: int, same_grid: bool, progress: Progress) -> Sequence[Cores]:
        """Coarsen to patches, each of which takes a part of a core with its shared lists of synapses, and refine.

        The refinement does not know the output axons and the exact memory, so patches on cores of their own can be
        better. Smaller patches do not keep to their part of the output axons: cores can be divided.
        """
        network, limits = self._network, self._limits
        part = limits._replace(neurons=max(limits.neurons // per_core, 1), synapses=limits.synapses // per_core)
        whole, mixed = per_core == 1, per_core == 1 and self._settings.mixed_patches
        axons_out = self._hardware.axons_out_per_core if whole else None
        group, groups = patches(network, part, self._settings, axons_out, mixed=mixed, same_grid=same_grid)
        if np.array_equal(group, self._patch):
            return []
        self._patch = group
        loads = np.zeros(network.neurons, np.int64)
        loads[np.unique(group, return_index=True)[1]] = shared_entries(count_traffic(network, group, groups))
        problem = self._problem(contract(network, group, groups, loads), limits)
        start = np.arange(groups, dtype=np.int32)
        core = self._refined(problem, start, progress, self._settings.max_visits_of_patches)
        return [*([group] if whole else []), None if core is None else core[group]]

    def _groups(self, progress: Progress) -> Sequence[Cores]:
        """Coarsen to groups, or let cores grow without kernels; then move single neurons if there are few.

        Where sources share lists, synapse memory is estimated, if that helps.
        """
        if self._lists_are_shared and not self._estimates_help:
            return []
        if self._network.listed:
            core: Cores = grown(self._network, self._loads, self._limits, self._settings)
        else:
            core = self._core_of_groups(self._loads, self._limits, progress)
        if core is not None and self._single is not None:
            problem = self._problem(self._single, self._limits)
            moves = Refinement(problem, core, int(core.max()) + 1, self._seed)
            moves.descend()
            core = moves.core.copy()
        return [core]

    def _groups_without_memory(self, progress: Progress) -> Sequence[Cores]:
        """Coarsen to groups, and refine without the limit of synapse memory."""
        return [self._core_of_groups(np.zeros_like(self._loads), self._without_memory, progress)]

    def _core_of_groups(self, loads: np.ndarray, limits: Limits, progress: Progress) -> Cores:
        """Return the cores of the neurons after a refinement of groups."""
        group, groups = grouped(self._network, loads, limits, self._settings)
        start = np.zeros(groups, np.int32)
        start[group[::-1]] = self._baseline.core[::-1]  # the core of the first neuron of each group
        problem, settings = self._problem(contract(self._network, group, groups, loads), limits), self._settings
        max_visits = settings.max_visits_of_patches if self._from_scratch else settings.max_visits
        core = self._refined(problem, start, progress, max_visits)
        return None if core is None else core[group]

    def _refined(self, problem: Problem, start: np.ndarray, progress: Progress, max_visits: int) -> Cores:
        """Compute initial partitions of groups, `start` among them, and refine them."""
        graph, max_jobs = None, 1
        if self._installed and problem.net.groups > 1:
            graph = mtkahypar.hypergraph(problem, self._settings.max_exact_pins)
            max_jobs = max(1, self._settings.max_pins // max(graph.pin.size, 1))
        starts, number = initial_partitions(problem, start, graph, max_jobs)
        return refine(problem, starts, number, self._best_known_cost, progress, max_visits)

    def _v_cycle_without_memory(self, progress: Progress) -> Sequence[Cores]:
        """Improve the last partition on single neurons without the limit of synapse memory, if it is a good one."""
        affordable = self._settings.max_cost_ratio_to_anneal * self._best_known_cost
        if not self.valid or self.valid[-1].connectivity * self._scale > affordable:
            return []
        max_pins = self._settings.max_pins_after_groups
        return [self._refined_neurons(self._unrepaired, progress, self._without_memory, max_pins)]

    def _neurons(self, max_pins: int, progress: Progress) -> Sequence[Cores]:
        """Partition single neurons; `auto` improves the best partition, unless memory is scarce."""
        auto = self._method == "auto"
        if auto and self._lists_are_shared and not (self._memory_is_ample or self._estimates_help):
            return []
        best = self.best.core if auto and self.valid else None
        return [self._refined_neurons(best, progress, self._limits, max_pins)]

    def _refined_neurons(self, best: Cores, progress: Progress, limits: Limits, max_pins: int) -> Cores:
        """Return the best partition of single neurons within the limits that Mt-KaHyPar finds and moves improve.

        Mt-KaHyPar partitions from scratch, also if `best` is None or the hypergraph has at most `max_pins` pins. It
        then improves the best partition, which can be `best`, by a V-cycle, if the hypergraph represents cost and
        limits.
        """
        assert self._single is not None
        settings, problem = self._settings, self._problem(self._single, limits)
        graph, known_cost, measured = mtkahypar.hypergraph(problem, settings.max_exact_pins), np.inf, None
        if best is not None:
            start = Refinement(problem, best, int(best.max()) + 1)
            known_cost, metric = start.cost, mtkahypar.connectivity_metric(graph, best)
            if metric > settings.max_metric_ratio * graph.scale * known_cost:
                graph = mtkahypar.hypergraph(problem, settings.max_exact_pins_of_v_cycle)
                metric = mtkahypar.connectivity_metric(graph, best)
            if start.legal and metric <= settings.max_metric_ratio * graph.scale * known_cost:
                measured = mtkahypar.Measured(metric, best)
        max_jobs = max(int(self._from_scratch or best is None), max_pins // max(graph.pin.size, 1))
        starts, number = initial_partitions(problem, self._baseline.core, graph, max_jobs)
        if graph.pin.size <= settings.max_pins_of_v_cycle and (number or measured is not None):
            starts, number = mtkahypar.then_v_cycle(problem, starts, graph, measured), number + 1
        return refine(problem, starts, number, known_cost, progress, settings.max_visits) if number else None

    def _problem(self, net: Contracted, limits: Limits) -> Problem:
        return Problem(net, limits, self._hardware.cores, self._seed, self._settings, self.warnings.append)
