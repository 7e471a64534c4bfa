"""`sweep`: a simulation for each point of a grid of options, in one run, where stages that points share run once."""

import csv
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, ContextManager, Dict, List, Optional, Sequence, cast

import numpy as np

from snnb.errors import InputError, UsageError
from snnb.files import open_regular
from snnb.options import Options
from snnb.progress import Progress, Say, say_nothing
from snnb.rundir.directory import RunDirectory
from snnb.rundir.staleness import input_difference, stale_reason
from snnb.simulation.settings import refuse_missing_packages
from snnb.stages import parse, simulate, train
from snnb.stages.comparison import Compared, compared_one
from snnb.stages.differences import in_words
from snnb.stages.grid import Axis, Point, in_order_of_stages, points_of
from snnb.stages.plan import bring_up_to_date, check_options, no_bar
from snnb.stages.simulations import SimulationRecord
from snnb.stages.stage import Given
from snnb.text import JsonValue
from snnb.whole import written_whole

if TYPE_CHECKING:
    from snnb.report.sweep import Value

TABLE, FIGURE = "sweep.csv", "sweep.png"
COLUMNS = (
    "simulation",
    "samples",
    "ann_accuracy",
    "snn_accuracy",
    "snn_accuracy_low",
    "snn_accuracy_high",
    "ann_mean_squared_error",
    "snn_mean_squared_error",
    "spikes_per_step_and_neuron",
    "synaptic_operations_per_sample",
)


@dataclass(frozen=True)
class Swept:
    """A point of the grid and its simulation.

    Attributes
    ----------
    point : Point
    stamp : str
        Of the simulation.
    ran : bool
        Whether it was made now; it was there otherwise.
    row : dict
        What the table says of it, by column.
    """

    point: Point
    stamp: str
    ran: bool
    row: Dict[str, JsonValue]


def sweep(
    run: RunDirectory,
    axes: Sequence[Axis],
    given: Given,
    *,
    say: Say = say_nothing,
    bar: Callable[[str], ContextManager[Progress]] = no_bar,
) -> List[Swept]:
    """Make the simulations of a grid that the run does not have yet; write `sweep.csv` and `sweep.png` into the run.

    Interrupted, it goes on where it was: a simulation of the run with the options of a point, made of the present data
    set and training, is that point's. The table has the rows of the points that are done.

    Parameters
    ----------
    run : RunDirectory
        The run, locked.
    axes : sequence of Axis
    given : mapping of str to mapping
        Options that are the same for all points, by stage. One that is not given keeps its recorded value.
    say : callable
        Called with what runs.
    bar : callable
        As in `bring_up_to_date`.

    Returns
    -------
    list of Swept
        In the order of the grid, the last axis first to change.

    Raises
    ------
    UsageError
        A point's options are not valid together. Nothing has run then.
    """
    points = points_of(axes, given)
    _refuse_foreign_files(run)
    for point in points:
        check_options(run, simulate.KIND.name, point.given)
    bring_up_to_date(run, "prepare", {"prepare": given.get("prepare", {})}, say=_without_up_to_date(say), bar=bar)
    for point in points:
        params = simulate.resolve(run, point.given.get(simulate.KIND.name, {}))
        try:
            refuse_missing_packages(params)
        except InputError:
            if _simulation_of(run, point) is None:
                raise
    done: Dict[int, Swept] = {}
    with ExitStack() as stack:
        for turn, number in enumerate(in_order_of_stages(points, axes), 1):
            point = points[number]
            stamp = _simulation_of(run, point)
            told = f"sweep: {turn} of {len(points)}: {in_words(cast('Dict[str, JsonValue]', point.values))}"
            say(told + (f": there, {stamp}" if stamp is not None else ""))
            ran = stamp is None
            if stamp is None:
                stamp = _made(run, point, stack, _without_up_to_date(say), bar)
            done[number] = Swept(point, stamp, ran, _row(run, point, stamp))
            if ran:
                _write_table(run, axes, done)
    _write_table(run, axes, done)
    swept = [done[number] for number in range(len(points))]
    _draw(run, axes, swept)
    if any(one.ran for one in swept):
        last = max(run.records_of("simulate"))
        say(f"sweep: later commands take options that they are not given from the last simulation, {last}")
    return swept


def _without_up_to_date(say: Say) -> Say:
    def tell(message: str) -> None:
        if not message.endswith(": up to date"):
            say(message)

    return tell


