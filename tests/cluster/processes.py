"""A Dask scheduler and workers as somebody else would start them, with Dask's own commands."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = str(Path(__file__).parents[2] / "src")
# A worker of a machine where another version of the package is installed.
OTHER_VERSION = "import snnb.version; snnb.version.__version__ = '0.0.9'; "


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def local_workers(parent):
    """Workers of a local cluster of a process."""
    found = []
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if "local_worker" in " ".join(child.cmdline()):
                found.append(child)
    return found


class Scheduler:
    """A scheduler, and workers without Dask's nanny, so that a worker is one process."""

    def __init__(self, folder):
        self._folder, self.port, self.workers = folder, free_port(), []
        self.address = f"tcp://127.0.0.1:{self.port}"

    def __enter__(self):
        self.process = self._start(
            "",
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--no-dashboard",
            "--dashboard-address",
            ":0",
        )
        return self

    def add_workers(self, number, *, threads=1, before=""):
        begun = [
            self._start(before, "worker", self.address, "--no-nanny", "--nthreads", str(threads), "--no-dashboard")
            for _ in range(number)
        ]
        self.workers += begun
        return begun

    def _start(self, before, name, *arguments):
        module = f"distributed.cli.dask_{name}"
        code = f"import sys; {before}sys.argv[0] = 'dask'; from {module} import main; main()"
        words = [sys.executable, "-W", "ignore", "-c", code, *arguments]
        local = ["--local-directory", str(self._folder)] if name == "worker" else []
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                words + local,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": ROOT, "DASK_TEMPORARY_DIRECTORY": str(self._folder)},
            )

    def __exit__(self, *_):
        for process in [self.process, *self.workers]:
            process.kill()
            process.wait()
