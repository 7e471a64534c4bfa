"""A small convolutional network that runs through all five stages within seconds."""

from typing import TYPE_CHECKING, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model


@architecture(
    ModelSpec(
        name="mini_network",
        historical_name="Mini_Network",
        dataset="digits",
        input_shape=(8, 8, 1),
        num_classes=10,
        neurons=362,
        synapses=3_664,
        source="this package",
        recipe=Recipe(optimizer="adam", learning_rate=1e-2, schedule="cosine", epochs=15, batch_size=16),
    )
)
def mini_network(input_shape: InputShape, num_classes: int, filters: Tuple[int, int] = (4, 8)) -> "Model":
    """Build two convolutions with an average pooling between them, and a dense classifier."""
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            Conv2D(filters[0], 3, padding="same", activation="relu", name="conv_1"),
            AveragePooling2D(2, name="pool_1"),
            Conv2D(filters[1], 3, activation="relu", name="conv_2"),
            Flatten(name="flatten"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name="mini_network",
    )
