"""Fold the preprocessing that a trained network expects into its first layers, so that it takes pixels in [0, 1].

A pixel x of channel c in [0, 1] becomes a_c x + b_c. A layer of weighted sums w · (a x + b) computes the same from x
with the weights a w and the additional bias Σ w b. Zeros that a layer pads are no pixels: before it, a batch
normalisation subtracts the pixel -b / a, which becomes 0; then the weights are a w.

The presets of `--pixels` are the modes of `keras.applications.imagenet_utils.preprocess_input`. Pixels are 0 to 255:

- `caffe`: blue, green, red; less the mean of ImageNet (103.939, 116.779, 123.68); not divided.
- `torch`: to [0, 1], less the mean (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225), as torchvision's networks.
- `tf`: to [-1, 1].
"""

import json
import re
from dataclasses import dataclass
from typing import Collection, Dict, List, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Say
from snnb.io import lazy_keras as keras
from snnb.io.text import JsonValue
from snnb.network.geometry import window_padding

WEIGHTED = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense")
# Layers that commute with scaling each channel by a positive number.
PASSING = ("AveragePooling2D", "Flatten", "GlobalAveragePooling2D", "MaxPooling2D", "GlobalMaxPooling2D", "Dropout")

MEAN = "_less_mean"  # end of the names of batch normalisations that subtract a pixel
AS_THEY_ARE = "0-1"
RAW = "raw"  # of float arrays: the values that the model in the file reads, without an option
_GIVEN = re.compile(r"mean=(?P<mean>[-+.\deE,]+),std=(?P<std>[-+.\deE,]+)")


@dataclass(frozen=True, eq=False)
class Pixels:
    """Affine change from pixels to the input of a network: `factor * x + shift`."""

    factor: np.ndarray  # float64, shape (1,) or (channels,), as `shift`
    shift: np.ndarray
    reversed: bool = False  # whether the network's channels are blue, green, red
    layers: str = ""  # preprocessing layers of the model that make the change, for messages

    @classmethod
    def standardised(cls, mean: Sequence[float], std: Sequence[float]) -> "Pixels":
        """Return pixels less a mean, divided by a standard deviation."""
        return cls(1 / np.array(std), -np.array(mean) / np.array(std))


_PRESETS = {
    AS_THEY_ARE: Pixels(np.ones(1), np.zeros(1)),
    "0-255": Pixels(np.array([255.0]), np.zeros(1)),
    "tf": Pixels(np.array([2.0]), np.array([-1.0])),
    "torch": Pixels.standardised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Pixels(np.array([255.0]), np.array([-103.939, -116.779, -123.68]), reversed=True),
}


def parse_pixels(text: str) -> Pixels:
    """Read `caffe`, `torch`, `tf`, `0-1`, `0-255`, or `mean=0.5,std=0.5` with one number or one for each channel.

    Mean and standard deviation refer to pixels in [0, 1], as in torchvision's `Normalize`. Raise `ValueError` for a
    text of another form.
    """
    if text in _PRESETS:
        return _PRESETS[text]
    match = _GIVEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is none of {', '.join(_PRESETS)}, and not like mean=0.5,std=0.25")
    mean, std = ([float(number) for number in match[name].split(",")] for name in ("mean", "std"))
    if not 0 < min(std) <= max(std) < np.inf:
        raise ValueError(f"{text!r}: a standard deviation is above 0")
    if 1 not in (len(mean), len(std)) and len(mean) != len(std):
        raise ValueError(f"{text!r} has {len(mean)} means and {len(std)} standard deviations")
    if max(map(abs, mean)) > 1:
        raise ValueError(f"{text!r}: mean and std refer to pixels in [0, 1]; divide both by 255")
    return Pixels.standardised(mean, std)


