"""Parts of several networks, and the networks of tensorflow.keras.applications."""

from itertools import zip_longest
from typing import TYPE_CHECKING, Dict, List, Sequence

from snnb.architectures.registry import InputShape

if TYPE_CHECKING:
    from tensorflow import Tensor
    from tensorflow.keras import Model
    from tensorflow.keras.layers import Layer


def convolutions(filters: Sequence[int], padding: str = "valid", dropout: Sequence[float] = ()) -> List["Layer"]:
    """Return convolutions of 5×5, each followed by an average pooling of 2×2 and, where its rate is not 0, dropout."""
    from tensorflow.keras.layers import AveragePooling2D, Conv2D, Dropout

    layers = []
    for i, (features, rate) in enumerate(zip_longest(filters, dropout), 1):
        layers.append(Conv2D(features, 5, padding=padding, activation="relu", name=f"conv_{i}"))
        layers.append(AveragePooling2D(2, name=f"pool_{i}"))
        if rate:
            layers.append(Dropout(rate, name=f"dropout_{i}"))
    return layers


def classifier(
    name: str, input_shape: InputShape, layers: Sequence["Layer"], units: Sequence[int], num_classes: int
) -> "Model":
    """Build a sequential model of `layers`, hidden dense layers and a dense classifier."""
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import Dense, Flatten

    hidden = [Dense(count, activation="relu", name=f"dense_{i}") for i, count in enumerate(units, 1)]
    output = Dense(num_classes, activation="softmax", name="output")
    return Sequential([Input(input_shape, name="input"), *layers, Flatten(name="flatten"), *hidden, output], name=name)


def rectified(x: "Tensor", name: str) -> "Tensor":
    """Add a batch normalisation `name`_bn and a ReLU `name`_relu."""
    from tensorflow.keras.layers import Activation, BatchNormalization

    return Activation("relu", name=f"{name}_relu")(BatchNormalization(name=f"{name}_bn")(x))


def application(kind: str, name: str, input_shape: InputShape, num_classes: int, **options: float) -> "Model":
    """Build a network of Keras's collection with random weights; weight files made for it fit.

    Max pooling is replaced by average pooling, as in the other models. Layers with weights keep their names.

    Parameters
    ----------
    kind : str
        Name of the function in `tensorflow.keras.applications`.
    name, input_shape, num_classes
        As for all models, see `snnb.architectures`.
    **options : float
        Further arguments of the function.
    """
    from tensorflow.keras import Input, Model, applications
    from tensorflow.keras.models import clone_model

    build = getattr(applications, kind)
    image = Input(input_shape, name="input")
    original = build(weights=None, input_shape=input_shape, input_tensor=image, classes=num_classes, **options)
    clone = clone_model(original, clone_function=_averaging)
    return Model(clone.inputs, clone.outputs, name=name)


def _averaging(layer: "Layer") -> "Layer":
    from tensorflow.keras.layers import AveragePooling2D, GlobalAveragePooling2D, MaxPooling2D

    config: Dict[str, object] = layer.get_config()
    if isinstance(layer, MaxPooling2D):
        return AveragePooling2D.from_config(config)
    if isinstance(layer, GlobalAveragePooling2D):
        config["name"] = "avg_pool"  # some networks leave the name to Keras, which numbers layers per process
    return type(layer).from_config(config)
