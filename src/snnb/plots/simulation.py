"""Figures of a simulation: quality by time step, firing rates, and the spikes of one sample."""

from typing import Dict, Optional, Sequence

import numpy as np
from matplotlib.colors import LogNorm

from snnb.io.figures import HUES, Figure, count_decades, label_rows, plain, styled
from snnb.network.network import Network

# Number of populations up to which histograms are lines with a legend; more populations are rows.
MOST_LINES = 10
RATE_BINS = 50
# Largest and smallest number of neurons of a population that a raster shows, evenly spaced, and largest number of all.
MOST_NEURONS, LEAST_NEURONS, RASTER_NEURONS = 200, 10, 2400
# Height of a population and maximum height of a figure, in inches.
ROW, HIGHEST = 0.12, 16.0


@styled
def plot_quality(
    by_step: Sequence[float], analogue: Optional[float], label: str, readout: Optional[Sequence[float]] = None
) -> Figure:
    """Plot the spiking network's accuracy (or error) after each time step, and the analogue network's as a line.

    `by_step` counts spikes; `readout`, if given, is the accuracy of the read-out. `analogue` is None if there is no
    analogue network.
    """
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    steps = np.arange(1, len(by_step) + 1)
    if readout is not None:
        axes.plot(steps, readout, label="spiking network, read-out")
    axes.plot(steps, by_step, label="spiking network" if readout is None else "spiking network, spikes")
    if analogue is not None:
        axes.axhline(analogue, color="black", linestyle="dashed", label="analogue network")
    axes.set_xlabel("time step")
    axes.set_ylabel(label)
    axes.grid()
    axes.legend()
    return figure


@styled
def plot_rates(rates: Dict[str, np.ndarray]) -> Figure:
    """Plot a histogram of the firing rates of each population's neurons (spikes per step, mean over samples).

    Up to `MOST_LINES` populations are lines; more are rows of a map, the first on top, with the mean of each. Only an
    input of events has rates above 1.
    """
    bins = np.linspace(0, max(1.0, *(values.max() for values in rates.values())), RATE_BINS + 1)
    neurons = np.array([np.histogram(values, bins)[0] for values in rates.values()])
    means = [float(values.mean()) for values in rates.values()]
    few = len(rates) <= MOST_LINES
    figure = Figure(figsize=(7, 4.5) if few else (8, min(HIGHEST, 2 + ROW * len(rates))))
    axes = figure.subplots()
    axes.set_xlabel("firing rate (spikes per step)")
    if few:
        for name, counted, mean in zip(rates, neurons, means):
            axes.stairs(counted, bins, baseline=None, linewidth=1.5, label=f"{mean:.3f}  {plain(name)}")
        count_decades(axes, "y")
        axes.grid()
        axes.set_ylabel("neurons")
        axes.legend(title="mean, population", fontsize="small", title_fontsize="small")
    else:
        rows, shown = np.arange(len(rates)), np.ma.masked_equal(neurons, 0)
        norm = LogNorm(1, max(2, neurons.max()))
        drawn = axes.pcolormesh(bins, np.append(rows, len(rates)) - 0.5, shown, norm=norm, cmap="viridis_r")
        axes.plot(means, rows, color=HUES[1], marker=".", linewidth=0.8, clip_on=False, label="mean")
        axes.invert_yaxis()
        label_rows(axes, rows, list(rates))
        figure.colorbar(drawn, ax=axes, label="neurons", fraction=0.04, aspect=4 * figure.get_figheight())
        axes.legend(fontsize="small", loc="lower right", bbox_to_anchor=(1, 1))
    return figure


@styled
def plot_raster(network: Network, spikes: Dict[str, np.ndarray], steps: int, sample: int = 0) -> Figure:
    """Plot the spikes of one sample: populations that spike, from bottom to top.

    `spikes` has by population rows of sample, neuron, step, as in `spike_times.npz`.
    """
    first = {name: table[table[:, 0] == sample] for name, table in spikes.items()}
    volumes = [volume for volume in (network.input, *network.populations) if len(first[volume.name])]
    neurons = int(np.clip(RASTER_NEURONS // max(1, len(volumes)), LEAST_NEURONS, MOST_NEURONS))
    figure = Figure(figsize=(8, np.clip(2 + ROW * len(volumes), 6, HIGHEST)))
    axes = figure.subplots()
    bottom, middles, names = 0, [], []
    for volume in volumes:
        _, neuron, step = first[volume.name].T
        every = -(-volume.size // neurons)
        shown = neuron % every == 0
        height = -(-volume.size // every)
        axes.plot(step[shown], bottom + neuron[shown] // every, "s", markersize=1.5, markeredgewidth=0)
        middles.append(bottom + height / 2)
        names.append(volume.name if every == 1 else f"{volume.name} (1 in {every})")
        bottom += height + neurons // 20 + 1
    axes.set_xlim(0, steps)
    axes.set_ylim(-1, max(1, bottom))
    axes.set_xlabel("time step")
    label_rows(axes, np.array(middles), names)
    return figure
