"""Sections of the page about a simulation.

Accuracy, confusions, firing rates, operations, activations.
"""

import shlex
from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.core.formatting import format_shape
from snnb.core.progress import Progress
from snnb.core.quantities import rows, view
from snnb.forward.analogue import mean_activations
from snnb.network.event_samples import EventSamples
from snnb.network.fidelity import Fidelity
from snnb.network.keras_file import read_levels
from snnb.network.network import Network
from snnb.network.read_network import read_network
from snnb.plots.report import plot_activations, plot_confusion, plot_input
from snnb.plots.simulation import plot_quality, plot_rates
from snnb.report.page import Figure, Section, Table, embed_figure
from snnb.results.compare import Simulation, simulated_files
from snnb.rundir.directory import RunDirectory
from snnb.simulation.statistics import SimulationStatistics
from snnb.stages import parse, prepare
from snnb.stages.prepare import dataset_array
from snnb.stages.simulate import parsed_file
from snnb.stages.stage import recorded, recorded_details, unaltered
from snnb.stages.train import is_spiking

# Views: at the top of the page, in the section about accuracy, and in that about
# operations
KEY_FIGURES = view(
    "ann_accuracy",
    "quoted_accuracy",
    "ann_mean_squared_error",
    "snn_mean_squared_error",
    "readout_mean_squared_error",
    "synaptic_operations_per_sample",
    "energy_45nm_pj",
    of=[SimulationStatistics],
)
ACCURACIES = view(
    "ann_accuracy",
    "ann_accuracy_interval_95",
    "quoted_accuracy",
    "quoted_accuracy_interval_95",
    "readout_accuracy",
    "snn_accuracy",
    "ann_mean_squared_error",
    "readout_mean_squared_error",
    "snn_mean_squared_error",
    of=[SimulationStatistics],
)
OPERATIONS = view(
    "synaptic_operations_per_sample",
    "input_multiply_accumulates_per_sample",
    "ann_multiply_accumulates_per_sample",
    "energy_45nm_pj",
    "energy_45nm_ann_pj",
    "membrane_updates",
    "activation_sparsity",
    "connection_sparsity",
    "footprint",
    of=[SimulationStatistics],
)
LISTED = 10  # confusions in the table
MOST_OPERATIONS = 20_000_000_000  # multiplications for the activations of a page


def simulation_sections(
    run: RunDirectory,
    simulation: Optional[Simulation],
    progress: Progress,
) -> List[Section]:
    """Return the sections about a simulation.

    Accuracy, confusions, rates, activations.
    """
    if simulation is None:
        return [_section_without_simulation(run)]
    statistics, counts = simulated_files(run, simulation.stamp)
    params = simulation.record.params
    steps = params.duration - params.warm_up
    rates = {name: values / (params.samples * steps) for name, values in counts.items()}
    sections = [*_input(run, simulation), _accuracy_section(simulation, statistics)]
    confusion = statistics.quoted_confusion
    if confusion is not None:
        is_of_network = confusion is statistics.confusion
        predictor = "spiking network" if is_of_network else "read-out"
        classes = list(statistics.class_counts)
        sections.append(confusion_section(confusion, classes, predictor))
    sections += [rates_section(rates), _operations(statistics)]
    if not is_spiking(run):
        activations, about = _activations(run, simulation, progress)
        if activations:
            about += _note_on_random_spikes(statistics)
        sections.append(activations_section(rates, activations, about))
    return sections


def _section_without_simulation(run: RunDirectory) -> Section:
    """Return a section with the command to simulate, and changes by the conversion."""
    words = []
    command = shlex.join(["snnb", "simulate", "--run-dir", str(run.path)])
    words.append(f"None yet: `{command}` makes it.")
    conversion_record = recorded(run, parse.STAGE)
    if conversion_record is not None:
        words += _changes(conversion_record.details.fidelity)
    return Section("accuracy", "Simulation", words)


def _note_on_random_spikes(statistics: SimulationStatistics) -> List[str]:
    """Return a sentence that names the softmax layers, whose spikes are drawn."""
    names = [name for name, coding in statistics.coding.items() if coding == "random"]
    if not names:
        return []
    layers = ", ".join(names)
    return [f"The spikes of {layers}, a softmax layer, are drawn at random."]


