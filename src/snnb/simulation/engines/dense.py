"""Common part of the engines that compute every synapse in every step: random numbers, calls of some steps, sums."""

import time
from functools import partial
from typing import Callable, Dict, Iterator, List, NamedTuple, Protocol, Set, Tuple

import numpy as np

from snnb.conversion.batch import padded
from snnb.network.layers import MaxPooling2D
from snnb.network.network import Network, Population, Reindexed
from snnb.simulation.block import BinCounts, BlockCounts, Observe, late_quarters, recorded_of, spike_table
from snnb.simulation.randomness import INPUT, SOFTMAX, Streams
from snnb.simulation.simulation_settings import SimulationSettings

# Seconds that a call is to take, for progress, and most bytes of the Poisson input and recorded spikes of its steps.
CALL_SECONDS = 0.5
CALL_BYTES = 64_000_000

Arrays = Dict[str, np.ndarray]


class StepRecord(NamedTuple):
    """Quantities recorded in each time step."""

    output: np.ndarray  # the output layer's spikes: bool (steps, batch, units)
    readout: np.ndarray  # the output layer's accumulated input: float32 (steps, batch, units)
    spikes: Arrays  # by population, bool (steps, recorded, neurons)


class Loop(Protocol):
    """Dynamics and state of a batch of samples."""

    batch: int

    def begin(self, x: np.ndarray) -> None:
        """Start a batch of images, float32 (batch, height, width, channels), before the first step."""

    def run(self, feed: Arrays, steps: int, recorded: int) -> StepRecord:
        """Simulate the next steps, and return the spikes of the first `recorded` samples.

        `feed` has arrays (steps, batch, ...): the bool spikes of Poisson input; uniform random numbers of each softmax
        layer.
        """

    def counts(self) -> Arrays:
        """Return the spikes of each population's neurons so far: float32 (batch, *shape)."""

    def reset_counts(self) -> None:
        """Set the counts to zero."""


class DenseEngine:
    """Simulates batches of one size with a loop over the steps."""

    def __init__(self, network: Network, settings: SimulationSettings, loop: Loop) -> None:
        self._network, self._settings, self._loop = network, settings, loop
        self._duration = network.latency(settings.duration)
        self._pace = 1

    def simulate(self, x: np.ndarray, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        n, source, warm_up, loop = len(x), self._network.input.name, self._settings.warm_up, self._loop
        recorded, bins = recorded_of(self._settings, first, n), BinCounts(self._settings)
        draws = self._draws(x, first)
        loop.begin(padded(x, loop.batch))
        names = [population.name for population in self._network.populations]
        input_spikes = np.zeros(x.shape, np.int64)
        late, quarters = np.zeros((len(names), 2), np.int64), late_quarters(self._duration)
        tables: Dict[str, List[np.ndarray]] = {name: [] for name in [source, *names]}
        for start, steps in self._calls(recorded):
            if start == warm_up:
                loop.reset_counts()
            if start >= quarters[0]:
                late[:, int(start >= quarters[1])] -= self._spikes(n)
            drawn = {name: draw(steps) for name, draw in draws.items()}
            if self._network.windowed and source in drawn:
                drawn[source][:, max(0, self._settings.duration - start) :] = False
            feed = {name: self._by_step(numbers) for name, numbers in drawn.items()}
            record = loop.run(feed, steps, recorded)
            readout = record.readout.swapaxes(0, 1)[:n]
            observe(record.output.swapaxes(0, 1)[:n], readout)
            if start >= quarters[0]:
                late[:, int(start >= quarters[1])] += self._spikes(n)
            spikes = dict(record.spikes)
            if source in drawn:
                spikes[source] = drawn[source].swapaxes(0, 1)[:, :recorded].reshape(steps, recorded, x[0].size)
            for name, of_samples in spikes.items():
                step, sample, neuron = np.nonzero(of_samples)
                tables[name].append(np.stack([sample + first, neuron, step + start], axis=1).astype(np.int32))
            if source in drawn and start >= warm_up:
                input_spikes += drawn[source].sum(axis=1)
            sent = {source: input_spikes} if source in draws else {}
            bins.add(start + steps, partial(self._counts, n, sent))
        return BlockCounts(
            counts=self._counts(n, sent),
            readout=readout[:, -1],
            late=None if self._network.windowed else late,
            spikes={name: spike_table(parts) for name, parts in tables.items()} if recorded else {},
            by_bin=bins.counted(),
        )

    def _draws(self, x: np.ndarray, first: int) -> Dict[str, Callable[[int], np.ndarray]]:
        """Return what is random: by volume, a function from a number of steps to `(samples, steps, ...)`."""
        seed, samples = self._settings.seed, range(first, first + len(x))
        draws: Dict[str, Callable[[int], np.ndarray]] = {}
        if self._settings.input == "poisson":
            spikes = Streams(seed, samples, INPUT)
            draws[self._network.input.name] = lambda steps: spikes.poisson(x, self._settings.input_rate, steps)
        softmax = [population for population in self._network.populations if population.activation == "softmax"]
        for i, population in enumerate(softmax):
            draws[population.name] = partial(Streams(seed, samples, SOFTMAX + i).uniform, shape=population.shape)
        return draws

    def _by_step(self, drawn: np.ndarray) -> np.ndarray:
        """Turn `(samples, steps, ...)` into `(steps, batch, ...)`."""
        return np.ascontiguousarray(padded(drawn, self._loop.batch).swapaxes(0, 1))

    def _counts(self, samples: int, sent: Arrays) -> Arrays:
        """Return what the input `sent`, and the spikes counted so far in the first `samples` of the batch: int64."""
        counted = {name: counts[:samples].astype(np.int64) for name, counts in self._loop.counts().items()}
        return {**sent, **counted}

    def _spikes(self, samples: int) -> np.ndarray:
        """Return the spikes of each population counted so far, in the first `samples` of the batch: int64."""
        return np.array([counts[:samples].sum(dtype=np.int64) for counts in self._loop.counts().values()])

    def _calls(self, recorded: int) -> Iterator[Tuple[int, int]]:
        """Yield the first step and the number of steps of each call, which is to take half a second."""
        duration, warm_up = self._duration, self._settings.warm_up
        ends = sorted(
            {warm_up, *late_quarters(duration), *self._settings.bin_edges, duration}
        )  # of what is counted separately
        fed = self._loop.batch * self._network.input.size * 5 if self._settings.input == "poisson" else 0
        most = max(1, CALL_BYTES // (fed + recorded * self._network.neurons + 1))
        start = 0
        while start < duration:
            steps = min(self._pace, most, next(end for end in ends if end > start) - start)
            began = time.perf_counter()
            yield start, steps
            expected = int(steps * CALL_SECONDS / (time.perf_counter() - began))
            self._pace = max(1, min(expected, 4 * self._pace))
            start += steps


def constant_volumes(network: Network) -> Set[str]:
    """Names of the volumes whose input does not change from step to step when the network's does not."""
    constant, passing = {network.input.name}, {network.input.name}
    for volume in network.volumes:
        if isinstance(volume, (Population, Reindexed)) and passing.issuperset(volume.inputs):
            if isinstance(volume, Reindexed):
                passing.add(volume.name)
            elif accumulates(volume):
                continue
            constant.add(volume.name)
    return constant


def accumulates(population: Population) -> bool:
    """Whether its current depends on what its inputs have accumulated, as that of spiking max pooling does."""
    return any(isinstance(projection.layer, MaxPooling2D) for projection in population.projections)
