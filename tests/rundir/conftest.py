"""A run directory with a tiny `prepare` stage, no data set needed."""

import pytest

from snnb.datasets.definition import PreparedSplit
from snnb.datasets.preparation_settings import PreparationSettings
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import RunInfo
from snnb.stages.all import KINDS
from snnb.stages.prepare import PrepareDetails
from tests.end_to_end.conftest import snnb

__all__ = ["params", "run", "snnb", "write"]


@pytest.fixture
def run(tmp_path):
    info = RunInfo(
        model="mini_network",
        dataset="digits",
        created_utc="2026-01-01T00:00:00+00:00",
        snnb_version="0",
    )
    return RunDirectory.create(tmp_path / "run", info, KINDS)


@pytest.fixture
def params():
    return PreparationSettings(dataset="digits", shape=(8, 8, 1), norm_samples=3)


@pytest.fixture
def write(params):
    """Run a `prepare` that writes `content` to two files."""
    split = PreparedSplit(shape=(1,), dtype="uint8", class_counts={"0": 1})
    origin = {"dataset": "digits", "version": "1", "licence": "none", "source": "test"}
    details = PrepareDetails(
        **origin, scale=16, class_names=["0"], splits={"train": split}
    )

    def prepare(run, content):
        with run.stage("prepare", params, inputs=[]) as output:
            (output.directory / "x.npy").write_text(content)
            (output.directory / "deep").mkdir()
            (output.directory / "deep" / "y.npy").write_text(content * 2)
            output.details = details

    return prepare
