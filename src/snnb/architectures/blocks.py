"""Parts of several networks, and the networks of tensorflow.keras.applications."""

from typing import TYPE_CHECKING, Dict, List, Sequence

from snnb.architectures.registry import InputShape
from snnb.model_files import lazy_keras as keras

if TYPE_CHECKING:
    from tensorflow import Tensor


def convolutions(
    filters: Sequence[int],
    padding: str = "valid",
) -> List["keras.layers.Layer"]:
    """Return convolutions of 5×5, each followed by an average pooling of 2×2."""
    layers = []
    for i, features in enumerate(filters, 1):
        layers.append(
            keras.layers.Conv2D(
                features,
                5,
                padding=padding,
                activation="relu",
                name=f"conv_{i}",
            ),
        )
        layers.append(keras.layers.AveragePooling2D(2, name=f"pool_{i}"))
    return layers


def classifier(
    name: str,
    input_shape: InputShape,
    layers: Sequence["keras.layers.Layer"],
    units: Sequence[int],
    num_classes: int,
) -> "keras.Model":
    """Build a sequential model of `layers`, hidden dense layers and a dense classifier."""
    hidden = [
        keras.layers.Dense(count, activation="relu", name=f"dense_{i}")
        for i, count in enumerate(units, 1)
    ]
    output = keras.layers.Dense(num_classes, activation="softmax", name="output")
    return keras.Sequential(
        [
            keras.Input(input_shape, name="input"),
            *layers,
            keras.layers.Flatten(name="flatten"),
            *hidden,
            output,
        ],
        name=name,
    )


def normalised_layers(
    layer: "keras.layers.Layer",
    momentum: float = 0.99,
) -> List["keras.layers.Layer"]:
    """Return a layer, its batch normalisation and a ReLU.

    The toolbox fuses a batch normalisation into the weights before it only when the
    activation comes after both.
    """
    return [
        layer,
        keras.layers.BatchNormalization(momentum=momentum, name=f"{layer.name}_bn"),
        keras.layers.Activation("relu", name=f"{layer.name}_relu"),
    ]


def rectified(
    x: "Tensor",
    name: str,
    epsilon: float = 1e-3,
    momentum: float = 0.99,
) -> "Tensor":
    """Add a batch normalisation `name`_bn and a ReLU `name`_relu."""
    batch_norm = keras.layers.BatchNormalization(
        epsilon=epsilon,
        momentum=momentum,
        name=f"{name}_bn",
    )(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(batch_norm)


def application(
    kind: str,
    name: str,
    input_shape: InputShape,
    num_classes: int,
    **options: float,
) -> "keras.Model":
    """Build a network of Keras's collection with random weights; weight files made for it fit.

    `kind` is the name of the function in `tensorflow.keras.applications`, `options` are
    its further arguments. Max pooling is replaced by average pooling, as in the other
    models. Layers with weights keep their names.
    """
    build = getattr(keras.applications, kind)
    image = keras.Input(input_shape, name="input")
    original = build(
        weights=None,
        input_shape=input_shape,
        input_tensor=image,
        classes=num_classes,
        **options,
    )
    clone = keras.models.clone_model(original, clone_function=_averaging)
    return keras.Model(clone.inputs, clone.outputs, name=name)


def _averaging(layer: "keras.layers.Layer") -> "keras.layers.Layer":
    config: Dict[str, object] = layer.get_config()
    if isinstance(layer, keras.layers.MaxPooling2D):
        return keras.layers.AveragePooling2D.from_config(config)
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        # Some networks leave the name to Keras, which numbers layers per process
        config["name"] = "avg_pool"
    return type(layer).from_config(config)
