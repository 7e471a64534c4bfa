"""A simulation as blocks of samples, which are independent of each other, and the sums of their counts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple, Union

import numpy as np

from snnb.cluster.connect import connected, results
from snnb.conversion.currents import AnalogueNetwork, batch_of
from snnb.core.errors import InputError
from snnb.core.machine import processors
from snnb.core.progress import Progress, Throttle, silent
from snnb.network.event_samples import EventSamples
from snnb.network.network import MEMBRANE, Network
from snnb.simulation.accuracy import Classification, Quality, Reconstruction, Scorer
from snnb.simulation.engines.engine import Engine, Samples, is_read_by_potential
from snnb.simulation.simulation_settings import SimulationSettings

# The threads of the engine `event` synchronise at the end of a block: a block has this many samples per thread,
EVENT_SAMPLES = 10
# but at most this many neurons.
EVENT_NEURONS = 20_000_000


@dataclass(frozen=True)
class Job:
    """Network and settings of a simulation, without the samples."""

    parsed: Path
    network: Network  # the network that is simulated
    # The analogue network of the file `parsed`, whose outputs are the reference; None if the network was trained as a
    # spiking one
    trained: Optional[Network]
    settings: SimulationSettings
    engine: str
    scale: float  # divisor from stored values to pixels in [0, 1]
    classifies: bool  # the output is a class, not a reconstruction of the image
    output_scale: float  # of a reconstruction: activation of the trained output that 1 in the parsed network stands for
    dt_ms: float = 1.0  # time step

    def block(self, workers: int, threads: int) -> int:
        """Return the number of samples in a block, for processes with `threads` threads; the last may have fewer."""
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
        """Return the input of images in [0, 1]: integers for the constant input of an integer network."""
        if self.network.weight_bits is None or self.settings.input != "constant":
            return pixels
        return np.rint(pixels * np.float32(self.network.pixel))

    def scorer(self, x: Samples, y: np.ndarray) -> Scorer:
        """Return the scorer of the output for images in [0, 1], or input that changes, and their class ids."""
        if not self.classifies:
            assert isinstance(x, np.ndarray)
            return Reconstruction(x, self.settings.threshold * self.output_scale, self.output_scale)
        return Classification(
            y,
            self.network.output.size,
            self.network.output.activation == MEMBRANE or is_read_by_potential(self.network),
        )


@dataclass(frozen=True)
class Totals:
    """Sums over the samples of a block, or of all; for each field see `BlockCounts`."""

    samples: int
    counts: Dict[str, np.ndarray]  # int64, in the population's shape
    quality: Quality
    late: Optional[np.ndarray]
    spikes: Dict[str, List[np.ndarray]]  # block by block
    by_class: Dict[int, Dict[str, np.ndarray]] = field(default_factory=dict)  # counts of each class that has samples
    by_bin: Dict[str, np.ndarray] = field(default_factory=dict)

    def __add__(self, other: "Totals") -> "Totals":
        late = None if self.late is None or other.late is None else self.late + other.late
        by_class = {of: _sum(self.by_class.get(of, {}), counts) for of, counts in other.by_class.items()}
        return Totals(
            samples=self.samples + other.samples,
            counts=_sum(self.counts, other.counts),
            quality=self.quality + other.quality,
            late=late,
            spikes={name: [*tables, *other.spikes.get(name, [])] for name, tables in self.spikes.items()},
            by_class={**self.by_class, **by_class},
            by_bin=_sum(self.by_bin, other.by_bin),
        )


def _sum(one: Dict[str, np.ndarray], two: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    return {name: one[name] + counts if name in one else counts for name, counts in two.items()}


def run_job(job: Job, x: Union[np.ndarray, EventSamples], y: np.ndarray, progress: Progress = silent) -> Totals:
    """Simulate the samples of a job, in this process or on the workers that its settings name.

    The sums of the blocks are added in order. They do not depend on how the samples are divided into blocks, since all
    are sums of integers, or of numbers rounded to multiples of one unit (`accuracy.UNIT`).

    Parameters
    ----------
    job : Job
    x : ndarray, shape (samples, height, width, channels), or EventSamples
        Images, before scaling, or samples that change from step to step.
    y : ndarray of int64, shape (samples,)
        Class ids.
    progress : Progress
        Called with the number of samples done, and the accuracy so far.
    """
    settings, throttle, note = job.settings, Throttle(), ""

    def report(done: int) -> None:
        if throttle.due(last=done == settings.samples):
            progress(done, settings.samples, note)

    totals: Optional[Totals] = None
    shared = settings.scheduler is not None or min(settings.workers, settings.samples) > 1
    for block in _on_workers(job, x, y) if shared else _in_this_process(job, x, y, report, progress):
        totals = block if totals is None else totals + block
        kind = "accuracy" if job.classifies else "mean squared error"
        note = f"{kind} so far {totals.quality.by_step[-1] / totals.samples:.4f}"
        report(totals.samples)
    assert totals is not None  # there is at least one sample
    return totals


def _in_this_process(
    job: Job, x: Union[np.ndarray, EventSamples], y: np.ndarray, report: Callable[[int], None], progress: Progress
) -> Iterator[Totals]:
    threads = processors()
    runner = Runner(job, threads, progress)
    for block in job.blocks(1, threads):
        first, last, done = block.start, block.stop, 0

        def tick(steps: int, first: int = first, last: int = last) -> None:
            nonlocal done
            done += steps
            report(first + (last - first) * done // job.network.latency(job.settings.duration))

        yield runner.run((first, x[block], y[block]), tick)


def _on_workers(job: Job, x: Union[np.ndarray, EventSamples], y: np.ndarray) -> Iterator[Totals]:
    with connected(job.settings.workers, job.settings.scheduler) as client:
        threads = client.ncores().values()
        blocks = job.blocks(len(threads), max(threads))
        parts = ((block, x[block]) for block in blocks)  # of images without a copy, mapped into memory
        samples = (
            (block.start, np.array(part) if isinstance(part, np.ndarray) else part, np.array(y[block]))
            for block, part in parts
        )
        yield from results(client, Runner, Runner.run, job, samples)


class Runner:
    """Simulates blocks of a job in this process, with an engine that may use a number of threads.

    `progress` is called by an engine that reports samples (the toolbox).
    """

    def __init__(self, job: Job, threads: int, progress: Progress = silent) -> None:
        self._job = job
        self._analogue = None if job.trained is None else AnalogueNetwork(job.trained)
        self._engine = _engine(job, threads, progress)

    def run(self, samples: Tuple[int, Samples, np.ndarray], tick: Callable[[int], None] = lambda steps: None) -> Totals:
        """Simulate a block: index of its first sample in the job, images before scaling or other samples, class ids.

        `tick` is called with the number of time steps simulated since the last call.
        """
        (first, values, y), settings = samples, self._job.settings
        number = settings.first + first
        x = self._job.pixels(values, number) if isinstance(values, np.ndarray) else values
        scorer = self._job.scorer(x, y)

        def observe(spikes: np.ndarray, readout: Optional[np.ndarray]) -> None:
            scorer.observe(spikes, readout)
            tick(spikes.shape[1])

        sent = self._job.sent(x) if isinstance(x, np.ndarray) else x
        counted = self._engine.simulate(sent, number, observe)
        readout, output = counted.readout, self._job.network.output
        if readout is not None and output.threshold is not None:  # of an integer network: in units of the threshold
            readout = readout / np.broadcast_to(output.threshold.astype(np.float64), output.shape).ravel()

        ann = self._analogue.outputs(x) if self._analogue is not None and isinstance(x, np.ndarray) else None

        def summed(samples: Union[slice, np.ndarray]) -> Dict[str, np.ndarray]:
            return {name: spikes[samples].sum(axis=0, dtype=np.int64) for name, spikes in counted.counts.items()}

        return Totals(
            samples=len(x),
            counts=summed(slice(None)),
            quality=scorer.quality(ann, readout),
            late=counted.late,
            spikes={name: [table] for name, table in counted.spikes.items()},
            by_class={int(of): summed(y == of) for of in np.unique(y)} if settings.by == "class" else {},
            by_bin=counted.by_bin,
        )


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
