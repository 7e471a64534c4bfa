"""What parsing or simulating would refuse is refused of the model that is not trained yet."""

import pytest

from snnb.conversion.checks import check_convertible
from snnb.conversion.convert import convert
from snnb.conversion.toolbox_config import configuration
from snnb.core.errors import InputError
from snnb.io.keras import keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.choose import check_supported
from tests.conversion.conftest import slow_except

L = keras.layers


def branched(axis, behind, other=None):
    """Two branches of 8×8 maps that meet, and what reads them."""
    x = L.Input((8, 8, 1))
    branches = (L.Conv2D(2, 3, padding="same", activation="relu"), other or L.Conv2D(2, 1, activation="relu"))
    both = L.Concatenate(axis=axis)([branch(x) for branch in branches])
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(behind(both))))


SIDE_BY_SIDE = {
    "rows, then a convolution": lambda: branched(1, L.Conv2D(2, 3, activation="relu", name="reader")),
    "columns, then a pooling": lambda: branched(2, L.AveragePooling2D(3, name="reader")),
    "rows, then a depthwise convolution": lambda: branched(1, L.DepthwiseConv2D(3, activation="relu", name="reader")),
    "channels in the wrong shape": lambda: branched(
        3, lambda x: L.Conv2D(1, 3, activation="relu", name="reader")(L.Reshape((8, 16, 2))(x))
    ),
    "behind padding": lambda: branched(
        1, lambda x: L.Conv2D(1, 3, activation="relu", name="reader")(L.Dropout(0.1)(L.ZeroPadding2D(2)(x)))
    ),
}


@pytest.mark.parametrize("case", slow_except({"behind padding"}, SIDE_BY_SIDE))
def test_branches_in_one_channel(case, randomise, save, pixels, tmp_path):
    model = randomise(SIDE_BY_SIDE[case]())
    with pytest.raises(InputError, match=r"^reader takes branches side by side in one channel, .*: concatenate"):
        check_convertible(model)
    with pytest.raises(InputError, match="takes branches side by side in one channel"):
        convert(save(model), tmp_path, name="net", x_norm=pixels, x_check=pixels)


def ends_in(behind):
    x = L.Input((6,))
    return keras.Model(x, behind(x))


NO_NEURONS = {
    "concatenation": lambda x: L.Concatenate(name="last")([L.Dense(2, activation="relu")(x), L.Dense(3)(x)]),
    "concatenation that is flattened": lambda x: L.Dropout(0.1)(
        L.Flatten()(L.Concatenate(name="last")([L.Dense(2, activation="relu")(x), L.Dense(3)(x)]))
    ),
    "padding": lambda x: L.Flatten()(L.ZeroPadding2D(1, name="last")(L.Reshape((2, 2, 1))(L.Dense(4)(x)))),
}


@pytest.mark.toolbox
@pytest.mark.parametrize("case", slow_except({"padding"}, NO_NEURONS))
def test_an_output_without_neurons(case, randomise, tmp_path):
    """The parser takes it, the simulation does not."""
    from snnb.conversion.toolbox_parser import to_parsed

    model = randomise(ends_in(NO_NEURONS[case]))
    with pytest.raises(InputError, match=r"last \(\w+\): has no neurons, so it cannot be the output"):
        check_convertible(model)
    parsed = to_parsed(model, configuration("net"))
    parsed.save(str(tmp_path / "net_parsed.h5"))
    with pytest.raises(InputError, match="has no neurons"):
        check_supported(read_network(tmp_path / "net_parsed.h5"))
