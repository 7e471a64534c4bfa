"""Simulate a converted network on test samples, in independent blocks, and write the results."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.cluster.connect import connected, results
from snnb.core.errors import InputError, UsageError
from snnb.core.machine import processors
from snnb.core.progress import Progress, Throttle, silent
from snnb.forward.analogue import Analogue, choose_batch_size
from snnb.network.event_samples import EventSamples, InputSteps
from snnb.network.fidelity import Fidelity
from snnb.network.labels import label_outside
from snnb.network.network import MEMBRANE, Network, Population
from snnb.network.read_network import read_networks
from snnb.network.spike_times import SPIKE_TIMES, SpikeTimes
from snnb.network.trained import TrainedNetwork
from snnb.simulation.advice import advice
from snnb.simulation.engines.engine import (
    Engine,
    Samples,
    choose_engine,
    count_recorded_samples,
    is_read_by_potential,
    spike_table,
)
from snnb.simulation.files import SUMS, write_counts, write_ini
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.statistics import (
    ACCURACIES,
    Classification,
    Job,
    Reconstruction,
    SimulationStatistics,
    Totals,
    added,
)

# The threads of the engine `event` synchronise at the end of a block: a block has this many samples per thread,
EVENT_SAMPLES = 10
# but at most this many neurons.
EVENT_NEURONS = 20_000_000


@dataclass(frozen=True)
class SimulationResult:
    """A simulated network, and the results and warnings of its simulation."""

    network: Network
    statistics: SimulationStatistics
    warnings: List[str]  # with remedies, one line each
    rates: Dict[str, np.ndarray]  # by population, spikes per step and neuron: float64
    spikes: Optional[Dict[str, np.ndarray]]  # as in `spike_times.npz`; None if not recorded
    fidelity: Optional[Fidelity] = None  # of the conversion

    def log_lines(self) -> List[str]:
        """Return the lines of the log: shapes of the populations, size of the network, statistics."""
        lines = []
        for volume in (self.network.input, *self.network.populations):
            line = f"{volume.name} {'×'.join(map(str, volume.shape))}: {volume.size:,} neurons"
            if isinstance(volume, Population) and volume.neuron is not None:
                threshold, reset = volume.neuron.in_words()
                line += f", threshold {threshold}, reset {reset}" if threshold else ", without spikes"
            lines.append(line)
        lines.append(f"neurons, without the input: {self.network.neurons:,}")
        lines.append(f"synapses: {self.statistics.synapses:,}")
        changes = [] if self.fidelity is None else ["", *self.fidelity.lines()]
        return [*lines, "", *self.statistics.log_lines(), *changes]


def simulate(
    parsed: Path,
    target: Path,
    *,
    name: str,
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
    scale: float,
    class_names: Sequence[str],
    num_classes: Optional[int],
    settings: SimulationSettings,
    output_scale: float = 1.0,
    dt_ms: float = 1.0,
    trained: Optional[TrainedNetwork] = None,
    multiply_accumulates: Optional[int] = None,
    fidelity: Optional[Fidelity] = None,
    progress: Progress = silent,
) -> SimulationResult:
    """Simulate and write `NAME_INI.h5`, `spike_rate_sums.npz`, `sim_accuracies.json` into `target`.

    With `record_spikes` also `spike_times.npz`.

    `x` are images, uint8 or float32 (samples, height, width, channels), whose pixels are value / `scale`, or samples
    that change from step to step, for the input `events` or `steps`. Poisson input and integer networks need pixels in
    [0, 1]. `y` are their class ids, int64 (samples,).
    `num_classes` is None for a network that reproduces its input; `output_scale` is the activation of its output at a
    rate of 1. The analogue network is `trained`, or by default the parsed model, which computes the same unless the
    conversion replaced max pooling; `fidelity` describes the changes by the conversion.
    `multiply_accumulates` are those of the trained network.

    Raise `UsageError` for options that do not suit the network or the engine, `InputError` if the network cannot be
    simulated or does not fit the samples.
    """
    network, analogue = read_networks(parsed)
    reference = analogue if trained is None else trained
    _check(network, x, y, settings, num_classes, scale)
    if network.windowed:
        network = network.separated(settings.duration)
    if settings.output == "membrane":
        network = network.with_populations([replace(network.output, activation=MEMBRANE, initial_potential=None)])
    engine, reason = choose_engine(network, settings)
    job = Job(
        parsed,
        network,
        reference,
        settings,
        engine,
        scale,
        classifies=num_classes is not None,
        output_scale=output_scale,
        dt_ms=dt_ms,
        multiply_accumulates=multiply_accumulates,
    )
    samples = slice(settings.first, settings.first + settings.samples)
    x, y = x.part(samples) if isinstance(x, EventSamples) else x[samples], y[samples]
    totals = run_job(job, x, y, progress)
    write_ini(network, target / f"{name}_INI.h5", settings, dt_ms)
    write_counts(target / SUMS, job, totals, x)
    statistics = SimulationStatistics.of(job, totals, y, class_names, reason)
    statistics.write(target / ACCURACIES)
    possible = totals.samples * settings.counted_steps
    rates = {name: counts / possible for name, counts in totals.counts.items()}
    spikes: Optional[Dict[str, np.ndarray]] = None
    if settings.record_spikes:
        spikes = {population: spike_table(parts) for population, parts in totals.spikes.items()}
        latency, first = network.latency(settings.duration), settings.first
        SpikeTimes(range(first, first + settings.record_spikes), latency, spikes).write(target / SPIKE_TIMES)
    return SimulationResult(
        network=network,
        statistics=statistics,
        warnings=advice(statistics, settings, network, fidelity),
        rates=rates,
        spikes=spikes,
        fidelity=fidelity,
    )


def _check(
    network: Network,
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
    settings: SimulationSettings,
    num_classes: Optional[int],
    scale: float,
) -> None:
    """Raise an error for options that contradict the network, and for samples or classes that do not fit it."""
    if settings.output == "softmax" and network.output.activation != "softmax":
        raise UsageError(f"--output softmax: layer {network.output.name} is not a softmax; use spikes or membrane")
    if num_classes is None and settings.output == "membrane":
        raise UsageError("--output membrane: an autoencoder has no classes; omit it")
    if network.weight_bits is not None and (
        isinstance(x, EventSamples) or (scale != network.pixel and x.dtype.kind != "f")
    ):
        raise InputError(f"the network reads integers of 0 to {network.pixel}, not value / {scale:g}: parse again")
    shape = x.shape if isinstance(x, EventSamples) else x.shape[1:]
    if shape != network.input.shape:
        raise InputError(f"the model reads samples of {network.input.shape}, the test set has {shape}: parse again")
    if network.trained_spiking:
        if num_classes is not None and num_classes > network.output.size:
            raise InputError(
                f"layer {network.output.name} has {network.output.size} neurons, but there are {num_classes} classes: "
                f"give another data set{label_outside(y, network.output.size)}"
            )
        return
    outputs = network.input.size if num_classes is None else num_classes
    if network.output.size != outputs:
        raise InputError(f"layer {network.output.name} has {network.output.size} neurons, not {outputs}: train again")


def blocks_of(job: Job, workers: int, threads: int) -> List[slice]:
    """Return the sample ranges of the blocks, for processes with `threads` threads; the last may have fewer samples."""
    samples = size = job.settings.samples
    if job.engine != "toolbox":
        size = choose_batch_size(job.network.neurons)
        if job.engine == "event":
            size = max(size, min(EVENT_SAMPLES * threads, EVENT_NEURONS // job.network.neurons))
        size = min(size, -(-samples // workers))
    return [slice(first, min(first + size, samples)) for first in range(0, samples, size)]


def run_job(job: Job, x: Union[np.ndarray, EventSamples], y: np.ndarray, progress: Progress = silent) -> Totals:
    """Simulate the samples of a job, in this process or on the workers that its settings name.

    The sums of the blocks are added in order. They do not depend on how the samples are divided into blocks, since all
    are sums of integers, or of numbers rounded to multiples of one unit (`statistics.UNIT`). `x` and `y` are
    as in `simulate`; `progress` is called with the number of samples done, and the accuracy so far.
    """
    settings, throttle, note = job.settings, Throttle(), ""

    def report(done: int) -> None:
        if throttle.due(last=done == settings.samples):
            progress(done, settings.samples, note)

    totals: Optional[Totals] = None
    shared = settings.scheduler is not None or min(settings.workers, settings.samples) > 1
    for block in _on_workers(job, x, y) if shared else _in_this_process(job, x, y, report, progress):
        totals = block if totals is None else added(totals, block)
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
    for block in blocks_of(job, 1, threads):
        first, last, done = block.start, block.stop, 0

        def tick(steps: int, first: int = first, last: int = last) -> None:
            nonlocal done
            done += steps
            report(first + (last - first) * done // job.network.latency(job.settings.duration))

        yield runner.run((first, x[block], y[block]), tick)


def _on_workers(job: Job, x: Union[np.ndarray, EventSamples], y: np.ndarray) -> Iterator[Totals]:
    with connected(job.settings.workers, job.settings.scheduler) as client:
        threads = client.ncores().values()
        blocks = blocks_of(job, len(threads), max(threads))
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
        self._analogue = None if job.trained is None else Analogue(job.trained, threads=threads)
        # The parsed network is normalised, the trained one is not.
        self._unit = np.float32(job.output_scale if isinstance(job.trained, TrainedNetwork) else 1)
        self._engine = _engine(job, threads, progress)

    def run(self, samples: Tuple[int, Samples, np.ndarray], tick: Callable[[int], None] = lambda steps: None) -> Totals:
        """Simulate a block: index of its first sample in the job, images before scaling or other samples, class ids.

        `tick` is called with the number of time steps simulated since the last call.
        """
        (first, values, y), job = samples, self._job
        network, settings, number = job.network, job.settings, job.settings.first + first
        x = sent = job.pixels(values) if isinstance(values, np.ndarray) else values
        if isinstance(x, np.ndarray) and network.weight_bits is not None and settings.input == "constant":
            sent = np.rint(x * np.float32(network.pixel))
        output = network.output
        scorer: Union[Classification, Reconstruction]
        if job.classifies:
            scorer = Classification(y, output.size, output.activation == MEMBRANE or is_read_by_potential(network))
        else:
            assert isinstance(x, np.ndarray)
            scorer = Reconstruction(x, settings.threshold * job.output_scale, job.output_scale)

        def observe(spikes: np.ndarray, readout: Optional[np.ndarray]) -> None:
            scorer.observe(spikes, readout)
            tick(spikes.shape[1])

        counted = self._engine.simulate(sent, number, observe)
        counts, spikes = counted.counts, {name: [table] for name, table in counted.spikes.items()}
        if isinstance(x, InputSteps) and settings.input == "events":
            counts = {network.input.name: x.sums(settings.warm_up, settings.duration).astype(np.int64), **counts}
            if spikes:
                part = x[: count_recorded_samples(settings, number, len(x))]
                chosen = part.between(0, settings.duration)
                rows = np.stack([part.sample[chosen] + number, part.neuron[chosen], part.step[chosen]], axis=1)
                events = part.value[chosen].astype(np.int64)
                spikes[network.input.name] = [np.repeat(rows.astype(np.int32), events, axis=0)]
        readout = counted.readout
        if readout is not None and output.integer_threshold is not None:  # to units of the threshold
            readout = readout / np.broadcast_to(output.integer_threshold.astype(np.float64), output.shape).ravel()
        ann = None
        if self._analogue is not None and isinstance(x, np.ndarray):
            ann = self._analogue.outputs(x) / self._unit
        return Totals(
            samples=len(x),
            counts={name: of_samples.sum(axis=0, dtype=np.int64) for name, of_samples in counts.items()},
            quality=scorer.quality(ann, readout),
            late=counted.late,
            spikes=spikes,
            ties=counted.ties,
            membrane_updates=counted.membrane_updates,
        )


def _engine(job: Job, threads: int, progress: Progress) -> Engine:
    if job.engine == "toolbox":
        from snnb.simulation.engines.toolbox import ToolboxEngine

        return ToolboxEngine(job.parsed, job.settings, progress)
    if job.network.windowed and job.engine == "event":
        from snnb.simulation.engines.event.separated import SeparatedEngine

        return SeparatedEngine(job.network, job.settings, threads)
    if job.engine == "event":
        from snnb.simulation.engines.event.event_engine import EventEngine  # numba takes a second to import

        return EventEngine(job.network, job.settings, threads)
    from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine(job.network, job.settings)
