"""The neuron model: condition for a spike, and reset. No other module defines them.

Engines, cross-checks and exports read `Neuron`. A network from a NIR or lava-dl file has
one for each population. The neurons of a converted network have no leak;
`converted_neuron` makes them from options of the simulation.
"""

from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Protocol, Tuple, Union

import numpy as np

from snnb.network.geometry import Shape

Numbers = Union[float, np.ndarray]

# Numbers of fixed-point neurons. Potentials and currents are multiples of 1 / FRACTION
FRACTION = 64
# Of a synaptic current: 24 bits with the sign, of which 6 are the fraction
CURRENT_LIMIT = 2.0**17
# Of the sum of the weights of the spikes of a step: 24 bits with the sign
SUM_LIMIT = 2.0**23


@dataclass(frozen=True, eq=False)
class Neuron:
    """Parameters of the neurons of a population, constant in time.

    They are those of leaky integration, threshold and reset. In each time step, x is
    the sum of the currents of all projections, and the bias of the population:

        i ← i + (g_i x - (1 - κ) i)         with a synaptic current; otherwise i = x
        v ← v + ((g i + c) - (1 - λ) v)
        spike where v ≥ θ; there v ← v - subtrahend, or v ← reset

    That is i ← κ i + g_i x and v ← λ v + g i + c, in the form whose rounding error does
    not grow when λ is close to 1. Engines compute it in float32 in exactly this order,
    with 1 - λ and 1 - κ rounded to float32 once.

    Neurons of Lava and Loihi 2 (`fixed_point`) compute with multiples of 1 /
    `FRACTION`. With z(y), y rounded towards 0 to such a number:

        x = Σ over projections of ⌊Σ weights of spikes⌋, which wraps around at
            ±`SUM_LIMIT`; of a population that reads constant input, its current and
            the bias, rounded towards 0
        i ← z(κ i) + x, which wraps around once beyond ±`CURRENT_LIMIT`
        v ← z(λ v) + i + c, limited to ±(`CURRENT_LIMIT` - 1 / `FRACTION`)
        spike where v ≥ θ; there v ← reset

    They have a synaptic current and a reset. λ and κ are multiples of 2⁻¹², c, θ and
    the reset of 1 / `FRACTION`; then float64 holds all numbers exactly. The gains are
    not used, and a population that reads spikes has c, but no bias.

    Each parameter is converted to float64, and broadcasts to the shape of the
    population: a number, one for each channel (the last axis), or one for each neuron.
    """

    # θ; a neuron that spikes only above ϑ has the next float32 number, nextafter(ϑ, ∞),
    # or with fixed-point numbers ϑ + 1 / `FRACTION`
    threshold: Numbers
    decay_factor: Numbers = 1.0  # λ
    gain: Numbers = 1.0  # g
    offset: Numbers = 0.0  # c
    current_decay_factor: Optional[Numbers] = None  # κ; None: no synaptic current
    current_gain: Numbers = 1.0  # g_i
    # Potential after a spike; None: the subtrahend is subtracted
    reset_potential: Optional[Numbers] = None
    subtrahend: Optional[Numbers] = None  # None: the threshold
    initial: Numbers = 0.0  # potential before the first step
    # False: a leaky integrator, which is read by its potential; threshold and reset do
    # not act
    is_spiking: bool = True
    fixed_point: bool = False  # whether they compute with fixed-point numbers

    def __post_init__(self) -> None:
        for field in FIELDS.values():
            numbers = getattr(self, field)
            if numbers is not None:
                object.__setattr__(self, field, np.asarray(numbers, np.float64))

    @classmethod
    def from_numbers(
        cls,
        numbers: Mapping[str, Numbers],
        *,
        is_spiking: bool = True,
        fixed_point: bool = False,
    ) -> "Neuron":
        """Make a neuron model from numbers by their names in files, see `FIELDS`."""
        parameters = {FIELDS[name]: values for name, values in numbers.items()}
        return cls(is_spiking=is_spiking, fixed_point=fixed_point, **parameters)

    @property
    def stored_numbers(self) -> Dict[str, np.ndarray]:
        """The numbers that are not None, by their names in files: float64."""
        numbers: Dict[str, np.ndarray] = {}
        for name, field in FIELDS.items():
            if getattr(self, field) is not None:
                numbers[name] = getattr(self, field)
        return numbers

    def check(self, shape: Shape) -> None:
        """Check the parameters of a population of a shape.

        Raise `ValueError` with the name of a parameter that is not finite, or does not
        fit the shape.
        """
        for name, values in self.stored_numbers.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{name} of its neurons is not finite")
            if values.shape not in ((), shape[-1:], shape):
                raise ValueError(
                    f"{name} of its neurons has shape {values.shape}, which does not "
                    f"fit {shape}"
                )

    def describe(self) -> Tuple[str, str]:
        """Return the threshold and the reset of the potential as text.

        They are `0.5 to 1` (of different neurons) or `above 80` (fixed-point), and `to
        0` or `by subtraction of 1`. They are empty without spikes.
        """
        if not self.is_spiking:
            return "", ""
        threshold = _describe(self.threshold)
        if self.fixed_point:
            threshold = f"above {_describe(self.threshold - 1 / FRACTION)}"
        if self.reset_potential is not None:
            return threshold, f"to {_describe(self.reset_potential)}"
        subtrahend = _describe(self._subtrahend_or_threshold)
        return threshold, f"by subtraction of {subtrahend}"

    @property
    def _subtrahend_or_threshold(self) -> Numbers:
        return self.threshold if self.subtrahend is None else self.subtrahend

    @property
    def reset_or_subtrahend(self) -> np.ndarray:
        """Potential after a spike, or without `reset_potential` the number that it subtracts.

        It is float64, of the shape that it has among the parameters.
        """
        if self.reset_potential is None:
            return np.asarray(self._subtrahend_or_threshold)
        return np.asarray(self.reset_potential)

    def numbers(self, shape: Shape) -> Dict[str, np.ndarray]:
        """Return the numbers that the neurons compute with, by their names in files.

        Each is float64 in the shape of the population. Without a reset the subtrahend
        is among them, which may be the threshold. Neurons that do not spike
        have no reset, subtrahend and threshold; those without a synaptic current have
        none of its numbers.
        """
        numbers = self.stored_numbers
        if self.reset_potential is None:
            numbers["subtrahend"] = np.asarray(self._subtrahend_or_threshold)
        unused_names = set()
        if self.reset_potential is not None:
            unused_names.add("subtrahend")
        if self.current_decay_factor is None:
            unused_names.update(("current_leak", "current_gain"))
        if not self.is_spiking:
            unused_names.update(("threshold", "reset", "subtrahend"))
        for name in unused_names.intersection(numbers):
            del numbers[name]
        return {name: np.broadcast_to(value, shape) for name, value in numbers.items()}


