"""--pixels: a model with its preprocessing folded in equals Keras's own preprocessing before the model."""

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.model_files.fold_pixels import fold_pixels, parse_pixels
from snnb.training.keras_model import trained_network
from tests.model_files.conftest import outputs


@pytest.fixture(autouse=True)
def keras():
    from snnb.model_files.keras import keras

    keras.backend.clear_session()
    return keras


def conv(layers, image, **settings):
    x = layers.Conv2D(
        5, (3, 2), strides=(2, 1), activation="relu", name="first", **settings
    )(image)
    return layers.Flatten()(x)


def pool(layers, image):
    image = layers.Dropout(0.5)(layers.AveragePooling2D(2, padding="same")(image))
    return layers.Flatten()(layers.Conv2D(4, 2)(layers.MaxPooling2D((2, 1))(image)))


def several(layers, image):
    whole_layer = layers.Dense(4)(layers.GlobalAveragePooling2D()(image))
    return layers.Concatenate()([conv(layers, image, use_bias=False), whole_layer])


NETWORKS = {
    "a convolution": conv,
    "one without biases": lambda layers, image: conv(layers, image, use_bias=False),
    "one with holes": lambda layers, image: layers.Flatten()(
        layers.Conv2D(4, 2, dilation_rate=(2, 1))(image)
    ),
    "one of single pixels": lambda layers, image: layers.Flatten()(
        layers.Conv2D(4, 1, padding="same")(image)
    ),
    "a separable one": lambda layers, image: layers.Flatten()(
        layers.SeparableConv2D(5, 3, depth_multiplier=2)(image)
    ),
    "dense": lambda layers, image: layers.Dense(6, activation="relu")(
        layers.Flatten()(image)
    ),
    "poolings before": pool,
    "several readers": several,
}
APART = {
    "depthwise": lambda layers, image: layers.Flatten()(
        layers.DepthwiseConv2D(3, depth_multiplier=2)(image)
    ),
    "normalisation": lambda layers, image: layers.Flatten()(
        layers.Conv2D(3, 3, padding="same")(
            layers.BatchNormalization(name="norm")(image)
        )
    ),
    "normalisation without gamma": lambda layers, image: layers.Flatten()(
        layers.BatchNormalization(scale=False, name="norm")(image)
    ),
    "normalisation of positions": lambda layers, image: layers.BatchNormalization(
        name="norm"
    )(layers.Flatten()(image)),
}


def network(keras, make, channels=3):
    image = keras.Input((9, 8, channels))
    model = keras.Model(image, keras.layers.Dense(3)(make(keras.layers, image)))
    random = np.random.default_rng(3)
    for layer in model.layers:
        arrays = [random.normal(0, 0.3, array.shape) for array in layer.get_weights()]
        if isinstance(layer, keras.layers.BatchNormalization):
            arrays = [np.abs(array) + 0.3 for array in arrays]
        layer.set_weights(arrays)
    return model


def preprocess(keras, raw, mode):
    return keras.applications.imagenet_utils.preprocess_input(
        raw.astype(np.float64), mode=mode
    ).astype(np.float32)


def equal(folded_network, x, expected_outputs):
    scale = np.abs(expected_outputs).max()
    assert scale > 0.5
    np.testing.assert_allclose(
        outputs(folded_network, x), expected_outputs, atol=2e-6 * scale + 1e-5
    )


CASES = [
    (name, mode) for mode in ("caffe", "torch", "tf") for name in [*NETWORKS, *APART]
]
FAST = [
    ("several readers", "caffe"),
    ("poolings before", "torch"),
    ("a separable one", "caffe"),
]
FAST += [
    ("depthwise", "caffe"),
    ("depthwise", "tf"),
    ("normalisation", "torch"),
    ("normalisation without gamma", "tf"),
]
FAST += [("normalisation of positions", "torch")]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        case if case in FAST else pytest.param(*case, marks=pytest.mark.slow)
        for case in CASES
    ],
)
def test_it_equals_the_preprocessing_of_keras(keras, name, mode):
    model = network(keras, {**NETWORKS, **APART}[name])
    raw = np.random.default_rng(4).integers(0, 256, (6, 9, 8, 3))
    expected_outputs = model.predict(preprocess(keras, raw, mode))
    messages = []
    if mode == "caffe" and name in APART:
        with pytest.raises(
            InputError,
            match=r"--pixels caffe: layer \w+ \(\w+\) processes channels separately",
        ):
            fold_pixels(trained_network(model), mode, messages.append)
        return
    before = trained_network(model)
    folded_pixels = fold_pixels(before, mode, messages.append)
    equal(folded_pixels, (raw / 255).astype(np.float32), expected_outputs)
    assert messages == []
    assert folded_pixels.by_name().keys() == before.by_name().keys()


