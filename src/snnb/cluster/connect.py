"""A connection to a cluster: the calls of a work are sent to its workers, their results come in the calls' order."""

import asyncio
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, TypeVar

from snnb.cluster.calls import Calls
from snnb.cluster.cluster_settings import require_dask
from snnb.cluster.local import CLOSING_SECONDS, LocalWorkers, local_cluster
from snnb.cluster.quiet import quiet
from snnb.cluster.versions import refuse_others, versions
from snnb.cluster.work import Work, forget
from snnb.core.errors import InputError, ResourceError, UpstreamError
from snnb.core.interrupt import at_most, interruptible

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")

CONNECT_SECONDS = 10
ANSWER_SECONDS = 1.0
PATIENCE = 60.0  # seconds that a cluster may be without any worker
AHEAD = 3  # calls for each worker that are sent and whose results are not yet taken
POLL = 0.02
SOON = 0.2  # seconds after which a client knows that its scheduler has ended
LOOK = 0.5  # seconds between two looks at the workers
SAME = "start the workers in the same image or environment as this command"


class Cluster:
    """A cluster that this process is connected to.

    Parameters
    ----------
    client : Client
    address : str
        Of the scheduler.
    local : LocalWorkers, optional
        The workers, if they are this process's own.

    Attributes
    ----------
    size : int
        Number of workers, at least one.
    threads : int
        Threads that a call may use, in the worker that has most.
    """

    def __init__(self, client: "Client", address: str, local: Optional[LocalWorkers]) -> None:
        self._client, self._address, self._local = client, address, local
        self._looked = self._seen = time.monotonic()
        self._known: Dict[str, int] = {}
        # Of its own workers all: otherwise the first would be given the calls of those that still start.
        workers = self._wait_for_workers(1 if local is None else local.number)
        self.size = len(workers)
        self.threads = max(workers.values())

    def results(self, work: "Work[S, T, A, R]", arguments: Iterable[A]) -> Iterator[R]:
        """Compute calls, a few ahead of the result that is waited for.

        What a worker was at that ends is computed again by another.

        Parameters
        ----------
        work : Work
        arguments : iterable
            Of the calls; one is taken when there is room for it.

        Yields
        ------
        R
            The results, in the order of the arguments. What a call raises is raised here.

        Raises
        ------
        InputError
            A worker has other versions.
        ResourceError
            The scheduler has ended, there are no workers any more, or they ended again and again.
        """
        calls = Calls(self._client, work)
        try:
            self._refuse_others(calls.here, work.packages)
            calls.share()
            for argument in arguments:
                calls.send(argument)
                if len(calls) >= AHEAD * self.size:
                    yield self._result(calls)
            while len(calls):
                yield self._result(calls)
        except (OSError, asyncio.TimeoutError):
            time.sleep(SOON)
            self._require_scheduler()  # an error of a connection that was lost would say less
            raise
        finally:
            if self._local is None and self._client.status == "running":
                self._on_all_workers(calls.key)

    def _result(self, calls: "Calls[S, T, A, R]") -> R:
        """Wait for the result of the first call."""
        from distributed.scheduler import KilledWorker

        while True:
            future = calls.first
            while not future.done():
                time.sleep(POLL)
                self._watch()
            if future.status not in ("cancelled", "lost"):
                try:
                    result: R = future.result()
                    calls.take()
                    return result
                except KilledWorker:
                    raise ResourceError(
                        "several workers ended at the same samples or edges, for lack of memory perhaps: use fewer "
                        "--workers, or workers with more memory"
                    ) from None
                except ModuleNotFoundError as error:
                    raise InputError(f"a worker has no {error.name}: {SAME}") from error
                except Exception:
                    if future.status == "error":
                        raise
            self._require_scheduler()
            self._wait_for_workers()
            calls.again()  # what they share was lost with the last worker that had it

    def _watch(self) -> None:
        self._require_scheduler()
        if time.monotonic() - self._looked > LOOK:
            self._require_worker()

    def _require_scheduler(self) -> None:
        if self._client.status != "running":
            raise ResourceError(f"the scheduler {self._address} has ended: start it, and run the same command again")

    def _require_worker(self) -> Dict[str, int]:
        """Return the workers with their threads; raise `ResourceError` when there has been none for too long."""
        if self._local is not None:
            self._local.mend()
        workers = self._workers()
        self._looked = time.monotonic()
        if workers:
            self._seen = self._looked
        elif self._looked - self._seen > PATIENCE:
            raise ResourceError(
                f"the scheduler {self._address} has had no worker for {PATIENCE:.0f} s: start workers, and run the "
                "same command again"
            )
        return workers

    def _wait_for_workers(self, number: int = 1) -> Dict[str, int]:
        while True:
            self._require_scheduler()
            workers = self._require_worker()
            if len(workers) >= number:
                return workers
            time.sleep(POLL)

    def _workers(self) -> Dict[str, int]:
        """Ask for the workers; return what was last known when the scheduler does not answer soon."""
        scheduler = self._client.scheduler

        async def asked() -> Dict[str, int]:
            try:
                known: Dict[str, int] = await asyncio.wait_for(scheduler.ncores(), ANSWER_SECONDS)  # type: ignore[union-attr]
            except (OSError, asyncio.TimeoutError):
                return self._known
            return known

        self._known = self._client.sync(asked)
        self._require_scheduler()
        return self._known

    def _refuse_others(self, here: Dict[str, str], packages: Sequence[str]) -> None:
        if self._local is not None:
            return
        for worker, there in self._client.run(versions, packages, on_error="return").items():
            if isinstance(there, ModuleNotFoundError):
                raise InputError(f"worker {worker} has no {there.name}: {SAME}")
            if isinstance(there, Exception):
                raise InputError(f"worker {worker} cannot say its versions ({there}): {SAME}")
            refuse_others(worker, there, here)

    def _on_all_workers(self, key: str) -> None:
        """Let the workers forget a work, but do not wait long for one that does not answer."""
        asking = threading.Thread(target=self._client.run, args=(forget, key), kwargs={"on_error": "ignore"})
        asking.daemon = True
        asking.start()
        asking.join(1.5)


