"""A perceptron with one hidden layer."""

from typing import TYPE_CHECKING

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model


@architecture(
    ModelSpec(
        name="mlp_mnist",
        historical_name="MultiLayerPerceptron_Mnist",
        dataset="mnist",
        input_shape=(28, 28, 1),
        num_classes=10,
        neurons=110,
        synapses=79_400,
        source="the usual multilayer perceptron",
        recipe=Recipe(optimizer="adam", learning_rate=2e-3, schedule="cosine", epochs=10, batch_size=100),
    )
)
def mlp_mnist(input_shape: InputShape, num_classes: int, units: int = 100) -> "Model":
    """Build one hidden layer between the pixels and the dense classifier."""
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            Flatten(name="flatten"),
            Dense(units, activation="relu", name="dense_1"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name="mlp_mnist",
    )
