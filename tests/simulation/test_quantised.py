"""Networks trained with quantised activations: the layer by its formula, and conversion without loss at T = L."""

from random import seed as seed_initializers

import numpy as np
import pytest
import tensorflow as tf

from snnb.architectures import find, names
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.core.errors import InputError, UsageError
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.network.read_network import read_network, spiking_attributes
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.settings import SimulationSettings
from snnb.training.keras_model import compile_model, load_weights, write_model
from snnb.training.qcfs import QCFS, plain, quantised, start_from
from snnb.training.recipe import Recipe
from tests.converted import convert_files
from tests.simulation.alike import run_engine

LEVELS, SAMPLES = 4, 40
LAYERS = keras.layers


def residual():
    """Every kind of activation: inside a layer, a layer of its own, behind a sum; and pooling in the middle and end."""
    x = LAYERS.Input((8, 8, 2))
    first_layer = LAYERS.Conv2D(6, 3, padding="same", activation="relu")(x)
    inner = LAYERS.ReLU(max_value=6)(LAYERS.Conv2D(6, 3, padding="same")(first_layer))
    summed_layer = LAYERS.Activation("relu")(
        LAYERS.Add()(
            [LAYERS.BatchNormalization()(LAYERS.Conv2D(6, 1)(inner)), first_layer]
        )
    )
    pooled_layer = LAYERS.AveragePooling2D(2)(summed_layer)
    last = LAYERS.Conv2D(8, 3, activation="relu")(pooled_layer)
    outputs = LAYERS.Dense(3, activation="softmax")(
        LAYERS.GlobalAveragePooling2D()(last)
    )
    return keras.Model(x, outputs)


@pytest.fixture(scope="module")
def quantised_run(tmp_path_factory):
    """The quantised Keras model with random weights and bounds, the folder of its parsed file, and pictures."""
    folder, random = tmp_path_factory.mktemp("qcfs"), np.random.default_rng(1)
    model = quantised(residual(), LEVELS, seed=0)
    for layer in model.layers:
        if isinstance(layer, QCFS):
            layer.bound.assign(random.uniform(0.3, 1.5))
        elif layer.weights:
            layer.set_weights(
                [w + random.normal(0, 0.05, w.shape) for w in layer.get_weights()]
            )
    x = random.random((SAMPLES, 8, 8, 2)).astype(np.float32)
    convert_files(model, folder, x_norm=x)
    return model, folder, x


def test_the_layer_rounds_and_clips_and_its_gradient_passes_the_rounding():
    layer, x = QCFS(LEVELS), np.linspace(-0.97, 3.03, 41, dtype=np.float32)
    with tf.GradientTape(persistent=True) as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        y = layer(inputs)
        total = tf.reduce_sum(y)
    bound = layer.bound.numpy()
    expected_bound = bound * np.clip(np.floor(x * LEVELS / bound + 0.5) / LEVELS, 0, 1)
    np.testing.assert_allclose(y, expected_bound, atol=1e-6)
    inside, above = (x > 0) & (x < bound), x >= bound
    np.testing.assert_array_equal(tape.gradient(y, inputs), inside * 1.0)
    bound_gradient = ((expected_bound - x) / bound)[inside].sum() + above.sum()
    np.testing.assert_allclose(
        tape.gradient(total, layer.bound), bound_gradient, rtol=1e-5
    )


def test_all_relus_and_poolings_are_replaced():
    model = quantised(residual(), LEVELS, seed=3)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("QCFS") == 5  # two convolutions, the ReLU6, the sum, the pooling
    assert not {"ReLU", "Activation"} & set(kinds)
    assert [
        w.shape
        for layer in model.layers
        if not isinstance(layer, QCFS)
        for w in layer.weights
    ] == [w.shape for layer in residual().layers for w in layer.weights]
    assert "DepthwiseConv2D" in [type(layer).__name__ for layer in plain(model).layers]


def test_a_trained_network_gives_weights_and_bounds(tmp_path):
    """With many levels, the network quantised at the percentiles of its activations computes nearly the same."""
    random = np.random.default_rng(2)
    tf.random.set_seed(2)
    seed_initializers(
        2
    )  # tf_keras draws the seeds of its initial weights from Python's generator
    trained_residual, x = (
        residual(),
        random.random((SAMPLES, 8, 8, 2)).astype(np.float32),
    )
    compile_model(trained_residual, Recipe(), 3)
    write_model(trained_residual, tmp_path / "net.h5")
    again = residual()
    load_weights(again, tmp_path / "net.h5")
    model = quantised(again, 1000, seed=5)
    start_from(model, again, x)
    np.testing.assert_allclose(model.predict(x), trained_residual.predict(x), atol=0.01)
    first_outputs = tf.keras.Model(
        trained_residual.input, trained_residual.layers[1].output
    ).predict(x)
    bound = next(
        layer for layer in model.layers if isinstance(layer, QCFS)
    ).bound.numpy()
    assert np.mean(first_outputs[first_outputs > 0] > bound) == pytest.approx(
        0.01, abs=1 / np.count_nonzero(first_outputs > 0)
    )


