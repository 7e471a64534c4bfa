import json

import numpy as np
import pytest

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.core.errors import InputError
from snnb.model_files.keras import keras
from snnb.training.keras_model import trained_network
from tests.conversion.conftest import assert_computes
from tests.converted import convert_files

L = keras.layers


def conversion(model, pixels, **options):
    settings = ConversionSettings(**{"batch_size": 40, **options})
    return convert(trained_network(model), x_norm=pixels, settings=settings)


def test_layers_files_and_result(small, pixels, tmp_path):
    settings = ConversionSettings(batch_size=40)
    result = convert_files(small, tmp_path, x_norm=pixels, settings=settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config",
        "net_parsed.h5",
        "scale_factors.json",
    ]
    model = keras.models.load_model(str(tmp_path / "net_parsed.h5"), compile=False)
    relu, softmax = keras.activations.relu, keras.activations.softmax
    layers = [
        (layer, layer.output_shape[1:], getattr(layer, "activation", None))
        for layer in model.layers[1:]
    ]
    assert [
        (layer.name, type(layer).__name__, shape, own_inputs, layer.count_params())
        for layer, shape, own_inputs in layers
    ] == [
        ("00Conv2D_8x8x4", "Conv2D", (8, 8, 4), relu, 40),
        ("01AveragePooling2D_4x4x4", "AveragePooling2D", (4, 4, 4), None, 0),
        ("02Conv2D_2x2x6", "Conv2D", (2, 2, 6), relu, 222),
        ("03Flatten_24", "Flatten", (24,), None, 0),
        ("04Dense_10", "Dense", (10,), softmax, 250),
    ]
    assert model.layers[0].name == "input"
    assert model.input_shape == (None, 8, 8, 1)
    # The softmax layer's factor is 1, so that normalising leaves the output as it was.
    np.testing.assert_allclose(model.predict(pixels), small.predict(pixels), atol=1e-5)
    assert result.largest_difference < 1e-5
    assert (
        json.loads((tmp_path / "scale_factors.json").read_text())
        == result.scale_factors
    )
    assert result.samples_verified == 100
    assert result.warnings == []
    written = {path: path.read_bytes() for path in tmp_path.iterdir()}
    convert_files(small, tmp_path, x_norm=pixels, settings=settings)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == written


def test_linear_layers_are_reported(randomise, pixels):
    """One that cannot be composed with the next, and the output; about half of their values are negative."""
    layers = [
        L.Conv2D(3, 3, name="hidden", input_shape=(8, 8, 1)),
        L.Flatten(),
        L.Dense(7),
    ]
    model = randomise(keras.Sequential(layers))
    hidden = keras.Model(model.input, model.get_layer("hidden").output)
    ends = hidden.predict(pixels), model.predict(pixels)
    shares = [(values < 0).mean() for values in ends]
    result = conversion(model, pixels, rectify_linear=True)
    assert result.negative_shares == {
        "00Conv2D_6x6x3": shares[0],
        "02Dense_7": shares[1],
    }
    for share in shares:
        assert [warning for warning in result.warnings if f"{share:.1%}" in warning]
    with pytest.raises(
        InputError, match="00Conv2D_6x6x3: the percentile of its activations is -"
    ):
        conversion(model, pixels, percentile=1, rectify_linear=True)


def test_what_the_samples_tell(small, pixels):
    kernel, bias = small.layers[5].get_weights()
    small.layers[5].set_weights([-np.abs(kernel), np.full_like(bias, -1)])
    result = conversion(small, pixels, batch_size=50)
    assert [warning for warning in result.warnings if "last 20 of 120" in warning]
    assert [
        warning
        for warning in result.warnings
        if "02Conv2D_2x2x6 is never active" in warning
    ]
    assert result.scale_factors["02Conv2D_2x2x6"] == 1  # as the toolbox's
    assert conversion(small, pixels[:7]).warnings == result.warnings[:1]


def _clipped_model():
    """A ReLU6 whose percentile is far below 6, and what two populations read without an activation between."""
    x = L.Input((8, 8, 1))
    y = L.ReLU(6.0)(L.Conv2D(4, 3)(x))
    shared_layer = L.Conv2D(32, 3, use_bias=False)(y)
    layer, two = (
        L.Conv2D(2, 1, activation="relu")(L.BatchNormalization()(shared_layer))
        for _ in range(2)
    )
    return keras.Model(
        x, L.Dense(3, activation="softmax")(L.Flatten()(L.Concatenate()([layer, two])))
    )


