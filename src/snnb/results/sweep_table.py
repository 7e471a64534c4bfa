"""The points of a sweep: documents, the files `sweep.json` and `sweep.csv`, and the table that is printed."""

import csv
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Type

from typing_extensions import Annotated

from snnb.core.quantities import (
    Key,
    Value,
    columns,
    legend,
    percents,
    quantities_of,
    values,
    view,
)
from snnb.io.atomic import atomic_path
from snnb.io.text import Document, JsonValue
from snnb.mapping.quantities import CoreCost, EnergyCost, StepCost
from snnb.results.grid import CHIPS
from snnb.simulation.summary import SimulationSummary

POINTS_FILE = "sweep.json"
TABLE = "sweep.csv"
# By file that a sweep writes: a text near its begin, by which it is recognised
MARKS = {
    POINTS_FILE: '"sweep_points"',
    TABLE: "run,simulation,num_samples,ann_accuracy",  # columns after the options
}


COSTS = {
    **quantities_of(CoreCost),
    **quantities_of(EnergyCost),
    **quantities_of(StepCost),
}


class ChipCost(Document):
    """Cost of a simulation on a chip. Without cores, it does not fit; `note` has the reason."""

    chip: str  # its name, see `label_of_chip`
    note: Optional[str] = None
    cores: Annotated[Optional[int], COSTS["cores"]] = None
    chips: Annotated[Optional[int], COSTS["chips"]] = None
    energy_pj: Annotated[Optional[float], COSTS["energy_pj"]] = None
    network_energy_pj: Annotated[Optional[float], COSTS["network_energy_pj"]] = None
    sample_ns: Annotated[Optional[float], COSTS["sample_ns"]] = None
    sample_latency_ns: Annotated[Optional[float], COSTS["sample_latency_ns"]] = None


class SweepPoint(Document):
    """A point of the grid: its simulation, and the cost on its chip."""

    values: Dict[str, JsonValue]  # values of the options by title of the axis
    # Whether the simulation was made now; None: the point is from the file
    ran: Optional[bool] = None
    # Run of the simulation, relative to the run of the sweep: `.` or `sweep/points`
    run: str
    simulation: str  # stamp
    summary: SimulationSummary
    chip: Optional[ChipCost] = None

    @property
    def metrics(self) -> Dict[Key, Value]:
        """All quantities by key."""
        return values(self)


class SweepPoints(Document):
    """Content of `sweep.json`."""

    sweep_points: List[SweepPoint]


SWEPT = view(
    "num_samples",
    "ann_accuracy",
    "quoted_accuracy",
    "ann_mean_squared_error",
    "snn_mean_squared_error",
    "mean_rate",
    "synaptic_operations_per_sample",
    "cores",
    "chips",
    "energy_pj",
    "network_energy_pj",
    "sample_ns",
    "sample_latency_ns",
    of=[SweepPoint],
)


def write_points(path: Path, points: Sequence[SweepPoint]) -> None:
    """Write `sweep.json`, which other commands read."""
    stored_points = [point.model_copy(update={"ran": None}) for point in points]
    with atomic_path(path, force=True) as temporary:
        SweepPoints(sweep_points=stored_points).write(temporary)


def write_table(
    path: Path, titles: Sequence[str], points: Sequence[SweepPoint]
) -> None:
    """Write `sweep.csv` for people: options, run, simulation, and all quantities; `titles` are those of the axes.

    An interval has two columns: `snn_accuracy_interval_95_low` and `_high`.
    """
    heads = [*titles, "run", "simulation", *_quantity_columns(SimulationSummary)]
    if CHIPS in titles:
        heads += ["chip", "note", *_quantity_columns(ChipCost)]
    with atomic_path(path, force=True) as temporary, temporary.open(
        "w", newline="", encoding="utf-8"
    ) as file:
        writer = csv.DictWriter(file, heads, lineterminator="\n")
        writer.writeheader()
        for point in points:
            row = {
                **point.values,
                "run": point.run,
                "simulation": point.simulation,
                **_cells(point.summary),
            }
            if point.chip is not None:
                row.update(
                    chip=point.chip.chip, note=point.chip.note, **_cells(point.chip)
                )
            writer.writerow(row)


def _ends_of(key: str) -> List[str]:
    """Return the columns of an interval."""
    return [f"{key}_low", f"{key}_high"]


def _quantity_columns(kind: Type[Document]) -> List[str]:
    """Return the columns of the quantities of a kind of document."""
    heads: List[str] = []
    for key, quantity in quantities_of(kind).items():
        heads += _ends_of(key) if quantity.form is percents else [key]
    return heads


def _cells(document: Document) -> Dict[str, JsonValue]:
    """Return the values of a document by column."""
    cells: Dict[str, JsonValue] = {}
    for key, value in values(document).items():
        cells.update(
            zip(_ends_of(key), value) if isinstance(value, tuple) else {key: value}
        )
    return cells


class PointTable(NamedTuple):
    """The points of a sweep as a table without empty columns."""

    head: List[str]
    rows: List[List[str]]
    options: (
        int  # number of first columns, the chip and the options; then comes the stamp
    )
    legend: str  # what the heads mean


def point_table(points: Sequence[SweepPoint]) -> PointTable:
    """Return the points as a table."""
    titles = option_titles(points)
    head = [*titles, "simulation"]
    rows = [
        [_option_text(point, title) for title in titles] + [point.simulation]
        for point in points
    ]
    with_value = {key for point in points for key in values(point)}
    if "samples" in titles:
        with_value.discard("num_samples")
    quantities_shown = {
        key: quantity for key, quantity in SWEPT.items() if key in with_value
    }
    quantity_heads, cells = columns(
        points, quantities_shown, intervals=["quoted_accuracy"]
    )
    return PointTable(
        head=[*head, *quantity_heads],
        rows=[[*row, *row_cells] for row, row_cells in zip(rows, cells)],
        options=len(titles),
        legend=legend(points, quantities_shown),
    )


def option_titles(points: Sequence[SweepPoint]) -> List[str]:
    """Return the columns of the options of the grid; the chip comes first.

    A chip has its name, unless two values of `hardware` are files of chips with equal
    names.
    """
    titles = [title for title in points[0].values if title != CHIPS]
    if CHIPS not in points[0].values:
        return titles
    chips = {
        point.values[CHIPS]: point.chip.chip
        for point in points
        if point.chip is not None
    }
    return ["chip" if len({*chips.values()}) == len(chips) else CHIPS, *titles]


def option_of(point: SweepPoint, title: str) -> JsonValue:
    """Return the value of an option of a point, or its `chip`, by title of the column."""
    if title == "chip":
        return None if point.chip is None else point.chip.chip
    return point.values[title]


def _option_text(point: SweepPoint, title: str) -> str:
    value = option_of(point, title)
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
