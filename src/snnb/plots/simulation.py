"""Figures of a simulation: quality by time step, firing rates, spikes of a sample."""

from typing import Dict, List, Optional, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from snnb.io.figures import HUES, Figure, count_decades, label_rows, plain, styled
from snnb.network.network import Network

# Number of populations up to which histograms are lines with a legend; more populations
# are rows.
MOST_LINES = 10
RATE_BINS = 50
# Largest and smallest number of neurons of a population that a raster shows, evenly
# spaced, and the largest number of neurons of all populations.
MOST_NEURONS = 200
LEAST_NEURONS = 10
RASTER_NEURONS = 2400
# Inches: height of a population, and maximum height of a figure.
ROW = 0.12
HIGHEST = 16.0


@styled
def plot_quality(
    by_step: Sequence[float],
    analogue: Optional[float],
    label: str,
    readout: Optional[Sequence[float]] = None,
) -> Figure:
    """Plot the accuracy, or error, of the spiking network after each time step.

    The value of the analogue network is a horizontal line. `by_step` counts spikes;
    `readout` is the accuracy of the read-out, or None. `analogue` is None if there is
    no analogue network.
    """
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    steps = np.arange(1, len(by_step) + 1)
    spikes_label = "spiking network"
    if readout is not None:
        axes.plot(steps, readout, label="spiking network, read-out")
        spikes_label = "spiking network, spikes"
    axes.plot(steps, by_step, label=spikes_label)
    if analogue is not None:
        line = {"color": "black", "linestyle": "dashed", "label": "analogue network"}
        axes.axhline(analogue, **line)
    axes.set_xlabel("time step")
    axes.set_ylabel(label)
    axes.grid()
    axes.legend()
    return figure


@styled
def plot_rates(rates: Dict[str, np.ndarray]) -> Figure:
    """Plot a histogram of the firing rates of the neurons of each population.

    Rates are spikes per step, the mean over samples. Up to `MOST_LINES` populations are
    lines; more are rows of a map, with the first on top, and the mean of each. Only an
    input of events has rates above 1.
    """
    largest_rate = max(1.0, *(values.max() for values in rates.values()))
    bins = np.linspace(0, largest_rate, RATE_BINS + 1)
    histograms = [np.histogram(values, bins)[0] for values in rates.values()]
    neurons = np.array(histograms)
    means = [float(values.mean()) for values in rates.values()]
    if len(rates) <= MOST_LINES:
        figure = Figure(figsize=(7, 4.5))
        axes = figure.subplots()
        _draw_rate_lines(axes, list(rates), bins, neurons, means)
    else:
        figure = Figure(figsize=(8, min(HIGHEST, 2 + ROW * len(rates))))
        axes = figure.subplots()
        _draw_rate_rows(figure, axes, list(rates), bins, neurons, means)
    return figure


def _draw_rate_lines(
    axes: Axes,
    names: Sequence[str],
    bins: np.ndarray,
    neurons: np.ndarray,
    means: Sequence[float],
) -> None:
    """Draw histograms as lines: `neurons` is int (populations, bins)."""
    axes.set_xlabel("firing rate (spikes per step)")
    for name, counts, mean in zip(names, neurons, means):
        label = f"{mean:.3f}  {plain(name)}"
        axes.stairs(counts, bins, baseline=None, linewidth=1.5, label=label)
    count_decades(axes, "y")
    axes.grid()
    axes.set_ylabel("neurons")
    axes.legend(title="mean, population", fontsize="small", title_fontsize="small")


def _draw_rate_rows(
    figure: Figure,
    axes: Axes,
    names: Sequence[str],
    bins: np.ndarray,
    neurons: np.ndarray,
    means: Sequence[float],
) -> None:
    """Draw histograms as the rows of a map: `neurons` is int (populations, bins)."""
    axes.set_xlabel("firing rate (spikes per step)")
    rows = np.arange(len(names))
    row_edges = np.append(rows, len(names)) - 0.5
    mesh = axes.pcolormesh(
        bins,
        row_edges,
        np.ma.masked_equal(neurons, 0),
        norm=LogNorm(1, max(2, neurons.max())),
        cmap="viridis_r",
    )
    line = {"color": HUES[1], "marker": ".", "linewidth": 0.8, "clip_on": False}
    axes.plot(means, rows, label="mean", **line)
    axes.invert_yaxis()
    label_rows(axes, rows, names)
    aspect = 4 * figure.get_figheight()
    figure.colorbar(mesh, ax=axes, label="neurons", fraction=0.04, aspect=aspect)
    axes.legend(fontsize="small", loc="lower right", bbox_to_anchor=(1, 1))


@styled
def plot_raster(
    network: Network,
    spikes: Dict[str, np.ndarray],
    steps: int,
    sample: int = 0,
) -> Figure:
    """Plot the spikes of one sample: populations that spike, from bottom to top.

    `spikes` has by population rows of sample, neuron, step, as in `spike_times.npz`.
    """
    sample_spikes: Dict[str, np.ndarray] = {}
    for name, table in spikes.items():
        sample_spikes[name] = table[table[:, 0] == sample]
    volumes = []
    for volume in (network.input, *network.populations):
        if len(sample_spikes[volume.name]):
            volumes.append(volume)
    share_of_all = RASTER_NEURONS // max(1, len(volumes))
    rows_per_volume = int(np.clip(share_of_all, LEAST_NEURONS, MOST_NEURONS))
    figure = Figure(figsize=(8, np.clip(2 + ROW * len(volumes), 6, HIGHEST)))
    axes = figure.subplots()
    bottom = 0
    middles: List[float] = []
    labels: List[str] = []
    for volume in volumes:
        stride = -(-volume.size // rows_per_volume)
        _draw_spikes(axes, sample_spikes[volume.name], bottom, stride)
        height = -(-volume.size // stride)
        middles.append(bottom + height / 2)
        label = volume.name
        if stride > 1:
            label += f" (1 in {stride})"
        labels.append(label)
        bottom += height + rows_per_volume // 20 + 1
    axes.set_xlim(0, steps)
    axes.set_ylim(-1, max(1, bottom))
    axes.set_xlabel("time step")
    label_rows(axes, np.array(middles), labels)
    return figure


def _draw_spikes(axes: Axes, table: np.ndarray, bottom: int, stride: int) -> None:
    """Draw the spikes of one in `stride` neurons, from the row `bottom` upward.

    `table` has rows of sample, neuron, step.
    """
    _, neuron, step = table.T
    in_raster = neuron % stride == 0
    row = bottom + neuron[in_raster] // stride
    axes.plot(step[in_raster], row, "s", markersize=1.5, markeredgewidth=0)
