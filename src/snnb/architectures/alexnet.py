"""AlexNet (Krizhevsky et al. 2012) in one tower, with average pooling and without local response normalisation."""

from typing import List, Tuple

from snnb.architectures.blocks import normalised_layers
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
    schedule="cosine",
    epochs=40,
    batch_size=32,
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
    return _network(
        name,
        input_shape,
        num_classes,
        filters,
        units,
        dropout,
        batch_norm=False,
    )


@architecture(
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
)
def _alexnet_catsvsdogs(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (96, 256, 384, 384, 256),
    units: Tuple[int, ...] = (4096, 4096),
    dropout: float = 0.5,
) -> "keras.Model":
    """Build the network with a batch normalisation before each ReLU.

    Without it, training on few hundred pictures stays at chance.
    """
    return _network(
        name,
        input_shape,
        num_classes,
        filters,
        units,
        dropout,
        batch_norm=True,
    )


def _network(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...],
    units: Tuple[int, ...],
    dropout: float,
    *,
    batch_norm: bool,
) -> "keras.Model":
    """Build the network, with or without a batch normalisation before each ReLU."""
    convolutions = [
        keras.layers.Conv2D(filters[0], 11, strides=4, name="conv_1"),
        keras.layers.Conv2D(filters[1], 5, padding="same", name="conv_2"),
        keras.layers.Conv2D(filters[2], 3, padding="same", name="conv_3"),
        keras.layers.Conv2D(filters[3], 3, padding="same", name="conv_4"),
        keras.layers.Conv2D(filters[4], 3, padding="same", name="conv_5"),
    ]
    conv_1, conv_2, conv_3, conv_4, conv_5 = [
        _rectified(layer, batch_norm) for layer in convolutions
    ]
    dense_1 = _rectified(keras.layers.Dense(units[0], name="dense_1"), batch_norm)
    dense_2 = _rectified(keras.layers.Dense(units[1], name="dense_2"), batch_norm)
    layers = [
        keras.Input(input_shape, name="input"),
        *conv_1,
        keras.layers.AveragePooling2D(3, strides=2, name="pool_1"),
        *conv_2,
        keras.layers.AveragePooling2D(3, strides=2, name="pool_2"),
        *conv_3,
        *conv_4,
        *conv_5,
        keras.layers.AveragePooling2D(3, strides=2, name="pool_3"),
        keras.layers.Flatten(name="flatten"),
        *dense_1,
        keras.layers.Dropout(dropout, name="dropout_1"),
        *dense_2,
        keras.layers.Dropout(dropout, name="dropout_2"),
        keras.layers.Dense(num_classes, activation="softmax", name="output"),
    ]
    return keras.Sequential(layers, name=name)


def _rectified(
    layer: "keras.layers.Layer",
    batch_norm: bool,
) -> List["keras.layers.Layer"]:
    """Return a layer and a ReLU, with or without a batch normalisation between them."""
    if batch_norm:
        return normalised_layers(layer, momentum=0.9)
    return [layer, keras.layers.Activation("relu", name=f"{layer.name}_relu")]
