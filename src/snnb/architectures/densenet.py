"""DenseNet-121 of Huang et al. 2017."""

from typing import TYPE_CHECKING, Tuple

from snnb.architectures.blocks import rectified
from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow import Tensor

_EPSILON = 1.001e-5  # as in Keras, for its weight files
_SOURCE = (
    "Huang et al. 2017, CVPR, 2261; arXiv 1608.06993, table 1; as "
    "tensorflow.keras.applications builds it"
)
_SGD = Recipe(optimizer="sgd", momentum=0.9, nesterov=True, flip=True, shift=0.1)
_RECIPE = _SGD.changed(learning_rate=0.1, schedule="cosine", epochs=90, batch_size=256)


@architecture(
    ModelSpec(
        "densenet121_imagenet",
        "imagenet",
        (224, 224, 3),
        1000,
        15_870_184,
        13_622_057_792,
        _SOURCE,
        _RECIPE,
    ),
)
def _densenet(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    blocks: Tuple[int, ...] = (6, 12, 24, 16),
    growth: int = 32,
) -> "keras.Model":
    """Build 2·growth c7/2 – A3/2 – dense blocks with transitions between them – global average – classes.

    A layer of a block is BN – ReLU – 4·growth c1 – BN – ReLU – growth c3 `same`; its
    input is the concatenation of the outputs of all earlier layers of the block. A
    transition is BN – ReLU – c1 with half the channels – A2. The order of the layers is
    that of Keras, so that weight files made for its network fit (`Model.load_weights`).
    Only the classifier has a bias.

    A layer's last convolution has no activation: its output becomes neurons once for
    each layer that reads it.
    """
    image = keras.Input(input_shape, name="input")
    image_with_border = keras.layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = rectified(
        _convolution(image_with_border, 2 * growth, 7, "conv1_conv", 2),
        "conv1",
        _EPSILON,
    )
    x = keras.layers.AveragePooling2D(3, strides=2, name="pool1")(
        keras.layers.ZeroPadding2D(1, name="pool1_pad")(x),
    )
    for number, layers in enumerate(blocks, 2):
        if number > 2:
            before = f"pool{number - 1}"
            x = _convolution(
                rectified(x, before, _EPSILON),
                x.shape[-1] // 2,
                1,
                f"{before}_conv",
            )
            x = keras.layers.AveragePooling2D(2, name=f"{before}_pool")(x)
        for layer in range(1, layers + 1):
            block_name = f"conv{number}_block{layer}"
            hidden = _convolution(
                rectified(x, f"{block_name}_0", _EPSILON),
                4 * growth,
                1,
                f"{block_name}_1_conv",
            )
            hidden = rectified(hidden, f"{block_name}_1", _EPSILON)
            x = keras.layers.Concatenate(name=f"{block_name}_concat")(
                [x, _convolution(hidden, growth, 3, f"{block_name}_2_conv")],
            )
    x = keras.layers.Activation("relu", name="relu")(
        keras.layers.BatchNormalization(epsilon=_EPSILON, name="bn")(x),
    )
    features = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    output = keras.layers.Dense(num_classes, activation="softmax", name="predictions")(
        features,
    )
    return keras.Model(image, output, name=name)


def _convolution(
    x: "Tensor",
    filters: int,
    size: int,
    name: str,
    stride: int = 1,
) -> "Tensor":
    # With stride 2 the input is padded beforehand, as in Keras: 3 on each side, where
    # `same` pads 2 and 3.
    padding = "same" if stride == 1 and size > 1 else "valid"
    return keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding=padding,
        use_bias=False,
        name=name,
    )(x)
