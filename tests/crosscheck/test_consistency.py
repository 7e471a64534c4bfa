"""In a deep network rounding shifts spikes, which is not an error; one altered weight is one, in any layer."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from snnb.core.errors import UsageError, VerificationError
from snnb.crosscheck import scipy
from snnb.crosscheck.check import Expectation, check
from snnb.crosscheck.consistency import first_inconsistent
from snnb.crosscheck.counts import count_differences, within_rounding
from snnb.crosscheck.exported import (
    ExportedNetwork,
    ExportedPopulation,
    ExportedProjection,
    counts_of,
    exported_network,
    in_order,
)
from snnb.formats.request import Simulated
from snnb.simulation.simulate import SimulationSettings
from tests.crosscheck.simulated import graph_of_simulation
from tests.graph.networks import LAYERS, save
from tests.graph.recorded import keras

SAMPLES = 4
STEPS = 100
BLOCKS = 8


def network():
    """Eight blocks of two convolutions next to a shortcut."""
    source = LAYERS.Input((8, 8, 3), name="input")
    tensor = LAYERS.Conv2D(8, 3, padding="same", activation="relu", name="conv")(source)
    for k in range(BLOCKS):
        inner = LAYERS.Conv2D(
            8, 3, padding="same", activation="relu", name=f"first{k}"
        )(tensor)
        outer = LAYERS.Conv2D(8, 3, padding="same", name=f"second{k}")(inner)
        shortcut = LAYERS.DepthwiseConv2D(1, name=f"shortcut{k}")(tensor)
        tensor = LAYERS.Activation("relu", name=f"sum{k}")(
            LAYERS.Add(name=f"add{k}")([outer, shortcut])
        )
    out = LAYERS.Dense(3, activation="softmax", name="out")(
        LAYERS.Flatten(name="flat")(tensor)
    )
    return keras.Model(source, out)


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """The exported network, its inputs, and its spikes in the simulation."""
    folder = tmp_path_factory.mktemp("deep")
    model = network()
    rng = np.random.default_rng(4)
    for layer in model.layers:
        shapes = [values.shape for values in layer.get_weights()]
        if shapes:
            bias, kernel = (
                np.full(shapes[-1], 0.05),
                rng.normal(0, 1, shapes[0]) / np.sqrt(np.prod(shapes[0][:3])),
            )
            layer.set_weights(
                [
                    np.ones(shapes[0]) if layer.name.startswith("shortcut") else kernel,
                    bias,
                ]
            )
    parsed_path = save(model, folder / "net_parsed.h5")
    x = rng.integers(0, 256, (SAMPLES, 8, 8, 3)).astype(np.uint8)
    settings = SimulationSettings(
        engine="event", samples=SAMPLES, duration=STEPS, record_spikes=SAMPLES
    )
    simulation = Simulated(
        1.0, "subtraction", "constant", None, 255.0, None, None, STEPS, SAMPLES, 0
    )
    with graph_of_simulation(parsed_path, folder, x, 255.0, settings) as graph:
        graph_network = exported_network(graph, simulation)
    with np.load(folder / "spike_times.npz") as times:
        spikes = {
            name: in_order(times[name].astype(np.int64))
            for name in times.files
            if times[name].ndim == 2
        }
    return (
        graph_network,
        (x.astype(np.float32) / np.float32(255)).reshape(SAMPLES, -1).astype(float),
        spikes,
    )


def alter(network, target, synapse, change):
    """Another network, in which one synapse to a population weighs more or less."""
    projections = list(network.projections)
    number = next(
        i for i, projection in enumerate(projections) if projection.target == target
    )
    weights = projections[number].weights.copy()
    weights.data[synapse] += change
    projections[number] = replace(projections[number], weights=weights)
    return replace(network, projections=tuple(projections))


def synapse_of(network, target, pixels, spikes):
    """Number of a synapse that carries spikes, or a pixel, to a neuron that spikes."""
    projection = next(p for p in network.projections if p.target == target)
    fired_counts = counts_of(
        spikes[target], SAMPLES, network.population(target).size, 0
    )
    arrived_pixels = (
        pixels
        if projection.source == "input"
        else counts_of(
            spikes[projection.source], *pixels.shape[:1], fired_counts.shape[1], 0
        )
    )
    neuron, source = np.nonzero(projection.weights.toarray())
    useful = (
        (fired_counts[:, neuron] > 20)
        & (fired_counts[:, neuron] < 60)
        & (arrived_pixels[:, source] > 0.5)
    )
    assert useful.any()
    return int(np.flatnonzero(useful.any(axis=0))[0])


def test_shifted_spikes_are_no_error(deep):
    network, pixels, spikes = deep
    said = []
    comparison = check(
        network,
        scipy.build(network),
        Expectation(STEPS, 0, pixels, spikes),
        name="scipy",
        batch_size=3,
        say=said.append,
    )
    last = comparison[-1]
    assert last.differing > last.pairs / 1000  # by more than that, and nothing is wrong
    assert f"({max(c.differing / c.pairs for c in comparison):.3%} in " in said[-1]
    assert "each spike follows from the exported weights" in said[-1]


@pytest.mark.parametrize(
    "population",
    [
        "first4",
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("conv", "first0", "sum7")),
    ],
)
def test_one_synapse_altered_in_any_layer(deep, population):
    network, pixels, spikes = deep
    synapse = synapse_of(network, population, pixels, spikes)
    altered_network = alter(network, population, synapse, 0.1)
    with pytest.raises(
        VerificationError,
        match=rf"{population} differs in scipy: .* in the simulation, neuron",
    ):
        check(
            altered_network,
            scipy.build(altered_network),
            Expectation(STEPS, 0, pixels, spikes),
            name="scipy",
            batch_size=4,
        )


def test_a_simulator_that_errs_is_named(deep):
    network, pixels, spikes = deep
    altered_network = alter(
        network, "first4", synapse_of(network, "first4", pixels, spikes), 0.1
    )
    with pytest.raises(
        VerificationError, match=r"first4 differs in scipy: .* in scipy, neuron"
    ):
        check(
            network,
            scipy.build(altered_network),
            Expectation(STEPS, 0, pixels, spikes),
            name="scipy",
            batch_size=4,
        )


@pytest.mark.slow
def test_of_sums_as_much_may_differ_as_the_potential_at_the_end_makes_good(deep):
    network, pixels, spikes = deep
    sums = {
        p.name: counts_of(spikes[p.name], SAMPLES, p.size, 10).sum(axis=0)
        for p in network.simulated_populations
    }
    expected_expectation, said = Expectation(STEPS, 10, pixels, sums=sums), []
    comparison = check(
        network,
        scipy.build(network),
        expected_expectation,
        name="scipy",
        batch_size=4,
        say=said.append,
    )
    assert sum(c.differing for c in comparison) > 10
    assert "To check each spike, simulate with --record-spikes" in said[-1]
    for population in ("first0", "sum3", "sum7"):
        altered_network = alter(
            network, population, synapse_of(network, population, pixels, spikes), 0.5
        )
        with pytest.raises(
            VerificationError, match=rf"{population} differs in scipy: by [\d,]+ spikes"
        ):
            check(
                altered_network,
                scipy.build(altered_network),
                expected_expectation,
                name="scipy",
                batch_size=4,
            )
    reset = {
        p.name: {**p.numbers, "reset": np.zeros((p.size, 1))}
        for p in network.populations
    }
    zero = replace(
        network,
        populations=tuple(
            replace(p, numbers=reset[p.name]) for p in network.populations
        ),
    )
    with pytest.raises(UsageError, match="sums are not conclusive"):
        check(zero, scipy.build(zero), expected_expectation, name="scipy", batch_size=4)


def one_neuron(bias, weight=0.0):
    """A neuron with a bias, and a pixel of that weight."""
    array = np.ones((1, 1))
    numbers = {"leak": array, "gain": array, "offset": 0 * array, "subtrahend": array}
    populations = (
        ExportedPopulation(
            "pixel", 1, "current", -1, np.zeros(1), np.zeros(1), np.ones(1), numbers
        ),
        ExportedPopulation(
            "neuron", 1, "spikes", 0, np.array([bias]), np.zeros(1), np.ones(1), numbers
        ),
    )
    return ExportedNetwork(
        populations,
        (ExportedProjection("pixel", "neuron", csr_matrix([[weight]]), 1),),
        False,
    )


def steps_to_spikes(*steps):
    return {"neuron": np.array([[0, 0, step] for step in steps]).reshape(-1, 3)}


@pytest.mark.parametrize("steps", [(3, 6, 9), (3, 6)])
def test_a_constant_current_that_all_but_meets_the_threshold(steps):
    """0.3, 0.6, 0.9, 1.2: a spike, 0.5, 0.8, 1.1: a spike, 0.4, 0.7, and 1 or a little less: a spike or none."""
    assert (
        first_inconsistent(
            one_neuron(0.1, 0.2), np.ones((1, 1)), steps_to_spikes(*steps), 10
        )
        is None
    )


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((2, 6, 9), (2, True, 0.9)),
        ((3, 9), (6, False, 1.1)),
        ((3, 6, 8), (8, True, 0.7)),
    ],
)
def test_a_spike_too_early_or_missing(steps, message):
    found_fault = first_inconsistent(
        one_neuron(0.1, 0.2), np.ones((1, 1)), steps_to_spikes(*steps), 10
    )
    assert (found_fault.step, found_fault.spiked, found_fault.potential) == (
        *message[:2],
        pytest.approx(message[2]),
    )
    assert 1e-7 < found_fault.rounding < 1e-5


def differ(*changes):
    """Two hundred neurons' sums over ten samples, of which these differ by so much."""
    found_counts = np.full(200, 7)
    for neuron, change in changes:
        found_counts[neuron] += change
    (difference,) = count_differences({"a": found_counts}, {"a": np.full(200, 7)}, 10)
    return difference


def test_pairs_are_counted_where_each_sample_is_known():
    (difference,) = count_differences(
        {"a": np.array([[1, 1, 4], [0, 0, 0]])},
        {"a": np.array([[1, 2, 2], [0, 0, 0]])},
        2,
    )
    assert (
        difference.pairs,
        difference.differing,
        difference.largest,
        difference.spikes,
    ) == (
        6,
        2,
        2,
        5,
    )


def test_a_spike_in_a_thousand_pairs_may_differ():
    assert within_rounding(differ(), 10)
    assert within_rounding(differ((0, 1), (1, -1)), 10)
    assert not within_rounding(differ((0, 1), (1, -1), (2, 1)), 10)
    (small,) = count_differences({"a": np.ones(3, int)}, {"a": np.array([1, 1, 2])}, 1)
    assert within_rounding(small, 1)
    assert not within_rounding(differ((0, 2)), 1)
