"""A whole simulation: its files, what may not change them, and what is refused."""

import dataclasses
import json

import h5py
import numpy as np
import pytest

from snnb.conversion.rewriting import spiking_output
from snnb.core.errors import InputError
from snnb.io.text import read_document
from snnb.model_files.keras import keras
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble
from snnb.network.spike_counts import SUMS, SpikeCounts
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.settings import SimulationSettings, refuse_unsuitable
from snnb.simulation.simulate import simulate
from snnb.simulation.statistics import SimulationStatistics
from snnb.training.keras_model import write_model
from tests.simulation.alike import model_of, run_engine, simulate_case, spike_trains

Input = keras.Input
Model = keras.Model
layers = keras.layers

SETTINGS = SimulationSettings(
    engine="event", samples=60, duration=40, warm_up=10, seed=2
)
FILES = ("n_INI.h5", "spike_rate_sums.npz", "sim_accuracies.json")
RECORDED = ("spike_times.npz",)


def _json(target):
    return json.loads((target / "sim_accuracies.json").read_text())


@pytest.mark.toolbox
@pytest.mark.parametrize(
    "changes", [{}, {"input": "poisson", "first": 20, "samples": 11, "batch_size": 8}]
)
def test_sums_are_those_of_the_toolbox(trained_case, tmp_path, changes):
    found_sums, settings = [], SETTINGS.changed(**changes)
    for engine in ("toolbox", "tensorflow"):
        simulate_case(trained_case, tmp_path / engine, settings.changed(engine=engine))
        with np.load(tmp_path / engine / "spike_rate_sums.npz") as sums:
            found_sums.append(dict(sums))
    names = [population.name for population in trained_case.network.populations]
    scalars = ["num_samples", "num_timesteps", "warm_up", "dt_ms"]
    for sums in found_sums:
        assert list(sums) == ["input", *names, *scalars]
        assert [sums[name] for name in scalars] == [settings.samples, 30, 10, 1.0]
        assert (sums["input"].dtype, sums[names[0]].dtype) == (np.float64, np.int64)
        if not changes:
            np.testing.assert_allclose(
                sums["input"],
                30 * trained_case.x[:60].sum(axis=0, dtype=np.float64),
                rtol=1e-12,
            )
    for name in ("input", *names[:-1]):  # the softmax spikes at random
        assert found_sums[1][name].any()
        np.testing.assert_allclose(
            found_sums[1][name],
            found_sums[0][name],
            rtol=0 if changes else 1e-12,
            err_msg=name,
        )


def test_accuracies_follow_from_the_recorded_output_and_from_keras(
    trained_case, tmp_path
):
    settings = SETTINGS.changed(record_spikes=60)
    result = simulate_case(trained_case, tmp_path, settings)
    said, last = _json(tmp_path), trained_case.network.output.name
    assert (
        read_document(SimulationStatistics, tmp_path / "sim_accuracies.json")
        == result.statistics
    )
    with np.load(tmp_path / "spike_times.npz") as times:
        assert (times["num_samples"], times["num_steps"]) == (60, 40)
        counts = spike_trains(times[last], 60, 40, 10).cumsum(axis=1)
    right = (counts.argmax(axis=2) == trained_case.y[:60, np.newaxis]) & counts.any(
        axis=2
    )
    np.testing.assert_allclose(said["snn_accuracy_by_timestep"], right.mean(axis=0))
    assert said["snn_accuracy"] == right[:, -1].mean() == result.statistics.snn_accuracy
    ann = trained_case.keras.predict(trained_case.x[:60])
    assert (
        said["ann_accuracy"]
        == (ann.argmax(axis=1) == trained_case.y[:60]).mean()
        == result.statistics.ann_accuracy
    )
    assert (
        said["disagreements"]
        == (ann.argmax(axis=1) != counts[:, -1].argmax(axis=1)).sum()
    )
    guesses = np.where(counts[:, -1].any(axis=1), counts[:, -1].argmax(axis=1), -1)
    pairs, numbers = np.unique(
        np.stack([trained_case.y[:60], guesses], axis=1), axis=0, return_counts=True
    )
    assert sorted(said["confusion"]) == np.column_stack([pairs, numbers]).tolist()
    assert (
        said["snn_accuracy_interval_95"][0]
        < said["snn_accuracy"]
        < said["snn_accuracy_interval_95"][1]
    )
    assert said["readout_accuracy"] >= 0.9 * said["ann_accuracy"] > 0.7
    assert (
        list(said["class_counts"].values())
        == np.bincount(trained_case.y[:60], minlength=10).tolist()
    )
    assert said["coding"] == {
        "input": "current",
        **dict.fromkeys(said["mean_rates"], "spikes"),
        last: "random",
    }
    with np.load(tmp_path / "spike_rate_sums.npz") as sums:
        for name, rate in said["mean_rates"].items():
            assert rate == pytest.approx(sums[name].mean() / 60 / 30)


