"""A simulation as blocks of samples, each of which any process can work on."""

import os
from dataclasses import dataclass
from typing import Callable

import numpy as np

from snnb.errors import InputError
from snnb.simulation.block import Engine
from snnb.simulation.currents import Analogue, batch_of
from snnb.simulation.layers import Network
from snnb.simulation.quality import Classification, Judge, Reconstruction
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.tensorflow_engine import TensorFlowEngine
from snnb.simulation.totals import Totals

# Threads of the engine `event` wait for each other at the end of a block, so each should have this many samples of it,
EVENT_SAMPLES = 10
# unless all of them together have more neurons than this.
EVENT_NEURONS = 20_000_000


@dataclass(frozen=True)
class Job:
    """What is simulated, and how, but for the samples.

    Attributes
    ----------
    engine
        `toolbox`, `tensorflow` or `event`.
    scale
        A pixel is value / scale.
    classifies
        Whether the output is a class; a reconstruction of the picture otherwise.
    output_scale
        Activation of the trained network's output that 1 stands for in the parsed one (a reconstruction's unit).
    """

    network: Network
    settings: SimulationSettings
    engine: str
    scale: float
    classifies: bool
    output_scale: float

    @property
    def block(self) -> int:
        """Samples in a block (fewer in the last)."""
        block = batch_of(self.network)
        if self.engine == "event":
            block = max(block, min(EVENT_SAMPLES * (os.cpu_count() or 1), EVENT_NEURONS // self.network.neurons))
        return min(block, -(-self.settings.samples // self.settings.workers))

    @property
    def blocks(self) -> range:
        """The first sample of each block."""
        return range(0, self.settings.samples, self.block)

    def pixels(self, values: np.ndarray, first: int) -> np.ndarray:
        """Pictures as float32; `InputError` when a pixel is not in [0, 1], `first` being the first sample's number."""
        pixels: np.ndarray = values.astype(np.float32) / np.float32(self.scale)
        bad = ~((pixels >= 0) & (pixels <= 1))
        if bad.any():
            index = np.argwhere(bad)[0]
            raise InputError(
                f"sample {first + index[0]} of the test set has a pixel of {pixels[tuple(index)]:g}, outside [0, 1]: "
                "prepare the data set again, with the scale its values have"
            )
        return pixels

    def judge(self, pixels: np.ndarray, y: np.ndarray) -> Judge:
        """What watches the output for these samples; `y`: their class ids."""
        if not self.classifies:
            return Reconstruction(pixels, self.settings.threshold * self.output_scale, self.output_scale)
        return Classification(y, self.network.output.size)


class Runner:
    """Works on blocks of a job, in the process it was made in."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._analogue = Analogue(job.network)
        self._engine = _engine(job)

    def run(self, first: int, values: np.ndarray, y: np.ndarray, tick: Callable[[int], None]) -> Totals:
        """Simulate the block whose first sample is number `first`; `tick` is told each number of steps just done."""
        pixels = self._job.pixels(values, first)
        judge = self._job.judge(pixels, y)

        def observe(spikes: np.ndarray) -> None:
            judge.observe(spikes)
            tick(spikes.shape[1])

        counted = self._engine.simulate(pixels, first, observe)
        return Totals(
            samples=len(pixels),
            counts={name: counts.sum(axis=0, dtype=np.int64) for name, counts in counted.counts.items()},
            quality=judge.quality(self._analogue.outputs(pixels), counted.readout),
            late=counted.late,
            spikes={name: [table] for name, table in counted.spikes.items()},
        )


def _engine(job: Job) -> Engine:
    if job.engine == "event":
        from snnb.simulation.event_engine import EventEngine  # numba takes a second to import

        return EventEngine(job.network, job.settings)
    return TensorFlowEngine(job.network, job.settings)
