"""Classes of Dask for this package. Imports Dask, so only `connect` imports it, where a cluster is used."""

import pickle
import threading
from contextlib import suppress
from typing import Any, Callable, Generic, Optional, TypeVar, cast

from distributed import Client, Worker, WorkerPlugin, get_worker

S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")


class ContextClient(Client):
    """A Dask client without a finaliser, which can be closed when its event loop has ended.

    The finaliser of Dask's client takes a lock that Dask holds while it starts and
    stops event loops. A client that is collected as garbage in that time, in whatever
    thread, would wait forever.
    """

    def __del__(self) -> None:
        """Do nothing."""

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Close the connection; an event loop that has ended has closed it already."""
        with suppress(RuntimeError):  # the loop is closed
            super().close(*args, **kwargs)


class SharedCalls(WorkerPlugin, Generic[S, T, A, R]):
    """Plugin that gives every worker, also one that is restarted, the data of a series of calls; see `results`."""

    def __init__(
        self,
        name: str,
        prepare: Callable[[S, int], T],
        call: Callable[[T, A], R],
        shared_value: S,
    ) -> None:
        self.name = name
        # Unpickled by the first call, not by the event loop of the worker: that may
        # import TensorFlow.
        self._pickled = pickle.dumps((prepare, call, shared_value), protocol=4)

    def setup(self, worker: Worker) -> None:
        """Initialise the plugin in a worker."""
        self._threads, self._lock = worker.state.nthreads, threading.Lock()
        self._run: Optional[Callable[[A], R]] = None

    def compute(self, argument: A) -> R:
        """Compute a call in this worker."""
        with self._lock:
            if self._run is None:
                prepare, call, shared_value = pickle.loads(self._pickled)  # noqa: S301 - from the user's own process
                state = prepare(shared_value, self._threads)
                self._run, self._pickled = lambda argument: call(state, argument), b""
            return self._run(argument)


def compute(name: str, argument: A) -> object:
    """Compute a call in the worker that runs this task, with the data of the plugin `name`."""
    work = cast("SharedCalls[object, object, A, object]", get_worker().plugins[name])
    return work.compute(argument)
