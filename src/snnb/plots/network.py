"""Figure of a network: distribution of a quantity of its neurons."""

import numpy as np

from snnb.io.figures import Figure, count_decades, styled

BINS = 40  # bins of a distribution
# Base of bars on a logarithmic axis, so that the bar of a single neuron is visible
BASELINE = 0.7


@styled
def plot_distribution(values: np.ndarray, label: str) -> Figure:
    """Plot a histogram of the values above 0, one for each neuron, with two logarithmic axes between powers of ten.

    `label` is that of the horizontal axis.
    """
    logarithms = np.log10(values[values > 0])
    low, high = (np.floor(logarithms.min()), np.ceil(logarithms.max())) if logarithms.size else (0.0, 1.0)
    counts, edges = np.histogram(logarithms, np.linspace(low, max(high, low + 1), BINS + 1))
    figure = Figure(figsize=(6, 3.2))
    axes = figure.subplots()
    axes.stairs(np.maximum(counts, BASELINE), 10**edges, baseline=BASELINE, fill=True)
    count_decades(axes, "x", "y")
    axes.set_ylim(BASELINE, max(10, 1.5 * counts.max(initial=0)))
    axes.set_xlabel(label)
    axes.set_ylabel("neurons")
    return figure
