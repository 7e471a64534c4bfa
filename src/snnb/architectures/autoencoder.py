"""A deep autoencoder of fully connected layers."""

from typing import TYPE_CHECKING, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model


@architecture(
    ModelSpec(
        name="autoencoder_mnist",
        historical_name="Autoencoder_Mnist",
        dataset="mnist",
        input_shape=(28, 28, 1),
        num_classes=None,
        neurons=6_794,
        synapses=6_362_000,
        source="the usual deep autoencoder; ReLU throughout, since a spike rate is never negative",
        recipe=Recipe(optimizer="adam", learning_rate=1e-3, schedule="cosine", epochs=10, batch_size=100),
    )
)
def autoencoder_mnist(
    input_shape: InputShape, num_classes: None = None, units: Tuple[int, int, int] = (1500, 1000, 500), code: int = 10
) -> "Model":
    """Build an encoder to a code of a few units, and a decoder from the code to the flattened picture.

    Parameters
    ----------
    input_shape : tuple of three int
        (height, width, channels).
    num_classes : None
        Not used; present because all models have this parameter.
    units : tuple of three int
        Units of the encoder's layers; the decoder has them in reverse order.
    code : int
        Units of the code.
    """
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import Dense, Flatten

    pixels = input_shape[0] * input_shape[1] * input_shape[2]
    encoder = [Dense(n, activation="relu", name=f"encoder_{i}") for i, n in enumerate(units, 1)]
    decoder = [Dense(n, activation="relu", name=f"decoder_{i}") for i, n in enumerate(reversed(units), 1)]
    return Sequential(
        [
            Input(input_shape, name="input"),
            Flatten(name="flatten"),
            *encoder,
            Dense(code, activation="relu", name="code"),
            *decoder,
            Dense(pixels, activation="relu", name="output"),
        ],
        name="autoencoder_mnist",
    )
