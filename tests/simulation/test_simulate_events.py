"""Simulations of samples that change from step to step, of different lengths, against neurons stepped in numpy."""

import json

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.network.event_samples import EventSamples, Steps, write_samples
from snnb.network.layers import Dense, Flatten
from snnb.network.network import Network, Population, Projection, Reindexed, Volume
from snnb.network.neuron import Neuron
from snnb.network.read_network import SPIKING, read_network, write_network
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import simulate
from tests.simulation.alike import spike_trains

SENSOR = (3, 4, 2)
SAMPLES = 12
FIRST = 2
RANDOM = np.random.default_rng(4)
LENGTHS = RANDOM.integers(5, 40, SAMPLES)
Y = np.arange(SAMPLES) % 3
HIDDEN, OUT = (
    RANDOM.integers(-2, 5, shape).astype(np.float32) / 8 for shape in ((24, 6), (6, 4))
)
SETTINGS = SimulationSettings(
    engine="event",
    input="events",
    samples=9,
    first=FIRST,
    duration=int(LENGTHS.max()),
    warm_up=3,
)


def values(kind):
    random = np.random.default_rng(5)
    frames = [
        random.poisson(0.3, (length, 24)).astype(np.float32) for length in LENGTHS
    ]
    return (
        frames
        if kind == "events"
        else [frame * random.choice([-0.5, 0.5, 1], frame.shape) for frame in frames]
    )


@pytest.fixture
def case(tmp_path):
    """Write samples and a network of leaky neurons, which ends in ones that spike, or that are read by potential."""

    def make(kind="events", spikes=True):
        def steps(frame):
            step, neuron = np.nonzero(frame)
            return Steps(step, neuron, frame[step, neuron], len(frame))

        dtype = "uint32" if kind == "events" else "float32"
        assert (
            write_samples(tmp_path / "x.h5", map(steps, values(kind)), SENSOR, dtype)
            == LENGTHS.tolist()
        )
        flat = Reindexed("flat", (24,), Flatten(), ("input",))
        first_layer = Dense(units=6)
        second_layer = Dense(units=4)
        reads = Projection("flat", first_layer, first_layer.geometry((24,)), HIDDEN)
        sends = Projection("hidden", second_layer, second_layer.geometry((6,)), OUT)
        neuron, last = (
            Neuron(1, decay_factor=0.5, reset_potential=0),
            Neuron(1, decay_factor=0.75, is_spiking=spikes),
        )
        zeros = np.zeros(6, np.float32)
        network = Network(
            (
                Volume("input", SENSOR),
                flat,
                Population(
                    "hidden", (6,), "Dense", (reads,), zeros, "linear", neuron=neuron
                ),
                Population(
                    "out", (4,), "Dense", (sends,), zeros[:4], "linear", neuron=last
                ),
            )
        )
        with h5py.File(tmp_path / "n_parsed.h5", "w") as file:
            write_network(network, file.create_group(SPIKING))
        return tmp_path / "n_parsed.h5", EventSamples(tmp_path / "x.h5")

    return make


def run(case, target, settings=SETTINGS, **changes):
    target.mkdir()
    parsed_case, x = case
    arguments = {"x": x, "y": Y, "class_names": list("abc"), **changes}
    network = read_network(parsed_case)
    result = simulate(network, settings=settings, **arguments)
    result.write(target, "n")
    return result, {path.stem: dict(np.load(path)) for path in target.glob("*.npz")}


def step_neurons(frames, spikes):
    """Return the spikes of both layers, (steps, neurons), and the largest potential of the last after each step."""
    potentials = [np.zeros(6), np.zeros(4)]
    found_steps = ([], [])
    largest = [np.full(4, -np.inf)]
    for frame in frames:
        potentials[0] = potentials[0] / 2 + frame @ HIDDEN
        first_spikes = potentials[0] >= 1
        potentials[0][first_spikes] = 0
        potentials[1] = potentials[1] * 0.75 + first_spikes @ OUT
        second_spikes = (potentials[1] >= 1) & spikes
        potentials[1][second_spikes] -= 1
        found_steps[0].append(first_spikes)
        found_steps[1].append(second_spikes)
        largest.append(np.maximum(largest[-1], potentials[1]))
    return np.array(found_steps[0]), np.array(found_steps[1]), np.array(largest[1:])


