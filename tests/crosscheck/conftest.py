"""A residual network whose sums are exact in any order and precision."""

import numpy as np
import pytest

from tests.graph.networks import LAYERS, save
from tests.graph.recorded import keras


def residual():
    """A sum whose shortcut skips two layers, one that begins at the input, branches that meet, pooling."""
    source = LAYERS.Input((6, 5, 2), name="input")
    layer = LAYERS.Conv2D(3, 3, padding="same", activation="relu", name="one")(source)
    two = LAYERS.Conv2D(3, 3, padding="same", activation="relu", name="two")(layer)
    terms = [
        LAYERS.Conv2D(3, 3, padding="same", name="long")(two),
        LAYERS.DepthwiseConv2D(1, name="short")(layer),
        LAYERS.Conv2D(3, 1, name="from_input")(source),
    ]
    total = LAYERS.Activation("relu", name="sum")(LAYERS.Add(name="add")(terms))
    both = LAYERS.Concatenate(name="both")([total, layer])
    pooled_layer = LAYERS.AveragePooling2D(2, name="pool")(both)
    hidden = LAYERS.Dense(7, activation="relu", name="hidden")(
        LAYERS.Flatten(name="flat")(pooled_layer)
    )
    return keras.Model(
        source, LAYERS.Dense(3, activation="softmax", name="out")(hidden)
    )


def random_weights(model, rng):
    shapes = [w.shape for w in model.get_weights()]
    return [
        rng.normal(0.2, 1, s) / np.sqrt(np.prod(s[:-1]) if len(s) > 1 else 8)
        for s in shapes
    ]


@pytest.fixture(scope="session")
def parsed_path(tmp_path_factory):
    """Weights are multiples of 2⁻⁸, so that sums are exact in any order and precision."""
    model = residual()
    model.set_weights(
        [
            np.rint(w * 256) / 256
            for w in random_weights(model, np.random.default_rng(5))
        ]
    )
    return save(model, tmp_path_factory.mktemp("parse") / "net_parsed.h5")
