"""SqueezeNet 1.1 (Iandola et al. 2016) with average pooling and a dense classifier after the global average."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model

_IMAGENET = ModelSpec(
    name="squeezenet_imagenet",
    historical_name="SqueezeNet_ImageNet",
    dataset="imagenet",
    input_shape=(224, 224, 3),
    num_classes=1000,
    neurons=2_935_800,
    synapses=341_801_704,
    source="Iandola et al. 2016, arXiv 1602.07360, version 1.1",
    recipe=Recipe(
        optimizer="adam",
        learning_rate=1e-3,
        schedule="cycle",
        epochs=60,
        batch_size=32,
        early_stopping=10,
        flip=True,
        shift=0.1,
    ),
)


@architecture(_IMAGENET)
def squeezenet_imagenet(input_shape: InputShape, num_classes: int, dropout: float = 0.3) -> "Model":
    """Build SqueezeNet for the thousand classes of ImageNet, as in the paper."""
    return _squeezenet("squeezenet_imagenet", input_shape, num_classes, dropout)


@architecture(
    replace(
        _IMAGENET,
        name="squeezenet_catsvsdogs",
        historical_name="SqueezeNet_CatsVsDogs",
        dataset="catsvsdogs",
        num_classes=2,
        neurons=2_765_142,
        synapses=254_278_102,
    )
)
def squeezenet_catsvsdogs(input_shape: InputShape, num_classes: int, dropout: float = 0.3) -> "Model":
    """Build SqueezeNet for two classes."""
    return _squeezenet("squeezenet_catsvsdogs", input_shape, num_classes, dropout)


@architecture(
    replace(
        _IMAGENET,
        name="squeezenet_fruits360",
        historical_name="SqueezeNet_Fruits360",
        dataset="fruits360",
        input_shape=(100, 100, 3),
        num_classes=131,
        neurons=508_273,
        synapses=41_957_908,
        recipe=_IMAGENET.recipe.changed(epochs=25, batch_size=50, early_stopping=5, shift=0.0),
    )
)
def squeezenet_fruits360(input_shape: InputShape, num_classes: int, dropout: float = 0.3) -> "Model":
    """Build SqueezeNet for pictures of fruit."""
    return _squeezenet("squeezenet_fruits360", input_shape, num_classes, dropout)


@architecture(
    replace(
        _IMAGENET,
        name="squeezenet_mnist224",
        historical_name="SqueezeNet_Mnist224",
        dataset="mnist",
        input_shape=(224, 224, 1),
        num_classes=10,
        neurons=2_766_510,
        synapses=240_606_974,
        recipe=_IMAGENET.recipe.changed(epochs=4, early_stopping=None, flip=False, shift=0.0),
        fit="resize",
    )
)
def squeezenet_mnist224(input_shape: InputShape, num_classes: int, dropout: float = 0.3) -> "Model":
    """Build SqueezeNet for digits enlarged to 224×224."""
    return _squeezenet("squeezenet_mnist224", input_shape, num_classes, dropout)


def _squeezenet(name: str, input_shape: InputShape, num_classes: int, dropout: float) -> "Model":
    """Build the network.

    Global averaging is a pooling over the entire feature map and a Flatten, as the conversion would replace it. The
    paper ends in the softmax of the averages; this package adds a dense classifier.
    """
    from tensorflow.keras import Input, Model
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Dropout, Flatten

    inputs = Input(input_shape, name="input")
    x = Conv2D(64, 3, strides=2, padding="same", activation="relu", kernel_initializer="he_normal", name="conv_1")(
        inputs
    )
    x = AveragePooling2D(3, strides=2, name="pool_1")(x)
    x = _fire(_fire(x, 16, "fire_2"), 16, "fire_3")
    x = AveragePooling2D(3, strides=2, name="pool_3")(x)
    x = _fire(_fire(x, 32, "fire_4"), 32, "fire_5")
    x = AveragePooling2D(3, strides=2, name="pool_5")(x)
    x = _fire(_fire(x, 48, "fire_6"), 48, "fire_7")
    x = _fire(_fire(x, 64, "fire_8"), 64, "fire_9")
    x = Dropout(dropout, name="dropout")(x)
    x = Conv2D(num_classes, 1, activation="relu", kernel_initializer="he_normal", name="conv_10")(x)
    x = AveragePooling2D(x.shape[1:3], name="global_average")(x)
    x = Flatten(name="flatten")(x)
    outputs = Dense(num_classes, activation="softmax", kernel_initializer="he_normal", name="output")(x)
    return Model(inputs, outputs, name=name)


def _fire(x: Any, squeeze: int, name: str) -> Any:
    """Add a fire module: 1×1 kernels to few channels, then parallel 1×1 and 3×3 kernels, concatenated."""
    from tensorflow.keras.layers import Concatenate, Conv2D

    def convolution(filters: int, size: int, part: str) -> Conv2D:
        return Conv2D(
            filters, size, padding="same", activation="relu", kernel_initializer="he_normal", name=f"{name}_{part}"
        )

    squeezed = convolution(squeeze, 1, "squeeze")(x)
    expanded = [
        convolution(4 * squeeze, 1, "expand_1x1")(squeezed),
        convolution(4 * squeeze, 3, "expand_3x3")(squeezed),
    ]
    return Concatenate(name=f"{name}_concatenate")(expanded)
