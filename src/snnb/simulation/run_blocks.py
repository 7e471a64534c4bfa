"""Simulate the samples of a job block by block, in this process or on workers.

A block is a range of consecutive samples that an engine simulates together. A
`BlockSimulator` simulates blocks; this process has one, or each worker has one.
"""

from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Union

import numpy as np

from snnb.cluster.connect import connected, results
from snnb.core.errors import InputError
from snnb.core.machine import processors
from snnb.core.progress import Progress, Throttle, silent
from snnb.forward.analogue import Analogue, choose_batch_size
from snnb.network.event_samples import EventSamples, InputSteps
from snnb.network.network import MEMBRANE
from snnb.network.trained import TrainedNetwork
from snnb.simulation.engines.engine import (
    BlockCounts,
    Engine,
    Samples,
    count_recorded_samples,
    is_read_by_potential,
)
from snnb.simulation.job import SimulationJob
from snnb.simulation.scorers import Classification, Reconstruction, Scorer
from snnb.simulation.totals import Totals, add_sums

# The threads of the engine `event` synchronise at the end of a block: a block has this
# number of samples per thread,
EVENT_SAMPLES = 10
# but at most this number of neurons.
EVENT_NEURONS = 20_000_000

# Called with the number of time steps simulated since the last call
Tick = Callable[[int], None]


class Block(NamedTuple):
    """Consecutive samples of a job."""

    start: int  # index of the first sample in the job
    x: Samples  # images of stored values, or samples that change from step to step
    y: np.ndarray  # class ids, int64 (samples,)


def run_job(
    job: SimulationJob,
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
    progress: Progress = silent,
) -> Totals:
    """Return the sums over all samples of a job, which `x` and `y` have.

    `x` are images of stored values (samples, height, width, channels), or samples that
    change from step to step; `y` are class ids, int64 (samples,). `progress` is called
    with the samples done, all samples, and the accuracy or error so far as text, which
    is empty before the first block has ended.
    """
    settings = job.settings
    report = _ProgressReport(job, progress)
    uses_workers = min(settings.workers, settings.samples) > 1
    if settings.scheduler is not None or uses_workers:
        blocks = _run_on_workers(job, x, y)
    else:
        blocks = _run_in_this_process(job, x, y, report, progress)
    totals: Optional[Totals] = None
    for block_totals in blocks:
        totals = block_totals if totals is None else add_sums(totals, block_totals)
        report.show_quality(totals)
    assert totals is not None  # there is at least one sample
    return totals


