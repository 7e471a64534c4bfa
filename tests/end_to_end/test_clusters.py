"""`simulate` with workers, and the program of docs/clusters.md for Slurm, whose jobs are processes of this machine."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from snnb import Run
from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run


def _workers(process):
    worker_ids = []
    for child in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.Error):  # it has terminated
            if "spawn_main" in " ".join(child.cmdline()):
                worker_ids.append(child)
    return worker_ids


@pytest.fixture
def endless(run):
    """`simulate --workers 2` for hours, both workers busy, in a process group as in a terminal; and its workers."""
    options = (
        "--workers",
        "2",
        "--samples",
        "200",
        "--duration",
        "1000000",
        "--engine",
        "event",
        "--quiet",
    )
    words = [
        sys.executable,
        "-m",
        "snnb",
        "simulate",
        "--run-dir",
        str(run.path),
        "--no-upstream",
        *options,
    ]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while (
        len(_workers(process)) < 2
        or min(worker.cpu_times().user for worker in _workers(process)) < 5
    ):
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


PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_s_program_simulates_with_jobs(run, tmp_path):
    pytest.importorskip("dask_jobqueue")
    (program,) = re.findall(r"## Slurm\n.*?```python\n(.*?)```", PAGE, flags=re.DOTALL)
    here_counts = {
        "from dask_jobqueue import SLURMCluster": "from dask_jobqueue.local import LocalCluster as SLURMCluster",
        'path="runs/lenet_mnist"': f"path={str(run.path)!r}",
        "samples=10000": 'samples=12, duration=6, engine="event"',
        "cores=16": "cores=1",
        'memory="32GB"': 'memory="2GB"',
        'interface="ib0"': 'interface="lo"',
        "jobs=8": "jobs=2",
    }
    for said, ours in here_counts.items():
        assert program.count(said) == 1, said
        program = program.replace(said, ours)
    (tmp_path / "program.py").write_text(program)
    before = set(run.records_of("simulate"))
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (simulation,) = set(open_run(run.path).records_of("simulate")) - before
    alone = (
        Run(path=run.path).simulate(samples=12, duration=6, engine="event").directory
    )
    with np.load(
        run.path / "simulations" / simulation / "spike_rate_sums.npz"
    ) as shared_sums, np.load(alone / "spike_rate_sums.npz") as own_sums:
        assert set(shared_sums.files) == set(own_sums.files)
        for name in own_sums.files:
            np.testing.assert_array_equal(shared_sums[name], own_sums[name])
