"""The engine `toolbox`: the toolbox's own `SNN.run`, the reference for the others."""

from pathlib import Path

import numpy as np

from snnb.progress import Progress, silent
from snnb.simulation.currents import Analogue
from snnb.simulation.job import Job
from snnb.simulation.randomness import INPUT, Streams
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.totals import Totals


def run_with_toolbox(job: Job, parsed: Path, x: np.ndarray, y: np.ndarray, progress: Progress = silent) -> Totals:
    """Simulate a job's samples. The softmax layer's spikes depend on the batch size; Poisson input is as elsewhere."""
    from snnb.conversion.toolbox import run_toolbox

    settings = job.settings
    poisson = settings.input == "poisson"
    pixels = job.pixels(x[: settings.samples], 0)
    run = run_toolbox(
        parsed,
        pixels,
        np.zeros(len(pixels), np.int64),  # no result depends on the classes it is given
        duration=settings.duration,
        warm_up=settings.warm_up,
        batch_size=settings.batch_size,
        seed=settings.seed,
        options=[settings],
        frames=_PoissonFrames(pixels, settings) if poisson else None,
        progress=progress,
    )
    judge = job.judge(pixels, y[: settings.samples])
    judge.observe(np.diff(run.output, axis=2, prepend=0).swapaxes(1, 2) > 0)
    return Totals(
        samples=len(pixels),
        counts={job.network.input.name: run.input_sum.astype(np.int64), **run.counts} if poisson else run.counts,
        quality=judge.quality(Analogue(job.network).outputs(pixels), None),
        late=None,
        spikes={},
    )


class _PoissonFrames:
    """The other engines' Poisson input, batch by batch and step by step, as the toolbox asks for it."""

    def __init__(self, pixels: np.ndarray, settings: SimulationSettings) -> None:
        self._pixels, self._settings = pixels, settings
        self._batch = min(settings.batch_size, len(pixels))

    def __call__(self, first: int, step: int) -> np.ndarray:
        """Spikes, float32, of one step of the batch that starts with sample `first`; filled up with the last's."""
        x = self._pixels[first : first + self._batch]
        if step == 0:
            self._streams = Streams(self._settings.seed, range(first, first + len(x)), INPUT)
        spikes = self._streams.poisson(x, self._settings.input_rate, 1)[:, 0].astype(np.float32)
        filled: np.ndarray = spikes[np.minimum(np.arange(self._batch), len(x) - 1)]
        return filled
