"""Networks with depthwise convolutions: the small network of Intel's tutorial for Loihi, and MobileNetV2."""

from typing import Tuple

from snnb.architectures.blocks import application, rectified
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import CIFAR10, IMAGENET

_LOIHI_SOURCE = (
    "Intel's pseudo-MobileNet for Loihi (NxSDK, SNN toolbox tutorial); Howard et al. "
    "2017, arXiv 1704.04861"
)
_CIFAR10 = CIFAR10.changed(learning_rate=0.1, weight_decay=2e-3, epochs=80)
_V2_SOURCE = (
    "Sandler et al. 2018, CVPR, 4510; arXiv 1801.04381, table 2; as "
    "tensorflow.keras.applications builds it"
)
_IMAGENET = IMAGENET.changed(learning_rate=0.05, epochs=150)


@architecture(
    ModelSpec(
        "mobilenet_cifar10",
        "cifar10",
        (32, 32, 3),
        10,
        76_810,
        4_101_024,
        _LOIHI_SOURCE,
        _CIFAR10,
    ),
)
def _mobilenet(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (32, 64, 128, 128, 256, 256),
) -> "keras.Model":
    """Build 32c3/2 – [dw3 – 64c1] – [dw3/2 – 128c1] – [dw3 – 128c1] – [dw3/2 – 256c1] – [dw3 – 256c1] – A2 – classes.

    `dw3` is a depthwise 3×3 convolution with `same` padding. No layer has a bias; each
    convolution has batch normalisation and ReLU.
    """
    image = keras.Input(input_shape, name="input")
    first_filters, *block_filters = filters
    x = rectified(
        keras.layers.Conv2D(
            first_filters,
            3,
            strides=2,
            padding="same",
            use_bias=False,
            name="conv_0",
        )(image),
        "conv_0",
    )
    for number, width in enumerate(block_filters, 1):
        stride = 2 if number in (2, 4) else 1
        depthwise, pointwise = f"depthwise_{number}", f"conv_{number}"
        x = keras.layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            name=depthwise,
        )(x)
        x = keras.layers.Conv2D(width, 1, use_bias=False, name=pointwise)(
            rectified(x, depthwise),
        )
        x = rectified(x, pointwise)
    features = keras.layers.Flatten(name="flatten")(
        keras.layers.AveragePooling2D(2, name="pool")(x),
    )
    return keras.Model(
        image,
        keras.layers.Dense(
            num_classes,
            activation="softmax",
            use_bias=False,
            name="output",
        )(features),
        name=name,
    )


@architecture(
    ModelSpec(
        "mobilenet_v2_imagenet",
        "imagenet",
        (224, 224, 3),
        1000,
        6_108_072,
        1_207_121_808,
        _V2_SOURCE,
        _IMAGENET,
    ),
)
def _mobilenet_v2(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    alpha: float = 1.0,
) -> "keras.Model":
    """Build 32c3/2 – 17 inverted residual blocks – 1280c1 – global average – classes.

    A block is a 1×1 convolution, a depthwise 3×3 one, and a 1×1 one without activation,
    whose output has no neurons: it is composed into the synapses of the next layer.
    `alpha` is the paper's width multiplier. Activations are ReLU6.
    """
    return application("MobileNetV2", name, input_shape, num_classes, alpha=alpha)