def _made(
    run: RunDirectory, point: Point, stack: ExitStack, say: Say, bar: Callable[[str], ContextManager[Progress]]
) -> str:
    """Make the simulation of a point; the Dask client, if any, stays open for the next point."""
    from snnb.cluster.connect import connected

    bring_up_to_date(run, parse.KIND.name, point.given, say=say, bar=bar)
    params = simulate.resolve(run, point.given.get(simulate.KIND.name, {}))
    shared = params.workers, params.scheduler
    if shared != (1, None):
        stack.enter_context(connected(*shared))
    return bring_up_to_date(run, simulate.KIND.name, point.given, say=say, bar=bar)[-1].result.directory.name


def _simulation_of(run: RunDirectory, point: Point) -> Optional[str]:
    """Return the stamp of the run's latest simulation with the options of a point; None without one."""
    asked = [
        train.resolve(run, point.given.get("train", {})),
        parse.resolve(run, point.given.get("parse", {})),
        simulate.resolve(run, point.given.get("simulate", {})),
    ]
    records = cast("Dict[str, SimulationRecord]", run.records_of(simulate.KIND.name))
    for stamp in sorted(records, reverse=True):
        record = records[stamp]
        made = [record.details.training, record.details.conversion, record.params]
        if all(_same(one, other) for one, other in zip(asked, made)) and _is_whole(run, record, asked):
            return stamp
    return None


def _same(one: Options, other: Optional[Options]) -> bool:
    return other is not None and one.model_dump(mode="json") == other.model_dump(mode="json")


def _is_whole(run: RunDirectory, record: SimulationRecord, asked: Sequence[Options]) -> bool:
    """Whether a simulation's files are as they were written, and it was made of what the run holds now.

    Of a network that was trained or converted with other options than the run's present one, only that the data set and
    the model's own file are the present ones can be told.
    """
    present = ["dataset/"]
    for name, params in (("train", asked[0]), ("parse", asked[1])):
        now = run.record_of(name)
        if now is None or not _same(now.params, params):
            break
        if stale_reason(run, now, {}) is not None:
            return False
        present.append(f"{run.directory_of(name)}/")
    read = [file for file in record.inputs if file.path.startswith(tuple(present))]
    if any(input_difference(run, file) for file in (*read, *(record.details.sources or ()))):
        return False
    return all(run.hashes.matches(file) for file in record.outputs)


def _row(run: RunDirectory, point: Point, stamp: str) -> Dict[str, JsonValue]:
    found: Compared = compared_one(run, stamp, cast("Dict[str, SimulationRecord]", run.records_of("simulate"))[stamp])
    low, high = found.snn_interval or (None, None)
    values = (
        stamp,
        found.samples,
        found.ann_accuracy,
        found.snn_accuracy,
        low,
        high,
        found.ann_error,
        found.snn_error,
        found.mean_rate,
        found.synaptic_operations,
    )
    return {**cast("Dict[str, JsonValue]", point.values), **dict(zip(COLUMNS, values))}


def _refuse_foreign_files(run: RunDirectory) -> None:
    """Refuse to replace a table or figure that no sweep has written."""
    table, figure = run.path / TABLE, run.path / FIGURE
    for path in (table, figure):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise UsageError(f"{path} is no plain file, so it is not replaced; move it away")
    written = False
    if table.exists():
        with open_regular(table, follow_links=False) as file:
            written = ",".join(COLUMNS).encode() in file.readline(1 << 16)
    if (table.exists() or figure.exists()) and not written:
        raise UsageError(f"{table if table.exists() else figure} was not written by a sweep; move it away")


def _write_table(run: RunDirectory, axes: Sequence[Axis], done: Dict[int, Swept]) -> None:
    with written_whole(run.path / TABLE, force=True) as temporary, temporary.open("w", newline="") as file:
        titles = [axis.title for axis in axes if axis.title not in COLUMNS]
        rows = csv.DictWriter(file, [*titles, *COLUMNS], lineterminator="\n")
        rows.writeheader()
        rows.writerows(done[number].row for number in sorted(done))


def _draw(run: RunDirectory, axes: Sequence[Axis], swept: Sequence[Swept]) -> None:
    from snnb.report.sweep import GridAxis, plot_sweep

    kind = "accuracy" if swept[0].row["snn_accuracy"] is not None else "mean_squared_error"
    shape = [len(axis.values) for axis in axes]
    measured, analogue = (
        np.array([one.row[f"{network}_{kind}"] for one in swept], float).reshape(shape) for network in ("snn", "ann")
    )
    shown = [GridAxis(axis.title, cast("Sequence[Value]", axis.values)) for axis in axes]
    with written_whole(run.path / FIGURE, force=True) as temporary:
        plot_sweep(temporary, shown, measured, analogue, kind.replace("_", " "))
