"""SqueezeNet 1.1 (Iandola et al. 2016) with average pooling and a dense classifier after the global average."""

from typing import Any

from snnb.architectures.blocks import rectified
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import Recipe

_SOURCE = "Iandola et al. 2016, arXiv 1602.07360, version 1.1"
_COLOUR, _GREY = (224, 224, 3), (224, 224, 1)
_IMAGENET = Recipe(
    learning_rate=1e-3,
    schedule="cycle",
    epochs=60,
    batch_size=32,
    early_stopping=10,
    flip=True,
    shift=0.1,
)
_FRUITS360 = _IMAGENET.changed(epochs=25, batch_size=50, early_stopping=5, shift=0.0)
_MNIST = _IMAGENET.changed(epochs=4, early_stopping=None, flip=False, shift=0.0)


@architecture(
    ModelSpec(
        "squeezenet_imagenet",
        "imagenet",
        _COLOUR,
        1000,
        2_935_800,
        341_801_704,
        _SOURCE,
        _IMAGENET,
    ),
    ModelSpec(
        "squeezenet_catsvsdogs",
        "catsvsdogs",
        _COLOUR,
        2,
        2_765_142,
        254_278_102,
        _SOURCE,
        _IMAGENET,
    ),
    ModelSpec(
        "squeezenet_fruits360",
        "fruits360",
        (100, 100, 3),
        131,
        508_273,
        41_957_908,
        _SOURCE,
        _FRUITS360,
    ),
    ModelSpec(
        "squeezenet_mnist224",
        "mnist",
        _GREY,
        10,
        2_766_510,
        240_606_974,
        _SOURCE,
        _MNIST,
        fit="resize",
    ),
)
def _squeezenet(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    dropout: float = 0.3,
) -> "keras.Model":
    """Build the network.

    Global averaging is a pooling over the entire feature map and a Flatten, as the
    conversion would replace it. The paper ends in the softmax of the averages; this
    package adds a dense classifier.
    """
    inputs = keras.Input(input_shape, name="input")
    x = _convolution(inputs, 64, 3, "conv_1", strides=2)
    x = keras.layers.AveragePooling2D(3, strides=2, name="pool_1")(x)
    x = _fire(_fire(x, 16, "fire_2"), 16, "fire_3")
    x = keras.layers.AveragePooling2D(3, strides=2, name="pool_3")(x)
    x = _fire(_fire(x, 32, "fire_4"), 32, "fire_5")
    x = keras.layers.AveragePooling2D(3, strides=2, name="pool_5")(x)
    x = _fire(_fire(x, 48, "fire_6"), 48, "fire_7")
    x = _fire(_fire(x, 64, "fire_8"), 64, "fire_9")
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = _convolution(x, num_classes, 1, "conv_10")
    x = keras.layers.AveragePooling2D(x.shape[1:3], name="global_average")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    outputs = keras.layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer="he_normal",
        name="output",
    )(x)
    return keras.Model(inputs, outputs, name=name)


def _fire(x: Any, squeeze: int, name: str) -> Any:
    """Add a fire module: 1×1 kernels to few channels, then parallel 1×1 and 3×3 kernels, concatenated."""
    squeeze_output = _convolution(x, squeeze, 1, f"{name}_squeeze")
    expand_outputs = [
        _convolution(squeeze_output, 4 * squeeze, 1, f"{name}_expand_1x1"),
        _convolution(squeeze_output, 4 * squeeze, 3, f"{name}_expand_3x3"),
    ]
    return keras.layers.Concatenate(name=f"{name}_concatenate")(expand_outputs)


def _convolution(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    """Add a convolution with `size` × `size` kernels, a batch normalisation and a ReLU.

    Without the normalisation, average poolings leave maps that are nearly equal for
    all pictures, and training stays at chance.
    """
    x = keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return rectified(x, name, momentum=0.9)
