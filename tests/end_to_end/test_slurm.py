"""The program of docs/clusters.md for Slurm, on a real Slurm of this machine: Debian's slurmctld, slurmd and munge."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from snnb import Run
from snnb.pipeline.open_run import open_run

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=6000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm with this machine as its one node; `squeue` and the like speak to it."""
    programs = ("slurmctld", "slurmd", "munged", "sbatch")
    missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing or os.geteuid() != 0:
        pytest.skip("needs root and Slurm: apt-get install slurmctld slurmd slurm-client munge")
    munge, configuration = tmp_path / "munge", tmp_path / "slurm.conf"
    for folder in (munge, tmp_path / "state", tmp_path / "spool"):
        folder.mkdir(mode=0o700)
    (munge / "key").write_bytes(os.urandom(128))
    (munge / "key").chmod(0o400)
    ports, host = (free_port(), free_port()), socket.gethostname().split(".")[0]
    configuration.write_text(CONFIGURATION.format(host=host, folder=tmp_path, ports=ports, cores=os.cpu_count()))
    files = [f"--{kind}-file={munge / kind}" for kind in ("key", "pid", "log", "seed")]
    daemons = [
        ["munged", "--force", "--foreground", f"--socket={munge / 'socket'}", *files],
        ["slurmctld", "-D", "-f", str(configuration)],
        ["slurmd", "-D", "-f", str(configuration)],
    ]
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin")
    monkeypatch.setenv("SLURM_CONF", str(configuration))
    started = []
    try:
        for words in daemons:
            with (tmp_path / f"{words[0]}.log").open("wb") as log:
                started.append(subprocess.Popen(words, stdout=log, stderr=log))
            time.sleep(1)
        deadline = time.monotonic() + 60
        while "idle" not in subprocess.run(["sinfo", "-h"], capture_output=True, text=True, check=False).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield
        assert subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout == ""
    finally:
        for daemon in reversed(started):
            daemon.terminate()
            daemon.wait(30)


def test_the_page_s_program_simulates_with_jobs_of_slurm(run, slurm, tmp_path):
    pytest.importorskip("dask_jobqueue")
    (program,) = re.findall(r"## Slurm\n.*?```python\n(.*?)```", PAGE, flags=re.DOTALL)
    here = {
        'path="runs/lenet_mnist"': f"path={str(run.path)!r}",
        "samples=10000": 'samples=12, duration=6, engine="event"',
        "cores=16": "cores=1",
        'memory="32GB"': 'memory="2GB"',
        'interface="ib0"': 'interface="lo"',
        "jobs=8": "jobs=2",
    }
    for said, ours in here.items():
        assert program.count(said) == 1, said
        program = program.replace(said, ours)
    (tmp_path / "program.py").write_text(program)
    before = set(run.records_of("simulate"))
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    (made,) = set(open_run(run.path).records_of("simulate")) - before
    jobs = [path.read_text() for path in tmp_path.glob("slurm-*.out")]
    assert [job.count("Registered to:") for job in jobs] == [1, 1]
    alone = Run(path=run.path).simulate(samples=12, duration=6, engine="event")
    assert alone.directory.name != made
    with np.load(run.path / "simulations" / made / "spike_rate_sums.npz") as shared, np.load(
        alone.directory / "spike_rate_sums.npz"
    ) as own:
        assert set(shared.files) == set(own.files)
        for name in own.files:
            np.testing.assert_array_equal(shared[name], own[name])
