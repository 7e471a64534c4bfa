"""Neuron models of NIR's nodes."""

from typing import Dict

import numpy as np

from snnb.model_files.channels_first import rows_first, volume_of
from snnb.model_files.kinds import NirSettings
from snnb.model_files.nir_file import NirNode
from snnb.network.geometry import Shape
from snnb.network.neuron import Neuron

SMALLEST = np.finfo(np.float32).tiny
INTEGRATORS = {"I", "LI", "CubaLI"}  # without spikes
NEURONS = {"Threshold", "IF", "LIF", "CubaLIF", *INTEGRATORS}


def for_population(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Return numbers of NIR's neurons in the order and the shape of a population.

    `values` have a NIR shape, channels first; a population is (row, column, channel).
    """
    return rows_first(values.reshape(volume_of(values.shape))).reshape(shape)


def read_neuron(
    node: NirNode,
    input_shape: Shape,
    shape: Shape,
    settings: NirSettings,
) -> Neuron:
    """Return the neuron model of a node whose type is one of `NEURONS`.

    `input_shape` is the NIR shape of its input, `shape` that of its population. Raise
    `NotReadError` if parameters do not fit the input, a time constant is not positive,
    or there is no time step for it.
    """
    return _NeuronReader(node, input_shape, settings).read(shape)


class _NeuronReader:
    """The parameters of a node, and the numbers of `Neuron` that follow from them.

    All numbers are float64, in the NIR shape of the node's input.
    """

    def __init__(self, node: NirNode, shape: Shape, settings: NirSettings) -> None:
        self._node = node
        self._shape = shape
        self._settings = settings
        self._numbers: Dict[str, np.ndarray] = {}  # by their names in files

    def read(self, population_shape: Shape) -> Neuron:
        """Return the neuron model, for a population of a shape."""
        kind = self._node.kind
        if kind == "Threshold":  # no state
            self._numbers["leak"] = np.zeros(self._shape)
        elif kind in ("I", "IF"):
            self._add_integration()
        else:
            self._add_leak()
        spikes = kind not in INTEGRATORS
        if spikes:
            self._add_threshold()
        else:
            self._numbers["threshold"] = np.ones(self._shape)
        numbers: Dict[str, np.ndarray] = {}
        for name, values in self._numbers.items():
            numbers[name] = _shortest(for_population(values, population_shape))
        return Neuron.from_numbers(numbers, is_spiking=spikes)

    def _add_integration(self) -> None:
        """Add the gain of neurons without a leak."""
        resistance = self._parameter("r")
        if (resistance != 1).any():  # per unit of time; 1 integrates over time steps
            reason = "has a resistance r other than 1"
            resistance = resistance * time_step(self._node, self._settings, reason)
        self._numbers["gain"] = resistance

    def _add_leak(self) -> None:
        """Add the numbers of a leaky potential and, if there is one, its current."""
        numbers = self._numbers
        if "tau_syn" in self._node.parameters:
            numbers["current_leak"] = self._remaining_fraction("tau_syn")
            input_weight = self._parameter("w_in", 1.0)
            numbers["current_gain"] = input_weight * (1 - numbers["current_leak"])
        has_one_constant = "tau" in self._node.parameters
        time_constant = "tau" if has_one_constant else "tau_mem"
        numbers["leak"] = self._remaining_fraction(time_constant)
        numbers["gain"] = self._parameter("r") * (1 - numbers["leak"])
        numbers["offset"] = self._parameter("v_leak") * (1 - numbers["leak"])

    def _add_threshold(self) -> None:
        """Add the threshold and the reset."""
        is_stateless = self._node.kind == "Threshold"
        threshold = self._parameter("threshold" if is_stateless else "v_threshold")
        firing_threshold = _next_above(threshold)
        self._numbers["threshold"] = firing_threshold
        reset = self._settings.nir_reset
        if reset == "value":
            self._numbers["reset"] = self._parameter("v_reset")
            return
        # `snnb export` writes the number below 1 for neurons that spike at 1, from
        # which 1 is subtracted.
        is_whole = firing_threshold == np.round(firing_threshold)
        subtrahend = np.where(is_whole, firing_threshold, threshold)
        if reset == "subtract_delayed":
            decay_factor = np.broadcast_to(self._numbers.get("leak", 1.0), self._shape)
            if (decay_factor == 0).any():
                raise self._node.refuse(
                    "keeps nothing of a potential, from which a later step could "
                    "subtract"
                )
            # λ v - θ in the next step is λ (v - θ / λ)
            subtrahend = subtrahend / decay_factor
        self._numbers["subtrahend"] = subtrahend

    def _parameter(self, name: str, default: float = 0.0) -> np.ndarray:
        return self._node.broadcast(name, self._shape, default)

    def _remaining_fraction(self, name: str) -> np.ndarray:
        """Return the fraction of a quantity that remains after a time step.

        `name` is the parameter of its time constant.
        """
        tau = self._parameter(name)
        if (tau <= 0).any():
            raise self._node.refuse(
                f"has {name} {tau.min():g}: time constants must be positive"
            )
        step = time_step(self._node, self._settings, "has time constants")
        ratio = step / tau
        if self._settings.integration == "euler":
            return 1 - ratio
        return np.exp(-ratio)


def time_step(node: NirNode, settings: NirSettings, reason: str) -> float:
    """Return the time step; raise `NotReadError` with a reason if there is none."""
    if settings.time_step is None:
        raise node.refuse(
            f"{reason}: give --time-step, the length of a time step in the unit of its "
            "parameters"
        )
    return settings.time_step


def _next_above(threshold: np.ndarray) -> np.ndarray:
    """Return the smallest float32 numbers above thresholds.

    NIR's neurons spike where v > threshold. TensorFlow takes subnormal numbers for 0,
    so the smallest one above 0 is a normal number.
    """
    nearest = threshold.astype(np.float32)
    following = np.nextafter(nearest, np.float32(np.inf))
    above = np.where(nearest > threshold, nearest, following)
    return np.where((above > 0) & (above < SMALLEST), SMALLEST, above)


def _shortest(values: np.ndarray) -> np.ndarray:
    """Return one number if all are equal, one a channel if all positions are, or all.

    The channels are the last axis.
    """
    if (values == values.flat[0]).all():
        return values.flat[0]
    channels = values.reshape(-1, values.shape[-1])
    return channels[0] if (channels == channels[0]).all() else values
