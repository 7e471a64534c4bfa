"""The engine `toolbox`: the toolbox's own `SNN.run`, the reference for the others."""

from pathlib import Path

import numpy as np

from snnb.core.progress import Progress, silent
from snnb.network.network import INPUT as INPUT_NAME
from snnb.simulation.block import BlockCounts, Observe
from snnb.simulation.randomness import INPUT, Streams
from snnb.simulation.simulation_settings import SimulationSettings


class ToolboxEngine:
    """Simulates all samples as one block, in batches of `batch_size`.

    The softmax layer's spikes depend on the batch size; Poisson input is as in the other engines.

    Parameters
    ----------
    parsed : Path
        The parsed model's file.
    settings : SimulationSettings
    progress : Progress, optional
        Told the number of samples done after each batch.
    """

    def __init__(self, parsed: Path, settings: SimulationSettings, progress: Progress = silent) -> None:
        self._parsed, self._settings, self._progress = parsed, settings, progress

    def simulate(self, x: np.ndarray, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`; there is no read-out, and the counts are of all samples together unless by class."""
        from snnb.conversion.toolbox_simulator import run_toolbox

        settings = self._settings
        poisson, by_class = settings.input == "poisson", settings.by == "class"
        run = run_toolbox(
            self._parsed,
            x,
            np.zeros(len(x), np.int64),  # no result depends on the classes it is given
            duration=settings.duration,
            warm_up=settings.warm_up,
            batch_size=settings.batch_size,
            seed=settings.seed,
            options=[settings],
            frames=_PoissonFrames(x, first, settings) if poisson else None,
            per_sample=by_class,
            progress=self._progress,
        )
        observe(np.diff(run.output, axis=2, prepend=0).swapaxes(1, 2) > 0, None)
        counts = {INPUT_NAME: run.input_sum.astype(np.int64), **run.counts} if poisson else run.counts
        apart = {name: spikes if by_class else spikes[np.newaxis] for name, spikes in counts.items()}
        return BlockCounts(counts=apart, readout=None, late=None, spikes={})


class _PoissonFrames:
    """The other engines' Poisson input, batch by batch and step by step, as the toolbox asks for it."""

    def __init__(self, pixels: np.ndarray, number: int, settings: SimulationSettings) -> None:
        self._pixels, self._number, self._settings = pixels, number, settings
        self._batch = min(settings.batch_size, len(pixels))

    def __call__(self, first: int, step: int) -> np.ndarray:
        """Return the spikes of one step of the batch that starts with sample `first`, filled up with the last's.

        Returns
        -------
        ndarray of float32, shape (batch, ...)
        """
        x = self._pixels[first : first + self._batch]
        if step == 0:
            number = self._number + first
            self._streams = Streams(self._settings.seed, range(number, number + len(x)), INPUT)
        spikes = self._streams.poisson(x, self._settings.input_rate, 1)[:, 0].astype(np.float32)
        filled: np.ndarray = spikes[np.minimum(np.arange(self._batch), len(x) - 1)]
        return filled
