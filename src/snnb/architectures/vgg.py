"""The networks of Simonyan & Zisserman 2014 with average pooling: VGG-16 and VGG-19, and VGG-11 for small pictures."""

from dataclasses import replace
from typing import TYPE_CHECKING, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow import Tensor
    from tensorflow.keras import Model

_FILTERS = (64, 128, 256, 512, 512)
_UNITS = (4096, 4096)

_VGG16 = ModelSpec(
    name="vgg16_imagenet",
    historical_name="VGG16_ImageNet",
    dataset="imagenet",
    input_shape=(224, 224, 3),
    num_classes=1000,
    neurons=15_087_080,
    synapses=14_975_945_472,
    source="Simonyan & Zisserman 2014, arXiv 1409.1556",
    recipe=Recipe(
        optimizer="sgd",
        learning_rate=1e-2,
        schedule="cosine",
        momentum=0.9,
        epochs=74,
        batch_size=64,
        flip=True,
        shift=0.1,
    ),
)


@architecture(_VGG16)
def vgg16_imagenet(
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int, int] = _FILTERS,
    units: Tuple[int, int] = _UNITS,
    dropout: float = 0.5,
) -> "Model":
    """Build configuration D of the paper: thirteen convolutions and three dense layers."""
    return _vgg("vgg16_imagenet", (2, 2, 3, 3, 3), input_shape, num_classes, filters, units, dropout)


@architecture(
    replace(
        _VGG16,
        name="vgg19_imagenet",
        historical_name="VGG19_ImageNet",
        neurons=16_391_656,
        synapses=18_963_942_144,
    )
)
def vgg19_imagenet(
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int, int] = _FILTERS,
    units: Tuple[int, int] = _UNITS,
    dropout: float = 0.5,
) -> "Model":
    """Build configuration E of the paper: sixteen convolutions and three dense layers."""
    return _vgg("vgg19_imagenet", (2, 2, 4, 4, 4), input_shape, num_classes, filters, units, dropout)


@architecture(
    replace(
        _VGG16,
        name="vgg11_cifar10",
        historical_name="VGG11_Cifar10",
        dataset="cifar10",
        input_shape=(32, 32, 3),
        num_classes=10,
        neurons=183_306,
        synapses=114_712_320,
        source="Simonyan & Zisserman 2014, arXiv 1409.1556, configuration A; Liu & Deng 2015, ACPR, 730",
        recipe=_VGG16.recipe.changed(learning_rate=5e-2, nesterov=True, epochs=60),
    )
)
def vgg11_cifar10(
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int, int] = _FILTERS,
    units: int = 512,
    dropout: float = 0.5,
) -> "Model":
    """Build the eight convolutions of configuration A, with batch normalisation, and one hidden dense layer.

    Follows the variant of configuration D for CIFAR-10 of Liu & Deng: batch normalisation, and a classifier with 512
    units instead of two layers of 4096.
    """
    from tensorflow.keras import Input, Model
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Dropout, Flatten

    x = image = Input(input_shape, name="input")
    for block, (depth, features) in enumerate(zip((1, 1, 2, 2, 2), filters), 1):
        for i in range(1, depth + 1):
            name = f"conv_{block}_{i}"
            convolution = Conv2D(features, 3, padding="same", use_bias=False, name=name, kernel_initializer="he_normal")
            x = _rectified(convolution(x), name)
        x = AveragePooling2D(2, name=f"pool_{block}")(x)
    x = Flatten(name="flatten")(x)
    x = _rectified(Dense(units, use_bias=False, name="dense", kernel_initializer="he_normal")(x), "dense")
    x = Dropout(dropout, name="dropout")(x)
    return Model(image, Dense(num_classes, activation="softmax", name="output")(x), name="vgg11_cifar10")


def _rectified(x: "Tensor", name: str) -> "Tensor":
    from tensorflow.keras.layers import Activation, BatchNormalization

    return Activation("relu", name=f"{name}_relu")(BatchNormalization(name=f"{name}_bn")(x))


def _vgg(
    name: str,
    depths: Tuple[int, int, int, int, int],
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, int, int, int, int],
    units: Tuple[int, int],
    dropout: float,
) -> "Model":
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Dropout, Flatten

    model = Sequential([Input(input_shape, name="input")], name=name)
    for block, (depth, features) in enumerate(zip(depths, filters), 1):
        for i in range(1, depth + 1):
            model.add(Conv2D(features, 3, padding="same", activation="relu", name=f"conv_{block}_{i}"))
        model.add(AveragePooling2D(2, name=f"pool_{block}"))
    model.add(Flatten(name="flatten"))
    for i, count in enumerate(units, 1):
        model.add(Dense(count, activation="relu", name=f"dense_{i}"))
        model.add(Dropout(dropout, name=f"dropout_{i}"))
    model.add(Dense(num_classes, activation="softmax", name="output"))
    return model