def fold_pixels(
    model: "keras.Model",
    text: Optional[str],
    warn: Say,
    preprocessing: Optional[Pixels] = None,
    *,
    trained: bool = True,
) -> "keras.Model":
    """Return a model with pixels in [0, 1] that has the outputs of the given model with its pixels.

    The given model may be changed. Its pixels are `text`, see `parse_pixels`; None: those that the preprocessing takes,
    else [0, 1]; `RAW`: the same as those of the returned model. `preprocessing` is the change by the layers that were
    removed from the model; `warn` is called with a message that names them. A batch normalisation that subtracts the
    pixel of value 0 is put before a layer that pads with zeros, but not in a model that is not `trained`, which learns
    with a border of black.

    Raise `InputError` if the channels do not fit, a layer that reads the input cannot take the change, or the pixels
    are not those that the preprocessing takes; the message names it.
    """
    origin, pixels = _combined(text, warn, preprocessing)
    factor, shift = pixels.factor, pixels.shift
    if not pixels.reversed and np.allclose(factor, 1, atol=1e-6) and np.allclose(shift, 0, atol=1e-6):
        return model
    channels = int(model.input_shape[-1])
    if len({1, channels, len(factor), len(shift)}) > (1 if channels == 1 else 2):
        raise InputError(f"{origin} does not apply to this model, which takes {channels} channels")
    factor, shift = (np.broadcast_to(numbers, (channels,)) for numbers in (factor, shift))
    readers = _readers(model, origin)
    padded = {pads for _, pads in readers if pads is not None} if trained and shift.any() else set()
    without_bias = {layer.name for layer, _ in readers if not getattr(layer, "use_bias", True)}
    model, names = _changed(model, without_bias, padded)
    for layer, pads in readers:
        new, rest = model.get_layer(layer.name), np.zeros(channels) if pads in padded else shift
        new.set_weights(_folded(new, Pixels(factor, rest, pixels.reversed), origin))
    mean = (-shift / factor)[:: -1 if pixels.reversed else 1]
    for name in names:
        layer = model.get_layer(name)
        layer.set_weights([mean, np.full(channels, 1 - layer.epsilon)])
    return model


def _combined(text: Optional[str], warn: Say, preprocessing: Optional[Pixels]) -> Tuple[str, Pixels]:
    """Return the change of pixels in [0, 1] by `--pixels` and by the model's own layers, and its name for messages."""
    if preprocessing is None:
        return f"--pixels {text}", parse_pixels(AS_THEY_ARE if text is None or text == RAW else text)
    layers, factor, shift = preprocessing.layers, preprocessing.factor, preprocessing.shift
    # Of pixels in [0, 1], a factor below 0.2 would leave nearly nothing, and the pixel that becomes 0 is at most 1.
    takes = "0-255" if factor.max() < 0.2 or (-shift / factor).max() > 1.5 else AS_THEY_ARE
    if text == RAW:
        warn(f"{layers}: folded into the first weights; the model takes the values of the arrays")
        return layers, preprocessing
    if text is None:
        warn(f"{layers}: folded into the first weights; the model takes pixels of {takes}")
    elif text not in (AS_THEY_ARE, "0-255") or (text == AS_THEY_ARE and takes != text):
        raise InputError(f"--pixels {text}: the model has {layers}, which takes pixels of {takes}; omit --pixels")
    return layers, Pixels(factor * parse_pixels(text or takes).factor, shift)


def _readers(model: "keras.Model", origin: str) -> List[Tuple["keras.layers.Layer", Optional[str]]]:
    """Return the layers that weigh the input, each with the name of the first layer before it that pads, or its own."""
    consumers: Dict[str, List[keras.layers.Layer]] = {}
    for layer in model.layers:
        if sum(node.outbound_layer is layer for nodes in model._nodes_by_depth.values() for node in nodes) > 1:
            raise InputError(f"{origin}: layer {layer.name} is used several times: use each layer once")
        for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
            consumers.setdefault(tensor.name, []).append(layer)
    readers: Dict[str, Tuple[keras.layers.Layer, Optional[str]]] = {}
    waiting: List[Tuple[str, Optional[str]]] = [(model.inputs[0].name, None)]
    while waiting:
        tensor_name, pads = waiting.pop()
        for layer in consumers.get(tensor_name, []):
            kind = type(layer).__name__
            if kind == "InputLayer":
                continue
            if kind in PASSING or kind == "ZeroPadding2D":
                waiting.append((layer.output.name, pads or (layer.name if kind == "ZeroPadding2D" else None)))
            elif kind in WEIGHTED or (
                kind == "BatchNormalization" and list(np.ravel(layer.axis)) in ([-1], [len(layer.input_shape) - 1])
            ):
                readers[layer.name] = layer, pads or (layer.name if _pads(layer) else None)
            else:
                raise InputError(
                    f"{origin}: layer {layer.name} ({kind}) reads the input, and has no weights into which "
                    "the pixel scaling can be folded: begin with a convolution, a dense layer or a batch normalisation"
                )
    return list(readers.values())


