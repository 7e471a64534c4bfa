"""Figures of the report that no stage writes.

They are the confusion matrix, activations, and the input of a sample.
"""

import math
from typing import Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator

from snnb.io.figures import HUES, Figure, plain, styled
from snnb.network.event_samples import InputSteps

# Number of classes up to which their names, and their counts of samples, are written
MOST_NAMED = 30
MOST_COUNTED = 15
MOST_PIXELS = 250  # rows of a confusion matrix
# Bins of activations and of rates
FEWEST_BINS = 20
MOST_BINS = 50
LIGHTEST = 0.15  # opacity of a pixel with the smallest count
NO_SPIKE = -1  # guess of an output without any spike

# Class, guess, and number of samples
Cell = Tuple[int, int, int]


@styled
def plot_confusion(cells: Sequence[Cell], names: Sequence[str]) -> Figure:
    """Plot a confusion matrix: correct guesses in blue, wrong ones in red.

    The more samples, the darker. `cells` are (class, guess, samples); a guess of -1 is
    an output without any spike. Of more than `MOST_PIXELS` classes, a pixel holds
    several.
    """
    classes = len(names)
    classes_per_pixel = max(1, -(-classes // MOST_PIXELS))
    pixels = max(1, -(-classes // classes_per_pixel))
    counts = _count_guesses(cells, pixels, classes_per_pixel)
    figure = Figure(figsize=(5.2, 4.8))
    axes = figure.subplots()
    height = pixels * classes_per_pixel
    width = height + classes_per_pixel
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(_raster(counts), extent=extent, interpolation="none")
    axes.axvline(height - 0.5, color="grey", linewidth=0.8)
    if 0 < classes <= MOST_NAMED:
        labels = [plain(name, 16) for name in names]
        longest = max(len(label) for label in labels)
        rotation = 90 if longest > 2 else 0
        axes.set_yticks(range(classes), labels)
        axes.set_xticks(range(classes + 1), [*labels, "none"], rotation=rotation)
    if classes <= MOST_COUNTED:
        _write_counts(axes, cells, pixels, 0.5 * counts.max())
    axes.set_xlabel("prediction (last column: no spike)")
    axes.set_ylabel("class")
    return figure


def _count_guesses(
    cells: Sequence[Cell], pixels: int, classes_per_pixel: int
) -> np.ndarray:
    """Return the numbers of correct and of wrong guesses in each pixel.

    Float, shape (2, pixels, pixels + 1); the last column has the guesses of `NO_SPIKE`.
    """
    counts = np.zeros((2, pixels, pixels + 1))
    for true_class, guess, samples in cells:
        is_wrong = int(true_class != guess)
        row = true_class // classes_per_pixel
        column = pixels if guess == NO_SPIKE else guess // classes_per_pixel
        counts[is_wrong, row, column] += samples
    return counts


def _write_counts(
    axes: Axes,
    cells: Sequence[Cell],
    no_spike_column: int,
    dark_limit: float,
) -> None:
    """Write the count of each cell, in white on cells above the count `dark_limit`."""
    for true_class, guess, samples in cells:
        column = no_spike_column if guess == NO_SPIKE else guess
        colour = "white" if samples > dark_limit else "black"
        style = {"ha": "center", "va": "center", "fontsize": "small", "color": colour}
        axes.annotate(f"{samples}", (column, true_class), **style)


@styled
def plot_activations(
    activations: np.ndarray,
    rates: np.ndarray,
    limit: float,
    title: str,
) -> Figure:
    """Plot the number of neurons by activation and firing rate.

    `activations` and `rates` are float64 (neurons,); both axes end at `limit`. A line
    shows where both are equal.
    """
    figure = Figure(figsize=(2.3, 2.4))
    axes = figure.subplots()
    bins = int(np.clip(np.sqrt(activations.size), FEWEST_BINS, MOST_BINS))
    # The first axis of the histogram has the rows of the figure: the rates.
    counts, _, _ = np.histogram2d(
        np.clip(rates, 0, limit),
        np.clip(activations, 0, limit),
        bins,
        [(0, limit), (0, limit)],
    )
    raster = _raster(np.log1p(counts)[np.newaxis])
    extent = (0, limit, 0, limit)
    axes.plot([0, limit], [0, limit], color="grey", linewidth=0.8)
    axes.imshow(raster, extent=extent, origin="lower", interpolation="none")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(2))
        axis.set_tick_params(labelsize="small")
    axes.set_title(plain(title, 24), fontsize="small")
    return figure


@styled
def plot_input(sample: InputSteps, duration: int) -> Figure:
    """Plot the input of one sample: rows are positions, columns time steps.

    The more events or current, the darker. Of two channels, the polarities, the second
    is blue and the first red. Otherwise positive values are blue, negative ones red. A
    pixel of more than `MOST_PIXELS` positions or steps holds several. Steps from
    `duration` on are left out.
    """
    polarities = 2 if sample.shape[-1] == 2 else 1
    positions = math.prod(sample.shape) // polarities
    rows = min(positions, MOST_PIXELS)
    columns = min(duration, MOST_PIXELS)
    counts = _sum_input(sample, duration, polarities, (rows, columns))
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    extent = (0, duration, positions, 0)
    axes.imshow(_raster(counts), extent=extent, aspect="auto", interpolation="none")
    axes.set_xlabel("time step")
    axes.set_ylabel("position")
    return figure


def _sum_input(
    sample: InputSteps,
    duration: int,
    polarities: int,
    shape: Tuple[int, int],
) -> np.ndarray:
    """Return the sums of absolute values in each pixel, float (2, rows, columns).

    First those in blue, then those in red. `shape` are the rows and columns.
    """
    rows, columns = shape
    positions = math.prod(sample.shape) // polarities
    in_figure = sample.step < duration
    step = sample.step[in_figure].astype(np.float64)
    neuron = sample.neuron[in_figure].astype(np.float64)
    value = sample.value[in_figure].astype(np.float64)
    is_red = neuron % 2 == 0 if polarities == 2 else value < 0
    row = neuron // polarities * rows // positions
    column = step * columns // duration
    place = (is_red.astype(int), row.astype(int), column.astype(int))
    sums = np.zeros((2, rows, columns))
    np.add.at(sums, place, np.abs(value))
    return sums


def _raster(counts: np.ndarray) -> np.ndarray:
    """Return pixels (rows, columns, 4) for counts (hues, rows, columns).

    A pixel has the hue of its largest count; the larger the count, the darker. A pixel
    without counts is transparent.
    """
    hues = np.array([to_rgb(hue) for hue in HUES[: len(counts)]])
    colours = hues[counts.argmax(axis=0)]
    largest = counts.max(axis=0)
    limit = max(largest.max(initial=0), 1e-300)
    darkness = LIGHTEST + (1 - LIGHTEST) * largest / limit
    opacity = np.where(largest > 0, darkness, 0)
    return np.concatenate([colours, opacity[..., None]], axis=-1)
