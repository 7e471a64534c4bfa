"""A small complete run, recorded by `make record-fixtures`, that each stage is tested from."""

import shutil
from pathlib import Path

import pytest

from snnb.rundir.directory import RunDirectory

RECORDED = Path(__file__).parents[1] / "fixtures" / "mini_network"


@pytest.fixture
def recorded():
    """The recorded run, to be read only."""
    return RunDirectory.open(RECORDED)


@pytest.fixture
def run(tmp_path):
    """A copy of the recorded run that may be changed."""
    return RunDirectory.open(Path(shutil.copytree(RECORDED, tmp_path / "run")))
