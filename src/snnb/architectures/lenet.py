"""LeNet-5 (LeCun et al. 1998) with ReLU, average pooling and full connections between its convolutions."""

from dataclasses import replace
from typing import TYPE_CHECKING, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model

_SOURCE = "LeCun et al. 1998, Gradient-based learning applied to document recognition"

_MNIST = ModelSpec(
    name="lenet_mnist",
    historical_name="LeNet_Mnist",
    dataset="mnist",
    input_shape=(28, 28, 1),
    num_classes=10,
    neurons=5_814,
    synapses=286_120,
    source=_SOURCE,
    recipe=Recipe(optimizer="adam", learning_rate=3e-3, schedule="cosine", epochs=6, batch_size=50),
)
_CIFAR10 = ModelSpec(
    name="lenet_cifar10",
    historical_name="LeNet_Cifar10",
    dataset="cifar10",
    input_shape=(32, 32, 3),
    num_classes=10,
    neurons=8_094,
    synapses=658_024,
    source=_SOURCE,
    recipe=Recipe(optimizer="adam", learning_rate=2e-3, schedule="cosine", epochs=20, batch_size=50),
)


@architecture(_MNIST)
def lenet_mnist(
    input_shape: InputShape, num_classes: int, filters: Tuple[int, int] = (6, 16), units: Tuple[int, int] = (120, 84)
) -> "Model":
    """Build LeNet-5 for digits of 28×28: 6c5 – A2 – 16c5 – A2 – 120 – 84 – classes, valid convolutions."""
    return _lenet("lenet_mnist", input_shape, num_classes, filters, units)


@architecture(_CIFAR10)
def lenet_cifar10(
    input_shape: InputShape, num_classes: int, filters: Tuple[int, int] = (6, 16), units: Tuple[int, int] = (120, 84)
) -> "Model":
    """Build LeNet-5 for colour pictures of ten classes."""
    return _lenet("lenet_cifar10", input_shape, num_classes, filters, units)


@architecture(
    replace(
        _CIFAR10,
        name="lenet_cifar100",
        historical_name="LeNet_Cifar100",
        dataset="cifar100",
        num_classes=100,
        neurons=8_184,
        synapses=665_584,
    )
)
def lenet_cifar100(
    input_shape: InputShape, num_classes: int, filters: Tuple[int, int] = (6, 16), units: Tuple[int, int] = (120, 84)
) -> "Model":
    """Build LeNet-5 for colour pictures of a hundred classes."""
    return _lenet("lenet_cifar100", input_shape, num_classes, filters, units)


@architecture(
    replace(
        _MNIST,
        name="lenet_padded_mnist",
        historical_name="LeNet_padded_Mnist",
        input_shape=(32, 32, 1),
        neurons=8_094,
        synapses=422_824,
        fit="pad",
    )
)
def lenet_padded_mnist(
    input_shape: InputShape, num_classes: int, filters: Tuple[int, int, int] = (6, 16, 120), units: int = 84
) -> "Model":
    """Build LeNet-5 as published, for digits padded to 32×32; the third convolution covers all of its input."""
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            Conv2D(filters[0], 5, activation="relu", name="conv_1"),
            AveragePooling2D(2, name="pool_1"),
            Conv2D(filters[1], 5, activation="relu", name="conv_2"),
            AveragePooling2D(2, name="pool_2"),
            Conv2D(filters[2], 5, activation="relu", name="conv_3"),
            Flatten(name="flatten"),
            Dense(units, activation="relu", name="dense_1"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name="lenet_padded_mnist",
    )


def _lenet(
    name: str, input_shape: InputShape, num_classes: int, filters: Tuple[int, int], units: Tuple[int, int]
) -> "Model":
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            Conv2D(filters[0], 5, activation="relu", name="conv_1"),
            AveragePooling2D(2, name="pool_1"),
            Conv2D(filters[1], 5, activation="relu", name="conv_2"),
            AveragePooling2D(2, name="pool_2"),
            Flatten(name="flatten"),
            Dense(units[0], activation="relu", name="dense_1"),
            Dense(units[1], activation="relu", name="dense_2"),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name=name,
    )
