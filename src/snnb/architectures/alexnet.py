"""AlexNet (Krizhevsky et al. 2012) in one tower, with average pooling and without local response normalisation."""

from typing import Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import IMAGENET, Recipe

_SOURCE = (
    "Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural "
    "networks; one tower"
)
_COLOUR, _GREY = (224, 224, 3), (224, 224, 1)
_IMAGENET = IMAGENET.changed(learning_rate=1e-2)
_CATSVSDOGS = Recipe(
    learning_rate=1e-4,
    epochs=40,
    batch_size=32,
    early_stopping=8,
    flip=True,
    shift=0.1,
)
_MNIST = Recipe(learning_rate=1e-4, schedule="cosine", epochs=3, batch_size=50)


@architecture(
    ModelSpec(
        "alexnet_imagenet",
        "imagenet",
        _COLOUR,
        1000,
        717_800,
        925_296_384,
        _SOURCE,
        _IMAGENET,
    ),
    ModelSpec(
        "alexnet_catsvsdogs",
        "catsvsdogs",
        _COLOUR,
        2,
        716_802,
        921_208_576,
        _SOURCE,
        _CATSVSDOGS,
    ),
    ModelSpec(
        "alexnet_mnist224",
        "mnist",
        _GREY,
        10,
        716_810,
        853_496_832,
        _SOURCE,
        _MNIST,
        fit="resize",
    ),
)
def _alexnet(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (96, 256, 384, 384, 256),
    units: Tuple[int, ...] = (4096, 4096),
    dropout: float = 0.5,
) -> "keras.Model":
    layers = [
        keras.Input(input_shape, name="input"),
        keras.layers.Conv2D(
            filters[0],
            11,
            strides=4,
            activation="relu",
            name="conv_1",
        ),
        keras.layers.AveragePooling2D(3, strides=2, name="pool_1"),
        keras.layers.Conv2D(
            filters[1],
            5,
            padding="same",
            activation="relu",
            name="conv_2",
        ),
        keras.layers.AveragePooling2D(3, strides=2, name="pool_2"),
        keras.layers.Conv2D(
            filters[2],
            3,
            padding="same",
            activation="relu",
            name="conv_3",
        ),
        keras.layers.Conv2D(
            filters[3],
            3,
            padding="same",
            activation="relu",
            name="conv_4",
        ),
        keras.layers.Conv2D(
            filters[4],
            3,
            padding="same",
            activation="relu",
            name="conv_5",
        ),
        keras.layers.AveragePooling2D(3, strides=2, name="pool_3"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(units[0], activation="relu", name="dense_1"),
        keras.layers.Dropout(dropout, name="dropout_1"),
        keras.layers.Dense(units[1], activation="relu", name="dense_2"),
        keras.layers.Dropout(dropout, name="dropout_2"),
        keras.layers.Dense(num_classes, activation="softmax", name="output"),
    ]
    return keras.Sequential(layers, name=name)
