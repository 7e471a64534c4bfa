"""`simulate` with workers: exit codes, one line of error, no process left."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run


def _workers(process):
    found = []
    for child in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.Error):  # it has terminated
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.fixture
def endless(run):
    """`simulate --workers 2` for hours, both workers busy, in a process group as in a terminal; and its workers."""
    options = ("--workers", "2", "--samples", "200", "--duration", "1000000", "--engine", "event", "--quiet")
    words = [sys.executable, "-m", "snnb", "simulate", "--run-dir", str(run.path), "--no-upstream", *options]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 200
    while len(_workers(process)) < 2 or min(worker.cpu_times().user for worker in _workers(process)) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield process, _workers(process)
    process.kill()
    process.wait()


@pytest.mark.slow
def test_ctrl_c_ends_the_command_and_its_workers(run, endless):
    process, workers = endless
    manifest = (run.path / "manifest.yaml").read_bytes()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("snnb: interrupted")
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert (run.path / "manifest.yaml").read_bytes() == manifest
    assert verify_run(open_run(run.path)).problems == []


@pytest.mark.slow
def test_workers_end_with_a_killed_command(endless):
    process, workers = endless
    process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=60)[1] == []
