"""Quantised clipped activations (QCFS), for lossless conversion to a few time steps.

Bu et al. 2022, Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency
spiking neural networks, ICLR (arXiv 2303.04347).
"""

import json
from typing import Any, Dict, List, Optional

import numpy as np

from snnb.core.errors import UsageError
from snnb.core.quiet_tensorflow import tensorflow as tf
from snnb.model_files.keras import description_of, keras

INITIAL_BOUND, SMALLEST_BOUND = 2.0, 1e-2
BOUND_PERCENTILE = 99  # of the positive activations of a trained network
ADDED = "_qcfs"


@keras.utils.register_keras_serializable("snnb")
class QCFS(keras.layers.Layer):
    """λ · clip(⌊x L / λ + ½⌋ / L, 0, 1) with a trained λ and L `levels`; the gradient of the rounding is 1."""

    def __init__(self, levels: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.levels = levels

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create λ."""
        self.bound = self.add_weight(
            "bound",
            shape=(),
            initializer=keras.initializers.Constant(INITIAL_BOUND),
        )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the activations."""
        bound = tf.maximum(self.bound, SMALLEST_BOUND)
        share = tf.clip_by_value(x / bound, 0.0, 1.0)
        levels_rounded = (
            tf.floor(share * self.levels + 0.5) / self.levels
        )  # TensorFlow's graphs leave out a floor division by 1
        return bound * (share + tf.stop_gradient(levels_rounded - share))

    def get_config(self) -> Dict[str, object]:
        """Return the configuration for Keras."""
        return {**super().get_config(), "levels": self.levels}


def quantised(model: keras.Model, levels: int, seed: int) -> keras.Model:
    """Return an untrained model with QCFS in place of each ReLU, and after each average pooling of full windows.

    Its initial weights are drawn again, with a seed. Raise `UsageError` if the model
    has no ReLU, or a model inside, whose activations are not replaced.
    """
    inside = next(
        (layer.name for layer in model.layers if isinstance(layer, keras.Model)),
        None,
    )
    if inside is not None:
        raise UsageError(
            f"--activation qcfs: {inside} is a nested model; add its layers directly",
        )
    description = description_of(model)
    sequential = description["class_name"] == "Sequential"
    output_of: Dict[str, str] = {}  # by layer, the QCFS layer added after it
    layers: List[Dict[str, Any]] = []
    for entry in description["config"]["layers"]:
        name, config, kind = (
            entry["config"]["name"],
            entry["config"],
            entry["class_name"],
        )
        for source in (
            source for node in entry.get("inbound_nodes", []) for source in node
        ):
            source[0] = output_of.get(source[0], source[0])
        layers.append(entry)
        if kind == "ReLU" or (kind == "Activation" and config["activation"] == "relu"):
            entry.update(
                class_name="snnb>QCFS",
                config={"name": name, "levels": levels},
            )
        elif config.get("activation") == "relu" or _is_pooling(entry, model):
            if "activation" in config:
                config["activation"] = "linear"
            output_of[name] = f"{name}{ADDED}"
            quantiser: Dict[str, Any] = {
                "class_name": "snnb>QCFS",
                "config": {"name": output_of[name], "levels": levels},
            }
            if not sequential:
                quantiser.update(
                    name=output_of[name], inbound_nodes=[[[name, 0, 0, {}]]]
                )
            layers.append(quantiser)
    if not any(entry["class_name"] == "snnb>QCFS" for entry in layers):
        raise UsageError(
            "--activation qcfs: the model has no ReLU to replace; train it with "
            "--activation relu",
        )
    description["config"]["layers"] = layers
    tf.random.set_seed(seed)  # the initial weights of the ReLU network
    return keras.models.model_from_json(json.dumps(description))


def start_from(model: keras.Model, trained_model: keras.Model, x: np.ndarray) -> None:
    """Copy the weights of the trained ReLU network to a quantised model of it, and set each λ to a percentile.

    The percentiles are of the activations of the trained network on the images `x`,
    float32 (samples, ...), measured one layer at a time.
    """
    names = {layer.name for layer in trained_model.layers}
    for layer in model.layers:
        if isinstance(layer, QCFS):
            source = layer.name if layer.name in names else layer.name[: -len(ADDED)]
            active = keras.Model(
                trained_model.input,
                trained_model.get_layer(source).output,
            ).predict(x, verbose=0)
            active = active[active > 0]
            if active.size:
                layer.bound.assign(np.percentile(active, BOUND_PERCENTILE))
        elif layer.weights:
            layer.set_weights(trained_model.get_layer(layer.name).get_weights())


def plain(model: keras.Model) -> keras.Model:
    """Return a trained model with `ReLU(max_value=λ)` in place of QCFS; the model itself if it has none.

    An average pooling before QCFS becomes a depthwise convolution.
    """
    if levels_of(model) is None:
        return model
    description, names = description_of(model), {layer.name for layer in model.layers}
    for entry in description["config"]["layers"]:
        name, config = entry["config"]["name"], entry["config"]
        if entry["class_name"] == "snnb>QCFS":
            bound = max(float(model.get_layer(name).bound.numpy()), SMALLEST_BOUND)
            entry.update(class_name="ReLU", config={"name": name, "max_value": bound})
        elif "pool_size" in config and f"{name}{ADDED}" in names:
            mean = {
                "class_name": "Constant",
                "config": {"value": 1 / float(np.prod(config["pool_size"]))},
            }
            layer_config = {key: config[key] for key in ("name", "strides", "padding")}
            new = {
                "kernel_size": config["pool_size"],
                "use_bias": False,
                "depthwise_initializer": mean,
            }
            entry.update(class_name="DepthwiseConv2D", config={**layer_config, **new})
    rebuilt_model = keras.models.model_from_json(json.dumps(description))
    for layer in model.layers:
        if layer.weights and not isinstance(layer, QCFS):
            rebuilt_model.get_layer(layer.name).set_weights(layer.get_weights())
    return rebuilt_model


def levels_of(model: keras.Model) -> Optional[int]:
    """Return the levels of a model's QCFS layers; None if it has none."""
    return next(
        (layer.levels for layer in model.layers if isinstance(layer, QCFS)),
        None,
    )


def _is_pooling(entry: Dict[str, Any], model: keras.Model) -> bool:
    """Whether a layer is an average pooling without partly filled windows."""
    if entry["class_name"] != "AveragePooling2D":
        return False
    layer = model.get_layer(entry["config"]["name"])
    sizes = zip(layer.input_shape[1:3], layer.pool_size, layer.strides)
    return layer.padding == "valid" or all(
        size % stride == 0 and pool <= stride for size, pool, stride in sizes
    )
