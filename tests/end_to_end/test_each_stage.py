"""Each stage alone, from the run recorded with TensorFlow 2.2 on Python 3.8: results are equal to the recorded ones."""

import csv
import json

import h5py
import numpy as np
import pytest

from snnb.network.spike_counts import SUMS
from snnb.results.verify import verify_run
from snnb.stages.run_stages import bring_up_to_date
from snnb.stages.states import state_of_stages

RERECORD = "the recorded run is not what this code makes; if that is meant, `make record-fixtures`"


def again(run, stage, **options):
    """Run one stage again, and it alone."""
    with run.locked():
        outcome = bring_up_to_date(
            run, stage, {stage: options}, force=True, upstream=False
        )[-1]
    assert outcome.reason is not None
    assert verify_run(run).problems == []
    return outcome


def arrays(path):
    found_arrays = {}
    with h5py.File(str(path), "r") as file:
        file.visititems(
            lambda name, item: (
                found_arrays.update({name: item[()]})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found_arrays


def test_the_recorded_run_is_whole_and_up_to_date(recorded_run):
    assert verify_run(recorded_run).problems == []
    states = {
        state.name.split("/")[0]: state.reason
        for state in state_of_stages(recorded_run)
    }
    assert states == dict.fromkeys(
        ("prepare", "train", "parse", "simulations", "graphs")
    ), RERECORD


def test_prepare_makes_the_recorded_arrays(run, recorded_run):
    made_outputs, expected_outputs = (
        again(run, "prepare").record.outputs,
        recorded_run.record_of("prepare").outputs,
    )
    assert [f.path for f in made_outputs] == [f.path for f in expected_outputs], (
        RERECORD
    )
    for ours, theirs in zip(made_outputs, expected_outputs):
        if ours.path.endswith(
            ".npz"
        ):  # other versions write other headers and compress otherwise
            with np.load(run.path / ours.path) as arrays, np.load(
                recorded_run.path / theirs.path
            ) as other_arrays:
                assert arrays.files == other_arrays.files
                assert all(
                    np.array_equal(arrays[name], other_arrays[name])
                    for name in arrays.files
                ), RERECORD
        else:
            assert ours.sha256 == theirs.sha256, RERECORD


def test_train_learns_as_recorded(run, recorded_run):
    result = again(run, "train")
    with (result.directory / "training_history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == recorded_run.record_of("train").details.epochs_run
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])
    assert result.record.metrics["test_accuracy"] == pytest.approx(
        recorded_run.record_of("train").metrics["test_accuracy"], abs=0.05
    ), RERECORD


def test_parse_makes_the_recorded_network_but_for_rounding(run, recorded_run):
    """The percentiles are of activations whose last bit another TensorFlow rounds differently."""
    result, then = again(run, "parse"), recorded_run.path / "parse"
    made_arrays, expected_arrays = (
        arrays(folder / "mini_network_parsed.h5") for folder in (result.directory, then)
    )
    assert made_arrays.keys() == expected_arrays.keys()
    for name, values in expected_arrays.items():
        np.testing.assert_allclose(
            made_arrays[name], values, rtol=1e-6, err_msg=f"{name}; {RERECORD}"
        )
    factors = recorded_run.record_of("parse").details.scale_factors
    assert result.record.details.scale_factors == pytest.approx(factors, rel=1e-6), (
        RERECORD
    )
    assert result.record.metrics["largest_difference"] < 1e-5
    assert (result.directory / "config").read_text() == (then / "config").read_text()


@pytest.mark.parametrize("engine", ["event", "tensorflow"])
def test_simulate_counts_the_recorded_spikes(run, recorded_run, engine):
    options = recorded_run.record_of("simulate").options
    result = again(run, "simulate", **{**options, "engine": engine})
    then = recorded_run.path / recorded_run.directory_of(
        "simulate", max(recorded_run.records_of("simulate"))
    )
    with np.load(result.directory / SUMS) as counted_sums, np.load(
        then / SUMS
    ) as expected_sums:
        assert counted_sums.files == expected_sums.files, RERECORD
        for name in expected_sums.files:
            np.testing.assert_array_equal(
                counted_sums[name], expected_sums[name], err_msg=f"{name}; {RERECORD}"
            )
    summary = json.loads((result.directory / "sim_accuracies.json").read_text())
    assert summary["num_samples"] == recorded_run.record_of("simulate").params.samples
    assert (
        len(summary["snn_accuracy_by_timestep"])
        == recorded_run.record_of("simulate").params.duration
    )


def test_graph_is_the_recorded_one(run, recorded_run):
    result = again(run, "graph")
    assert result.record.metrics == {"neurons": 362, "synapses": 3_664}
    then = recorded_run.path / recorded_run.directory_of(
        "graph", max(recorded_run.records_of("graph"))
    )
    made_arrays, expected_arrays = (
        arrays(folder / "mini_network_graph.h5") for folder in (result.directory, then)
    )
    assert expected_arrays
    for name, values in expected_arrays.items():
        np.testing.assert_array_equal(made_arrays[name], values, err_msg=RERECORD)


def test_another_option_makes_that_stage_and_all_after_it_run(run):
    with run.locked():
        outcomes = bring_up_to_date(run, "graph", {"parse": {"percentile": 99.0}})
    reasons = {o.stage: o.reason for o in outcomes}
    assert reasons["prepare"] is None
    assert reasons["train"] is None
    assert reasons["parse"] == "percentile: 99.9 → 99.0"
    assert "parse/" in reasons["simulate"]
    assert reasons["graph"] is not None
    assert len(run.records_of("simulate")) == 2


def test_a_graph_of_an_older_simulation_needs_nothing_else(run):
    stamp = max(run.records_of("simulate"))
    again(run, "simulate", samples=20)
    for path in (run.path / "dataset").iterdir():
        path.unlink()
    with run.locked():
        (outcome,) = bring_up_to_date(
            run, "graph", {"graph": {"simulation": stamp}}, force=True
        )
    assert outcome.directory.name == stamp
