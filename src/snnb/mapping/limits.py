"""Limits of the cores, and whether a network can fit on the hardware."""

from typing import Dict, Mapping, NamedTuple, Optional

import numpy as np

from snnb.core.errors import InputError
from snnb.mapping.hardware import Hardware, descriptions
from snnb.mapping.neurons import PlacedNetwork

NO_LIMIT = 1 << 62


class Limits(NamedTuple):
    """Maximum contents of a core."""

    neurons: int
    axons: int
    synapses: int
    axons_out: int = NO_LIMIT
    memory_bits: int = NO_LIMIT

    @classmethod
    def of(cls, hardware: Hardware) -> "Limits":
        """Return the limits of a hardware description."""
        synapses, memory = hardware.synapses_per_core or NO_LIMIT, hardware.synapse_memory
        if memory is not None and memory.sharing == "none":  # an entry for each synapse
            synapses = min(synapses, memory.entries)
        out = hardware.axons_out_per_core or NO_LIMIT
        bits = NO_LIMIT if memory is None else memory.bits_per_core
        return cls(hardware.neurons_per_core, hardware.axons_per_core, synapses, out, bits)


def overfull_cores(contents: Mapping[str, np.ndarray], hardware: Hardware) -> Dict[str, np.ndarray]:
    """Return the cores that exceed each limit; `contents` of each core have the names of `Limits`."""
    limits = Limits.of(hardware)
    return {name: np.flatnonzero(numbers > getattr(limits, name)) for name, numbers in contents.items()}


def exceeded_limits(contents: Mapping[str, np.ndarray], hardware: Hardware) -> str:
    """Describe each exceeded limit by its fullest core; return the empty string if there is none."""
    texts, limits = [], Limits.of(hardware)
    for name, cores in overfull_cores(contents, hardware).items():
        if cores.size:
            numbers, limit, others = contents[name], getattr(limits, name), cores.size - 1
            fullest = int(np.argmax(numbers))
            more = f" (and {others:,} cores more than {limit:,})" if others else ""
            texts.append(f"core {fullest:,} has {numbers[fullest]:,} {name} of {limit:,}{more}")
    return "; ".join(texts)


def check_possible(network: PlacedNetwork, hardware: Hardware) -> None:
    """Raise `InputError` if no mapping can fit the network on the hardware; name descriptions that could hold it."""
    obstacle = _obstacle(network, hardware)
    if obstacle is not None:
        raise InputError(f"{hardware.name}: {obstacle}{_alternatives(network, 1)}")


def too_few_cores(network: PlacedNetwork, hardware: Hardware, cores: int) -> InputError:
    """Return the error of a mapping that needs `cores` cores, more than there are."""
    others = _alternatives(network, cores)
    return InputError(f"{hardware.name}: has {hardware.cores:,} cores, and {cores:,} would do{others}")


def _alternatives(network: PlacedNetwork, cores: int) -> str:
    """Name the descriptions of the package with at least `cores` cores that could hold the network."""
    able = [c.name for c in descriptions().values() if c.cores >= cores and _obstacle(network, c) is None]
    return f"; {', '.join(able)} could hold it" if able else ""


def _obstacle(network: PlacedNetwork, hardware: Hardware) -> Optional[str]:
    limits = Limits.of(hardware)
    for what, numbers, limit, name, hint in (
        ("sources of spikes", network.fan_in, limits.axons, "axons", " (--split-fan-in adds relay neurons)"),
        ("synapses", network.in_degrees, limits.synapses, "synapses", ""),
    ):
        most = int(np.argmax(numbers))
        if numbers[most] > limit:
            layer = network.graph.nodes.population(most + network.first).name
            return f"layer {layer} has a neuron with {numbers[most]:,} {what}, and a core takes {limit:,} {name}{hint}"
    least = -(-network.neurons // limits.neurons)
    least = max(least, -(-int(network.in_degrees.sum()) // limits.synapses))
    if least > hardware.cores:
        return f"has {hardware.cores:,} cores, and the network needs at least {least:,}"
    return None