def divide_samples(job: SimulationJob, workers: int, threads: int) -> List[slice]:
    """Return the sample ranges of the blocks, for processes with `threads` threads.

    The last block may have fewer samples than the others.
    """
    samples = job.settings.samples
    neurons = job.network.neurons
    if job.engine == "toolbox":
        block_samples = samples
    else:
        block_samples = choose_batch_size(neurons)
        if job.engine == "event":
            busy_samples = min(EVENT_SAMPLES * threads, EVENT_NEURONS // neurons)
            block_samples = max(block_samples, busy_samples)
        worker_samples = -(-samples // workers)  # rounded up
        block_samples = min(block_samples, worker_samples)
    starts = range(0, samples, block_samples)
    return [slice(start, min(start + block_samples, samples)) for start in starts]


class BlockSimulator:
    """Simulates blocks of a job in this process, with an engine in `threads` threads.

    `progress` is called by an engine that reports samples (the toolbox).
    """

    def __init__(
        self,
        job: SimulationJob,
        threads: int,
        progress: Progress = silent,
    ) -> None:
        self._job = job
        self._analogue: Optional[Analogue] = None
        if job.trained is not None:
            self._analogue = Analogue(job.trained, threads=threads)
        # The parsed network is normalised, the trained one is not.
        is_normalised = not isinstance(job.trained, TrainedNetwork)
        self._analogue_unit = np.float32(1 if is_normalised else job.output_scale)
        self._engine = _load_engine(job, threads, progress)

    def simulate(self, block: Block, tick: Tick = lambda steps: None) -> Totals:
        """Return the sums over the samples of a block."""
        if isinstance(block.x, InputSteps):
            return self._simulate_steps(block, block.x, tick)
        return self._simulate_images(block, block.x, tick)

    def _simulate_images(self, block: Block, images: np.ndarray, tick: Tick) -> Totals:
        """Return the sums for images of stored values."""
        job = self._job
        pixels = job.pixels(images)
        engine_input = pixels
        if job.network.rounds_pixels and job.settings.input == "constant":
            engine_input = np.rint(pixels * np.float32(job.network.pixel))
        scorer: Scorer
        if job.classifies:
            scorer = self._classification(block)
        else:
            scale = job.settings.threshold * job.output_scale
            scorer = Reconstruction(pixels, scale, job.output_scale)
        counts = self._count_spikes(block, engine_input, scorer, tick)
        analogue_outputs = None
        if self._analogue is not None:
            analogue_outputs = self._analogue.outputs(pixels) / self._analogue_unit
        return self._totals(counts, len(pixels), scorer, analogue_outputs)

    def _simulate_steps(self, block: Block, steps: InputSteps, tick: Tick) -> Totals:
        """Return the sums for samples that change from step to step.

        There is no analogue network for them. With the input `events`, the input is a
        population whose spikes are counted and recorded.
        """
        settings = self._job.settings
        assert self._job.classifies
        if self._job.network.fixed_point:
            _require_spikes(steps, self._sample_number(block))
        scorer = self._classification(block)
        counted = self._count_spikes(block, steps, scorer, tick)
        totals = self._totals(counted, len(steps), scorer, None)
        if settings.input != "events":
            return totals
        name = self._job.network.input.name
        events = steps.sums(settings.warm_up, settings.duration).astype(np.int64)
        counts = {name: events.sum(axis=0, dtype=np.int64), **totals.counts}
        spikes = totals.spikes
        if spikes:
            spikes = {**spikes, name: [self._event_table(block, steps)]}
        return totals._replace(counts=counts, spikes=spikes)

    def _event_table(self, block: Block, steps: InputSteps) -> np.ndarray:
        """Return the events of the recorded samples of a block, see `spike_table`.

        Events of the same neuron in the same step have a row each.
        """
        settings = self._job.settings
        sample_number = self._sample_number(block)
        recorded_events = steps[
            : count_recorded_samples(settings, sample_number, len(steps))
        ]
        entries = recorded_events.between(0, settings.duration)
        columns = (
            recorded_events.sample[entries] + sample_number,
            recorded_events.neuron[entries],
            recorded_events.step[entries],
        )
        table = np.stack(columns, axis=1).astype(np.int32)
        n_events = recorded_events.value[entries].astype(np.int64)
        return np.repeat(table, n_events, axis=0)

    def _sample_number(self, block: Block) -> int:
        """Return the index of the first sample of a block in the test set."""
        return self._job.settings.first + block.start

    def _classification(self, block: Block) -> Classification:
        network = self._job.network
        output = network.output
        by_membrane = output.activation == MEMBRANE or is_read_by_potential(network)
        return Classification(block.y, output.size, by_membrane)

    def _count_spikes(
        self,
        block: Block,
        x: Samples,
        scorer: Scorer,
        tick: Tick,
    ) -> BlockCounts:
        """Return what the engine counts; the scorer observes the output."""
        observer = _Observer(scorer, tick)
        return self._engine.simulate(x, self._sample_number(block), observer)

    def _totals(
        self,
        counted: BlockCounts,
        samples: int,
        scorer: Scorer,
        analogue_outputs: Optional[np.ndarray],
    ) -> Totals:
        """Return the sums of a block from what the engine and the scorer counted.

        `analogue_outputs` are float32 (samples, units), or None.
        """
        output = self._job.network.output
        readout = counted.readout
        if readout is not None and output.integer_threshold is not None:
            thresholds = output.integer_threshold.astype(np.float64)
            readout = readout / np.broadcast_to(thresholds, output.shape).ravel()
        outputs = scorer.counts
        if output.coding != "spikes" and readout is not None:
            outputs = readout
        counts: Dict[str, np.ndarray] = {}
        for name, sample_counts in counted.counts.items():
            counts[name] = sample_counts.sum(axis=0, dtype=np.int64)
        return Totals(
            samples=samples,
            counts=counts,
            quality=scorer.quality(analogue_outputs, readout),
            outputs=[outputs],
            late=counted.late,
            spikes={name: [table] for name, table in counted.spikes.items()},
            ties=counted.ties,
            membrane_updates=counted.membrane_updates,
        )


class _Observer:
    """Passes the output of an engine on to a scorer, and its steps to the progress."""

    def __init__(self, scorer: Scorer, tick: Tick) -> None:
        self._scorer = scorer
        self._tick = tick

    def __call__(self, spikes: np.ndarray, readout: Optional[np.ndarray]) -> None:
        """See `engine.Observe`."""
        self._scorer.observe(spikes, readout)
        self._tick(spikes.shape[1])


class _ProgressReport:
    """Reports the samples of a job that are done, at most ten times a second.

    A note states the accuracy, or the error, of the blocks that are complete.
    """

    def __init__(self, job: SimulationJob, progress: Progress) -> None:
        self._samples = job.settings.samples
        self._metric = "accuracy" if job.classifies else "mean squared error"
        self._progress = progress
        self._throttle = Throttle()
        self._note = ""

    def show(self, samples_done: int) -> None:
        """Report a number of samples, which may be a part of a block."""
        if self._throttle.due(last=samples_done == self._samples):
            self._progress(samples_done, self._samples, self._note)

    def show_quality(self, totals: Totals) -> None:
        """Report the samples of all complete blocks, and their accuracy or error."""
        value = totals.quality.by_step[-1] / totals.samples
        self._note = f"{self._metric} so far {value:.4f}"
        self.show(totals.samples)


class _BlockProgress:
    """Reports a block in simulation: its share of steps done is one of its samples."""

    def __init__(self, report: _ProgressReport, rows: slice, steps: int) -> None:
        """Take the sample range of the block, and the steps of its simulation."""
        self._report = report
        self._start = rows.start
        self._samples = rows.stop - rows.start
        self._steps = steps
        self._steps_done = 0

    def tick(self, steps: int) -> None:
        """Report `steps` further time steps."""
        self._steps_done += steps
        samples_done = self._samples * self._steps_done // self._steps
        self._report.show(self._start + samples_done)


def _run_in_this_process(
    job: SimulationJob,
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
    report: _ProgressReport,
    progress: Progress,
) -> Iterator[Totals]:
    """Yield the sums of each block, in the order of the samples."""
    threads = processors()
    simulator = BlockSimulator(job, threads, progress)
    steps = job.network.latency(job.settings.duration)
    for rows in divide_samples(job, workers=1, threads=threads):
        block_progress = _BlockProgress(report, rows, steps)
        block = Block(rows.start, x[rows], y[rows])
        yield simulator.simulate(block, block_progress.tick)


def _run_on_workers(
    job: SimulationJob,
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
) -> Iterator[Totals]:
    """Yield the sums of each block, in the order of the samples.

    The settings name the number of workers or the scheduler.
    """
    with connected(job.settings.workers, job.settings.scheduler) as client:
        threads = client.ncores().values()
        sample_ranges = divide_samples(job, len(threads), max(threads))
        blocks = _load_blocks(sample_ranges, x, y)
        simulate = BlockSimulator.simulate
        yield from results(client, BlockSimulator, simulate, job, blocks)


def _require_spikes(steps: InputSteps, first_sample: int) -> None:
    """Raise `InputError` for an input other than 0 or 1 in a step.

    `first_sample` is the number of the first sample.
    """
    wrong = np.flatnonzero(steps.value != 1)
    if not wrong.size:
        return
    entry = wrong[0]
    sample = first_sample + int(steps.sample[entry])
    raise InputError(
        f"sample {sample} has the input {steps.value[entry]:g} in step "
        f"{steps.step[entry]}, and a network of lava-dl reads spikes, 0 or 1: prepare "
        "events with --binary, or write 0 and 1"
    )


def _load_blocks(
    sample_ranges: List[slice],
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
) -> Iterator[Block]:
    """Yield blocks whose arrays are in memory, while `x` and `y` may be in files."""
    for rows in sample_ranges:
        samples = x[rows]
        if isinstance(samples, np.ndarray):
            samples = np.array(samples)
        yield Block(rows.start, samples, np.array(y[rows]))


def _load_engine(job: SimulationJob, threads: int, progress: Progress) -> Engine:
    """Return the engine of a job; only the libraries that it needs are imported."""
    if job.engine == "toolbox":
        from snnb.simulation.engines.toolbox import ToolboxEngine

        return ToolboxEngine(job.network, job.settings, progress)
    if job.network.windowed and job.engine == "event":
        from snnb.simulation.engines.event.separated import SeparatedEngine

        return SeparatedEngine(job.network, job.settings, threads)
    if job.engine == "event":  # numba takes a second to import
        from snnb.simulation.engines.event.event_engine import EventEngine

        return EventEngine(job.network, job.settings, threads)
    from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine(job.network, job.settings)
