"""`sweep`: a simulation for each point of a grid of options.

A point is simulated in the run if its training and conversion have the parameters that they have in the run: those
of the run's options, else the defaults. All other points are simulated in one separate run, `sweep/points`, which has
a copy of the data set. Its options, its training and its conversion are those of the latest point; the training and
conversion of every point are kept in a run without a data set, such as `sweep/percentile=99.0`. Results that are up to
date are not computed again, so an interrupted sweep continues. The options of the run do not change.
"""

import csv
import io
import re
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import (
    Callable,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    cast,
)

from snnb.chips.hardware import LayerHardware
from snnb.chips.read_hardware import read_hardware, shown_name
from snnb.cluster.connect import connected
from snnb.core.errors import InputError, UsageError
from snnb.core.formatting import accuracy, duration, energy, quantity
from snnb.core.progress import Progress, Say, say_nothing
from snnb.io.files import atomic_path, refuse_foreign
from snnb.io.text import Document, JsonValue, read_document, read_text
from snnb.results.compare import in_words, mean_rate, simulated_files
from snnb.results.grid import CHIPS, GRID_STAGES, Axis, Point, points_of
from snnb.rundir.directory import RunDirectory
from snnb.simulation.statistics import ACCURACIES, SimulationStatistics
from snnb.stages import parse, simulate, train
from snnb.stages.all import STAGES
from snnb.stages.carry_out import FIGURES_UNCHANGED, OTHER_VERSIONS, bring_up_to_date, no_bar
from snnb.stages.plan import UP_TO_DATE, check_options
from snnb.stages.run_options import merge_with_run, options_with_effect
from snnb.stages.stage import Given, StageResult

TABLE, FIGURE, FOLDER = "sweep.csv", "sweep.png", "sweep"
POINTS = "points"  # run in `FOLDER` with the simulations
NETWORK = (train.KIND.name, parse.KIND.name)  # stages that make the network of a point
Bar = Callable[..., ContextManager[Progress]]


class ChipFigures(Document):
    """Cost of a simulation on a chip. If it does not fit, only `chip` and `note`, the reason, have values."""

    chip: Optional[str]  # name of the chip, see `shown_name`
    cores: Optional[int]
    chips: Optional[int]
    energy_pj: Optional[float]
    energy_of: Optional[Literal["events", "network"]]  # see `Hardware.energy_of`
    sample_ns: Optional[float]
    sample_latency_ns: Optional[float]
    note: Optional[str]


NO_CHIP = ChipFigures(**dict.fromkeys(ChipFigures.model_fields))


class SimulationFigures(Document):
    """A point of the grid and the figures of its simulation."""

    values: Dict[str, JsonValue]  # values of the options by title of the axis
    ran: bool  # whether the simulation was made now
    run: str  # run of the simulation, relative to the run of the sweep: `.` or `sweep/points`
    simulation: str  # stamp
    samples: int
    ann_accuracy: Optional[float]
    readout_accuracy: Optional[float]
    readout_accuracy_low: Optional[float]  # 95 % interval; only for a softmax with a read-out, whose spikes are random
    readout_accuracy_high: Optional[float]
    snn_accuracy: Optional[float]
    snn_accuracy_low: Optional[float]  # 95 % interval; only for other outputs
    snn_accuracy_high: Optional[float]
    ann_mean_squared_error: Optional[float]
    snn_mean_squared_error: Optional[float]
    spikes_per_step_and_neuron: float
    synaptic_operations_per_sample: float


NO_COLUMNS = ("values", "ran")
TEXTS = ("run", "simulation", "chip", "energy_of", "note")  # columns of text
COLUMNS = [name for name in SimulationFigures.model_fields if name not in NO_COLUMNS]  # of the table
MARK = "simulation,samples,ann_accuracy,readout_accuracy"  # part of the first line, marks a table of a sweep


class SweepPoint(ChipFigures, SimulationFigures):
    """A point of the grid, its simulation, and the cost on its chip."""

    @property
    def row(self) -> Dict[str, JsonValue]:
        """Values of the point and its figures, by column of the table."""
        return {**self.values, **{name: value for name, value in self if name not in NO_COLUMNS}}


HEADS = {
    "chip": "chip",
    "ann_accuracy": "ANN",
    "readout_accuracy": "read-out",
    "snn_accuracy": "SNN",
    "ann_mean_squared_error": "ANN error",
    "snn_mean_squared_error": "SNN error",
    "spikes_per_step_and_neuron": "rate",
    "synaptic_operations_per_sample": "operations",
    "energy_pj": "energy",
    "sample_ns": "interval",
    "sample_latency_ns": "latency",
}
NOT_SHOWN = (
    *("run", "readout_accuracy_low", "readout_accuracy_high", "snn_accuracy_low", "snn_accuracy_high"),
    *("note", "energy_of"),
)


