"""The residual networks of He et al. 2016: the small one for CIFAR-10, and ResNet-50."""

from typing import TYPE_CHECKING, Tuple

from snnb.architectures.applications import application
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow import Tensor
    from tensorflow.keras import Model


@architecture(
    ModelSpec(
        name="resnet20_cifar10",
        historical_name="ResNet20_Cifar10",
        dataset="cifar10",
        input_shape=(32, 32, 3),
        num_classes=10,
        neurons=188_490,
        synapses=37_297_472,
        source="He et al. 2016, CVPR, 770; arXiv 1512.03385, section 4.2",
        recipe=Recipe(
            optimizer="sgd",
            learning_rate=0.08,
            schedule="cosine",
            momentum=0.9,
            nesterov=True,
            epochs=60,
            batch_size=64,
            flip=True,
            shift=0.1,
        ),
    )
)
def resnet20_cifar10(
    input_shape: InputShape, num_classes: int, filters: Tuple[int, int, int] = (16, 32, 64), blocks: int = 3
) -> "Model":
    """Build 16c3 – 3 groups of residual blocks, each of two 3×3 convolutions – A8 – classes, all with `same` padding.

    Each convolution has batch normalisation and no bias. The first block of the second and of the third group halves
    the picture. The shortcut there is a 1×1 convolution with stride 2 (the paper's option B; for CIFAR-10 it uses
    option A, zeros for the new channels).
    """
    from tensorflow.keras import Input, Model
    from tensorflow.keras.layers import Activation, Add, Dense, GlobalAveragePooling2D

    image = Input(input_shape, name="input")
    x = Activation("relu", name="relu_0")(_normalised(image, filters[0], 3, 1, "conv_0"))
    for group, width in enumerate(filters, 1):
        for block in range(1, blocks + 1):
            name, stride = f"{group}_{block}", 2 if group > 1 and block == 1 else 1
            hidden = Activation("relu", name=f"relu_{name}")(_normalised(x, width, 3, stride, f"conv_{name}a"))
            shortcut = x if stride == 1 else _normalised(x, width, 1, stride, f"shortcut_{name}")
            added = Add(name=f"add_{name}")([_normalised(hidden, width, 3, 1, f"conv_{name}b"), shortcut])
            x = Activation("relu", name=f"output_{name}")(added)
    pooled = GlobalAveragePooling2D(name="pool")(x)
    output = Dense(num_classes, activation="softmax", name="output")(pooled)
    return Model(image, output, name="resnet20_cifar10")


def _normalised(x: "Tensor", filters: int, size: int, stride: int, name: str) -> "Tensor":
    from tensorflow.keras.layers import BatchNormalization, Conv2D

    convolution = Conv2D(
        filters, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )
    return BatchNormalization(name=f"{name}_bn")(convolution(x))


@architecture(
    ModelSpec(
        name="resnet50_imagenet",
        historical_name="ResNet50_ImageNet",
        dataset="imagenet",
        input_shape=(224, 224, 3),
        num_classes=1000,
        neurons=9_285_608,
        synapses=3_704_704_832,
        source="He et al. 2016, CVPR, 770; arXiv 1512.03385, table 1; as tensorflow.keras.applications builds it",
        recipe=Recipe(
            optimizer="sgd",
            learning_rate=0.05,
            schedule="cosine",
            momentum=0.9,
            epochs=90,
            batch_size=128,
            flip=True,
            shift=0.1,
        ),
    )
)
def resnet50_imagenet(input_shape: InputShape, num_classes: int) -> "Model":
    """Build 64c7/2 – A3/2 – 16 residual blocks of 1×1, 3×3 and 1×1 convolutions – global average – classes.

    As in Keras's network, the first convolution of a block has the stride, convolutions have biases, and the input of
    the first convolution and the first pooling is padded. Max pooling is replaced by average pooling.
    """
    return application("ResNet50", "resnet50_imagenet", input_shape, num_classes)
