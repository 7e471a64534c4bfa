"""Calibration: invariance under scale factors, means of the trained network, accuracy in few steps, bad input."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.rewriting import (
    Channels,
    centred_output,
    compose_pooling,
    spiking_output,
    with_scales,
)
from snnb.core.errors import InputError
from snnb.forward.analogue import Analogue
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble, read_network, write_spiking
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.settings import SimulationSettings
from tests.simulation.alike import run_engine, simulate_calibrated, weighted_entry

STEPS = 8


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def network(random):
    """A sum of two branches, a padded convolution, pooling behind both, and a softmax that reads a pooling."""
    relu, same = {"activation": "relu"}, {"kernel_size": [3, 3], "padding": "same"}
    pool = {"pool_size": [2, 2], "strides": [2, 2]}
    entries = [
        StoredLayer(
            "input", "InputLayer", {"batch_input_shape": [None, 8, 8, 2]}, (), {}
        ),
        weighted_entry(
            random,
            "first",
            "Conv2D",
            {"filters": 4, **same, **relu},
            ("input",),
            3,
            3,
            2,
            4,
        ),
        weighted_entry(
            random, "left", "Conv2D", {"filters": 4, **same}, ("first",), 3, 3, 4, 4
        ),
        weighted_entry(
            random, "right", "DepthwiseConv2D", same, ("first",), 3, 3, 4, 1
        ),
        StoredLayer("sum", "Add", {}, ("left", "right"), {}),
        StoredLayer("rectified", "Activation", relu, ("sum",), {}),
        StoredLayer("pool", "AveragePooling2D", pool, ("rectified",), {}),
        StoredLayer(
            "padded", "ZeroPadding2D", {"padding": [[1, 0], [0, 1]]}, ("pool",), {}
        ),
        StoredLayer("joined", "Concatenate", {"axis": 3}, ("padded", "padded"), {}),
        weighted_entry(
            random,
            "third",
            "Conv2D",
            {"filters": 5, "kernel_size": [2, 2], **relu},
            ("joined",),
            2,
            2,
            8,
            5,
        ),
        StoredLayer("last", "AveragePooling2D", pool, ("third",), {}),
        StoredLayer("flat", "Flatten", {}, ("last",), {}),
        weighted_entry(
            random,
            "out",
            "Dense",
            {"units": 3, "activation": "softmax"},
            ("flat",),
            20,
            3,
        ),
    ]
    return assemble(entries)


@pytest.fixture(scope="module")
def x(random):
    return random.random((60, 8, 8, 2), dtype=np.float32)


def _settings(**options):
    return ConversionSettings(calibrate=STEPS, **options)


def test_scale_factors_of_channels_change_no_output(network, x, random):
    """A relu network computes the same for any positive factors of its channels."""
    linear = centred_output(network)
    channels = {}
    for population in linear.populations:
        bias = (
            np.zeros(population.shape[-1], np.float32)
            if population.bias is None
            else population.bias
        )
        scale = np.exp(random.normal(0, 0.3, population.shape[-1])).astype(np.float32)
        channels[population.name] = Channels(scale, bias, scale)
    scaled_network = with_scales(linear, channels)
    outputs = Analogue(scaled_network).outputs(x) * channels["out"].scale
    np.testing.assert_allclose(
        outputs, Analogue(linear).outputs(x), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("scale", [[1, 0], [1, -1], [1, np.nan]])
def test_a_scale_factor_that_is_not_positive_is_an_internal_error(scale):
    zeros = np.zeros(2, np.float32)
    with pytest.raises(AssertionError, match="scale factors"):
        Channels(np.array(scale, np.float32), zeros, zeros)


def test_a_composed_pooling_changes_no_output(network, x):
    composed_network = compose_pooling(network)
    assert [
        p.name for p in network.populations if p not in composed_network.populations
    ] == [
        "last",
        "out",
    ]
    np.testing.assert_allclose(
        Analogue(composed_network).outputs(x),
        Analogue(network).outputs(x),
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_pooling_before_a_hidden_dense_layer_is_composed_unless_the_kernel_is_large():
    random = np.random.default_rng(6)
    for size, is_composed in ((8, True), (128, False)):
        units = 1024  # of 2 * 128² * 1024 weights: more than the largest kernel
        kernels = (
            random.normal(0, 0.1, (size * size // 2, units)),
            random.normal(0, 0.1, (units, 3)),
        )
        first_layer, second_layer = (
            {"kernel": k.astype(np.float32), "bias": np.zeros(k.shape[1], np.float32)}
            for k in kernels
        )
        entries = [
            StoredLayer(
                "input",
                "InputLayer",
                {"batch_input_shape": [None, size, size, 2]},
                (),
                {},
            ),
            StoredLayer(
                "pool",
                "AveragePooling2D",
                {"pool_size": [2, 2], "strides": [2, 2]},
                ("input",),
                {},
            ),
            StoredLayer("flat", "Flatten", {}, ("pool",), {}),
            StoredLayer(
                "hidden",
                "Dense",
                {"units": units, "activation": "relu"},
                ("flat",),
                first_layer,
            ),
            StoredLayer(
                "out",
                "Dense",
                {"units": 3, "activation": "softmax"},
                ("hidden",),
                second_layer,
            ),
        ]
        pooled_network = assemble(entries)
        found_network = compose_pooling(pooled_network)
        assert [p.name for p in found_network.populations] == (
            ["hidden", "out"] if is_composed else ["pool", "hidden", "out"]
        )
        x = random.random((2, size, size, 2)).astype(np.float32)
        expected_outputs = Analogue(pooled_network).outputs(x)
        np.testing.assert_allclose(
            Analogue(found_network).outputs(x), expected_outputs, rtol=1e-4, atol=1e-6
        )


def test_logits_minus_their_mean_have_the_same_softmax(network, x):
    logits = Analogue(centred_output(network)).outputs(x)
    np.testing.assert_allclose(logits.sum(axis=1), 0, atol=1e-4)
    powers = np.exp(logits)
    outputs = Analogue(network).outputs(x)
    np.testing.assert_allclose(
        powers / powers.sum(axis=1, keepdims=True), outputs, rtol=1e-4, atol=1e-6
    )
    fired_output = spiking_output(network, x, STEPS).output
    assert (fired_output.activation, fired_output.initial_potential.tolist()) == (
        "linear",
        [0.5] * 3,
    )


@pytest.mark.parametrize("firing", ["separated", "free"])
def test_rates_stand_for_the_trained_activations(network, x, firing):
    """Mean inputs are the trained network's, and the rates times the scale factors come near its activations."""
    calibration = calibrate(network, x, _settings(firing=firing))
    engine = SeparatedEngine if firing == "separated" else EventEngine
    settings = SimulationSettings(duration=STEPS, samples=len(x))
    counted_result = run_engine(engine, calibration.network, settings, x)
    trained_network = compose_pooling(network)
    ends = range(2, len(trained_network.volumes))
    for volume in (trained_network.volumes[i] for i in ends):
        layer = calibration.layers.get(volume.name)
        if layer is not None and layer.before is not None:
            part = replace(
                trained_network,
                volumes=trained_network.volumes[
                    : trained_network.volumes.index(volume) + 1
                ],
            )
            target_activations = (
                Analogue(part).outputs(x).reshape(len(x), *volume.shape)
            )
            rates = counted_result.counts[volume.name] * (
                np.float32(layer.scale_factors) / STEPS
            )
            error = ((rates - target_activations) ** 2).mean() / (
                target_activations**2
            ).mean()
            assert error < (0.02 if firing == "separated" else 0.2), (
                volume.name,
                error,
            )
    logits = Analogue(centred_output(trained_network)).outputs(x)
    readout = (
        counted_result.readout
        * np.float32(calibration.layers["out"].scale_factors)
        / STEPS
    )
    readout -= readout.mean(
        axis=1, keepdims=True
    )  # a delay adds the same to all classes
    np.testing.assert_allclose(readout.mean(axis=0), logits.mean(axis=0), atol=0.02)