class PointTable(NamedTuple):
    """The points of a sweep as a table without empty columns."""

    head: List[str]
    rows: List[List[str]]
    options: int  # number of first columns, which have the chip and the options of a point
    simulation: int  # index of the column with the stamp
    notes: List[str]


class Sweep(Document):
    """Output of `snnb sweep --json`."""

    run_dir: Path
    table: Path
    figure: Path
    points: List[SweepPoint]


def sweep(
    run: RunDirectory, axes: Sequence[Axis], given: Given, *, say: Say = say_nothing, bar: Bar = no_bar
) -> List[SweepPoint]:
    """Make the simulations of a grid that the run does not have yet; write `sweep.csv` and `sweep.png` into the run.

    The options of the run do not change.

    An interrupted sweep continues: a simulation of the present data set and training that has the options of a point
    is used for it. The table has the rows of all completed points.

    The run is locked. `given` are options by stage that are the same for all points. An option that is not given has
    the value that the run remembers. The points are returned in the order of the grid; the last axis changes fastest.
    """
    if run.manifest.run.imported:
        raise UsageError(
            f"{run.path} contains an external graph, but a sweep simulates a network; map the graph onto each chip "
            "with `snnb map`, and list the mappings with `snnb compare`"
        )
    points = [replace(point, given=options_with_effect(run, point.given)) for point in points_of(axes, given)]
    refuse_foreign(run.path / TABLE, mark=MARK)
    if not (run.path / TABLE).exists():
        refuse_foreign(run.path / FIGURE)
    for point in points:
        check_options(run, simulate.KIND.name, point.given)
    say_news = _news(say, UP_TO_DATE, OTHER_VERSIONS, FIGURES_UNCHANGED)
    preparation = {"prepare": given.get("prepare", {})}
    bring_up_to_date(run, "prepare", preparation, remember=False, say=_news(say, UP_TO_DATE), bar=bar)
    notes: List[List[str]] = []  # by point: messages about options of the run that are not valid with its options
    for point in points:
        notes.append([])
        options = merge_with_run(run, point.given, say=notes[-1].append)
        shared = simulate.STAGE.resolve(run, simulate.STAGE.effective_options(run, options))
    every_note = [note for of_point in notes for note in of_point]
    difference = next((note for note in every_note if any(note not in of_point for of_point in notes)), None)
    if difference is not None:
        raise UsageError(
            f"the points would differ in an option outside the grid ({difference}); give it for all points"
        )
    done: List[SweepPoint] = []
    with ExitStack() as stack:
        if (shared.workers, shared.scheduler) != (1, None):
            stack.enter_context(connected(shared.workers, shared.scheduler))
        for number, point in enumerate(points, 1):
            say(f"sweep: {number} of {len(points)}: {in_words(cast('Dict[str, JsonValue]', point.values))}")
            home, result = _simulate_point(run, point, axes, say=say_news, bar=bar)
            stamp, chip = result.directory.name, NO_CHIP
            if point.hardware is not None:
                chip = _chip_figures(home, stamp, point.hardware, say, bar)
            done.append(_sweep_point(run, home, point, stamp, result.reason is not None, chip))
            _write_table(run, axes, done)
    _draw(run, axes, done)
    return done


def option_titles(points: Sequence[Mapping[str, JsonValue]]) -> List[str]:
    """Return the columns of the table that are options of the grid; the number of samples is one if it differs."""
    figures = (*COLUMNS, *ChipFigures.model_fields)
    titles = [name for name in points[0] if name not in figures]
    return [*titles, *(["samples"] if len({point["samples"] for point in points}) > 1 else [])]


def point_table(points: Sequence[Mapping[str, JsonValue]]) -> PointTable:
    """Return the points as a table; the table in the run has all columns.

    Energies without neurons and messages are marked by an asterisk, see `Hardware.energy_of`.
    """
    notes = ["rate: spikes per neuron and step; operations: synaptic operations per sample"]
    if any(point.get("energy_of") == "network" for point in points):
        notes.append("energy*: without neurons and messages, not comparable with energy")
    # The chip has its name, unless two values of `hardware` are files of chips with equal names.
    chips = {point.get(CHIPS): point.get("chip") for point in points}
    hidden = [*NOT_SHOWN, CHIPS if len({*chips.values()}) == len(chips) else "chip"]
    names = [name for name in points[0] if name not in hidden and any(point[name] is not None for point in points)]
    names.sort(key=lambda name: name != "chip")  # the chip comes first
    bounded = [name for name in names if any(point.get(f"{name}_low") is not None for point in points)]
    return PointTable(
        head=[HEADS.get(name, name) + (" (95 %)" if name in bounded else "") for name in names],
        rows=[[_shown(point, name) for name in names] for point in points],
        options=sum(name == "chip" or name not in (*COLUMNS, *ChipFigures.model_fields) for name in names),
        simulation=names.index("simulation"),
        notes=notes,
    )


