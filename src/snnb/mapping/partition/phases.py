"""The phases of the search, in the order of docs/mapping-methods.md.

A phase coarsens the network in its own way, and partitions and refines the result; the
last ones take single neurons. `list_phases` has the order in which `partition` runs
them; no network has all.
"""

from abc import ABC, abstractmethod
from typing import List, Optional, Tuple

import numpy as np

from snnb.chips.hardware import Limits
from snnb.core.progress import Progress
from snnb.mapping.limits import shared_entries
from snnb.mapping.partition import mtkahypar
from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.groups import group_neurons
from snnb.mapping.partition.growth import grow_cores
from snnb.mapping.partition.initial import initial_partitions
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.patches import cut_into_patches
from snnb.mapping.partition.refinement import Cores, Refinement, refine
from snnb.mapping.partition.search import PartitionsFound, SearchTask
from snnb.mapping.traffic import count_traffic


class Phase(ABC):
    """A phase of the search.

    Attributes
    ----------
    method : {"groups", "hypergraph"}
        The method whose partitions it finds.
    task : SearchTask
        The network and the chip.
    results : PartitionsFound
        The partitions of the phases before.
    """

    method: str

    def __init__(self, task: SearchTask, results: PartitionsFound) -> None:
        self.task = task
        self.results = results

    @abstractmethod
    def applies(self) -> bool:
        """Whether the search has this phase: known before the first phase runs."""

    def is_promising(self) -> bool:
        """Whether the phase is run when its turn comes, given the results so far."""
        return True

    @abstractmethod
    def improve(self, progress: Progress) -> List[np.ndarray]:
        """Return partitions, which may be none, be worse or exceed limits.

        A partition is the core of each neuron: int32, shape (neurons,).
        """


