"""A small run recorded by `make record-fixtures`, that each stage is tested from; commands in this process."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from snnb.cli.main import main
from snnb.stages.open_run import open_run

RECORDED = Path(__file__).parents[1] / "fixtures" / "mini_network"
SNNB = [sys.executable, "-c", "from snnb.cli.app import app; app()"]  # in a process


@pytest.fixture
def recorded_run():
    """The recorded run, to be read only."""
    return open_run(RECORDED)


@pytest.fixture
def run(tmp_path):
    """A copy of the recorded run that may be changed."""
    return open_run(Path(shutil.copytree(RECORDED, tmp_path / "run")))


@pytest.fixture
def snnb(capsys):
    """Run a command, given by its words or as one text, in this process; return its stdout and stderr.

    It ends with the exit code `code`.
    """

    def call(*words, code=0):
        capsys.readouterr()
        exit_code = main(words[0].split() if len(words) == 1 else list(map(str, words)))
        captured_output = capsys.readouterr()
        assert exit_code == code, captured_output.err
        return SimpleNamespace(stdout=captured_output.out, stderr=captured_output.err)

    return call
