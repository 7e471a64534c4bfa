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
    multiply_accumulates,
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


def _simulated(case, folder, **changes):
    """Return the document of a simulation, its line, the edges of the graph and all spikes, (samples, steps, nodes)."""
    result = simulate_case(
        case, folder, SETTINGS.changed(**changes), multiply_accumulates=TRAINED
    )
    with build_graph(case.parsed, folder / "n_graph.h5", pool_weight="one") as graph:
        edges = all_edges(graph)[:3]
    with np.load(folder / "spike_times.npz") as times:
        volumes = (case.network.input, *case.network.populations)
        trains = [
            spike_trains(times[volume.name], SAMPLES, STEPS, volume.size)
            for volume in volumes
        ]
    document = json.loads((folder / "sim_accuracies.json").read_text())
    return document, result.statistics.operations, edges, np.concatenate(trains, axis=2)


@pytest.mark.parametrize("coding", ["constant", "poisson"])
def test_additions_are_spikes_at_edges_and_energies_those_of_the_operations(
    exact, tmp_path, coding
):
    found, line, (source, _, _), spikes = _simulated(exact, tmp_path, input=coding)
    additions = sum(spikes[..., one].sum() for one in source) / SAMPLES
    of_input = (source < exact.network.input.size).sum() if coding == "constant" else 0
    assert found["synaptic_operations_per_sample"] == pytest.approx(additions)
    assert found["input_multiply_accumulates_per_sample"] == of_input
    assert found["ann_multiply_accumulates_per_sample"] == TRAINED
    assert found["synapses"] == len(source)
    assert found["energy_45nm_pj"] == pytest.approx(
        (3.7 + 0.9) * of_input + 0.9 * additions
    )
    assert found["energy_45nm_ann_pj"] == pytest.approx(4.6 * TRAINED)
    own, trained = (
        f"{found[name] / 1000:#.4g} nJ"
        for name in ("energy_45nm_pj", "energy_45nm_ann_pj")
    )
    operations = f"{additions:,.0f} additions"
    if coding == "constant":
        operations += f" and {of_input:,} MACs of the input"
    assert (
        line
        == f"per sample: {operations}, {own} (trained: {TRAINED:,} MACs, {trained})"
    )


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
    expected = [
        22**2 * 3 * 4,
        8**2 * 4 * 4,
        22**2 * 4 + 8**2 * 4 * 6,
        10**2 * 6,
        6 * 5,
    ]
    network = trained_network(keras.Model(source, value))
    assert multiply_accumulates(network) == sum(expected)


@pytest.mark.parametrize("coding", ["constant", "poisson"])
def test_metrics_of_neurobench_are_those_of_weights_spikes_and_potentials(
    exact, tmp_path, coding
):
    found, _, (source, target, weight), spikes = _simulated(
        exact, tmp_path, input=coding
    )
    network, model = exact.network, exact.keras
    kernels = np.concatenate(
        [array.ravel() for array in model.get_weights() if array.ndim > 1]
    )
    assert found["footprint"] == 4 * model.count_params()
    assert found["connection_sparsity"] == np.mean(kernels == 0) > 0
    assert found["activation_sparsity"] == pytest.approx(
        1 - spikes[..., network.input.size :].mean()
    )
    matrix = np.zeros((spikes.shape[2],) * 2)
    np.add.at(matrix, (source, target), weight)
    sent = spikes.astype(float)
    if coding == "constant":
        sent[..., : network.input.size] = exact.x[:SAMPLES].reshape(SAMPLES, 1, -1)
    # All sums are exact in float32; a pooling divides its own by the number of inputs.
    bias = [
        np.zeros(p.size) if p.bias is None else np.resize(p.bias, p.size)
        for p in network.populations
    ]
    taps = np.bincount(target)[network.input.size :]
    pools = np.concatenate(
        [np.full(p.size, p.kind == "AveragePooling2D") for p in network.populations]
    )
    current = (sent @ matrix)[..., network.input.size :].astype(np.float32) / np.where(
        pools, taps, 1
    ).astype(np.float32)
    current += np.concatenate(bias).astype(np.float32)
    fired = spikes[..., network.input.size :].astype(np.float32)
    softmax = np.arange(taps.size) >= taps.size - network.output.size
    potential, updates = np.zeros_like(current[:, 0]), current[:, 0].size
    for step in range(STEPS):
        before, reached = potential, potential + current[:, step]
        # Reset by subtraction; a softmax, which spikes at random, is reset to zero.
        potential = reached - fired[:, step] * np.where(softmax, reached, np.float32(1))
        updates += np.count_nonzero(potential != before) if step else 0
    assert found["membrane_updates"] == updates / SAMPLES
    assert updates < 0.99 * fired.size


@pytest.mark.parametrize(
    "engine", ["tensorflow", pytest.param("toolbox", marks=pytest.mark.toolbox)]
)
def test_engines_that_count_no_membrane_updates_state_the_same_otherwise(
    exact, tmp_path, engine
):
    simulate_case(exact, tmp_path, SETTINGS.changed(engine=engine, record_spikes=0))
    found = json.loads((tmp_path / "sim_accuracies.json").read_text())
    assert "membrane_updates" not in found
    assert (found["footprint"], found["input_multiply_accumulates_per_sample"]) == (
        4 * exact.keras.count_params(),
        exact.network.fan_out()["input"].sum(),
    )


def test_max_pooling_has_no_membrane(pooled):
    """The weights are 0, so that the potentials before the pooling change in the first step only, by definition."""
    x = (
        np.random.default_rng(0)
        .random((SAMPLES, *pooled.input.shape))
        .astype(np.float32)
    )
    found = run_engine(EventEngine, pooled, SETTINGS.changed(input="poisson"), x)
    assert found.counts["pool"].any()
    assert found.membrane_updates == SAMPLES * pooled.volume("first").size


def test_an_integer_network_has_weights_of_its_bit_width(exact):
    network = exact.network
    weights = sum(
        p.kernel.size
        for one in network.populations
        for p in one.projections
        if p.kernel is not None
    )
    others = exact.keras.count_params() - weights
    for bits in (3, 8, 16):
        assert (
            footprint(replace(network, weight_bits=bits))
            == -(-bits * weights // 8) + 4 * others
        )


def test_currents_of_each_step_are_multiplied_each_time_and_silence_is_sparse(exact):
    network = exact.network
    silent = {p.name: np.zeros(p.shape, np.int64) for p in network.populations}
    totals = Totals(SAMPLES, silent, QualitySums(np.zeros(STEPS), 0, None), None, {})
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


def test_without_weights_no_connection_is_zero(pooled):
    without = replace(
        pooled, volumes=tuple(v for v in pooled.volumes if v.name != "first")
    )
    assert connection_sparsity(without) == 0
    assert connection_sparsity(pooled) == 1  # its kernel has zeros only
