"""What no engine simulates is refused by the layer's name."""

import pytest

from snnb.core.errors import InputError
from snnb.network.read_network import read_network
from snnb.simulation.engines.choose import check_supported


def _refusal(path, outputs, inputs):
    from tensorflow.keras import Model

    from snnb.conversion.h5 import save_keras

    save_keras(Model(inputs, outputs), path, "model")
    with pytest.raises(InputError) as refused:
        check_supported(read_network(path))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_refusals_name_the_layer(tmp_path):
    from tensorflow.keras import Input, layers

    x, path = Input((4, 4, 2), name="input"), tmp_path / "m_parsed.h5"
    refusal = _refusal(path, layers.UpSampling2D(name="up")(x), x)
    assert refusal == "layer up: a UpSampling2D cannot be simulated: replace it and parse again"
    sequence = layers.Reshape((8, 4), name="steps")(x)
    padded = layers.ZeroPadding1D(name="pad")(sequence)
    assert "layer pad: a ZeroPadding1D" in _refusal(path, layers.Dense(3, name="d")(padded), x)
    terms = [layers.Conv1D(3, 1, name=name)(sequence) for name in ("one", "two")]
    assert "layer sum: a Conv1D" in _refusal(path, layers.Add(name="sum")(terms), x)
    flat = layers.Flatten(name="flat")(x)
    assert "layer d: activation tanh" in _refusal(path, layers.Dense(3, activation="tanh", name="d")(flat), x)
    ends = [layers.Dense(3, name="one")(flat), layers.Dense(3, name="two")(flat)]
    assert "ends in one, two" in _refusal(path, ends, x)
    joined = layers.Concatenate(name="joined")(ends)
    assert "ends in joined, which has no neurons" in _refusal(path, joined, x)
    assert "no layer of the model has neurons" in _refusal(path, flat, x)


def test_neurons_in_another_shape_can_be_the_output(branched, tmp_path):
    from tensorflow.keras import Input, Model, layers

    from snnb.conversion.h5 import save_keras

    x = Input((4,), name="input")
    y = layers.Flatten(name="flat")(layers.Reshape((3, 2), name="shaped")(layers.Dense(6, name="dense")(x)))
    save_keras(Model(x, y), tmp_path / "m_parsed.h5", "model")
    check_supported(read_network(tmp_path / "m_parsed.h5"))
    check_supported(branched.network)
