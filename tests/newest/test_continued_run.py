"""The recorded run, made with TensorFlow 2.2 on Python 3.8, continued with the TensorFlow of this environment."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnb import Run
from snnb.pipeline.plan import state_of_stages
from snnb.simulation.simulation_files import SUMS

RECORDED = Path(__file__).parents[1] / "fixtures" / "mini_network"
pytest.importorskip("tensorflow")


@pytest.fixture
def run(tmp_path):
    return Run(path=Path(shutil.copytree(RECORDED, tmp_path / "run")))


def _arrays(path):
    found = {}
    with h5py.File(str(path), "r") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def test_nothing_is_stale(run):
    assert all(stage.up_to_date for stage in state_of_stages(run.directory) if stage.record is not None)


@pytest.mark.parametrize("engine", ["event", "tensorflow"])
def test_counts_are_the_recorded_ones(run, engine):
    [recorded] = (RECORDED / "simulations").iterdir()
    directory = run.simulate(samples=60, duration=60, engine=engine).directory
    with np.load(recorded / SUMS) as expected, np.load(directory / SUMS) as found:
        assert found.files == expected.files
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_the_parsed_network_is_the_recorded_one_but_for_rounding(run):
    """The percentiles are of activations whose last bit another TensorFlow rounds differently."""
    directory = run.parse(force=True).directory
    parsed = "mini_network_parsed.h5"
    expected, found = _arrays(RECORDED / "parse" / parsed), _arrays(directory / parsed)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)
    factors = (json.loads((folder / "scale_factors.json").read_text()) for folder in (RECORDED / "parse", directory))
    for one, other in zip(*(list(each.values()) for each in factors)):
        assert other == pytest.approx(one, rel=1e-6)
    assert (directory / "config").read_text() == (RECORDED / "parse" / "config").read_text()
