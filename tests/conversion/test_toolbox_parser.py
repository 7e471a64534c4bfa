"""snntoolbox's own parsing and normalisation beside those of snnb, which only share the reading of a model."""

import numpy as np
import pytest

from snnb.architectures import find, names
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.core.errors import SnnbError
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.network.network import Population, Reindexed
from snnb.training.keras_model import trained_network
from tests.conversion.conftest import set_random_weights, slow_except

L = keras.layers
pytestmark = pytest.mark.toolbox
LARGE = 10_000_000  # weights of a model that keeps its initial ones
# The toolbox has no sums, and does not compose a batch normalisation with a layer after it; see `FAILING`.
OWN_ONLY = {
    "resnet20_cifar10",
    "resnet50_imagenet",
    "mobilenet_v2_imagenet",
    "densenet121_imagenet",
}
MODELS = [name for name in names(trained=False) if name not in OWN_ONLY]


def both(model, x, settings):
    """Return the conversions by snnb and by the toolbox."""
    from snnb.conversion.toolbox import convert_with_toolbox

    model_network = trained_network(model)
    theirs = convert_with_toolbox(model_network, x, settings)
    return convert(model_network, x_norm=x, settings=settings), theirs


def assert_equal(ours, theirs):
    """Check names, kinds and settings of the layers, weights, biases and scale factors within 1e-5 of each.

    A small scale factor can be a sum whose terms, of about 1, cancel: float32 rounds the terms.
    """
    tolerance = 1e-5 + 1e-6 / min(theirs.scale_factors.values())
    assert ours.scale_factors.keys() == theirs.scale_factors.keys()
    for name, factor in theirs.scale_factors.items():
        assert ours.scale_factors[name] == pytest.approx(factor, rel=tolerance), name
    assert len(ours.parsed.volumes) == len(theirs.parsed.volumes)
    for own_volume in ours.parsed.volumes:
        other_volume = theirs.parsed.volume(
            own_volume.name
        )  # Keras sorts branches by depth, and not by the number in their names
        assert (own_volume.shape, type(own_volume)) == (
            other_volume.shape,
            type(other_volume),
        )
        if own_volume.name != "input":
            assert own_volume.inputs == other_volume.inputs
        if isinstance(own_volume, Reindexed):
            assert own_volume.layer == other_volume.layer
        if isinstance(own_volume, Population):
            assert (own_volume.activation, own_volume.only.layer) == (
                other_volume.activation,
                other_volume.only.layer,
            )
        if isinstance(own_volume, Population) and own_volume.only.kernel is not None:
            np.testing.assert_allclose(
                own_volume.only.kernel,
                other_volume.only.kernel,
                rtol=tolerance,
                err_msg=own_volume.name,
            )
            has_cancelled = (
                1e-6 * np.abs(other_volume.bias).max()
            )  # a folded mean can be almost the bias
            np.testing.assert_allclose(
                own_volume.bias,
                other_volume.bias,
                rtol=tolerance,
                atol=has_cancelled,
                err_msg=own_volume.name,
            )


@pytest.mark.parametrize(
    "name", slow_except({"mini_network", "zambrano_mnist"}, MODELS)
)
def test_a_model_of_the_package_is_converted_alike(name):
    spec, random = find(name), np.random.default_rng(0)
    model = spec.build(input_shape=spec.input_shape, num_classes=spec.num_classes)
    if model.count_params() < LARGE:
        set_random_weights(model, random)
    samples = 40 if spec.input_shape[0] < 100 else 2
    x = random.random((samples, *spec.input_shape)).astype(np.float32)
    settings = ConversionSettings(batch_size=samples // 2)
    ours, theirs = both(model, x, settings)
    assert_equal(ours, theirs)
    outputs = [Analogue(conversion.parsed).outputs(x) for conversion in (ours, theirs)]
    classes = [
        values.argmax(axis=1)
        for values in (*outputs, model.predict(x).reshape(samples, -1))
    ]
    np.testing.assert_array_equal(classes[1], classes[0])
    np.testing.assert_array_equal(classes[2], classes[0])


def branches(behind):
    """A model with two branches of one convolution, and what reads them."""
    x = L.Input((8, 8, 1))
    conv = L.Conv2D(2, 3)(x)
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(behind(conv))))


def join_twice(x):
    return L.Concatenate()([L.Conv2D(2, 1, activation="relu")(x) for _ in "ab"])


def branches_of_two_depths():
    """Two branches, whose order in Keras depends on the Dropout in the second one."""
    first_input = L.Input((8, 8, 1))
    first_relu = L.ReLU()(L.Conv2D(2, 3)(first_input))
    second_relu = L.ReLU()(L.Dropout(0.5)(L.Conv2D(3, 3)(first_input)))
    parts = [
        L.Conv2D(2, 1, activation="relu")(value) for value in (first_relu, second_relu)
    ]
    joined = L.Conv2D(2, 1, activation="relu")(L.Concatenate()(parts))
    outputs = L.Dense(3, activation="softmax")(L.Flatten()(joined))
    return keras.Model(first_input, outputs)


def test_names_are_those_that_the_toolbox_gives_the_layers_of_the_file(
    randomise, pixels
):
    """The network of snnb has no Dropout, without which Keras lists the branches in another order."""
    from snntoolbox.parsing.model_libs.keras_input_lib import ModelParser

    from snnb.conversion.toolbox_config import configuration

    model = randomise(branches_of_two_depths())
    settings = ConversionSettings(batch_size=40)
    ours, theirs = both(model, pixels, settings)
    assert_equal(ours, theirs)
    parser = ModelParser(model, configuration("network", [settings]))
    parser.parse()
    expected_names = {layer.name for layer in parser.build_parsed_model().layers}
    assert {"00Conv2D_6x6x3", "01Conv2D_6x6x2"} < expected_names
    assert {volume.name for volume in ours.parsed.volumes} == expected_names


FAILING = {
    "a relu lost": (
        lambda x: L.Concatenate()([L.AveragePooling2D(2)(L.ReLU()(x)) for _ in "ab"]),
        "outputs differ",
    ),
    "a sum": (
        lambda x: L.ReLU()(L.Add()([x, x])),
        "parser fails on this model .*: use --parser own",
    ),
    "branches before a Dense layer": (
        lambda x: join_twice(L.ReLU()(x)),
        "normalisation fails on this model .*: use",
    ),
    "a clipped relu": (
        lambda x: L.ReLU(6.0)(x),
        r"\(ReLU\): max_value 6.0: the toolbox ignores it: use --parser own",
    ),
    "no activation": (
        lambda x: L.Conv2D(2, 1, activation="relu")(x),
        "00Conv2D_6x6x2: no activation, but spiking",
    ),
    "max pooling": (
        lambda x: L.MaxPooling2D()(L.ReLU()(x)),
        "no exact max pooling: choose --max-pool average or",
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_what_the_toolbox_cannot_convert_is_refused_in_one_line(
    case, randomise, pixels
):
    build, message = FAILING[case]
    with pytest.raises(SnnbError, match=message) as error_info:
        both(randomise(branches(build)), pixels, ConversionSettings())
    assert "\n" not in str(error_info.value)


def test_a_percentile_of_many_digits_and_max_pooling_replaced(randomise, pixels):
    model = randomise(branches(lambda conv: L.MaxPooling2D()(L.ReLU()(conv))))
    settings = ConversionSettings(
        percentile=99.12345678, max_pool="average", batch_size=40
    )
    ours, theirs = both(model, pixels, settings)
    assert_equal(ours, theirs)
    assert list(theirs.changes) == ["average_pooling"]
