"""The residual networks of He et al. 2016: ResNet-20 for CIFAR-10, and ResNet-50."""

from typing import TYPE_CHECKING, Tuple

from snnb.architectures.blocks import application
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import CIFAR10, IMAGENET

if TYPE_CHECKING:
    from tensorflow import Tensor


_SOURCE = "He et al. 2016, CVPR, 770; arXiv 1512.03385, section 4.2"
_CIFAR10 = CIFAR10.changed(learning_rate=0.1, weight_decay=2e-3)
_50_SOURCE = (
    "He et al. 2016, CVPR, 770; arXiv 1512.03385, table 1; as "
    "tensorflow.keras.applications builds it"
)
_IMAGENET = IMAGENET.changed(learning_rate=0.05)


@architecture(
    ModelSpec(
        "resnet20_cifar10",
        "cifar10",
        (32, 32, 3),
        10,
        188_490,
        37_297_472,
        _SOURCE,
        _CIFAR10,
    ),
)
def _resnet20(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    filters: Tuple[int, ...] = (16, 32, 64),
    blocks: int = 3,
) -> "keras.Model":
    """Build 16c3 – 3 groups of residual blocks, each of two 3×3 convolutions – A8 – classes, all with `same` padding.

    Each convolution has batch normalisation and no bias. The first block of the second
    and of the third group halves the picture. The shortcut there is a 1×1 convolution
    with stride 2 (the paper's option B; for CIFAR-10 it uses option A, zeros for the
    new channels).
    """
    image = keras.Input(input_shape, name="input")
    x = keras.layers.Activation("relu", name="relu_0")(
        _normalised(image, filters[0], 3, 1, "conv_0"),
    )
    for group, width in enumerate(filters, 1):
        for block in range(1, blocks + 1):
            block_name, stride = (
                f"{group}_{block}",
                2 if group > 1 and block == 1 else 1,
            )
            hidden = keras.layers.Activation("relu", name=f"relu_{block_name}")(
                _normalised(x, width, 3, stride, f"conv_{block_name}a"),
            )
            shortcut = (
                x
                if stride == 1
                else _normalised(x, width, 1, stride, f"shortcut_{block_name}")
            )
            block_sum = keras.layers.Add(name=f"add_{block_name}")(
                [_normalised(hidden, width, 3, 1, f"conv_{block_name}b"), shortcut],
            )
            x = keras.layers.Activation("relu", name=f"output_{block_name}")(block_sum)
    features = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(
        image,
        keras.layers.Dense(num_classes, activation="softmax", name="output")(features),
        name=name,
    )


def _normalised(
    x: "Tensor",
    filters: int,
    size: int,
    stride: int,
    name: str,
) -> "Tensor":
    convolution = keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )
    return keras.layers.BatchNormalization(name=f"{name}_bn")(convolution(x))


@architecture(
    ModelSpec(
        "resnet50_imagenet",
        "imagenet",
        (224, 224, 3),
        1000,
        9_285_608,
        3_704_704_832,
        _50_SOURCE,
        _IMAGENET,
    ),
)
def _resnet50(name: str, input_shape: InputShape, num_classes: int) -> "keras.Model":
    """Build 64c7/2 – A3/2 – 16 residual blocks of 1×1, 3×3 and 1×1 convolutions – global average – classes.

    As in Keras's network, the first convolution of a block has the stride, convolutions
    have biases, and the input of the first convolution and the first pooling is padded.
    Max pooling is replaced by average pooling.
    """
    return application("ResNet50", name, input_shape, num_classes)
