"""Calls in a Dask worker. Imports Dask, so only `snnb.cluster.connect` imports it, where a cluster is used."""

import pickle
import threading
from typing import Callable, Generic, Optional, TypeVar, cast

from distributed import Worker, WorkerPlugin, get_worker

S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")


class Work(WorkerPlugin, Generic[S, T, A, R]):
    """Plugin that gives every worker, also one that is restarted, the data of a series of calls; see `results`."""

    def __init__(self, name: str, prepare: Callable[[S, int], T], call: Callable[[T, A], R], shared: S) -> None:
        self.name = name
        # Unpickled by the first call, not by the event loop of the worker: that may import TensorFlow.
        self._pickled = pickle.dumps((prepare, call, shared), protocol=4)

    def setup(self, worker: Worker) -> None:
        """Initialise the plugin in a worker."""
        self._threads, self._lock = worker.state.nthreads, threading.Lock()
        self._run: Optional[Callable[[A], R]] = None

    def compute(self, argument: A) -> R:
        """Compute a call in the worker that runs this task, with the data of the plugin `name`."""
        with self._lock:
            if self._run is None:
                prepare, call, shared = pickle.loads(self._pickled)  # noqa: S301 - from the user's own process
                state = prepare(shared, self._threads)
                self._run, self._pickled = lambda argument: call(state, argument), b""
            return self._run(argument)


def compute(name: str, argument: A) -> object:
    """Compute a call in the worker that runs this task, with the data of the plugin `name`."""
    work = cast("Work[object, object, A, object]", get_worker().plugins[name])
    return work.compute(argument)
