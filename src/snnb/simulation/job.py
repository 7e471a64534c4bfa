"""A simulation as blocks of samples, each of which any process can work on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.network.network import Network
from snnb.simulation.block import Engine
from snnb.simulation.engines.tensorflow.analogue import AnalogueNetwork
from snnb.simulation.engines.tensorflow.batch import batch_of
from snnb.simulation.quality import Classification, Reconstruction, Scorer
from snnb.simulation.simulation_settings import SimulationSettings
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
    parsed : Path
        The parsed model's file.
    network : Network
        What stands in it.
    settings : SimulationSettings
    engine : {"toolbox", "tensorflow", "torch", "event"}
    scale : float
        A pixel is value / scale.
    classifies : bool
        Whether the output is a class; a reconstruction of the picture otherwise.
    output_scale : float
        Activation of the trained network's output that 1 stands for in the parsed one (a reconstruction's unit).
    """

    parsed: Path
    network: Network
    settings: SimulationSettings
    engine: str
    scale: float
    classifies: bool
    output_scale: float

    def block(self, workers: int, threads: int) -> int:
        """Return how many samples are a block (fewer in the last) for so many workers, each with so many threads."""
        if self.engine == "toolbox":
            return self.settings.samples
        block = batch_of(self.network)
        if self.engine == "event":
            block = max(block, min(EVENT_SAMPLES * threads, EVENT_NEURONS // self.network.neurons))
        return min(block, -(-self.settings.samples // workers))

    def blocks(self, workers: int, threads: int) -> List[slice]:
        """Return the samples of each block."""
        block, samples = self.block(workers, threads), self.settings.samples
        return [slice(first, min(first + block, samples)) for first in range(0, samples, block)]

    def pixels(self, values: np.ndarray, first: int) -> np.ndarray:
        """Return pictures as float32.

        Parameters
        ----------
        values : ndarray, shape (samples, height, width, channels)
        first : int
            Number of the first of these samples, for the message.

        Raises
        ------
        InputError
            A pixel is not in [0, 1].
        """
        pixels: np.ndarray = values.astype(np.float32) / np.float32(self.scale)
        bad = ~((pixels >= 0) & (pixels <= 1))
        if bad.any():
            index = np.argwhere(bad)[0]
            raise InputError(
                f"sample {first + index[0]} of the test set has a pixel of {pixels[tuple(index)]:g}, outside [0, 1]: "
                "prepare the data set again, with the scale its values have"
            )
        return pixels

    def scorer(self, pixels: np.ndarray, y: np.ndarray) -> Scorer:
        """Return what scores the output for these pictures, of the class ids `y`."""
        if not self.classifies:
            return Reconstruction(pixels, self.settings.threshold * self.output_scale, self.output_scale)
        return Classification(y, self.network.output.size)


class Runner:
    """Works on blocks of a job, in the process it was made in.

    Parameters
    ----------
    job : Job
    threads : int
        How many the engine may use, if it shares samples among threads.
    progress : Progress, optional
        For an engine that tells by itself how many samples are done.
    """

    def __init__(self, job: Job, threads: int, progress: Progress = silent) -> None:
        self._job = job
        self._analogue = AnalogueNetwork(job.network)
        self._engine = _engine(job, threads, progress)

    def run(self, first: int, values: np.ndarray, y: np.ndarray, tick: Callable[[int], None]) -> Totals:
        """Simulate a block.

        Parameters
        ----------
        first : int
            Number of the block's first sample in the job.
        values : ndarray, shape (samples, height, width, channels)
            Its pictures, before they are scaled.
        y : ndarray of int64, shape (samples,)
            Their class ids.
        tick : callable
            Told each number of steps that were just done.
        """
        settings = self._job.settings
        number = settings.first + first
        pixels = self._job.pixels(values, number)
        scorer = self._job.scorer(pixels, y)

        def observe(spikes: np.ndarray) -> None:
            scorer.observe(spikes)
            tick(spikes.shape[1])

        counted = self._engine.simulate(pixels, number, observe)
        return Totals(
            samples=len(pixels),
            counts={name: counts.sum(axis=0, dtype=np.int64) for name, counts in counted.counts.items()},
            quality=scorer.quality(self._analogue.outputs(pixels), counted.readout),
            late=counted.late,
            spikes={name: [table] for name, table in counted.spikes.items()},
            by_class=_by_class(counted.counts, y) if settings.by == "class" else {},
            by_bin=counted.by_bin,
        )


def _by_class(counts: Dict[str, np.ndarray], y: np.ndarray) -> Dict[int, Dict[str, np.ndarray]]:
    """Return by class of those in `y` the counts, summed over its samples."""
    return {
        int(of): {name: counted[y == of].sum(axis=0, dtype=np.int64) for name, counted in counts.items()}
        for of in np.unique(y)
    }


def _engine(job: Job, threads: int, progress: Progress) -> Engine:
    if job.engine == "toolbox":
        from snnb.simulation.engines.toolbox import ToolboxEngine

        return ToolboxEngine(job.parsed, job.settings, progress)
    if job.engine == "event":
        from snnb.simulation.engines.event.engine import EventEngine  # numba takes a second to import

        return EventEngine(job.network, job.settings, threads)
    if job.engine == "torch":
        from snnb.simulation.engines.torch.loop import TorchEngine

        return TorchEngine(job.network, job.settings)
    from snnb.simulation.engines.tensorflow.loop import TensorFlowEngine

    return TensorFlowEngine(job.network, job.settings)