def _accuracy_section(
    simulation: Simulation,
    statistics: SimulationStatistics,
) -> Section:
    """Return the section about the accuracy or error over time."""
    params = simulation.record.params
    label = "accuracy" if statistics.classifies else "mean squared error"
    latency = statistics.latency_steps
    between = statistics.interval_steps
    took = f"{params.samples:,} samples of {latency:,} time steps"
    took += f", one every {between:,} time steps" if between != latency else ""
    words = [
        f"{took}, input {params.input}.",
        *_changes(simulation.record.details.fidelity),
    ]
    words += map(_sentence, statistics.accuracy_lines)
    picture = embed_figure(f"{label} by time step", plot_quality(*statistics.course))
    key_figures = [(row.title, row.measure) for row in rows(statistics, KEY_FIGURES)]
    accuracies = [(row.title, row.measure) for row in rows(statistics, ACCURACIES)]
    return Section(
        "accuracy",
        f"{label.capitalize()} over time",
        words,
        [Figure(picture)],
        tables=[Table(("", ""), accuracies, right=(1,))],
        key_figures=key_figures,
    )


def _sentence(line: str) -> str:
    return f"{line[0].upper()}{line[1:]}."


def _changes(fidelity: Optional[Fidelity]) -> List[str]:
    """Return a sentence about the changes of the network by its conversion.

    Nothing without changes.
    """
    return (
        []
        if fidelity is None
        else [f"The conversion changes the network: {'; '.join(fidelity.lines())}."]
    )


def _input(run: RunDirectory, simulation: Simulation) -> List[Section]:
    """Return the section about the input of the first sample, if it changes from step to step and still exists."""
    read = next(
        (file for file in simulation.record.inputs if file.path == "dataset/x_test.h5"),
        None,
    )
    if read is None or not run.hashes.matches(read):
        return []
    first_sample, duration = (
        simulation.record.params.first,
        simulation.record.params.duration,
    )
    sample = EventSamples(run.path / read.path)[first_sample : first_sample + 1]
    entries = np.count_nonzero(sample.step < duration)
    colours = (
        "on events are blue, off events red"
        if sample.shape[-1] == 2
        else "negative values are red"
    )
    words = (
        f"Sample {first_sample}, input {format_shape(sample.shape)}: {entries:,} "
        f"entries other than 0 in {duration:,} time steps. Rows are positions, row by row of "
        f"the sensor; {colours}."
    )
    picture = embed_figure(
        f"input of sample {first_sample} by time step",
        plot_input(sample, duration),
    )
    return [Section("input", "Input", [words], [Figure(picture)])]


def confusion_section(
    cells: Sequence[Tuple[int, int, int]],
    names: Sequence[str],
    predictor: str,
) -> Section:
    """Return the section about the confusion matrix and the most frequent confusions.

    `cells` are (class, guess or -1, samples), as `confusion` of `sim_accuracies.json`;
    `predictor` names what predicts. An output neuron without a class name has its
    number.
    """
    names = [
        *names,
        *map(str, range(len(names), 1 + max(guess for _, guess, _ in cells))),
    ]
    wrong = sorted(
        (cell for cell in cells if cell[0] != cell[1]),
        key=lambda cell: (-cell[2], cell),
    )[:LISTED]
    table_rows = [
        (names[true], names[guess] if guess >= 0 else "no spike", f"{count:,}")
        for true, guess, count in wrong
    ]
    picture = embed_figure(
        "confusion matrix: rows are classes, columns predictions",
        plot_confusion(cells, names),
    )
    words = [
        f"Rows are the classes, columns the predictions of the {predictor} after the "
        "last step.",
    ]
    tables = (
        [Table(("class", "taken for", "samples"), table_rows, right=(2,))]
        if table_rows
        else []
    )
    words += [] if table_rows else ["All predictions are correct."]
    return Section(
        "confusion",
        "Confusion matrix",
        words,
        [Figure(picture)],
        tables=tables,
    )


def rates_section(rates: Mapping[str, np.ndarray]) -> Section:
    """Return the section about firing rates.

    `rates` are spikes per time step of each neuron, by population.
    """
    table_rows = [
        (
            name,
            f"{values.mean():.3g}",
            f"{(values == 0).mean():.1%}",
            f"{(values >= 1).mean():.1%}",
        )
        for name, values in rates.items()
    ]
    words = (
        "Neurons (logarithmic) by firing rate in spikes per time step, in the mean "
        "over all samples. Silent neurons never spiked, saturated neurons have a rate "
        "of at least 1: a spike in every time step."
    )
    table = Table(
        ("population", "mean rate", "silent", "saturated"),
        table_rows,
        right=(1, 2, 3),
    )
    picture = embed_figure("histogram of firing rates by population", plot_rates(rates))
    return Section("rates", "Firing rates", [words], [Figure(picture)], tables=[table])


