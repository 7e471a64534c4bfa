"""Sections of the page about the spikes of a simulation: confusion matrix, firing rates, activations."""

from typing import List, Mapping, Sequence, Tuple

import numpy as np

from snnb.plots.report import plot_activations, plot_confusion
from snnb.plots.simulation import plot_rates
from snnb.report.page import Figure, Section, Table, drawn

LISTED = 10  # confusions in the table


def confusion_section(cells: Sequence[Tuple[int, int, int]], names: Sequence[str], predicted: str) -> Section:
    """Return the section about the confusion matrix and the most frequent confusions.

    `cells` are (class, guess or -1, samples), as `confusion` of `sim_accuracies.json`; `predicted` names what predicts.
    An output neuron without a class name has its number.
    """
    names = [*names, *map(str, range(len(names), 1 + max(guess for _, guess, _ in cells)))]
    wrong = sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: (-cell[2], cell))[:LISTED]
    rows = [(names[true], names[guess] if guess >= 0 else "no spike", f"{count:,}") for true, guess, count in wrong]
    picture = drawn("confusion matrix: rows are classes, columns predictions", plot_confusion(cells, names))
    words = [f"Rows are the classes, columns the predictions of the {predicted} after the last step."]
    tables = [Table(("class", "taken for", "samples"), rows, right=(2,))] if rows else []
    words += [] if rows else ["All predictions are correct."]
    return Section("confusion", "Confusion matrix", words, [Figure(picture)], tables=tables)


def rates_section(rates: Mapping[str, np.ndarray]) -> Section:
    """Return the section about firing rates; `rates` are spikes per time step of each neuron, by population."""
    rows = [
        (name, f"{values.mean():.3g}", f"{(values == 0).mean():.1%}", f"{(values >= 1).mean():.1%}")
        for name, values in rates.items()
    ]
    words = (
        "Neurons (logarithmic) by firing rate in spikes per time step, in the mean over all samples. Silent neurons "
        "never spiked, saturated neurons have a rate of at least 1: a spike in every time step."
    )
    table = Table(("population", "mean rate", "silent", "saturated"), rows, right=(1, 2, 3))
    picture = drawn("histogram of firing rates by population", plot_rates(rates))
    return Section("rates", "Firing rates", [words], [Figure(picture)], tables=[table])


def activations_section(
    rates: Mapping[str, np.ndarray], activations: Mapping[str, np.ndarray], words: List[str]
) -> Section:
    """Return the section of activation against firing rate, with a small figure for each population.

    `rates` and `activations` have equal shapes; the latter are empty if they cannot be computed.
    """
    small = []
    for name, values in activations.items():
        x, y = values.ravel().astype(np.float64), rates[name].ravel()
        constant = x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0
        largest = max(1e-9, float(np.max(x, initial=0)), float(np.max(y, initial=0)))
        unit = 10.0 ** np.floor(np.log10(largest))
        limit = float(f"{np.ceil(largest / unit - 1e-9) * unit:.3g}")  # the axes end at a number of one digit
        caption = (
            "no correlation: one of them is constant" if constant else f"correlation {np.corrcoef(x, y)[0, 1]:.4f}"
        )
        picture = drawn(f"firing rate against activation of {name}", plot_activations(x, y, limit, name))
        small.append(Figure(picture, caption))
    return Section("activations", "Activation and rate", words, small=small)
