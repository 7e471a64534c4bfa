"""Figures that compare simulations.

They show accuracy over time, a grid of options, accuracy over energy on chips, and
accuracy over synaptic operations.
"""

import itertools
from dataclasses import dataclass
from textwrap import wrap
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.transforms import ScaledTranslation

from snnb.io.figures import HUES, Figure, label_points, legend_width, plain, styled

FEW = len(HUES)  # lines up to which each has a hue; more have colours of a colour map
MOST_ROWS = 40  # rows of a column of the legend
# Characters of a name in the legend of courses, and of a line of it
NAME_LENGTH = 200
NAME_LINE = 44
SPREAD = "seed"  # name of the axis over which a line is the mean
LEAST_SPAN = 0.1  # smallest length of the axis of an accuracy
APART = 4  # points between lines
POINTS_PER_INCH = 72
# Ratio of the largest to the smallest value from which an axis is logarithmic
WIDE = 20
MOST_NAMED = 40  # simulations on chips up to which all are named
Value = Union[bool, int, float, str]


@dataclass(frozen=True)
class Course:
    """Accuracy or error of a simulation after each time step."""

    name: str
    # Accuracy, from 0 to 1, or mean squared error, after each step of 1 ms
    steps: Sequence[float]
    analogue: Optional[float]  # value of the analogue network; None if there is none


@styled
def plot_courses(courses: Sequence[Course], label: str) -> Figure:
    """Plot the accuracy or error of simulations over time.

    A dashed line is the value of the analogue network.
    """
    names = []
    legend_lines: List[str] = []
    for course in courses:
        name_lines = wrap(plain(course.name, NAME_LENGTH), NAME_LINE)
        name = "\n".join(name_lines)
        names.append(name)
        legend_lines.extend(name.split("\n"))
    figure, axes, legend_columns = _beside_legend(legend_lines)
    for course, name, colour in zip(courses, names, _colours(len(courses))):
        steps = np.arange(1, len(course.steps) + 1)
        axes.plot(steps, course.steps, color=colour, label=name)
        if course.analogue is not None:
            line = {"color": colour, "linestyle": "dashed", "linewidth": 0.8}
            axes.axhline(course.analogue, **line)
    _label_axes(
        axes,
        "time step",
        f"{label} (dashed: analogue network)",
        legend_columns,
    )
    return figure


class GridLines:
    """Division of a grid of simulations into lines, and of a line into points.

    The horizontal axis, `along`, is the option with most numbers. A line is a
    combination of the values of the other options, but for the seeds, over which it is
    the mean.

    Attributes
    ----------
    x_title, x_values
        Name of the option along the horizontal axis, and its values.
    names
        Name of each line: the options that it combines.
    has_seeds
        Whether a line is a mean over seeds.
    has_several
        Whether the grid has options apart from the horizontal axis and the seeds.
    """

    def __init__(self, options: Mapping[str, Sequence[Value]]) -> None:
        titles = list(options)
        grid = list(options.values())
        seed_axes: List[int] = []
        if len(options) > 1:
            seed_axes = [i for i, t in enumerate(titles) if t.endswith(SPREAD)][:1]
        free_axes = [i for i in range(len(grid)) if i not in seed_axes]
        along = max(free_axes, key=lambda i: (_are_numbers(grid[i]), len(grid[i]), -i))
        line_axes = [i for i in free_axes if i != along]
        self._axes = [*line_axes, *seed_axes, along]
        self._seeds = len(grid[seed_axes[0]]) if seed_axes else 1
        self.has_seeds = bool(seed_axes)
        self.has_several = bool(line_axes)
        self.x_title = titles[along]
        self.x_values = grid[along]
        labels = []
        for axis in line_axes:
            labels.append([f"{titles[axis]} {value}" for value in grid[axis]])
        self.names = [", ".join(parts) for parts in itertools.product(*labels)]

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """Return values of shape (*grid) by line: (lines, seeds, points)."""
        shape = (-1, self._seeds, len(self.x_values))
        return values.transpose(self._axes).reshape(shape)