def _shown(point: Mapping[str, JsonValue], name: str) -> str:
    value = point[name]
    if value is None:
        return ""
    if name == "ann_accuracy":
        return accuracy(value)
    if name in ("readout_accuracy", "snn_accuracy"):
        return accuracy(value, point[f"{name}_low"], point[f"{name}_high"])
    if name == "energy_pj":
        return energy(value) + ("*" if point["energy_of"] == "network" else "")
    if name in ("sample_ns", "sample_latency_ns"):
        return duration(value)
    if not isinstance(value, float):
        return str(value)
    return quantity(value) if name in HEADS else f"{value:g}"


def points_of_sweep(run: RunDirectory) -> List[Dict[str, JsonValue]]:
    """Return the rows of the table of the last sweep whose simulations exist; none without a table."""
    if not (run.path / TABLE).is_file():
        return []
    stamps = {".": run.records_of(simulate.KIND.name).keys()}
    for home in _runs_of_sweep(run):
        stamps[home.path.relative_to(run.path).as_posix()] = home.records_of(simulate.KIND.name).keys()
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(run.path / TABLE))))
    except (InputError, csv.Error):  # not written by a sweep
        return []
    points = []
    for row in rows:
        complete = {*COLUMNS} <= row.keys() and None not in (*row, *row.values())
        if complete and row["simulation"] in stamps.get(row["run"], ()):
            with suppress(ValueError):  # of a row that was edited
                points.append({name: _value_of(name, text) for name, text in row.items()})
    return points


def _value_of(column: str, text: str) -> JsonValue:
    """Return a value of the table with its type; the values of options remain text."""
    is_number = column in (*COLUMNS, *ChipFigures.model_fields) and column not in TEXTS
    if not text or not is_number:
        return text or None
    return int(text) if text.isdecimal() else float(text)


def _news(say: Say, *left_out: str) -> Say:
    """Return a function that passes on all messages except those that contain one of the texts `left_out`."""

    def say_news(message: str) -> None:
        if not any(text in message for text in left_out):
            say(message)

    return say_news


def _simulate_point(
    run: RunDirectory, point: Point, axes: Sequence[Axis], *, say: Say, bar: Bar
) -> Tuple[RunDirectory, StageResult]:
    """Bring the simulation of a point up to date; return it and the run that it is in."""
    options = _effective_options(run, merge_with_run(run, point.given))
    params = _network_params(run, options)
    params_of_run = _network_params(run, _effective_options(run, merge_with_run(run, {})))
    if params == params_of_run:
        results = bring_up_to_date(
            run, simulate.KIND.name, point.given, remember=False, asked_by_name=False, say=say, bar=bar
        )
        return run, results[-1]
    with ExitStack() as stack:
        home = _run_of_sweep(run, POINTS)
        kept = _run_of_sweep(run, _network_folder(point, axes))
        for other in (home, kept):
            stack.enter_context(other.locked(say=say))
        home.take("prepare", run)
        if params[train.KIND.name] == params_of_run[train.KIND.name]:
            bring_up_to_date(run, train.KIND.name, point.given, remember=False, say=say, bar=bar)
        trained = _trained_run([run, kept, *_runs_of_sweep(run)], params[train.KIND.name])
        if trained is not None:
            home.take(train.KIND.name, trained)
        if kept.record_of(parse.KIND.name) is not None:
            home.take(parse.KIND.name, kept)
        bring_up_to_date(home, parse.KIND.name, options, forget=STAGES, say=say, bar=bar)
        for name in NETWORK:
            kept.take(name, home)
        kept.save_options({name: home.options.get(name, {}) for name in NETWORK})
        results = bring_up_to_date(
            home, simulate.KIND.name, options, forget=STAGES, asked_by_name=False, say=say, bar=bar
        )
        return home, results[-1]


def _effective_options(run: RunDirectory, options: Given) -> Given:
    """Return the options that have an effect, by stage."""
    return {name: STAGES[name].effective_options(run, options) for name in ("prepare", *GRID_STAGES)}


def _network_params(run: RunDirectory, options: Given) -> Dict[str, Mapping[str, object]]:
    """Return the parameters of the stages that make the network, by stage."""
    return {name: STAGES[name].resolve(run, options[name]).model_dump() for name in NETWORK}


def _network_folder(point: Point, axes: Sequence[Axis]) -> str:
    """Return the name of the folder in `FOLDER` that keeps the training and the conversion of a point."""
    values = (f"{axis.title}={point.values[axis.title]}" for axis in axes if axis.stage in NETWORK)
    return re.sub(r"[^\w.,=-]", "_", ",".join(values), flags=re.ASCII)[:200] or "network"


