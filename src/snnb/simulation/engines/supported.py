"""What every engine asks of a network, beyond what `network` has checked."""

from typing import Tuple

from snnb.conversion.analogue import ACTIVATE
from snnb.conversion.currents import CURRENTS, REINDEXED
from snnb.core.errors import InputError
from snnb.network.network import MEMBRANE, Network, Population, Reindexed, Volume


def check_supported(network: Network) -> None:
    """Refuse a network that no engine simulates.

    Raises
    ------
    InputError
        A layer's kind or activation cannot be simulated; the network ends in several layers, or in one that has no
        neurons. The message names the layer.
    """
    for volume in network.volumes:
        for kind in _without_rule(volume):
            raise InputError(f"layer {volume.name}: a {kind} cannot be simulated: replace it and parse again")
        if isinstance(volume, Population) and volume.activation not in (*ACTIVATE, MEMBRANE):
            raise InputError(
                f"layer {volume.name}: activation {volume.activation} cannot be simulated: use {', '.join(ACTIVATE)}"
            )
    _check_end(network)


def _without_rule(volume: Volume) -> Tuple[str, ...]:
    """Kinds of layers that compute the volume, and that no engine simulates."""
    if isinstance(volume, Reindexed):
        return () if type(volume.layer) in REINDEXED else (volume.layer.kind,)
    layers = [p.layer for p in volume.projections] if isinstance(volume, Population) else []
    return tuple(layer.kind for layer in layers if type(layer) not in CURRENTS)


def _check_end(network: Network) -> None:
    read = {name for volume in network.volumes for name in _inputs(volume)}
    ends = [volume for volume in network.volumes if volume.name not in read]
    if len(ends) > 1:
        raise InputError(f"the network ends in {', '.join(volume.name for volume in ends)}: keep one output")
    end = ends[0]
    while isinstance(end, Reindexed) and network.volume(end.inputs[0]).size == end.size:
        end = network.volume(end.inputs[0])  # another shape of the same neurons
    if end is not network.output:
        raise InputError(f"the network ends in {end.name}, which has no neurons: end in a Dense or Conv2D layer")


def _inputs(volume: Volume) -> Tuple[str, ...]:
    return volume.inputs if isinstance(volume, (Population, Reindexed)) else ()