@styled
def plot_sweep(
    options: Mapping[str, Sequence[Value]],
    quality: np.ndarray,
    analogue: Optional[np.ndarray],
    label: str,
    intervals: Optional[np.ndarray] = None,
) -> Figure:
    """Plot the accuracy or error of a grid of simulations.

    `options` are the values of each option. The horizontal axis is the option with most
    numbers. There is a line for each combination of the other options: the mean over
    the seeds, with a band from the minimum to the maximum. Lines are shifted by a few
    points, so that their bars do not overlap.

    `quality` and `analogue`, of shape (*grid), are values of the spiking and of the
    analogue network; `analogue` can be None. `intervals`, of shape (*grid, 2), are the
    ends of the 95 % interval of each simulation, in [0, 1], or None. Over seeds, the
    means of the ends are drawn.
    """
    lines = GridLines(options)
    figure, plot, legend_columns = _beside_legend(
        lines.names if lines.has_several else [],
    )
    x = _scale_x_axis(plot, lines.x_values)
    values = lines.arrange(quality)
    bars = _error_bars(lines, values, intervals)
    colours = _colours(len(lines.names))
    middle = (len(lines.names) - 1) / 2
    line_style = "-" if _are_numbers(lines.x_values) else ""
    style = {"marker": "o", "markersize": 4, "linestyle": line_style}
    for i, (name, colour) in enumerate(zip(lines.names, colours)):
        mean = values[i].mean(axis=0)
        line = plot.errorbar(
            x,
            mean,
            bars[i],
            elinewidth=1,
            capsize=2.5,
            color=colour,
            label=plain(name, 60),
            **style,
        )
        _shift(line, plot, APART * (i - middle))
        if lines.has_seeds:
            low = values[i].min(axis=0)
            high = values[i].max(axis=0)
            plot.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    notes = []
    if analogue is not None:
        _draw_analogue(plot, float(analogue.min()), float(analogue.max()))
        notes.append("grey: analogue network")
    if intervals is not None:
        notes.append("bars: 95 % intervals")
    if lines.has_seeds:
        notes.append("lines and bands: mean and range over seeds")
    plot.set_title("; ".join(notes))
    plot.set_xlabel(plain(lines.x_title))
    plot.set_ylabel(label)
    plot.set_ylim(*y_limits(quality, analogue, intervals))
    plot.grid()
    if lines.has_several:
        _draw_legend(plot, legend_columns)
    return figure


def _shift(line: ErrorbarContainer, plot: Axes, points: float) -> None:
    """Move a line with its markers and bars to the right by a number of points."""
    dpi_scale = plot.figure.dpi_scale_trans
    shift = ScaledTranslation(points / POINTS_PER_INCH, 0, dpi_scale)
    # Not in the call of `errorbar`: since matplotlib 3.8 the limits then ignore the
    # points.
    for artist in line.get_children():
        artist.set_transform(plot.transData + shift)


def _error_bars(
    lines: GridLines,
    values: np.ndarray,
    intervals: Optional[np.ndarray],
) -> List[Optional[np.ndarray]]:
    """Return the lengths of the bars below and above the points of each line.

    They are float64, shape (2, points), or None without intervals; see `plot_sweep`.
    """
    if intervals is None:
        return [None] * len(values)
    bars: List[Optional[np.ndarray]] = []
    lower_ends = lines.arrange(intervals[..., 0]).mean(axis=1)
    upper_ends = lines.arrange(intervals[..., 1]).mean(axis=1)
    for mean, lower, upper in zip(values.mean(axis=1), lower_ends, upper_ends):
        bars.append(np.maximum(0, [mean - lower, upper - mean]))
    return bars


def _scale_x_axis(plot: Axes, values: Sequence[Value]) -> np.ndarray:
    """Set the scale and the ticks of the horizontal axis; return the places of values.

    Words are at equal distances.
    """
    if not _are_numbers(values):
        words = []
        for value in values:
            word = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(plain(word))
        x = np.arange(len(values), dtype=float)
        plot.set_xticks(x)
        plot.set_xticklabels(words)
        return x
    x = np.array(values, float)
    if x.min() > 0 and x.max() / x.min() >= WIDE:
        plot.set_xscale("log")
    return x


def _draw_analogue(plot: Axes, low: float, high: float) -> None:
    """Draw the range of the values of analogue networks; a line if they are equal."""
    opacity = 0.6 if low == high else 0.12
    style = {"color": "black", "linewidth": 0.8, "linestyle": "dashed"}
    plot.axhspan(low, high, alpha=opacity, **style)


def y_limits(
    quality: np.ndarray,
    analogue: Optional[np.ndarray],
    intervals: Optional[np.ndarray],
) -> Tuple[float, float]:
    """Return the limits of the vertical axis.

    They begin at 0 for an error, and are around all intervals for an accuracy. The axis
    of an accuracy spans at least `LEAST_SPAN`, so that a difference within the
    intervals does not look large.
    """
    arrays = [quality]
    for array in (analogue, intervals):
        if array is not None:
            arrays.append(array)
    values = np.concatenate([np.ravel(array) for array in arrays])
    low = float(values.min())
    high = float(values.max())
    if intervals is None:
        return 0.0, 1.08 * high or 1.0
    room = 0.06 * max(high - low, LEAST_SPAN)
    top = min(1 + room / 3, high + room)
    bottom = max(-room / 3, min(low - room, top - LEAST_SPAN))
    return bottom, top


def _are_numbers(values: Sequence[Value]) -> bool:
    numbers = [value for value in values if isinstance(value, (int, float))]
    truths = [value for value in values if isinstance(value, bool)]
    return len(numbers) == len(values) and not truths


class OnChip(NamedTuple):
    """A simulation on a chip."""

    chip: str
    options: str
    energy_pj: float  # energy of a sample
    quality: float  # accuracy or error
    network_only: bool = False  # whether the energy is without neurons and messages


class Simulated(NamedTuple):
    """A simulation."""

    options: str
    operations: float  # synaptic operations of a sample
    quality: float  # accuracy or error


