"""A simulation as blocks of samples that are independent of each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Union

import numpy as np

from snnb.conversion.currents import AnalogueNetwork, batch_of
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.network.network import MEMBRANE, Network
from snnb.simulation.engines.engine import Engine
from snnb.simulation.quality import Classification, Reconstruction, Scorer
from snnb.simulation.simulation_settings import SimulationSettings
from snnb.simulation.totals import Totals

# The threads of the engine `event` synchronise at the end of a block: a block has this many samples per thread,
EVENT_SAMPLES = 10
# but at most this many neurons.
EVENT_NEURONS = 20_000_000


@dataclass(frozen=True)
class Job:
    """Network and settings of a simulation, without the samples."""

    parsed: Path
    network: Network  # the network that is simulated
    trained: Network  # the trained network of the file `parsed`, whose outputs are the reference
    settings: SimulationSettings
    engine: str
    scale: float  # divisor from stored values to pixels in [0, 1]
    classifies: bool  # the output is a class, not a reconstruction of the image
    output_scale: float  # of a reconstruction: activation of the trained output that 1 in the parsed network stands for

    def block(self, workers: int, threads: int) -> int:
        """Return the number of samples in a block, for processes of so many threads; the last may have fewer."""
        if self.engine == "toolbox":
            return self.settings.samples
        block = batch_of(self.network)
        if self.engine == "event":
            block = max(block, min(EVENT_SAMPLES * threads, EVENT_NEURONS // self.network.neurons))
        return min(block, -(-self.settings.samples // workers))

    def blocks(self, workers: int, threads: int) -> List[slice]:
        """Return the sample ranges of the blocks."""
        block, samples = self.block(workers, threads), self.settings.samples
        return [slice(first, min(first + block, samples)) for first in range(0, samples, block)]

    def pixels(self, values: np.ndarray, first: int) -> np.ndarray:
        """Return images, the first of index `first`, as float32 in [0, 1]; raise `InputError` for another pixel."""
        pixels: np.ndarray = values.astype(np.float32) / np.float32(self.scale)
        bad = ~((pixels >= 0) & (pixels <= 1))
        if bad.any():
            index = np.argwhere(bad)[0]
            raise InputError(
                f"sample {first + index[0]} of the test set has a pixel of {pixels[tuple(index)]:g}, outside [0, 1]: "
                "prepare the data set again, with the scale its values have"
            )
        return pixels

    def sent(self, pixels: np.ndarray) -> np.ndarray:
        """Return what the input of these images in [0, 1] is: integers for the constant input of an integer network."""
        if self.network.weight_bits is None or self.settings.input != "constant":
            return pixels
        return np.rint(pixels * np.float32(self.network.pixel))

    def scorer(self, pixels: np.ndarray, y: np.ndarray) -> Scorer:
        """Return the scorer of the output for images in [0, 1] and their class ids."""
        if not self.classifies:
            return Reconstruction(pixels, self.settings.threshold * self.output_scale, self.output_scale)
        return Classification(y, self.network.output.size, self.network.output.activation == MEMBRANE)


class Runner:
    """Simulates blocks of a job in this process, with an engine that may use so many threads.

    `progress` is called by an engine that reports samples (the toolbox).
    """

    def __init__(self, job: Job, threads: int, progress: Progress = silent) -> None:
        self._job = job
        self._analogue = AnalogueNetwork(job.trained)
        self._engine = _engine(job, threads, progress)

    def run(self, first: int, values: np.ndarray, y: np.ndarray, tick: Callable[[int], None]) -> Totals:
        """Simulate a block: images before scaling, the first of index `first` in the job, and their class ids.

        `tick` is called with the number of time steps simulated since the last call.
        """
        settings = self._job.settings
        number = settings.first + first
        pixels = self._job.pixels(values, number)
        scorer = self._job.scorer(pixels, y)

        def observe(spikes: np.ndarray, readout: Optional[np.ndarray]) -> None:
            scorer.observe(spikes, readout)
            tick(spikes.shape[1])

        counted = self._engine.simulate(self._job.sent(pixels), number, observe)
        return Totals(
            samples=len(pixels),
            counts=_summed(counted.counts, slice(None)),
            quality=scorer.quality(self._analogue.outputs(pixels), self._in_thresholds(counted.readout)),
            late=counted.late,
            spikes={name: [table] for name, table in counted.spikes.items()},
            by_class={int(of): _summed(counted.counts, y == of) for of in np.unique(y)}
            if settings.by == "class"
            else {},
            by_bin=counted.by_bin,
        )

    def _in_thresholds(self, readout: Optional[np.ndarray]) -> Optional[np.ndarray]:
        threshold, output = self._job.network.output.threshold, self._job.network.output
        if readout is None or threshold is None:
            return readout
        return readout / np.broadcast_to(threshold.astype(np.float64), output.shape).ravel()


def _summed(counts: Dict[str, np.ndarray], samples: Union[slice, np.ndarray]) -> Dict[str, np.ndarray]:
    return {name: counted[samples].sum(axis=0, dtype=np.int64) for name, counted in counts.items()}


def _engine(job: Job, threads: int, progress: Progress) -> Engine:
    if job.engine == "toolbox":
        from snnb.simulation.engines.toolbox import ToolboxEngine

        return ToolboxEngine(job.parsed, job.settings, progress)
    if job.network.windowed and job.engine == "event":
        from snnb.simulation.engines.separated import SeparatedEngine

        return SeparatedEngine(job.network, job.settings)
    if job.engine == "event":
        from snnb.simulation.engines.event.event_engine import EventEngine  # numba takes a second to import

        return EventEngine(job.network, job.settings, threads)
    from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine(job.network, job.settings)
