"""What commands print on a terminal of 80 columns and to a file, and what progress says there."""

import io
import itertools
import json
import logging
import re
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import rich.console
from rich.cells import cell_len
from rich.console import Console

from snnb import Run
from snnb.cli import output, progress_display, sweep, tables
from snnb.cli.doctor import NO_TOOLBOX
from snnb.cli.main import main
from snnb.core import progress
from snnb.core.progress import compilation
from snnb.results.sweep_table import ChipCost, SweepPoint, point_table
from snnb.rundir.environment import current_environment
from snnb.simulation.summary import SimulationSummary
from snnb.stages.open_run import open_run
from tests.end_to_end.conftest import RECORDED
from tests.stages.test_map import CHIP


def shown_of(steps, monkeypatch, capsys, time_left=True):
    """The lines for (seconds, samples done) of 100."""
    clock = [100.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with progress_display.progress_lines("simulate", time_left) as display:
        for seconds, done in steps:
            clock[0] = 100.0 + seconds
            display.update(done, 100, "accuracy so far 0.9000")
    return capsys.readouterr().err.splitlines()


STEADY = [(0, 0), (5, 10), (10, 20), (15, 30), (20, 40)]


def test_a_line_a_while_tells_pace_and_time_left(monkeypatch, capsys):
    first_line, second_line = shown_of(STEADY, monkeypatch, capsys)
    assert first_line == "simulate: 20 of 100, 2.0/s, 40 s left, accuracy so far 0.9000"
    assert (
        second_line == "simulate: 40 of 100, 2.0/s, 30 s left, accuracy so far 0.9000"
    )
    assert shown_of(STEADY, monkeypatch, capsys, time_left=False)[
        1
    ] == second_line.replace(", 30 s left", "")


def test_compilation_is_said_once_a_command(capsys):
    for stages in (("simulate", "graph", "report"), ("map", "report")):
        output.configure(False, False, False)  # as a command does
        for stage in stages:
            with output.current.bar(stage):
                for note in (
                    "compiling loops not used in this environment before",
                    "",
                    "compiling",
                    "",
                ):
                    compilation.show(note)
        assert (
            capsys.readouterr().err
            == f"{stages[0]}: compiling loops not used in this environment before\n"
        )


@pytest.mark.parametrize(
    ("verbose", "shown_messages"),
    [(False, ["library.part: trouble"]), (True, ["library.part: hello"])],
)
def test_a_library_that_sets_its_own_level_says_no_more_for_that(
    capsys, verbose, shown_messages
):
    output.configure(False, verbose, False)
    library = logging.getLogger("library")
    library.setLevel(logging.INFO)
    logging.getLogger("library.part").info("hello")
    if not verbose:
        logging.getLogger("library.part").warning("trouble")
    output.configure(False, False, False)
    assert capsys.readouterr().err.splitlines() == shown_messages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run that has two mappings, the second on a chip from a file."""
    folder = tmp_path_factory.mktemp("narrow")
    (folder / "chip_of_a_long_file_name.yaml").write_text(CHIP)
    face = Run(path=shutil.copytree(RECORDED, folder / "run"))
    face.map(hardware="spinemap_5x5", method="sequential")
    face.map(
        hardware=str(folder / "chip_of_a_long_file_name.yaml"), method="sequential"
    )
    return folder


@pytest.fixture
def mapped_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return "run"


def print_lines(capsys, *arguments):
    """Run a command and return the lines on stdout."""
    assert main(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def narrow_terminal(monkeypatch):
    monkeypatch.setattr(tables, "terminal_width", lambda: 80)


def test_status_fits_and_tells_mappings_apart(mapped_run, narrow_terminal, capsys):
    lines = print_lines(capsys, "status", mapped_run)
    assert max(map(cell_len, lines)) <= 80
    stages = json.loads("\n".join(print_lines(capsys, "status", mapped_run, "--json")))
    for stage in stages["stages"]:
        assert any(
            line.startswith(f"{stage['stage']} ") and "up to date" in line
            for line in lines
        )
    one_stage, other_stage = stages["mappings"]
    for cost in (one_stage, other_stage):
        document = json.loads(
            Path(f"{mapped_run}/maps/{cost['stamp']}/cost.json").read_text()
        )
        (line,) = [line for line in lines if line.startswith(cost["stamp"])]
        for part in ("cores", "traffic", "routes", "energy", "sequential"):
            assert cost["details"][part] == document[part]
        connectivity = document["traffic"]["connectivity"]
        ratio = connectivity / document["sequential"]["sequential_connectivity"]
        assert line.endswith(" nJ")
        assert float(line.split()[-2]) * 1000 == pytest.approx(
            document["energy"]["network_energy_pj"], rel=1e-3
        )
        assert f" {document['cores']['cores']} " in line
        assert f" {connectivity:,.0f} " in line
        assert f" {ratio:.4g} " in line
    assert "energy_pj" not in {
        **one_stage["details"]["energy"],
        **other_stage["details"]["energy"],
    }
    assert " ".join(lines[-2:]) == (
        "spikes: connectivity (spikes/sample); ratio: connectivity ÷ sequential; energy*: network energy/sample"
    )
    assert other_stage["hardware_file"].endswith("/chip_of_a_long_file_name.yaml")
    assert any("chip (chip_of" in line for line in lines)


def test_nothing_is_cut_in_a_file_and_times_are_local_to_the_minute(
    mapped_run, capsys, monkeypatch
):
    monkeypatch.setenv("TZ", "Asia/Kathmandu")  # 5:45 ahead of UTC
    time.tzset()
    lines = print_lines(capsys, "status", mapped_run)
    started_time = datetime.fromisoformat(
        open_run(Path(mapped_run)).record_of("train").timing.started_utc
    )
    monkeypatch.undo()
    time.tzset()
    assert any("chip (chip_of_a_long_file_name.yaml)" in line for line in lines)
    (training,) = [line for line in lines if line.startswith("train ")]
    assert (
        f"  {started_time + timedelta(hours=5, minutes=45):%Y-%m-%d %H:%M}  "
        in training
    )
    assert not any("…" in line or line.startswith("omitted columns:") for line in lines)


def test_nine_simulations_are_80_columns_wide_in_a_file(mapped_run, capsys):
    runs = [f"run{number}" for number in range(9)]
    for name in runs:
        shutil.copytree(RECORDED, name)
    lines = print_lines(capsys, "compare", *runs)
    assert max(map(cell_len, lines)) <= 80
    stamps = [
        word
        for line in lines
        if line.startswith(" ")
        for word in re.findall(r"\brun\d:\w+", line)
    ]
    assert stamps == [f"{name}:20261201T095832Z" for name in runs]
    for row, value, number in (
        ("SNN accuracy", "91.67%", 9),
        ("ANN accuracy, 95 %", "81.93–96.39%", 9),
        ("SNN accuracy, 95 %", "81.93–96.39%", 9),
        ("neurons", "362", 9),
    ):
        assert (
            sum(line.count(value) for line in lines if line.startswith(row)) == number
        )


def test_the_environment_states_the_width_of_a_pipe(mapped_run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for command in (["status", mapped_run], ["compare", mapped_run], ["hardware"]):
        assert max(map(cell_len, print_lines(capsys, *command))) <= 80


def test_limits_of_chips_and_mappings_of_one_graph_fit_a_file(folder, capsys):
    """Nothing is cut: the graph of all mappings is stated once, and memories of equal sizes together."""
    face = Run(path=shutil.copytree(RECORDED, folder / "one"))
    stamp = face.map(hardware="spinemap_5x5", method="sequential").directory.name
    lines = print_lines(capsys, "status", str(folder / "one"))
    assert (
        max(cell_len(line) for line in lines[1:] if not line.startswith("options of"))
        <= 80
    )
    (row,) = [line for line in lines if line.startswith(stamp)]
    assert row.split()[1:3] == ["spinemap_5x5", "sequential"]
    assert "all of graph 20261201T095832Z" in lines
    lines = print_lines(capsys, "hardware")
    assert max(map(cell_len, lines)) <= 80
    assert [
        line.split(maxsplit=2)[2] for line in lines if line.startswith("speck2f")
    ] == ["kernel, neurons 16,384/32,768/65,536; biases 1,024"]
    assert "…" not in "".join(lines)


def test_doctor_says_that_the_toolbox_is_not_installed(capsys, monkeypatch):
    environment = current_environment().model_copy(update={"snntoolbox": None})
    monkeypatch.setattr(
        "snnb.rundir.environment.current_environment", lambda: environment
    )
    (line,) = [line for line in print_lines(capsys, "doctor") if "snntoolbox" in line]
    assert NO_TOOLBOX[:20] in line


@pytest.mark.parametrize(
    "command", ["hardware", "instances", "models", "datasets", "doctor"]
)
def test_lists_fit(command, narrow_terminal, capsys):
    lines = print_lines(capsys, command)
    assert len(lines) > 3
    assert max(map(cell_len, lines)) <= 80


def test_a_memory_and_output_axons_are_limits_of_a_core(capsys):
    rows = {
        line.split()[0]: line.split()[2:6]
        for line in print_lines(capsys, "hardware")[1:]
    }
    assert rows["loihi"] == ["1,024", "4,096", "4,096", "128"]
    assert rows["truenorth"] == ["256", "256", "any", "any"]


def test_results_are_a_table_with_units(mapped_run, narrow_terminal, capsys):
    lines = print_lines(
        capsys,
        "map",
        "--run-dir",
        mapped_run,
        "--hardware",
        "spinemap_5x5",
        "--method",
        "sequential",
    )
    assert max(map(cell_len, lines)) <= 80
    document = json.loads(Path(lines[0].split()[-1], "cost.json").read_text())
    rows = [line.split() for line in lines if line.startswith("  ")]
    assert [
        "connectivity",
        f"{document['traffic']['connectivity']:,.0f}",
        "spikes/sample",
    ] in rows
    (shown_row,) = [
        row[2:] for row in rows if row[:2] == ["network", "energy"]
    ]  # of a chip without figures of neurons
    assert shown_row[1] == "nJ/sample"
    assert float(shown_row[0]) * 1000 == pytest.approx(
        document["energy"]["network_energy_pj"], rel=1e-3
    )


def swept(options, cost, **summary):
    """A point of a sweep."""
    accuracies = {
        "readout_accuracy": 0.5,
        "readout_accuracy_interval_95": (0.4, 0.6),
        "snn_accuracy": 0.5,
    }
    counts = {"num_samples": 360, "latency_steps": 20, "interval_steps": 20}
    figures = {
        **accuracies,
        **counts,
        "mean_rate": 0.5,
        "synaptic_operations_per_sample": 0.5,
        **summary,
    }
    chip = ChipCost(chip=options["hardware"], **cost)
    stamp = "20261128T153754Z"
    return SweepPoint(
        values=options,
        run=".",
        simulation=stamp,
        summary=SimulationSummary(**figures),
        chip=chip,
    )


def test_energies_of_a_sweep_are_shown_with_their_scope(narrow_terminal):
    points = [
        swept({"hardware": "loihi_32_chips"}, {"energy_pj": 499_803.0}),
        swept({"hardware": "truenorth"}, {"network_energy_pj": 209.0}),
        swept({"hardware": "speck2f"}, {}),
    ]
    lines = sweep.point_lines(points)
    assert max(map(cell_len, lines)) <= 80
    (start,) = [
        i
        for i, line in enumerate(lines[:-1])
        if {"energy", "energy*"} <= {*line.split()}
    ]
    for head, cells in (
        ("energy ", ["499.8 nJ", "", ""]),
        ("energy*", ["", "209.0 pJ", ""]),
    ):
        place = lines[start].index(head) + len(head.strip())
        column = [line.ljust(place)[:place] for line in lines[start + 1 : start + 4]]
        assert [
            text[-8:].strip() if text[-2:].strip() else "" for text in column
        ] == cells
    assert "energy*: network energy/sample" in " ".join(lines)
    alone = sweep.point_lines(points[:1])
    assert not any("energy*" in line for line in alone)


def test_a_sweep_shows_all_columns_on_a_terminal_of_80_columns(narrow_terminal):
    """A column with one value is stated in a line; the others have a place in one of the blocks."""
    points = [
        swept(
            {
                "duration": duration,
                "percentile": 99.9 + duration / 1000,
                "hardware": f"chip_of_{duration}_cores",
            },
            {
                "cores": duration,
                "energy_pj": 1e3 * duration,
                "sample_ns": 1e5 / duration,
                "sample_latency_ns": 1e5 / duration,
            },
            snn_accuracy=duration / 99,
            readout_accuracy=duration / 99,
            mean_rate=duration / 99,
            synaptic_operations_per_sample=1e5 / duration,
        )
        for duration in (20, 40)
    ]
    points[1] = points[1].model_copy(update={"simulation": "20261128T153740Z"})
    table = point_table(points)
    lines = sweep.point_lines(points)
    assert max(map(cell_len, lines)) <= 80
    words = " ".join(lines)
    for column, (head, *cells) in enumerate(zip(table.head, *table.rows)):
        if head == "simulation":
            assert "omitted columns: simulation" in lines
        elif len(set(cells)) == 1:
            assert f"{head} {cells[0]}" in words
        else:
            title = re.compile(rf"(?<!\S){re.escape(head)}(?!\S)")
            start = next(i for i, line in enumerate(lines) if title.search(line))
            place = title.search(lines[start]).end()
            for line, cell in zip(lines[start + 1 :], cells):
                assert line[:place].endswith(cell), (column, head)
    assert "interval" in words
    assert "latency" in words


@pytest.fixture
def labelled_run(tmp_path):
    """A run with three simulations, one with a label of 40 characters."""
    face = Run(path=shutil.copytree(RECORDED, tmp_path / "run"))
    face.simulate(
        engine="event",
        samples=5,
        duration=5,
        label="the label that names this one, and it is",
    )
    face.simulate(engine="event", samples=5, duration=7, reset="zero")
    return face.path


@pytest.mark.parametrize("command", ["status", "compare"])
def test_a_long_label_and_all_differences_are_shown_on_a_terminal(
    labelled_run, narrow_terminal, capsys, command
):
    lines = print_lines(capsys, command, str(labelled_run))
    assert not any("…" in line or line.startswith("omitted columns:") for line in lines)
    assert max(map(cell_len, lines[1:])) <= 80
    for word in ("names", "it", "is", "tensorflow", "event", "subtraction", "zero"):
        assert any(re.search(rf"(^|\s){word}(,|\s|$)", line) for line in lines), word
    if command == "compare":  # three side by side
        assert sum(line.startswith("samples ") for line in lines) == 1


def test_mappings_of_two_graphs_are_shown_by_graph_with_both_energies(
    labelled_run, monkeypatch, capsys
):
    """One chip has energies of all events, the other of routes only; columns of both leave no room for the ratio."""
    face = Run(path=labelled_run)
    simulations = sorted(open_run(labelled_run).records_of("simulate"))[:2]
    for stamp, chip in zip(simulations, ("spinemap_5x5", "loihi")):
        face.graph(simulation=stamp)
        face.map(hardware=chip, method="sequential", graph=stamp)
    costs = [
        json.loads(path.read_text())
        for path in sorted(labelled_run.glob("maps/*/cost.json"))
    ]
    for command, width in itertools.product(("status", "compare"), (80, 90)):
        monkeypatch.setattr(tables, "terminal_width", lambda width=width: width)
        lines = print_lines(capsys, command, str(labelled_run))
        assert max(map(cell_len, lines[1:])) <= width
        ratio = ["ratio"] if width == 90 else []
        assert ("omitted columns: ratio" in lines) == (not ratio)
        heads = [
            "mapping",
            "chip",
            "method",
            "cores",
            "spikes",
            *ratio,
            "energy",
            "energy*",
        ]
        (start,) = [i for i, line in enumerate(lines) if line.split() == heads]
        rows = lines[start + 1 : start + 5]
        assert [row.split() for row in rows[::2]] == [
            ["graph", stamp] for stamp in simulations
        ]
        end = lines[start].index(
            " energy*"
        )  # of the column of the energy of all events
        for row, cost, key in zip(
            rows[1::2], costs, ("network_energy_pj", "energy_pj")
        ):
            stated_energy, unit = row.split()[-2:]
            exponent = {"pJ": 0, "nJ": 3, "µJ": 6}[unit]
            assert float(stated_energy) * 10**exponent == pytest.approx(
                cost["energy"][key], rel=1e-3
            )
            assert (len(row) <= end) == (key == "energy_pj")
            connectivity = cost["traffic"]["connectivity"]
            if connectivity and ratio:  # on several cores
                assert (
                    f" {connectivity / cost['sequential']['sequential_connectivity']:.4g} "
                    in row
                )
        assert costs[0]["traffic"]["connectivity"]


def test_columns_are_dropped_by_importance_and_texts_cut(monkeypatch):
    """Not in a file, which takes control characters as text."""
    rows = [
        ["name", "state", "when", "n"],
        ["x" * 20, "because of 日本語 and so on", "today", 5],
    ]
    assert (
        tables.table_lines([["n"], ["a [red]b\x1b[2J" + "x" * 500]])[1]
        == "a [red]b\\x1b[2J" + "x" * 500
    )
    assert tables.table_lines(rows, right=(3,), drop=(2,), shorten=(1,))[1].endswith(
        "日本語 and so on  today  5"
    )
    monkeypatch.setattr(tables, "terminal_width", lambda: 45)
    lines = tables.table_lines(rows, right=(3,), drop=(2,), shorten=(1,))
    assert lines[1:] == [
        "x" * 20 + "  because of 日本語 a…  5",
        "omitted columns: when",
    ]
    assert len({cell_len(line) for line in lines[:2]}) == 1


def test_the_progress_bar_is_one_line(monkeypatch):
    console = Console(
        width=80, force_terminal=True, color_system=None, file=io.StringIO()
    )
    monkeypatch.setattr(rich.console, "Console", lambda **options: console)
    with progress_display.terminal_bar("simulate") as display:
        display.update(
            1_140_000,
            1_234_567,
            "epoch 10/15  loss 0.0225  accuracy [0.98] and more that does not fit",
        )
    drawn_lines = [
        line
        for line in re.split(
            r"[\r\n]", re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", console.file.getvalue())
        )
        if line.strip()
    ]
    assert all(cell_len(line) <= 80 for line in drawn_lines)
    last = [line for line in drawn_lines if "1140000/1234567" in line][-1]
    assert re.search(r"epoch 10/15 .*…", last)
    assert all("simulate" in line for line in drawn_lines)
