"""Figures that compare simulations: accuracy over time, a grid of options, and accuracy over energy on chips."""

import itertools
from dataclasses import dataclass
from textwrap import wrap
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from snnb.io.figures import HUES, Figure, label_points, legend_width, plain, styled

FEW = len(HUES)  # lines up to which each has a hue; more have colours of a colour map
MOST_ROWS = 40  # rows of a column of the legend
NAME_LENGTH, NAME_LINE = 200, 44  # characters of a name in the legend of courses, and of a line of it
SPREAD = "seed"  # name of the axis over which a line is the mean
LEAST_SPAN = 0.1  # smallest length of the axis of an accuracy
APART = 4  # points between lines
WIDE = 20  # ratio of the largest to the smallest value from which an axis is logarithmic
MOST_NAMED = 40  # simulations on chips up to which all are named
Value = Union[bool, int, float, str]


@dataclass(frozen=True)
class Course:
    """Accuracy or error of a simulation after each time step."""

    name: str
    steps: Sequence[float]  # accuracy, from 0 to 1, or mean squared error, after each step of 1 ms
    analogue: Optional[float]  # value of the analogue network; None if there is none


@styled
def plot_courses(courses: Sequence[Course], label: str) -> Figure:
    """Plot the accuracy or error of simulations over time, with a dashed line for the analogue network."""
    names = ["\n".join(wrap(plain(course.name, NAME_LENGTH), NAME_LINE)) for course in courses]
    figure, axes, columns = _beside_legend([line for name in names for line in name.split("\n")])
    for course, name, colour in zip(courses, names, _colours(len(courses))):
        axes.plot(np.arange(1, len(course.steps) + 1), course.steps, color=colour, label=name)
        if course.analogue is not None:
            axes.axhline(course.analogue, color=colour, linestyle="dashed", linewidth=0.8)
    axes.set_xlabel("time step")
    axes.set_ylabel(f"{label} (dashed: analogue network)")
    axes.grid()
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=columns)
    return figure


@styled
def plot_sweep(
    axes: Mapping[str, Sequence[Value]],
    measured: np.ndarray,
    analogue: Optional[np.ndarray],
    label: str,
    intervals: Optional[np.ndarray] = None,
) -> Figure:
    """Plot the accuracy or error of a grid of simulations; `axes` are the values of each option.

    The horizontal axis is the option with most numbers. There is a line for each combination of the other options: the
    mean over the seeds, with a band from the minimum to the maximum. Lines are shifted by a few points, so that their
    bars do not overlap.

    `measured` and `analogue`, of shape (*grid), are values of the spiking and of the analogue network, which may be
    missing. `intervals`, of shape (*grid, 2), are the ends of the 95 % interval of each simulation, in [0, 1]. Over
    seeds, the means of the ends are drawn.
    """
    titles, grid = list(axes), list(axes.values())
    # `along` is the horizontal axis; `spread` is the axis over which the mean is taken.
    spread = next((i for i, title in enumerate(titles) if title.endswith(SPREAD) and len(axes) > 1), None)
    free = [i for i in range(len(axes)) if i != spread]
    along = max(free, key=lambda i: (_are_numbers(grid[i]), len(grid[i]), -i))
    others = [i for i in free if i != along]
    order = [*others, *([] if spread is None else [spread]), along]
    values = measured.transpose(order).reshape(-1, 1 if spread is None else len(grid[spread]), len(grid[along]))
    combinations = itertools.product(*([f"{titles[i]} {value}" for value in grid[i]] for i in others))
    names = [", ".join(values_of_line) for values_of_line in combinations]
    ends = None if intervals is None else np.moveaxis(intervals, -1, 0).transpose([0, *(i + 1 for i in order)])
    figure, plot, columns = _beside_legend(names if others else [])
    numbers = _are_numbers(grid[along])
    places = np.array(grid[along] if numbers else range(len(grid[along])), float)  # words are at equal distances
    if not numbers:
        plot.set_xticks(places)
        plot.set_xticklabels([plain(f"{v:g}" if isinstance(v, float) else str(v)) for v in grid[along]])
    elif places.min() > 0 and places.max() / places.min() >= WIDE:
        plot.set_xscale("log")
    colours = _colours(len(names))
    for i, (name, line, colour) in enumerate(zip(names, values, colours)):
        style = {
            "color": colour,
            "marker": "o",
            "markersize": 4,
            "label": plain(name, 60),
            "linestyle": "-" if numbers else "",
        }
        aside = APART * (i - (len(names) - 1) / 2) / 72
        moved = plot.transData + ScaledTranslation(aside, 0, figure.dpi_scale_trans)
        mean, bars = line.mean(axis=0), None
        if ends is not None:
            lower, upper = ends.reshape(2, *values.shape)[:, i].mean(axis=1)
            bars = np.maximum(0, [mean - lower, upper - mean])
        drawn = plot.errorbar(places, mean, bars, elinewidth=1, capsize=2.5, **style)
        for artist in drawn.get_children():  # not in the call: since matplotlib 3.8 the limits then ignore the points
            artist.set_transform(moved)
        if spread is not None:
            plot.fill_between(places, line.min(axis=0), line.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    notes = [] if ends is None else ["bars: 95 % intervals"]
    if analogue is not None:
        low, high = float(analogue.min()), float(analogue.max())
        plot.axhspan(low, high, color="black", alpha=0.6 if low == high else 0.12, linewidth=0.8, linestyle="dashed")
        notes.insert(0, "grey: analogue network")
    plot.set_xlabel(plain(titles[along]))
    plot.set_ylabel(label)
    plot.set_ylim(*y_limits(values, analogue, intervals))
    plot.set_title("; ".join([*notes, *([] if spread is None else ["lines and bands: mean and range over seeds"])]))
    plot.grid()
    if others:
        plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=columns)
    return figure


