"""Plain convolutional networks: alternating convolutions and poolings, then dense layers."""

from itertools import zip_longest
from typing import Tuple

from snnb.architectures.blocks import classifier, convolutions, normalised_layers
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import CIFAR10, Recipe

_MINI = Recipe(learning_rate=1e-2, schedule="cosine", epochs=15, batch_size=16)
_MNIST = Recipe(learning_rate=2e-3, schedule="cosine", epochs=4, batch_size=50)
_CATSVSDOGS = Recipe(
    learning_rate=1e-3,
    epochs=40,
    batch_size=32,
    early_stopping=8,
    flip=True,
    shift=0.1,
)
_FRUITS360 = Recipe(
    learning_rate=1e-3,
    epochs=25,
    batch_size=50,
    early_stopping=5,
    flip=True,
)
_RUECKAUER = CIFAR10.changed(learning_rate=0.05, weight_decay=5e-3)
_ZAMBRANO_SOURCE = "Zambrano & Bohte 2016, arXiv 1609.02053"
_FRUITS360_SOURCE = (
    "Mureşan & Oltean 2018, Fruit recognition from images using deep learning"
)
_RUECKAUER_SOURCE = "Rueckauer et al. 2017, Frontiers in Neuroscience 11:682"


@architecture(
    ModelSpec(
        "mini_network",
        "digits",
        (8, 8, 1),
        10,
        362,
        3_664,
        "this package",
        _MINI,
    ),
)
def _mini(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (4, 8),
) -> "keras.Model":
    """Build a small network that runs through all five stages within seconds."""
    layers = [
        keras.layers.Conv2D(
            filters[0],
            3,
            padding="same",
            activation="relu",
            name="conv_1",
        ),
        keras.layers.AveragePooling2D(2, name="pool_1"),
        keras.layers.Conv2D(filters[1], 3, activation="relu", name="conv_2"),
    ]
    return classifier(name, input_shape, layers, [], num_classes)


@architecture(
    ModelSpec(
        "cnn_mnist",
        "mnist",
        (28, 28, 1),
        10,
        11_680,
        586_716,
        "Balaji et al. 2019",
        _MNIST,
    ),
)
def _cnn_mnist(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: int = 16,
    units: int = 150,
) -> "keras.Model":
    """Build 16c5 – A2 – 150 – classes."""
    return classifier(name, input_shape, convolutions([filters]), [units], num_classes)


@architecture(
    ModelSpec(
        "zambrano_mnist",
        "mnist",
        (28, 28, 1),
        10,
        13_770,
        1_422_848,
        _ZAMBRANO_SOURCE,
        _MNIST,
    ),
)
def _zambrano(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (12, 64),
) -> "keras.Model":
    """Build 12c5 – A2 – 64c5 – A2 – classes.

    The layers are as in the paper, which uses adaptive spiking neurons; a conversion
    needs ReLU.
    """
    return classifier(name, input_shape, convolutions(filters), [], num_classes)


@architecture(
    ModelSpec(
        "cnn_catsvsdogs",
        "catsvsdogs",
        (224, 224, 3),
        2,
        1_881_730,
        522_276_800,
        "this package",
        _CATSVSDOGS,
    ),
)
def _cnn_catsvsdogs(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (16, 32, 64, 128),
    dropout: Tuple[float, ...] = (0.2, 0.2, 0.3, 0.3),
    units: int = 128,
) -> "keras.Model":
    """Build four convolutions with pooling and dropout, and two dense layers.

    Without the batch normalisation of the hidden layers, training on few hundred
    pictures ends with the same output for all of them.
    """
    layers = [keras.Input(input_shape, name="input")]
    for i, (features, rate) in enumerate(zip_longest(filters, dropout), 1):
        convolution = keras.layers.Conv2D(
            features,
            5,
            padding="same",
            use_bias=False,
            name=f"conv_{i}",
        )
        layers += normalised_layers(convolution, momentum=0.9)
        layers.append(keras.layers.AveragePooling2D(2, name=f"pool_{i}"))
        if rate:
            layers.append(keras.layers.Dropout(rate, name=f"dropout_{i}"))
    layers += [
        keras.layers.Flatten(name="flatten"),
        *normalised_layers(
            keras.layers.Dense(units, use_bias=False, name="dense_1"),
            momentum=0.9,
        ),
        keras.layers.Dense(num_classes, activation="softmax", name="output"),
    ]
    return keras.Sequential(layers, name=name)


@architecture(
    ModelSpec(
        "cnn_fruits360",
        "fruits360",
        (100, 100, 3),
        131,
        373_667,
        100_395_328,
        _FRUITS360_SOURCE,
        _FRUITS360,
    ),
)
def _cnn_fruits360(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (16, 32, 64, 128),
    units: Tuple[int, ...] = (1024, 256),
) -> "keras.Model":
    """Build four convolutions, each followed by a pooling, and three dense layers.

    The paper uses maximum pooling, and hue, saturation and grey levels as input; here
    it is average pooling and RGB.
    """
    return classifier(
        name,
        input_shape,
        convolutions(filters, "same"),
        units,
        num_classes,
    )


@architecture(
    ModelSpec(
        "rueckauer_cifar10",
        "cifar10",
        (32, 32, 3),
        10,
        98_314,
        20_044_160,
        _RUECKAUER_SOURCE,
        _RUECKAUER,
    ),
)
def _rueckauer(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (32, 64),
    units: int = 512,
) -> "keras.Model":
    """Build 32c3 same ×2 – A2 – 64c3 ×2 – A2 – 512 – classes, with batch normalisation before every hidden ReLU.

    The paper uses maximum pooling; here it is average pooling. The paper does not state
    the padding of the convolutions; here the first two keep the size of the picture and
    the others are valid.
    """
    layers = [
        keras.Input(input_shape, name="input"),
        *normalised_layers(
            keras.layers.Conv2D(filters[0], 3, padding="same", name="conv_1")
        ),
        *normalised_layers(
            keras.layers.Conv2D(filters[0], 3, padding="same", name="conv_2")
        ),
        keras.layers.AveragePooling2D(2, name="pool_1"),
        *normalised_layers(keras.layers.Conv2D(filters[1], 3, name="conv_3")),
        *normalised_layers(keras.layers.Conv2D(filters[1], 3, name="conv_4")),
        keras.layers.AveragePooling2D(2, name="pool_2"),
        keras.layers.Flatten(name="flatten"),
        *normalised_layers(keras.layers.Dense(units, name="dense_1")),
        keras.layers.Dense(num_classes, activation="softmax", name="output"),
    ]
    return keras.Sequential(layers, name=name)
