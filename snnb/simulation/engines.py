"""Which engine simulates a network, and why."""

from typing import Tuple

import tensorflow as tf

from snnb.errors import InputError
from snnb.simulation.event_network import unsupported
from snnb.simulation.layers import DepthwiseConv2D, MaxPooling2D, Network
from snnb.simulation.settings import SimulationSettings


def choose_engine(network: Network, settings: SimulationSettings) -> Tuple[str, str]:
    """Name of the engine and the reason for it.

    Raises
    ------
    InputError
        The engine that was asked for does not support the network.
    """
    if settings.engine == "toolbox":
        _check_toolbox(network)
    if settings.engine in ("toolbox", "tensorflow"):
        return settings.engine, "asked for"
    reason = unsupported(network, settings)
    if settings.engine == "event":
        if reason is not None:
            raise InputError(f"{reason}: --engine event cannot simulate that; use --engine tensorflow")
        return "event", "asked for"
    if tf.config.list_physical_devices("GPU"):
        return "tensorflow", "there is a GPU"
    if reason is not None:
        return "tensorflow", f"the faster engine event cannot simulate it: {reason}"
    return "event", "the fastest without a GPU"


def _check_toolbox(network: Network) -> None:
    for layer in network.layers:
        if isinstance(layer, MaxPooling2D):
            raise InputError(
                f"layer {layer.name}: the toolbox puts average pooling in place of spiking max pooling: "
                "use --engine tensorflow or event"
            )
        if isinstance(layer, DepthwiseConv2D) and layer.dilation != (1, 1) and layer.padding == "valid":
            raise InputError(
                f"layer {layer.name}: the toolbox gets the shape of a dilated depthwise convolution without padding "
                "wrong: use --engine tensorflow or event"
            )
