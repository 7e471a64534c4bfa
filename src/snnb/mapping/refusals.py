"""Errors of networks that do not fit on a chip, with a chip that holds the network."""

from snnb.chips.hardware import Hardware
from snnb.chips.read_hardware import descriptions
from snnb.core.errors import InputError
from snnb.mapping.limits import filling_limit, find_obstacle
from snnb.mapping.partition.initial import sequential_baseline
from snnb.mapping.traffic import MappableNetwork, TrafficSums


def check_possible(network: MappableNetwork, hardware: Hardware) -> None:
    """Raise `InputError` if a bound shows that the network cannot fit."""
    obstacle = find_obstacle(network, hardware)
    if obstacle is not None:
        raise InputError(f"{hardware.name}: {obstacle}{_advice(network)}")


def too_few_cores(
    network: MappableNetwork,
    hardware: Hardware,
    sums: TrafficSums,
) -> InputError:
    """Return the error of a mapping `sums` that has more cores than there are."""
    cores = f"has {hardware.cores_text}, and {sums.cores:,} would suffice"
    limit = filling_limit(sums, hardware)
    return InputError(f"{hardware.name}: {cores}, with {limit}{_advice(network)}")


def _advice(network: MappableNetwork) -> str:
    """Name the chip of the package with the fewest cores that holds the network."""
    for hardware in sorted(descriptions().values(), key=lambda chip: chip.cores):
        if _holds(network, hardware):
            return f"; {hardware.name} holds the network"
    return ""


def _holds(network: MappableNetwork, hardware: Hardware) -> bool:
    """Whether the sequential mapping of the network keeps all limits of a chip."""
    if find_obstacle(network, hardware) is not None:
        return False
    try:
        return sequential_baseline(network, hardware).cores <= hardware.cores
    except InputError:  # a neuron alone exceeds a limit
        return False
