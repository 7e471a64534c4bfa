"""`simulate` on a cluster as a person sees it: exit codes, one line, nothing half-written, no process left."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from snnb.pipeline.open_run import open_run
from snnb.rundir.verification import verify_run
from tests.cluster.processes import Scheduler, free_port, local_workers

pytestmark = pytest.mark.slow
ENDLESS = ("--samples", "200", "--duration", "1000000")


@pytest.fixture
def temporary(tmp_path):
    """A folder for the command's temporary files alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def begin(run, temporary):
    """Start `simulate`; it is ended with the test at the latest."""
    begun = []

    def start(*options):
        code = "from snnb.cli.app import app; app()"
        words = [sys.executable, "-c", code, "simulate", "--run-dir", str(run.path), "--no-upstream", *options]
        own = {**os.environ, "TMPDIR": str(temporary)}
        begun.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def _until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _busy(processes):
    """Whether each has computed for a while, so that it is at its samples."""
    return all(process.cpu_times().user > 4 for process in processes)


@pytest.fixture
def _unchanged(run, temporary):
    """The run is as it was, and no folder of a cluster is left."""
    manifest = (run.path / "manifest.yaml").read_bytes()
    yield
    assert (run.path / "manifest.yaml").read_bytes() == manifest
    assert verify_run(open_run(run.path)).problems == []
    assert list(run.path.rglob(".incomplete-*")) == []
    assert list(temporary.glob("snnb-workers-*")) == []


@pytest.mark.usefixtures("_unchanged")
def test_ctrl_c_ends_the_command_and_its_workers(begin):
    process = begin("--workers", "2", *ENDLESS)
    _until(lambda: len(local_workers(process.pid)) == 2 and _busy(local_workers(process.pid)))
    workers, sent = local_workers(process.pid), time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert time.monotonic() - sent < 2
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("snnb: interrupted; half-written files are removed")
    assert [worker for worker in workers if worker.is_running()] == []


def test_workers_end_with_a_command_that_is_killed(begin, temporary):
    process = begin("--workers", "2", *ENDLESS)
    _until(lambda: len(local_workers(process.pid)) == 2 and _busy(local_workers(process.pid)))
    workers = local_workers(process.pid)
    process.kill()
    process.communicate()
    _until(lambda: not any(worker.is_running() for worker in workers), 10)
    _until(lambda: not list(temporary.glob("snnb-workers-*")), 10)


@pytest.mark.usefixtures("_unchanged")
def test_a_scheduler_that_is_not_there_is_one_line(begin):
    address = f"tcp://127.0.0.1:{free_port()}"
    process = begin("--scheduler", address, "--quiet")
    out, err = process.communicate()
    assert (process.returncode, out) == (4, "")
    assert err.count("\n") == 1
    assert err.startswith(f"snnb: no Dask scheduler answers at {address}")


@pytest.mark.usefixtures("_unchanged")
def test_ctrl_c_before_a_scheduler_answers(begin):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = begin("--scheduler", f"tcp://127.0.0.1:{silent.getsockname()[1]}", "--quiet")
        _held = silent.accept()
        time.sleep(0.5)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert time.monotonic() - sent < 2
    assert (process.returncode, out, err.count("\n")) == (130, "", 1)


@pytest.mark.usefixtures("_unchanged")
def test_a_scheduler_that_is_killed_is_one_line(begin, tmp_path):
    with Scheduler(tmp_path) as scheduler:
        scheduler.add_workers(2)
        process = begin("--scheduler", scheduler.address, "--quiet", *ENDLESS)
        _until(lambda: _busy([psutil.Process(worker.pid) for worker in scheduler.workers]))
        scheduler.process.kill()
        out, err = process.communicate()
    assert (process.returncode, out) == (6, "")
    assert err.count("\n") == 1
    assert err.startswith(f"snnb: the scheduler {scheduler.address} has ended")


SCRIPT = """
from snnb import Run
print("begun", flush=True)
result = Run(path="run").simulate(samples=20, duration=20, workers=2)
print(result.record.metrics["snn_accuracy"])
"""


def test_a_script_without_a_main_guard_runs_once(run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.remove(''); exec(open({str(script)!r}).read())"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    assert done.returncode == 0, done.stderr
    begun, accuracy = done.stdout.splitlines()
    assert begun == "begun"
    (alone,) = json.loads(
        subprocess.run(
            [sys.executable, "-c", "from snnb.cli.app import app; app()", "simulate", "--run-dir", "run", "--json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        ).stdout
    )["stages"][-1:]
    assert alone["metrics"]["snn_accuracy"] == float(accuracy)