def _operations(statistics: SimulationStatistics) -> Section:
    """Return the section about operations, energies and the metrics of NeuroBench."""
    operations = [(row.title, row.measure) for row in rows(statistics, OPERATIONS)]
    words = (
        "Energies are those of the arithmetic in 45 nm (Horowitz 2014), 4.6 pJ a "
        "multiply-accumulate and 0.9 pJ an addition, without memory accesses, leak, "
        "biases and updates of neurons. Updates, sparsities and footprint are defined "
        "by NeuroBench (Yik et al. 2025)."
    )
    return Section(
        "operations",
        "Operations and energy",
        [*map(_sentence, statistics.operation_lines[1:]), words],
        tables=[Table(("", ""), operations, right=(1,))],
    )


def _activations(
    run: RunDirectory,
    simulation: Simulation,
    progress: Progress,
) -> Tuple[Dict[str, np.ndarray], List[str]]:
    """Return the mean activations of the network without spikes over the simulated samples, and paragraphs about them.

    No activations if the test set has changed since the simulation.
    """
    params = simulation.record.params
    read = {file.path: file for file in simulation.record.inputs}
    parsed_path = parsed_file(run, simulation.stamp)
    pictures = read.get("dataset/x_test.npy")
    if pictures is None or not run.hashes.matches(pictures):
        return {}, [
            "The test set has changed since the simulation, so the activations cannot "
            "be computed.",
        ]
    # Activations are quantised and clipped as in training.
    network = read_network(unaltered(run, parsed_path)).as_trained(
        read_levels(run.path / parsed_path),
    )
    output, clip_text = network.output, ""
    spikes = simulation.record.details.output_coding == "spikes"
    if spikes and output.activation == "linear":
        bounded_output = replace(output, activation="relu", max_value=1.0)
        network = network.with_populations([bounded_output])
        clip_text = (
            f" Activations of {output.name} are clipped to [0, 1] in "
            "each sample: the spikes of an output neuron represent no "
            "other values."
        )
    samples = _samples_within(network, params.samples)
    x = dataset_array(run, "x_test")[params.first : params.first + samples]
    scale = recorded_details(run, prepare.STAGE).scale
    activations = mean_activations(network, x, scale, progress)
    selection = (
        "all"
        if samples == params.samples
        else f"the first {samples:,} of {params.samples:,}"
    )
    return activations, [
        f"Horizontal: mean {'quantised ' if network.levels else ''}activation of a "
        f"neuron of the converted network without spikes, over {selection} simulated "
        "samples. Vertical: its firing rate in spikes per step. On the grey line both "
        "are equal. The stronger the colour, the more neurons. The correlation is "
        f"Pearson's over the neurons of the layer.{clip_text}",
    ]


def _samples_within(network: Network, samples: int) -> int:
    """Return the number of samples, at least one, whose activations take at most `MOST_OPERATIONS`."""
    sample_operations = sum(
        int(leaving.sum()) for leaving in network.fan_out().values()
    )
    return max(1, min(samples, MOST_OPERATIONS // max(1, sample_operations)))


def activations_section(
    rates: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
    words: List[str],
) -> Section:
    """Return the section of activation against firing rate, with a small figure for each population.

    `rates` and `activations` have equal shapes; the latter are empty if they cannot be
    computed.
    """
    small = []
    for name, values in activations.items():
        x, y = values.ravel().astype(np.float64), rates[name].ravel()
        constant = x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0
        largest = max(1e-9, float(np.max(x, initial=0)), float(np.max(y, initial=0)))
        unit = 10.0 ** np.floor(np.log10(largest))
        # The axes end at a number of one digit
        limit = float(f"{np.ceil(largest / unit - 1e-9) * unit:.3g}")
        caption = (
            "no correlation: one of them is constant"
            if constant
            else f"correlation {np.corrcoef(x, y)[0, 1]:.4f}"
        )
        picture = embed_figure(
            f"firing rate against activation of {name}",
            plot_activations(x, y, limit, name),
        )
        small.append(Figure(picture, caption))
    return Section("activations", "Activation and rate", words, small=small)
