"""All samples of a job, in this process or shared among several; the sums are the same."""

import multiprocessing
import signal
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Iterator, List, Optional

import numpy as np

from snnb.errors import ResourceError
from snnb.progress import Progress, Throttle, silent
from snnb.simulation.job import Job, Runner
from snnb.simulation.totals import Totals


def run_job(job: Job, x: np.ndarray, y: np.ndarray, progress: Progress = silent) -> Totals:
    """Simulate a job's samples, with as many processes as its settings ask for and its blocks allow.

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
    workers = min(job.settings.workers, len(job.blocks))
    totals: Optional[Totals] = None
    for block in _shared(job, x, y, workers) if workers > 1 else _alone(job, x, y, display, progress):
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
    runner = Runner(job, progress)
    for first in job.blocks:
        last, done = min(first + job.block, job.settings.samples), 0

        def tick(steps: int, first: int = first, last: int = last) -> None:
            nonlocal done
            done += steps
            display.tell(first + (last - first) * done // job.settings.duration)

        yield runner.run(first, x[first:last], y[first:last], tick)


def _shared(job: Job, x: np.ndarray, y: np.ndarray, workers: int) -> Iterator[Totals]:
    """Process i of n works on the blocks i, i + n, ...; results come in the order of the blocks."""
    context = multiprocessing.get_context("spawn")  # TensorFlow's threads do not survive a fork
    blocks = [slice(first, min(first + job.block, job.settings.samples)) for first in job.blocks]
    with ExitStack() as stack:
        pipes: List[Connection] = []
        for block in blocks[:workers]:
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(job, theirs), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)
            theirs.close()  # so that the pipe ends when the process does
            ours.send((block.start, x[block], y[block]))
            pipes.append(ours)
        for number in range(len(blocks)):
            pipe = pipes[number % workers]
            try:
                result = pipe.recv()
            except EOFError:
                raise ResourceError(
                    f"one of {workers} workers ended early, for lack of memory perhaps: use fewer --workers"
                ) from None
            if isinstance(result, Exception):
                raise result
            if number + workers < len(blocks):
                block = blocks[number + workers]
                pipe.send((block.start, x[block], y[block]))
            yield result


def _work(job: Job, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent ends its workers
    runner = Runner(job)
    while True:  # until the parent terminates this process, or closes its end
        try:
            first, values, y = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(runner.run(first, np.asarray(values), y, lambda steps: None))
        except Exception as error:
            pipe.send(error)
