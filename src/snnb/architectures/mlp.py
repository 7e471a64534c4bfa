"""Networks of dense layers: a perceptron with one hidden layer, and a deep autoencoder."""

from typing import Tuple

from snnb.architectures.blocks import classifier
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import Recipe

_MLP_SOURCE = "the usual multilayer perceptron"
_MLP = Recipe(learning_rate=2e-3, schedule="cosine", epochs=10, batch_size=100)
_AUTOENCODER_SOURCE = (
    "the usual deep autoencoder; ReLU throughout, since a spike rate is never negative"
)
_AUTOENCODER = Recipe(learning_rate=1e-3, schedule="cosine", epochs=10, batch_size=100)


@architecture(
    ModelSpec(
        "mlp_mnist",
        "mnist",
        (28, 28, 1),
        10,
        110,
        79_400,
        _MLP_SOURCE,
        _MLP,
        alias="MultiLayerPerceptron_Mnist",
    ),
)
def _mlp(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    units: int = 100,
) -> "keras.Model":
    return classifier(name, input_shape, [], [units], num_classes)


@architecture(
    ModelSpec(
        "autoencoder_mnist",
        "mnist",
        (28, 28, 1),
        None,
        6_794,
        6_362_000,
        _AUTOENCODER_SOURCE,
        _AUTOENCODER,
    ),
)
def _autoencoder(
    name: str,
    input_shape: InputShape,
    num_classes: None,
    units: Tuple[int, ...] = (1500, 1000, 500),
    code: int = 10,
) -> "keras.Model":
    """Build an encoder to a code of a few units, and a decoder from the code to the flattened picture.

    The decoder has the `units` of the encoder in reverse order.
    """
    pixels = input_shape[0] * input_shape[1] * input_shape[2]
    encoder = [
        keras.layers.Dense(n, activation="relu", name=f"encoder_{i}")
        for i, n in enumerate(units, 1)
    ]
    decoder = [
        keras.layers.Dense(n, activation="relu", name=f"decoder_{i}")
        for i, n in enumerate(reversed(units), 1)
    ]
    layers = [
        keras.Input(input_shape, name="input"),
        keras.layers.Flatten(name="flatten"),
        *encoder,
        keras.layers.Dense(code, activation="relu", name="code"),
        *decoder,
        keras.layers.Dense(pixels, activation="relu", name="output"),
    ]
    return keras.Sequential(layers, name=name)
