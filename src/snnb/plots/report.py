"""Figures of the report that no stage writes: the confusion matrix, activations, and the input of a sample."""

import math
from typing import Sequence, Tuple

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator

from snnb.io.figures import HUES, Figure, plain, styled
from snnb.network.event_samples import InputSteps

MOST_NAMED, MOST_COUNTED = 30, 15  # classes whose names, and whose counts of samples, are written
MOST_PIXELS = 250  # rows of a confusion matrix
FEWEST_BINS, MOST_BINS = 20, 50  # bins of activations and of rates
LIGHTEST = 0.15  # opacity of a pixel with the smallest count


@styled
def plot_confusion(cells: Sequence[Tuple[int, int, int]], names: Sequence[str]) -> Figure:
    """Plot a confusion matrix: correct guesses in blue, wrong ones in red, the more samples the darker.

    `cells` are (class, guess, samples); a guess of -1 is an output without any spike. Of more than `MOST_PIXELS`
    classes, a pixel holds several.
    """
    classes = len(names)
    step = max(1, -(-classes // MOST_PIXELS))
    size = max(1, -(-classes // step))
    counts = np.zeros((2, size, size + 1))  # correct and wrong; the last column is of guesses of -1
    for true, guess, samples in cells:
        counts[int(true != guess), true // step, guess // step if guess >= 0 else size] += samples
    figure = Figure(figsize=(5.2, 4.8))
    axes = figure.subplots()
    extent = (-0.5, (size + 1) * step - 0.5, size * step - 0.5, -0.5)
    axes.imshow(_raster(counts), extent=extent, interpolation="none")
    axes.axvline(size * step - 0.5, color="grey", linewidth=0.8)
    if 0 < classes <= MOST_NAMED:
        shown = [plain(name, 16) for name in names]
        axes.set_yticks(range(classes), shown)
        axes.set_xticks(range(classes + 1), [*shown, "none"], rotation=90 if max(map(len, shown)) > 2 else 0)
    if classes <= MOST_COUNTED:
        for true, guess, samples in cells:
            dark = samples > 0.5 * counts.max()
            place = (guess if guess >= 0 else size, true)
            axes.annotate(
                f"{samples}", place, ha="center", va="center", fontsize="small", color="white" if dark else "black"
            )
    axes.set_xlabel("prediction (last column: no spike)")
    axes.set_ylabel("class")
    return figure


@styled
def plot_activations(activations: np.ndarray, rates: np.ndarray, limit: float, title: str) -> Figure:
    """Plot the number of neurons by activation and firing rate, with a line where both are equal.

    `activations` and `rates` are float64 (neurons,); both axes end at `limit`.
    """
    figure = Figure(figsize=(2.3, 2.4))
    axes = figure.subplots()
    bins = int(np.clip(np.sqrt(activations.size), FEWEST_BINS, MOST_BINS))
    counts, _, _ = np.histogram2d(np.clip(rates, 0, limit), np.clip(activations, 0, limit), bins, [(0, limit)] * 2)
    extent = (0, limit, 0, limit)
    axes.plot([0, limit], [0, limit], color="grey", linewidth=0.8)
    axes.imshow(_raster(np.log1p(counts)[np.newaxis]), extent=extent, origin="lower", interpolation="none")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(2))
        axis.set_tick_params(labelsize="small")
    axes.set_title(plain(title, 24), fontsize="small")
    return figure


@styled
def plot_input(sample: InputSteps, duration: int) -> Figure:
    """Plot the input of one sample: rows are positions, columns time steps; the more events or current the darker.

    Of two channels, the polarities, the second is blue and the first red. Otherwise positive values are blue, negative
    ones red. A pixel of more than `MOST_PIXELS` positions or steps holds several. Steps from `duration` on are left
    out.
    """
    polarities = 2 if sample.shape[-1] == 2 else 1
    positions = math.prod(sample.shape) // polarities
    rows, columns = min(positions, MOST_PIXELS), min(duration, MOST_PIXELS)
    shown = sample.step < duration
    step, neuron, value = (values[shown].astype(np.float64) for values in (sample.step, sample.neuron, sample.value))
    red = neuron % 2 == 0 if polarities == 2 else value < 0
    place = (
        red.astype(int),
        (neuron // polarities * rows // positions).astype(int),
        (step * columns // duration).astype(int),
    )
    counts = np.zeros((2, rows, columns))
    np.add.at(counts, place, np.abs(value))
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    extent = (0, duration, positions, 0)
    axes.imshow(_raster(counts), extent=extent, aspect="auto", interpolation="none")
    axes.set_xlabel("time step")
    axes.set_ylabel("position")
    return figure


def _raster(counts: np.ndarray) -> np.ndarray:
    """Return pixels (rows, columns, 4) for counts (hues, rows, columns): the hue of the largest, the darker the larger.

    A pixel without counts is transparent.
    """
    largest = counts.max(axis=0)
    colours = np.array([to_rgb(hue) for hue in HUES[: len(counts)]])[counts.argmax(axis=0)]
    opacity = np.where(largest > 0, LIGHTEST + (1 - LIGHTEST) * largest / max(largest.max(initial=0), 1e-300), 0)
    return np.concatenate([colours, opacity[..., None]], axis=-1)
