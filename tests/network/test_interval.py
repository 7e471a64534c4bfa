"""Pictures that follow each other at the interval of a network with separated firing, step by step in one membrane."""

import numpy as np
import pytest

from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble

STEPS = 8


def _network(rng, skip):
    """Return three dense populations in a row; with `skip`, the third also reads the first."""

    def dense(name, source, rows, activation="relu"):
        arrays = {
            "kernel": rng.normal(0.1, 0.4, (rows, 5)).astype(np.float32),
            "bias": np.full(5, 0.02, np.float32),
        }
        return StoredLayer(
            name, "Dense", {"units": 5, "activation": activation}, (source,), arrays
        )

    entries = [
        StoredLayer("input", "InputLayer", {"batch_input_shape": [None, 4]}, (), {})
    ]
    entries += [dense("one", "input", 4), dense("two", "one", 5)]
    if skip:
        entries += [dense("near", "two", 5, "linear"), dense("far", "one", 5, "linear")]
        entries += [
            StoredLayer("sum", "Add", {}, ("near", "far"), {}),
            StoredLayer("relu", "ReLU", {}, ("sum",), {}),
        ]
    else:
        entries.append(dense("three", "two", 5))
    return assemble(entries).separated(STEPS)


def _counts(network, pictures, interval):
    """Count the spikes of the output for each picture, of which one begins every `interval` steps."""
    populations, last = network.populations, network.output.name
    potential = {p.name: np.full(p.size, 0.5) for p in populations}
    found_counts = np.zeros((len(pictures), network.output.size), int)
    for now in range(interval * (len(pictures) - 1) + network.output.window[1]):
        begun = [
            (number, now - number * interval)
            for number in range(len(pictures))
            if now >= number * interval
        ]
        spikes_sent = {
            "input": sum(
                (pictures[n] for n, step in begun if step < STEPS), np.zeros(4)
            )
        }
        for p in populations:
            first_window, end = p.window
            for projection in p.projections:
                potential[p.name] += spikes_sent[
                    projection.input
                ] @ projection.weights().reshape(-1, p.size)
            potential[p.name] += p.bias * sum(
                first_window - STEPS <= step < first_window for _, step in begun
            )
            owner = [number for number, step in begun if first_window <= step < end]
            spikes_sent[p.name] = (potential[p.name] >= 1) & bool(owner)
            potential[p.name] -= spikes_sent[p.name]
            if any(step == end - 1 for _, step in begun):
                potential[p.name][:] = 0.5
            if p.name == last:
                for number in owner:
                    found_counts[number] += spikes_sent[p.name]
    return found_counts


@pytest.mark.parametrize(("skip", "windows"), [(False, 2), (True, 3)])
def test_a_picture_at_each_interval_has_the_spikes_of_one_alone(skip, windows):
    rng = np.random.default_rng(3)
    network = _network(rng, skip)
    assert network.interval(STEPS) == windows * STEPS
    pictures = rng.uniform(0, 1, (6, 4))
    alone = np.concatenate(
        [_counts(network, pictures[n : n + 1], 1) for n in range(len(pictures))]
    )
    assert alone.any()
    assert (_counts(network, pictures, network.interval(STEPS)) == alone).all()
    assert (_counts(network, pictures, network.interval(STEPS) - STEPS) != alone).any()