class GroupPhase(Phase):
    """A phase that moves groups of neurons between cores.

    `Growth` has no groups: it shares `_descend_by_neurons`.
    """

    method = "groups"

    def _partition_groups(
        self,
        loads: np.ndarray,
        limits: Limits,
        progress: Progress,
    ) -> Cores:
        """Group neurons with the same sources or targets, and partition the groups.

        `loads` (int64, shape (neurons,)) count towards `limits.synapses`.
        """
        task = self.task
        group, groups = group_neurons(task.network, loads, limits, task.settings)
        start = np.zeros(groups, np.int32)
        # The core of the first neuron of each group, which is assigned last
        start[group[::-1]] = task.baseline.core[::-1]
        problem = task.problem(task.contract(group, groups, loads), limits)
        max_visits = task.settings.max_visits
        if task.starts_from_scratch:  # time is left for the single neurons
            max_visits = task.settings.max_visits_of_patches
        core = self._refine(problem, start, max_visits, progress)
        return None if core is None else core[group]

    def _refine(
        self,
        problem: Problem,
        start: np.ndarray,
        max_visits: int,
        progress: Progress,
    ) -> Cores:
        """Return the core of each group: int32, shape (groups,); None if none is valid.

        `start`, of the same type and shape, is refined where Mt-KaHyPar is not used or
        returns no partition.
        """
        settings = self.task.settings
        graph: Optional[Hypergraph] = None
        max_jobs = 1
        if self.task.has_mtkahypar and problem.net.groups > 1:
            graph = mtkahypar.hypergraph(problem, settings.max_exact_pins)
            max_jobs = max(1, settings.max_pins // max(graph.pin.size, 1))
        starts = initial_partitions(problem, start, graph, max_jobs)
        return refine(problem, starts, self.results.best_cost, progress, max_visits)

    def _descend_by_neurons(self, core: np.ndarray) -> np.ndarray:
        """Move single neurons if the network is small enough for that.

        `core` and the result are the core of each neuron: int32, shape (neurons,).
        """
        task = self.task
        if task.single_neurons is None:
            return core
        problem = task.problem(task.single_neurons, task.limits)
        refinement = Refinement(problem, core, int(core.max()) + 1, task.seed)
        refinement.descend()
        return refinement.core.copy()


class Groups(GroupPhase):
    """Coarsen to groups, where synapse memory is not shared; then move neurons."""

    def applies(self) -> bool:
        """Whether there are kernels, and memory is not shared."""
        task = self.task
        if task.lists_are_shared or task.network.listed:
            return False
        return task.partitions_groups

    def improve(self, progress: Progress) -> List[np.ndarray]:
        """Return the best partition of groups, after moves of neurons."""
        core = self._partition_groups(self.task.loads, self.task.limits, progress)
        return [] if core is None else [self._descend_by_neurons(core)]


class Patches(GroupPhase):
    """Coarsen to patches, each of which fills a part of a core with its shared lists.

    The refinement does not know the output axons and the exact memory, so patches on
    cores of their own can be better. Patches of a part of a core do not keep to their
    part of the output axons: cores can be divided.

    Attributes
    ----------
    patches_per_core : int
        The part of a core that a patch fills: 1 / `patches_per_core`.
    same_grid : bool
        Whether layers of one shape have the same patches.
    """

    def __init__(
        self,
        task: SearchTask,
        results: PartitionsFound,
        patches_per_core: int,
        same_grid: bool,
    ) -> None:
        super().__init__(task, results)
        self.patches_per_core = patches_per_core
        self.same_grid = same_grid

    def applies(self) -> bool:
        """Whether memory is shared, and neurons are not partitioned from scratch."""
        task = self.task
        if task.starts_from_scratch or not task.lists_are_shared:
            return False
        return task.partitions_groups

    def improve(self, progress: Progress) -> List[np.ndarray]:
        """Return the patches if they fill cores, and the best partition of them."""
        task = self.task
        patch_of_neuron, patches = self._cut()
        if np.array_equal(patch_of_neuron, self.results.last_patches):
            return []
        self.results.last_patches = patch_of_neuron
        # The load of the first neuron of a patch is the entries of the patch
        loads = np.zeros(task.network.neurons, np.int64)
        _, first_neuron = np.unique(patch_of_neuron, return_index=True)
        traffic = count_traffic(task.network, patch_of_neuron, patches)
        loads[first_neuron] = shared_entries(traffic)
        net = task.contract(patch_of_neuron, patches, loads)
        core = self._refine(
            task.problem(net, task.limits),
            np.arange(patches, dtype=np.int32),
            task.settings.max_visits_of_patches,
            progress,
        )
        partitions = [patch_of_neuron] if self.patches_per_core == 1 else []
        if core is not None:
            partitions.append(core[patch_of_neuron])
        return partitions

    def _cut(self) -> Tuple[np.ndarray, int]:
        """Return the patch of each neuron, and the number of patches."""
        task = self.task
        limits = task.limits
        parts = self.patches_per_core
        limits_of_patch = limits._replace(
            neurons=max(limits.neurons // parts, 1),
            synapses=limits.synapses // parts,
        )
        fills_core = parts == 1
        return cut_into_patches(
            task.network,
            limits_of_patch,
            task.settings,
            task.hardware.axons_out_per_core if fills_core else None,
            with_mixed_patches=fills_core and task.settings.mixed_patches,
            same_grid=self.same_grid,
        )


class GroupsWithoutMemory(GroupPhase):
    """Coarsen to groups without a limit of synapse memory; cores are divided later."""

    def applies(self) -> bool:
        """Whether synapse memory is shared and ample."""
        task = self.task
        if not (task.lists_are_shared and task.memory_is_ample):
            return False
        return task.partitions_groups

    def improve(self, progress: Progress) -> List[np.ndarray]:
        """Return the best partition of groups."""
        no_loads = np.zeros_like(self.task.loads)
        limits = self.task.limits_without_memory
        core = self._partition_groups(no_loads, limits, progress)
        return [] if core is None else [core]


class GroupsWithEstimatedMemory(GroupPhase):
    """Coarsen to groups, where a neuron takes an estimated part of the memory."""

    def applies(self) -> bool:
        """Whether synapse memory is shared."""
        return self.task.lists_are_shared and self.task.partitions_groups

    def is_promising(self) -> bool:
        """Whether `estimates_help`."""
        return estimates_help(self.task, self.results)

    def improve(self, progress: Progress) -> List[np.ndarray]:
        """Return the best partition of groups, after moves of neurons."""
        core = self._partition_groups(self.task.loads, self.task.limits, progress)
        return [] if core is None else [self._descend_by_neurons(core)]


class Growth(GroupPhase):
    """Let cores grow in a graph of listed edges; then move neurons."""

    def applies(self) -> bool:
        """Whether the edges of the graph are listed."""
        return self.task.network.listed and self.task.partitions_groups

    def improve(self, progress: Progress) -> List[np.ndarray]:
        """Return the partition that grows, after moves of neurons."""
        task = self.task
        core = grow_cores(task.network, task.loads, task.limits, task.settings)
        return [self._descend_by_neurons(core)]


class NeuronPhase(Phase):
    """A phase that moves single neurons between cores, beginning with Mt-KaHyPar."""

    method = "hypergraph"

    def _partition_neurons(
        self,
        best: Cores,
        limits: Limits,
        max_pins: int,
        progress: Progress,
    ) -> Cores:
        """Return the best partition that Mt-KaHyPar finds and moves improve.

        Mt-KaHyPar partitions from scratch if `best` is None, the task says so, or the
        hypergraph has at most `max_pins` pins. It then improves the best partition,
        which can be `best`, by a V-cycle, if the hypergraph represents cost and limits.
        The partitions (int32, shape (neurons,)) keep the limits; None if none does.
        """
        task = self.task
        settings = task.settings
        assert task.single_neurons is not None
        problem = task.problem(task.single_neurons, limits)
        graph = mtkahypar.hypergraph(problem, settings.max_exact_pins)
        known_cost = np.inf
        start: Optional[mtkahypar.VCycleStart] = None
        if best is not None:
            refinement = Refinement(problem, best, int(best.max()) + 1)
            known_cost = refinement.cost
            max_metric = settings.max_metric_ratio * graph.scale * known_cost
            metric = mtkahypar.connectivity_metric(graph, best)
            if metric > max_metric:
                max_exact_pins = settings.max_exact_pins_of_v_cycle
                graph = mtkahypar.hypergraph(problem, max_exact_pins)
                max_metric = settings.max_metric_ratio * graph.scale * known_cost
                metric = mtkahypar.connectivity_metric(graph, best)
            if refinement.legal and metric <= max_metric:
                start = mtkahypar.VCycleStart(metric, best)
        min_jobs = int(task.starts_from_scratch or best is None)
        max_jobs = max(min_jobs, max_pins // max(graph.pin.size, 1))
        starts = initial_partitions(problem, task.baseline.core, graph, max_jobs)
        has_start = starts.number > 0 or start is not None
        if has_start and graph.pin.size <= settings.max_pins_of_v_cycle:
            starts = mtkahypar.append_v_cycle(problem, starts, graph, start)
        if starts.number == 0:
            return None
        return refine(problem, starts, known_cost, progress, settings.max_visits)


class VCycleWithoutMemory(NeuronPhase):
    """Improve the last valid partition on single neurons by a V-cycle.

    It is that of `GroupsWithoutMemory`, unless this found none.
    """

    def applies(self) -> bool:
        """Whether memory is shared and ample, and Mt-KaHyPar takes the neurons."""
        task = self.task
        if task.starts_from_scratch or not task.partitions_single_neurons:
            return False
        is_without_memory = task.lists_are_shared and task.memory_is_ample
        return is_without_memory and task.partitions_groups

    def is_promising(self) -> bool:
        """Whether the last valid partition costs hardly more than the best."""
        if not self.results.valid:
            return False
        last_cost = self.task.cost(self.results.valid[-1])
        max_ratio = self.task.settings.max_cost_ratio_to_anneal
        return last_cost <= max_ratio * self.results.best_cost

    def improve(self, progress: Progress) -> List[np.ndarray]:
        """Return the best partition that the V-cycle and moves find."""
        core = self._partition_neurons(
            self.results.last_unrepaired,
            self.task.limits_without_memory,
            self.task.settings.max_pins_after_groups,
            progress,
        )
        return [] if core is None else [core]


class SingleNeurons(NeuronPhase):
    """Do not coarsen: partition single neurons, or improve the best partition."""

    def applies(self) -> bool:
        """Whether Mt-KaHyPar takes the neurons."""
        return self.task.partitions_single_neurons

    def is_promising(self) -> bool:
        """Whether memory is not scarce, or `estimates_help`.

        The method `hypergraph` has no other phase.
        """
        task = self.task
        if task.method == "hypergraph" or not task.lists_are_shared:
            return True
        return task.memory_is_ample or estimates_help(task, self.results)

    def improve(self, progress: Progress) -> List[np.ndarray]:
        """Return the best partition that Mt-KaHyPar and moves find."""
        task = self.task
        settings = task.settings
        best: Cores = None
        if task.method == "auto" and self.results.valid:
            best = self.results.best.core
        if task.partitions_groups and not task.network.listed:
            max_pins = settings.max_pins_after_groups
        else:
            max_pins = settings.max_pins
        core = self._partition_neurons(best, task.limits, max_pins, progress)
        return [] if core is None else [core]


def estimates_help(task: SearchTask, results: PartitionsFound) -> bool:
    """Whether to limit estimated memory: of small networks, or without a result.

    There is none if no phase has found a valid partition.
    """
    is_small = task.network.neurons <= task.settings.max_neurons_for_memory_estimate
    return is_small or results.has_only_baseline


def list_phases(task: SearchTask, results: PartitionsFound) -> List[Phase]:
    """Return the phases that the search has, in the order of docs/mapping-methods.md."""
    phases: List[Phase] = [
        Groups(task, results),
        *(Patches(task, results, *kind) for kind in task.settings.patches),
        GroupsWithoutMemory(task, results),
        VCycleWithoutMemory(task, results),
        GroupsWithEstimatedMemory(task, results),
        Growth(task, results),
        SingleNeurons(task, results),
    ]
    return [phase for phase in phases if phase.applies()]
