"""Connect to Dask workers, on this machine or on a cluster, and compute calls on them."""

import asyncio
import importlib.util
import logging
import re
import sys
import threading
import time
import uuid
import warnings
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Deque,
    Dict,
    Iterable,
    Iterator,
    Optional,
    Tuple,
    TypeVar,
)

from snnb.core.errors import (
    InputError,
    ResourceError,
    UpstreamError,
    UsageError,
    how_to_install,
)

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster


S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")

ADDRESS = re.compile(
    r"(?:(tcp|tls|ws|wss)://)?[^\s/:]+:[0-9]{1,5}|(tcp|tls)://\[[0-9a-fA-F:]+\]:[0-9]{1,5}",
)
CONNECT_SECONDS = 10
# For a worker to register with a remote scheduler, or after the last one was lost
WORKER_SECONDS = 60
START_SECONDS = 120  # for local workers, on a slow disk or a busy machine
CLOSE_SECONDS = 5  # for local workers to terminate; Dask kills a busy one after 3.2 s
# Pending at a time, so that neither the scheduler nor this process runs out of memory
CALLS_PER_THREAD = 3
TIMEOUTS = (TimeoutError, asyncio.TimeoutError)  # different classes before Python 3.11
COMPARED = ("python", "snnb", "numpy", "numba", "dask", "distributed")
# Ctrl-C reaches all processes of the terminal; this process terminates its workers.
IGNORE_CTRL_C = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
GUARD = "must call snnb under `if __name__ == '__main__':`, since its workers import it"
SAME_ENVIRONMENT = "start the workers in the same image or environment as this command"


@dataclass
class _SharedClient:
    """A client that is closed when its last user leaves, in whatever thread."""

    client: "Client"
    resources: ExitStack  # the client, and the workers that it has started
    users: int = 0


_clients: Dict[Tuple[int, Optional[str]], _SharedClient] = {}
_clients_lock = threading.Lock()  # held while a client is opened or closed


def checked_address(address: str) -> str:
    """Return the address of a scheduler with its protocol.

    Raise `ValueError` for an invalid address.
    """
    if (
        not ADDRESS.fullmatch(address)
        or not 0 < int(address.rpartition(":")[2]) < 1 << 16
    ):
        raise ValueError(
            "is not the address of a Dask scheduler; give one such as "
            "tcp://192.168.0.1:8786",
        )
    return address if "://" in address else f"tcp://{address}"


