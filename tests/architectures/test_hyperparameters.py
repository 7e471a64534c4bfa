import numpy as np
import pytest

from snnb.architectures import find
from snnb.architectures.hyperparameters import checked_hyperparameters
from snnb.core.errors import UsageError
from snnb.core.options import from_pairs


def read(pairs, settings, *, own=False):
    return checked_hyperparameters(from_pairs(pairs), settings, own=own)


ALEXNET = find("alexnet_catsvsdogs").spec.settings


def test_values_get_the_type_of_the_default():
    given = read(["dropout=0.25", "units=100,200", "filters=1,2,3,4,5"], ALEXNET)
    assert given == {"dropout": 0.25, "units": (100, 200), "filters": (1, 2, 3, 4, 5)}
    assert read([], ALEXNET) == {}
    assert read(["dropout=0"], ALEXNET) == {"dropout": 0.0}
    assert read(["gain=-1.5"], {"gain": 0.1}) == {"gain": -1.5}
    assert repr(read(["gain=2"], {"gain": 0.1})) == "{'gain': 2.0}"


def test_a_function_of_ones_own_decides_itself_what_its_whole_numbers_may_be():
    """Also where a name begins with dropout: `dropout_layers` counts, and no layers at all can be meant."""
    settings = {"dropout_layers": 1, "units": 30, "dropout": 0.5, "dropout_scale": 1.5, "widths": (3, 3)}
    for pair, value in [
        ("dropout_layers=2", 2),
        ("dropout_layers=0", 0),
        ("units=0", 0),
        ("units=-1", -1),
        ("widths=0,4", (0, 4)),
        ("dropout=0", 0.0),
        ("dropout_scale=2", 2.0),
    ]:
        key = pair.split("=")[0]
        assert read([pair], settings, own=True) == {key: value}
        assert checked_hyperparameters({key: value}, settings, own=True) == {key: value}
    for pair, message in [
        ("dropout_layers=0.5", "'0.5' is not a whole number$"),
        ("units=many", "'many' is not a whole number$"),
        ("dropout=1", "'1' is not a number from 0 up to but not including 1"),
        ("widths=4", "give 2 values, as in 3,3"),
        ("units=1,2", "'1,2' is not a whole number$"),
    ]:
        with pytest.raises(UsageError, match=message):
            read([pair], settings, own=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"filterz": (6, 16)},
            r"^--set filterz=6,16: there is no setting filterz, did you mean filters\?; the settings are fil",
        ),
        ({"filters": 6}, "^--set filters=6: give 2 values, as in 6,16"),
        ({"filters": [6, "x"]}, "'x' is not a whole number from 1 to 1,000,000"),
        ({"filters": [6, 0]}, "'0' is not a whole number from 1"),
        ({"filters": [6, 10**30]}, "is not a whole number from 1 to 1,000,000"),
        ({"filters": [6, 2.0]}, "'2.0' is not a whole number"),
        ({"filters": [6, True]}, "'True' is not a whole number"),
        ({"filters": {"a": 6}}, "give 2 values"),
        ({"units": None}, "give 2 values"),
        ({3: 4}, "there is no setting 3; the settings are filters"),
    ],
)
def test_values_of_a_program_get_the_answer_of_the_command_line(values, message):
    with pytest.raises(UsageError, match=message):
        checked_hyperparameters(values, find("lenet_mnist").spec.settings)


def test_values_of_a_program_get_the_type_of_the_default():
    given = checked_hyperparameters({"filters": [np.int64(3), 5], "units": (7, 9)}, find("lenet_mnist").spec.settings)
    assert repr(given) == "{'filters': (3, 5), 'units': (7, 9)}"
    assert repr(checked_hyperparameters({"dropout": 0}, ALEXNET)) == "{'dropout': 0.0}"
    assert checked_hyperparameters({}, ALEXNET) == {}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            "dropot=0.2",
            r"no setting dropot, did you mean dropout\?; the settings are filters=96,256,384,384,256, units=4096,4096",
        ),
        ("dropout", "write it as key=value"),
        ("dropout=1", "not a number from 0 up to but not including 1"),
        ("dropout=nan", "not a number from 0"),
        ("units=100", "give 2 values, as in 4096,4096"),
        ("units=100,x", "'x' is not a whole number from 1 to 1,000,000"),
        ("units=0,5", "'0' is not a whole number"),
        ("units=1.5,5", "'1.5' is not a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused(pair, message):
    with pytest.raises(UsageError, match=message):
        read([pair], ALEXNET)


def test_a_number_that_is_not_finite_is_refused():
    with pytest.raises(UsageError, match="'inf' is not a number"):
        read(["gain=inf"], {"gain": 1.0})


def test_a_model_without_settings_says_so():
    with pytest.raises(UsageError, match="this model has no settings"):
        read(["a=1"], {})


def test_settings_change_the_network():
    given = read(["filters=3,5", "units=7,9"], find("lenet_mnist").spec.settings)
    model = find("lenet_mnist").build(input_shape=(28, 28, 1), num_classes=4, **given)
    shapes = {layer.name: layer.output_shape[-1] for layer in model.layers}
    assert [shapes[name] for name in ("conv_1", "conv_2", "dense_1", "dense_2", "output")] == [3, 5, 7, 9, 4]