def test_exact_clip_scales_a_clipped_relu_by_where_it_clips(randomise, pixels):
    model = randomise(_clipped_model())
    usual = conversion(model, pixels)
    exact = conversion(model, pixels, exact_clip=True)
    different = {
        name
        for name, factor in usual.scale_factors.items()
        if exact.scale_factors[name] != factor
    }
    assert different == {"01ReLU_6x6x4"}
    assert (
        usual.scale_factors["01ReLU_6x6x4"] < 6 == exact.scale_factors["01ReLU_6x6x4"]
    )
    assert exact.parsed.populations[0].max_value == 1
    for result in (usual, exact):  # the last layer is a softmax, which is not scaled
        assert_computes(result.parsed, model, pixels)


def test_options_without_effect_are_said(small, pixels):
    assert conversion(small, pixels, exact_clip=True).warnings == [
        "--exact-clip: no layer has a clipped activation"
    ]
    [warning] = conversion(small, pixels, firing="free").warnings
    assert warning.startswith("--firing free: ignored without --calibrate")


def test_scale_factors_of_a_calibration_are_in_the_units_of_the_trained_network(
    small, pixels
):
    small.layers[1].set_weights(
        [20 * small.layers[1].get_weights()[0], *small.layers[1].get_weights()[1:]]
    )
    result = conversion(small, pixels, calibrate=8)
    assert result.scale_factors["00Conv2D_8x8x4"] > 10
    for name, layer in [
        ("00Conv2D_8x8x4", 2),
        ("01AveragePooling2D_4x4x4", 3),
        ("02Conv2D_2x2x6", 5),
    ]:
        largest = (
            keras.Model(small.input, small.layers[layer].output)
            .predict(pixels)
            .max(axis=(0, 1, 2))
        )
        shares = (
            np.array(result.calibration[name].scale_factors)[largest > 0]
            / largest[largest > 0]
        )
        assert shares.min() > 0.149, (
            name
        )  # the candidates are 0.15 to 1.1 times the largest activation
        assert shares.max() < 1.101, name


def test_integer_biases_of_too_many_bits_are_said(small, pixels):
    x, warnings = np.rint(pixels * 255).astype(np.float32) / np.float32(255), []
    [norm] = [
        layer for layer in small.layers if isinstance(layer, L.BatchNormalization)
    ]
    for shift in (-1, -1e6):  # 127 / the largest weight × the bias exceeds 2²³
        gamma, beta, *moving = norm.get_weights()
        norm.set_weights([gamma, np.r_[np.float32(shift), beta[1:]], *moving])
        settings = ConversionSettings(batch_size=40, weight_bits=8)
        result = convert(
            trained_network(small), x_norm=x, settings=settings, pixel_scale=255
        )
        warnings.append([line for line in result.warnings if "bits" in line])
    assert warnings == [[], ["00Conv2D_8x8x4 has biases of more than 24 bits: clipped"]]
    assert result.spiking.populations[0].bias[0] == 1 - 2**23


def test_a_percentile_that_scales_no_layer_is_said(randomise, pixels):
    model = randomise(
        keras.Sequential(
            [
                L.Flatten(input_shape=(8, 8, 1)),
                L.Dense(4),
                L.ReLU(6),
                L.Dense(3, "softmax"),
            ]
        )
    )
    usual = conversion(model, pixels, exact_clip=True)
    other_conversion = conversion(model, pixels, exact_clip=True, percentile=50)
    assert other_conversion.scale_factors == usual.scale_factors
    assert [
        warning
        for warning in other_conversion.warnings
        if warning not in usual.warnings
    ] == [
        "--percentile: ignored, because each layer is scaled by the bound of its activations"
    ]
    assert not conversion(model, pixels, percentile=50).warnings


def test_a_warning_says_how_many_weights_composing_makes(randomise, pixels):
    x = L.Input((8, 8, 1))
    shared_layer = L.Conv2D(8, 3, use_bias=False)(L.Conv2D(8, 1, activation="relu")(x))
    ends = [L.ReLU()(L.BatchNormalization()(shared_layer)) for _ in range(3)]
    model = keras.Model(
        x,
        L.Dense(2, activation="softmax")(
            L.GlobalAveragePooling2D()(L.Concatenate()(ends))
        ),
    )
    [warning] = conversion(randomise(model), pixels).warnings
    # By hand: 16; 3 × (3 · 3 · 8 · 8 + 8); 24 · 2 + 2. The trained one has one convolution and 3 × 32 for its norms.
    assert warning.startswith(
        f"{16 + 3 * 584 + 50:,} weights instead of {16 + 576 + 96 + 50:,}, 2.5 times as many"
    )
