"""`snnb crosscheck` on the recorded run: agreement, one weight altered, and what cannot be compared."""

import json
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from snnb import Run, read_spikes
from snnb.cli.main import main
from snnb.core.errors import InputError, ResourceError, UsageError, VerificationError
from snnb.graph.synapse_graph import seal
from snnb.results.crosscheck import crosscheck, simulate_again
from snnb.stages.open_run import open_run
from tests.end_to_end.conftest import RECORDED

STAMP = next((RECORDED / "graphs").iterdir()).name


def alter_one_weight(run):
    """One weight of the second convolution, in a graph that is sealed again."""
    path = run.path / "graphs" / STAMP / "mini_network_graph.h5"
    with h5py.File(path, "r+") as file:
        kernel = file["connections/0003/kernel"]
        kernel[0, 0, 0, 0] = kernel[0, 0, 0, 0] + 0.5
    seal(path)


@pytest.mark.parametrize("simulator", ["scipy", "sanafe", pytest.param("brian2", marks=pytest.mark.slow)])
def test_the_recorded_run_agrees_until_one_weight_is_altered(run, simulator, capfd):
    assert main(["crosscheck", "--run-dir", str(run.path), "--with", simulator, "--json"]) == 0
    checked = json.loads(capfd.readouterr().out)
    assert checked["passed"] is True
    assert (checked["simulator"], checked["stamp"], checked["samples"]) == (simulator, STAMP, 2)
    names = "00Conv2D_8x8x4 01AveragePooling2D_4x4x4 02Conv2D_2x2x8"
    assert [p["population"] for p in checked["populations"]] == names.split()
    assert all(p["differing"] == 0 and p["spikes"] > 0 for p in checked["populations"])
    alter_one_weight(run)
    assert main(["crosscheck", "--run-dir", str(run.path), "--with", simulator]) == 5
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert f"crosscheck: failed (02Conv2D_2x2x8 differs in {simulator}" in said


def test_all_samples_are_compared_by_their_sums(run):
    said = []
    checked = crosscheck(run, "scipy", samples=60, say=said.append)
    assert said[0] == f"crosscheck: graph {STAMP}"
    assert all(message.startswith("crosscheck: ") for message in said)
    assert checked.samples == 60
    assert [p.pairs for p in checked.populations] == [60 * 256, 60 * 64, 60 * 32]
    with np.load(run.path / "simulations" / STAMP / "spike_rate_sums.npz") as sums:
        assert [p.spikes for p in checked.populations] == [sums[p.population].sum() for p in checked.populations]
    alter_one_weight(run)
    with pytest.raises(VerificationError, match="02Conv2D_2x2x8 differs"):
        crosscheck(run, "scipy", samples=60)


def test_samples_without_recorded_spikes_are_simulated_again(run, tmp_path):
    again = simulate_again(run, STAMP, 3, tmp_path)
    with np.load(again) as found, np.load(run.path / "simulations" / STAMP / "spike_times.npz") as recorded:
        for name in set(found.files) - {"num_samples"}:
            kept = found[name][found[name][:, 0] < 2] if found[name].ndim else found[name]
            np.testing.assert_array_equal(kept, recorded[name])
    checked = crosscheck(run, "scipy", samples=7)
    assert (checked.samples, checked.recorded) == (7, True)
    assert all(p.differing == 0 and p.spikes > 0 for p in checked.populations)
    alter_one_weight(run)
    with pytest.raises(VerificationError, match="02Conv2D_2x2x8 differs"):
        crosscheck(run, "scipy", samples=7)


def test_a_small_error_adds_up_over_the_samples(run):
    """One bias, in a way that moves no potential of a sample by more than a few thresholds, but all of them up."""
    path = run.path / "graphs" / STAMP / "mini_network_graph.h5"
    steps = run.records_of("simulate")[STAMP].params.duration
    with h5py.File(path, "r+") as file:
        name = next(name for name in file["populations"] if file["populations"][name].attrs["name"] == "02Conv2D_2x2x8")
        bias = file["populations"][name]["bias"]
        bias[...] = bias[...] + 1.0 / steps
    seal(path)
    with pytest.raises(VerificationError, match="02Conv2D_2x2x8 differs in scipy"):
        crosscheck(run, "scipy", samples=60)


def test_a_file_that_is_not_the_recorded_one_is_said_though_its_spikes_agree(run):
    path = run.path / "graphs" / STAMP / "mini_network_graph.h5"
    with h5py.File(path, "r+") as file:
        file.attrs["note"] = "x"
    seal(path)
    words = f"the spikes agree, but .* has been modified; .* --simulation {STAMP}` recreates it"
    with pytest.raises(VerificationError, match=words):
        crosscheck(run, "scipy")


@pytest.mark.parametrize("simulator", ["brian2", "sanafe"])
def test_without_the_simulator(run, monkeypatch, simulator):
    monkeypatch.setitem(sys.modules, simulator, None)
    with pytest.raises(UsageError, match=r"pip install '\.\[crosscheck\]'"):
        crosscheck(run, simulator)


def test_too_little_memory(run, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2_000_000, total=1 << 34))
    with pytest.raises(ResourceError, match=r"sanafe takes about 3\.1 MB of memory .*, 2\.0 MB are free"):
        crosscheck(run, "sanafe")
    assert crosscheck(run, "scipy").samples == 2


def test_recorded_spikes_are_those_of_the_pictures_from_there_on(run):
    """Another simulator is shown the same pictures."""
    face = Run(path=run.path)
    made = face.simulate(samples=3, first=100, record_spikes=2, duration=20, engine="tensorflow")
    assert set(np.concatenate([rows[:, 0] for rows in read_spikes(made.directory).values()])) == {100, 101}
    with pytest.raises(InputError, match="holds the samples 100 to 101"):
        read_spikes(made.directory, sample=102)
    with pytest.raises(InputError, match="record_spikes=K"):
        read_spikes(made.directory.parent)
    face.graph()
    checked = crosscheck(open_run(run.path), "scipy")
    assert (checked.samples, [p.differing for p in checked.populations]) == (2, [0, 0, 0])
    assert all(p.spikes for p in checked.populations)
    assert crosscheck(open_run(run.path), "scipy", samples=3).samples == 3
    spikes = face.export("spinemap", run.path.parent / "net").path / "spike_info.txt"
    steps = [int(word) for line in spikes.read_text().splitlines() for word in line.split()[1:]]
    assert 20 <= max(steps) < 40  # the second recorded sample begins at step 20
