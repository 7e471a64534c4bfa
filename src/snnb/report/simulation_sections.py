"""Sections of the page about a simulation: accuracy over time, confusions, rates, activations."""

from typing import List, Mapping, Sequence, Tuple

import numpy as np

from snnb.report.charts import Line, line_chart, matrix, small_histogram, small_points
from snnb.report.page import Figure, Section, Table

MOST_CELLS = 6000  # of a confusion matrix that is drawn
WORST = 10  # confusions that are listed


def accuracy_section(by_step: Sequence[float], analogue: float, label: str, words: List[str]) -> Section:
    """Return the section of the accuracy, or mean squared error, after each step and of the analogue network.

    Parameters
    ----------
    by_step, analogue : sequence of float, float
    label : {"accuracy", "mean squared error"}
    words : list of str
    """
    steps = list(range(1, len(by_step) + 1))
    lines = [
        Line("spiking network", steps, by_step),
        Line("analogue network", [steps[0], max(steps[-1], 2)], [analogue, analogue], dashed=True),
    ]
    limits = (0.0, 1.0) if label == "accuracy" else None
    picture = line_chart(lines, "time (ms)", label, y_limits=limits)
    return Section("accuracy", f"{label.capitalize()} over time", words, [Figure(picture)])


def confusion_section(cells: Sequence[Tuple[int, int, int]], names: Sequence[str]) -> Section:
    """Return the section of the confusion matrix and the most frequent confusions.

    Parameters
    ----------
    cells : sequence of (class, guess or -1, samples)
        As `confusion` of `sim_accuracies.json`.
    names : sequence of str
        Of the classes.
    """
    wrong = sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: (-cell[2], cell))[:WORST]
    rows = [(names[true], names[guess] if guess >= 0 else "no spike", f"{count:,}") for true, guess, count in wrong]
    figures = [Figure(matrix(cells, names))] if len(cells) <= MOST_CELLS else []
    words = ["Rows are the classes, columns the spiking network's guesses after the last step."]
    tables = [Table(("class", "taken for", "samples"), rows, right=(2,))] if rows else []
    return Section(
        "confusion", "Confusion matrix", words if rows else [*words, "Every guess is right."], figures, tables=tables
    )


def rates_section(rates: Mapping[str, np.ndarray]) -> Section:
    """Return a small histogram of firing rates a layer; `rates` are spikes per step of each neuron, by population."""
    small = []
    for name, values in rates.items():
        silent, full = float((values == 0).mean()), float((values >= 1).mean())
        caption = f"mean {values.mean():.3g}; {silent:.0%} silent" + (f", {full:.0%} at 1" if full else "")
        small.append(Figure(small_histogram(values.ravel(), 1.0, name), caption))
    words = "Neurons (logarithmic) by firing rate, from 0 to 1 spike a step, in the mean over all samples."
    return Section("rates", "Rates per layer", [words], small=small)


def activations_section(
    rates: Mapping[str, np.ndarray], activations: Mapping[str, np.ndarray], words: List[str]
) -> Section:
    """Return the section of activation against firing rate, a small figure for each layer.

    Parameters
    ----------
    rates, activations : mapping of str to ndarray
        By population, of equal shapes; no activations where `words` say why there are none.
    words : list of str
    """
    small = []
    for name, values in activations.items():
        x, y = values.ravel().astype(np.float64), rates[name].ravel()
        constant = x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0
        most = _round_up(max(1e-9, float(np.max(x, initial=0)), float(np.max(y, initial=0))))
        caption = (
            "no correlation: one of them is constant" if constant else f"correlation {np.corrcoef(x, y)[0, 1]:.4f}"
        )
        small.append(Figure(small_points(x, y, most, name), caption))
    return Section("activations", "Activation and rate", words, small=small)


def _round_up(value: float) -> float:
    """Return the next number of one digit, so that an axis ends at it."""
    unit = 10.0 ** np.floor(np.log10(value))
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.3g}")