# Field of each number of `Neuron`, by its name in files
FIELDS = {
    "threshold": "threshold",
    "leak": "decay_factor",
    "gain": "gain",
    "offset": "offset",
    "current_leak": "current_decay_factor",
    "current_gain": "current_gain",
    "reset": "reset_potential",
    "subtrahend": "subtrahend",
    "initial": "initial",
}


def _describe(values: Numbers) -> str:
    """Return numbers as text: their least and greatest, or one if these are equal."""
    low = f"{float(np.min(values)):.6g}"
    high = f"{float(np.max(values)):.6g}"
    return low if low == high else f"{low} to {high}"


class NeuronOptions(Protocol):
    """Options of the neurons of a converted network, see `SimulationSettings`."""

    @property
    def threshold(self) -> float:
        """Potential at which a neuron spikes where weights are normalised to 1.

        It is also the amplitude of a spike.
        """

    @property
    def reset(self) -> str:
        """`subtraction` of the threshold, or to `zero`."""

    @property
    def initial_potential(self) -> float:
        """Potential before the first step, as a fraction of the threshold.

        It is that of populations without an initial potential of their own.
        """


@dataclass(frozen=True)
class Normalised:
    """The default `NeuronOptions`, without a simulation: weights have the threshold 1."""

    threshold: float = 1.0
    reset: str = "subtraction"
    initial_potential: float = 0.0


def converted_neuron(
    options: NeuronOptions,
    *,
    integer_threshold: Optional[np.ndarray] = None,
    initial_potential: Optional[np.ndarray] = None,
    random: bool = False,
    is_spiking: bool = True,
) -> Neuron:
    """Return the integrate-and-fire neurons of a population of a converted network.

    `integer_threshold` and `initial_potential`, float32 (channels,), are those of the
    population, or None. The latter is a fraction of the threshold, or an integer with
    integer thresholds. Without it `options` define it, except for a softmax, which
    draws the spikes (`random`), and an output that does not spike: theirs is 0. A
    softmax resets to 0. All potentials are multiplied by `options.threshold`.
    """
    threshold: Numbers = 1.0
    if integer_threshold is not None:
        threshold = integer_threshold
    fraction = options.initial_potential if is_spiking and not random else 0.0
    if initial_potential is not None:
        initial = initial_potential
    elif integer_threshold is None:
        initial = np.asarray(fraction)
    else:
        initial = np.floor(np.float32(fraction) * integer_threshold)
    return Neuron(
        threshold=options.threshold * np.asarray(threshold, np.float64),
        reset_potential=0.0 if random or options.reset == "zero" else None,
        initial=options.threshold * initial.astype(np.float64),
        is_spiking=is_spiking,
    )