@pytest.mark.parametrize("weight", [0, 0.5, 2])
def test_scale_factors_weigh_squared_errors_and_spikes(network, x, weight):
    """Of the first population, whose input is the same in both networks."""
    first_volume = network.volume("first")
    linear = network.with_populations([replace(first_volume, activation="linear")])
    z = Analogue(linear, ["first"]).values(x)[0].reshape(-1, 4)
    candidates = np.geomspace(0.15, 1.1, 24)[:, np.newaxis] * z.max(axis=0)
    spikes = np.clip(np.floor(STEPS * z / candidates[:, np.newaxis] + 0.5), 0, STEPS)
    errors = ((spikes * candidates[:, np.newaxis] / STEPS - np.maximum(z, 0)) ** 2).sum(
        axis=1
    )
    spikes = spikes.sum(axis=1)
    least_costs = [
        (errors[errors[:, c].argmin(), c], spikes[errors[:, c].argmin(), c])
        for c in range(4)
    ]
    cost = errors / sum(error for error, _ in least_costs) + weight * spikes / sum(
        count for _, count in least_costs
    )
    expected_candidates = candidates[cost.argmin(axis=0), np.arange(4)]
    chosen_factors = (
        calibrate(network, x, _settings(spike_weight=weight))
        .layers["first"]
        .scale_factors
    )
    np.testing.assert_allclose(chosen_factors, expected_candidates, rtol=1e-5)
    assert (
        expected_candidates > candidates[errors.argmin(axis=0), np.arange(4)]
    ).any() == (weight > 0)


