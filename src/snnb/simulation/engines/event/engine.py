"""The engine `event`: weights are added only where a neuron spikes; samples are shared among threads.

A current is summed one input after the other here, the bias last, while TensorFlow sums long ones in blocks. In
networks of up to some ten layers at most 0.1 % of the (sample, neuron) pairs differ from the toolbox's counts for that
reason, by one spike. A spike that comes a step earlier shifts others: in ResNet-20 nearly 1 % differ after 100 steps,
by up to two. Where sums are exact, none does.
"""

import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Iterator, Optional, Tuple

import numpy as np

from snnb.core.machine import processors
from snnb.network.network import Network
from snnb.simulation.block import BinCounts, BlockCounts, Observe
from snnb.simulation.engines.event.arrays import Scratch
from snnb.simulation.engines.event.compiled_network import EventNetwork
from snnb.simulation.engines.event.state import BlockState
from snnb.simulation.simulation_settings import SimulationSettings

CHUNK_STEPS = 250  # steps of all samples before the output is passed on
# A thread simulates a group of samples at a time: at least this number of groups of a block for each thread, and at
# most this number of bytes of a group's spikes.
GROUPS, GROUP_BYTES = 4, 1 << 20


class EventEngine:
    """Simulates with several threads, by default one for each processor, each with some samples at a time."""

    def __init__(self, network: Network, settings: SimulationSettings, threads: Optional[int] = None) -> None:
        self._settings = settings
        self._prepared = EventNetwork(network, settings)
        self._threads = threads or processors()
        self._scratch: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
        for _ in range(self._threads):
            self._scratch.put(Scratch(self._prepared.real))

    def simulate(self, x: np.ndarray, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        block = BlockState(self._prepared, x, first, self._at_once(len(x)))
        bins = BinCounts(self._settings)

        def work(group: int, start: int, output: np.ndarray, readout: np.ndarray) -> None:
            scratch, at_once = self._scratch.get(), self._prepared.train_steps
            try:
                for step in range(0, output.shape[1], at_once):
                    part = slice(step, step + at_once)
                    block.advance(scratch, group, start + step, output[:, part], readout[:, part])
            finally:
                self._scratch.put(scratch)

        with ThreadPoolExecutor(self._threads) as pool:
            for start, steps in self._chunks():
                if start == self._settings.warm_up > 0:
                    block.reset_counts()
                output = np.zeros((len(x), steps, self._prepared.network.output.size), np.bool_)
                readout = np.zeros(output.shape, self._prepared.real)
                outputs, readouts = ([array[group] for group in block.groups] for array in (output, readout))
                list(pool.map(work, range(len(outputs)), [start] * len(outputs), outputs, readouts))
                observe(output, readout)
                bins.add(start + steps, lambda: block.counted().counts)
        return replace(block.counted(), by_bin=bins.counted())

    def _at_once(self, samples: int) -> int:
        """Return how many samples a thread takes at a time, so that little is left to Python, and no thread idle."""
        fitting = GROUP_BYTES // (self._prepared.network.neurons // 8 * self._prepared.train_steps + 1)
        return max(1, min(samples // (GROUPS * self._threads), fitting))

    def _chunks(self) -> Iterator[Tuple[int, int]]:
        """Yield the first step and the number of steps of each chunk; counting, and each bin, starts with one."""
        settings = self._settings
        cuts = sorted({0, settings.warm_up, *settings.bin_edges, settings.duration})
        for begin, end in zip(cuts, cuts[1:]):
            for start in range(begin, end, CHUNK_STEPS):
                yield start, min(CHUNK_STEPS, end - start)
