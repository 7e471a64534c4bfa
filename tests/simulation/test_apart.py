"""Counts of each class and of each bin of time against the sums, against simulations of a part, and the toolbox."""

import dataclasses

import numpy as np
import pytest

from snnb.core.errors import ResourceError
from snnb.core.machine import Memory
from snnb.simulation.engines.separated import SeparatedEngine
from snnb.simulation.simulate import simulate
from snnb.simulation.simulation_files import read_spikes
from snnb.simulation.simulation_settings import SimulationSettings

SETTINGS = SimulationSettings(engine="event", samples=60, duration=40, warm_up=7, seed=2, by="class", bins=5)
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "no sample", "été $x$ \n"]
EDGES = [7, 13, 20, 26, 33, 40]  # 33 steps in 5 bins
SCALARS = {"num_samples", "num_timesteps", "warm_up", "dt_ms", "bin_edges", "class_names", "samples_by_class"}


def _simulate(case, target, settings=SETTINGS, **changes):
    target.mkdir(exist_ok=True)
    arguments = {"x": case.x, "y": case.y, "scale": 1.0, "class_names": NAMES, "num_classes": 10}
    simulate(case.parsed, target, name="n", settings=settings, **{**arguments, **changes})
    found = {}
    for name in ("spike_rate_sums", "spike_counts_by_class", "spike_counts_by_bin"):
        if (target / f"{name}.npz").exists():
            with np.load(target / f"{name}.npz") as file:
                found[name.rsplit("_", 1)[1]] = {key: file[key] for key in file.files}
    return found["sums"], found.get("class"), found.get("bin")


@pytest.fixture(scope="module")
def exact(branched):
    """Pixels whose sums float64 holds exactly, as those of byte pictures are."""
    return dataclasses.replace(branched, x=np.round(branched.x * 255).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("engine", "source"), [("event", "constant"), ("tensorflow", "poisson")])
def test_classes_and_bins_sum_to_the_sums_which_do_not_change(exact, tmp_path, engine, source, monkeypatch):
    settings = SETTINGS.changed(engine=engine, input=source, first=8)
    # Several blocks, in none of which are all classes.
    monkeypatch.setattr("snnb.simulation.simulate.batch_of", lambda network: 16)
    sums, by_class, by_bin = _simulate(exact, tmp_path / "apart", settings)
    _simulate(exact, tmp_path / "sums", settings.changed(by="all", bins=0))
    assert (tmp_path / "apart" / "spike_rate_sums.npz").read_bytes() == (
        tmp_path / "sums" / "spike_rate_sums.npz"
    ).read_bytes()
    assert [path.name for path in (tmp_path / "sums").glob("*counts_by*")] == []
    assert by_bin["bin_edges"].tolist() == EDGES
    assert by_class["class_names"].tolist() == NAMES
    assert by_class["samples_by_class"].tolist() == np.bincount(exact.y[8:68], minlength=12).tolist()
    for apart, rows in ((by_class, 12), (by_bin, 5)):
        assert set(apart) - SCALARS == set(sums) - SCALARS
        for name in set(sums) - SCALARS:
            assert apart[name].shape == (rows, *sums[name].shape)
            assert apart[name].dtype == sums[name].dtype == (np.float64 if name == "input" else np.int64)
            assert sums[name].any()
            np.testing.assert_array_equal(apart[name].sum(axis=0), sums[name], err_msg=name)
    assert not any(by_class[name][10:].any() for name in set(sums) - SCALARS)


def test_a_class_alone_has_the_same_counts(trained, tmp_path):
    sums, by_class, _ = _simulate(trained, tmp_path / "all")
    of, random = 3, trained.network.output.name  # softmax: its spikes depend on the number of the sample
    mine = trained.y[:60] == of
    settings = SETTINGS.changed(samples=int(mine.sum()), by="all", bins=0)
    alone, _, _ = _simulate(trained, tmp_path / "one", settings, x=trained.x[:60][mine], y=trained.y[:60][mine])
    for name in set(sums) - SCALARS - {random}:
        assert alone[name].any()
        np.testing.assert_array_equal(by_class[name][of], alone[name], err_msg=name)