@pytest.mark.parametrize(
    ("engine", "kind", "spikes"),
    [
        ("event", "events", True),
        ("event", "steps", False),
        ("tensorflow", "events", False),
    ],
)
def test_counts_are_those_of_the_stepped_neurons(
    case, tmp_path, monkeypatch, engine, kind, spikes
):
    monkeypatch.setattr(
        "snnb.simulation.run_blocks.choose_batch_size", lambda network: 2
    )
    monkeypatch.setattr("snnb.simulation.run_blocks.EVENT_SAMPLES", 1)
    settings = SETTINGS.changed(engine=engine, input=kind, record_spikes=2)
    result, files = run(case(kind, spikes), tmp_path / "out", settings)
    padded_frames = [
        np.pad(value, [(0, settings.duration - len(value)), (0, 0)])
        for value in values(kind)
    ]
    chosen_samples = range(FIRST, FIRST + 9)
    layers = {"input": [padded_frames[i] for i in chosen_samples]}
    layers["hidden"], layers["out"], largest = zip(
        *(step_neurons(padded_frames[i], spikes) for i in chosen_samples)
    )
    for name, sample_spikes in layers.items():
        spike_array = np.array(sample_spikes)  # (samples, steps, neurons)
        flat = {
            stem: arrays[name].astype(float)
            for stem, arrays in files.items()
            if name in arrays
        }
        total = flat["spike_rate_sums"].reshape(-1)
        np.testing.assert_array_equal(
            total, spike_array[:, 3:].sum(axis=(0, 1)), err_msg=name
        )
        table = files["spike_times"][name] - [FIRST, 0, 0]
        recorded_trains = spike_trains(
            table, 2, settings.duration, spike_array.shape[2]
        )
        np.testing.assert_array_equal(
            recorded_trains,
            spike_array[:2] if (name, kind) != ("input", "steps") else 0,
        )
    scores = (
        [value[-1] for value in largest]
        if not spikes
        else [value.sum(axis=0) for value in layers["out"]]
    )
    guesses = [score.argmax() if score.any() else -1 for score in scores]
    statistics = json.loads((tmp_path / "out" / "sim_accuracies.json").read_text())
    assert statistics["snn_accuracy"] == np.mean(
        guesses == Y[chosen_samples.start : chosen_samples.stop]
    )
    assert "ann_accuracy" not in statistics
    assert "disagreements" not in statistics
    assert "energy_45nm_ann_pj" not in statistics  # nothing was trained without spikes
    input_spikes = (
        0 if kind == "events" else np.size(HIDDEN) * (settings.duration - 3)
    )  # steps after the warm-up
    assert statistics["input_multiply_accumulates_per_sample"] == input_spikes
    additions = statistics["synaptic_operations_per_sample"]
    assert statistics["energy_45nm_pj"] == pytest.approx(
        4.6 * input_spikes + 0.9 * additions
    )
    assert "trained" not in str(result.statistics.operation_lines)
    assert statistics["coding"]["input"] == (
        "spikes" if kind == "events" else "current"
    )
    assert result.statistics.ann_accuracy is None
    assert statistics["class_counts"] == {"a": 3, "b": 3, "c": 3}


def test_equal_files_from_workers(case, tmp_path, dask_workers):
    _, alone = run(case(), tmp_path / "alone")
    _, shared_result = run(case(), tmp_path / "shared", SETTINGS.changed(workers=2))
    for stem, arrays in alone.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(shared_result[stem][name], array)


def test_other_samples_and_classes_are_refused(case, tmp_path):
    with pytest.raises(
        InputError, match="layer out has 4 neurons, but there are 5 classes"
    ):
        run(case(), tmp_path / "classes", class_names=list("abcde"))
    parsed_path, x = case()
    x.shape = (3, 4, 1)
    with pytest.raises(
        InputError,
        match=r"the model reads samples of \(3, 4, 2\), the test set has \(3, 4, 1\)",
    ):
        run((parsed_path, x), tmp_path / "shape")
