"""Two engines on the same samples: what has to be the same, and what may differ by rounding."""

from dataclasses import replace

import numpy as np

from snnb.network.converted import ConvertedNetwork
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import read_network, read_networks
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import simulate
from snnb.training.keras_model import write_model

SETTINGS = SimulationSettings(samples=70, duration=60, seed=5, record_spikes=2)


def weighted_entry(random, name, kind, config, inputs, *shape, spread=(0.5, 0.1)):
    """A layer with a random kernel of a shape, and random biases, of these standard deviations."""
    depthwise = kind == "DepthwiseConv2D"
    kernel, bias = (
        random.normal(0, spread[0], shape),
        random.normal(0, spread[1], shape[-1 - depthwise]),
    )
    arrays = {
        "depthwise_kernel" if depthwise else "kernel": kernel.astype(np.float32),
        "bias": bias.astype(np.float32),
    }
    return StoredLayer(name, kind, config, inputs, arrays)


def network_of(model, folder):
    """The network of a Keras model's file."""
    write_model(model, folder / "n_parsed.h5")
    return read_network(folder / "n_parsed.h5")


def model_of(path, **changes):
    """The network in a file of a parsed model, compared with the one without spikes."""
    network, analogue = read_networks(path)
    model = ConvertedNetwork(
        network, analogue, output_scale=1.0, multiply_accumulates=None, fidelity=None
    )
    return replace(model, **changes)


def simulate_case(
    case, target, settings, multiply_accumulates=None, output_scale=1.0, **changes
):
    """Simulate the samples of a case with ten classes, and write the result into a directory."""
    target.mkdir(exist_ok=True)
    model = model_of(
        case.parsed,
        multiply_accumulates=multiply_accumulates,
        output_scale=output_scale,
    )
    arguments = {"x": case.x, "y": case.y, "class_names": list("abcdefghij")}
    result = simulate(model, settings=settings, **{**arguments, **changes})
    result.write(target, "n")
    return result


def run_engine(engine, network, settings, x):
    """What an engine counts of samples."""
    return engine(network, settings).simulate(x, 0, lambda *_: None)


def simulate_calibrated(engine, calibration, x, steps, logits):
    """What an engine counts with a calibrated network, its read-out in the unit of the logits, and their error.

    The error is the squared difference from the `logits` of the trained network, as a share of their square.
    """
    counted_result = run_engine(
        engine,
        calibration.network,
        SimulationSettings(duration=steps, samples=len(x)),
        x,
    )
    readout = (
        counted_result.readout
        * np.float32(calibration.layers[calibration.network.output.name].scale_factors)
        / steps
    )
    error = (
        np.square(readout - readout.mean(axis=1, keepdims=True) - logits).sum()
        / np.square(logits).sum()
    )
    return counted_result, readout, error


def observe_engine(engine, network, settings, x, first_sample=0):
    """What an engine counts of samples, the spikes of the output in each step, and its read-out after each, if any."""
    parts = []
    counted_result = engine(network, settings).simulate(
        x, first_sample, lambda *part: parts.append(part)
    )
    spikes, readouts = zip(*parts)
    return (
        counted_result,
        np.concatenate(spikes, axis=1),
        readouts[0] if readouts[0] is None else np.concatenate(readouts, 1),
    )


def spike_trains(table, samples, steps, size):
    """Numbers of spikes, (samples, steps, neurons), of a table of sample, neuron and step."""
    trains = np.zeros((samples, steps, size), np.int64)
    sample, neuron, step = np.asarray(table, np.int64).T
    np.add.at(trains, (sample, step, neuron), 1)
    return trains


def simulate_engine(engine, case, settings, samples=slice(0, 70)):
    """What an engine counts of some of the case's samples, and the spikes of the output."""
    return observe_engine(
        engine, case.network, settings, case.x[samples], samples.start
    )[:2]


def assert_every_spike_is_the_same(engines, case, settings):
    (one_counts, one_spikes), (two, two_spikes) = (
        simulate_engine(engine, case, settings) for engine in engines
    )
    assert list(one_counts.counts) == list(two.counts)
    for name, counts in one_counts.counts.items():
        assert counts.any()
        np.testing.assert_array_equal(two.counts[name], counts, err_msg=name)
    np.testing.assert_array_equal(two_spikes, one_spikes)
    np.testing.assert_array_equal(two.late, one_counts.late)
    np.testing.assert_allclose(two.readout, one_counts.readout, atol=1e-4)
    assert list(one_counts.spikes) == list(two.spikes)
    for name, table in one_counts.spikes.items():
        np.testing.assert_array_equal(two.spikes[name], table, err_msg=name)


def assert_of_10000_counts_at_most_one_differs_by_one(engines, case):
    (one_counts, _), (two, _) = (
        simulate_engine(engine, case, SETTINGS) for engine in engines
    )
    differences = np.concatenate(
        [
            (two.counts[name] - one_counts.counts[name]).ravel()
            for name in one_counts.counts
        ]
    )
    assert np.abs(differences).max() <= 1
    assert (differences != 0).mean() <= 1e-4