@pytest.mark.toolbox
def test_the_toolbox_counts_classes_too_and_begins_anywhere(trained, tmp_path):
    settings = SETTINGS.changed(bins=0, input="poisson", first=20, samples=11, duration=20, batch_size=8)
    found = {e: _simulate(trained, tmp_path / e, settings.changed(engine=e))[1] for e in ("toolbox", "tensorflow")}
    *fixed, _ = [population.name for population in trained.network.populations]
    for name in ("input", *fixed):
        assert found["toolbox"][name].any()
        np.testing.assert_array_equal(found["toolbox"][name], found["tensorflow"][name], err_msg=name)


@pytest.mark.parametrize("engine", ["event", pytest.param("tensorflow", marks=pytest.mark.slow)])
def test_samples_from_the_middle_spike_as_in_a_larger_run(branched, tmp_path, engine):
    settings = SETTINGS.changed(engine=engine, input="poisson", bins=0, by="all", record_spikes=60)
    _simulate(branched, tmp_path / "larger", settings)
    sums, _, _ = _simulate(branched, tmp_path / "middle", settings.changed(first=25, samples=20, record_spikes=20))
    larger, middle = (read_spikes(tmp_path / name) for name in ("larger", "middle"))
    for name, rows in larger.items():
        expected = rows[(rows[:, 0] >= 25) & (rows[:, 0] < 45)]
        assert len(expected)
        np.testing.assert_array_equal(middle[name], expected, err_msg=name)
        assert sums[name].sum() == (expected[:, 2] >= 7).sum()
    one = read_spikes(tmp_path / "middle", sample=44)
    np.testing.assert_array_equal(one["input"], larger["input"][larger["input"][:, 0] == 44])


def test_a_bin_for_every_step_and_one_for_all(trained, tmp_path):
    settings = SETTINGS.changed(samples=3, record_spikes=3, by="all", bins=33)
    sums, _, steps = _simulate(trained, tmp_path / "steps", settings)
    with np.load(tmp_path / "steps" / "spike_times.npz") as times:
        first = trained.network.populations[0]
        counted = np.bincount(times[first.name][:, 2], minlength=40)[7:]
    np.testing.assert_array_equal(steps[first.name].reshape(33, -1).sum(axis=1), counted)
    _, _, one = _simulate(trained, tmp_path / "one", settings.changed(bins=1))
    np.testing.assert_array_equal(one[first.name][0], sums[first.name])


def test_counts_that_have_no_room(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("snnb.simulation.simulation_files.memory", lambda: Memory(20_000, 20_000))
    with pytest.raises(ResourceError, match=r"--by class: 10 counts of each of 426 neurons take .* GB of memory"):
        _simulate(trained, tmp_path)
    with pytest.raises(ResourceError, match=r"--bins 33: 33 counts of each"):
        _simulate(trained, tmp_path, SETTINGS.changed(by="all", bins=33))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["constant", "poisson"])
def test_counts_and_read_out_of_separated_firing_do_not_depend_on_the_blocks(trained, source):
    """TensorFlow rounds a product of one row, and rows beyond a multiple of eight, as no other."""
    network, random = trained.network.separated(6), np.random.default_rng(5)
    engine = SeparatedEngine(network, SimulationSettings(samples=120, duration=6, input=source))

    def simulated(ends):
        blocks = [slice(first, last) for first, last in zip([0, *ends], [*ends, 120])]
        readouts = []
        found = [engine.simulate(trained.x[b], b.start, lambda _, readout: readouts.append(readout)) for b in blocks]
        output = np.concatenate([counted.counts[network.output.name] for counted in found])
        return output, np.concatenate(readouts)

    counts, readout = simulated([])
    assert readout.any(axis=2)[:, -1].all()
    for ends in (range(1, 120), [119], [7, 20, 50, 51, 53], *(np.sort(random.integers(1, 120, 4)) for _ in range(6))):
        ends = np.unique(ends).tolist()
        for expected, found in zip((counts, readout), simulated(ends)):
            np.testing.assert_array_equal(found, expected, err_msg=str(ends))
