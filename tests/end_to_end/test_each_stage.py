"""Each stage alone, from the run recorded with TensorFlow 2.2 on Python 3.8: results are equal to the recorded ones."""

import csv
import json

import h5py
import numpy as np
import pytest

from snnb.results.verify import verify_run
from snnb.simulation.files import SUMS
from snnb.stages.carry_out import bring_up_to_date
from snnb.stages.plan import state_of_stages

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
    found = {}
    with h5py.File(str(path), "r") as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


def test_the_recorded_run_is_whole_and_up_to_date(recorded):
    assert verify_run(recorded).problems == []
    states = {
        state.name.split("/")[0]: state.reason for state in state_of_stages(recorded)
    }
    assert states == dict.fromkeys(
        ("prepare", "train", "parse", "simulations", "graphs")
    ), RERECORD


def test_prepare_makes_the_recorded_arrays(run, recorded):
    made, expected = (
        again(run, "prepare").record.outputs,
        recorded.record_of("prepare").outputs,
    )
    assert [f.path for f in made] == [f.path for f in expected], RERECORD
    for ours, theirs in zip(made, expected):
        if ours.path.endswith(
            ".npz"
        ):  # other versions write other headers and compress otherwise
            with np.load(run.path / ours.path) as one, np.load(
                recorded.path / theirs.path
            ) as other:
                assert one.files == other.files
                assert all(
                    np.array_equal(one[name], other[name]) for name in one.files
                ), RERECORD
        else:
            assert ours.sha256 == theirs.sha256, RERECORD


def test_train_learns_as_recorded(run, recorded):
    result = again(run, "train")
    with (result.directory / "training_history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == recorded.record_of("train").details.epochs_run
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])
    assert result.record.metrics["test_accuracy"] == pytest.approx(
        recorded.record_of("train").metrics["test_accuracy"], abs=0.05
    ), RERECORD


def test_parse_makes_the_recorded_network_but_for_rounding(run, recorded):
    """The percentiles are of activations whose last bit another TensorFlow rounds differently."""
    result, then = again(run, "parse"), recorded.path / "parse"
    made, expected = (
        arrays(folder / "mini_network_parsed.h5") for folder in (result.directory, then)
    )
    assert made.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(
            made[name], values, rtol=1e-6, err_msg=f"{name}; {RERECORD}"
        )
    factors = recorded.record_of("parse").details.scale_factors
    assert result.record.details.scale_factors == pytest.approx(factors, rel=1e-6), (
        RERECORD
    )
    assert result.record.metrics["largest_difference"] < 1e-5
    assert (result.directory / "config").read_text() == (then / "config").read_text()


@pytest.mark.parametrize("engine", ["event", "tensorflow"])
def test_simulate_counts_the_recorded_spikes(run, recorded, engine):
    result = again(run, "simulate", engine=engine)
    then = recorded.path / recorded.directory_of(
        "simulate", max(recorded.records_of("simulate"))
    )
    with np.load(result.directory / SUMS) as counted, np.load(then / SUMS) as expected:
        assert counted.files == expected.files, RERECORD
        for name in expected.files:
            np.testing.assert_array_equal(
                counted[name], expected[name], err_msg=f"{name}; {RERECORD}"
            )
    summary = json.loads((result.directory / "sim_accuracies.json").read_text())
    assert summary["num_samples"] == recorded.record_of("simulate").params.samples
    assert (
        len(summary["snn_accuracy_by_timestep"])
        == recorded.record_of("simulate").params.duration
    )


def test_graph_is_the_recorded_one(run, recorded):
    result = again(run, "graph")
    assert result.record.metrics == {"neurons": 362, "synapses": 3_664}
    then = recorded.path / recorded.directory_of(
        "graph", max(recorded.records_of("graph"))
    )
    made, expected = (
        arrays(folder / "mini_network_graph.h5") for folder in (result.directory, then)
    )
    assert expected
    for name, values in expected.items():
        np.testing.assert_array_equal(made[name], values, err_msg=RERECORD)


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