@pytest.mark.parametrize("name", ["trained_case", "branched_case"])
def test_the_ini_file_is_the_network_that_was_simulated(request, tmp_path, name):
    case = request.getfixturevalue(name)
    settings = SETTINGS.changed(threshold=0.9, reset="zero", initial_potential=0.25)
    simulate_case(case, tmp_path, settings)
    with h5py.File(
        tmp_path / "n_INI.h5", "r"
    ) as file:  # as docs/simulation.md describes it
        assert (file.attrs["format"], file.attrs["version"]) == (
            "snnb converted network",
            2,
        )
        assert [
            file.attrs[key] for key in ("threshold", "reset", "initial_potential")
        ] == [0.9, "zero", 0.25]
        entries = []
        for layer in json.loads(file.attrs["layers"]):
            group, arrays = (
                file[layer],
                {key: dataset[()] for key, dataset in file[layer].items()},
            )
            config, inputs = (
                json.loads(group.attrs["config"]),
                json.loads(group.attrs["inputs"]),
            )
            entries.append(
                StoredLayer(layer, group.attrs["kind"], config, tuple(inputs), arrays)
            )
    counts = run_engine(EventEngine, assemble(entries), settings, case.x[:60]).counts
    assert list(counts) == [population.name for population in case.network.populations]
    with np.load(tmp_path / "spike_rate_sums.npz") as sums:
        for layer, spikes in counts.items():
            np.testing.assert_array_equal(sums[layer], spikes.sum(axis=0))


@pytest.mark.parametrize(
    ("engine", "source"),
    [
        pytest.param("tensorflow", "poisson", marks=pytest.mark.slow),
        ("event", "poisson"),
        pytest.param("event", "constant", marks=pytest.mark.slow),
    ],
)
def test_equal_files_for_any_batch_size_and_number_of_processes(
    branched_case, tmp_path, engine, source, monkeypatch
):
    settings = SETTINGS.changed(engine=engine, input=source, record_spikes=17)
    simulate_case(branched_case, tmp_path / "whole", settings)
    simulate_case(branched_case, tmp_path / "again", settings.changed(batch_size=7))
    monkeypatch.setattr(
        "snnb.simulation.run_blocks.choose_batch_size", lambda network: 16
    )
    simulate_case(branched_case, tmp_path / "blocks", settings)
    for other_name in ("again", "blocks"):
        for name in (*FILES, *RECORDED):
            assert (tmp_path / other_name / name).read_bytes() == (
                tmp_path / "whole" / name
            ).read_bytes(), (other_name, name)


def test_progress_ends_with_all_samples_and_tells_the_accuracy(trained_case, tmp_path):
    messages = []
    result = simulate_case(
        trained_case, tmp_path, SETTINGS, progress=lambda *seen: messages.append(seen)
    )
    assert messages[-1] == (
        60,
        60,
        f"accuracy so far {result.statistics.snn_accuracy:.4f}",
    )
    assert [done for done, _, _ in messages] == sorted(done for done, _, _ in messages)


def test_pictures_of_bytes_are_scaled(trained_case, tmp_path):
    bytes_ = np.round(trained_case.x * 16).astype(np.uint8)
    for name, x, scale in (("bytes", bytes_, 16.0), ("floats", trained_case.x, 1.0)):
        simulate_case(trained_case, tmp_path / name, SETTINGS, x=x, scale=scale)
    files = [
        (tmp_path / name / "spike_rate_sums.npz").read_bytes()
        for name in ("bytes", "floats")
    ]
    assert files[0] == files[1]


def test_a_reconstruction_is_measured_by_its_error(tmp_path, trained_case):
    x = Input((8, 8, 1), name="input")
    model = Model(
        x,
        layers.Dense(64, activation="relu", name="01Dense_64")(
            layers.Flatten(name="00Flatten_64")(x)
        ),
    )
    model.set_weights(
        [np.eye(64) * 0.5, np.zeros(64)]
    )  # a rate of half the pixel's value
    write_model(model, tmp_path / "copy_parsed.h5")
    case = dataclasses.replace(trained_case, parsed=tmp_path / "copy_parsed.h5")
    settings = SETTINGS.changed(duration=200)
    result = simulate_case(
        case, tmp_path, settings, reconstructs=True, output_scale=2.0
    )
    said = _json(tmp_path)
    assert result.statistics.ann_accuracy is None
    assert "snn_accuracy" not in said
    assert said["class_counts"] == {}
    assert said["ann_mean_squared_error"] == pytest.approx(0, abs=1e-12)
    assert len(said["snn_mean_squared_error_by_timestep"]) == 200
    assert (
        said["snn_mean_squared_error"]
        == said["snn_mean_squared_error_by_timestep"][-1]
        < 0.01**2
    )
    assert said["snn_mean_squared_error_by_timestep"][0] > 0.01
    assert said["readout_mean_squared_error"] < 1e-9
    assert result.statistics.snn_mean_squared_error == said["snn_mean_squared_error"]


