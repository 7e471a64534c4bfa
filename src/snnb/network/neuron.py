"""The neuron model: condition for a spike, and reset. No other module defines them.

Engines, cross-checks and exports read `Neuron`. The neurons of a converted network have no leak; `converted_neuron`
makes them from options of the simulation.
"""

from dataclasses import dataclass, fields
from typing import Dict, Mapping, Optional, Protocol, Tuple, Union

import numpy as np

from snnb.network.geometry import Shape

Numbers = Union[float, np.ndarray]


@dataclass(frozen=True, eq=False)
class Neuron:
    """Parameters of the neurons of a population, constant in time: leaky integration, threshold and reset.

    In each time step, x is the sum of the currents of all projections, the bias included:

        i ← i + (g_i x - (1 - κ) i)         with a synaptic current; otherwise i = x
        v ← v + ((g i + c) - (1 - λ) v)
        spike where v ≥ θ; there v ← v - subtrahend, or v ← reset

    That is i ← κ i + g_i x and v ← λ v + g i + c, in the form whose rounding error does not grow when λ is close to 1.
    Engines compute it in float32 in exactly this order, with 1 - λ and 1 - κ rounded to float32 once.

    Each number is converted to float64, and broadcasts to the shape of the population: a number, one for each channel
    (the last axis), or one for each neuron.
    """

    firing_threshold: Numbers  # θ; a neuron that spikes only above ϑ has the next float32 number, nextafter(ϑ, ∞)
    leak: Numbers = 1.0  # λ
    gain: Numbers = 1.0  # g
    offset: Numbers = 0.0  # c
    current_leak: Optional[Numbers] = None  # κ; None: no synaptic current
    current_gain: Numbers = 1.0  # g_i
    reset: Optional[Numbers] = None  # potential after a spike; None: the subtrahend is subtracted
    subtrahend: Optional[Numbers] = None  # None: the firing threshold
    initial: Numbers = 0.0  # potential before the first step
    spikes: bool = True  # False: a leaky integrator, which is read by its potential; threshold and reset do not act

    def __post_init__(self) -> None:
        for field in FIELDS.values():
            if getattr(self, field) is not None:
                object.__setattr__(self, field, np.asarray(getattr(self, field), np.float64))

    @classmethod
    def of(cls, numbers: Mapping[str, Numbers], *, spikes: bool = True) -> "Neuron":
        """Make a neuron model from numbers by their names in files."""
        return cls(spikes=spikes, **{FIELDS[name]: values for name, values in numbers.items()})

    @property
    def given(self) -> Dict[str, np.ndarray]:
        """The numbers that are not None, by their names in files: float64."""
        values = {name: getattr(self, field) for name, field in FIELDS.items()}
        return {name: value for name, value in values.items() if value is not None}

    def check(self, shape: Shape) -> None:
        """Raise `ValueError` with the name of a parameter that is not finite, or does not fit a population's shape."""
        for name, values in self.given.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{name} of its neurons is not finite")
            if values.shape not in ((), shape[-1:], shape):
                raise ValueError(f"{name} of its neurons has shape {values.shape}, which does not fit {shape}")

    def in_words(self) -> Tuple[str, str]:
        """Return the threshold and the reset of the potential: `0.5 to 1`, `to 0`; empty without spikes."""
        if not self.spikes:
            return "", ""
        if self.reset is not None:
            return _range(self.firing_threshold), f"to {_range(self.reset)}"
        return _range(self.firing_threshold), f"by subtraction of {_range(self._subtracted)}"

    @property
    def _subtracted(self) -> Numbers:
        return self.firing_threshold if self.subtrahend is None else self.subtrahend

    @property
    def after(self) -> np.ndarray:
        """Potential after a spike if there is a `reset`, else the number that a spike subtracts."""
        return np.asarray(self._subtracted if self.reset is None else self.reset)

    def numbers(self, shape: Shape) -> Dict[str, np.ndarray]:
        """Return the numbers by their names in files, each in the shape of the population: float64."""
        values = {**self.given, "subtrahend": np.asarray(self._subtracted)}
        without = {"subtrahend"} if self.reset is not None else set()
        without |= set() if self.current_leak is not None else {"current_leak", "current_gain"}
        without |= set() if self.spikes else {"threshold", "reset", "subtrahend"}
        return {name: np.broadcast_to(value, shape) for name, value in values.items() if name not in without}


# Field of each number by its name in files.
FIELDS = {
    {"firing_threshold": "threshold"}.get(field.name, field.name): field.name
    for field in fields(Neuron)
    if field.name != "spikes"
}


def _range(values: Numbers) -> str:
    """Return numbers as text: their least and greatest, or one if these are equal."""
    low, high = (f"{float(value):.6g}" for value in (np.min(values), np.max(values)))
    return low if low == high else f"{low} to {high}"


class NeuronOptions(Protocol):
    """Options of the neurons of a converted network, see `SimulationSettings`."""

    @property
    def threshold(self) -> float:
        """Potential at which a neuron spikes where weights are normalised to 1, and amplitude of a spike."""

    @property
    def reset(self) -> str:
        """`subtraction` of the threshold, or to `zero`."""

    @property
    def initial_potential(self) -> float:
        """Potential before the first step as a fraction of the threshold, of populations without one."""


@dataclass(frozen=True)
class Normalised:
    """The default `NeuronOptions`, without a simulation: their threshold is the unit of the weights."""

    threshold: float = 1.0
    reset: str = "subtraction"
    initial_potential: float = 0.0


def converted_neuron(
    options: NeuronOptions,
    *,
    integer_threshold: Optional[np.ndarray] = None,
    initial_potential: Optional[np.ndarray] = None,
    random: bool = False,
    spikes: bool = True,
) -> Neuron:
    """Return the integrate-and-fire neurons of a population of a converted network.

    `integer_threshold` and `initial_potential` (a fraction of the threshold, or an integer with integer thresholds) are
    given for its channels. Without an `initial_potential`, `options` define it, except for a softmax, which draws the
    spikes (`random`), and an output that does not spike. All potentials are multiplied by `options.threshold`.
    """
    threshold, start = 1.0 if integer_threshold is None else integer_threshold, initial_potential
    if start is None:
        share = options.initial_potential if spikes and not random else 0.0
        start = np.asarray(share) if integer_threshold is None else np.floor(np.float32(share) * integer_threshold)
    return Neuron(
        firing_threshold=options.threshold * np.asarray(threshold, np.float64),
        reset=0.0 if random or options.reset == "zero" else None,
        initial=options.threshold * start.astype(np.float64),
        spikes=spikes,
    )
