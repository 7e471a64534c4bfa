"""`sweep` on the recorded run: what runs, what is there already, what is written; interrupted and resumed."""

import csv
import json
import shutil

import pytest
from matplotlib.figure import Figure
from PIL import Image

from snnb import Run
from snnb.chips.read_hardware import DESCRIPTIONS
from snnb.core.errors import InputError, UsageError
from snnb.report.write_report import write_report
from snnb.results.compare import compare
from snnb.results.grid import read_grid
from snnb.results.status import status_of
from snnb.results.sweep import sweep
from snnb.results.verify import verify_run
from snnb.simulation.accuracy import wilson_interval
from snnb.stages.open_run import open_run
from snnb.stages.run_stages import bring_up_to_date
from snnb.stages.states import state_of_stages

FIXED = {"simulate": {"samples": 12, "duration": 6, "engine": "event"}}


def _sweep(run, *grid, options_given=FIXED, said=None):
    with run.locked():
        return sweep(
            run,
            read_grid(grid, options_given),
            options_given,
            say=(said.append if said is not None else lambda line: None),
        )


def _table(run):
    with (run.path / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_points_run_once_and_what_they_share_too(run):
    said = []
    before, home = set(run.records_of("simulate")), run.path / "sweep" / "points"
    swept = _sweep(run, "percentile=99,99.9", "threshold=0.9", said=said)
    assert [point.ran for point in swept] == [True] * 2
    assert [line for line in said if line.startswith("train")] == []
    assert (
        len([line for line in said if line.startswith("parse: running")]) == 1
    )  # the run has 99.9
    assert [point.run for point in swept] == ["sweep/points", "."]
    after, own_run = open_run(run.path), open_run(home)
    assert set(after.records_of("simulate")) == before | {swept[1].simulation}
    assert set(own_run.records_of("simulate")) == {swept[0].simulation}
    assert (own_run.record_of("prepare"), own_run.record_of("train")) == (
        after.record_of("prepare"),
        after.record_of("train"),
    )
    made_directories = [
        own_run.records_of("simulate")[swept[0].simulation],
        after.records_of("simulate")[swept[1].simulation],
    ]
    rows = _table(run)
    for point, row, record in zip(swept, rows, made_directories):
        assert (
            record.details.conversion.percentile
            == float(row["percentile"])
            == point.values["percentile"]
        )
        assert record.params.threshold == float(row["threshold"])
        assert record.metrics["snn_accuracy"] == float(row["snn_accuracy"])
        low, high = wilson_interval(float(row["readout_accuracy"]) * 12, 12)
        ends = [
            float(row[f"readout_accuracy_interval_95_{end}"]) for end in ("low", "high")
        ]
        assert ends == [low, high]
        assert row["simulation"] == point.simulation
    assert [(row["percentile"], row["threshold"]) for row in rows] == [
        ("99.0", "0.9"),
        ("99.9", "0.9"),
    ]
    with Image.open(run.path / "sweep.png") as picture:
        assert picture.width > 400
    # What other commands say of the run.
    for point, where in zip(swept, (own_run, after)):
        assert verify_run(where).problems == []
        states = {state.name: state.in_words for state in state_of_stages(where)}
        assert states[f"simulations/{point.simulation}"] == "up to date"
        assert point.simulation in {
            other_row.stamp for other_row in compare([str(where.path)])
        }
    points = status_of(after, []).sweep
    assert [(point.run, point.simulation, point.summary) for point in points] == [
        (point.run, point.simulation, point.summary) for point in swept
    ]
    page = write_report(after).read_text()
    section = page.split('id="sweep"')[1].split("<section")[0]
    assert all(f">{point.simulation}<" in section for point in swept)
    # The same again makes nothing; a larger grid makes what is new.
    said.clear()
    again = _sweep(after, "percentile=99,99.9", "threshold=0.9", said=said)
    assert [(point.ran, point.simulation) for point in again] == [
        (False, point.simulation) for point in swept
    ]
    assert [line for line in said if "running" in line] == []


def _own_results(run):
    """What a sweep must leave as it was: the files of training and conversion, and the records of them."""
    files = [
        path for name in ("train", "parse") for path in (run.path / name).rglob("*")
    ]
    stages = run.manifest.stages
    return (
        {path: path.read_bytes() for path in files},
        stages.prepare,
        stages.train,
        stages.parse,
    )


def test_a_sweep_changes_no_training_and_no_conversion(run):
    face = Run(path=run.path)
    own_name = face.simulate(**FIXED["simulate"], threshold=1.1).directory.name
    before = _own_results(open_run(run.path))
    swept = _sweep(open_run(run.path), "train.seed=1", "percentile=99,99.9")
    assert all(point.ran for point in swept)
    after = open_run(run.path)
    assert _own_results(after) == before
    names = ["train.seed=1,percentile=99.0", "train.seed=1,percentile=99.9"]
    assert sorted(path.name for path in (run.path / "sweep").iterdir()) == [
        "points",
        *names,
    ]
    first_record, second_record = (
        open_run(run.path / "sweep" / name).record_of("train") for name in names
    )
    assert first_record == second_record  # trained once
    assert first_record != after.record_of("train")
    assert face.graph().directory.name == own_name
    assert (
        face.map(hardware="loihi", method="sequential").record.details.graph == own_name
    )
    assert f"simulation {own_name}" in face.report().read_text()
    # With its options, that of a sweep serves.
    wanted_simulation = next(
        point.simulation
        for point in _sweep(
            open_run(run.path), "duration=8", options_given={"simulate": {"samples": 9}}
        )
    )
    with after.locked():
        options = {"simulate": {"samples": 9, "duration": 8}}
        assert (
            bring_up_to_date(after, "graph", options)[-1].directory.name
            == wanted_simulation
        )


@pytest.mark.slow
def test_a_sweep_of_a_run_without_results_adds_only_the_data_set(tmp_path):
    run = Run("mini_network", tmp_path / "run")
    swept = run.sweep(
        {"percentile": [99, 99.9]}, train={"epochs": 1}, simulate=FIXED["simulate"]
    )
    after = open_run(run.path)
    assert [point.run for point in swept] == ["sweep/points", "sweep/points"]
    assert list(after.records()) == ["dataset"]


def test_an_interrupted_sweep_leaves_the_results_and_resumed_equals_one_that_was_not(
    run, tmp_path
):
    def stop(message):
        if message.startswith("sweep: 2 of 3"):
            raise KeyboardInterrupt

    untouched_folder = shutil.copytree(run.path, tmp_path / "untouched")
    before, grid = _own_results(run), ("percentile=98,99", "duration=6")
    with run.locked(), pytest.raises(KeyboardInterrupt):
        sweep(run, read_grid(["percentile=98,97,99"], FIXED), FIXED, say=stop)
    after = open_run(run.path)
    assert _own_results(after) == before
    assert len(after.records_of("simulate")) == 1
    assert sorted(path.name for path in (run.path / "sweep").iterdir()) == [
        "percentile=98.0",
        "points",
    ]
    options_given = {"simulate": {"samples": 12, "engine": "event"}}
    resumed_points = _sweep(after, *grid, options_given=options_given)
    assert [one_point.ran for one_point in resumed_points] == [False, True]
    assert verify_run(open_run(run.path)).problems == []
    whole_points = _sweep(
        open_run(untouched_folder), *grid, options_given=options_given
    )
    for one_point, other_point in zip(resumed_points, whole_points):
        same = {"simulation": "", "ran": None}
        assert one_point.model_copy(update=same) == other_point.model_copy(update=same)
        sums = [
            path / point.run / "simulations" / point.simulation
            for path, point in ((run.path, one_point), (untouched_folder, other_point))
        ]
        assert (
            len({(folder / "spike_rate_sums.npz").read_bytes() for folder in sums}) == 1
        )


def test_what_is_printed_is_the_table_and_fits_a_terminal(run, snnb):
    swept = snnb(
        "sweep",
        "--run-dir",
        run.path,
        "--grid",
        "samples=5,7",
        "--grid",
        "duration=3",
        "--quiet",
    )
    head, *lines = swept.stdout.splitlines()
    heads = "samples duration simulation ANN SNN (95 %) rate operations"
    assert head.split() == heads.split()
    assert max(map(len, [head, *lines[:2]])) < 110
    assert [row["samples"] for row in _table(run)] == ["5", "7"]
    assert (run.path / "sweep.csv").read_text().split("\n")[0].split(",").count(
        "samples"
    ) == 1
    for row, line in zip(_table(run), lines):
        interval = "_interval_95_"
        ends = (f"{interval}low", "", f"{interval}high")
        low, share, high = (100 * float(row[f"readout_accuracy{end}"]) for end in ends)
        assert line.split()[:3] == [row["samples"], row["duration"], row["simulation"]]
        assert f"  {share:.2f}% ({low:.1f}–{high:.1f})  " in line
        operations = float(row["synaptic_operations_per_sample"])
        assert float(line.split()[-1].replace(",", "")) == pytest.approx(
            operations, rel=1e-3
        )


def test_a_missing_package_is_said_before_anything_runs(run, monkeypatch):
    """Not after the network was converted, or trained, for the point that needs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = []
    with pytest.raises(InputError, match=r"pip install '\.\[cluster\]'"):
        _sweep(
            run,
            "percentile=98",
            options_given={"simulate": {"samples": 12, "workers": 2}},
            said=said,
        )
    options_given = {"parse": {"percentile": 98}, "simulate": {"workers": 2}}
    with run.locked(), pytest.raises(InputError, match=r"pip install '\.\[cluster\]'"):
        bring_up_to_date(run, "graph", options_given)
    assert open_run(run.path).record_of("parse").params.percentile == 99.9
    assert not (run.path / "sweep.csv").exists()


def test_options_of_an_earlier_simulation_do_not_hold_for_a_sweep(run):
    Run(path=run.path).simulate(**FIXED["simulate"], warm_up=5)
    options_given = {"simulate": {"samples": 12}}
    swept = _sweep(open_run(run.path), "duration=3,8", options_given=options_given)
    made_records = open_run(run.path).records_of("simulate")
    assert {made_records[point.simulation].params.warm_up for point in swept} == {0}


def _sweep_idle(run, *grid):
    """Sweep a grid whose points exist; return them."""
    said = []
    swept = _sweep(open_run(run.path), *grid, said=said)
    assert not any(point.ran for point in swept)
    assert not any("running" in line for line in said)
    return swept


def test_points_of_a_sweep_share_one_copy_of_the_data_set(run, tmp_path):
    grid = ("train.seed=0,1", "percentile=97,98,99")
    swept = _sweep(run, *grid)
    assert {point.run for point in swept} == {"sweep/points"}
    assert len({point.simulation for point in swept}) == 6
    prepared_paths = [
        path.relative_to(run.path).as_posix() for path in run.path.rglob("x_test.npy")
    ]
    assert sorted(prepared_paths) == [
        "dataset/x_test.npy",
        "sweep/points/dataset/x_test.npy",
    ]
    assert not any(
        path.is_symlink() or path.stat().st_nlink > 1
        for path in run.path.rglob("*")
        if path.is_file()
    )
    points = open_run(run.path / "sweep" / "points")
    made_records = points.records_of("simulate")
    for point in swept:
        details = made_records[point.simulation].details
        assert details.training.seed == point.values["train.seed"]
        assert details.conversion.percentile == point.values["percentile"]
    inputs = [file for point in swept for file in made_records[point.simulation].inputs]
    assert (
        len({file.sha256 for file in inputs if file.path.endswith("_parsed.h5")}) == 6
    )
    # Each run can be moved and archived.
    for path in sorted((run.path / "sweep").iterdir()):
        moved_run = open_run(shutil.copytree(path, tmp_path / "moved" / path.name))
        assert verify_run(moved_run).problems == []
        params = (
            moved_run.record_of("train").params,
            moved_run.record_of("parse").params,
        )
        if path.name != "points":
            assert (
                path.name
                == f"train.seed={params[0].seed},percentile={params[1].percentile}"
            )
    assert [point.simulation for point in _sweep_idle(run, *grid)] == [
        point.simulation for point in swept
    ]
    later = open_run(run.path / "sweep" / "points")
    assert later.records_of("simulate") == made_records
    assert verify_run(later).problems == []
    Run(path=later.path).graph(
        simulation=swept[0].simulation
    )  # also of a network that is not the latest


def test_a_calibrated_network_is_simulated_for_its_own_steps(run):
    """Not for those of the network in the run."""
    options_given, said = {"simulate": {"samples": 12, "engine": "event"}}, []
    Run(path=run.path).simulate(samples=12, engine="event")
    swept = _sweep(
        run, "calibrate=2,4", "calibration_samples=20", options_given=options_given
    )
    made_records = [
        open_run(run.path / point.run).records_of("simulate")[point.simulation]
        for point in swept
    ]
    assert [record.params.duration for record in made_records] == [2, 4]
    again = _sweep(
        open_run(run.path),
        "calibrate=2,4",
        "calibration_samples=20",
        options_given=options_given,
        said=said,
    )
    assert [point.simulation for point in again] == [
        point.simulation for point in swept
    ]
    assert not any("running" in line for line in said)
    face = Run(path=run.path)
    face.parse(calibrate=4, calibration_samples=20)
    alone = face.simulate(samples=12, engine="event").record.metrics
    assert swept[1].summary.snn_accuracy == alone["snn_accuracy"]


@pytest.mark.parametrize("name", ["sweep.json", "sweep.csv", "sweep.png"])
def test_a_file_that_no_sweep_has_written_is_not_replaced(run, name):
    (run.path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name} was not written by `snnb`"):
        _sweep(run, "seed=1")
    assert (run.path / name).read_text() == "mine"


def test_each_simulation_is_mapped_onto_each_chip(run, tmp_path, snnb, no_kahypar):
    """Figures are those of `map`; what does not fit has a note, and the sweep goes on."""
    tiny = {
        "name": "tiny",
        "mesh": [2, 2],
        "neurons_per_core": 40,
        "axons_per_core": 10,
        "source": "test",
    }
    tiny.update(
        energy_pj={"router": 1.7, "link": 3.0}, latency_ns={"router": 2.1, "link": 4.1}
    )
    (tmp_path / "tiny.yaml").write_text(json.dumps(tiny))
    said = []
    swept = _sweep(
        run,
        f"hardware=loihi,{tmp_path / 'tiny.yaml'},spinemap_5x5",
        "threshold=0.9,1.1",
        said=said,
    )
    assert [point.ran for point in swept] == [True, True, False, False, False, False]
    assert [point.simulation for point in swept] == [
        swept[0].simulation,
        swept[1].simulation,
    ] * 3
    rows = _table(run)
    assert [row["cores"] == "" for row in rows] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert [row["energy_pj"] != "" for row in rows] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert [row["network_energy_pj"] != "" for row in rows] == [
        False,
        False,
        False,
        False,
        True,
        True,
    ]
    assert all("than the 10 axons of a core" in row["note"] for row in rows[2:4])
    assert len([line for line in said if "than the 10 axons of a core" in line]) == 2
    assert [row["chip"] for row in rows[::2]] == [
        "loihi",
        "tiny (tiny.yaml)",
        "spinemap_5x5",
    ]
    points = status_of(open_run(run.path), []).sweep
    assert [point.chip for point in points] == [point.chip for point in swept]
    shown_lines = (
        snnb("status", run.path)
        .stdout.split("points of the last sweep")[1]
        .splitlines()
    )
    assert [line.split()[0] for line in shown_lines[2:8:2]] == [
        "loihi",
        "tiny",
        "spinemap_5x5",
    ]
    face = Run(path=run.path)
    face.graph(simulation=swept[1].simulation)
    for row, chip, energy in (
        (rows[1], "loihi", "energy_pj"),
        (rows[5], "spinemap_5x5", "network_energy_pj"),
    ):
        metrics = face.map(hardware=chip, graph=swept[1].simulation).metrics
        assert (float(row[energy]), int(row["cores"])) == (
            metrics[energy],
            metrics["cores"],
        )
        assert row["sample_ns"] == str(metrics.get("sample_ns", ""))
    with Image.open(run.path / "sweep.png") as picture:
        assert picture.width > 400
    points = status_of(open_run(run.path), []).sweep
    assert points == [point.model_copy(update={"ran": None}) for point in swept]
    (run.path / "sweep.csv").unlink()  # is for people
    assert status_of(open_run(run.path), []).sweep == points
    (run.path / "sweep.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"sweep\.json: .*remove it"):
        status_of(open_run(run.path), [])


def test_descriptions_of_one_name_are_chips_of_their_own(
    run, tmp_path, monkeypatch, no_kahypar
):
    """As of a copy of a description of the package with other energies."""
    drawings, own_path = [], tmp_path / "loihi.yaml"
    own_path.write_bytes((DESCRIPTIONS / "loihi.yaml").read_bytes())

    def plot(points, *_, **__):
        drawings.extend(points)
        return Figure()

    monkeypatch.setattr("snnb.plots.comparison.plot_chips", plot)
    _sweep(run, f"hardware=loihi,{own_path}", "threshold=1")
    assert [point.chip for point in drawings] == ["loihi", "loihi (loihi.yaml)"]
    (tmp_path / "other").mkdir()
    other_chip = shutil.copy(own_path, tmp_path / "other")
    drawings.clear()
    _sweep(open_run(run.path), f"hardware={own_path},{other_chip}", "threshold=1")
    assert [point.chip for point in drawings] == [str(own_path), other_chip]


def test_the_figure_has_the_accuracy_to_quote(run, monkeypatch):
    """The softmax draws its spikes at random: that of the read-out, with its interval."""
    drawings = []

    def plot(axes, accuracies_drawn, analogue, label, intervals):
        drawings.append((accuracies_drawn.tolist(), intervals.tolist()))
        return Figure()

    monkeypatch.setattr("snnb.plots.comparison.plot_sweep", plot)
    swept = _sweep(
        run,
        "duration=6,12",
        options_given={"simulate": {"samples": 12, "engine": "event"}},
    )
    accuracies = [point.summary.readout_accuracy for point in swept]
    assert accuracies != [point.summary.snn_accuracy for point in swept]
    intervals = [list(wilson_interval(accuracy * 12, 12)) for accuracy in accuracies]
    assert drawings == [(accuracies, intervals)]
