"""Figures of a sweep, drawn from its points."""

import itertools
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.io.figures import Figure
from snnb.io.text import JsonValue
from snnb.plots import comparison
from snnb.plots.comparison import OnChip, Simulated, Value
from snnb.results.compare import in_words
from snnb.results.grid import CHIPS
from snnb.results.sweep_table import SweepPoint, option_of, option_titles


class QuotedQuality(NamedTuple):
    """Accuracy or mean squared error to quote of a point, and that of the trained network."""

    value: float
    interval: Optional[Tuple[float, float]]  # 95 % interval; None for an error
    trained: Optional[float]


def quality_of(point: SweepPoint) -> QuotedQuality:
    """Return the accuracy or the error to quote of a point."""
    summary = point.summary
    if summary.quoted_accuracy is not None:
        interval = summary.quoted_accuracy_interval_95
        return QuotedQuality(summary.quoted_accuracy, interval, summary.ann_accuracy)
    assert summary.snn_mean_squared_error is not None
    error = summary.snn_mean_squared_error
    return QuotedQuality(error, None, summary.ann_mean_squared_error)


def _axis_label(points: Sequence[SweepPoint]) -> str:
    return "accuracy" if points[0].summary.classifies else "mean squared error"


def plot_points(
    points: Sequence[SweepPoint], titles: Sequence[str]
) -> Optional[Figure]:
    """Plot the accuracy or error over the options `titles`, or over the energy if chips are one of them.

    Return None if points of the grid are missing.
    """
    if CHIPS in titles:
        return _plot_chips(points)
    options = [
        tuple(_value(point.values[title]) for title in titles) for point in points
    ]
    grid = {
        title: list(dict.fromkeys(column))
        for title, column in zip(titles, zip(*options))
    }
    if options != list(itertools.product(*grid.values())):
        return None
    shape = [len(values) for values in grid.values()]
    qualities = [quality_of(point) for point in points]
    measured_quality = np.array([quality.value for quality in qualities]).reshape(shape)
    trained_quality = np.array(
        [quality.trained for quality in qualities], float
    ).reshape(shape)
    intervals = None
    if qualities[0].interval is not None:
        intervals = np.array(
            [quality.interval for quality in qualities], float
        ).reshape(*shape, 2)
    label = _axis_label(points)
    return comparison.plot_sweep(
        grid,
        measured_quality,
        None if np.isnan(trained_quality).any() else trained_quality,
        label,
        intervals,
    )


def plot_operations(points: Sequence[SweepPoint]) -> Figure:
    """Plot the accuracy or error over the synaptic operations per sample, a point for each simulation."""
    simulations: Dict[Tuple[str, str], Simulated] = {}
    for point in points:
        operations = point.summary.synaptic_operations_per_sample
        simulated_point = Simulated(
            _options(point), operations, quality_of(point).value
        )
        simulations[point.run, point.simulation] = simulated_point
    label = _axis_label(points)
    return comparison.plot_operations(
        list(simulations.values()), label, highest_is_best=label == "accuracy"
    )


def _plot_chips(points: Sequence[SweepPoint]) -> Figure:
    chip_title = option_titles(points)[0]
    on_chips: List[OnChip] = []
    for point in points:
        cost = point.chip
        if cost is None:
            continue
        energy = cost.network_energy_pj if cost.energy_pj is None else cost.energy_pj
        if energy is not None:
            on_chips.append(
                OnChip(
                    chip=str(option_of(point, chip_title)),
                    options=_options(point),
                    energy_pj=energy,
                    quality=quality_of(point).value,
                    network_only=cost.energy_pj is None,
                )
            )
    label = _axis_label(points)
    return comparison.plot_chips(on_chips, label, highest_is_best=label == "accuracy")


def _options(point: SweepPoint) -> str:
    return in_words(
        {
            title: _value(value)
            for title, value in point.values.items()
            if title != CHIPS
        }
    )


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
