"""Interface of the engines: a block of samples and its spike counts."""

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Optional, Protocol, Tuple, Union

import numpy as np

from snnb.network.network import MEMBRANE, Population
from snnb.simulation.simulation_settings import SimulationSettings

# Called with what the output layer does in the next steps: its spikes, bool (samples, steps, units); and its
# accumulated input after each step, float32 of the same shape, or None if the engine does not provide it.
Observe = Callable[[np.ndarray, Optional[np.ndarray]], None]


@dataclass(frozen=True)
class BlockCounts:
    """Spike counts of a block of n samples; the input is among the populations when it spikes (Poisson)."""

    # Spikes of each population's neurons after the warm-up: int (n, *shape), or (1, *shape) from an engine that only
    # knows the sum over the samples.
    counts: Dict[str, np.ndarray]
    # Input current of the output layer summed over all steps: float32 (n, units); None if the engine does not know it.
    readout: Optional[np.ndarray]
    # Spikes of each population in the last two quarters of the steps (see `late_quarters`), summed over samples and
    # neurons: int64 (populations, 2); None if the engine does not know it.
    late: Optional[np.ndarray]
    spikes: Dict[str, np.ndarray]  # of the recorded samples, see `spike_table`
    # Spikes in each time bin, summed over the samples: int64 (bins, *shape); empty without bins.
    by_bin: Dict[str, np.ndarray] = field(default_factory=dict)


class Engine(Protocol):
    """Simulates a network, a block of samples at a time."""

    def simulate(self, x: np.ndarray, first: int, observe: Observe) -> BlockCounts:
        """Simulate images, float32 (samples, height, width, channels) in [0, 1], or integers as constant input.

        `first` is the index of the first one among the test samples. `observe` is called some steps at a time.
        """


def late_quarters(duration: int) -> Tuple[int, int]:
    """Return the first step of the quarter before the last, and of the last; both are empty below four steps."""
    quarter = duration // 4
    return duration - 2 * quarter, duration - quarter


def spike_table(parts: List[np.ndarray]) -> np.ndarray:
    """Join tables of spikes, int32 `(spikes, 3)` with the columns sample, neuron, step: by sample, step, neuron."""
    table = np.concatenate([np.zeros((0, 3), np.int32), *parts])
    return table[np.lexsort((table[:, 1], table[:, 2], table[:, 0]))]


def recorded_of(settings: SimulationSettings, first: int, samples: int) -> int:
    """Return the number of samples of a block whose spike times are recorded."""
    return max(0, min(samples, settings.first + settings.record_spikes - first))


def initial_potential(population: Population, settings: SimulationSettings) -> np.ndarray:
    """Return the membrane potential of a population's neurons before the first step: float32, in its shape."""
    share: Union[float, np.ndarray] = settings.initial_potential
    if population.initial_potential is not None:
        share = population.initial_potential
    elif population.activation in ("softmax", MEMBRANE):
        share = 0.0
    elif population.threshold is not None:
        share = np.floor(share * population.threshold)
    return np.broadcast_to(np.float32(settings.threshold) * np.asarray(share, np.float32), population.shape)


def firing_threshold(population: Population, settings: SimulationSettings) -> np.ndarray:
    """Return the potential at which a population's neurons spike: float32, in its shape."""
    own = np.float32(1) if population.threshold is None else population.threshold
    return np.broadcast_to(np.float32(settings.threshold) * own, population.shape)


class BinCounts:
    """Spikes in each time bin, the differences of the counts at the ends of the bins."""

    def __init__(self, settings: SimulationSettings) -> None:
        self._number = {end: i for i, end in enumerate(settings.bin_edges[1:])}
        self._by_bin: Dict[str, np.ndarray] = {}
        self._before: Dict[str, np.ndarray] = {}

    def add(self, step: int, counts: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Take the counts before a step, arrays of shape (samples, *shape), if a bin ends there."""
        if step not in self._number:
            return
        for name, counted in counts().items():
            total = counted.sum(axis=0, dtype=np.int64)
            if name not in self._by_bin:
                self._by_bin[name] = np.zeros((len(self._number), *total.shape), np.int64)
            self._by_bin[name][self._number[step]] = total - self._before.get(name, 0)
            self._before[name] = total

    def counted(self) -> Dict[str, np.ndarray]:
        """Return by population the counts of all bins, int64 of shape (bins, *shape)."""
        return self._by_bin