def test_free_firing_has_the_smallest_errors_before_at_and_after_the_calibrated_steps(
    network, x
):
    """Of the first population, whose kernel and input are the same in both networks."""
    first_volume = network.volume("first")
    z = Analogue(
        network.with_populations([replace(first_volume, activation="linear")]),
        ["first"],
    ).values(x)[0]
    top, z = z.max(axis=(0, 1, 2)), z[:32].reshape(-1, 4).astype(np.float64)
    calibration = calibrate(network, x, _settings(firing="free"))
    calibrated_volume, scales = (
        calibration.network.volume("first"),
        np.array(calibration.layers["first"].scale_factors),
    )

    def error(scale, start, added_steps):
        """Return the error of each channel, with spikes `added` to those of the input in `STEPS` steps."""
        potential = np.full(z.shape, start)
        spikes = np.zeros(z.shape)
        total = 0.0
        for step in range(1, 13):
            potential = potential + z / scale + added_steps / STEPS
            spikes, potential = spikes + (potential >= 1), potential - (potential >= 1)
            if step in (6, 8, 12):
                total = total + ((spikes * scale / step - np.maximum(z, 0)) ** 2).mean(
                    axis=0
                )
        return total

    shift = calibrated_volume.bias - first_volume.bias / scales
    least_errors = np.min(
        [
            error(share * top, 0.5 - delay, part * delay)
            for share in np.geomspace(1.1, 0.15, 14)
            for delay in (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3)
            for part in (0, 0.5, 1)
        ],
        axis=0,
    )
    np.testing.assert_allclose(
        error(scales, calibrated_volume.initial_potential, shift * STEPS),
        least_errors,
        rtol=1e-3,
    )


def test_free_firing_loses_nothing_when_it_runs_on(trained_case):
    network, x = read_network(trained_case.parsed), trained_case.x[:150]
    logits = Analogue(centred_output(compose_pooling(network))).outputs(x)
    calibration = calibrate(
        network, trained_case.x[150:], ConversionSettings(calibrate=8, firing="free")
    )
    errors = [
        simulate_calibrated(EventEngine, calibration, x, steps, logits)[-1]
        for steps in (8, 12, 16)
    ]
    assert errors[0] > max(errors[1:])


