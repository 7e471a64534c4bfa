"""The convolutional network of Zambrano and Bohte."""

from typing import TYPE_CHECKING, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model


@architecture(
    ModelSpec(
        name="zambrano_mnist",
        historical_name="Zambrano_Mnist",
        dataset="mnist",
        input_shape=(28, 28, 1),
        num_classes=10,
        neurons=13_770,
        synapses=1_422_848,
        source="Zambrano & Bohte 2016, arXiv 1609.02053",
        recipe=Recipe(optimizer="adam", learning_rate=2e-3, schedule="cosine", epochs=4, batch_size=50),
    )
)
def zambrano_mnist(input_shape: InputShape, num_classes: int, filters: Tuple[int, int] = (12, 64)) -> "Model":
    """Build 12c5 – A2 – 64c5 – A2 – classes, with valid convolutions.

    The layers are those of the paper. The paper uses adaptive spiking neurons; here it is ReLU, as a conversion needs.
    """
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            Conv2D(filters[0], 5, activation="relu", name="conv_1"),
            AveragePooling2D(2, name="pool_1"),
            Conv2D(filters[1], 5, activation="relu", name="conv_2"),
            AveragePooling2D(2, name="pool_2"),
            Flatten(name="flatten"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name="zambrano_mnist",
    )
