"""The accuracies of several simulations over time, in one figure."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from snnb.io.colours import HUES
from snnb.io.figures import legend_width, plain, save, styled

FEW = len(HUES)  # simulations whose colours are told apart by hue; of more, the colours run from the first to the last
MOST_ROWS = 40  # of a column of the legend
LONGEST, LINE = 200, 44  # characters of a name in the legend, and of a line of it


@dataclass(frozen=True)
class Course:
    """How well a simulation does after each step."""

    name: str
    steps: Sequence[float]  # accuracy, from 0 to 1, or mean squared error, after each step of 1 ms
    analogue: float  # that of the analogue network


@styled
def plot_courses(path: Path, courses: Sequence[Course], label: str) -> None:
    """Plot the courses of simulations; dashed in the same colour the value of the analogue network.

    Parameters
    ----------
    path : Path
        PNG, SVG or PDF file.
    courses : sequence of Course
    label : str
        Label of the vertical axis.
    """
    names = ["\n".join(wrap(plain(course.name, LONGEST), LINE)) for course in courses]
    lines = [line for name in names for line in name.split("\n")]
    columns = -(-len(lines) // MOST_ROWS)
    rows = min(len(lines), MOST_ROWS)
    figure = Figure(figsize=(6.5 + legend_width(lines, columns), max(4.0, 0.9 + 0.19 * rows)))
    axes = figure.subplots()
    along = matplotlib.colormaps["viridis"](np.linspace(0, 0.95, len(courses)))
    colours = HUES[: len(courses)] if len(courses) <= FEW else along
    for course, name, colour in zip(courses, names, colours):
        axes.plot(np.arange(1, len(course.steps) + 1), course.steps, color=colour, label=name)
        axes.axhline(course.analogue, color=colour, linestyle="dashed", linewidth=0.8)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel(f"{label} (dashed: analogue network)")
    axes.grid()
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=columns)
    save(figure, path)
