"""What the report says of one simulation, gathered from its record and its files."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from snnb.core.progress import Progress
from snnb.network.read_network import read_network
from snnb.pipeline import prepare
from snnb.pipeline.prepare import dataset_array
from snnb.pipeline.simulations import Simulation
from snnb.pipeline.stage import recorded_details, unaltered
from snnb.report.page import Section
from snnb.results.compare import by_step, simulated_files
from snnb.rundir.directory import RunDirectory


class Part(NamedTuple):
    """Sections of the page, and what of them stands at its top: names and values."""

    sections: Sequence[Section]
    figures: Sequence[Tuple[str, str]] = ()


def as_written(run: RunDirectory, path: str) -> Path:
    """Return the place of a file of the run; raise `InputError` when it is not as it was written."""
    record = next((one for one in run.records().values() if any(file.path == path for file in one.outputs)), None)
    return unaltered(run, record, path, f"`snnb verify {run.path}` says what makes it again")


def simulation_part(run: RunDirectory, found: Simulation, progress: Progress) -> Part:
    """Return what the page says of a simulation: accuracy, confusions, rates, activations."""
    from snnb.report.simulation_sections import accuracy_section, activations_section, confusion_section, rates_section
    from snnb.simulation.quality import wilson_interval

    stated, counts = simulated_files(run, found.stamp)
    params, metrics = found.record.params, found.record.metrics
    steps = params.duration - params.warm_up
    rates = {name: values / (params.samples * steps) for name, values in counts.items()}
    classifies = metrics.get("snn_accuracy") is not None
    kind = "accuracy" if classifies else "mean_squared_error"
    label, words, figures = kind.replace("_", " "), [], []
    for side, name in (("ann", "analogue network"), ("snn", "spiking network")):
        value = float(metrics.get(f"{side}_{kind}") or 0.0)
        shown, interval = f"{value:.2%}" if classifies else f"{value:.4g}", ""
        if classifies:
            interval = " (95 % interval {:.2%} to {:.2%})".format(
                *wilson_interval(value * params.samples, params.samples)
            )
        words.append(f"{name}: {shown}{interval}")
        figures.append((f"{side.upper()} {label}", shown))
    figures.append(("synaptic operations per sample", f"{float(stated['synaptic_operations_per_sample']):,.0f}"))
    latency, between = (stated.get(f"{name}_steps", params.duration) for name in ("latency", "interval"))
    took = f"{params.samples:,} samples of {latency:,} time steps"
    took += f", one every {between:,} time steps" if between != latency else ""
    summary = [f"{'; '.join(words)}; {took}, input {params.input}."]
    names = [str(name) for name in stated.get("class_counts", {})]
    activations, about = _activations(run, found, progress)
    drawn = [str(name) for name, coding in stated.get("coding", {}).items() if coding == "random"]
    if drawn and activations:
        about.append(f"The spikes of {', '.join(drawn)}, a softmax layer, are drawn at random.")
    sections = [
        accuracy_section(by_step(stated), float(metrics.get(f"ann_{kind}") or 0.0), label, summary),
        *([confusion_section(stated["confusion"], names)] if "confusion" in stated else []),
        rates_section(rates),
        activations_section(rates, activations, about),
    ]
    return Part(sections, figures)


def _activations(run: RunDirectory, found: Simulation, progress: Progress) -> Tuple[Dict[str, np.ndarray], List[str]]:
    """Return the mean activations of the analogue network over the simulated samples, and what they are of."""
    from snnb.report.activations import mean_activations, samples_within

    params = found.record.params
    read = {file.path: file for file in found.record.inputs}
    parsed = f"{run.directory_of('simulate', found.stamp)}/{run.model}_parsed.h5"
    pictures = read.get("dataset/x_test.npy")
    if pictures is None or not run.hashes.matches(pictures):
        return {}, ["The test set has changed since the simulation, so the activations cannot be computed."]
    network = read_network(as_written(run, parsed))
    samples = samples_within(network, params.samples)
    x = dataset_array(run, "x_test")[params.first : params.first + samples]
    scale = recorded_details(run, prepare.KIND).scale
    activations = mean_activations(network, x, scale, progress)
    of = "all" if samples == params.samples else f"the first {samples:,} of {params.samples:,}"
    return activations, [
        f"Across: mean activation of a neuron of the analogue network over {of} simulated samples. Up: its firing rate "
        "in spikes per step. On the grey line both are equal. The correlation is Pearson's over the layer's neurons."
    ]
