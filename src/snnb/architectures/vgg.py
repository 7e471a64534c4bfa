"""The networks of Simonyan & Zisserman 2014 with average pooling: VGG-16 and VGG-19, and VGG-11 for small pictures."""

from functools import partial
from typing import Tuple

from snnb.architectures.blocks import rectified
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import CIFAR10, IMAGENET

_FILTERS = (64, 128, 256, 512, 512)
_SOURCE = "Simonyan & Zisserman 2014, arXiv 1409.1556"
_VGG11_SOURCE = f"{_SOURCE}, configuration A; Liu & Deng 2015, ACPR, 730"
_COLOUR = (224, 224, 3)
_IMAGENET = IMAGENET.changed(learning_rate=1e-2, epochs=74, batch_size=64)
_CIFAR10 = CIFAR10.changed(learning_rate=0.05, weight_decay=5e-3)


def _vgg(
    depths: Tuple[int, ...],
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = _FILTERS,
    units: Tuple[int, ...] = (4096, 4096),
    dropout: float = 0.5,
) -> "keras.Model":
    model = keras.Sequential([keras.Input(input_shape, name="input")], name=name)
    for block, (depth, features) in enumerate(zip(depths, filters), 1):
        for i in range(1, depth + 1):
            model.add(
                keras.layers.Conv2D(
                    features,
                    3,
                    padding="same",
                    activation="relu",
                    name=f"conv_{block}_{i}",
                ),
            )
        model.add(keras.layers.AveragePooling2D(2, name=f"pool_{block}"))
    model.add(keras.layers.Flatten(name="flatten"))
    for i, count in enumerate(units, 1):
        model.add(keras.layers.Dense(count, activation="relu", name=f"dense_{i}"))
        model.add(keras.layers.Dropout(dropout, name=f"dropout_{i}"))
    model.add(keras.layers.Dense(num_classes, activation="softmax", name="output"))
    return model


# Configurations D and E of the paper.
architecture(
    ModelSpec(
        "vgg16_imagenet",
        "imagenet",
        _COLOUR,
        1000,
        15_087_080,
        14_975_945_472,
        _SOURCE,
        _IMAGENET,
    ),
)(partial(_vgg, (2, 2, 3, 3, 3)))
architecture(
    ModelSpec(
        "vgg19_imagenet",
        "imagenet",
        _COLOUR,
        1000,
        16_391_656,
        18_963_942_144,
        _SOURCE,
        _IMAGENET,
    ),
)(partial(_vgg, (2, 2, 4, 4, 4)))


@architecture(
    ModelSpec(
        "vgg11_cifar10",
        "cifar10",
        (32, 32, 3),
        10,
        183_306,
        114_712_320,
        _VGG11_SOURCE,
        _CIFAR10,
    ),
)
def _vgg11(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = _FILTERS,
    units: int = 512,
    dropout: float = 0.5,
) -> "keras.Model":
    """Build the eight convolutions of configuration A, with batch normalisation, and one hidden dense layer.

    Follows the variant of configuration D for CIFAR-10 of Liu & Deng: batch
    normalisation, and a classifier with 512 units instead of two layers of 4096.
    """
    x = image = keras.Input(input_shape, name="input")
    for block, (depth, features) in enumerate(zip((1, 1, 2, 2, 2), filters), 1):
        for i in range(1, depth + 1):
            layer = f"conv_{block}_{i}"
            x = keras.layers.Conv2D(
                features,
                3,
                padding="same",
                use_bias=False,
                name=layer,
                kernel_initializer="he_normal",
            )(x)
            x = rectified(x, layer)
        x = keras.layers.AveragePooling2D(2, name=f"pool_{block}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = rectified(
        keras.layers.Dense(
            units,
            use_bias=False,
            name="dense",
            kernel_initializer="he_normal",
        )(x),
        "dense",
    )
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(
        image,
        keras.layers.Dense(num_classes, activation="softmax", name="output")(x),
        name=name,
    )
