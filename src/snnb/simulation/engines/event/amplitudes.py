"""What a spike adds to a current before it is weighted: of Poisson input 1, of a population its threshold."""

from typing import Dict, Optional, Set

from snnb.network.network import Network, Population, Reindexed
from snnb.simulation.simulation_settings import SimulationSettings


def spike_amplitudes(network: Network, settings: SimulationSettings) -> Dict[str, Set[float]]:
    """Return the amplitudes of the spikes that each volume passes on, by its name; constant input has no spikes."""
    found: Dict[str, Set[float]] = {}
    for volume in network.volumes:
        if isinstance(volume, Population):
            found[volume.name] = {settings.threshold}
        elif isinstance(volume, Reindexed):
            found[volume.name] = set().union(*(found[name] for name in volume.inputs))
        else:
            found[volume.name] = {float(network.pixel)} if settings.input == "poisson" else set()
    return found


def unsupported(network: Network, settings: SimulationSettings) -> Optional[str]:
    """Say why the event-driven engine cannot simulate the network as asked; None when it can.

    A projection adds rows of weights that are multiplied by the amplitude once, so all its spikes must have the same.
    """
    amplitudes = spike_amplitudes(network, settings)
    for population in network.populations:
        if any(len(amplitudes[name]) > 1 for name in population.inputs):
            return (
                f"layer {population.name} reads input spikes of amplitude {network.pixel} and spikes of amplitude "
                f"{settings.threshold:g}"
            )
    return None
