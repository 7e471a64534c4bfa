"""Operations, energies and metrics of NeuroBench, against edges of the graph, recorded spikes and Keras's weights."""

import json
from dataclasses import replace

import numpy as np
import pytest

from snnb.graph.build import build_graph
from snnb.model_files.keras import keras
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.operations import (
    connection_sparsity,
    footprint,
)
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.statistics import rate_statistics
from snnb.simulation.totals import QualitySums, Totals
from snnb.training.keras_model import trained_network
from tests.graph.edges import all_edges
from tests.simulation.alike import run_engine, simulate_case, spike_trains

SAMPLES, STEPS = 20, 30
TRAINED = 12_345  # multiply-accumulates of the trained network, as given
layers = keras.layers
SETTINGS = SimulationSettings(
    engine="event", samples=SAMPLES, duration=STEPS, record_spikes=SAMPLES, seed=1
)


def _simulate(case, folder, **changes):
    """Return document and lines of a simulation, edges of the graph, and all spikes, (samples, steps, nodes)."""
    result = simulate_case(
        case, folder, SETTINGS.changed(**changes), multiply_accumulates=TRAINED
    )
    edges = all_edges(build_graph(case.network, pool_weight="one"))[:3]
    with np.load(folder / "spike_times.npz") as times:
        volumes = (case.network.input, *case.network.populations)
        trains = [
            spike_trains(times[volume.name], SAMPLES, STEPS, volume.size)
            for volume in volumes
        ]
    document = json.loads((folder / "sim_accuracies.json").read_text())
    return (
        document,
        result.statistics.operation_lines,
        edges,
        np.concatenate(trains, axis=2),
    )


@pytest.mark.parametrize("coding", ["constant", "poisson"])
def test_additions_are_spikes_at_edges_and_energies_those_of_the_operations(
    exact, tmp_path, coding
):
    found_operations, lines, (source, _, _), spikes = _simulate(
        exact, tmp_path, input=coding
    )
    additions = sum(spikes[..., one_source].sum() for one_source in source) / SAMPLES
    input_neurons = (
        (source < exact.network.input.size).sum() if coding == "constant" else 0
    )
    assert found_operations["synaptic_operations_per_sample"] == pytest.approx(
        additions
    )
    assert found_operations["input_multiply_accumulates_per_sample"] == input_neurons
    assert found_operations["ann_multiply_accumulates_per_sample"] == TRAINED
    assert found_operations["synapses"] == len(source)
    assert found_operations["energy_45nm_pj"] == pytest.approx(
        (3.7 + 0.9) * input_neurons + 0.9 * additions
    )
    assert found_operations["energy_45nm_ann_pj"] == pytest.approx(4.6 * TRAINED)
    own_report, trained_report = (
        f"{found_operations[name] / 1000:#.4g} nJ"
        for name in ("energy_45nm_pj", "energy_45nm_ann_pj")
    )
    operations = f"{additions:,.0f} additions"
    if coding == "constant":
        operations += f" and {input_neurons:,} MACs of the input"
    assert (
        lines[0]
        == f"per sample: {operations}, {own_report} (trained: {TRAINED:,} MACs, {trained_report})"
    )
    replaced_macs = TRAINED - input_neurons
    assert (0.9 * additions > 4.6 * replaced_macs) == (len(lines) == 2)
    if len(lines) == 2:
        more = "more energy than trained: {:.1f} additions replace a MAC, and 5.1 take"
        assert lines[1].startswith(more.format(additions / replaced_macs))


@pytest.mark.parametrize("more_macs", [10**9, 2, 0, -1])
def test_energy_above_the_trained_networks_is_explained(exact, tmp_path, more_macs):
    """`more_macs` are those of the trained network without those of the input."""
    counts = simulate_case(exact, tmp_path / "counts", SETTINGS).statistics
    macs = counts.input_multiply_accumulates_per_sample + more_macs
    result = simulate_case(
        exact, tmp_path / "result", SETTINGS, multiply_accumulates=macs
    )
    additions = counts.synaptic_operations_per_sample
    expected_causes = {
        10**9: [],
        2: [
            f"{additions / 2:.1f} additions replace a MAC, and 5.1 take as much energy"
        ],
        0: ["the input alone needs as many MACs"],
        -1: ["the input alone needs as many MACs"],
    }
    causes = [line.split(": ")[1] for line in result.statistics.operation_lines[1:]]
    assert causes == expected_causes[more_macs]


def test_poolings_sums_and_zeros_of_a_padding_multiply_nothing():
    """A window of 3 × 3 at each of n × n positions, zeros around them, has (3 n - 2)² values."""
    source = layers.Input((8, 8, 3))
    value = layers.Conv2D(4, 3, padding="same", use_bias=False)(source)
    value = layers.ReLU()(layers.BatchNormalization()(value))
    value = layers.Add()([layers.Conv2D(4, 1)(value), value])
    value = layers.SeparableConv2D(6, 3)(layers.ZeroPadding2D(1)(value))
    value = layers.MaxPooling2D(2)(value)
    value = layers.DepthwiseConv2D(3, padding="same")(value)
    value = layers.AveragePooling2D(2)(value)
    value = layers.Dense(5)(layers.GlobalAveragePooling2D()(value))
    expected_lines = [
        22**2 * 3 * 4,
        8**2 * 4 * 4,
        22**2 * 4 + 8**2 * 4 * 6,
        10**2 * 6,
        6 * 5,
    ]
    network = trained_network(keras.Model(source, value))
    assert network.multiply_accumulates == sum(expected_lines)


