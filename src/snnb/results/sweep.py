"""`sweep`: a simulation for each point of a grid of options, in one run, where stages that points share run once.

The training, the conversion and the options in force of the run stay as they are. A new simulation is marked as swept,
so that its options are not kept. The network of a point that is not the run's is trained, converted and simulated in a
scratch run inside the run, `.sweep`, whose data set, and training if it is the run's, are links; the simulation, which
is complete in itself, is then moved into the run. An interrupted sweep keeps the scratch run: the next one continues.
"""

import csv
import os
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, ContextManager, Dict, List, Literal, Optional, Sequence, cast

import numpy as np
from pydantic import Field

from snnb.core.errors import InputError, UsageError
from snnb.core.options import Options
from snnb.core.progress import Progress, Say, say_nothing
from snnb.io.files import atomic_path, remove
from snnb.io.text import Document, JsonValue, read_document
from snnb.mapping.hardware import read_hardware
from snnb.pipeline import parse, simulate, train
from snnb.pipeline.plan import (
    FIGURES_UNCHANGED,
    OTHER_VERSIONS,
    UP_TO_DATE,
    bring_up_to_date,
    check_options,
    effective_options,
    no_bar,
)
from snnb.pipeline.simulate import SimulationRecord
from snnb.pipeline.stage import Given, figure_format, input_difference, stale_reason
from snnb.results.compare import compared_one, in_words
from snnb.results.grid import CHIPS, Axis, Point, in_order_of_stages, points_of
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.simulation.simulation_files import SUMS
from snnb.simulation.simulation_settings import refuse_missing_packages
from snnb.simulation.simulation_statistics import ACCURACIES, SimulationStatistics, wilson_interval

if TYPE_CHECKING:
    from snnb.report.comparison_plots import Value

TABLE, FIGURE, SCRATCH = "sweep.csv", "sweep.png", ".sweep"
OWN = (train.KIND.name, parse.KIND.name)  # stages that a point can run with other options than the run
Bar = Callable[..., ContextManager[Progress]]
Asked = Dict[str, Options]  # the parameters of a point by stage


class ChipFigures(Document):
    """Cost of a simulation on a chip; where it does not fit, only a note with the reason."""

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

    values: Dict[str, JsonValue]  # of the options, by title of the axis
    ran: bool  # whether the simulation was made now
    simulation: str  # stamp
    samples: int
    ann_accuracy: Optional[float]
    readout_accuracy: Optional[float]
    snn_accuracy: Optional[float]
    snn_accuracy_low: Optional[float]  # 95 % interval
    snn_accuracy_high: Optional[float]
    ann_mean_squared_error: Optional[float]
    snn_mean_squared_error: Optional[float]
    spikes_per_step_and_neuron: float
    synaptic_operations_per_sample: float
    quoted: float = Field(exclude=True)  # accuracy (or error) in the figure: of the read-out if spikes are random


NO_COLUMNS = ("values", "ran", "quoted")
COLUMNS = [name for name in SimulationFigures.model_fields if name not in NO_COLUMNS]  # of the table


class Swept(ChipFigures, SimulationFigures):
    """A point of the grid, its simulation, and the cost on its chip."""

    @property
    def row(self) -> Dict[str, JsonValue]:
        """Values of the point and its figures, by column of the table."""
        return {**self.values, **{name: value for name, value in self if name not in NO_COLUMNS}}


class Sweep(Document):
    """Output of `snnb sweep --json`."""

    run_dir: Path
    table: Path
    figure: Path
    points: List[Swept]


