"""Neuron models of NIR nodes in discrete time."""

from typing import Callable, Dict

import numpy as np

from snnb.model_files.nir_file import Node
from snnb.model_files.nir_settings import NirSettings
from snnb.network.geometry import Shape
from snnb.network.network import Neuron

SMALLEST = np.finfo(np.float32).tiny
INTEGRATORS = {"I", "LI", "CubaLI"}  # without spikes
NEURONS = {"Threshold", "IF", "LIF", "CubaLIF", *INTEGRATORS}


def neuron_of(node: Node, shape: Shape, settings: NirSettings, order: Callable[[np.ndarray], np.ndarray]) -> Neuron:
    """Return the neuron model of a node.

    Parameters
    ----------
    node : Node
        Its type is one of `NEURONS`.
    shape : tuple of int
        NIR shape of its input.
    settings : NirSettings
    order : callable
        Reorders numbers of that shape to the shape of the population.

    Raises
    ------
    NotReadError
        Parameters do not fit the input, a time constant is not positive, or there is no time step for it.
    """
    numbers: Dict[str, np.ndarray] = {}

    def parameter(name: str, default: float = 0.0) -> np.ndarray:
        return node.of_shape(name, shape, default)

    def remaining(name: str) -> np.ndarray:
        """Fraction of a quantity that remains after a time step, by its time constant."""
        tau = parameter(name)
        if (tau <= 0).any():
            raise node.refuse(f"has {name} {tau.min():g}: time constants must be positive")
        ratio = time_step(node, settings, "has time constants") / tau
        return 1 - ratio if settings.integration == "euler" else np.exp(-ratio)

    if node.kind == "Threshold":  # no state
        numbers["leak"] = np.zeros(shape)
    elif node.kind in ("I", "IF"):
        resistance = parameter("r")
        if (resistance != 1).any():  # per unit of time; 1 is an integral over time steps
            resistance = resistance * time_step(node, settings, "has a resistance r other than 1")
        numbers["gain"] = resistance
    else:
        if "tau_syn" in node.parameters:
            numbers["current_leak"] = remaining("tau_syn")
            numbers["current_gain"] = parameter("w_in", 1.0) * (1 - numbers["current_leak"])
        numbers["leak"] = remaining("tau" if "tau" in node.parameters else "tau_mem")
        numbers["gain"] = parameter("r") * (1 - numbers["leak"])
        numbers["offset"] = parameter("v_leak") * (1 - numbers["leak"])
    spikes = node.kind not in INTEGRATORS
    numbers["threshold"] = np.ones(shape)
    if spikes:
        threshold = parameter("threshold" if node.kind == "Threshold" else "v_threshold")
        numbers["threshold"] = _above(threshold)
        if settings.nir_reset != "value":
            # `snnb export` writes the number below 1 for neurons that spike at 1, from which 1 is subtracted.
            above = numbers["threshold"]
            numbers["subtrahend"] = np.where(above == np.round(above), above, threshold)
            if settings.nir_reset == "subtract_delayed":
                leak = np.broadcast_to(numbers.get("leak", 1.0), shape)
                if (leak == 0).any():
                    raise node.refuse("keeps nothing of a potential, from which a later step could subtract")
                # λ v - θ in the next step is λ (v - θ / λ)
                numbers["subtrahend"] = numbers["subtrahend"] / leak
        else:
            numbers["reset"] = parameter("v_reset")
    return Neuron(spikes=spikes, **{name: _shortest(order(values)) for name, values in numbers.items()})


def time_step(node: Node, settings: NirSettings, reason: str) -> float:
    """Return the time step; raise `NotReadError` if none is given."""
    if settings.time_step is None:
        raise node.refuse(f"{reason}: give --time-step, the length of a time step in the unit of its parameters")
    return settings.time_step


def _above(threshold: np.ndarray) -> np.ndarray:
    """Return the smallest float32 numbers above `threshold`: NIR's neurons spike where v > threshold.

    TensorFlow takes subnormal numbers for 0, so the smallest one above 0 is a normal number.
    """
    nearest = threshold.astype(np.float32)
    above = np.where(nearest > threshold, nearest, np.nextafter(nearest, np.float32(np.inf)))
    return np.where((above > 0) & (above < SMALLEST), SMALLEST, above)


def _shortest(values: np.ndarray) -> np.ndarray:
    """Return one number if all are equal, one for each channel if all positions are, else all."""
    if (values == values.flat[0]).all():
        return values.flat[0]
    channels = values.reshape(-1, values.shape[-1])
    return channels[0] if (channels == channels[0]).all() else values