@pytest.mark.parametrize("coding", ["constant", "poisson"])
def test_metrics_of_neurobench_are_those_of_weights_spikes_and_potentials(
    exact, tmp_path, coding
):
    found_operations, _, (source, target, weight), spikes = _simulate(
        exact, tmp_path, input=coding
    )
    network, model = exact.network, exact.keras
    kernels = np.concatenate(
        [array.ravel() for array in model.get_weights() if array.ndim > 1]
    )
    assert found_operations["footprint"] == 4 * model.count_params()
    assert found_operations["connection_sparsity"] == np.mean(kernels == 0) > 0
    assert found_operations["activation_sparsity"] == pytest.approx(
        1 - spikes[..., network.input.size :].mean()
    )
    matrix = np.zeros((spikes.shape[2],) * 2)
    np.add.at(matrix, (source, target), weight)
    spikes_sent = spikes.astype(float)
    if coding == "constant":
        spikes_sent[..., : network.input.size] = exact.x[:SAMPLES].reshape(
            SAMPLES, 1, -1
        )
    # All sums are exact in float32; a pooling divides its own by the number of inputs.
    bias = [
        np.zeros(p.size) if p.bias is None else np.resize(p.bias, p.size)
        for p in network.populations
    ]
    taps = np.bincount(target)[network.input.size :]
    pools = np.concatenate(
        [np.full(p.size, p.kind == "AveragePooling2D") for p in network.populations]
    )
    current = (spikes_sent @ matrix)[..., network.input.size :].astype(
        np.float32
    ) / np.where(pools, taps, 1).astype(np.float32)
    current += np.concatenate(bias).astype(np.float32)
    fired_spikes = spikes[..., network.input.size :].astype(np.float32)
    softmax = np.arange(taps.size) >= taps.size - network.output.size
    potential, updates = np.zeros_like(current[:, 0]), current[:, 0].size
    for step in range(STEPS):
        before, reached_potential = potential, potential + current[:, step]
        # Reset by subtraction; a softmax, which spikes at random, is reset to zero.
        potential = reached_potential - fired_spikes[:, step] * np.where(
            softmax, reached_potential, np.float32(1)
        )
        updates += np.count_nonzero(potential != before) if step else 0
    assert found_operations["membrane_updates"] == updates / SAMPLES
    assert updates < 0.99 * fired_spikes.size


@pytest.mark.parametrize(
    "engine", ["tensorflow", pytest.param("toolbox", marks=pytest.mark.toolbox)]
)
def test_engines_that_count_no_membrane_updates_state_the_same_otherwise(
    exact, tmp_path, engine
):
    simulate_case(exact, tmp_path, SETTINGS.changed(engine=engine, record_spikes=0))
    document = json.loads((tmp_path / "sim_accuracies.json").read_text())
    assert "membrane_updates" not in document
    assert (
        document["footprint"],
        document["input_multiply_accumulates_per_sample"],
    ) == (
        4 * exact.keras.count_params(),
        exact.network.fan_out()["input"].sum(),
    )


def test_max_pooling_has_no_membrane(pooled_network):
    """The weights are 0, so that the potentials before the pooling change in the first step only, by definition."""
    x = (
        np.random.default_rng(0)
        .random((SAMPLES, *pooled_network.input.shape))
        .astype(np.float32)
    )
    found_result = run_engine(
        EventEngine, pooled_network, SETTINGS.changed(input="poisson"), x
    )
    assert found_result.counts["pool"].any()
    assert (
        found_result.membrane_updates == SAMPLES * pooled_network.volume("first").size
    )


def test_an_integer_network_has_weights_of_its_bit_width(exact):
    network = exact.network
    weights = sum(
        p.kernel.size
        for population in network.populations
        for p in population.projections
        if p.kernel is not None
    )
    others_params = exact.keras.count_params() - weights
    for bits in (3, 8, 16):
        assert (
            footprint(replace(network, weight_bits=bits))
            == -(-bits * weights // 8) + 4 * others_params
        )


def test_currents_of_each_step_are_multiplied_each_time_and_silence_is_sparse(exact):
    network = exact.network
    silent = {p.name: np.zeros(p.shape, np.int64) for p in network.populations}
    totals = Totals(
        SAMPLES, silent, QualitySums(np.zeros(STEPS), 0, None), None, {}, []
    )
    once, always = (
        rate_statistics(network, totals, STEPS, currents) for currents in (1, STEPS)
    )
    assert (
        always["input_multiply_accumulates_per_sample"]
        == STEPS * network.fan_out()["input"].sum()
    )
    assert always["energy_45nm_pj"] == pytest.approx(STEPS * once["energy_45nm_pj"])
    names = (
        "activation_sparsity",
        "synaptic_operations_per_sample",
        "membrane_updates",
    )
    assert [once[name] for name in names] == [1, 0, None]


def test_without_weights_no_connection_is_zero(pooled_network):
    without = replace(
        pooled_network,
        volumes=tuple(v for v in pooled_network.volumes if v.name != "first"),
    )
    assert connection_sparsity(without) == 0
    assert connection_sparsity(pooled_network) == 1  # its kernel has zeros only
