"""The recorded run against the toolbox's own log of the same run, and against dynamics stepped in numpy."""

import numpy as np
import pytest
from tensorflow import keras

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.conversion.h5 import load_keras
from snnb.conversion.toolbox_simulator import run_toolbox
from snnb.simulation.simulation_settings import SimulationSettings
from tests.conversion.conftest import slow_except

L = keras.layers
STEPS, SPIKING = 12, ["00Conv2D_8x8x4", "01AveragePooling2D_4x4x4", "02Conv2D_2x2x6", "04Dense_10"]


@pytest.fixture
def network(small, save, pixels, tmp_path):
    convert(
        save(small), tmp_path, name="net", x_norm=pixels, x_check=pixels, settings=ConversionSettings(batch_size=40)
    )
    return tmp_path / "net_parsed.h5"


def step_in_numpy(path, x, steps, threshold=1.0, reset="subtraction"):
    """Spikes `(steps, samples, ...)` of the layers before the softmax: Keras's own layers, one step at a time."""
    layers = load_keras(path).layers[1:4]
    for layer in layers:
        layer.activation = keras.activations.linear if layer.weights else None
    potentials, spikes = [0.0, 0.0, 0.0], [[], [], []]
    for _ in range(steps):
        signal = x
        for k, layer in enumerate(layers):
            potential = potentials[k] + layer(signal).numpy()
            fired = potential >= threshold
            signal = fired * np.float32(threshold)
            potentials[k] = np.where(fired, 0 if reset == "zero" else potential - np.float32(threshold), potential)
            spikes[k].append(fired)
    return [np.array(layer) for layer in spikes]


@pytest.mark.parametrize(
    ("threshold", "reset"),
    slow_except([(0.75, "subtraction")], [(1.0, "subtraction"), (0.75, "subtraction"), (1.0, "zero")]),
)
def test_counts_are_those_of_integrate_and_fire_neurons(threshold, reset, network, pixels):
    x = pixels[:20]
    run = run_toolbox(
        network,
        x,
        np.zeros(20, int),
        duration=STEPS,
        warm_up=3,
        batch_size=10,
        options=[SimulationSettings(threshold=threshold, reset=reset)],
        per_sample=True,
    )
    assert list(run.counts) == SPIKING
    for name, spikes in zip(SPIKING, step_in_numpy(network, x, STEPS, threshold, reset)):
        assert run.counts[name].dtype == np.int64
        np.testing.assert_array_equal(run.counts[name], spikes[3:].sum(axis=0), err_msg=name)
    np.testing.assert_allclose(run.input_sum, x.astype(float) * (STEPS - 3))
    assert run.output.shape == (20, 10, STEPS)
    np.testing.assert_array_equal(run.counts["04Dense_10"], run.output[:, :, -1] - run.output[:, :, 2])


def test_sums_reproducible_and_no_sample_lost_or_counted_twice(network, pixels):
    x, y = pixels[:23], np.arange(23) % 10
    apart = run_toolbox(network, x, y, duration=STEPS, batch_size=10, seed=5, per_sample=True)
    together = run_toolbox(network, x, y[::-1], duration=STEPS, batch_size=10, seed=5)
    other_seed = run_toolbox(network, x, y, duration=STEPS, batch_size=10, seed=6)
    np.testing.assert_array_equal(apart.output, together.output)  # the softmax layer's random spikes too
    assert apart.output.shape == (23, 10, STEPS)
    assert (apart.output != other_seed.output).any()
    for name in SPIKING:
        assert len(apart.counts[name]) == 23
        np.testing.assert_array_equal(apart.counts[name].sum(axis=0), together.counts[name])
    for name in SPIKING[:-1]:
        np.testing.assert_array_equal(other_seed.counts[name], together.counts[name])


def test_input_of_each_step_can_be_given(network, pixels):
    x, asked = pixels[:15], []

    def every_second_step(first, step):
        asked.append((first, step))
        batch = x[np.minimum(np.arange(first, first + 10), 14)]
        return batch if step % 2 else np.zeros_like(batch)

    run = run_toolbox(
        network, x, np.zeros(15, int), duration=6, warm_up=1, batch_size=10, frames=every_second_step, per_sample=True
    )
    assert asked == [(first, step) for first in (0, 10) for step in range(6)]
    np.testing.assert_allclose(run.input_sum, x.astype(float) * 3)
    # Half of the current, and the first layer's biases alone in between.
    kernel, bias = load_keras(network).layers[1].get_weights()
    drive = keras.backend.conv2d(x, kernel, padding="same").numpy()
    potential, counts = np.zeros_like(drive), np.zeros(drive.shape, int)
    for step in range(6):
        potential = potential + ((drive if step % 2 else 0) + bias)
        counts += (potential >= 1) & (step >= 1)
        potential = potential - (potential >= 1)
    differing = run.counts[SPIKING[0]] != counts
    assert differing.mean() < 1e-3  # adding the bias before or after summing rounds differently


@pytest.mark.parametrize(
    "build",
    [
        lambda: L.AveragePooling2D(3, strides=2, padding="same"),
        pytest.param(lambda: L.Conv2D(3, 3, strides=(2, 1), padding="same", activation="relu"), marks=pytest.mark.slow),
        pytest.param(lambda: L.Conv2D(3, 2, dilation_rate=2, activation="relu"), marks=pytest.mark.slow),
        pytest.param(
            lambda: L.DepthwiseConv2D((2, 3), strides=2, depth_multiplier=2, activation="relu"), marks=pytest.mark.slow
        ),
    ],
)
def test_layers_the_toolbox_has(build, randomise, save, pixels, tmp_path):
    model = randomise(
        keras.Sequential([L.Conv2D(2, 1, activation="relu", input_shape=(8, 8, 1)), build(), L.Flatten(), L.Dense(3)])
    )
    convert(
        save(model), tmp_path, name="net", x_norm=pixels, x_check=pixels, settings=ConversionSettings(batch_size=40)
    )
    x = pixels[:10]
    run = run_toolbox(tmp_path / "net_parsed.h5", x, np.zeros(10, int), duration=8, batch_size=10, per_sample=True)
    layers = load_keras(tmp_path / "net_parsed.h5").layers[1:]
    assert list(run.counts) == [layers[0].name, layers[1].name, layers[3].name]
    signal, potentials, counts = x, [0.0] * 4, [0] * 4
    for k in (0, 1, 3):
        if layers[k].weights:
            layers[k].activation = keras.activations.linear
    for _ in range(8):
        signal = x
        for k, each in enumerate(layers):
            signal = each(signal).numpy()
            if k != 2:
                potentials[k] = potentials[k] + signal
                signal = (potentials[k] >= 1).astype(np.float32)
                potentials[k] = potentials[k] - signal
                counts[k] = counts[k] + signal
    for k in (0, 1, 3):
        np.testing.assert_array_equal(run.counts[layers[k].name], counts[k], err_msg=layers[k].name)
