"""Sections of the page about the training and a simulation."""

from typing import List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.core.formatting import times
from snnb.io.text import JsonValue
from snnb.network.event_samples import InputSteps
from snnb.report.page import Figure, Section, Table, drawn, settings_table
from snnb.report.report_plots import plot_activations, plot_confusion, plot_input
from snnb.simulation.simulation_plots import plot_quality, plot_rates
from snnb.simulation.simulation_statistics import SimulationStatistics
from snnb.training.history import TrainingMetrics, plot_history

LISTED = 10  # confusions in the table


def training_section(
    history: Mapping[str, Sequence[float]], metrics: TrainingMetrics, parameters: Mapping[str, JsonValue]
) -> Section:
    """Return the section about the training.

    Parameters
    ----------
    history : mapping of str to sequence of float
        The columns of `training_history.csv`; empty for a network that was trained elsewhere.
    metrics : TrainingMetrics
    parameters : mapping
        Parameters of the training.
    """
    names = ("accuracy", "loss", "mean_squared_error")
    values = {name: getattr(metrics, f"test_{name}") for name in names}
    test = {name: value for name, value in values.items() if value is not None}
    words = ["; ".join(f"test {name.replace('_', ' ')}: {value:.4g}" for name, value in test.items()) + "."]
    if metrics.kept_epoch is None or not history.get("epoch"):
        words = [*words, "There is no history: the network was trained elsewhere."]
        return Section("training", "Training", words)
    epochs = [dict(zip(history, values)) for values in zip(*history.values())]
    test.setdefault("loss", test.get("mean_squared_error", np.nan))
    picture = drawn("loss and accuracy by epoch", plot_history, epochs, metrics.kept_epoch - 1, test)
    last = [(name, f"{values[-1]:.4g}") for name, values in history.items()]
    tables = [Table(("after the last epoch", "value"), last)]
    folded = {"Parameters of the training": settings_table(parameters)}
    return Section("training", "Training", words, [Figure(picture)], tables=tables, folded=folded)


def spiking_section(name: str) -> Section:
    """Return the section about the training of a network that was trained as a spiking one; `name` is of its file."""
    return Section("training", "Training", [f"Nothing is trained here: {name} is a trained spiking network."])


def input_section(sample: InputSteps, number: int, duration: int) -> Section:
    """Return the section about the input of a sample, which changes from step to step.

    Parameters
    ----------
    sample : InputSteps
        One sample.
    number : int
        Its index in the test set.
    duration : int
        Number of time steps that are simulated.
    """
    sides = "on events are blue, off events red" if sample.shape[-1] == 2 else "negative values are red"
    words = [
        f"Sample {number}, input {times(sample.shape)}: {len(sample.step):,} entries other than 0 in "
        f"{duration:,} time steps. Rows are positions, row by row of the sensor; {sides}."
    ]
    picture = drawn(f"input of sample {number} by time step", plot_input, sample, duration)
    return Section("input", "Input", words, [Figure(picture)])


def accuracy_section(
    statistics: SimulationStatistics, analogue: Optional[float], label: str, words: List[str]
) -> Section:
    """Return the section about the accuracy, or mean squared error, after each time step; `label` is one of the two.

    `analogue` is the value of the analogue network; None if there is none.
    """
    by_step, readout = statistics.by_step, statistics.readout_accuracy_by_timestep
    picture = drawn(f"{label} by time step", plot_quality, by_step, analogue, label, readout)
    return Section("accuracy", f"{label.capitalize()} over time", words, [Figure(picture)])


def confusion_section(cells: Sequence[Tuple[int, int, int]], names: Sequence[str]) -> Section:
    """Return the section about the confusion matrix and the most frequent confusions.

    Parameters
    ----------
    cells : sequence of (class, guess or -1, samples)
        As `confusion` of `sim_accuracies.json`.
    names : sequence of str
        Names of the classes; an output neuron without a class has its number.
    """
    names = [*names, *map(str, range(len(names), 1 + max(guess for _, guess, _ in cells)))]
    wrong = sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: (-cell[2], cell))[:LISTED]
    rows = [(names[true], names[guess] if guess >= 0 else "no spike", f"{count:,}") for true, guess, count in wrong]
    picture = drawn("confusion matrix: rows are classes, columns guesses", plot_confusion, cells, names)
    words = ["Rows are the classes, columns the spiking network's guesses after the last step."]
    tables = [Table(("class", "taken for", "samples"), rows, right=(2,))] if rows else []
    words += [] if rows else ["Every guess is right."]
    return Section("confusion", "Confusion matrix", words, [Figure(picture)], tables=tables)


def rates_section(rates: Mapping[str, np.ndarray]) -> Section:
    """Return the section about firing rates; `rates` are spikes per time step of each neuron, by population."""
    rows = [
        (name, f"{values.mean():.3g}", f"{(values == 0).mean():.1%}", f"{(values >= 1).mean():.1%}")
        for name, values in rates.items()
    ]
    words = (
        "Neurons (logarithmic) by firing rate, from 0 to 1 spike per time step, in the mean over all samples. Silent "
        "neurons never spiked, saturated neurons spiked in every time step."
    )
    table = Table(("population", "mean rate", "silent", "saturated"), rows, right=(1, 2, 3))
    picture = drawn("histogram of firing rates by population", plot_rates, rates)
    return Section("rates", "Firing rates", [words], [Figure(picture)], tables=[table])


def activations_section(
    rates: Mapping[str, np.ndarray], activations: Mapping[str, np.ndarray], words: List[str]
) -> Section:
    """Return the section of activation against firing rate, with a small figure for each population.

    Parameters
    ----------
    rates, activations : mapping of str to ndarray
        By population, of equal shapes. No activations if they cannot be computed.
    words : list of str
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
        picture = drawn(f"firing rate against activation of {name}", plot_activations, x, y, limit, name)
        small.append(Figure(picture, caption))
    return Section("activations", "Activation and rate", words, small=small)
