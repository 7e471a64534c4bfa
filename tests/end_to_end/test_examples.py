"""The examples run as they stand, and say the same as the run directories that they leave."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from snnb.results.verify import verify_run
from snnb.stages.open_run import open_run

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name, *arguments, cwd):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


@pytest.mark.slow
def test_one_network_from_python(tmp_path):
    result = run_example("one_network.py", tmp_path / "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "3,664 synapses" in result.stdout
    run = open_run(tmp_path / "run")
    assert run.record_of("train").params.epochs == 10
    assert str(run.record_of("simulate").metrics["snn_accuracy"]) in result.stdout
    assert verify_run(run).problems == []


@pytest.mark.slow
def test_build_many_archives_each_and_names_what_fails(tmp_path):
    result = run_example("build_many.py", "archive", "mini_network", "no_such_network", cwd=tmp_path)
    assert result.returncode == 1
    assert "no_such_network: unknown model" in result.stderr
    assert sorted(p.name for p in (tmp_path / "archive").iterdir()) == ["mini_network.tar.gz"]
    with tarfile.open(tmp_path / "archive" / "mini_network.tar.gz") as packed:
        packed.extractall(tmp_path / "unpacked")
    unpacked = open_run(tmp_path / "unpacked" / "mini_network")
    assert all(problem.startswith("prepare:") for problem in verify_run(unpacked).problems)
    again = run_example("build_many.py", "archive", "mini_network", cwd=tmp_path)
    assert again.returncode == 0
    assert "is there" in again.stdout


@pytest.mark.slow
def test_a_network_on_cores(tmp_path):
    result = run_example("network_on_cores.py", tmp_path / "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    run = open_run(tmp_path / "run")
    record = run.record_of("map")
    assert f"spikes between cores per sample: {record.metrics['connectivity']:,.1f}, " in result.stdout
    lines = [line for line in result.stdout.splitlines() if line.startswith("core ")]
    assert len(lines) == record.metrics["cores"]
    assert sum(int(line.split(": ")[1].split()[0]) for line in lines) == 362
    assert verify_run(run).problems == []
