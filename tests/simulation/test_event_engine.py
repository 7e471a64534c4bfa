"""The event-driven engine against the engine `tensorflow` (which is held against the toolbox) and plain Python."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.model_files.keras import keras
from snnb.network.layers import AveragePooling2D
from snnb.simulation.engines.engine import find_event_obstacle
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.simulation.alike import (
    SETTINGS,
    assert_of_10000_counts_at_most_one_differs_by_one,
    network_of,
    run_engine,
    simulate_engine,
)

Input = keras.Input
Model = keras.Model
layers = keras.layers

ENGINES = (TensorFlowEngine, EventEngine)


@pytest.mark.parametrize("name", ["trained_case", "branched_case"])
def test_of_10000_counts_at_most_one_differs_by_one(request, name):
    assert_of_10000_counts_at_most_one_differs_by_one(
        ENGINES, request.getfixturevalue(name)
    )


def test_currents_that_just_reach_the_threshold_do_so_in_both_engines(tmp_path):
    """Two inputs that always spike, and weights and a bias that add up to 1 in real numbers: rounding decides."""
    random = np.random.default_rng(0)
    neurons = 200
    parts = random.uniform(0.05, 1, (3, neurons)).astype(np.float32)
    *weights, bias = parts / (parts[0] + parts[1] + parts[2])
    kernel = np.zeros((2 * neurons, neurons), np.float32)
    kernel[::2], kernel[1::2] = (np.diag(weight) for weight in weights)
    x = Input((2 * neurons,), name="input")
    y = layers.Dense(2 * neurons, activation="relu", name="00Dense_400")(x)
    y = layers.Dense(neurons, activation="relu", name="01Dense_200")(y)
    model = Model(x, layers.Dense(2, activation="relu", name="02Dense_2")(y))
    rest = [np.full((neurons, 2), 1e-3), np.zeros(2)]
    model.set_weights([np.eye(2 * neurons), np.zeros(2 * neurons), kernel, bias, *rest])
    network, settings = (
        network_of(model, tmp_path),
        SimulationSettings(samples=1, duration=50),
    )
    pictures = np.ones((1, 2 * neurons), np.float32)
    counts, two = (
        run_engine(engine, network, settings, pictures).counts for engine in ENGINES
    )
    assert set(counts["01Dense_200"].ravel()) == {49, 50}
    np.testing.assert_array_equal(two["01Dense_200"], counts["01Dense_200"])


PARTS = {  # by case, constants of the event engine
    "steps": {"compiled_network.TRAIN_STEPS": 7},
    # The currents of no step, and of some of the 60 steps, fit into the cache.
    **{
        f"currents of {size} bytes": {"compiled_network.CURRENTS_BYTES": size}
        for size in (0, 7 * 64 * 4)
    },
    # Many filters, whose weights do not fit into a block: parts of the taps, and of the channels of one
    **{
        f"blocks of {size}": {
            "projection_tables.MAX_RUN_FILTERS": 0,
            "projection_tables.MAX_RUN_DENSE_UNITS": 0,
            "projection_tables.BLOCK_BYTES": size,
        }
        for size in (256, 5 * 256, 100_000)
    },
}


@pytest.mark.parametrize("constants", PARTS.values(), ids=PARTS)
def test_parts_of_steps_and_of_weights_leave_no_trace(
    trained_case, monkeypatch, constants
):
    whole_counts, spikes = simulate_engine(EventEngine, trained_case, SETTINGS)
    for name, value in constants.items():
        monkeypatch.setattr(f"snnb.simulation.engines.event.{name}", value)
    parts, part_spikes = simulate_engine(EventEngine, trained_case, SETTINGS)
    np.testing.assert_array_equal(part_spikes, spikes)
    for name, counts in whole_counts.counts.items():
        np.testing.assert_array_equal(parts.counts[name], counts)
    np.testing.assert_array_equal(parts.late, whole_counts.late)
    np.testing.assert_array_equal(parts.readout, whole_counts.readout)


def _assert_engines_agree(model, folder, x, rows, duration):
    """Round weights and pixels so that float32 adds them exactly."""
    model.set_weights([np.round(w * rows) / rows for w in model.get_weights()])
    network = network_of(model, folder)
    settings = SETTINGS.changed(samples=len(x), duration=duration, record_spikes=0)
    x = np.round(x * 16).astype(np.float32) / 16
    result, two = (run_engine(engine, network, settings, x) for engine in ENGINES)
    assert (
        sum(counts.any() for counts in result.counts.values()) > len(result.counts) / 2
    )
    for name, counts in result.counts.items():
        np.testing.assert_array_equal(two.counts[name], counts, err_msg=name)


@pytest.mark.parametrize(
    "shape", [(9, 11, 2), (1, 1, 2), pytest.param((1, 6, 3), marks=pytest.mark.slow)]
)
def test_widths_of_windows_and_edges_of_every_kind(tmp_path, shape):
    """Few filters and many, such as fill no vector; windows at edges, beyond them, and far from each other."""
    options = {"padding": "same", "activation": "relu"}
    x = Input(shape, name="input")
    first_layer = layers.Conv2D(5, 1, name="00Conv2D_5", **options)(x)
    kinds = [
        (3, (2, 5), 1, 1),
        (48, 3, 2, 1),
        (97, (3, 2), 1, 1),
        (20, 2, 1, 2),
        (16, 3, 1, 3),
        (70, 2, 3, 1),
    ]
    ends = [
        layers.Conv2D(
            filters,
            size,
            strides=stride,
            dilation_rate=gap,
            name=f"{i:02d}Conv2D_{i}",
            **options,
        )(first_layer)
        for i, (filters, size, stride, gap) in enumerate(kinds, start=1)
    ]
    y = layers.Concatenate(name="10Concatenate")(
        [layers.Flatten(name=f"f{i}")(end) for i, end in enumerate(ends)]
    )
    y = layers.Dense(130, activation="relu", name="11Dense_130")(y)
    model = Model(x, layers.Dense(7, activation="softmax", name="12Dense_7")(y))
    random = np.random.default_rng(0)
    shapes = [weight.shape for weight in model.get_weights()]
    model.set_weights(
        [
            random.normal(0.1, 0.5, s) / max(1, np.prod(s[:-1]) / 20) ** 0.5
            for s in shapes
        ]
    )
    _assert_engines_agree(model, tmp_path, random.random((5, *shape)), 256, 30)


def test_rows_of_padding_after_the_last_are_no_spikes(tmp_path):
    """The padded volume begins with the words of spikes that it reads, and has more of them."""
    options = {"padding": "same", "activation": "relu"}
    x = Input((8, 8, 1), name="input")
    y = layers.Conv2D(1, 3, name="00Conv2D_1", **options)(x)
    y = layers.ZeroPadding2D(((0, 8), (0, 0)), name="01ZeroPadding2D")(y)
    y = layers.Concatenate(axis=1, name="02Concatenate")([y, x])
    ends = [
        layers.Conv2D(filters, 3, name=f"03Conv2D_{filters}", **options)(y)
        for filters in (3, 70)
    ]
    y = layers.Concatenate(name="04Concatenate")(
        [layers.Flatten(name=f"f{i}")(end) for i, end in enumerate(ends)]
    )
    model = Model(x, layers.Dense(7, activation="softmax", name="05Dense_7")(y))
    random = np.random.default_rng(0)
    model.set_weights(
        [random.normal(0.1, 0.3, weight.shape) for weight in model.get_weights()]
    )
    _assert_engines_agree(model, tmp_path, random.random((5, 8, 8, 1)), 256, 30)


def test_says_what_it_cannot_do(branched_case, pooled_network):
    halves = SETTINGS.changed(threshold=0.5)
    poisson = halves.changed(input="poisson")
    assert (
        find_event_obstacle(pooled_network, poisson)
        == "layer pool reads input spikes of amplitude 1 and spikes of amplitude 0.5"
    )
    assert find_event_obstacle(pooled_network, poisson.changed(threshold=1.0)) is None
    assert (
        find_event_obstacle(pooled_network, halves)
        == "layer pool takes the maximum of an input that is not spikes"
    )
    average = replace(
        pooled_network.output.only,
        layer=AveragePooling2D(pool_size=(2, 2), strides=(2, 2)),
    )
    averaged_network = replace(
        pooled_network,
        volumes=(
            *pooled_network.volumes[:-1],
            replace(pooled_network.output, projections=(average,)),
        ),
    )
    assert (
        find_event_obstacle(averaged_network, SETTINGS)
        == "layer pool averages spikes together with the constant input"
    )
    assert find_event_obstacle(branched_case.network, SETTINGS) is None
