"""Which engine simulates a network, and why."""

from typing import Tuple

import tensorflow as tf

from snnb.errors import InputError
from snnb.network.layers import DepthwiseConv2D, MaxPooling2D
from snnb.network.network import Network, Population
from snnb.simulation.engines.event.amplitudes import unsupported
from snnb.simulation.engines.supported import check_supported
from snnb.simulation.settings import SimulationSettings


def choose_engine(network: Network, settings: SimulationSettings) -> Tuple[str, str]:
    """Return the name of the engine that will simulate the network, and the reason for it.

    Raises
    ------
    InputError
        No engine can simulate the network, or not the one that was asked for.
    """
    check_supported(network)
    if settings.engine == "toolbox":
        for population in network.populations:
            _check_toolbox(population)
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


def _check_toolbox(population: Population) -> None:
    name, use = population.name, "use --engine tensorflow or event"
    if len(population.projections) > 1 or population.kind == "Add":
        raise InputError(f"layer {name}: the toolbox cannot add: {use}")
    if population.max_value is not None:
        raise InputError(f"layer {name}: the toolbox has no relu that is clipped at {population.max_value:g}: {use}")
    layer = population.only.layer
    if isinstance(layer, MaxPooling2D):
        raise InputError(f"layer {name}: the toolbox puts average pooling in place of spiking max pooling: {use}")
    if isinstance(layer, DepthwiseConv2D) and layer.dilation_rate != (1, 1) and layer.padding == "valid":
        raise InputError(
            f"layer {name}: the toolbox gets the shape of a dilated depthwise convolution without padding wrong: {use}"
        )