def pareto_front(cost: np.ndarray, loss: np.ndarray) -> List[int]:
    """Return the indices of the Pareto-optimal points, by cost.

    `cost` and `loss`, (points,), are minimised.
    """
    front: List[int] = []
    for point in np.lexsort((loss, cost)).tolist():
        if not front or loss[point] < loss[front[-1]]:
            front.append(point)
    return front


def _front_candidates(points: Sequence[OnChip]) -> np.ndarray:
    """Return the indices of the points that may be in the front: int64.

    Points of the network's energy alone may be there only without others.
    """
    network_only = np.array([point.network_only for point in points], bool)
    return np.flatnonzero(network_only if network_only.all() else ~network_only)


@styled
def plot_chips(
    points: Sequence[OnChip],
    label: str,
    *,
    highest_is_best: bool,
) -> Figure:
    """Plot a point for each simulation and chip, and the Pareto front.

    Chips differ in colour. Chips without energies of neurons and messages are hollow
    points, which are in the front only without other chips. There are no points if the
    network fits on no chip.
    """
    chips = sorted({point.chip for point in points})
    legend_lines = ["Pareto front", *(f"{chip} (network only)" for chip in chips)]
    figure, plot, legend_columns = _beside_legend(legend_lines)
    energy = np.array([point.energy_pj for point in points])
    quality = np.array([point.quality for point in points])
    loss = -quality if highest_is_best else quality
    candidates = _front_candidates(points)
    front = candidates[pareto_front(energy[candidates], loss[candidates])]
    _draw_front(plot, energy[front], quality[front])
    colour_by_chip = {chip: HUES[i % len(HUES)] for i, chip in enumerate(chips)}
    for chip, colour in colour_by_chip.items():
        on_chip = [i for i, point in enumerate(points) if point.chip == chip]
        is_hollow = points[on_chip[0]].network_only
        plot.plot(
            energy[on_chip],
            quality[on_chip],
            "o",
            label=plain(chip) + (" (network only)" if is_hollow else ""),
            color=colour,
            markersize=5,
            fillstyle="none" if is_hollow else "full",
        )
    if points and energy.min() > 0:
        plot.set_xscale("log")
    _label_axes(plot, "energy per sample (pJ)", label, legend_columns)
    if len(points) <= MOST_NAMED:
        names = [plain(point.options, 40) for point in points]
        colours = [colour_by_chip[point.chip] for point in points]
        label_points(plot, energy, quality, names, colours)
    return figure


@styled
def plot_operations(
    points: Sequence[Simulated],
    label: str,
    *,
    highest_is_best: bool,
) -> Figure:
    """Plot accuracy or error over synaptic operations, and the Pareto front.

    There is a point for each simulation.
    """
    figure, plot, legend_columns = _beside_legend(["Pareto front", "simulation"])
    operations = np.array([point.operations for point in points])
    quality = np.array([point.quality for point in points])
    front = pareto_front(operations, -quality if highest_is_best else quality)
    _draw_front(plot, operations[front], quality[front])
    style = {"color": HUES[0], "markersize": 5, "label": "simulation"}
    plot.plot(operations, quality, "o", **style)
    if operations.min() > 0 and operations.max() >= WIDE * operations.min():
        plot.set_xscale("log")
    _label_axes(plot, "synaptic operations per sample", label, legend_columns)
    if len(points) <= MOST_NAMED:
        names = [plain(point.options, 40) for point in points]
        label_points(plot, operations, quality, names, [HUES[0]] * len(points))
    return figure


def _draw_front(plot: Axes, cost: np.ndarray, quality: np.ndarray) -> None:
    """Draw a ring around each Pareto-optimal point, and a line that joins them."""
    rings = {
        "marker": "o",
        "markersize": 10,
        "fillstyle": "none",
        "linewidth": 1,
        "linestyle": "dashed",
    }
    plot.plot(cost, quality, color="black", label="Pareto front", **rings)


def _beside_legend(lines: Sequence[str]) -> Tuple[Figure, Axes, int]:
    """Return a figure with room on the right for a legend of these lines.

    Also return its axes, and the number of columns of the legend.
    """
    columns = -(-len(lines) // MOST_ROWS)
    rows = min(len(lines), MOST_ROWS)
    width = 6.5 + legend_width(lines, columns)
    height = max(4.0, 0.9 + 0.19 * rows)
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(), columns


def _label_axes(plot: Axes, x_label: str, y_label: str, legend_columns: int) -> None:
    """Label the axes, and draw a grid and the legend on the right."""
    plot.set_xlabel(x_label)
    plot.set_ylabel(y_label)
    plot.grid()
    _draw_legend(plot, legend_columns)


def _draw_legend(plot: Axes, columns: int) -> None:
    """Draw the legend on the right."""
    plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=columns)


def _colours(lines: int) -> Sequence[object]:
    """Return a colour for each line."""
    if lines <= FEW:
        return HUES[:lines]
    return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.95, lines)))