def test_weights_of_another_model_are_refused(tmp_path):
    other_model = tf.keras.Sequential([LAYERS.Dense(2, input_shape=(3,))])
    compile_model(other_model, Recipe(), None)
    write_model(other_model, tmp_path / "other.h5")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(InputError, match=r"missing\.h5: no such file"):
        load_weights(residual(), tmp_path / "missing.h5")
    with pytest.raises(
        InputError, match=r"--initial-weights: .*text\.h5: not a complete HDF5 file"
    ):
        load_weights(residual(), tmp_path / "text.h5")
    with pytest.raises(
        InputError, match=r"other\.h5 does not have the weights of the model"
    ):
        load_weights(residual(), tmp_path / "other.h5")
    quantised_weights = plain(quantised(residual(), LEVELS, seed=0))
    compile_model(quantised_weights, Recipe(), 3)
    write_model(quantised_weights, tmp_path / "qcfs.h5", LEVELS)
    with pytest.raises(
        InputError,
        match="--activation qcfs, it has convolutions instead of average pooling",
    ):
        load_weights(residual(), tmp_path / "qcfs.h5")


def test_the_reference_is_the_quantised_network(quantised_run):
    model, folder, x = quantised_run
    trained_network = read_network(folder / "net_parsed.h5", with_training=True)
    outputs = Analogue(trained_network).outputs(x)
    differ = (
        np.abs(outputs - model.predict(x)).max(axis=1) > 1e-4
    )  # a sum at the edge of two levels
    assert differ.mean() <= 0.05


@pytest.mark.parametrize(
    ("engine", "firing"), [(SeparatedEngine, "separated"), (EventEngine, "free")]
)
def test_at_as_many_steps_as_levels_nothing_is_lost(
    quantised_run, tmp_path, engine, firing
):
    model, _, x = quantised_run
    convert_files(model, tmp_path, x_norm=x, settings=ConversionSettings(firing=firing))
    network = read_network(tmp_path / "net_parsed.h5")
    assert spiking_attributes(tmp_path / "net_parsed.h5") == {"steps": LEVELS}
    assert network.windowed == (firing == "separated")
    counted_result = run_engine(
        engine, network, SimulationSettings(duration=LEVELS, samples=SAMPLES), x
    )
    classes = (
        Analogue(read_network(tmp_path / "net_parsed.h5", with_training=True))
        .outputs(x)
        .argmax(axis=1)
    )
    agreeing = (counted_result.readout.argmax(axis=1) == classes).mean()
    assert agreeing == 1 or firing == "free"
    assert all(
        (population.initial_potential == 0.5).all()
        for population in network.populations
    )


def test_models_without_relu_are_refused():
    with pytest.raises(UsageError, match="no ReLU"):
        quantised(
            keras.Sequential([LAYERS.Dense(2, activation="softmax", input_shape=(3,))]),
            LEVELS,
            seed=0,
        )
    inside = keras.Sequential(
        [LAYERS.Dense(4, activation="relu", input_shape=(3,))], name="inside"
    )
    with pytest.raises(UsageError, match="inside is a nested model"):
        quantised(
            keras.Sequential([inside, LAYERS.Dense(4, activation="relu")]),
            LEVELS,
            seed=0,
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted(set(names(trained=False)) - {"autoencoder_mnist"})
)
def test_a_quantised_model_loses_nothing_by_conversion(name, tmp_path):
    samples = 6
    classes = 10
    largest = 96
    random, architecture = np.random.default_rng(0), find(name)
    *size, channels = architecture.input_shape
    shape = (*(min(length, largest) for length in size), channels)
    x = random.random((samples, *shape)).astype(np.float32)
    y = np.eye(classes, dtype=np.float32)[random.integers(0, classes, samples)]
    relu = architecture.build(shape, classes)
    model = quantised(relu, LEVELS, seed=0)
    compile_model(model, Recipe(), classes)
    assert np.isfinite(model.train_on_batch(x, y)).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    start_from(
        model, relu, x
    )  # afterwards: with initial weights, activations grow with depth at inference only
    convert_files(model, tmp_path, x_norm=x)
    network, trained_network = (
        read_network(tmp_path / "net_parsed.h5", with_training=trained_network)
        for trained_network in (False, True)
    )
    settings = SimulationSettings(duration=LEVELS, samples=samples)
    found_result = run_engine(SeparatedEngine, network, settings, x)
    *hidden, outputs = Analogue(
        trained_network,
        [p.name for p in trained_network.populations if p.activation != "linear"],
    ).values(x)
    counts = [
        found_result.counts[p.name]
        for p in trained_network.populations
        if p.activation == "relu"
    ]
    pairs = [
        (np.rint(values * LEVELS), spikes) for values, spikes in zip(hidden, counts)
    ]
    different = np.array(
        [
            (levels != spikes).reshape(samples, -1).sum(axis=1)
            for levels, spikes in pairs
        ]
    )
    # A sum can be at the edge of two levels, where the order of additions in float32 decides; later layers follow.
    assert different[(different > 0).argmax(axis=0), range(samples)].max() <= 3
    equal = ~different.any(axis=0)
    np.testing.assert_array_equal(
        found_result.readout.argmax(axis=1)[equal], outputs.argmax(axis=1)[equal]
    )
