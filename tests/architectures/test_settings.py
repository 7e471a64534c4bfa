import pytest

from snnb.architectures import find
from snnb.architectures.settings import settings_from
from snnb.errors import UsageError

ALEXNET = find("alexnet_catsvsdogs").spec.settings


def test_values_get_the_type_of_the_default():
    given = settings_from(["dropout=0.25", "units=100,200", "filters=1,2,3,4,5"], ALEXNET)
    assert given == {"dropout": 0.25, "units": (100, 200), "filters": (1, 2, 3, 4, 5)}
    assert settings_from([], ALEXNET) == {}
    assert settings_from(["dropout=0"], ALEXNET) == {"dropout": 0.0}
    assert settings_from(["gain=-1.5"], {"gain": 0.1}) == {"gain": -1.5}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            "dropot=0.2",
            r"no setting dropot, did you mean dropout\?; there are filters=96,256,384,384,256, units=4096,4096",
        ),
        ("dropout", "write it as key=value"),
        ("dropout=1", "not a number from 0 up to but not including 1"),
        ("dropout=nan", "not a number from 0"),
        ("units=100", "give 2 values, as in 4096,4096"),
        ("units=100,x", "'x' is not a whole number of at least 1"),
        ("units=0,5", "'0' is not a whole number"),
        ("units=1.5,5", "'1.5' is not a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused(pair, message):
    with pytest.raises(UsageError, match=message):
        settings_from([pair], ALEXNET)


def test_a_number_that_is_not_finite_is_refused():
    with pytest.raises(UsageError, match="'inf' is not a number"):
        settings_from(["gain=inf"], {"gain": 1.0})


def test_a_model_without_settings_says_so():
    with pytest.raises(UsageError, match="this model has no settings"):
        settings_from(["a=1"], {})


def test_settings_change_the_network():
    given = settings_from(["filters=3,5", "units=7,9"], find("lenet_mnist").spec.settings)
    model = find("lenet_mnist").build(input_shape=(28, 28, 1), num_classes=4, **given)
    shapes = {layer.name: layer.output_shape[-1] for layer in model.layers}
    assert [shapes[name] for name in ("conv_1", "conv_2", "dense_1", "dense_2", "output")] == [3, 5, 7, 9, 4]
