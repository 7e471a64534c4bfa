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
from snnb.stages.plan import state_of_stages
from snnb.stages.simulate import in_force

SHOWN = [
    ("SNN accuracy", lambda one: f"{one.snn_accuracy:.2%}"),
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
    found = compare([str(five.path)])
    assert [one.stamp for one in found] == list(five.records_of("simulate"))
    for one in found:
        folder = five.path / "simulations" / one.stamp
        stated = json.loads((folder / "sim_accuracies.json").read_text())
        with np.load(folder / "spike_rate_sums.npz") as sums:
            counts = [
                sums[name] for name in sums.files if sums[name].ndim and name != "input"
            ]
        assert json.loads(one.statistics.model_dump_json()) == stated
        statistics = one.statistics
        samples = statistics.num_samples
        # The softmax spikes at random, so the read-out is to be quoted, of all engines but the toolbox's.
        by_step = (
            stated.get("readout_accuracy_by_timestep")
            or stated["snn_accuracy_by_timestep"]
        )
        assert statistics.quoted_by_step == by_step
        assert statistics.latency_steps == statistics.num_timesteps + stated["warm_up"]
        accuracy = stated.get("readout_accuracy")
        if accuracy is None:  # of the engine toolbox
            assert statistics.quoted == "snn_accuracy"
            assert statistics.readout_accuracy_interval_95 is None
        else:
            assert statistics.quoted == "readout_accuracy"
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
        assert one.neurons == rates.size
    assert [one.differs.get("percentile") for one in found] == [
        99.9,
        99.9,
        99.0,
        99.0,
        99.0,
    ]
    assert [one.differs["duration"] for one in found] == [60, 50, 50, 100, 100]
    assert [one.differs["input"] for one in found] == ["constant"] * 4 + ["poisson"]
    assert [len(one.mappings) for one in found] == [0, 0, 0, 0, 1]
    cost = json.loads(next(five.path.glob("maps/*/cost.json")).read_text())
    assert (
        found[-1].mappings[0].details.traffic.connectivity
        == cost["traffic"]["connectivity"]
    )
    assert (
        found[-1].statistics.synapses
        == next(iter(five.records_of("graph").values())).details.synapses
    )


def test_defaults_that_depend_on_the_run_are_not_shown_as_differences(five):
    available = len(np.load(five.path / "dataset" / "y_test.npy"))
    assert default_parameters(five)["simulate"]["samples"] == min(1000, available)
    (one,) = compare([f"{five.path}:{max(five.records_of('simulate'))}"])
    assert one.differs["input"] == "poisson"
    assert "duration" not in one.differs


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
    (mapped,) = [
        line.split() for line in result.stdout.splitlines() if "spinemap_5x5" in line
    ]
    (cost,) = compare([str(five.path)])[-1].mappings
    assert mapped[:4] == [
        cost.stamp,
        "spinemap_5x5",
        "sequential",
        str(cost.details.cores.cores),
    ]
    assert f"all of graph {cost.details.graph}" in result.stdout.splitlines()
    assert "model" not in lines  # one run
    for title, text_of in SHOWN:
        cells = [text_of(one.statistics) for one in compare([str(five.path)])]
        assert lines[title][len(title) :].split() == " ".join(cells).split()
    assert sum(line.startswith("samples ") for line in result.stdout.splitlines()) == 1
    assert lines[f"figure: {figure}"]
    drawn = " ".join(" ".join(ElementTree.parse(figure).getroot().itertext()).split())
    assert "short & <quick>" in drawn
    for one in compare([str(five.path)])[2:]:
        assert in_words(one.differs) in drawn  # its text is text
    assert not any(stamp in drawn for stamp in five.records_of("simulate"))
    document = json.loads(snnb("compare", five.path, "--json").stdout)
    assert [one["stamp"] for one in document["simulations"]] == list(
        five.records_of("simulate")
    )
    assert "exists" in snnb("compare", five.path, "--figure", figure, code=2).stderr


def test_simulations_without_a_difference_are_named_by_their_stamps(five, tmp_path):
    other = shutil.copytree(five.path, tmp_path / "other")
    stamp = max(five.records_of("simulate"))
    found = compare([f"{five.path}:{stamp}", f"{other}:{stamp}"])
    assert names_apart(found) == ["run", "other"]
    namesake = shutil.copytree(five.path, tmp_path / "there" / five.path.name)
    found = compare([f"{five.path}:{stamp}", f"{namesake}:{stamp}"])
    assert names_apart(found) == [str(five.path), str(namesake)]
    twice = [
        one.model_copy(update={"run": five.path, "stamp": str(i)})
        for i, one in enumerate(found)
    ]
    assert names_apart(twice) == ["0", "1"]
    assert names_apart([one.model_copy(update={"label": "a"}) for one in twice]) == [
        "a 0",
        "a 1",
    ]


def test_two_runs_are_told_apart_and_one_simulation_is_shown_once(five, tmp_path):
    other = shutil.copytree(five.path, tmp_path / "run:20200101T000000Z")
    stamp = max(five.records_of("simulate"))
    found = compare([f"{five.path}:{stamp}", str(five.path) + f":{stamp}", str(other)])
    assert [(one.run, one.stamp) for one in found][:2] == [
        (five.path, stamp),
        (other, min(five.records_of("simulate"))),
    ]
    assert len(found) == 6
    assert split_place(str(other)) == (
        other,
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
    one = {
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
    assert differing([one, two]) == [
        {"train seed": 1, "settings width": [2, 3]},
        {"train seed": 2, "settings width": [2, 4]},
    ]
    assert differing([one]) == [{}]
    # A stage that is not known of a result tells nothing, but a missing parameter does.
    known, unknown = (
        {"train": {"epochs": 1}, "simulate": {"duration": 5}},
        {"simulate": {"duration": 6}},
    )
    assert differing([known, unknown]) == [{"duration": 5}, {"duration": 6}]
    assert differing(
        [{"train": {"settings": {"a": 1}}}, {"train": {"settings": {}}}]
    ) == [{"settings a": 1}, {}]


def test_parameters_in_words():
    assert in_words(
        {"percentile": 99.0, "reset": None, "quick": True, "shape": [8, 8]}
    ) == ("percentile 99, reset none, quick yes, shape 8,8")


def test_status_names_the_conversion_and_the_label_of_each_simulation(five, snnb):
    opened = open_run(five.path)
    found = {simulation.stamp: simulation for simulation in simulations_of(opened)}
    first, low, high, *_ = found
    assert [found[stamp].record.details.label for stamp in (first, low, high)] == [
        None,
        "short & <quick>",
        None,
    ]
    states = {state.name: state.in_words for state in state_of_stages(opened)}
    assert states[f"simulations/{high}"] == "up to date"
    changed = "stale: parse/mini_network_parsed.h5 has changed"  # the conversion has another percentile
    assert states[f"simulations/{first}"] == states[f"simulations/{low}"] == changed
    document = {
        stage["stage"]: stage
        for stage in json.loads(snnb("status", five.path, "--json").stdout)["stages"]
    }
    low_row, high_row = document[f"simulations/{low}"], document[f"simulations/{high}"]
    assert low_row["differs"] == found[low].differs
    assert low_row["details"]["summary"]["num_samples"] == 20
    assert low_row["details"]["label"] == "short & <quick>"
    assert (low_row["up_to_date"], high_row["up_to_date"]) == (False, True)
    assert (
        high_row["details"]["summary"]["snn_accuracy"]
        == found[high].record.metrics["snn_accuracy"]
    )
    line = next(
        line
        for line in snnb("status", five.path).stdout.splitlines()
        if line.startswith(low)
    )
    for words in ("short & <quick>", "percentile 99.9", "duration 50"):
        assert words in line
    accuracies = (
        found[low].record.metrics[f"{name}_accuracy"] for name in ("readout", "snn")
    )
    assert "  ".join(f"{value:.2%}" for value in accuracies) in re.sub(" +", "  ", line)


def test_a_change_by_the_conversion_is_stated_wherever_the_accuracy_is(run, snnb):
    printed = snnb(f"parse --run-dir {run.path} --prune 0.7").stdout
    printed += snnb(f"simulate --run-dir {run.path} --samples 60 --duration 20").stdout
    run = open_run(run.path)
    fidelity = Run(path=run.path).parse().record.details.fidelity
    assert fidelity.trained == pytest.approx(
        run.record_of("train").metrics["test_accuracy"]
    )
    assert list(fidelity.after) == ["pruning"]
    (simulation,) = compare([f"{run.path}:{in_force(run)}"])
    assert simulation.fidelity == fidelity
    first, last = fidelity.lines()
    assert printed.count(first) == printed.count(last) == 2  # by parse and by simulate
    log = run.path / run.directory_of("simulate", in_force(run)) / "log.txt"
    assert f"{first}\n{last}\n" in log.read_text()
    assert f"{fidelity.after['pruning']:.2%}" in snnb("compare", run.path).stdout
    assert f"{first}; {last}" in write_report(run).read_text(encoding="utf-8")