def test_refusals(trained_case, tmp_path):
    cases = [
        ({"x": trained_case.x[:, :7]}, r"\(7, 8, 1\)"),
        ({"class_names": list("abcdefghijk")}, "10 neurons"),
    ]
    for changes, keyword in cases:
        with pytest.raises(InputError, match=keyword) as error_info:
            simulate_case(trained_case, tmp_path, SETTINGS, **changes)
        assert "\n" not in str(error_info.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("engine", "blocks"),
    [("event", 3), pytest.param("tensorflow", 2, marks=pytest.mark.slow)],
)
def test_equal_files_from_workers(
    trained_case, tmp_path, monkeypatch, dask_workers, engine, blocks
):
    settings = SETTINGS.changed(engine=engine, input="poisson", record_spikes=40)
    simulate_case(trained_case, tmp_path / "alone", settings)
    ends = range(0, 61, 60 // blocks)
    monkeypatch.setattr(
        "snnb.simulation.run_blocks.divide_samples",
        lambda *_: list(map(slice, ends, ends[1:])),
    )
    simulate_case(trained_case, tmp_path / "shared", settings.changed(workers=2))
    for name in (*FILES, *RECORDED):
        assert (tmp_path / "shared" / name).read_bytes() == (
            tmp_path / "alone" / name
        ).read_bytes(), name


def test_without_dask_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for settings in (
        SETTINGS.changed(workers=2),
        SETTINGS.changed(scheduler="tcp://127.0.0.1:1"),
    ):
        with pytest.raises(
            InputError, match=r"needs Dask.*pip install '\.\[cluster\]'"
        ):
            refuse_unsuitable(
                settings,
                is_integer=False,
                is_calibrated=False,
                has_windows=False,
                is_pruned=False,
            )


@pytest.mark.parametrize("output", ["softmax", "membrane"])
def test_predictions_have_the_quoted_accuracy(trained_case, output):
    settings = SETTINGS.changed(output=output)
    result = simulate(
        trained_case.network, trained_case.x, trained_case.y, settings=settings
    )
    labels = trained_case.y[: settings.samples]
    assert result.outputs.shape == (settings.samples, 10)
    assert result.accuracy == (result.predictions == labels).mean()
    assert result.accuracy == result.statistics.readout_accuracy


def test_a_sample_without_output_spikes_has_no_class(trained_case):
    network = spiking_output(trained_case.network, trained_case.x[:100], 20)
    settings = SimulationSettings(samples=50, duration=3)
    result = simulate(network, trained_case.x, trained_case.y, settings=settings)
    silent = ~result.outputs.any(axis=1)
    assert 0 < silent.sum() < 50
    assert (result.predictions[silent] == -1).all()
    assert result.accuracy == (result.predictions == trained_case.y[:50]).mean()
    assert result.accuracy == result.statistics.snn_accuracy


def test_without_labels_only_the_accuracy_is_missing(trained_case, tmp_path):
    case = trained_case
    labelled_result = simulate(case.network, case.x, case.y, settings=SETTINGS)
    result = simulate(case.network, case.x, settings=SETTINGS)
    assert result.accuracy is None
    np.testing.assert_array_equal(result.predictions, labelled_result.predictions)
    result.write(tmp_path, "n")
    counts = SpikeCounts.read(
        tmp_path / SUMS, case.network.volume_names, result.counts.coding
    )
    assert counts.recording == labelled_result.counts.recording
    for name, rates in labelled_result.counts.rates.items():
        np.testing.assert_array_equal(counts.rates[name], rates)


def test_a_network_that_reproduces_its_input_alone_has_the_same_error(
    trained_case, tmp_path
):
    """Without the network that it was converted from, only the error of that one is missing."""
    x = layers.Input((8, 8, 1))
    model = Model(x, layers.Dense(64, activation="relu")(layers.Flatten()(x)))
    model.set_weights([np.eye(64) * 0.5, np.zeros(64)])
    write_model(model, tmp_path / "copy_parsed.h5")
    converted = model_of(tmp_path / "copy_parsed.h5")
    compared_result, result = (
        simulate(network, trained_case.x, settings=SETTINGS, reconstructs=True)
        for network in (converted, converted.network)
    )
    assert compared_result.statistics.ann_mean_squared_error is not None
    assert result.statistics.ann_mean_squared_error is None
    error = result.statistics.snn_mean_squared_error
    assert error == compared_result.statistics.snn_mean_squared_error > 0
