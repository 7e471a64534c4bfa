"""All samples of a job, in this process or shared among the workers of a cluster; the sums are the same."""

from typing import Iterator, Optional, Tuple

import numpy as np

from snnb.cluster.connect import connected
from snnb.cluster.work import Stopped, Work
from snnb.core.processors import processors
from snnb.core.progress import Progress, Throttle, silent
from snnb.simulation.job import Job, Runner
from snnb.simulation.totals import Totals


def run_job(job: Job, x: np.ndarray, y: np.ndarray, progress: Progress = silent) -> Totals:
    """Simulate a job's samples, in this process or on the cluster that its settings ask for.

    The sums of blocks are added in the order of the blocks. They do not depend on which samples are a block, since all
    are sums of whole numbers, or of numbers rounded to the same unit (`quality.UNIT`).

    Parameters
    ----------
    job : Job
    x : ndarray, shape (samples, height, width, channels)
        Pictures, before they are scaled.
    y : ndarray of int64, shape (samples,)
        Their class ids.
    progress : Progress
    """
    display = _Display(job, progress)
    settings = job.settings
    totals: Optional[Totals] = None
    shared = settings.scheduler is not None or min(settings.workers, settings.samples) > 1
    for block in _shared(job, x, y) if shared else _alone(job, x, y, display, progress):
        totals = block if totals is None else totals + block
        display.show(totals)
    assert totals is not None  # there is at least one sample, so one block
    return totals


class _Display:
    """Progress in samples, at most ten times a second, with the accuracy so far."""

    def __init__(self, job: Job, progress: Progress) -> None:
        self._job, self._progress = job, progress
        self._note, self._throttle = "", Throttle()

    def show(self, totals: Totals) -> None:
        """Tell how far the whole is."""
        kind = "accuracy" if self._job.classifies else "mean squared error"
        self._note = f"{kind} so far {totals.quality.by_step[-1] / totals.samples:.4f}"
        self.tell(totals.samples)

    def tell(self, done: int) -> None:
        """Tell how many samples are done, unless something was told just now."""
        if self._throttle.due(last=done == self._job.settings.samples):
            self._progress(done, self._job.settings.samples, self._note)


def _alone(job: Job, x: np.ndarray, y: np.ndarray, display: _Display, progress: Progress) -> Iterator[Totals]:
    threads = processors()
    runner = Runner(job, threads, progress)
    for block in job.blocks(1, threads):
        first, last, done = block.start, block.stop, 0

        def tick(steps: int, first: int = first, last: int = last) -> None:
            nonlocal done
            done += steps
            display.tell(first + (last - first) * done // job.settings.duration)

        yield runner.run(first, x[block], y[block], tick)


# A block of samples as it travels: the number of its first sample, its pictures, their class ids.
Samples = Tuple[int, np.ndarray, np.ndarray]


def _shared(job: Job, x: np.ndarray, y: np.ndarray) -> Iterator[Totals]:
    with connected(job.settings.workers, job.settings.scheduler) as cluster:
        blocks = job.blocks(cluster.size, cluster.threads)
        work = Work(job, Runner, _simulated, ("tensorflow", "numba", "llvmlite", "torch"))
        yield from cluster.results(work, ((b.start, np.array(x[b]), np.array(y[b])) for b in blocks))


def _simulated(runner: Runner, samples: Samples, stopped: Stopped) -> Totals:
    def tick(steps: int) -> None:
        if stopped():
            raise InterruptedError

    return runner.run(*samples, tick)
