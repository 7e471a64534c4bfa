"""The simulations of a grid of options, in one figure."""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnb.colours import HUES
from snnb.figures import plain, save, styled

FEW = len(HUES)  # lines whose colours are told apart by hue
MOST_ROWS = 40  # of a column of the legend
SPREAD = "seed"  # the axis over which a line is the mean
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
def plot_sweep(path: Path, axes: Sequence[GridAxis], measured: np.ndarray, analogue: np.ndarray, label: str) -> None:
    """Plot what a grid of simulations gave.

    The option with most numbers is the horizontal axis. A line is the mean over the seeds, its band goes from the least
    to the greatest; the other options are a line for each of their combinations.

    Parameters
    ----------
    path : Path
        PNG, SVG or PDF file.
    axes : sequence of GridAxis
    measured, analogue : ndarray of float
        Of the spiking and of the analogue network, an axis for each of `axes`.
    label : str
        What is measured.
    """
    along, spread, others = _roles(axes)
    order = [*others, *([] if spread is None else [spread]), along]
    values = measured.transpose(order).reshape(
        -1, 1 if spread is None else len(axes[spread].values), len(axes[along].values)
    )
    names = _names([axes[i] for i in others])
    columns, rows = -(-len(names) // MOST_ROWS), min(len(names), MOST_ROWS)
    figure = Figure(figsize=(6.5 + (2.6 * columns if others else 0), max(4.0, 0.9 + 0.19 * rows)))
    plot = figure.subplots()
    places = _places(plot, axes[along])
    joined = "-" if axes[along].is_number else ""  # between two words there is nothing
    colours = HUES if len(names) <= FEW else matplotlib.colormaps["viridis"](np.linspace(0, 0.95, len(names)))
    for name, line, colour in zip(names, values, colours):
        plot.plot(places, line.mean(axis=0), joined, color=colour, marker="o", markersize=4, label=plain(name, 60))
        if spread is not None:
            plot.fill_between(places, line.min(axis=0), line.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    low, high = float(analogue.min()), float(analogue.max())
    plot.axhspan(low, high, color="black", alpha=0.6 if low == high else 0.12, linewidth=0.8, linestyle="dashed")
    plot.set_xlabel(plain(axes[along].title))
    plot.set_ylabel(label)
    plot.set_title(
        "grey: analogue network" + ("" if spread is None else "; lines and bands: mean and range over seeds")
    )
    plot.grid()
    if others:
        plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=columns)
    save(figure, path)


def _roles(axes: Sequence[GridAxis]) -> Tuple[int, Optional[int], List[int]]:
    """Return which axis is horizontal, over which the mean is taken, and the others."""
    spread = next((i for i, axis in enumerate(axes) if axis.title.endswith(SPREAD) and len(axes) > 1), None)
    free = [i for i in range(len(axes)) if i != spread]
    along = max(free, key=lambda i: (axes[i].is_number, len(axes[i].values), -i))
    return along, spread, [i for i in free if i != along]


def _names(axes: Sequence[GridAxis]) -> List[str]:
    names = [""]
    for axis in axes:
        names = [
            f"{name}, {axis.title} {value}" if name else f"{axis.title} {value}"
            for name in names
            for value in axis.values
        ]
    return names


def _text(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _places(plot: Axes, axis: GridAxis) -> np.ndarray:
    """Place the values along the horizontal axis: numbers where they are, others side by side."""
    if not axis.is_number:
        places = np.arange(len(axis.values))
        plot.set_xticks(places)
        plot.set_xticklabels([plain(_text(value)) for value in axis.values])
        return places
    places = np.array(axis.values, float)
    if places.min() > 0 and places.max() / places.min() >= WIDE:
        plot.set_xscale("log")
    return places
