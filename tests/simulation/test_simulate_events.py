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
from snnb.network.read_network import SPIKING, write_network
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import simulate
from tests.simulation.alike import spike_trains

SENSOR, SAMPLES, FIRST = (3, 4, 2), 12, 2
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

    def made(kind="events", spikes=True):
        def steps(frame):
            step, neuron = np.nonzero(frame)
            return Steps(step, neuron, frame[step, neuron], len(frame))

        dtype = "uint32" if kind == "events" else "float32"
        assert (
            write_samples(tmp_path / "x.h5", map(steps, values(kind)), SENSOR, dtype)
            == LENGTHS.tolist()
        )
        flat, first, second = (
            Reindexed("flat", (24,), Flatten(), ("input",)),
            Dense(units=6),
            Dense(units=4),
        )
        reads = Projection("flat", first, first.geometry((24,)), HIDDEN)
        sends = Projection("hidden", second, second.geometry((6,)), OUT)
        neuron, last = Neuron(1, leak=0.5, reset=0), Neuron(1, leak=0.75, spikes=spikes)
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

    return made


def run(case, target, settings=SETTINGS, **changes):
    target.mkdir()
    parsed, x = case
    arguments = {
        "x": x,
        "y": Y,
        "scale": 1.0,
        "class_names": list("abc"),
        "num_classes": 3,
        **changes,
    }
    result = simulate(parsed, target, name="n", settings=settings, **arguments)
    return result, {path.stem: dict(np.load(path)) for path in target.glob("*.npz")}


def stepped(frames, spikes):
    """Return the spikes of both layers, (steps, neurons), and the largest potential of the last after each step."""
    potentials, found, largest = (
        [np.zeros(6), np.zeros(4)],
        ([], []),
        [np.full(4, -np.inf)],
    )
    for frame in frames:
        potentials[0] = potentials[0] / 2 + frame @ HIDDEN
        first = potentials[0] >= 1
        potentials[0][first] = 0
        potentials[1] = potentials[1] * 0.75 + first @ OUT
        second = (potentials[1] >= 1) & spikes
        potentials[1][second] -= 1
        found[0].append(first)
        found[1].append(second)
        largest.append(np.maximum(largest[-1], potentials[1]))
    return np.array(found[0]), np.array(found[1]), np.array(largest[1:])


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
    padded = [
        np.pad(one, [(0, settings.duration - len(one)), (0, 0)]) for one in values(kind)
    ]
    chosen = range(FIRST, FIRST + 9)
    layers = {"input": [padded[i] for i in chosen]}
    layers["hidden"], layers["out"], largest = zip(
        *(stepped(padded[i], spikes) for i in chosen)
    )
    for name, of_samples in layers.items():
        counted = np.array(of_samples)  # (samples, steps, neurons)
        flat = {
            stem: arrays[name].astype(float)
            for stem, arrays in files.items()
            if name in arrays
        }
        total = flat["spike_rate_sums"].reshape(-1)
        np.testing.assert_array_equal(
            total, counted[:, 3:].sum(axis=(0, 1)), err_msg=name
        )
        table = files["spike_times"][name] - [FIRST, 0, 0]
        recorded = spike_trains(table, 2, settings.duration, counted.shape[2])
        np.testing.assert_array_equal(
            recorded, counted[:2] if (name, kind) != ("input", "steps") else 0
        )
    scores = (
        [one[-1] for one in largest]
        if not spikes
        else [one.sum(axis=0) for one in layers["out"]]
    )
    guesses = [score.argmax() if score.any() else -1 for score in scores]
    statistics = json.loads((tmp_path / "out" / "sim_accuracies.json").read_text())
    assert statistics["snn_accuracy"] == np.mean(
        guesses == Y[chosen.start : chosen.stop]
    )
    assert "ann_accuracy" not in statistics
    assert "disagreements" not in statistics
    assert "energy_45nm_ann_pj" not in statistics  # nothing was trained without spikes
    of_input = (
        0 if kind == "events" else np.size(HIDDEN) * (settings.duration - 3)
    )  # steps after the warm-up
    assert statistics["input_multiply_accumulates_per_sample"] == of_input
    additions = statistics["synaptic_operations_per_sample"]
    assert statistics["energy_45nm_pj"] == pytest.approx(
        4.6 * of_input + 0.9 * additions
    )
    assert "trained" not in result.statistics.operations
    assert statistics["coding"]["input"] == (
        "spikes" if kind == "events" else "current"
    )
    assert result.statistics.ann_accuracy is None
    assert statistics["class_counts"] == {"a": 3, "b": 3, "c": 3}


def test_equal_files_from_workers(case, tmp_path, dask_workers):
    _, alone = run(case(), tmp_path / "alone")
    _, shared = run(case(), tmp_path / "shared", SETTINGS.changed(workers=2))
    for stem, arrays in alone.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(shared[stem][name], array)


def test_other_samples_and_classes_are_refused(case, tmp_path):
    with pytest.raises(
        InputError, match="layer out has 4 neurons, but there are 5 classes"
    ):
        run(case(), tmp_path / "classes", num_classes=5)
    parsed, x = case()
    x.shape = (3, 4, 1)
    with pytest.raises(
        InputError,
        match=r"the model reads samples of \(3, 4, 2\), the test set has \(3, 4, 1\)",
    ):
        run((parsed, x), tmp_path / "shape")
