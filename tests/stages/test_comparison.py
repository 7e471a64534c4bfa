"""Simulations side by side: what is shown is what their files say, computed here again in another way."""

import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from snnb import Run
from snnb.core.errors import UsageError
from snnb.report.write_report import write_report
from snnb.results.compare import (
    compare,
    default_parameters,
    differing,
    in_words,
    names_apart,
    simulations_of,
    split_place,
)
from snnb.simulation.accuracy import wilson_interval
from snnb.stages.open_run import open_run
from snnb.stages.simulate import in_force
from snnb.stages.states import state_of_stages

SHOWN = [
    (
        "SNN accuracy",  # of the read-out: the softmax spikes at random; the toolbox has none
        lambda one: (
            f"{one.snn_accuracy:.2%}"
            if one.readout_accuracy is None
            else f"{one.readout_accuracy:.2%}"
        ),
    ),
    ("energy at 45 nm/sample", lambda one: f"{one.energy_45nm_pj / 1000:#.4g} nJ"),
    (
        "membrane updates/sample",
        lambda one: (
            "" if one.membrane_updates is None else f"{one.membrane_updates:,.0f}"
        ),
    ),
    ("activation sparsity", lambda one: f"{one.activation_sparsity:.2%}"),
    ("connection sparsity", lambda one: f"{one.connection_sparsity:.2%}"),
    ("footprint (bytes)", lambda one: f"{one.footprint:,}"),
]


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """A run with five simulations: the recorded one, percentiles 99.9 and 99, durations 50 and 100, Poisson."""
    from tests.end_to_end.conftest import RECORDED

    path = shutil.copytree(RECORDED, tmp_path_factory.mktemp("five") / "run")
    run = Run(path=path)
    run.simulate(
        engine="event",
        samples=20,
        duration=50,
        record_spikes=0,
        label="short & <quick>",
    )
    run.parse(percentile=99.0)
    run.simulate(duration=50)
    run.simulate(duration=100)
    stamp = run.simulate(input="poisson").directory.name
    run.graph(simulation=stamp)
    run.map(hardware="spinemap_5x5", method="sequential", graph=stamp)
    return open_run(path)


def test_every_figure_is_that_of_the_files(five):
    found_rows = compare([str(five.path)])
    assert [row.stamp for row in found_rows] == list(five.records_of("simulate"))
    for row in found_rows:
        folder = five.path / "simulations" / row.stamp
        document = json.loads((folder / "sim_accuracies.json").read_text())
        with np.load(folder / "spike_rate_sums.npz") as sums:
            counts = [
                sums[name] for name in sums.files if sums[name].ndim and name != "input"
            ]
        assert json.loads(row.statistics.model_dump_json()) == document
        statistics = row.statistics
        samples = statistics.num_samples
        # The softmax spikes at random, so the read-out is to be quoted, of all engines but the toolbox's.
        by_step = (
            document.get("readout_accuracy_by_timestep")
            or document["snn_accuracy_by_timestep"]
        )
        assert statistics.quoted_by_step == by_step
        assert (
            statistics.latency_steps == statistics.num_timesteps + document["warm_up"]
        )
        accuracy = document.get("readout_accuracy")
        if accuracy is None:  # of the engine toolbox
            assert statistics.quoted_accuracy == document["snn_accuracy"]
            assert statistics.readout_accuracy_interval_95 is None
        else:
            assert statistics.quoted_accuracy == accuracy
            readout_interval = wilson_interval(round(accuracy * samples), samples)
            assert statistics.readout_accuracy_interval_95 == readout_interval
        ann_interval = wilson_interval(
            round(statistics.ann_accuracy * samples), samples
        )
        assert statistics.ann_accuracy_interval_95 == ann_interval
        rates = np.concatenate([values.ravel() for values in counts]) / (
            samples * statistics.num_timesteps
        )
        assert statistics.mean_rate == pytest.approx(rates.mean())
        assert row.neurons == rates.size
    assert [row.differs.get("percentile") for row in found_rows] == [
        99.9,
        99.9,
        99.0,
        99.0,
        99.0,
    ]
    assert [row.differs["duration"] for row in found_rows] == [60, 50, 50, 100, 100]
    assert [row.differs["input"] for row in found_rows] == ["constant"] * 4 + [
        "poisson"
    ]
    assert [len(row.mappings) for row in found_rows] == [0, 0, 0, 0, 1]
    cost = json.loads(next(five.path.glob("maps/*/cost.json")).read_text())
    assert (
        found_rows[-1].mappings[0].details.traffic.connectivity
        == cost["traffic"]["connectivity"]
    )
    assert (
        found_rows[-1].statistics.synapses
        == next(iter(five.records_of("graph").values())).details.synapses
    )