def sweep(
    run: RunDirectory,
    axes: Sequence[Axis],
    given: Given,
    *,
    say: Say = say_nothing,
    bar: Bar = no_bar,
) -> List[Swept]:
    """Make the simulations of a grid that the run does not have yet; write `sweep.csv` and `sweep.png` into the run.

    The training, the conversion and the options that later commands keep stay as they were before. Only in a run
    without results they become those of the first point.

    After an interruption it continues: a simulation of the run with the options of a point, made of the present data
    set and training, is that point's. The table has the rows of the points that are done.

    The run is locked. `given` are options that are the same for all points, by stage; one that is not given keeps its
    recorded value. The points are returned in the order of the grid; the last axis changes fastest.
    """
    if run.manifest.run.imported:
        raise UsageError(
            f"{run.path} holds a graph from outside, and a sweep simulates a network; map the graph onto each chip "
            "with `snnb map`, and list the mappings with `snnb compare`"
        )
    points = [replace(one, given=effective_options(run, one.given)) for one in points_of(axes, given)]
    _refuse_foreign_files(run)
    for point in points:
        check_options(run, simulate.KIND.name, point.given)
    tell = _news(say, UP_TO_DATE, OTHER_VERSIONS, FIGURES_UNCHANGED)
    bring_up_to_date(run, "prepare", {"prepare": given.get("prepare", {})}, say=_news(say, UP_TO_DATE), bar=bar)
    notes: List[List[str]] = []  # by point, about recorded values that are not valid with its options
    for point in points:
        notes.append([])
        params = _asked(run, point, notes[-1].append)[simulate.KIND.name]
        try:
            refuse_missing_packages(cast("simulate.SimulateParams", params))
        except InputError:
            if _simulation_of(run, point) is None:
                raise
    unequal = next((note for of_point in notes for note in of_point if any(note not in other for other in notes)), None)
    if unequal is not None:
        raise UsageError(f"the points would differ in an option outside the grid ({unequal}); give it for all points")
    done: Dict[int, Swept] = {}
    with ExitStack() as stack:
        for turn, number in enumerate(in_order_of_stages(points, axes), 1):
            point = points[number]
            stamp = _simulation_of(run, point)
            message = f"sweep: {turn} of {len(points)}: {in_words(cast('Dict[str, JsonValue]', point.values))}"
            say(message + (f": uses simulation {stamp}" if stamp is not None else ""))
            ran = stamp is None
            if stamp is None:
                stamp = _simulate_point(run, point, stack, say=tell, bar=bar)
            chip = NO_CHIP
            if point.hardware is not None:
                chip = _chip_figures(run, stamp, point.hardware, say, bar)
            done[number] = _swept(run, point, stamp, ran, chip)
            _write_table(run, axes, done)
    swept = [done[number] for number in range(len(points))]
    _draw(run, axes, swept)
    remove(run.path / SCRATCH)
    return swept


def _news(say: Say, *left_out: str) -> Say:
    """Return a function that passes on all messages but those that contain one of some texts."""

    def tell(message: str) -> None:
        if not any(text in message for text in left_out):
            say(message)

    return tell


def _simulation_of(run: RunDirectory, point: Point) -> Optional[str]:
    """Return the stamp of the run's latest simulation with the options of a point; None without one."""
    records = cast("Dict[str, SimulationRecord]", run.records_of(simulate.KIND.name))
    for stamp in run.by_precedence(simulate.KIND.name):
        record = records[stamp]
        asked = _asked(run, point, parsed=run.path / run.directory_of("simulate", stamp) / f"{run.model}_parsed.h5")
        made = [record.details.training, record.details.conversion, record.params]
        if all(_same(one, other) for one, other in zip(asked.values(), made)) and _is_usable(run, record, asked):
            return stamp
    return None


def _simulate_point(run: RunDirectory, point: Point, stack: ExitStack, *, say: Say, bar: Bar) -> str:
    """Make the simulation of a point in a locked run and return its stamp; a cluster stays open in `stack`."""
    asked, name = _asked(run, point), simulate.KIND.name
    if all(_is_free(run, own, asked) for own in OWN):
        options = {**point.given.get(name, {}), "swept": run.in_force(name) is not None}
        return _simulated(run, {**point.given, name: options}, asked, stack, say, bar)
    # Every option is given, since the scratch run has recorded the options of another point.
    given = {stage: {**point.given.get(stage, {}), **asked[stage].model_dump()} for stage in OWN}
    given["train"].setdefault("figures", figure_format(None, run.record_of("train"), "training_plot"))
    shared = ["prepare"]
    if run.record_of("train") is not None and _is_free(run, "train", asked):
        bring_up_to_date(run, "train", point.given, say=say, bar=bar)
        shared.append("train")
    scratch = _open_scratch(run, shared)
    with scratch.locked():
        bring_up_to_date(scratch, parse.KIND.name, given, say=say, bar=bar)
        params = _asked(run, point, parsed=scratch.path / "parse" / f"{run.model}_parsed.h5")[name]
        given[name] = {**point.given.get(name, {}), **params.model_dump(), "swept": True}
        stamp = _simulated(scratch, given, asked, stack, say, bar)
        run.adopt(name, stamp, scratch.records_of(name)[stamp], scratch.path / scratch.directory_of(name, stamp))
    return stamp


