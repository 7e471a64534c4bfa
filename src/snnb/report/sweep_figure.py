"""The simulations of a grid of options, in one figure."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from snnb.io.colours import HUES
from snnb.io.figures import legend_width, plain, save, styled

FEW = len(HUES)  # lines whose colours are told apart by hue
MOST_ROWS = 40  # of a column of the legend
SPREAD = "seed"  # the axis over which a line is the mean
LEAST_SPAN = 0.1  # of the axis of an accuracy
APART = 4  # points between lines
WIDE = 20  # ratio of the largest to the smallest value from which an axis is logarithmic
Value = Union[bool, int, float, str]


@dataclass(frozen=True)
class GridAxis:
    """An option and its values."""

    title: str
    values: Sequence[Value]

    @property
    def is_number(self) -> bool:
        """Whether its values have places on an axis."""
        return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values)


@styled
def plot_sweep(
    path: Path,
    axes: Sequence[GridAxis],
    measured: np.ndarray,
    analogue: np.ndarray,
    label: str,
    intervals: Optional[np.ndarray] = None,
) -> None:
    """Plot what a grid of simulations gave.

    The option with most numbers is the horizontal axis. A line is the mean over the seeds, its band goes from the least
    to the greatest; the other options are a line for each of their combinations. Lines are shifted by a few points, so
    that their bars do not overlap.

    Parameters
    ----------
    path : Path
        PNG, SVG or PDF file.
    axes : sequence of GridAxis
    measured, analogue : (*grid) float array
        Of the spiking and of the analogue network.
    label : str
        What is measured.
    intervals : (*grid, 2) float array, optional
        Ends of the 95 % interval of each simulation, in [0, 1]; over seeds their means are drawn.
    """
    along, spread, others = _roles(axes)
    order = [*others, *([] if spread is None else [spread]), along]
    values = measured.transpose(order).reshape(
        -1, 1 if spread is None else len(axes[spread].values), len(axes[along].values)
    )
    names = _names([axes[i] for i in others])
    columns, rows = -(-len(names) // MOST_ROWS), min(len(names), MOST_ROWS)
    ends = None if intervals is None else np.moveaxis(intervals, -1, 0).transpose([0, *(i + 1 for i in order)])
    figure = Figure(figsize=(6.5 + (legend_width(names, columns) if others else 0), max(4.0, 0.9 + 0.19 * rows)))
    plot = figure.subplots()
    places = _places(plot, axes[along])
    joined = "-" if axes[along].is_number else ""  # between two words there is nothing
    colours = HUES if len(names) <= FEW else matplotlib.colormaps["viridis"](np.linspace(0, 0.95, len(names)))
    for i, (name, line, colour) in enumerate(zip(names, values, colours)):
        style = {"color": colour, "marker": "o", "markersize": 4, "label": plain(name, 60), "linestyle": joined}
        aside = APART * (i - (len(names) - 1) / 2) / 72
        moved = plot.transData + ScaledTranslation(aside, 0, figure.dpi_scale_trans)
        mean, bars = line.mean(axis=0), None
        if ends is not None:
            lower, upper = ends.reshape(2, *values.shape)[:, i].mean(axis=1)
            bars = np.maximum(0, [mean - lower, upper - mean])
        plot.errorbar(places, mean, bars, elinewidth=1, capsize=2.5, transform=moved, **style)
        if spread is not None:
            plot.fill_between(places, line.min(axis=0), line.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    low, high = float(analogue.min()), float(analogue.max())
    plot.axhspan(low, high, color="black", alpha=0.6 if low == high else 0.12, linewidth=0.8, linestyle="dashed")
    plot.set_xlabel(plain(axes[along].title))
    plot.set_ylabel(label)
    plot.set_ylim(*y_limits(values, analogue, intervals))
    plot.set_title(
        "grey: analogue network"
        + ("" if ends is None else "; bars: 95 % intervals")
        + ("" if spread is None else "; lines and bands: mean and range over seeds")
    )
    plot.grid()
    if others:
        plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=columns)
    save(figure, path)


def y_limits(measured: np.ndarray, analogue: np.ndarray, intervals: Optional[np.ndarray]) -> Tuple[float, float]:
    """Return the limits of the vertical axis: those of an error begin at 0, those of a share hold all intervals.

    A share has an axis of at least `LEAST_SPAN`, so that a difference within the intervals does not look large.
    """
    found = np.concatenate([np.ravel(of) for of in (measured, analogue, intervals) if of is not None])
    low, high = float(found.min()), float(found.max())
    if intervals is None:
        return 0.0, 1.08 * high or 1.0
    room = 0.06 * max(high - low, LEAST_SPAN)
    high = min(1 + room / 3, high + room)
    return max(-room / 3, min(low - room, high - LEAST_SPAN)), high


def _roles(axes: Sequence[GridAxis]) -> Tuple[int, Optional[int], List[int]]:
    """Return which axis is horizontal, over which the mean is taken, and the others."""
    spread = next((i for i, axis in enumerate(axes) if axis.title.endswith(SPREAD) and len(axes) > 1), None)
    free = [i for i in range(len(axes)) if i != spread]
    along = max(free, key=lambda i: (axes[i].is_number, len(axes[i].values), -i))
    return along, spread, [i for i in free if i != along]


def _names(axes: Sequence[GridAxis]) -> List[str]:
    titles = [[f"{axis.title} {value}" for value in axis.values] for axis in axes]
    return [", ".join(names) for names in itertools.product(*titles)]


def _places(plot: Axes, axis: GridAxis) -> np.ndarray:
    """Place the values along the horizontal axis: numbers where they are, others side by side."""
    if not axis.is_number:
        places = np.arange(len(axis.values))
        plot.set_xticks(places)
        plot.set_xticklabels([plain(f"{v:g}" if isinstance(v, float) else str(v)) for v in axis.values])
        return places
    places = np.array(axis.values, float)
    if places.min() > 0 and places.max() / places.min() >= WIDE:
        plot.set_xscale("log")
    return places