def test_defaults_that_depend_on_the_run_are_not_shown_as_differences(five):
    available = len(np.load(five.path / "dataset" / "y_test.npy"))
    assert default_parameters(five)["simulate"]["samples"] == min(1000, available)
    (row,) = compare([f"{five.path}:{max(five.records_of('simulate'))}"])
    assert row.differs["input"] == "poisson"
    assert "duration" not in row.differs


def test_table_json_and_figure(five, tmp_path, snnb, drawn_figures, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # all simulations side by side
    figure = tmp_path / "over time.svg"
    result = snnb("compare", five.path, "--figure", figure)
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert "short & <quick>" in lines["label"]
    assert lines["percentile"].split() == [
        "percentile",
        "99.9",
        "99.9",
        "99",
        "99",
        "99",
    ]
    (mapping_row,) = [
        line.split() for line in result.stdout.splitlines() if "spinemap_5x5" in line
    ]
    (cost,) = compare([str(five.path)])[-1].mappings
    assert mapping_row[:4] == [
        cost.stamp,
        "spinemap_5x5",
        "sequential",
        str(cost.details.cores.cores),
    ]
    assert f"all of graph {cost.details.graph}" in result.stdout.splitlines()
    assert "model" not in lines  # one run
    for title, text_of in SHOWN:
        cells = [text_of(row.statistics) for row in compare([str(five.path)])]
        assert lines[title][len(title) :].split() == " ".join(cells).split()
    assert sum(line.startswith("samples ") for line in result.stdout.splitlines()) == 1
    assert lines[f"figure: {figure}"]
    drawn_text = " ".join(
        " ".join(ElementTree.parse(figure).getroot().itertext()).split()
    )
    assert "short & <quick>" in drawn_text
    for row in compare([str(five.path)])[2:]:
        assert in_words(row.differs) in drawn_text  # its text is text
    assert not any(stamp in drawn_text for stamp in five.records_of("simulate"))
    document = json.loads(snnb("compare", five.path, "--json").stdout)
    assert [row["stamp"] for row in document["simulations"]] == list(
        five.records_of("simulate")
    )
    assert "exists" in snnb("compare", five.path, "--figure", figure, code=2).stderr


def test_simulations_without_a_difference_are_named_by_their_stamps(five, tmp_path):
    other_folder = shutil.copytree(five.path, tmp_path / "other")
    stamp = max(five.records_of("simulate"))
    found_rows = compare([f"{five.path}:{stamp}", f"{other_folder}:{stamp}"])
    assert names_apart(found_rows) == ["run", "other"]
    namesake = shutil.copytree(five.path, tmp_path / "there" / five.path.name)
    found_rows = compare([f"{five.path}:{stamp}", f"{namesake}:{stamp}"])
    assert names_apart(found_rows) == [str(five.path), str(namesake)]
    twice = [
        row.model_copy(update={"run": five.path, "stamp": str(i)})
        for i, row in enumerate(found_rows)
    ]
    assert names_apart(twice) == ["0", "1"]
    assert names_apart([row.model_copy(update={"label": "a"}) for row in twice]) == [
        "a 0",
        "a 1",
    ]


def test_two_runs_are_told_apart_and_one_simulation_is_shown_once(five, tmp_path):
    other_folder = shutil.copytree(five.path, tmp_path / "run:20200101T000000Z")
    stamp = max(five.records_of("simulate"))
    found_rows = compare(
        [f"{five.path}:{stamp}", str(five.path) + f":{stamp}", str(other_folder)]
    )
    assert [(row.run, row.stamp) for row in found_rows][:2] == [
        (five.path, stamp),
        (other_folder, min(five.records_of("simulate"))),
    ]
    assert len(found_rows) == 6
    assert split_place(str(other_folder)) == (
        other_folder,
        None,
    )  # its name looks like a stamp, and it is a run


def test_a_run_without_a_simulation_says_how_to_make_one(run):
    (stamp,) = run.records_of("simulate")
    Run(path=run.path).remove(stamp, with_dependents=True)
    path = run.path.rename(run.path.with_name("my run"))
    with pytest.raises(UsageError, match="has no simulation yet") as error:
        compare([str(path)])
    (command,) = re.findall("`(.*)`", str(error.value))
    assert shlex.split(command) == ["snnb", "simulate", "--run-dir", str(path)]


def test_names_say_the_stage_where_two_stages_have_one_and_settings_are_taken_apart():
    table = {
        "train": {
            "seed": 1,
            "epochs": 3,
            "settings": {"dropout": 0.1, "width": [2, 3]},
        },
        "simulate": {"seed": 0},
    }
    two = {
        "train": {
            "seed": 2,
            "epochs": 3,
            "settings": {"dropout": 0.1, "width": [2, 4]},
        },
        "simulate": {"seed": 0},
    }
    assert differing([table, two]) == [
        {"train seed": 1, "settings width": [2, 3]},
        {"train seed": 2, "settings width": [2, 4]},
    ]
    assert differing([table]) == [{}]
    # A stage that is not known of a result tells nothing, but a missing parameter does.
    known_rows, unknown_rows = (
        {"train": {"epochs": 1}, "simulate": {"duration": 5}},
        {"simulate": {"duration": 6}},
    )
    assert differing([known_rows, unknown_rows]) == [{"duration": 5}, {"duration": 6}]
    assert differing(
        [{"train": {"settings": {"a": 1}}}, {"train": {"settings": {}}}]
    ) == [{"settings a": 1}, {}]


def test_parameters_in_words():
    assert in_words(
        {"percentile": 99.0, "reset": None, "quick": True, "shape": [8, 8]}
    ) == ("percentile 99, reset none, quick yes, shape 8,8")


def test_status_names_the_conversion_and_the_label_of_each_simulation(five, snnb):
    opened_run = open_run(five.path)
    found_simulations = {
        simulation.stamp: simulation for simulation in simulations_of(opened_run)
    }
    first_stamp, low, high, *_ = found_simulations
    assert [
        found_simulations[stamp].record.details.label
        for stamp in (first_stamp, low, high)
    ] == [
        None,
        "short & <quick>",
        None,
    ]
    states = {state.name: state.in_words for state in state_of_stages(opened_run)}
    assert states[f"simulations/{high}"] == "up to date"
    stale_reason = "stale: parse/mini_network_parsed.h5 has changed"  # the conversion has another percentile
    assert (
        states[f"simulations/{first_stamp}"]
        == states[f"simulations/{low}"]
        == stale_reason
    )
    document = {
        stage["stage"]: stage
        for stage in json.loads(snnb("status", five.path, "--json").stdout)["stages"]
    }
    low_row, high_row = document[f"simulations/{low}"], document[f"simulations/{high}"]
    assert low_row["differs"] == found_simulations[low].differs
    assert low_row["details"]["summary"]["num_samples"] == 20
    assert low_row["details"]["label"] == "short & <quick>"
    assert (low_row["up_to_date"], high_row["up_to_date"]) == (False, True)
    assert (
        high_row["details"]["summary"]["snn_accuracy"]
        == found_simulations[high].record.metrics["snn_accuracy"]
    )
    line = next(
        line
        for line in snnb("status", five.path).stdout.splitlines()
        if line.startswith(low)
    )
    for words in ("short & <quick>", "percentile 99.9", "duration 50"):
        assert words in line
    accuracy = found_simulations[low].record.metrics["readout_accuracy"]
    assert line.count("%") == 1
    assert f" {accuracy:.2%} " in line


def test_a_change_by_the_conversion_is_stated_wherever_the_accuracy_is(run, snnb):
    printed_text = snnb(f"parse --run-dir {run.path} --prune 0.7").stdout
    printed_text += snnb(
        f"simulate --run-dir {run.path} --samples 60 --duration 20"
    ).stdout
    run = open_run(run.path)
    fidelity = Run(path=run.path).parse().record.details.fidelity
    assert fidelity.trained == pytest.approx(
        run.record_of("train").metrics["test_accuracy"]
    )
    assert list(fidelity.after) == ["pruning"]
    (simulation,) = compare([f"{run.path}:{in_force(run)}"])
    assert simulation.fidelity == fidelity
    first_line, last = fidelity.lines()
    assert (
        printed_text.count(first_line) == printed_text.count(last) == 2
    )  # by parse and by simulate
    log = run.path / run.directory_of("simulate", in_force(run)) / "log.txt"
    assert f"{first_line}\n{last}\n" in log.read_text()
    assert f"{fidelity.after['pruning']:.2%}" in snnb("compare", run.path).stdout
    assert f"{first_line}; {last}" in write_report(run).read_text(encoding="utf-8")
