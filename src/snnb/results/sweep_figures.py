"""Figures of a sweep, drawn from the rows of its table."""

import itertools
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from snnb.io.figures import Figure
from snnb.io.text import JsonValue
from snnb.plots import comparison
from snnb.plots.comparison import OnChip, Simulated, Value
from snnb.results.compare import Interval, in_words
from snnb.results.grid import CHIPS

Row = Mapping[str, JsonValue]  # a point of the sweep: options and figures by column of the table


class Quality(NamedTuple):
    """Accuracy or mean squared error of a point: of the read-out if the spikes of the output are random."""

    name: str  # column of the table
    value: float
    interval: Optional[Interval]  # 95 % interval; None for an error


def quality_of(point: Row) -> Quality:
    """Return the accuracy or the error to quote of a point."""
    for name in ("readout_accuracy", "snn_accuracy"):
        low, high = point[f"{name}_low"], point[f"{name}_high"]
        if low is not None and high is not None:
            return Quality(name, point[name], (low, high))
    return Quality("snn_mean_squared_error", point["snn_mean_squared_error"], None)


def label_of(point: Row) -> str:
    """Return the label of the axis of `quality_of`: `accuracy` or `mean squared error`."""
    return quality_of(point).name.partition("_")[2].replace("_", " ")


def plot_points(points: Sequence[Row], titles: Sequence[str]) -> Optional[Figure]:
    """Plot the accuracy or error over the options `titles`, or over the energy if chips are one of them.

    Return None if points of the grid are missing.
    """
    if CHIPS in titles:
        return _plot_chips(points, titles)
    grid = {title: list(dict.fromkeys(_value(point[title]) for point in points)) for title in titles}
    rows = [tuple(_value(point[title]) for title in titles) for point in points]
    if rows != list(itertools.product(*grid.values())):
        return None
    shape = [len(values) for values in grid.values()]
    qualities = [quality_of(point) for point in points]
    measured = np.array([quality.value for quality in qualities]).reshape(shape)
    label = label_of(points[0])
    trained = np.array([point[f"ann_{label.replace(' ', '_')}"] for point in points], float).reshape(shape)
    analogue = None if np.isnan(trained).any() else trained
    intervals = None
    if qualities[0].interval is not None:
        intervals = np.array([quality.interval for quality in qualities], float).reshape(*shape, 2)
    return comparison.plot_sweep(grid, measured, analogue, label, intervals)


def plot_operations(points: Sequence[Row], titles: Sequence[str]) -> Figure:
    """Plot the accuracy or error over the synaptic operations per sample, a point for each simulation."""
    simulations: Dict[object, Simulated] = {}
    for point in points:
        simulations[point["run"], point["simulation"]] = Simulated(
            _options(point, titles), point["synaptic_operations_per_sample"], quality_of(point).value
        )
    label = label_of(points[0])
    return comparison.plot_operations(list(simulations.values()), label, highest_is_best=label == "accuracy")


def _plot_chips(points: Sequence[Row], titles: Sequence[str]) -> Figure:
    chips = {point[CHIPS]: point["chip"] for point in points}
    column = "chip" if len({*chips.values()}) == len(chips) else CHIPS
    on_chips: List[OnChip] = []
    for point in points:
        if point["energy_pj"] is not None:
            on_chips.append(
                OnChip(
                    chip=str(point[column]),
                    options=_options(point, titles),
                    energy_pj=point["energy_pj"],
                    measured=quality_of(point).value,
                    network_only=point["energy_of"] == "network",
                )
            )
    label = label_of(points[0])
    return comparison.plot_chips(on_chips, label, highest_is_best=label == "accuracy")


def _options(point: Row, titles: Sequence[str]) -> str:
    return in_words({title: _value(point[title]) for title in titles if title != CHIPS})


def _value(value: Union[JsonValue, None]) -> Value:
    """Return the value of an option, which the table holds as text, as a number if it is one."""
    if not isinstance(value, str):
        return "none" if value is None else value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
