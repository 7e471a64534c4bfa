"""The program of docs/clusters.md for Slurm, with jobs that are processes of this machine."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snnb import Run
from snnb.stages.open_run import open_run

PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_s_program_simulates_with_jobs(run, tmp_path):
    pytest.importorskip("dask_jobqueue")
    (program,) = re.findall(r"## Slurm\n.*?```python\n(.*?)```", PAGE, flags=re.DOTALL)
    here = {
        "from dask_jobqueue import SLURMCluster": "from dask_jobqueue.local import LocalCluster as SLURMCluster",
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
    alone = Run(path=run.path).simulate(samples=12, duration=6, engine="event").directory
    with np.load(run.path / "simulations" / made / "spike_rate_sums.npz") as shared, np.load(
        alone / "spike_rate_sums.npz"
    ) as own:
        assert set(shared.files) == set(own.files)
        for name in own.files:
            np.testing.assert_array_equal(shared[name], own[name])