def y_limits(
    measured: np.ndarray, analogue: Optional[np.ndarray], intervals: Optional[np.ndarray]
) -> Tuple[float, float]:
    """Return the limits of the vertical axis: from 0 for an error, around all intervals for an accuracy.

    The axis of an accuracy spans at least `LEAST_SPAN`, so that a difference within the intervals does not look large.
    """
    values = np.concatenate([np.ravel(array) for array in (measured, analogue, intervals) if array is not None])
    low, high = float(values.min()), float(values.max())
    if intervals is None:
        return 0.0, 1.08 * high or 1.0
    room = 0.06 * max(high - low, LEAST_SPAN)
    high = min(1 + room / 3, high + room)
    return max(-room / 3, min(low - room, high - LEAST_SPAN)), high


def _are_numbers(values: Sequence[Value]) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


class OnChip(NamedTuple):
    """A simulation on a chip."""

    chip: str
    options: str
    energy_pj: float  # energy of a sample
    measured: float
    network_only: bool = False  # whether the energy is without neurons and messages


class Simulated(NamedTuple):
    """A simulation."""

    options: str
    operations: float  # synaptic operations of a sample
    measured: float


def pareto_front(cost: np.ndarray, loss: np.ndarray) -> List[int]:
    """Return the indices of the Pareto-optimal points, by cost; `cost` and `loss`, (points,), are minimised."""
    front: List[int] = []
    for point in np.lexsort((loss, cost)).tolist():
        if not front or loss[point] < loss[front[-1]]:
            front.append(point)
    return front


@styled
def plot_chips(points: Sequence[OnChip], label: str, *, highest_is_best: bool) -> Figure:
    """Plot a point for each simulation and chip, in a colour for each chip, and the Pareto front.

    Chips without energies of neurons and messages are hollow points, which are in the front only without other chips.
    There are no points if the network fits on no chip.
    """
    chips = sorted({point.chip for point in points})
    figure, plot, columns = _beside_legend(["Pareto front", *(f"{chip} (network only)" for chip in chips)])
    energy, measured = (np.array([getattr(point, name) for point in points]) for name in ("energy_pj", "measured"))
    partial = np.array([point.network_only for point in points], bool)
    compared = np.flatnonzero(~partial if not partial.all() else partial)
    front = compared[pareto_front(energy[compared], (-measured if highest_is_best else measured)[compared])]
    _draw_front(plot, energy[front], measured[front])
    for i, chip in enumerate(chips):
        on_chip = [k for k, point in enumerate(points) if point.chip == chip]
        hollow = points[on_chip[0]].network_only
        fill = {"fillstyle": "none" if hollow else "full", "label": plain(chip) + (" (network only)" if hollow else "")}
        plot.plot(energy[on_chip], measured[on_chip], "o", color=HUES[i % len(HUES)], markersize=5, **fill)
    if points and energy.min() > 0:
        plot.set_xscale("log")
    _label_axes(plot, "energy per sample (pJ)", label, columns)
    if len(points) <= MOST_NAMED:
        colours = [HUES[chips.index(point.chip) % len(HUES)] for point in points]
        label_points(plot, energy, measured, [plain(point.options, 40) for point in points], colours)
    return figure


@styled
def plot_operations(points: Sequence[Simulated], label: str, *, highest_is_best: bool) -> Figure:
    """Plot a point for each simulation, and the Pareto front of accuracy or error over synaptic operations."""
    figure, plot, columns = _beside_legend(["Pareto front", "simulation"])
    operations, measured = (np.array([getattr(point, name) for point in points]) for name in ("operations", "measured"))
    front = pareto_front(operations, -measured if highest_is_best else measured)
    _draw_front(plot, operations[front], measured[front])
    plot.plot(operations, measured, "o", color=HUES[0], markersize=5, label="simulation")
    if operations.min() > 0 and operations.max() >= WIDE * operations.min():
        plot.set_xscale("log")
    _label_axes(plot, "synaptic operations per sample", label, columns)
    if len(points) <= MOST_NAMED:
        names = [plain(point.options, 40) for point in points]
        label_points(plot, operations, measured, names, [HUES[0]] * len(points))
    return figure


def _draw_front(plot: Axes, cost: np.ndarray, measured: np.ndarray) -> None:
    """Draw a ring around each Pareto-optimal point, and a line that joins them."""
    rings = {"marker": "o", "markersize": 10, "fillstyle": "none", "linewidth": 1, "linestyle": "dashed"}
    plot.plot(cost, measured, color="black", label="Pareto front", **rings)


def _beside_legend(lines: Sequence[str]) -> Tuple[Figure, Axes, int]:
    """Return a figure with room on the right for a legend of these lines, its axes, and the columns of the legend."""
    columns, rows = -(-len(lines) // MOST_ROWS), min(len(lines), MOST_ROWS)
    figure = Figure(figsize=(6.5 + legend_width(lines, columns), max(4.0, 0.9 + 0.19 * rows)))
    return figure, figure.subplots(), columns


def _label_axes(plot: Axes, x_label: str, y_label: str, legend_columns: int) -> None:
    """Label the axes, and draw a grid and the legend on the right."""
    plot.set_xlabel(x_label)
    plot.set_ylabel(y_label)
    plot.grid()
    plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=legend_columns)


def _colours(lines: int) -> Sequence[object]:
    """Return a colour for each line."""
    return HUES[:lines] if lines <= FEW else list(matplotlib.colormaps["viridis"](np.linspace(0, 0.95, lines)))
