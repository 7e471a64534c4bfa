"""Simple partitions: slices of the neurons in the order of their ids, and layers.

They take little time, and a user has them in a line of numpy: no mapping should be
worse.
"""

from dataclasses import dataclass
from typing import Iterator, List, Sequence

import numpy as np

from snnb.chips.hardware import Hardware, Limits
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork


@dataclass(frozen=True, eq=False)
class SimplePartition:
    """A partition that is computed when needed; it can exceed limits."""

    method: str  # `slices` or `layers`
    weight: np.ndarray  # (neurons,) float64, not negative; their sum is not 0
    cores: int

    @property
    def core(self) -> np.ndarray:
        """The core of each neuron, without gaps: int32, shape (neurons,)."""
        core = slice_neurons(self.weight, self.cores)
        return np.unique(core, return_inverse=True)[1].astype(np.int32)


def slice_neurons(weight: np.ndarray, cores: int) -> np.ndarray:
    """Divide neurons into slices of equal weight: int32, shape (neurons,).

    Each neuron is in the slice of its middle: the weights 1, 1, 1, 3 and two slices
    give 0, 0, 0 and 1.
    """
    end = np.cumsum(weight)
    middle = (end - weight / 2) / end[-1]
    return np.minimum(middle * cores, cores - 1).astype(np.int32)


def simple_partitions(
    network: MappableNetwork,
    hardware: Hardware,
    weights: Sequence[np.ndarray],
    settings: SearchSettings,
    *,
    fewest: bool,
) -> Iterator[SimplePartition]:
    """Yield slices of equal sums of each of the weights, and a core for each layer.

    `fewest`: see `slice_counts`.
    """
    sizes = np.array([population.size for population in network.populations])
    if sizes.size <= hardware.cores:
        layer_weight = np.repeat(1 / sizes, sizes)  # each layer has the weight 1
        yield SimplePartition("layers", layer_weight, sizes.size)
    for cores in slice_counts(network, hardware, settings, fewest=fewest):
        for weight in weights:
            yield SimplePartition("slices", weight, cores)


def slice_counts(
    network: MappableNetwork,
    hardware: Hardware,
    settings: SearchSettings,
    *,
    fewest: bool,
) -> List[int]:
    """Return the numbers of cores of slices, ascending.

    They are all from the fewest that the limits allow, up to those of the chip. If
    these are more than the settings allow, they are the `fewest`, or otherwise a
    geometric series that ends with the largest.
    """
    limits = Limits.of(hardware)
    cores_for_neurons = -(-network.neurons // limits.neurons)
    cores_for_synapses = -(-int(network.in_degrees.sum()) // limits.synapses)
    max_cores = min(hardware.cores, network.neurons)
    min_cores = min(max(1, cores_for_neurons, cores_for_synapses), max_cores)
    size = network.neurons
    if any(projection.enumerated for projection in network.graph.projections):
        synapses = int(network.in_degrees.sum())
        size = max(size, synapses // settings.edges_of_sliced)
    number = min(settings.max_slice_counts, settings.max_sliced_neurons // size)
    if fewest:
        number //= settings.less_slicing
    counts = list(range(min_cores, max_cores + 1))
    if len(counts) <= number:
        return counts
    if fewest:
        return counts[:number]
    series = np.geomspace(min_cores, max_cores, max(number, 2)).round()
    return sorted({int(cores) for cores in series})
