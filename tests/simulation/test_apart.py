"""Counts of each class against the sums, against simulations of a part, and the toolbox."""

import dataclasses

import numpy as np
import pytest

from snnb.core.errors import ResourceError
from snnb.core.machine import Memory
from snnb.simulation.simulate import simulate
from snnb.simulation.simulation_files import read_spikes
from snnb.simulation.simulation_settings import SimulationSettings

SETTINGS = SimulationSettings(engine="event", samples=60, duration=40, warm_up=7, seed=2, by="class")
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "no sample", "été $x$ \n"]
SCALARS = {"num_samples", "num_timesteps", "warm_up", "dt_ms", "class_names", "samples_by_class"}


def _simulate(case, target, settings=SETTINGS, **changes):
    target.mkdir(exist_ok=True)
    arguments = {"x": case.x, "y": case.y, "scale": 1.0, "class_names": NAMES, "num_classes": 10}
    simulate(case.parsed, target, name="n", settings=settings, **{**arguments, **changes})
    found = {}
    for name in ("spike_rate_sums", "spike_counts_by_class"):
        if (target / f"{name}.npz").exists():
            with np.load(target / f"{name}.npz") as file:
                found[name.rsplit("_", 1)[1]] = {key: file[key] for key in file.files}
    return found["sums"], found.get("class")


@pytest.fixture(scope="module")
def exact(branched):
    """Pixels whose sums float64 holds exactly, as those of byte pictures are."""
    return dataclasses.replace(branched, x=np.round(branched.x * 255).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("engine", "source"), [("event", "constant"), ("tensorflow", "poisson")])
def test_classes_sum_to_the_sums_which_do_not_change(exact, tmp_path, engine, source, monkeypatch):
    settings = SETTINGS.changed(engine=engine, input=source, first=8)
    # Several blocks, in none of which are all classes.
    monkeypatch.setattr("snnb.simulation.simulate.batch_of", lambda network: 16)
    sums, by_class = _simulate(exact, tmp_path / "apart", settings)
    _simulate(exact, tmp_path / "sums", settings.changed(by="all"))
    assert (tmp_path / "apart" / "spike_rate_sums.npz").read_bytes() == (
        tmp_path / "sums" / "spike_rate_sums.npz"
    ).read_bytes()
    assert [path.name for path in (tmp_path / "sums").glob("*counts_by*")] == []
    assert by_class["class_names"].tolist() == NAMES
    assert by_class["samples_by_class"].tolist() == np.bincount(exact.y[8:68], minlength=12).tolist()
    assert set(by_class) - SCALARS == set(sums) - SCALARS
    for name in set(sums) - SCALARS:
        assert by_class[name].shape == (12, *sums[name].shape)
        assert by_class[name].dtype == sums[name].dtype == (np.float64 if name == "input" else np.int64)
        assert sums[name].any()
        np.testing.assert_array_equal(by_class[name].sum(axis=0), sums[name], err_msg=name)
    assert not any(by_class[name][10:].any() for name in set(sums) - SCALARS)


def test_a_class_alone_has_the_same_counts(trained, tmp_path):
    sums, by_class = _simulate(trained, tmp_path / "all")
    of, random = 3, trained.network.output.name  # softmax: its spikes depend on the number of the sample
    mine = trained.y[:60] == of
    settings = SETTINGS.changed(samples=int(mine.sum()), by="all")
    alone, _ = _simulate(trained, tmp_path / "one", settings, x=trained.x[:60][mine], y=trained.y[:60][mine])
    for name in set(sums) - SCALARS - {random}:
        assert alone[name].any()
        np.testing.assert_array_equal(by_class[name][of], alone[name], err_msg=name)


@pytest.mark.toolbox
def test_the_toolbox_counts_classes_too_and_begins_anywhere(trained, tmp_path):
    settings = SETTINGS.changed(input="poisson", first=20, samples=11, duration=20, batch_size=8)
    found = {e: _simulate(trained, tmp_path / e, settings.changed(engine=e))[1] for e in ("toolbox", "tensorflow")}
    *fixed, _ = [population.name for population in trained.network.populations]
    for name in ("input", *fixed):
        assert found["toolbox"][name].any()
        np.testing.assert_array_equal(found["toolbox"][name], found["tensorflow"][name], err_msg=name)


@pytest.mark.parametrize("engine", ["event", pytest.param("tensorflow", marks=pytest.mark.slow)])
def test_samples_from_the_middle_spike_as_in_a_larger_run(branched, tmp_path, engine):
    settings = SETTINGS.changed(engine=engine, input="poisson", by="all", record_spikes=60)
    _simulate(branched, tmp_path / "larger", settings)
    sums, _ = _simulate(branched, tmp_path / "middle", settings.changed(first=25, samples=20, record_spikes=20))
    larger, middle = (read_spikes(tmp_path / name) for name in ("larger", "middle"))
    for name, rows in larger.items():
        expected = rows[(rows[:, 0] >= 25) & (rows[:, 0] < 45)]
        assert len(expected)
        np.testing.assert_array_equal(middle[name], expected, err_msg=name)
        assert sums[name].sum() == (expected[:, 2] >= 7).sum()
    one = read_spikes(tmp_path / "middle", sample=44)
    np.testing.assert_array_equal(one["input"], larger["input"][larger["input"][:, 0] == 44])


def test_counts_that_have_no_room(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("snnb.simulation.simulation_files.memory", lambda: Memory(20_000, 20_000))
    with pytest.raises(ResourceError, match=r"--by class: 10 counts of each of 426 neurons take .* GB of memory"):
        _simulate(trained, tmp_path)
    assert list(tmp_path.iterdir()) == []
