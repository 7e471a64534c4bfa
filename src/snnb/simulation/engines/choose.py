"""Choice of the engine that simulates a network."""

from typing import Optional, Tuple

import numpy as np
import tensorflow as tf

from snnb.conversion.currents import ACTIVATE, CURRENTS, REINDEXED
from snnb.core.errors import InputError
from snnb.network.layers import DepthwiseConv2D, MaxPooling2D
from snnb.network.network import MEMBRANE, Network, Population, Reindexed, Volume
from snnb.simulation.engines.engine import CHANGING, input_volumes, spike_amplitudes
from snnb.simulation.simulation_settings import SimulationSettings, refuse_missing_packages


def choose_engine(network: Network, settings: SimulationSettings) -> Tuple[str, str]:
    """Return the name of the engine that will simulate the network, and the reason for it.

    Raise `InputError` if no engine, or not the requested one, can simulate the network.
    """
    check_supported(network)
    if settings.engine == "toolbox":
        kinds = {"an integer": network.weight_bits, "a calibrated": network.steps, "a pruned": network.zeros}
        refused = next((kind for kind, value in kinds.items() if value is not None), None)
        if refused is not None:
            raise InputError(f"the toolbox cannot simulate {refused} network: use --engine tensorflow or event")
        if settings.input in CHANGING:
            raise InputError("the toolbox cannot simulate an input that changes: use --engine tensorflow or event")
        for population in network.populations:
            _check_toolbox(population)
    if settings.input in CHANGING and (network.windowed or network.weight_bits is not None):
        kind = "a network with firing windows" if network.windowed else "an integer network"
        raise InputError(f"{kind} reads pictures, not --input {settings.input}")
    refuse_missing_packages(settings)
    if network.windowed:
        return _choose_for_windows(settings)
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


def unsupported(network: Network, settings: SimulationSettings) -> Optional[str]:
    """Return the reason why the event-driven engine cannot simulate the network with these settings; None if it can.

    A projection adds rows of weights that are multiplied by the amplitude once, so all its spikes must have the same.
    """
    amplitudes = spike_amplitudes(network, settings)
    passing = input_volumes(network)
    for volume in network.volumes if settings.input in CHANGING else ():
        if isinstance(volume, Reindexed) and sum(name in passing for name in volume.inputs) > 1:
            return f"layer {volume.name} joins the input with itself"
    for population in network.populations:
        read = [p for p in population.projections if p.input in passing]
        if settings.input != "poisson" and any(p.layer.WEIGHTING == "maximum" for p in read):
            return f"layer {population.name} takes the maximum of an input that is not spikes"
        if settings.input == "constant" and any(p.layer.WEIGHTING == "average" and amplitudes[p.input] for p in read):
            return f"layer {population.name} averages spikes together with the constant input"
        if settings.input == "constant" and any(p.delay for p in read):
            return f"layer {population.name} reads the constant input with a delay"
        if any(len(amplitudes[name]) > 1 for name in population.inputs):
            return (
                f"layer {population.name} reads input spikes of amplitude {network.pixel} and spikes of amplitude "
                f"{settings.threshold:g}"
            )
    return None


def _choose_for_windows(settings: SimulationSettings) -> Tuple[str, str]:
    """Return the engine for a network whose populations fire in windows, and the reason."""
    if settings.engine == "tensorflow":
        if settings.bins:
            raise InputError("--bins: the engine tensorflow has no bins of firing windows: use --engine event")
        return "tensorflow", "asked for"
    return "event", "asked for" if settings.engine == "event" else "one pass over the layers gives all spikes"


def _check_toolbox(population: Population) -> None:
    name, use = population.name, "use --engine tensorflow or event"
    neuron = population.neuron
    if neuron is not None:
        numbers = {
            "a synaptic current": neuron.current_leak is not None,
            "a leak": (np.asarray(neuron.leak) != 1).any(),
        }
        beyond = next((what for what, there in numbers.items() if there), "thresholds and resets of its own neurons")
        raise InputError(f"layer {name}: the toolbox cannot simulate {beyond}: {use}")
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


def check_supported(network: Network) -> None:
    """Raise `InputError`, with the name of the layer, for a network that no engine simulates.

    A layer's kind or activation cannot be simulated, or the network ends in several layers, or in one without neurons.
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
    read = {name for volume in network.volumes for name in _inputs(volume) if name != volume.name}
    ends = [volume for volume in network.volumes if volume.name not in read]
    if len(ends) > 1:
        raise InputError(f"the network ends in {', '.join(volume.name for volume in ends)}: keep one output")
    end = ends[0] if ends else network.output  # an output in a cycle is read too
    while isinstance(end, Reindexed) and network.volume(end.inputs[0]).size == end.size:
        end = network.volume(end.inputs[0])  # another shape of the same neurons
    if end is not network.output:
        raise InputError(f"the network ends in {end.name}, which has no neurons: end in a Dense or Conv2D layer")


def _inputs(volume: Volume) -> Tuple[str, ...]:
    return volume.inputs if isinstance(volume, (Population, Reindexed)) else ()
