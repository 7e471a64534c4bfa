"""What the phases of the search share: the task, and the partitions that are found."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import List, Optional

import numpy as np

from snnb.chips.hardware import Hardware, Limits
from snnb.core.progress import Say
from snnb.graph.projection import SparseProjection
from snnb.mapping.limits import synapse_loads
from snnb.mapping.partition import mtkahypar
from snnb.mapping.partition.contraction import Contracted, Problem, contract
from snnb.mapping.partition.repair import split_overfull
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork, TrafficSums


@dataclass(frozen=True, eq=False)
class SearchTask:
    """A network to partition, and what decides which phases the search has.

    Nothing in it changes during the search.
    """

    network: MappableNetwork
    hardware: Hardware
    method: str  # `groups`, `hypergraph` or `auto`
    seed: int
    settings: SearchSettings
    baseline: TrafficSums  # the sequential partition, which may have too many cores
    loads: np.ndarray  # (neurons,) int64: see `limits.synapse_loads`
    limits: Limits  # of a core; `synapses` is the capacity for these loads
    # A group for each neuron, or None if the network is too large for that
    single_neurons: Optional[Contracted]
    has_mtkahypar: bool
    warn: Say  # called with a message for each run of Mt-KaHyPar that fails

    @classmethod
    def of(
        cls,
        network: MappableNetwork,
        hardware: Hardware,
        baseline: TrafficSums,
        method: str,
        seed: int,
        settings: SearchSettings,
        warn: Say,
    ) -> "SearchTask":
        """Return the task: compute the loads of the neurons, and groups of one."""
        loads, capacity = synapse_loads(network, hardware)
        return cls(
            network=network,
            hardware=hardware,
            method=method,
            seed=seed,
            settings=settings,
            baseline=baseline,
            loads=loads,
            limits=Limits.of(hardware)._replace(synapses=capacity),
            single_neurons=_contract_single_neurons(network, hardware, loads, settings),
            has_mtkahypar=mtkahypar.is_installed(),
            warn=warn,
        )

    def problem(self, net: Contracted, limits: Limits) -> Problem:
        """Return the problem to assign the groups of `net` to the cores."""
        return Problem(
            net=net,
            limits=limits,
            max_cores=self.hardware.cores,
            seed=self.seed,
            settings=self.settings,
            warn=self.warn,
        )

    @property
    def limits_without_memory(self) -> Limits:
        """Limits of a core without those of synapse memory that sources share."""
        return Limits.of(self.hardware)

    @property
    def lists_are_shared(self) -> bool:
        """Whether memory is limited and sources share lists in it.

        The loads of the neurons are then only an estimate.
        """
        is_memory_limited = self.limits.synapses < self.limits_without_memory.synapses
        return is_memory_limited and not self.network.listed

    @property
    def memory_is_ample(self) -> bool:
        """Whether the neurons need many times as many cores as the memory."""
        cores_for_memory = self.loads.sum() / self.limits.synapses
        cores_for_neurons = self.network.neurons / self.limits.neurons
        ratio = self.settings.min_ratio_of_ample_memory
        return bool(ratio * cores_for_memory < cores_for_neurons)

    @property
    def partitions_single_neurons(self) -> bool:
        """Whether Mt-KaHyPar partitions single neurons."""
        is_possible = self.single_neurons is not None and self.has_mtkahypar
        return is_possible and self.method != "groups"

    @property
    def partitions_groups(self) -> bool:
        """Whether phases with groups precede those with single neurons."""
        if self.method == "hypergraph":
            return False
        if self.lists_are_shared or not self.partitions_single_neurons:
            return True
        return self.network.neurons > self.settings.max_neurons_without_groups

    @cached_property
    def starts_from_scratch(self) -> bool:
        """Whether single neurons are partitioned from scratch, not from groups.

        So they are if most weights were dropped, since they then share few sources. It
        requires that the neurons alone determine the number of cores, since Mt-KaHyPar
        knows no other limit; or that synapse memory is limited, since patches suppose
        that sources share lists of synapses.
        """
        network = self.network
        projections = network.graph.projections
        sparse = [p for p in projections if isinstance(p, SparseProjection)]
        if self.lists_are_shared:
            neurons_decide = self.memory_is_ample
        else:
            min_cores = -(-network.neurons // self.limits.neurons)
            max_cores = min_cores * (1 + self.settings.extra_cores)
            neurons_decide = self.baseline.cores <= max_cores
        if not (self.partitions_single_neurons and sparse and neurons_decide):
            return False
        synapses = int(network.in_degrees.sum())
        weights = synapses + sum(projection.n_zero_weights for projection in sparse)
        return synapses < self.settings.max_weights_kept_for_scratch * weights

    def contract(self, group: np.ndarray, groups: int, loads: np.ndarray) -> Contracted:
        """Contract neurons into groups, see `contract`."""
        return contract(
            self.network,
            group,
            groups,
            loads,
            input_counts=counts_input(self.hardware),
        )

    def cost(self, sums: TrafficSums) -> float:
        """Return the cost of a partition in the search.

        It is in spikes over all samples, see `MappableNetwork.counts`.
        """
        return spikes_on_mesh(sums, self.hardware) * self.network.counts_per_spike


def counts_input(hardware: Hardware) -> bool:
    """Return whether spikes of the input take routes: the chip has input ports."""
    return hardware.input_ports is not None


def spikes_on_mesh(sums: TrafficSums, hardware: Hardware) -> float:
    """Return the spikes between cores, and those of the input if they take routes."""
    if counts_input(hardware):
        return sums.connectivity + sums.outside
    return sums.connectivity


def _contract_single_neurons(
    network: MappableNetwork,
    hardware: Hardware,
    loads: np.ndarray,
    settings: SearchSettings,
) -> Optional[Contracted]:
    """Return a network with a group for each neuron, or None if it is too large."""
    synapses_per_pin = settings.max_synapses_per_pin
    if network.listed:
        synapses_per_pin = settings.max_listed_synapses_per_pin
    max_synapses = synapses_per_pin * settings.max_single_pins
    if network.in_degrees.sum() > max_synapses:
        return None
    if network.neurons > settings.max_single_neurons:
        return None
    group = np.arange(network.neurons, dtype=np.int32)
    net = contract(
        network,
        group,
        network.neurons,
        loads,
        input_counts=counts_input(hardware),
    )
    return net if net.pins <= settings.max_single_pins else None


class PartitionsFound:
    """The valid partitions of a search, in the order in which they were found."""

    def __init__(self, task: SearchTask) -> None:
        self._task = task
        baseline = task.baseline
        is_valid = baseline.cores <= task.hardware.cores
        self.valid: List[TrafficSums] = [baseline] if is_valid else []
        # (neurons,) int32: the core of each neuron in the last valid partition of a
        # phase, before it was repaired; at first that in the baseline, valid or not
        self.last_unrepaired = baseline.core
        # (neurons,) int32: the patch of each neuron in the last phase with patches
        self.last_patches = np.empty(0, np.int32)

    def add(self, method: str, core: np.ndarray) -> None:
        """Repair a partition, and add it unless it then has too many cores.

        `core` (int32, shape (neurons,)) is the core of each neuron.
        """
        task = self._task
        core = number_by_first_neuron(core)
        sums = split_overfull(task.network, core, task.hardware)
        if sums.cores <= task.hardware.cores:
            self.valid.append(replace(sums, method=method))
            self.last_unrepaired = core

    @property
    def best(self) -> TrafficSums:
        """The valid partition with the lowest cost."""
        return min(self.valid, key=self._task.cost)

    @property
    def best_cost(self) -> float:
        """Cost of the best partition in a search; infinite if none is valid."""
        if not self.valid:
            return np.inf
        return self._task.cost(self.best)

    @property
    def has_only_baseline(self) -> bool:
        """Whether no phase has found a valid partition."""
        return all(sums is self._task.baseline for sums in self.valid)


def number_by_first_neuron(core: np.ndarray) -> np.ndarray:
    """Renumber cores without gaps, in the order of their first neurons.

    The cores 7, 7, 2, 7 and 5 of five neurons become 0, 0, 1, 0 and 2. Both arrays have
    the shape (neurons,); the result is int32.
    """
    _, first_neuron, index = np.unique(core, return_index=True, return_inverse=True)
    number = np.empty(first_neuron.size, np.int32)
    number[np.argsort(first_neuron)] = np.arange(first_neuron.size, dtype=np.int32)
    return number[index]