def test_the_mean_activation_is_the_trained_one(network, x):
    """After rounding and clipping, of the populations that are calibrated."""
    calibration = calibrate(network, x, _settings())
    counted_result = run_engine(
        SeparatedEngine,
        calibration.network,
        SimulationSettings(duration=STEPS, samples=len(x)),
        x,
    )
    trained_network = compose_pooling(network)
    for name in ("first", "rectified", "third"):
        part = replace(
            trained_network,
            volumes=trained_network.volumes[
                : trained_network.volumes.index(trained_network.volume(name)) + 1
            ],
        )
        target_activations = (
            Analogue(part)
            .outputs(x)
            .reshape(-1, trained_network.volume(name).shape[-1])
        )
        rates = counted_result.counts[name].reshape(target_activations.shape) * (
            np.float32(calibration.layers[name].scale_factors) / STEPS
        )
        np.testing.assert_allclose(
            rates.mean(axis=0), target_activations.mean(axis=0), rtol=1e-3, atol=1e-3
        )


def test_the_trained_network_loses_little_in_32_steps(trained_case):
    network = read_network(trained_case.parsed)
    ann = (
        Analogue(network).outputs(trained_case.x[:100]).argmax(axis=1)
        == trained_case.y[:100]
    ).mean()
    found_network = calibrate(
        network, trained_case.x[100:], ConversionSettings(calibrate=32)
    ).network
    settings = SimulationSettings(duration=32, samples=100)
    readout = run_engine(
        SeparatedEngine, found_network, settings, trained_case.x[:100]
    ).readout
    assert (readout.argmax(axis=1) == trained_case.y[:100]).mean() >= ann - 0.05


def test_a_spike_weight_exchanges_accuracy_for_spikes(trained_case):
    """On images that calibrate nothing."""
    network, x = read_network(trained_case.parsed), trained_case.x[:150]
    logits = Analogue(centred_output(compose_pooling(network))).outputs(x)
    agreement = []
    errors = []
    spikes = []
    for weight in (0, 1, 4):
        calibration = calibrate(
            network,
            trained_case.x[150:],
            ConversionSettings(calibrate=4, spike_weight=weight),
        )
        counted_counts, readout, error = simulate_calibrated(
            SeparatedEngine, calibration, x, 4, logits
        )
        agreement.append((readout.argmax(axis=1) == logits.argmax(axis=1)).mean())
        errors.append(error)
        spikes.append(
            sum(int(counts.sum()) for counts in counted_counts.counts.values())
        )
    assert spikes[0] > spikes[1] > spikes[2]
    assert errors[0] < errors[2]
    assert agreement[0] >= agreement[2] + 0.02


def test_repeated_it_gives_the_same_bytes_and_is_read_as_written(
    trained_case, tmp_path
):
    for name in ("one", "two"):
        path = tmp_path / name
        path.write_bytes(trained_case.parsed.read_bytes())
        calibration = calibrate(read_network(path), trained_case.x[:50], _settings())
        write_spiking(calibration.network, path)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    again = read_network(tmp_path / "one")
    assert (again.steps, again.windowed) == (STEPS, True)
    for population, read in zip(calibration.network.populations, again.populations):
        assert population.window == read.window
        np.testing.assert_array_equal(
            population.initial_potential, read.initial_potential
        )
        np.testing.assert_array_equal(
            population.projections[0].weights(), read.projections[0].weights()
        )
    parsed_network = read_network(tmp_path / "one", with_training=True)
    np.testing.assert_array_equal(
        parsed_network.output.only.weights(),
        read_network(trained_case.parsed).output.only.weights(),
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("leading_input", r"highest.*--max-pool exact"),
        ("largest_count", "highest .*begin with a convolution"),
    ],
)
def test_max_pooling_of_the_input_or_by_the_toolbox_is_refused(
    network, x, rule, message
):
    config = {**network.volume("pool").only.layer.model_dump(), "rule": rule}
    entries = [
        StoredLayer(
            "input", "InputLayer", {"batch_input_shape": [None, 8, 8, 2]}, (), {}
        ),
        StoredLayer("highest", "MaxPooling2D", config, ("input",), {}),
    ]
    with pytest.raises(InputError, match=message):
        calibrate(assemble(entries), x, _settings())
