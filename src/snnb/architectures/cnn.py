"""Plain convolutional networks: convolutions and poolings in turn, then dense layers."""

from typing import TYPE_CHECKING, List, Sequence, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model
    from tensorflow.keras.layers import Layer


@architecture(
    ModelSpec(
        name="cnn_mnist",
        historical_name="CNN_Mnist",
        dataset="mnist",
        input_shape=(28, 28, 1),
        num_classes=10,
        neurons=11_680,
        synapses=586_716,
        source="Balaji et al. 2019",
        recipe=Recipe(optimizer="adam", learning_rate=2e-3, schedule="cosine", epochs=4, batch_size=50),
    )
)
def cnn_mnist(input_shape: InputShape, num_classes: int, filters: int = 16, units: int = 150) -> "Model":
    """Build 16c5 – A2 – 150 – classes: a valid convolution, an average pooling and two dense layers."""
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            Conv2D(filters, 5, activation="relu", name="conv_1"),
            AveragePooling2D(2, name="pool_1"),
            Flatten(name="flatten"),
            Dense(units, activation="relu", name="dense_1"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name="cnn_mnist",
    )


@architecture(
    ModelSpec(
        name="cnn_catsvsdogs",
        historical_name="CNN_CatsVsDogs",
        dataset="catsvsdogs",
        input_shape=(224, 224, 3),
        num_classes=2,
        neurons=1_881_730,
        synapses=522_276_800,
        source="this package",
        recipe=Recipe(
            optimizer="adam", learning_rate=1e-3, epochs=40, batch_size=32, early_stopping=8, flip=True, shift=0.1
        ),
    )
)
def cnn_catsvsdogs(
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int] = (16, 32, 64, 128),
    dropout: Tuple[float, float, float, float] = (0.2, 0.2, 0.3, 0.3),
    units: int = 128,
) -> "Model":
    """Build four `same` convolutions of 5×5, each followed by a pooling and dropout, and two dense layers."""
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            *_convolutions(filters, dropout),
            Flatten(name="flatten"),
            Dense(units, activation="relu", name="dense_1"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name="cnn_catsvsdogs",
    )


@architecture(
    ModelSpec(
        name="cnn_fruits360",
        historical_name="CNN_Fruits360",
        dataset="fruits360",
        input_shape=(100, 100, 3),
        num_classes=131,
        neurons=373_667,
        synapses=100_395_328,
        source="Mureşan & Oltean 2018, Fruit recognition from images using deep learning",
        recipe=Recipe(optimizer="adam", learning_rate=1e-3, epochs=25, batch_size=50, early_stopping=5, flip=True),
    )
)
def cnn_fruits360(
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int] = (16, 32, 64, 128),
    units: Tuple[int, int] = (1024, 256),
) -> "Model":
    """Build four `same` convolutions of 5×5, each followed by a pooling, and three dense layers.

    The paper uses maximum pooling, and hue, saturation and grey levels as input; here it is average pooling and RGB.
    """
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            *_convolutions(filters, dropout=(0, 0, 0, 0)),
            Flatten(name="flatten"),
            Dense(units[0], activation="relu", name="dense_1"),
            Dense(units[1], activation="relu", name="dense_2"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name="cnn_fruits360",
    )


def _convolutions(filters: Sequence[int], dropout: Sequence[float]) -> List["Layer"]:
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dropout

    layers = []
    for i, (features, rate) in enumerate(zip(filters, dropout), 1):
        layers.append(Conv2D(features, 5, padding="same", activation="relu", name=f"conv_{i}"))
        layers.append(AveragePooling2D(2, name=f"pool_{i}"))
        if rate:
            layers.append(Dropout(rate, name=f"dropout_{i}"))
    return layers
