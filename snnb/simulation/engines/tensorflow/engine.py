"""The engine `tensorflow`: the toolbox's spike counts from calls of a `tf.while_loop`, each of a part of the steps."""

import time
from functools import partial
from typing import Callable, Dict, Iterator, List, Tuple

import numpy as np
import tensorflow as tf

from snnb.interrupt import interruptible
from snnb.network.network import Network
from snnb.simulation.block import BinCounts, BlockCounts, Observe, late_quarters, recorded_of, spike_table
from snnb.simulation.engines.tensorflow.batch import batch_of, padded
from snnb.simulation.engines.tensorflow.loop import Loop, State
from snnb.simulation.randomness import INPUT, SOFTMAX, Streams
from snnb.simulation.settings import SimulationSettings

# A call is aimed at half a second, so that Ctrl-C and progress answer ...
CALL_SECONDS = 0.5
# ... and at so many bytes of Poisson input and recorded spikes, which are kept for all its steps.
CALL_BYTES = 64_000_000


class TensorFlowEngine:
    """Counts spikes as the toolbox does, identically in every layer but the random softmax one; on CPU and GPU.

    Parameters
    ----------
    network : Network
    settings : SimulationSettings
    """

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self._batch = batch_of(network)
        self._network, self._settings = network, settings
        self._loop = Loop(network, settings, self._batch)
        self._pace = 1

    def simulate(self, x: np.ndarray, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        n, source, warm_up = len(x), self._network.input.name, self._settings.warm_up
        recorded, bins = recorded_of(self._settings, first, n), BinCounts(self._settings)
        draws = self._draws(x, first)
        constants = interruptible(lambda: self._loop.constants(tf.constant(padded(x, self._batch))))
        state = self._loop.rest()
        input_spikes = np.zeros(x.shape, np.int64)
        late, quarters = np.zeros((len(state["counts"]), 2), np.int64), late_quarters(self._settings.duration)
        tables: Dict[str, List[np.ndarray]] = {name: [] for name in [source, *state["counts"]]}
        for start, steps in self._calls(recorded):
            if start == warm_up:
                state = {**state, "counts": self._loop.rest()["counts"]}
            if start >= quarters[0]:
                late[:, int(start >= quarters[1])] -= _spikes(state, n)
            drawn = {name: draw(steps) for name, draw in draws.items()}
            feed = {name: self._by_step(numbers) for name, numbers in drawn.items()}
            state, record = interruptible(partial(self._loop.run, constants, feed, state, steps, recorded))
            observe(record.output.numpy().swapaxes(0, 1)[:n])
            if start >= quarters[0]:
                late[:, int(start >= quarters[1])] += _spikes(state, n)
            spikes = {name: population.numpy() for name, population in record.spikes.items()}
            if source in drawn:
                spikes[source] = drawn[source].swapaxes(0, 1)[:, :recorded].reshape(steps, recorded, x[0].size)
            for name, of_samples in spikes.items():
                step, sample, neuron = np.nonzero(of_samples)
                tables[name].append(np.stack([sample + first, neuron, step + start], axis=1).astype(np.int32))
            if source in drawn and start >= warm_up:
                input_spikes += drawn[source].sum(axis=1)
            sent = {source: input_spikes} if source in draws else {}
            bins.take(start + steps, partial(_counts, state, n, sent))
        return BlockCounts(
            counts=_counts(state, n, sent),
            readout=state["readout"][self._network.output.name].numpy()[:n].reshape(n, -1),
            late=late,
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

    def _by_step(self, drawn: np.ndarray) -> tf.Tensor:
        """Turn `(samples, steps, ...)` into `(steps, batch, ...)`."""
        return tf.constant(np.ascontiguousarray(padded(drawn, self._batch).swapaxes(0, 1)))

    def _calls(self, recorded: int) -> Iterator[Tuple[int, int]]:
        """Yield the first step and the number of steps of each call, which is to take half a second."""
        duration, warm_up = self._settings.duration, self._settings.warm_up
        ends = sorted({warm_up, *late_quarters(duration), *self._settings.bin_edges, duration})  # of what is apart
        fed = self._batch * self._network.input.size * 5 if self._settings.input == "poisson" else 0
        most = max(1, CALL_BYTES // (fed + recorded * self._network.neurons + 1))
        start = 0
        while start < duration:
            steps = min(self._pace, most, next(end for end in ends if end > start) - start)
            began = time.perf_counter()
            yield start, steps
            expected = int(steps * CALL_SECONDS / (time.perf_counter() - began))
            self._pace = max(1, min(expected, 4 * self._pace))
            start += steps


def _counts(state: State, samples: int, sent: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return what the input `sent`, and the spikes counted so far in the first `samples` of the batch: int64."""
    counted = {name: counts.numpy()[:samples].astype(np.int64) for name, counts in state["counts"].items()}
    return {**sent, **counted}


def _spikes(state: State, samples: int) -> np.ndarray:
    """Return the spikes of each population counted so far, in the first `samples` of the batch: int64."""
    return np.array([counts.numpy()[:samples].sum(dtype=np.int64) for counts in state["counts"].values()])
