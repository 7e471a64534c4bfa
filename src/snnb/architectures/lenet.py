"""LeNet-5 (LeCun et al. 1998) with ReLU, average pooling and full connections between its convolutions."""

from typing import Tuple

from snnb.architectures.blocks import classifier, convolutions
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import Recipe

_SOURCE = "LeCun et al. 1998, Gradient-based learning applied to document recognition"
_MNIST = Recipe(learning_rate=3e-3, schedule="cosine", epochs=6, batch_size=50)
_CIFAR = Recipe(
    learning_rate=3e-3,
    schedule="cosine",
    epochs=60,
    batch_size=128,
    flip=True,
    shift=0.1,
)


@architecture(
    ModelSpec("lenet_mnist", "mnist", (28, 28, 1), 10, 5_814, 286_120, _SOURCE, _MNIST),
    ModelSpec(
        "lenet_cifar10",
        "cifar10",
        (32, 32, 3),
        10,
        8_094,
        658_024,
        _SOURCE,
        _CIFAR,
    ),
    ModelSpec(
        "lenet_cifar100",
        "cifar100",
        (32, 32, 3),
        100,
        8_184,
        665_584,
        _SOURCE,
        _CIFAR,
    ),
)
def _lenet(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (6, 16),
    units: Tuple[int, ...] = (120, 84),
) -> "keras.Model":
    """Build 6c5 – A2 – 16c5 – A2 – 120 – 84 – classes for pictures without padding."""
    return classifier(name, input_shape, convolutions(filters), units, num_classes)


@architecture(
    ModelSpec(
        "lenet_padded_mnist",
        "mnist",
        (32, 32, 1),
        10,
        8_094,
        422_824,
        _SOURCE,
        _MNIST,
        fit="pad",
    ),
)
def _lenet_padded(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (6, 16, 120),
    units: int = 84,
) -> "keras.Model":
    """Build LeNet-5 as published, for digits padded to 32×32; the third convolution covers all of its input."""
    layers = [
        *convolutions(filters[:2]),
        keras.layers.Conv2D(filters[2], 5, activation="relu", name="conv_3"),
    ]
    return classifier(name, input_shape, layers, [units], num_classes)