def require_dask(option: str) -> None:
    """Raise `InputError` if Dask, which `option` needs, is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise InputError(
            f"{option} needs Dask, which is not installed: "
            f"{how_to_install('cluster')}; or omit --workers and --scheduler",
        )


@contextmanager
def connected(workers: int, scheduler: Optional[str]) -> "Iterator[Client]":
    """Yield a Dask client; nested and concurrent calls with equal arguments share it.

    It connects to the scheduler of a running cluster at an address, with the TLS
    certificates of Dask's configuration, or without one starts local worker processes,
    with one thread each. Raise `InputError` if Dask is not installed, or a worker runs
    other package versions than this process, `UpstreamError` if no scheduler answers at
    the address, `ResourceError` if the workers have not started.
    """
    key = workers, scheduler
    with _clients_lock:
        if key not in _clients:
            _clients[key] = _open(workers, scheduler)
        client = _clients[key]
        client.users += 1
    try:
        yield client.client
    finally:
        with _clients_lock:
            client.users -= 1
            if not client.users:
                del _clients[key]
                client.resources.close()


def _open(workers: int, scheduler: Optional[str]) -> _SharedClient:
    require_dask("--workers" if scheduler is None else "--scheduler")
    _configure()
    with ExitStack() as stack:
        if scheduler is None:
            return _SharedClient(_local_client(workers, stack), stack.pop_all())
        return _SharedClient(_remote_client(scheduler, stack), stack.pop_all())


def results(
    client: "Client",
    prepare: Callable[[S, int], T],
    call: Callable[[T, A], R],
    shared_value: S,
    arguments: Iterable[A],
) -> Iterator[R]:
    """Compute calls on the workers and yield their results in the order of the arguments.

    `prepare` is called once per worker, with `shared_value`, which is sent once to
    each, and the worker's number of threads; it returns the state that `call` gets with
    each argument. Both must be importable by the workers. Calls on one worker do not
    overlap. Arguments are consumed a few ahead of the results. Dask repeats the calls
    of a worker that terminates.

    Raise `ResourceError` if several workers terminated during the same call, no worker
    is left, or the scheduler has terminated, `InputError` if a worker lacks a package,
    and the errors of `prepare` and `call`.
    """
    from snnb.cluster.dask_classes import SharedCalls, compute

    work = SharedCalls(uuid.uuid4().hex, prepare, call, shared_value)
    # Its name until 2023, in the last version for Python 3.8.
    register = getattr(client, "register_plugin", None) or client.register_worker_plugin
    register(work)
    pending: Deque[Future] = deque()
    try:
        for argument in arguments:
            pending.append(client.submit(compute, work.name, argument, pure=False))
            if len(pending) >= CALLS_PER_THREAD * sum(client.ncores().values()):
                yield _result(client, pending.popleft())
        while pending:
            yield _result(client, pending.popleft())
    finally:
        with suppress(Exception):  # the scheduler may have terminated
            client.unregister_worker_plugin(work.name)


def _result(client: "Client", future: "Future") -> Any:
    from distributed import CancelledError, KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        while True:
            try:
                return future.result(timeout=WORKER_SECONDS)
            except CommClosedError:
                # The scheduler closes the connection if a worker terminates while its
                # result is fetched. If the scheduler has terminated, the future is
                # cancelled.
                time.sleep(0.1)
            except TIMEOUTS:
                if future.status == "error":  # raised by the call
                    raise
                if not client.ncores():
                    raise ResourceError(
                        "no workers remain; start workers and repeat the command",
                    ) from None
    except KilledWorker:
        raise ResourceError(
            "several workers terminated in the same call, probably out of memory; use "
            "fewer --workers, or workers with more memory",
        ) from None
    except CancelledError:
        raise ResourceError(
            "the Dask scheduler has terminated; start it and repeat the command",
        ) from None
    except ModuleNotFoundError as error:
        raise InputError(
            f"a worker has no package {error.name}; {SAME_ENVIRONMENT}",
        ) from error


def _configure() -> None:
    """Configure Dask: no log messages or warnings on the terminal (except with `--verbose`), and time to restart."""
    import dask

    dask.config.set({"distributed.deploy.lost-worker-timeout": START_SECONDS})
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        names = (
            "distributed",
            "distributed.client",
            "tornado",
            "tornado.application",
            "asyncio",
        )
        # Read when distributed is imported, so a program that has imported it keeps its
        # own logging.
        dask.config.set({"distributed.logging": dict.fromkeys(names, "critical")})
        warnings.filterwarnings("ignore", module="distributed")


def _local_client(workers: int, stack: ExitStack) -> "Client":
    from distributed import LocalCluster

    from snnb.cluster.dask_classes import ContextClient

    _refuse_script_without_guard()
    cluster = LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=0,  # do not spill to disk
        silence_logs=logging.CRITICAL,
        preload=IGNORE_CTRL_C,
    )
    stack.callback(_close, cluster)
    client = stack.enter_context(ContextClient(cluster, set_as_default=False))
    cluster.scale(workers)
    try:
        client.wait_for_workers(workers, timeout=START_SECONDS)
    except TIMEOUTS:
        raise ResourceError(
            f"{workers} worker processes have not started in {START_SECONDS} s; use "
            f"fewer --workers; a script {GUARD}",
        ) from None
    return client


def _refuse_script_without_guard() -> None:
    """Raise `UsageError` if workers would execute the program of this process to its end when they import it."""
    program = sys.modules["__main__"]
    script = getattr(program, "__file__", None)
    # Neither interactive nor started by `python -m`
    if script is not None and program.__spec__ is None:
        with suppress(OSError):  # a name such as <stdin>
            if "__main__" not in Path(script).read_text(
                encoding="utf-8",
                errors="replace",
            ):
                raise UsageError(f"{script} {GUARD}")


def _close(cluster: "LocalCluster") -> None:
    with suppress(*TIMEOUTS):
        cluster.close(timeout=CLOSE_SECONDS)


def _remote_client(scheduler: str, stack: ExitStack) -> "Client":
    from snnb.cluster.dask_classes import ContextClient

    try:
        client = stack.enter_context(
            ContextClient(scheduler, timeout=CONNECT_SECONDS, set_as_default=False),
        )
    except (
        OSError,
        *TIMEOUTS,
        TypeError,
        ValueError,
    ) as error:  # the last two: certificates, protocol
        raise UpstreamError(
            f"no connection to a Dask scheduler at {scheduler} ({error}); start one "
            "with `dask scheduler`",
        ) from error
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TIMEOUTS:
        raise ResourceError(
            f"no worker has registered with the scheduler {scheduler} in "
            f"{WORKER_SECONDS} s; start workers with `dask worker {scheduler}`",
        ) from None
    _require_equal_versions(client)
    return client


def _require_equal_versions(client: "Client") -> None:
    versions: Any = client.get_versions(packages=["snnb", "numba"])
    client_packages = versions["client"]["packages"]
    for worker, reply in versions["workers"].items():
        for name in COMPARED:
            own_version, version = (
                _release(name, packages[name])
                for packages in (client_packages, reply["packages"])
            )
            if version != own_version:
                raise InputError(
                    f"worker {worker} has {name} {version}, this process "
                    f"{own_version}; {SAME_ENVIRONMENT}",
                )


def _release(name: str, version: Optional[str]) -> Optional[str]:
    """Return a version.

    Of Python only major and minor, since patch releases compute the same results.
    """
    return ".".join(version.split(".")[:2]) if name == "python" and version else version
