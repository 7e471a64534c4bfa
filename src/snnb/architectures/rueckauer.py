"""The CIFAR-10 network with batch normalisation of Rueckauer et al. 2017."""

from typing import TYPE_CHECKING, List, Tuple

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow.keras import Model
    from tensorflow.keras.layers import Layer


@architecture(
    ModelSpec(
        name="rueckauer_cifar10",
        historical_name="Rueckauer_Cifar10",
        dataset="cifar10",
        input_shape=(32, 32, 3),
        num_classes=10,
        neurons=98_314,
        synapses=20_044_160,
        source="Rueckauer et al. 2017, Frontiers in Neuroscience 11:682",
        recipe=Recipe(
            optimizer="sgd",
            learning_rate=1e-3,
            momentum=0.9,
            nesterov=True,
            epochs=50,
            batch_size=32,
            flip=True,
            shift=0.1,
        ),
    )
)
def rueckauer_cifar10(
    input_shape: InputShape, num_classes: int, filters: Tuple[int, int] = (32, 64), units: int = 512
) -> "Model":
    """Build 32c3 same ×2 – A2 – 64c3 ×2 – A2 – 512 – classes, with batch normalisation before every hidden ReLU.

    The paper uses maximum pooling; here it is average pooling. The paper does not state the padding of the
    convolutions; here the first two keep the size of the picture and the others are valid.
    """
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dense, Flatten

    return Sequential(
        [
            Input(input_shape, name="input"),
            *_normalised(Conv2D(filters[0], 3, padding="same", name="conv_1")),
            *_normalised(Conv2D(filters[0], 3, padding="same", name="conv_2")),
            AveragePooling2D(2, name="pool_1"),
            *_normalised(Conv2D(filters[1], 3, name="conv_3")),
            *_normalised(Conv2D(filters[1], 3, name="conv_4")),
            AveragePooling2D(2, name="pool_2"),
            Flatten(name="flatten"),
            *_normalised(Dense(units, name="dense_1")),
            Dense(num_classes, activation="softmax", name="output"),
        ],
        name="rueckauer_cifar10",
    )


def _normalised(layer: "Layer") -> List["Layer"]:
    # The toolbox fuses a batch normalisation into the weights before it only when the activation comes after both.
    from tensorflow.keras.layers import Activation, BatchNormalization

    return [layer, BatchNormalization(name=f"{layer.name}_bn"), Activation("relu", name=f"{layer.name}_relu")]
