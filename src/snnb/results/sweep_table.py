"""The points of a sweep: documents, the file `sweep.csv`, and the table that is printed."""

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Type

from typing_extensions import Annotated

from snnb.core.errors import InputError
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
from snnb.io.files import atomic_path
from snnb.io.text import Document, JsonValue, read_text
from snnb.mapping.quantities import CoreCost, EnergyCost, StepCost
from snnb.results.grid import CHIPS
from snnb.simulation.summary import SimulationSummary

TABLE = "sweep.csv"
# Columns that follow those of the options, by which the file is recognised
MARK = "run,simulation,num_samples,ann_accuracy"


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
    ran: Optional[bool] = (
        None  # whether the simulation was made now; None: the point is from the table
    )
    # Run of the simulation, relative to the run of the sweep: `.` or `sweep/points`
    run: str
    simulation: str  # stamp
    summary: SimulationSummary
    chip: Optional[ChipCost] = None

    @property
    def metrics(self) -> Dict[Key, Value]:
        """All quantities by key."""
        return values(self)


SWEPT = view(
    "num_samples",
    "ann_accuracy",
    "readout_accuracy",
    "snn_accuracy",
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


def write_table(
    path: Path, titles: Sequence[str], points: Sequence[SweepPoint]
) -> None:
    """Write `sweep.csv`: options, run, simulation, and all quantities; `titles` are those of the axes.

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


def read_table(path: Path) -> List[SweepPoint]:
    """Return the points in `sweep.csv`; the values of their options are text.

    Rows that no sweep has written are left out.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path))))
    except (InputError, csv.Error):  # not a table
        return []
    points = []
    for row in rows:
        with suppress(
            KeyError, TypeError, ValueError
        ):  # ValidationError is a ValueError
            points.append(_point_of(row))
    return points


def _point_of(row: Mapping[str, str]) -> SweepPoint:
    """Return the point in a row of the file; raise an error if a cell is missing or invalid."""
    chip = None
    if row.get("chip"):
        costs = _values_of(row, ChipCost)
        chip = ChipCost(chip=row["chip"], note=row["note"] or None, **costs)
    result_columns = {"run", "simulation", "chip", "note"}
    result_columns.update(
        _quantity_columns(SimulationSummary), _quantity_columns(ChipCost)
    )
    return SweepPoint(
        values={
            title: text or None
            for title, text in row.items()
            if title not in result_columns
        },
        run=row["run"],
        simulation=row["simulation"],
        summary=SimulationSummary(**_values_of(row, SimulationSummary)),
        chip=chip,
    )


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


def _values_of(row: Mapping[str, str], kind: Type[Document]) -> Dict[str, Any]:
    """Return the quantities of a kind of document that have a value in a row, by key."""
    values_found: Dict[str, Any] = {}
    for key, quantity in quantities_of(kind).items():
        texts = [
            row[head]
            for head in (_ends_of(key) if quantity.form is percents else [key])
        ]
        if all(texts):
            numbers = [int(text) if text.isdecimal() else float(text) for text in texts]
            values_found[key] = (
                tuple(numbers) if quantity.form is percents else numbers[0]
            )
    return values_found


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
        points, quantities_shown, intervals=[points[0].summary.quoted]
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
