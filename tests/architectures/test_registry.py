from pathlib import Path

import numpy as np
import pytest

from snnb.architectures import find, names
from snnb.architectures.registry import checked_hyperparameters, names_with
from snnb.core.errors import UsageError
from snnb.core.options import from_pairs

LINES = (Path(__file__).parents[2] / "docs/models.md").read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("lenet_cifar10", "lenet_cifar10"),
        ("LeNet_Cifar10", "lenet_cifar10"),
        ("MultiLayerPerceptron_Mnist", "mlp_mnist"),
    ],
)
def test_a_model_is_found_by_snake_case_and_by_its_historical_class_name(name, model):
    assert find(name).name == model
    assert len(names()) == 29


def test_models_are_listed_by_a_part_of_their_names():
    assert names_with("") == names()
    assert names_with("digits") == ["digits_example", "spiking_digits"]
    assert names_with("LeNetPad") == ["lenet_padded_mnist"]


def test_settings_are_the_hyper_parameters_of_the_build_function():
    assert dict(find("lenet_mnist").settings) == {
        "filters": (6, 16),
        "units": (120, 84),
    }
    assert list(find("vgg16_imagenet").settings) == ["filters", "units", "dropout"]
    assert find("autoencoder_mnist").settings["code"] == 10


@pytest.mark.parametrize("name", names())
def test_the_page_of_the_models_says_what_the_spec_says(name):
    spec = find(name)
    [line] = [
        line for line in LINES if line.startswith(f"| `{name}` | {spec.dataset} ")
    ]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[3:5] == [f"{spec.neurons:,}", f"{spec.synapses:,}"]
    assert "×".join(map(str, spec.input_shape)) in cells[1]


ALEXNET = find("alexnet_catsvsdogs").settings
LENET = find("lenet_mnist").settings
OWN = {
    "dropout_layers": 1,
    "units": 30,
    "dropout": 0.5,
    "dropout_scale": 1.5,
    "widths": (3, 3),
}


def read(pairs, settings, *, is_own=False):
    return checked_hyperparameters(from_pairs(pairs), settings, is_own_model=is_own)


def test_values_get_the_type_of_the_default():
    given_hyperparameters = read(
        ["dropout=0.25", "units=100,200", "filters=1,2,3,4,5"], ALEXNET
    )
    assert given_hyperparameters == {
        "dropout": 0.25,
        "units": (100, 200),
        "filters": (1, 2, 3, 4, 5),
    }
    assert read([], ALEXNET) == {}
    assert repr(read(["dropout=0"], ALEXNET)) == "{'dropout': 0.0}"
    assert read(["gain=-1.5"], {"gain": 0.1}) == {"gain": -1.5}
    given_hyperparameters = checked_hyperparameters(
        {"filters": [np.int64(3), 5], "units": (7, 9)}, LENET
    )
    assert repr(given_hyperparameters) == "{'filters': (3, 5), 'units': (7, 9)}"


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("dropout_layers=2", 2),
        ("units=-1", -1),
        ("widths=0,4", (0, 4)),
        ("dropout_scale=2", 2.0),
    ],
)
def test_a_users_function_takes_any_whole_number(pair, value):
    """Also where a name begins with dropout: `dropout_layers` is a count."""
    assert read([pair], OWN, is_own=True) == {pair.split("=")[0]: value}


@pytest.mark.parametrize(
    ("options_given", "settings", "message"),
    [
        (
            {"filterz": (6, 16)},
            LENET,
            r"^--set filterz=6,16: unknown setting filterz, did you mean filters\?;",
        ),
        ({"filters": 6}, LENET, "^--set filters=6: give 2 values, as in 6,16"),
        ({"filters": [6, "x"]}, LENET, "'x' is not an integer from 1 to 1,000,000"),
        ({"filters": [6, 0]}, LENET, "'0' is not an integer from 1"),
        ({"filters": [6, 2.0]}, LENET, "'2.0' is not an integer"),
        ({"filters": [6, True]}, LENET, "'True' is not an integer"),
        ({"units": None}, LENET, "give 2 values"),
        ("dropout", ALEXNET, "write it as key=value"),
        ("dropout=nan", ALEXNET, "not a number from 0 up to but not including 1"),
        ("gain=inf", {"gain": 1.0}, "'inf' is not a number"),
        ("a=1", {}, "this model has no settings"),
        ("dropout_layers=0.5", OWN, "'0.5' is not an integer$"),
        ("dropout=1", OWN, "'1' is not a number from 0 up to but not including 1"),
        ("units=1,2", OWN, "'1,2' is not an integer$"),
    ],
)
def test_invalid_values_of_a_program_or_an_option_are_refused(
    options_given, settings, message
):
    def check():
        values = (
            from_pairs([options_given])
            if isinstance(options_given, str)
            else options_given
        )
        checked_hyperparameters(values, settings, is_own_model=settings is OWN)

    with pytest.raises(UsageError, match=message):
        check()


def test_settings_change_the_network():
    options_given = read(["filters=3,5", "units=7,9"], LENET)
    model = find("lenet_mnist").build(
        input_shape=(28, 28, 1), num_classes=4, **options_given
    )
    shapes = {layer.name: layer.output_shape[-1] for layer in model.layers}
    assert [
        shapes[name] for name in ("conv_1", "conv_2", "dense_1", "dense_2", "output")
    ] == [3, 5, 7, 9, 4]
