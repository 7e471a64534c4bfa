"""The neuron model of a network that was trained as a spiking one; converted networks are its case without a leak."""

from dataclasses import dataclass, fields
from typing import Dict, Optional, Union

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

    threshold: Numbers  # θ; a neuron that spikes only above ϑ has the next float32 number, nextafter(ϑ, ∞)
    leak: Numbers = 1.0  # λ
    gain: Numbers = 1.0  # g
    offset: Numbers = 0.0  # c
    current_leak: Optional[Numbers] = None  # κ; None: no synaptic current
    current_gain: Numbers = 1.0  # g_i
    reset: Optional[Numbers] = None  # potential after a spike; None: the subtrahend is subtracted
    subtrahend: Optional[Numbers] = None  # None: the threshold
    initial: Numbers = 0.0  # potential before the first step
    spikes: bool = True  # False: a leaky integrator, which is read by its potential; threshold and reset do not act

    def __post_init__(self) -> None:
        for name in NUMBERS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))

    def check(self, shape: Shape) -> None:
        """Raise `ValueError` with the name of a parameter that is not finite, or does not fit a population's shape."""
        for name in NUMBERS:
            values = getattr(self, name)
            if values is None:
                continue
            if not np.isfinite(values).all():
                raise ValueError(f"{name} of its neurons is not finite")
            if values.shape not in ((), shape[-1:], shape):
                raise ValueError(f"{name} of its neurons has shape {values.shape}, which does not fit {shape}")

    def numbers(self, shape: Shape) -> Dict[str, np.ndarray]:
        """Return the numbers in force by name, each in the shape of the population: float64."""
        values = {name: getattr(self, name) for name in NUMBERS}
        if self.subtrahend is None:
            values["subtrahend"] = self.threshold
        without = {"subtrahend"} if self.reset is not None else set()
        without |= set() if self.current_leak is not None else {"current_leak", "current_gain"}
        without |= set() if self.spikes else {"threshold", "reset", "subtrahend"}
        return {
            name: np.broadcast_to(value, shape)
            for name, value in values.items()
            if value is not None and name not in without
        }


NUMBERS = tuple(field.name for field in fields(Neuron) if field.name != "spikes")