def _trained_run(runs: Iterable[RunDirectory], params: Mapping[str, object]) -> Optional[RunDirectory]:
    """Return the first run with a training that has these parameters."""
    for run in runs:
        record = run.record_of(train.KIND.name)
        if record is not None and record.params.model_dump() == params:
            return run
    return None


def _run_of_sweep(run: RunDirectory, folder: str) -> RunDirectory:
    """Return the run in a folder of the sweep; it is created if it does not exist."""
    return RunDirectory.create(run.path / FOLDER / folder, run.manifest.run, run.kinds)


def _runs_of_sweep(run: RunDirectory) -> Iterator[RunDirectory]:
    """Yield the runs in the folder of the sweep."""
    for path in sorted((run.path / FOLDER).glob("*")):
        with suppress(InputError):  # not a run, or damaged
            yield RunDirectory.open(path, run.kinds)


def _chip_figures(run: RunDirectory, stamp: str, hardware: str, say: Say, bar: Bar) -> ChipFigures:
    """Map a simulation onto hardware, a name or file of a description, and return its cost; the mapping is not kept."""
    from snnb.graph.build import build_graph
    from snnb.mapping.layers.assignment import assign_layers
    from snnb.mapping.map_network import map_network
    from snnb.mapping.traffic import MappableNetwork
    from snnb.network.read_network import read_network
    from snnb.simulation.files import SUMS

    folder = run.path / run.directory_of(simulate.KIND.name, stamp)
    parsed, coding = folder / run.parsed_name, read_document(SimulationStatistics, folder / ACCURACIES).coding
    chip = read_hardware(hardware)
    name = shown_name(chip.name, hardware)
    if isinstance(chip, LayerHardware):
        placement = assign_layers(read_network(parsed), chip)
        if placement.reason is not None:
            say(f"sweep: {placement.reason}")
            return NO_CHIP.model_copy(update={"chip": name, "note": placement.reason})
        return NO_CHIP.model_copy(update={"chip": name, "cores": len(set(placement.core)), "chips": 1})
    with tempfile.TemporaryDirectory() as scratch, build_graph(
        parsed, Path(scratch) / "graph.h5", counts=folder / SUMS, coding=coding
    ) as graph:
        try:
            with bar("map") as progress:
                cost = map_network(MappableNetwork.of(graph), chip, progress=progress).cost
        except InputError as error:
            say(f"sweep: {error}")
            return NO_CHIP.model_copy(update={"chip": name, "note": str(error)})
    step = cost.step
    return ChipFigures(
        chip=name,
        cores=cost.cores.cores,
        chips=cost.cores.chips or 1,
        energy_pj=cost.energy.picojoules,
        energy_of=chip.energy_of,
        sample_ns=None if step is None else step.sample_ns,
        sample_latency_ns=None if step is None else step.sample_latency_ns,
        note=None,
    )


def _sweep_point(
    run: RunDirectory, home: RunDirectory, point: Point, stamp: str, ran: bool, chip: ChipFigures
) -> SweepPoint:
    statistics, counts = simulated_files(home, stamp)
    readout = statistics.readout_interval or (None, None)
    low, high = statistics.snn_interval or (None, None)
    same = SimulationFigures.model_fields.keys() & SimulationStatistics.model_fields.keys()
    return SweepPoint(
        values=point.values,
        ran=ran,
        run=home.path.relative_to(run.path).as_posix(),
        simulation=stamp,
        samples=statistics.num_samples,
        readout_accuracy_low=readout[0],
        readout_accuracy_high=readout[1],
        snn_accuracy_low=low,
        snn_accuracy_high=high,
        spikes_per_step_and_neuron=mean_rate(statistics, counts),
        **{name: getattr(statistics, name) for name in same},
        **dict(chip),
    )


def _write_table(run: RunDirectory, axes: Sequence[Axis], done: Sequence[SweepPoint]) -> None:
    with atomic_path(run.path / TABLE, force=True) as temporary, temporary.open(
        "w", newline="", encoding="utf-8"
    ) as file:
        titles = [axis.title for axis in axes if axis.title not in COLUMNS]
        of_chips = ChipFigures.model_fields if CHIPS in titles else ()
        columns = [*titles, *COLUMNS, *of_chips]
        rows = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        rows.writeheader()
        rows.writerows(one.row for one in done)


def _draw(run: RunDirectory, axes: Sequence[Axis], points: Sequence[SweepPoint]) -> None:
    from snnb.io.figures import save
    from snnb.results.sweep_figures import plot_points

    figure = plot_points([point.row for point in points], [axis.title for axis in axes])
    assert figure is not None  # the grid is complete
    with atomic_path(run.path / FIGURE, force=True) as temporary:
        save(figure, temporary)
