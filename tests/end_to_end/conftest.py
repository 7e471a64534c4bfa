"""A small complete run, recorded by `make record-fixtures`, that each stage is tested from."""

import shutil
from pathlib import Path

import pytest

from snnb.pipeline.open_run import open_run

RECORDED = Path(__file__).parents[1] / "fixtures" / "mini_network"


@pytest.fixture
def recorded():
    """The recorded run, to be read only."""
    return open_run(RECORDED)


@pytest.fixture
def run(tmp_path):
    """A copy of the recorded run that may be changed."""
    return open_run(Path(shutil.copytree(RECORDED, tmp_path / "run")))
