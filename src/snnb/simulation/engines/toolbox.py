"""The engine `toolbox`: the toolbox's own `SNN.run`, the reference for the others."""

from pathlib import Path
from typing import Callable, Dict

import numpy as np

from snnb.core.progress import Progress, silent
from snnb.network.network import INPUT as INPUT_NAME
from snnb.simulation.engines.engine import INPUT, BlockCounts, Observe, Samples, Streams
from snnb.simulation.settings import SimulationSettings


class ToolboxEngine:
    """Simulates all samples as one block, in batches of `batch_size`.

    The softmax layer's spikes depend on the batch size; Poisson input is as in the other engines.
    """

    def __init__(self, parsed: Path, settings: SimulationSettings, progress: Progress = silent) -> None:
        self._parsed, self._settings, self._progress = parsed, settings, progress

    def simulate(self, x: Samples, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`; the counts are summed over the samples, and there is no read-out."""
        from snnb.conversion.toolbox import run_toolbox

        assert isinstance(x, np.ndarray)
        settings = self._settings
        poisson = settings.input == "poisson"
        run = run_toolbox(
            self._parsed,
            x,
            duration=settings.duration,
            warm_up=settings.warm_up,
            batch_size=settings.batch_size,
            seed=settings.seed,
            options=[settings],
            frames=_poisson_frames(x, first, settings) if poisson else None,
            progress=self._progress,
        )
        observe(np.diff(run.output, axis=2, prepend=0).swapaxes(1, 2) > 0, None)
        counts = {INPUT_NAME: run.input_sum.astype(np.int64), **run.counts} if poisson else run.counts
        summed = {name: spikes[np.newaxis] for name, spikes in counts.items()}
        return BlockCounts(counts=summed, readout=None, late=None, spikes={})


def _poisson_frames(x: np.ndarray, number: int, settings: SimulationSettings) -> Callable[[int, int], np.ndarray]:
    """Return the other engines' Poisson input as the toolbox asks for it: from first sample of a batch, and step.

    A batch is filled with the last sample; its spikes are float32.
    """
    batch = min(settings.batch_size, len(x))
    drawn: Dict[int, Streams] = {}

    def frame(first: int, step: int) -> np.ndarray:
        part = x[first : first + batch]
        if step == 0:
            drawn[first] = Streams(settings.seed, range(number + first, number + first + len(part)), INPUT)
        spikes = drawn[first].poisson(part, settings.input_rate, 1)[:, 0].astype(np.float32)
        filled: np.ndarray = spikes[np.minimum(np.arange(batch), len(part) - 1)]
        return filled

    return frame
