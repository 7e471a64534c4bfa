"""What a mapping minimises, and what it costs at least wherever its cores are placed.

An objective is computed exactly for a placement, from its cost. Its bound is known
before: a partition whose bound is not below the best mapping so far is not placed.
"""

from abc import ABC, abstractmethod
from typing import Dict, Type

from snnb.chips.hardware import Hardware
from snnb.mapping.cost import Cost
from snnb.mapping.neuron_figures import NeuronFigures, barrier_of_cores
from snnb.mapping.partition.search import counts_input, spikes_on_mesh
from snnb.mapping.traffic import MappableNetwork, TrafficSums


class Objective(ABC):
    """What `map_network` minimises.

    Attributes
    ----------
    slices_are_fewest : bool
        Whether a partition into few cores is best as a rule, so that slices of few
        cores are tried first.
    """

    slices_are_fewest = True

    def __init__(self, network: MappableNetwork, hardware: Hardware) -> None:
        self.network = network
        self.hardware = hardware

    @abstractmethod
    def value(self, cost: Cost) -> float:
        """Return the value for a mapping."""

    @abstractmethod
    def bound(self, sums: TrafficSums) -> float:
        """Return what the value is at least, for any placement of the cores."""


class SpikesObjective(Objective):
    """Spikes between cores, and with input ports from ports, whatever the placement."""

    def value(self, cost: Cost) -> float:
        """Return the spikes per sample."""
        if counts_input(self.hardware):
            return cost.traffic.connectivity + cost.traffic.outside_spikes
        return cost.traffic.connectivity

    def bound(self, sums: TrafficSums) -> float:
        """Return the same."""
        return spikes_on_mesh(sums, self.hardware)


class HopsObjective(Objective):
    """Links of the routes of all spikes."""

    def value(self, cost: Cost) -> float:
        """Return the hops with unicast routing."""
        return cost.routes.hops_unicast

    def bound(self, sums: TrafficSums) -> float:
        """Return one link for each spike, unless cores share a router."""
        return 0.0 if self.hardware.tile else sums.connectivity


class EnergyObjective(Objective):
    """Energy of a sample."""

    def __init__(self, network: MappableNetwork, hardware: Hardware) -> None:
        super().__init__(network, hardware)
        figures = NeuronFigures.of(network, hardware.energy_pj)
        step_pj = float(figures.updating.sum() + figures.receiving.sum())
        self._neurons_pj = network.graph.interval * step_pj

    def value(self, cost: Cost) -> float:
        """Return the energy in pJ."""
        return cost.energy.picojoules

    def bound(self, sums: TrafficSums) -> float:
        """Return the energy with the shortest route of each spike."""
        energy = self.hardware.energy_pj
        routes_pj = sums.connectivity * energy.router
        if self.hardware.input_ports:
            routes_pj += sums.outside * energy.router
        if not self.hardware.tile:
            links = (energy.link, energy.link_x, energy.link_y, energy.between_chips)
            link_pj = min(figure for figure in links if figure is not None)
            routes_pj += sums.connectivity * link_pj
        sent, received = sums.messages(self.network.spikes).sum(axis=1).tolist()
        messages_pj = sent * (energy.axon_out or 0.0)
        messages_pj += received * (energy.axon_in or 0.0)
        # Rounding must not leave out an equal mapping
        return (self._neurons_pj + messages_pj + routes_pj) * (1 - 1e-12)


class StepObjective(Objective):
    """Time of a step, on hardware with `time_ns`."""

    slices_are_fewest = False

    def __init__(self, network: MappableNetwork, hardware: Hardware) -> None:
        super().__init__(network, hardware)
        assert hardware.time_ns is not None
        self._times = hardware.time_ns
        self._neuron_ns = NeuronFigures.of(network, self._times)

    def value(self, cost: Cost) -> float:
        """Return the time in ns."""
        assert cost.step is not None
        return cost.step.step_ns

    def bound(self, sums: TrafficSums) -> float:
        """Return the time of the slowest core, and of the barrier of the fewest tiles.

        Only links can make a step longer.
        """
        core_ns = self._neuron_ns.core_times(sums, self._times)
        step_ns = core_ns.max() + barrier_of_cores(self.hardware, sums.cores)
        return float(step_ns) * (1 - 1e-12)  # as above


OBJECTIVES: Dict[str, Type[Objective]] = {
    "spikes": SpikesObjective,
    "hops": HopsObjective,
    "energy": EnergyObjective,
    "step": StepObjective,
}