@contextmanager
def connected(workers: int, scheduler: Optional[str]) -> Iterator[Cluster]:
    """Connect to a cluster, and disconnect behind the block.

    In a block of `connected`, the same cluster is given again to whoever asks for one like it.

    Parameters
    ----------
    workers : int
        Processes of a cluster of this machine, if no other is named.
    scheduler : str, optional
        Address of the cluster's scheduler. A certificate for `tls://` is that of Dask's configuration.

    Raises
    ------
    InputError
        Dask is not installed.
    UpstreamError
        No scheduler answers at the address.
    ResourceError
        The cluster has no worker.
    """
    if is_open(workers, scheduler):
        yield next(cluster for asked, cluster in _open if asked == (workers, scheduler))
        return
    require_dask("--workers" if scheduler is None else "--scheduler")
    with quiet(), ExitStack() as stack:
        security, local, address = None, None, scheduler or ""
        if scheduler is None:
            address, security, local = stack.enter_context(local_cluster(workers))
        client = _client(address, security)
        # What is computed is here by then, so a scheduler that does not answer is no error any more.
        stack.callback(at_most, CLOSING_SECONDS, lambda: client.close(timeout=CLOSING_SECONDS))
        cluster = Cluster(client, address, local)
        _open.append(((workers, scheduler), cluster))
        try:
            yield cluster
        finally:
            _open.remove(((workers, scheduler), cluster))


def is_open(workers: int, scheduler: Optional[str]) -> bool:
    """Whether a block of `connected` with these arguments is at work."""
    return any(asked == (workers, scheduler) for asked, _ in _open)


_open: List[Tuple[Tuple[int, Optional[str]], Cluster]] = []


def _client(address: str, security: "Optional[Security]") -> "Client":
    import dask
    from distributed import Client

    if security is None and address.startswith("tls://") and not dask.config.get("distributed.comm.tls.client.cert"):
        raise InputError(
            f"{address} needs a certificate, and Dask's configuration names none: set distributed.comm.tls.ca-file, "
            "distributed.comm.tls.client.cert and distributed.comm.tls.client.key"
        )
    try:
        # In the main thread, an interrupted client would wait in its __del__ for a scheduler that does not answer.
        return interruptible(lambda: Client(address, security=security, timeout=CONNECT_SECONDS, set_as_default=False))
    except (OSError, asyncio.TimeoutError) as error:
        reason = " ".join(str(error).split())
        raise UpstreamError(
            f"no Dask scheduler answers at {address} ({reason}); start one with `dask scheduler`"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"what answers at {address} is no Dask scheduler of this version ({error}): {SAME}") from error
