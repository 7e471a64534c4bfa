"""The small network of depthwise convolutions of Intel's tutorial for Loihi."""

from typing import TYPE_CHECKING, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow import Tensor
    from tensorflow.keras import Model


@architecture(
    ModelSpec(
        name="mobilenet_cifar10",
        historical_name="MobileNet_Cifar10",
        dataset="cifar10",
        input_shape=(32, 32, 3),
        num_classes=10,
        neurons=76_810,
        synapses=4_101_024,
        source="Intel's pseudo-MobileNet for Loihi (NxSDK, SNN toolbox tutorial); Howard et al. 2017, arXiv 1704.04861",
        recipe=Recipe(
            optimizer="adam", learning_rate=2e-3, schedule="cosine", epochs=40, batch_size=64, flip=True, shift=0.1
        ),
    )
)
def mobilenet_cifar10(
    input_shape: InputShape, num_classes: int, filters: Tuple[int, ...] = (32, 64, 128, 128, 256, 256)
) -> "Model":
    """Build 32c3/2 – [dw3 – 64c1] – [dw3/2 – 128c1] – [dw3 – 128c1] – [dw3/2 – 256c1] – [dw3 – 256c1] – A2 – classes.

    `dw3` is a depthwise 3×3 convolution with `same` padding. No layer has a bias; each convolution has batch
    normalisation and ReLU.
    """
    from tensorflow.keras import Input, Model
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, DepthwiseConv2D, Flatten

    image = Input(input_shape, name="input")
    first, *others = filters
    x = _rectified(Conv2D(first, 3, strides=2, padding="same", use_bias=False, name="conv_0")(image), "conv_0")
    for number, width in enumerate(others, 1):
        stride = 2 if number in (2, 4) else 1
        name = f"depthwise_{number}"
        x = _rectified(DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=name)(x), name)
        name = f"conv_{number}"
        x = _rectified(Conv2D(width, 1, use_bias=False, name=name)(x), name)
    pooled = Flatten(name="flatten")(AveragePooling2D(2, name="pool")(x))
    output = Dense(num_classes, activation="softmax", use_bias=False, name="output")(pooled)
    return Model(image, output, name="mobilenet_cifar10")


def _rectified(x: "Tensor", name: str) -> "Tensor":
    from tensorflow.keras.layers import Activation, BatchNormalization

    return Activation("relu", name=f"{name}_relu")(BatchNormalization(name=f"{name}_bn")(x))
