"""What tells a run's simulations apart: labels, parameters that differ, networks that were made with others."""

import json

from snnb import Run
from snnb.pipeline.open_run import open_run
from snnb.pipeline.plan import state_of_stages
from snnb.results.compare import differing, in_words, simulations_of

QUICK = {"engine": "event", "samples": 10}


def states(run):
    return {state.name: state for state in state_of_stages(open_run(run.path))}


def test_names_say_the_stage_where_two_stages_have_one_and_settings_are_taken_apart():
    one = {"train": {"seed": 1, "epochs": 3, "settings": {"dropout": 0.1, "width": [2, 3]}}, "simulate": {"seed": 0}}
    two = {"train": {"seed": 2, "epochs": 3, "settings": {"dropout": 0.1, "width": [2, 4]}}, "simulate": {"seed": 0}}
    assert differing([one, two]) == [
        {"train seed": 1, "settings width": [2, 3]},
        {"train seed": 2, "settings width": [2, 4]},
    ]
    assert differing([one]) == [{}]
    assert differing([]) == []


def test_a_stage_that_is_not_known_of_a_result_tells_nothing_but_a_missing_parameter_does():
    known, unknown = {"train": {"epochs": 1}, "simulate": {"duration": 5}}, {"simulate": {"duration": 6}}
    assert differing([known, unknown]) == [{"duration": 5}, {"duration": 6}]
    assert differing([{"train": {"settings": {"a": 1}}}, {"train": {"settings": {}}}]) == [{"settings a": 1}, {}]


def test_parameters_in_words():
    assert in_words({"percentile": 99.0, "reset": None, "quick": True, "shape": [8, 8]}) == (
        "percentile 99, reset none, quick yes, shape 8,8"
    )


def test_simulations_of_several_percentiles_and_durations(run, snnb):
    face = Run(path=run.path)
    first = next(iter(run.records_of("simulate")))
    low = face.simulate(duration=20, label="short, $low$ <b>", **QUICK).directory.name
    face.parse(percentile=90.0)
    high = face.simulate(duration=20, **QUICK).directory.name
    opened = open_run(run.path)
    found = {simulation.stamp: simulation for simulation in simulations_of(opened)}
    assert found[low].record.details.label == "short, $low$ <b>"
    assert found[high].record.details.label is None  # a label is that of one simulation
    assert found[low].differs == {"percentile": 99.9, "engine": "event", "samples": 10, "duration": 20}
    assert found[high].differs == {**found[low].differs, "percentile": 90.0}
    assert found[first].differs["duration"] == 60

    assert states(run)[f"simulations/{high}"].in_words == "up to date"
    assert "percentile" not in found[first].differs  # recorded before these were
    assert states(run)[f"simulations/{first}"].in_words == "stale: parse/mini_network_parsed.h5 has changed"
    assert states(run)[f"simulations/{low}"].in_words == "of conversion --percentile 99.9"
    document = {stage["stage"]: stage for stage in json.loads(snnb("status", run.path, "--json").stdout)["stages"]}
    low_row, high_row = document[f"simulations/{low}"], document[f"simulations/{high}"]
    assert low_row["differs"] == found[low].differs
    assert (low_row["samples"], low_row["label"], low_row["up_to_date"]) == (10, "short, $low$ <b>", True)
    assert (low_row["variant"], high_row["variant"]) == ("conversion --percentile 99.9", None)
    assert high_row["snn_accuracy"] == opened.records_of("simulate")[high].metrics["snn_accuracy"]
    line = next(line for line in snnb("status", run.path).stdout.splitlines() if line.startswith(low))
    assert "short, $low$ <b>" in line
    assert "percentile 99.9" in line
    assert "duration 20" in line
