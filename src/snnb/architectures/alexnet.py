"""AlexNet (Krizhevsky et al. 2012) in one tower, with average pooling and without local response normalisation."""

from dataclasses import replace
from typing import TYPE_CHECKING, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model

_FILTERS = (96, 256, 384, 384, 256)
_UNITS = (4096, 4096)

_IMAGENET = ModelSpec(
    name="alexnet_imagenet",
    historical_name="AlexNet_ImageNet",
    dataset="imagenet",
    input_shape=(224, 224, 3),
    num_classes=1000,
    neurons=717_800,
    synapses=925_296_384,
    source="Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks; one tower",
    recipe=Recipe(
        optimizer="sgd",
        learning_rate=1e-2,
        schedule="cosine",
        momentum=0.9,
        epochs=90,
        batch_size=128,
        flip=True,
        shift=0.1,
    ),
)


@architecture(_IMAGENET)
def alexnet_imagenet(
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int, int] = _FILTERS,
    units: Tuple[int, int] = _UNITS,
    dropout: float = 0.5,
) -> "Model":
    """Build AlexNet for the thousand classes of ImageNet, as in the paper."""
    return _alexnet("alexnet_imagenet", input_shape, num_classes, filters, units, dropout)


@architecture(
    replace(
        _IMAGENET,
        name="alexnet_catsvsdogs",
        historical_name="AlexNet_CatsVsDogs",
        dataset="catsvsdogs",
        num_classes=2,
        neurons=716_802,
        synapses=921_208_576,
        recipe=Recipe(
            optimizer="adam", learning_rate=1e-4, epochs=40, batch_size=32, early_stopping=8, flip=True, shift=0.1
        ),
    )
)
def alexnet_catsvsdogs(
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int, int] = _FILTERS,
    units: Tuple[int, int] = _UNITS,
    dropout: float = 0.5,
) -> "Model":
    """Build AlexNet for two classes."""
    return _alexnet("alexnet_catsvsdogs", input_shape, num_classes, filters, units, dropout)


@architecture(
    replace(
        _IMAGENET,
        name="alexnet_mnist224",
        historical_name="Alexnet_Mnist224",
        dataset="mnist",
        input_shape=(224, 224, 1),
        num_classes=10,
        neurons=716_810,
        synapses=853_496_832,
        recipe=Recipe(optimizer="adam", learning_rate=1e-4, schedule="cosine", epochs=3, batch_size=50),
        fit="resize",
    )
)
def alexnet_mnist224(
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int, int] = _FILTERS,
    units: Tuple[int, int] = _UNITS,
    dropout: float = 0.5,
) -> "Model":
    """Build AlexNet for digits enlarged to 224×224."""
    return _alexnet("alexnet_mnist224", input_shape, num_classes, filters, units, dropout)


def _alexnet(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int, int],
    units: Tuple[int, int],
    dropout: float,
) -> "Model":
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Dropout, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            Conv2D(filters[0], 11, strides=4, activation="relu", name="conv_1"),
            AveragePooling2D(3, strides=2, name="pool_1"),
            Conv2D(filters[1], 5, padding="same", activation="relu", name="conv_2"),
            AveragePooling2D(3, strides=2, name="pool_2"),
            Conv2D(filters[2], 3, padding="same", activation="relu", name="conv_3"),
            Conv2D(filters[3], 3, padding="same", activation="relu", name="conv_4"),
            Conv2D(filters[4], 3, padding="same", activation="relu", name="conv_5"),
            AveragePooling2D(3, strides=2, name="pool_3"),
            Flatten(name="flatten"),
            Dense(units[0], activation="relu", name="dense_1"),
            Dropout(dropout, name="dropout_1"),
            Dense(units[1], activation="relu", name="dense_2"),
            Dropout(dropout, name="dropout_2"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name=name,
    )
