"""Interface of the engines, and values that they share: thresholds, initial potentials, amplitudes, random numbers."""

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Optional, Protocol, Set, Tuple, Union

import numpy as np

from snnb.network.network import MEMBRANE, Network, Population, Reindexed
from snnb.simulation.simulation_settings import SimulationSettings

# Called with the output layer's activity in the next steps: its spikes, bool (samples, steps, units); and its
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
    """Spikes in each time bin: the differences of the counts at the ends of the bins.

    Attributes
    ----------
    counts : dict of str to ndarray of int64, shape (bins, *shape)
        By population, summed over the samples.
    """

    def __init__(self, settings: SimulationSettings) -> None:
        self._number = {end: i for i, end in enumerate(settings.bin_edges[1:])}
        self.counts: Dict[str, np.ndarray] = {}
        self._before: Dict[str, np.ndarray] = {}

    def add(self, step: int, counts: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Take the counts before a step, arrays of shape (samples, *shape), if a bin ends there."""
        if step not in self._number:
            return
        for name, counted in counts().items():
            total = counted.sum(axis=0, dtype=np.int64)
            if name not in self.counts:
                self.counts[name] = np.zeros((len(self._number), *total.shape), np.int64)
            self.counts[name][self._number[step]] = total - self._before.get(name, 0)
            self._before[name] = total


INPUT, SOFTMAX = 0, 1  # uses of random numbers


class Streams:
    """Random numbers of consecutive samples for one purpose, drawn step after step.

    A sample's numbers come from Philox, a function of key and counter (Salmon et al. 2011, Parallel random numbers: as
    easy as 1, 2, 3): the key is (seed, sample), and the counter's highest word is the use: `INPUT` for Poisson input,
    `SOFTMAX` + i for the i-th softmax layer.
    """

    def __init__(self, seed: int, samples: range, use: int) -> None:
        counter = np.array([0, 0, 0, use], np.uint64)
        keys = [np.array([seed, sample], np.uint64) for sample in samples]
        self._generators = [np.random.Generator(np.random.Philox(key=key, counter=counter)) for key in keys]

    def uniform(self, steps: int, shape: Tuple[int, ...]) -> np.ndarray:
        """Draw numbers in [0, 1) in order of step, then neuron: float32 (samples, steps, *shape)."""
        draws: List[np.ndarray] = [g.random((steps, *shape), dtype=np.float32) for g in self._generators]
        return np.stack(draws)

    def poisson(self, x: np.ndarray, rate: float, steps: int) -> np.ndarray:
        """Draw the spikes of Poisson input for images in [0, 1]: bool (samples, steps, ...).

        Each is a spike with probability min(1, x * rate * dt / 1000), at a `rate` in Hz and dt = 1 ms.
        """
        probability = x[:, np.newaxis] * np.float32(rate / 1000)
        spikes: np.ndarray = self.uniform(steps, x.shape[1:]) < probability
        return spikes


def spike_amplitudes(network: Network, settings: SimulationSettings) -> Dict[str, Set[float]]:
    """Return the amplitudes of the spikes that each volume passes on, by its name; constant input has no spikes."""
    found: Dict[str, Set[float]] = {}
    for volume in network.volumes:
        if isinstance(volume, Population):
            found[volume.name] = {settings.threshold}
        elif isinstance(volume, Reindexed):
            found[volume.name] = set().union(*(found[name] for name in volume.inputs))
        else:
            found[volume.name] = {float(network.pixel)} if settings.input == "poisson" else set()
    return found


def unsupported(network: Network, settings: SimulationSettings) -> Optional[str]:
    """Return the reason why the event-driven engine cannot simulate the network with these settings; None if it can.

    A projection adds rows of weights that are multiplied by the amplitude once, so all its spikes must have the same.
    """
    amplitudes = spike_amplitudes(network, settings)
    for population in network.populations:
        if any(len(amplitudes[name]) > 1 for name in population.inputs):
            return (
                f"layer {population.name} reads input spikes of amplitude {network.pixel} and spikes of amplitude "
                f"{settings.threshold:g}"
            )
    return None
