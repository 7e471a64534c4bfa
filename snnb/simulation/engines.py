"""Which engine simulates a network, and why."""

from typing import Tuple

from snnb.errors import InputError, UsageError
from snnb.simulation.layers import MaxPooling2D, Network
from snnb.simulation.settings import SimulationSettings


def choose_engine(network: Network, settings: SimulationSettings) -> Tuple[str, str]:
    """Name of the engine and the reason for it.

    Raises
    ------
    InputError, UsageError
        The engine that was asked for does not support the network, or the options.
    """
    if settings.engine == "toolbox":
        _check_toolbox(network, settings)
    if settings.engine != "auto":
        return settings.engine, "asked for"
    return "tensorflow", "the only fast one"


def _check_toolbox(network: Network, settings: SimulationSettings) -> None:
    for layer in network.layers:
        if isinstance(layer, MaxPooling2D):
            raise InputError(
                f"layer {layer.name}: the toolbox puts average pooling in place of spiking max pooling: "
                "use --engine tensorflow or event"
            )
    for option, value, usual in (("workers", settings.workers, 1), ("record-spikes", settings.record_spikes, 0)):
        if value != usual:
            raise UsageError(f"--{option} {value}: not with --engine toolbox; use --engine tensorflow or event")
