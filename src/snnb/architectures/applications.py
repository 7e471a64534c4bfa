"""Networks of tensorflow.keras.applications, compatible with weight files made for them.

Max pooling is replaced by average pooling, as in the other models. Layers with weights keep their names.
"""

from typing import TYPE_CHECKING, Dict

from snnb.architectures.registry import InputShape

if TYPE_CHECKING:
    from tensorflow.keras import Model
    from tensorflow.keras.layers import Layer


def application(kind: str, name: str, input_shape: InputShape, num_classes: int, **options: float) -> "Model":
    """Build a network of Keras's collection, with random weights.

    Parameters
    ----------
    kind : str
        Name of the function in `tensorflow.keras.applications`.
    name : str
        Name of the model.
    input_shape : tuple of three int
        (height, width, channels).
    num_classes : int
        Units of the classifier.
    **options : float
        Further arguments of the function.

    Raises
    ------
    ValueError
        The input is too small.
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