def _asked(run: RunDirectory, point: Point, say: Say = say_nothing, *, parsed: Optional[Path] = None) -> Asked:
    """Return the parameters of a point by stage, in order; an option that is not given has the value in force.

    `parsed` is the file of its network, which sets the duration if it is calibrated; by default the run's network.
    """
    asked: Asked = {
        stage.name: stage.resolve(run, point.given.get(stage.name, {}), say) for stage in (train.STAGE, parse.STAGE)
    }
    given = point.given.get(simulate.KIND.name, {})
    return {**asked, simulate.KIND.name: simulate.resolve(run, given, say, parsed=parsed)}


def _is_free(run: RunDirectory, name: str, asked: Asked) -> bool:
    """Whether the run has no result of a stage, or one with the parameters of the point."""
    record = run.record_of(name)
    return record is None or _same(record.params, asked[name])


def _simulated(run: RunDirectory, given: Given, asked: Asked, stack: ExitStack, say: Say, bar: Bar) -> str:
    """Simulate and return the stamp; a cluster, if there is to be one, stays open for the next point."""
    from snnb.cluster.connect import connected

    bring_up_to_date(run, parse.KIND.name, given, say=say, bar=bar)
    params = cast("simulate.SimulateParams", asked[simulate.KIND.name])
    shared = params.workers, params.scheduler
    if shared != (1, None):
        stack.enter_context(connected(*shared))
    return bring_up_to_date(run, simulate.KIND.name, given, say=say, bar=bar)[-1].directory.name


def _same(one: Options, other: Optional[Options]) -> bool:
    return other is not None and one.model_dump(mode="json") == other.model_dump(mode="json")


def _is_usable(run: RunDirectory, record: SimulationRecord, asked: Asked) -> bool:
    """Whether a simulation is undamaged and was made of the present files of the run.

    If its network was trained or converted with other options than the run's present one, only the data set and the
    model's file are compared.
    """
    present = ["dataset/"]
    for name in OWN:
        now = run.record_of(name)
        if now is None or not _same(now.params, asked[name]):
            break
        if stale_reason(run, now, {}) is not None:
            return False
        present.append(f"{run.directory_of(name)}/")
    read = [file for file in record.inputs if file.path.startswith(tuple(present))]
    if any(input_difference(run, file) for file in (*read, *(record.details.sources or ()))):
        return False
    return all(run.hashes.matches(file) for file in record.outputs)


def _open_scratch(run: RunDirectory, shared: Sequence[str]) -> RunDirectory:
    """Open or create the scratch run; the results of the shared stages are links into the locked run."""
    path, known = run.path / SCRATCH, run.manifest.stages
    records: Dict[str, object] = {run.kind(stage).key: None for stage in OWN}
    old: Optional[RunDirectory] = None
    with suppress(InputError):
        old = RunDirectory.open(path, run.kinds)
    if path.is_symlink() or old is None or old.manifest.run.difference(run.manifest.run) is not None:
        remove(path)
        path.mkdir()
    else:
        records = {run.kind(stage).key: old.record_of(stage) for stage in OWN}
    for stage in ("prepare", "train"):
        relative, key = run.directory_of(stage), run.kind(stage).key
        if stage in shared:
            remove(path / relative)
            (path / relative).symlink_to(os.path.join(os.pardir, relative), target_is_directory=True)  # noqa: PTH118
            records[key] = run.record_of(stage)
        elif (path / relative).is_symlink():
            remove(path / relative)
            records[key] = None
    content = run.manifest.model_copy(update={"stages": known.model_copy(update=records)})
    manifest.save_manifest(content, path / manifest.NAME)
    return RunDirectory.open(path, run.kinds)


def _chip_figures(run: RunDirectory, stamp: str, hardware: str, say: Say, bar: Bar) -> ChipFigures:
    """Map a simulation onto hardware, a name or file of a description, and return its cost; the mapping is not kept."""
    from snnb.graph.build import build_graph
    from snnb.mapping.map_network import map_network
    from snnb.mapping.traffic import PlacedNetwork

    folder = run.path / run.directory_of(simulate.KIND.name, stamp)
    parsed, coding = folder / f"{run.model}_parsed.h5", read_document(SimulationStatistics, folder / ACCURACIES).coding
    chip = read_hardware(hardware)
    with tempfile.TemporaryDirectory() as scratch, build_graph(
        parsed, Path(scratch) / "graph.h5", counts=folder / SUMS, coding=coding
    ) as graph:
        try:
            with bar("map") as progress:
                cost = map_network(PlacedNetwork.of(graph), chip, progress=progress).cost
        except InputError as error:
            say(f"sweep: {error}")
            return NO_CHIP.model_copy(update={"note": str(error)})
    return ChipFigures(
        cores=int(np.count_nonzero(cost.neurons)),
        chips=1 if cost.chips is None else cost.chips,
        energy_pj=cost.energy_pj,
        energy_of=chip.energy_of,
        sample_ns=cost.sample_ns,
        sample_latency_ns=cost.sample_latency_ns,
        note=None,
    )


