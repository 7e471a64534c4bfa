"""Simulate all samples of a job, in this process or on Dask workers, with the same sums."""

from typing import Callable, Iterator, Optional, Tuple

import numpy as np

from snnb.cluster.connect import connected, results
from snnb.core.machine import processors
from snnb.core.progress import Progress, Throttle, silent
from snnb.simulation.job import Job, Runner
from snnb.simulation.totals import Totals


def run_job(job: Job, x: np.ndarray, y: np.ndarray, progress: Progress = silent) -> Totals:
    """Simulate the samples of a job, in this process or on the workers that its settings name.

    The sums of the blocks are added in order. They do not depend on how the samples are divided into blocks, since all
    are sums of integers, or of numbers rounded to multiples of one unit (`quality.UNIT`).

    Parameters
    ----------
    job : Job
    x : ndarray, shape (samples, height, width, channels)
        Images, before scaling.
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
    job: Job, x: np.ndarray, y: np.ndarray, report: Callable[[int], None], progress: Progress
) -> Iterator[Totals]:
    threads = processors()
    runner = Runner(job, threads, progress)
    for block in job.blocks(1, threads):
        first, last, done = block.start, block.stop, 0

        def tick(steps: int, first: int = first, last: int = last) -> None:
            nonlocal done
            done += steps
            report(first + (last - first) * done // job.network.latency(job.settings.duration))

        yield runner.run(first, x[block], y[block], tick)


def _on_workers(job: Job, x: np.ndarray, y: np.ndarray) -> Iterator[Totals]:
    with connected(job.settings.workers, job.settings.scheduler) as client:
        threads = client.ncores().values()
        blocks = job.blocks(len(threads), max(threads))
        samples = ((block.start, np.array(x[block]), np.array(y[block])) for block in blocks)
        yield from results(client, Runner, _simulated, job, samples)


def _simulated(runner: Runner, samples: Tuple[int, np.ndarray, np.ndarray]) -> Totals:
    """Simulate a block: the index of its first sample, images and class ids."""
    return runner.run(*samples, tick=lambda steps: None)
