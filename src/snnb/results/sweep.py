"""`sweep`: a simulation for each point of a grid of options, in one run, where stages that points share run once."""

import csv
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, ContextManager, Dict, List, Optional, Sequence, Union, cast

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.progress import Progress, Say, say_nothing
from snnb.io.files import atomic_path, remove
from snnb.io.text import Document, JsonValue
from snnb.pipeline import simulate
from snnb.pipeline.plan import (
    FIGURES_UNCHANGED,
    OTHER_VERSIONS,
    UP_TO_DATE,
    bring_up_to_date,
    check_options,
    effective_options,
    no_bar,
)
from snnb.pipeline.simulations import SimulationRecord, in_words
from snnb.pipeline.stage import Given
from snnb.results.compare import compared_one
from snnb.results.grid import CHIPS, Axis, Point, in_order_of_stages, points_of
from snnb.results.sweep_chips import NO_CHIP, ChipFigures, Places, TrafficOnChip, chip_figures
from snnb.results.sweep_points import SCRATCH, simulate_point, simulation_of
from snnb.rundir.directory import RunDirectory
from snnb.simulation.simulation_settings import refuse_missing_packages

if TYPE_CHECKING:
    from snnb.report.comparison_plots import Value

TABLE, FIGURE = "sweep.csv", "sweep.png"


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


COLUMNS = [name for name in SimulationFigures.model_fields if name not in ("values", "ran")]  # of the table


class Swept(ChipFigures, SimulationFigures):
    """A point of the grid, its simulation, and the cost on its chip."""

    @property
    def row(self) -> Dict[str, JsonValue]:
        """Values of the point and its figures, by column of the table."""
        return {**self.values, **{name: value for name, value in self if name not in ("values", "ran")}}


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
    bar: Callable[..., ContextManager[Progress]] = no_bar,
) -> List[Swept]:
    """Make the simulations of a grid that the run does not have yet; write `sweep.csv` and `sweep.png` into the run.

    The training, the conversion and the options that later commands keep stay as they were before. Only in a run
    without results they become those of the first point.

    After an interruption it continues: a simulation of the run with the options of a point, made of the present data
    set and training, is that point's. The table has the rows of the points that are done.

    Parameters
    ----------
    run : RunDirectory
        The run, locked.
    axes : sequence of Axis
    given : mapping of str to mapping
        Options that are the same for all points, by stage. One that is not given keeps its recorded value.
    say, bar : callable
        As in `bring_up_to_date`.

    Returns
    -------
    list of Swept
        In the order of the grid; the last axis changes fastest.
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
    for point in points:
        params = simulate.resolve(run, point.given.get(simulate.KIND.name, {}))
        try:
            refuse_missing_packages(params)
        except InputError:
            if simulation_of(run, point) is None:
                raise
    done: Dict[int, Swept] = {}
    mapped: Dict[TrafficOnChip, Union[Places, InputError]] = {}
    with ExitStack() as stack:
        for turn, number in enumerate(in_order_of_stages(points, axes), 1):
            point = points[number]
            stamp = simulation_of(run, point)
            message = f"sweep: {turn} of {len(points)}: {in_words(cast('Dict[str, JsonValue]', point.values))}"
            say(message + (f": uses simulation {stamp}" if stamp is not None else ""))
            ran = stamp is None
            if stamp is None:
                stamp = simulate_point(run, point, stack, say=tell, bar=bar)
            chip = NO_CHIP
            if point.hardware is not None:
                chip = chip_figures(run, stamp, point.hardware, mapped, say, bar)
            done[number] = _swept(run, point, stamp, ran, chip)
            if ran or point.hardware is not None:
                _write_table(run, axes, done)
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


def _swept(run: RunDirectory, point: Point, stamp: str, ran: bool, chip: ChipFigures) -> Swept:
    found = compared_one(run, stamp, cast("Dict[str, SimulationRecord]", run.records_of("simulate"))[stamp])
    low, high = found.snn_interval or (None, None)
    return Swept(
        values=point.values,
        ran=ran,
        simulation=stamp,
        samples=found.samples,
        ann_accuracy=found.ann_accuracy,
        readout_accuracy=found.readout_accuracy,
        snn_accuracy=found.snn_accuracy,
        snn_accuracy_low=low,
        snn_accuracy_high=high,
        ann_mean_squared_error=found.ann_error,
        snn_mean_squared_error=found.snn_error,
        spikes_per_step_and_neuron=found.mean_rate,
        synaptic_operations_per_sample=found.synaptic_operations,
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
    from snnb.report.comparison_plots import GridAxis, plot_sweep

    kind = "accuracy" if swept[0].snn_accuracy is not None else "mean_squared_error"
    if CHIPS in swept[0].values:
        _draw_chips(run, swept, kind)
        return
    shape = [len(axis.values) for axis in axes]
    measured, ann = (
        np.array([getattr(one, f"{network}_{kind}") for one in swept], float).reshape(shape)
        for network in ("snn", "ann")
    )
    analogue = None if np.isnan(ann).any() else ann
    intervals = None
    if kind == "accuracy":
        ends = [[one.snn_accuracy_low, one.snn_accuracy_high] for one in swept]
        intervals = np.array(ends, float).reshape(*shape, 2)
    shown = [GridAxis(axis.title, cast("Sequence[Value]", axis.values)) for axis in axes]
    with atomic_path(run.path / FIGURE, force=True) as temporary:
        plot_sweep(temporary, shown, measured, analogue, kind.replace("_", " "), intervals)


def _draw_chips(run: RunDirectory, swept: Sequence[Swept], kind: str) -> None:
    from snnb.report.comparison_plots import OnChip, plot_chips

    points = []
    for one in swept:
        if one.energy_pj is not None:
            others = {name: value for name, value in one.values.items() if name != CHIPS}
            name, measured = Path(one.values[CHIPS]).stem, getattr(one, f"snn_{kind}")
            network_only = one.energy_of == "network"
            points.append(OnChip(name, in_words(others), one.energy_pj, measured, network_only=network_only))
    with atomic_path(run.path / FIGURE, force=True) as temporary:
        plot_chips(temporary, points, kind.replace("_", " "), highest_is_best=kind == "accuracy")
