"""Errors of networks that do not fit on a chip; they name a chip of the package that holds the network."""

from snnb.chips.hardware import Hardware
from snnb.chips.read_hardware import descriptions
from snnb.core.errors import InputError
from snnb.mapping.limits import filling_limit, find_obstacle
from snnb.mapping.partition.initial import sequential_baseline
from snnb.mapping.traffic import MappableNetwork, TrafficSums


def check_possible(network: MappableNetwork, hardware: Hardware) -> None:
    """Raise `InputError` if a bound shows that no mapping can fit the network on the hardware."""
    obstacle = find_obstacle(network, hardware)
    if obstacle is not None:
        raise InputError(f"{hardware.name}: {obstacle}{_advice(network)}")


def too_few_cores(network: MappableNetwork, hardware: Hardware, sums: TrafficSums) -> InputError:
    """Return the error of a mapping with more cores than there are, and none with fewer was found."""
    return InputError(
        f"{hardware.name}: has {hardware.cores:,} cores, and {sums.cores:,} would suffice, with "
        f"{filling_limit(sums, hardware)}{_advice(network)}"
    )


def _advice(network: MappableNetwork) -> str:
    """Name the description of the package with the fewest cores that holds the network."""
    by_cores = sorted(descriptions().values(), key=lambda hardware: hardware.cores)
    holder = next((hardware for hardware in by_cores if _holds(network, hardware)), None)
    return "" if holder is None else f"; {holder.name} holds the network"


def _holds(network: MappableNetwork, hardware: Hardware) -> bool:
    """Whether the sequential mapping of the network keeps all limits of the hardware."""
    if find_obstacle(network, hardware) is not None:
        return False
    try:
        return sequential_baseline(network, hardware).cores <= hardware.cores
    except InputError:  # a neuron alone exceeds a limit
        return False
