"""The recorded run against the toolbox's own log of the same run, and against dynamics stepped in numpy."""

import numpy as np
import pytest

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.io.keras import keras
from snnb.io.keras_file import load_model
from snnb.simulation.simulation_settings import SimulationSettings
from tests.conversion.conftest import slow_except
from tests.end_to_end.conftest import RECORDED

L = keras.layers
STEPS, SPIKING = 12, ["00Conv2D_8x8x4", "01AveragePooling2D_4x4x4", "02Conv2D_2x2x8", "04Dense_10"]
NETWORK = RECORDED / "parse" / "mini_network_parsed.h5"


def step_in_numpy(path, x, steps, threshold=1.0, reset="subtraction"):
    """Spikes `(steps, samples, ...)` by layer, all integrate-and-fire: Keras's own layers, one step at a time."""
    layers = load_model(path).layers[1:]
    for layer in layers:
        layer.activation = keras.activations.linear if layer.weights else None
    potentials, spikes = {}, {layer.name: [] for layer in layers if not isinstance(layer, L.Flatten)}
    for _ in range(steps):
        signal = x
        for layer in layers:
            signal, name = layer(signal).numpy(), layer.name
            if name in spikes:
                potential = potentials.get(name, 0) + signal
                fired = potential >= threshold
                signal = fired * np.float32(threshold)
                potentials[name] = np.where(fired, 0 if reset == "zero" else potential - signal, potential)
                spikes[name].append(fired)
    return {name: np.array(trains) for name, trains in spikes.items()}


@pytest.mark.toolbox
@pytest.mark.parametrize(
    ("threshold", "reset"),
    slow_except([(0.75, "subtraction")], [(1.0, "subtraction"), (0.75, "subtraction"), (1.0, "zero")]),
)
def test_counts_are_those_of_integrate_and_fire_neurons(threshold, reset, pixels):
    from snnb.conversion.toolbox import run_toolbox

    x = pixels[:20]
    run = run_toolbox(
        NETWORK,
        x,
        duration=STEPS,
        warm_up=3,
        batch_size=10,
        options=[SimulationSettings(threshold=threshold, reset=reset)],
        per_sample=True,
    )
    assert list(run.counts) == SPIKING
    expected = step_in_numpy(NETWORK, x, STEPS, threshold, reset)
    for name in SPIKING[:-1]:  # the last is the softmax
        assert run.counts[name].dtype == np.int64
        np.testing.assert_array_equal(run.counts[name], expected[name][3:].sum(axis=0), err_msg=name)
    np.testing.assert_allclose(run.input_sum, x.astype(float) * (STEPS - 3))
    assert run.output.shape == (20, 10, STEPS)
    np.testing.assert_array_equal(run.counts["04Dense_10"], run.output[:, :, -1] - run.output[:, :, 2])


@pytest.mark.toolbox
def test_sums_reproducible_and_no_sample_lost_or_counted_twice(pixels):
    from snnb.conversion.toolbox import run_toolbox

    x = pixels[:23]
    apart = run_toolbox(NETWORK, x, duration=STEPS, batch_size=10, seed=5, per_sample=True)
    together = run_toolbox(NETWORK, x, duration=STEPS, batch_size=10, seed=5)
    other_seed = run_toolbox(NETWORK, x, duration=STEPS, batch_size=10, seed=6)
    np.testing.assert_array_equal(apart.output, together.output)  # the softmax layer's random spikes too
    assert apart.output.shape == (23, 10, STEPS)
    assert (apart.output != other_seed.output).any()
    for name in SPIKING:
        assert len(apart.counts[name]) == 23
        np.testing.assert_array_equal(apart.counts[name].sum(axis=0), together.counts[name])
    for name in SPIKING[:-1]:
        np.testing.assert_array_equal(other_seed.counts[name], together.counts[name])


@pytest.mark.toolbox
def test_input_of_each_step_can_be_given(pixels):
    from snnb.conversion.toolbox import run_toolbox

    x, asked = pixels[:15], []

    def every_second_step(first, step):
        asked.append((first, step))
        batch = x[np.minimum(np.arange(first, first + 10), 14)]
        return batch if step % 2 else np.zeros_like(batch)

    run = run_toolbox(NETWORK, x, duration=6, warm_up=1, batch_size=10, frames=every_second_step, per_sample=True)
    assert asked == [(first, step) for first in (0, 10) for step in range(6)]
    np.testing.assert_allclose(run.input_sum, x.astype(float) * 3)
    # Half of the current, and the first layer's biases alone in between.
    kernel, bias = load_model(NETWORK).layers[1].get_weights()
    drive = keras.backend.conv2d(x, kernel, padding="same").numpy()
    potential, counts = np.zeros_like(drive), np.zeros(drive.shape, int)
    for step in range(6):
        potential = potential + ((drive if step % 2 else 0) + bias)
        counts += (potential >= 1) & (step >= 1)
        potential = potential - (potential >= 1)
    differing = run.counts[SPIKING[0]] != counts
    assert differing.mean() < 1e-3  # adding the bias before or after summing rounds differently


@pytest.mark.toolbox
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
    from snnb.conversion.toolbox import run_toolbox

    first = L.Conv2D(2, 1, activation="relu", input_shape=(8, 8, 1))
    model = randomise(keras.Sequential([first, build(), L.Flatten(), L.Dense(3)]))
    settings = ConversionSettings(batch_size=40)
    convert(save(model), tmp_path, name="net", x_norm=pixels, settings=settings)
    x, parsed = pixels[:10], tmp_path / "net_parsed.h5"
    run = run_toolbox(parsed, x, duration=8, batch_size=10, per_sample=True)
    expected = step_in_numpy(parsed, x, 8)
    assert list(run.counts) == list(expected)
    for name, spikes in expected.items():
        np.testing.assert_array_equal(run.counts[name], spikes.sum(axis=0), err_msg=name)
