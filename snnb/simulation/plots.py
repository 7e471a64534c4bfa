"""Pictures beside the numbers: quality by time step, firing rates, and the spikes of one sample."""

from pathlib import Path
from typing import Dict, Sequence

import numpy as np
from matplotlib.figure import Figure

from snnb.simulation.layers import Network

# Neurons of a population that a raster shows at most, evenly spaced among all.
RASTER_NEURONS = 200


def plot_quality(path: Path, by_step: Sequence[float], analogue: float, label: str) -> None:
    """Plot the spiking network's accuracy (or error) after each step, and the analogue network's as a line."""
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.plot(np.arange(1, len(by_step) + 1), by_step, label="spiking network")
    axes.axhline(analogue, color="black", linestyle="dashed", label="analogue network")
    axes.set_xlabel("time (ms)")
    axes.set_ylabel(label)
    axes.legend()
    _save(figure, path)


def plot_rates(path: Path, rates: Dict[str, np.ndarray]) -> None:
    """Plot how many neurons of each population have which firing rate, in the mean over samples."""
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    bins = np.linspace(0, 1, 51)
    for name, values in rates.items():
        neurons, _ = np.histogram(values, bins)
        axes.step(bins[:-1], neurons, where="post", label=f"{name}, mean {values.mean():.3f}")
    axes.set_yscale("log")
    axes.set_xlabel("firing rate (spikes per 1 ms step)")
    axes.set_ylabel("neurons")
    axes.legend(fontsize="x-small")
    _save(figure, path)


def plot_raster(path: Path, network: Network, spikes: Dict[str, np.ndarray], steps: int) -> None:
    """Plot the spikes of sample 0, the populations above each other; `spikes` as in `spike_times.npz`."""
    figure = Figure(figsize=(8, 6))
    axes = figure.subplots()
    bottom, middles, names = 0, [], []
    for layer in (network.input, *network.populations):
        sample, neuron, step = spikes[layer.name].T
        every = -(-layer.size // RASTER_NEURONS)
        shown = (sample == 0) & (neuron % every == 0)
        if not shown.any():
            continue
        height = -(-layer.size // every)
        axes.plot(step[shown], bottom + neuron[shown] // every, "s", markersize=1.5, markeredgewidth=0)
        middles.append(bottom + height / 2)
        names.append(layer.name if every == 1 else f"{layer.name}\n(1 in {every})")
        bottom += height + RASTER_NEURONS // 20
    axes.set_yticks(middles)
    axes.set_yticklabels(names, fontsize="x-small")
    axes.set_xlim(0, steps)
    axes.set_xlabel("time (ms)")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=120, metadata={"Software": None})  # so that equal plots are equal bytes
