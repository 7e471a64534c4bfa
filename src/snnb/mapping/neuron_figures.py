"""Energy or time of each neuron, whichever core it is on, and bounds that follow.

The cost of a core is that of its neurons and of the messages that it sends and
receives; `cost.py` has the model. Only messages depend on the partition.
"""

from typing import NamedTuple

import numpy as np

from snnb.chips.hardware import EventFigures, Hardware
from snnb.graph.projection import out_degrees, repeats
from snnb.mapping.cost import active_neurons, count_operations
from snnb.mapping.limits import least_cores
from snnb.mapping.traffic import MappableNetwork, TrafficSums, nodes_of


class NeuronFigures(NamedTuple):
    """Energy (pJ) or time (ns) of each neuron in a step, apart from messages."""

    updating: np.ndarray  # (neurons,) float64: its update, and its spikes
    receiving: np.ndarray  # (neurons,) float64: spikes at its synapses

    @classmethod
    def of(cls, network: MappableNetwork, figures: EventFigures) -> "NeuronFigures":
        """Return the figures in a step with the mean number of spikes."""
        spikes = network.spikes[None] / network.graph.interval
        update = np.where(
            active_neurons(network),
            figures.neuron_active or 0.0,
            figures.neuron_inactive or 0.0,
        )
        operations = count_operations(network, spikes)[0]
        return cls(
            updating=update + spikes[0, network.first :] * (figures.spike or 0.0),
            receiving=operations * (figures.synapse or 0.0),
        )

    @property
    def larger(self) -> np.ndarray:
        """The larger of both sides of each neuron: float64, shape (neurons,)."""
        return np.maximum(self.updating, self.receiving)

    def core_times(self, sums: TrafficSums, figures: EventFigures) -> np.ndarray:
        """Return the time in ns that each core takes: float64, shape (cores,).

        It is `cost.core_times` with the mean number of events, found faster.
        """
        spikes = sums.network.spikes / sums.network.graph.interval
        sent, received = sums.messages(spikes)
        updating = np.bincount(sums.core, self.updating, sums.cores)
        receiving = np.bincount(sums.core, self.receiving, sums.cores)
        updating += sent * (figures.axon_out or 0.0)
        receiving += received * (figures.axon_in or 0.0)
        return np.maximum(updating, receiving)


def work_of_neurons(network: MappableNetwork, hardware: Hardware) -> np.ndarray:
    """Return the work of each neuron, to balance cores: float64, shape (neurons,).

    It is the larger of both times of `NeuronFigures`, or where the hardware has no
    times an update and the spikes at the synapses.
    """
    if hardware.time_ns is not None:
        time_ns = NeuronFigures.of(network, hardware.time_ns).larger
        if time_ns.any():
            return time_ns
    spikes = network.spikes[None] / network.graph.interval
    return 1.0 + count_operations(network, spikes)[0]


def barrier_of_cores(hardware: Hardware, cores: int) -> float:
    """Return the time in ns of the end of a step, with as few tiles as hold the cores.

    Unavailable cores are not considered: there may be more tiles.
    """
    assert hardware.time_ns is not None
    width, height = hardware.tile or (1, 1)
    return hardware.time_ns.barrier_of(-(-cores // (width * height)))


def least_step_ns(network: MappableNetwork, hardware: Hardware) -> float:
    """Return a lower bound in ns of the time of a step, over all mappings.

    For each number of cores, the slowest core takes at least the mean over all cores,
    if each neuron that spikes sends one message, and at least the time of the largest
    neuron, whose core receives all its sources' spikes. The barrier is added.
    """
    times = hardware.time_ns
    assert times is not None
    neuron_ns = NeuronFigures.of(network, times)
    spikes = network.spikes / network.graph.interval
    sent = 0.0  # messages in a step, if each spike is one
    received = 0.0
    for population in network.sources:
        degrees = out_degrees(network.graph.projections, population)
        messages = float(spikes[nodes_of(population)][degrees > 0].sum())
        received += messages
        if population.first >= network.first:
            sent += messages
    updating_ns = neuron_ns.updating.sum() + sent * (times.axon_out or 0.0)
    receiving_ns = neuron_ns.receiving.sum() + received * (times.axon_in or 0.0)
    total_ns = float(max(updating_ns, receiving_ns))
    received_by_neuron = neuron_ns.receiving
    spiking = [p for p in network.graph.projections if p.source in network.sources]
    if not repeats(spiking):  # then a neuron has one synapse of each source
        operations = count_operations(network, spikes[None])[0]
        received_by_neuron = neuron_ns.receiving + operations * (times.axon_in or 0.0)
    largest_ns = float(max(received_by_neuron.max(), neuron_ns.updating.max()))
    min_cores = max(1, *least_cores(network, hardware).values())
    return min(
        max(total_ns / cores, largest_ns) + barrier_of_cores(hardware, cores)
        for cores in range(min(min_cores, hardware.cores), hardware.cores + 1)
    )
