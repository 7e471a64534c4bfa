"""A cluster of this machine: a scheduler in this process, and workers in processes of their own.

They talk over the loopback interface with TLS, with a key made for the purpose: a Dask scheduler runs whatever anyone
sends it who can connect, and on a shared machine everybody can. Workers are not started by `multiprocessing`, nor by
Dask's nanny, which would run a person's script again that has no `__main__` guard.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Tuple

from snnb.core.errors import ResourceError
from snnb.core.interrupt import at_most, interruptible
from snnb.core.processors import processors

if TYPE_CHECKING:
    from distributed.security import Security

COMMAND = "import sys; sys.path.pop(0); from snnb.cluster.local_worker import main; main()"
CLOSING_SECONDS = 0.8
DEATHS = 3  # for each worker; then the machine is not able to do the work


class LocalWorkers:
    """Worker processes, each of which is replaced when it ends.

    Parameters
    ----------
    number : int
    address : str
        Of the scheduler.
    security : Security
        The key and certificate of the cluster.
    folder : Path
        For their files; it is removed with them.

    Attributes
    ----------
    number : int
    """

    def __init__(self, number: int, address: str, security: "Security", folder: Path) -> None:
        self.number, self._folder, self._deaths_left = number, folder, DEATHS * number
        key = security.get_tls_config_for_role("worker")
        self._told = {
            "address": address,
            "threads": str(max(1, processors() // number)),
            "folder": str(folder),
            "secret": key["key"],
            "certificate": key["cert"],
        }
        self._processes: List[subprocess.Popen[str]] = []
        try:
            for _ in range(number):
                self._processes.append(self._begun())
        except BaseException:
            self.end()
            raise

    def mend(self) -> None:
        """Start a new worker for each that has ended.

        Raises
        ------
        ResourceError
            They end again and again.
        """
        for i, process in enumerate(self._processes):
            code = process.poll()
            if code is None:
                continue
            self._deaths_left -= 1
            if self._deaths_left < 0:
                raise ResourceError(
                    f"the workers end again and again ({self._last_words(code)}), for lack of memory "
                    "perhaps: use fewer --workers"
                )
            _close_pipe(process)
            self._processes[i] = self._begun()

    def end(self) -> None:
        """End all of them at once: what they do is not needed any more."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            _close_pipe(process)

    def _begun(self) -> "subprocess.Popen[str]":
        said = self._folder / "said"
        with said.open("a") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=file,
                universal_newlines=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,  # Ctrl-C reaches the whole process group; it is the parent that ends them
            )
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(self._told) + "\n")
            process.stdin.flush()
        except BrokenPipeError:  # it has ended already, which `mend` sees
            pass
        return process

    def _last_words(self, code: int) -> str:
        lines = (self._folder / "said").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return (f"exit code {code}" if code >= 0 else f"signal {-code}") + "".join(
            f", {line.strip()}" for line in lines[-1:]
        )


def _close_pipe(process: "subprocess.Popen[str]") -> None:
    try:
        if process.stdin is not None:
            process.stdin.close()
    except BrokenPipeError:
        return


@contextmanager
def local_cluster(number: int) -> "Iterator[Tuple[str, Security, LocalWorkers]]":
    """Start a scheduler and so many workers; end them behind the block.

    Yields
    ------
    str
        The scheduler's address.
    Security
        What a client needs to connect.
    LocalWorkers
    """
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="snnb-workers-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        security, path = Security.temporary(), list(sys.path)
        # No pages; and files of the scheduler's, which it also puts first where modules are looked for, in the folder.
        with dask.config.set({"distributed.scheduler.http.routes": [], "temporary-directory": str(folder)}):
            cluster = interruptible(
                lambda: LocalCluster(
                    n_workers=0,
                    host="127.0.0.1",
                    protocol="tls://",
                    dashboard_address="127.0.0.1:0",
                    security=security,
                    silence_logs=False,
                )
            )
        stack.callback(at_most, CLOSING_SECONDS, lambda: cluster.close(timeout=CLOSING_SECONDS))
        sys.path[:] = path
        workers = LocalWorkers(number, cluster.scheduler_address, security, folder)
        stack.callback(workers.end)
        yield cluster.scheduler_address, security, workers