@pytest.mark.parametrize(
    ("text", "mean", "std"),
    [
        ("mean=0.1307,std=0.3081", [0.1307], [0.3081]),  # grey
        ("mean=0.1,0.2,0.3,std=0.5,0.25,2", [0.1, 0.2, 0.3], [0.5, 0.25, 2]),
        ("mean=0.5,std=0.25", 0.5, 0.25),
        ("mean=0.1,0.2,0.3,std=0.5", [0.1, 0.2, 0.3], 0.5),
        ("mean=0,std=1e-1", 0, 0.1),
        ("0-255", 0, 1 / 255),
        ("0-1", 0, 1),
    ],
)
def test_mean_and_deviation_are_those_of_torchvision(keras, text, mean, std):
    channels = 1 if mean == [0.1307] else 3
    model = network(keras, conv, channels)
    x = np.random.default_rng(5).random((6, 9, 8, channels)).astype(np.float32)
    expected_outputs = model.predict(
        (x - np.array(mean, np.float32)) / np.array(std, np.float32)
    )
    equal(fold_pixels(trained_network(model), text, len), x, expected_outputs)


def padded_same(layers, image):
    return layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="first")(
        image
    )


def padded_before(layers, image):
    image = layers.ZeroPadding2D(((2, 0), (1, 1)), name="edge")(
        layers.MaxPooling2D((2, 1))(image)
    )
    return layers.Conv2D(4, 3, name="first")(image)


def padded_twice(layers, image, **settings):
    edge = layers.ZeroPadding2D(1, name="edge")(image)
    return layers.Conv2D(4, (2, 3), padding="same", name="first", **settings)(edge)


def padded_normalisation(layers, image):
    return layers.Conv2D(4, 3, name="first")(
        layers.BatchNormalization(name="norm")(layers.ZeroPadding2D(1)(image))
    )


def padded_in_part(layers, image):
    same = layers.Conv2D(4, 3, padding="same", name="first")(image)
    return layers.Concatenate()(
        [layers.Flatten()(same), layers.Flatten()(layers.Conv2D(3, 2)(image))]
    )


PADDED = [
    padded_same,
    padded_before,
    padded_twice,
    padded_in_part,
    padded_normalisation,
]
BORDERS = [(make, mode) for make in PADDED for mode in ("torch", "caffe", "tf")][
    :-2
]  # it keeps the channels apart


@pytest.mark.parametrize(("make", "mode"), BORDERS)
def test_zeros_that_a_layer_pads_stay_the_mean(keras, make, mode):
    model = network(keras, lambda layers, image: layers.Flatten()(make(layers, image)))
    raw, messages = np.random.default_rng(4).integers(0, 256, (6, 9, 8, 3)), []
    expected_outputs = model.predict(preprocess(keras, raw, mode))
    x = (raw / 255).astype(np.float32)
    folded_pixels = fold_pixels(trained_network(model), mode, messages.append)
    equal(folded_pixels, x, expected_outputs)
    assert messages == []
    added_names = {layer.name for layer in folded_pixels.layers} - {
        layer.name for layer in model.layers
    }
    before = {
        padded_same: "first",
        padded_in_part: "first",
        padded_normalisation: "zero_padding2d",
    }
    assert [name.split("_less")[0] for name in added_names] == [
        before.get(make, "edge")
    ]


def test_black_without_a_mean_needs_no_layer(keras):
    before = trained_network(network(keras, padded_twice))
    assert fold_pixels(before, "0-255", len).by_name().keys() == before.by_name().keys()


def test_a_layer_and_channels_that_cannot_take_it_are_named(keras):
    with pytest.raises(
        InputError,
        match="--pixels torch does not apply to this model, which takes 1 channels",
    ):
        fold_pixels(trained_network(network(keras, conv, channels=1)), "torch", len)
    image = keras.Input((9, 8, 3))
    sum_ = keras.layers.Add(name="both")(
        [image, keras.layers.Conv2D(3, 3, padding="same")(image)]
    )
    with pytest.raises(
        InputError,
        match=r"--pixels tf: layer both \(Add\) reads the input, and has no weights",
    ):
        fold_pixels(trained_network(keras.Model(image, sum_)), "tf", len)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imagenet", "none of 0-1, 0-255, tf, torch, caffe"),
        ("mean=0.5", "none of"),
        ("mean=0.5,std=0", "a standard deviation is above 0"),
        ("mean=0.5,,std=1", "could not convert"),
        ("mean=103.9,116.8,123.7,std=1", "divide both by 255"),
        ("mean=0.5,0.5,std=1,1,1", "has 2 means and 3 standard deviations"),
    ],
)
def test_what_is_no_preprocessing(text, message):
    with pytest.raises(ValueError, match=message):
        parse_pixels(text)
