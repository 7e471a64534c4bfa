"""Figure of a network: distribution of a quantity of its neurons."""

import numpy as np

from snnb.io.figures import Figure, count_decades, styled

BINS = 40  # bins of a distribution
# Base of bars on a logarithmic axis, so that the bar of a single neuron is visible
BASELINE = 0.7


@styled
def plot_distribution(values: np.ndarray, label: str) -> Figure:
    """Plot a histogram of the values above 0 of the neurons.

    Both axes are logarithmic and end at powers of ten. `label` names the values.
    """
    logarithms = np.log10(values[values > 0])
    low = 0.0
    high = 1.0
    if logarithms.size:
        low = np.floor(logarithms.min())
        high = np.ceil(logarithms.max())
    bins = np.linspace(low, max(high, low + 1), BINS + 1)
    counts, edges = np.histogram(logarithms, bins)
    figure = Figure(figsize=(6, 3.2))
    axes = figure.subplots()
    bars = np.maximum(counts, BASELINE)
    axes.stairs(bars, 10**edges, baseline=BASELINE, fill=True)
    count_decades(axes, "x", "y")
    axes.set_ylim(BASELINE, max(10, 1.5 * counts.max(initial=0)))
    axes.set_xlabel(label)
    axes.set_ylabel("neurons")
    return figure