def _swept(run: RunDirectory, point: Point, stamp: str, ran: bool, chip: ChipFigures) -> Swept:
    compared = compared_one(run, stamp, cast("Dict[str, SimulationRecord]", run.records_of("simulate"))[stamp])
    low, high = compared.snn_interval or (None, None)
    return Swept(
        values=point.values,
        ran=ran,
        simulation=stamp,
        samples=compared.samples,
        ann_accuracy=compared.ann_accuracy,
        readout_accuracy=compared.readout_accuracy,
        snn_accuracy=compared.snn_accuracy,
        snn_accuracy_low=low,
        snn_accuracy_high=high,
        ann_mean_squared_error=compared.ann_error,
        snn_mean_squared_error=compared.snn_error,
        spikes_per_step_and_neuron=compared.mean_rate,
        synaptic_operations_per_sample=compared.synaptic_operations,
        quoted=compared.by_step[-1],
        **dict(chip),
    )


def _refuse_foreign_files(run: RunDirectory) -> None:
    """Refuse to replace a table or figure that no sweep has written."""
    table, figure = run.path / TABLE, run.path / FIGURE
    there = [path for path in (table, figure) if os.path.lexists(path)]
    if there and not (table.exists() and ",".join(COLUMNS) in table.read_text(errors="replace").split("\n")[0]):
        raise UsageError(f"{there[0]} was not written by a sweep; move it away")


def _write_table(run: RunDirectory, axes: Sequence[Axis], done: Dict[int, Swept]) -> None:
    with atomic_path(run.path / TABLE, force=True) as temporary, temporary.open("w", newline="") as file:
        titles = [axis.title for axis in axes if axis.title not in COLUMNS]
        of_chips = ChipFigures.model_fields if CHIPS in titles else ()
        columns = [*titles, *COLUMNS, *of_chips]
        rows = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        rows.writeheader()
        rows.writerows(done[number].row for number in sorted(done))


def _draw(run: RunDirectory, axes: Sequence[Axis], swept: Sequence[Swept]) -> None:
    from snnb.report.comparison_plots import plot_sweep

    kind = "accuracy" if swept[0].snn_accuracy is not None else "mean_squared_error"
    if CHIPS in swept[0].values:
        _draw_chips(run, swept, kind)
        return
    shape = [len(axis.values) for axis in axes]
    measured, ann = (
        np.array([getattr(one, name) for one in swept], float).reshape(shape) for name in ("quoted", f"ann_{kind}")
    )
    analogue = None if np.isnan(ann).any() else ann
    intervals = None
    if kind == "accuracy":
        ends = [wilson_interval(one.quoted * one.samples, one.samples) for one in swept]
        intervals = np.array(ends, float).reshape(*shape, 2)
    grid = {axis.title: cast("Sequence[Value]", axis.values) for axis in axes}
    with atomic_path(run.path / FIGURE, force=True) as temporary:
        plot_sweep(temporary, grid, measured, analogue, kind.replace("_", " "), intervals)


def _draw_chips(run: RunDirectory, swept: Sequence[Swept], kind: str) -> None:
    from snnb.report.comparison_plots import OnChip, plot_chips

    chips = list(dict.fromkeys(one.values[CHIPS] for one in swept))
    stems = [Path(chip).stem for chip in chips]
    names = dict(zip(chips, stems if len({*stems}) == len(stems) else chips))
    points = []
    for one in swept:
        if one.energy_pj is not None:
            others = {name: value for name, value in one.values.items() if name != CHIPS}
            name, network_only = names[one.values[CHIPS]], one.energy_of == "network"
            points.append(OnChip(name, in_words(others), one.energy_pj, one.quoted, network_only=network_only))
    with atomic_path(run.path / FIGURE, force=True) as temporary:
        plot_chips(temporary, points, kind.replace("_", " "), highest_is_best=kind == "accuracy")
