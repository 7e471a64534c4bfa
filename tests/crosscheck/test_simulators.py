"""Spikes of the exported graph in other simulators, against the spikes of the simulation of the network."""

import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.crosscheck import brian2, sanafe, scipy
from snnb.crosscheck.consistency import first_inconsistent
from snnb.crosscheck.exported import counts_of, exported_network, in_order
from snnb.graph.build import build_graph
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble
from tests.crosscheck.simulated import STEPS, compare_spikes, simulated_graph

SAMPLES, NAMES = 3, ["one", "two", "sum", "pool", "hidden"]
WAYS = [  # reset, threshold, input, initial potential
    pytest.param(("subtraction", 1.0, "constant", 0.0), marks=pytest.mark.slow),
    ("zero", 0.5, "constant", 0.5),
    pytest.param(("subtraction", 0.5, "poisson", 0.0), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=WAYS, ids=str)
def simulation_case(request, parsed_path, tmp_path_factory):
    """The exported network, its inputs, the folder of the simulation, and the threshold."""
    folder, (_, threshold, coding, _) = (
        tmp_path_factory.mktemp("simulated"),
        request.param,
    )
    x, simulation, built = simulated_graph(parsed_path, folder, SAMPLES, *request.param)
    with built as graph:
        network = exported_network(graph, simulation)
    inputs = (x / np.float32(256)).reshape(SAMPLES, -1).astype(float)
    if coding == "poisson":
        inputs = np.zeros((SAMPLES, 60, STEPS), bool)
        with np.load(folder / "spike_times.npz") as times:
            inputs[tuple(times["input"].T)] = True
    return network, inputs, folder, threshold


@pytest.mark.parametrize(
    "simulator", [scipy, brian2, sanafe], ids=["scipy", "brian2", "sanafe"]
)
def test_spikes_of_a_residual_network(simulation_case, simulator):
    network, inputs, folder, _ = simulation_case
    spike_record = compare_spikes(network, simulator, "free", folder, inputs, STEPS)
    assert list(spike_record) == NAMES
    assert all(rows.size for rows in spike_record.values())


def test_batches_of_other_sizes_give_the_spikes_of_each_sample(simulation_case):
    network, inputs, folder, _ = simulation_case
    simulate, numbers = brian2.build(network), [2, 0, 1, 1]
    batches = [numbers[:1], numbers[1:], numbers[:1]]
    with np.load(folder / "spike_times.npz") as times:
        recorded_times = {name: times[name].astype(int) for name in NAMES}
    for batch in batches:
        found_result = simulate(inputs[batch], STEPS)
        for name, rows in recorded_times.items():
            expected_times = [
                np.insert(rows[rows[:, 0] == i][:, 1:], 0, position, axis=1)
                for position, i in enumerate(batch)
            ]
            np.testing.assert_array_equal(
                in_order(found_result[name]), in_order(np.concatenate(expected_times))
            )


def test_without_a_spike_the_others_do_not_follow(simulation_case):
    network, inputs, folder, threshold = simulation_case
    with np.load(folder / "spike_times.npz") as times:
        spikes = {name: in_order(times[name].astype(int)) for name in NAMES}
    missing_spike = spikes["two"][40]
    found_fault = first_inconsistent(
        network, inputs, {**spikes, "two": np.delete(spikes["two"], 40, axis=0)}, STEPS
    )
    assert (
        found_fault.population,
        found_fault.sample,
        found_fault.neuron,
        found_fault.step,
    ) == (
        "two",
        *missing_spike,
    )
    assert not found_fault.spiked
    assert found_fault.potential >= threshold + found_fault.rounding


def test_spikes_are_counted_after_the_warm_up():
    spikes = np.array([[0, 1, 3], [0, 1, 4], [1, 0, 7], [1, 0, 8]])
    np.testing.assert_array_equal(counts_of(spikes, 3, 2, 4), [[0, 1], [2, 0], [0, 0]])


@pytest.mark.parametrize("rule", ["leading_input", "largest_count"])
def test_simulators_refuse_a_rule_of_max_pooling_that_they_do_not_have(tmp_path, rule):
    config = {"pool_size": [2, 2], "strides": [2, 2], "rule": rule}
    arrays = {"kernel": np.ones((4, 2), np.float32), "bias": np.zeros(2, np.float32)}
    entries = [
        StoredLayer(
            "input", "InputLayer", {"batch_input_shape": [None, 4, 4, 1]}, (), {}
        ),
        StoredLayer("highest", "MaxPooling2D", config, ("input",), {}),
        StoredLayer("flat", "Flatten", {}, ("highest",), {}),
        StoredLayer("out", "Dense", {"units": 2}, ("flat",), arrays),
    ]
    with build_graph(assemble(entries)) as graph:
        if rule == "leading_input":
            with pytest.raises(
                UsageError,
                match=r"highest is a max pooling by the toolbox's rule.*--max-pool exact",
            ):
                exported_network(graph)
            return
        network = exported_network(graph)
    with pytest.raises(
        UsageError, match=r"sanafe .*highest.*largest spike count.*scipy or brian2"
    ):
        sanafe.build(network)
