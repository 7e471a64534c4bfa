"""Which engine simulates a network, and why."""

from importlib.util import find_spec
from typing import Optional, Tuple

import tensorflow as tf

from snnb.core.errors import InputError
from snnb.network.layers import DepthwiseConv2D, MaxPooling2D
from snnb.network.network import Network, Population
from snnb.simulation.engines.event.amplitudes import unsupported
from snnb.simulation.engines.supported import check_supported
from snnb.simulation.simulation_settings import SimulationSettings, refuse_missing_packages

# The compute capability (of CUDA) of the newest cards that TensorFlow 2.2's libraries, of CUDA 10.1, have code for.
NEWEST_OF_TENSORFLOW = (7, 5)


def choose_engine(network: Network, settings: SimulationSettings) -> Tuple[str, str]:
    """Return the name of the engine that will simulate the network, and the reason for it.

    Raises
    ------
    InputError
        No engine can simulate the network, or not the one that was asked for.
    """
    check_supported(network)
    if settings.engine == "toolbox":
        if network.steps is not None:
            raise InputError("the toolbox cannot simulate a calibrated network: use --engine tensorflow or event")
        for population in network.populations:
            _check_toolbox(population)
    if network.windowed:
        return _choose_for_windows(settings)
    refuse_missing_packages(settings)
    if settings.engine == "torch":
        import torch  # noqa: F401  # here too when workers simulate: its version is recorded
    if settings.engine in ("toolbox", "tensorflow", "torch"):
        return settings.engine, "asked for"
    reason = unsupported(network, settings)
    if settings.engine == "event":
        if reason is not None:
            raise InputError(f"{reason}: --engine event cannot simulate that; use --engine tensorflow")
        return "event", "asked for"
    card = _card_of_pytorch_alone()
    if card is not None:
        return "torch", f"TensorFlow 2.2 cannot use the GPU {card}"
    if tf.config.list_physical_devices("GPU"):
        return "tensorflow", "there is a GPU"
    if reason is not None:
        return "tensorflow", f"the faster engine event cannot simulate it: {reason}"
    return "event", "the fastest without a GPU"


def _choose_for_windows(settings: SimulationSettings) -> Tuple[str, str]:
    """Return the engine for a network whose populations fire in windows, and the reason."""
    if settings.engine == "torch":
        raise InputError("--engine torch has no firing windows: use --engine event or tensorflow")
    if settings.engine == "tensorflow":
        if settings.bins:
            raise InputError("--bins: the engine tensorflow has no bins of firing windows: use --engine event")
        return "tensorflow", "asked for"
    return "event", "asked for" if settings.engine == "event" else "one pass over the layers gives all spikes"


def _card_of_pytorch_alone() -> Optional[str]:
    """Name the first GPU, if PyTorch is there and can use it, while TensorFlow cannot or is too old for it."""
    if find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    known = tf.config.list_physical_devices("GPU") and torch.cuda.get_device_capability() <= NEWEST_OF_TENSORFLOW
    return None if known else torch.cuda.get_device_name()


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