def _pads(layer: "keras.layers.Layer") -> bool:
    if getattr(layer, "padding", "valid") != "same":
        return False
    axes = zip(layer.input_shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate)
    return any(window_padding(*axis, "same") != window_padding(*axis, "valid") for axis in axes)


def _changed(
    model: "keras.Model", without_bias: Collection[str], padded: Collection[str]
) -> Tuple["keras.Model", List[str]]:
    """Return the model, with biases of 0 in layers that have none, and a batch normalisation before the `padded` ones.

    Return the names of the batch normalisations too, which have neither scale nor offset, and do not learn.
    """
    if not without_bias and not padded:
        return model, []
    from snnb.io.keras import description_of

    description = description_of(model)
    sequential, layers, names = description["class_name"] == "Sequential", [], []
    for entry in description["config"]["layers"]:
        config = entry["config"]
        name = config["name"]
        if name in without_bias:
            config.update(use_bias=True, bias_initializer="zeros")
        if name in padded:
            names.append(f"{name}{MEAN}")
            added = {"name": names[-1], "center": False, "scale": False, "trainable": False}
            node: Dict[str, JsonValue] = {"class_name": "BatchNormalization", "config": added}
            if not sequential:
                node.update(name=names[-1], inbound_nodes=entry["inbound_nodes"])
                entry["inbound_nodes"] = [[[names[-1], 0, 0, {}]]]
            elif "batch_input_shape" in config:
                added["batch_input_shape"] = config.pop("batch_input_shape")
            layers.append(node)
        layers.append(entry)
    description["config"]["layers"] = layers
    changed = keras.models.model_from_json(json.dumps(description))
    for layer in model.layers:
        weights = layer.get_weights()
        extra = [np.zeros(changed.get_layer(layer.name).weights[-1].shape)] if layer.name in without_bias else []
        if weights:
            changed.get_layer(layer.name).set_weights([*weights, *extra])
    return changed, names


def _folded(layer: "keras.layers.Layer", pixels: Pixels, origin: str) -> List[np.ndarray]:
    """Return the weights of a layer for pixels in [0, 1], whose change has a number for each channel."""
    kind, factor, shift = type(layer).__name__, pixels.factor, pixels.shift
    if pixels.reversed and kind in ("DepthwiseConv2D", "BatchNormalization"):
        raise InputError(
            f"{origin}: layer {layer.name} ({kind}) processes channels separately, so they cannot be "
            "reordered: begin with a convolution over all channels"
        )

    def reordered(kernel: np.ndarray, axis: int) -> np.ndarray:
        return np.flip(kernel, axis) if pixels.reversed else kernel

    weights = [np.asarray(array, np.float64) for array in layer.get_weights()]
    if kind == "BatchNormalization":  # with (a x + b - μ) / √(σ² + ε), x has the mean (μ - b) / a
        *learnt, mean, variance = weights
        if layer.scale:
            return [learnt[0] * factor, *learnt[1:], (mean - shift) / factor, variance]
        wide = (variance + layer.epsilon) / factor**2 - layer.epsilon
        if np.any(wide < 0):
            raise InputError(f"{origin}: layer {layer.name} (BatchNormalization) has a variance too small to be scaled")
        return [*learnt, (mean - shift) / factor, wide]
    kernel = weights[0]
    if kind == "Dense":  # of a flattened picture, or of the means of its channels
        by_channel = kernel.reshape(-1, len(factor), kernel.shape[-1])
        bias = weights[1] + np.einsum("pcu,c->u", by_channel, shift)
        return [reordered(by_channel * factor[:, None], 1).reshape(kernel.shape), bias]
    # (height, width, channels, filters or multiplier)
    sums = kernel.sum((0, 1)) * shift[:, None]
    scaled = reordered(kernel * factor[:, None], 2)
    if kind == "Conv2D":
        return [scaled, weights[1] + sums.sum(0)]
    if kind == "DepthwiseConv2D":
        return [scaled, weights[1] + sums.ravel()]
    pointwise = weights[1]  # (1, 1, channels × multiplier, filters)
    parts = pointwise.reshape(len(factor), -1, pointwise.shape[-1])
    bias = weights[2] + np.einsum("cm,cmf->f", sums, parts)
    return [scaled, reordered(parts, 0).reshape(pointwise.shape), bias]
