"""What a core of the hardware holds, and whether a network can be on it at all."""

from typing import Dict, NamedTuple, Optional, Sequence

import numpy as np

from snnb.core.errors import InputError
from snnb.mapping.hardware import Hardware
from snnb.mapping.neurons import PlacedNetwork

NO_LIMIT = 1 << 62


class Limits(NamedTuple):
    """The most that a core holds.

    Attributes
    ----------
    neurons, axons, synapses : int
    """

    neurons: int
    axons: int
    synapses: int

    @classmethod
    def of(cls, hardware: Hardware) -> "Limits":
        """Read them off a description.

        Parameters
        ----------
        hardware : Hardware
        """
        synapses = NO_LIMIT if hardware.synapses_per_core is None else hardware.synapses_per_core
        return cls(hardware.neurons_per_core, hardware.axons_per_core, synapses)


def overfull_cores(held: Sequence[np.ndarray], hardware: Hardware) -> Dict[str, np.ndarray]:
    """Return the cores that exceed each limit.

    Parameters
    ----------
    held : sequence of ndarray of int64, shape (cores,)
        Neurons, axons and synapses of each core.
    hardware : Hardware

    Returns
    -------
    dict of str to ndarray
        Core numbers by `neurons`, `axons` and `synapses`.
    """
    return {
        name: np.flatnonzero(numbers > limit) for name, numbers, limit in zip(Limits._fields, held, Limits.of(hardware))
    }


def exceeded_limits(held: Sequence[np.ndarray], hardware: Hardware) -> str:
    """Describe each limit that is exceeded by its fullest core; the empty string where none is.

    Parameters
    ----------
    held : sequence of ndarray of int64, shape (cores,)
        Neurons, axons and synapses of each core.
    hardware : Hardware
    """
    texts, overfull = [], overfull_cores(held, hardware)
    for name, numbers, limit in zip(Limits._fields, held, Limits.of(hardware)):
        others = overfull[name].size - 1
        if others >= 0:
            fullest = int(np.argmax(numbers))
            more = f" (and {others:,} cores more than {limit:,})" if others else ""
            texts.append(f"core {fullest:,} has {numbers[fullest]:,} {name} of {limit:,}{more}")
    return "; ".join(texts)


def check_possible(network: PlacedNetwork, hardware: Hardware, others: Sequence[Hardware] = ()) -> None:
    """Refuse a network that cannot be on the hardware, whatever the mapping.

    Parameters
    ----------
    network : PlacedNetwork
    hardware : Hardware
    others : sequence of Hardware, optional
        Descriptions to name in the message where they could hold the network.

    Raises
    ------
    InputError
        A neuron has more sources of spikes than a core has axons, or more synapses than a core; or the cores are too
        few for the neurons or the synapses. The message names layer, number and limit, and what would do.
    """
    obstacle = _obstacle(network, hardware)
    if obstacle is None:
        return
    able = [other.name for other in others if other.name != hardware.name and _obstacle(network, other) is None]
    remedy = f"; {', '.join(able)} could hold it" if able else ""
    raise InputError(f"{hardware.name}: {obstacle}{remedy}")


def too_few_cores(
    network: PlacedNetwork, hardware: Hardware, cores: int, others: Sequence[Hardware] = ()
) -> InputError:
    """Return the error of a mapping that needs more cores than there are.

    Parameters
    ----------
    network : PlacedNetwork
    hardware : Hardware
    cores : int
        How many would do.
    others : sequence of Hardware, optional
        Descriptions to name in the message where they might hold the network.
    """
    able = [other.name for other in others if other.cores >= cores and _obstacle(network, other) is None]
    remedy = f"; {', '.join(able)} could hold it" if able else ""
    return InputError(f"{hardware.name}: has {hardware.cores:,} cores, and {cores:,} would do{remedy}")


def _obstacle(network: PlacedNetwork, hardware: Hardware) -> Optional[str]:
    limits = Limits.of(hardware)
    for what, numbers, limit, name in (
        ("sources of spikes", network.fan_in, limits.axons, "axons"),
        ("synapses", network.in_degrees, limits.synapses, "synapses"),
    ):
        most = int(np.argmax(numbers))
        if numbers[most] > limit:
            layer = network.graph.nodes.population(most + network.first).name
            return f"layer {layer} has a neuron with {numbers[most]:,} {what}, and a core takes {limit:,} {name}"
    least = -(-network.neurons // limits.neurons)
    least = max(least, -(-int(network.in_degrees.sum()) // limits.synapses))
    if least > hardware.cores:
        return f"has {hardware.cores:,} cores, and the network needs at least {least:,}"
    return None
