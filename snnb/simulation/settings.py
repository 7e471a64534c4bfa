"""What is simulated, and how."""

import math
from dataclasses import dataclass

from snnb.errors import UsageError

CHOICES = {
    "engine": ("auto", "toolbox", "tensorflow", "event"),
    "input": ("constant", "poisson"),
    "reset": ("subtraction", "zero"),
}


@dataclass(frozen=True)
class SimulationSettings:
    """How a converted network is simulated.

    Attributes
    ----------
    engine
        `toolbox` (the reference), `tensorflow`, `event`, or `auto`.
    samples
        The first so many samples of the test set.
    duration
        Steps of dt = 1 ms.
    warm_up
        Leading steps left out of the counts (not of the accuracy).
    batch_size
        Samples simulated at a time by the engine `toolbox`. The others choose for themselves, see `docs/simulation.md`.
    seed
        Of Poisson input and of the softmax layer's spikes.
    input, input_rate
        `constant`: the pixel's value is a current, every step. `poisson`: spikes of amplitude 1, with probability
        min(1, pixel * input_rate * dt / 1000) a step; `input_rate` in Hz.
    threshold
        Membrane potential at which a neuron spikes; also the amplitude of its spike, as in the toolbox.
    reset
        After a spike: by `subtraction` of the threshold, or to `zero`.
    workers
        Processes that share the samples. Results do not depend on it.
    record_spikes
        The first so many samples whose spike times are kept.
    """

    engine: str = "auto"
    samples: int = 100
    duration: int = 100
    warm_up: int = 0
    batch_size: int = 50
    seed: int = 0
    input: str = "constant"
    input_rate: float = 1000.0
    threshold: float = 1.0
    reset: str = "subtraction"
    workers: int = 1
    record_spikes: int = 0

    def __post_init__(self) -> None:
        for field in ("samples", "duration", "batch_size", "workers"):
            if getattr(self, field) < 1:
                raise UsageError(f"--{_option(field)} {getattr(self, field)}: give a whole number of at least 1")
        for field in ("warm_up", "record_spikes", "seed"):
            if getattr(self, field) < 0:
                raise UsageError(f"--{_option(field)} {getattr(self, field)}: give a whole number of at least 0")
        if self.seed >= 2**64:
            raise UsageError(f"--seed {self.seed}: give a number below 2 to the power of 64")
        for field in ("threshold", "input_rate"):
            if not 0 < getattr(self, field) < math.inf:
                raise UsageError(f"--{_option(field)} {getattr(self, field)}: give a number above 0")
        for field, choices in CHOICES.items():
            if getattr(self, field) not in choices:
                raise UsageError(f"--{field} {getattr(self, field)!r}: choose one of {', '.join(choices)}")
        if self.warm_up >= self.duration:
            raise UsageError(f"--warm-up {self.warm_up}: leaves no step of --duration {self.duration} to count")
        if self.record_spikes > self.samples:
            raise UsageError(f"--record-spikes {self.record_spikes}: only --samples {self.samples} are simulated")


def _option(field: str) -> str:
    return field.replace("_", "-")
