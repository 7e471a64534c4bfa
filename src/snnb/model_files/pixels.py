"""Pixels as a pretrained network expects them, folded into its first layers: its input stays a current in [0, 1].

A pixel x of channel c in [0, 1] becomes a_c x + b_c. A layer that weighs its input sum by sum, w · (a x + b), computes
the same with the weights a w and the further bias Σ w b.
"""

from typing import TYPE_CHECKING, Dict, List, Sequence, Tuple

import numpy as np

from snnb.errors import InputError
from snnb.model_files.expected_pixels import AS_THEY_ARE, parse_pixels
from snnb.progress import Say

if TYPE_CHECKING:
    from tensorflow import keras

WEIGHTED = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense")
# What hands each channel on as it is, or averages it, or takes the highest: scaling by a positive number can wait.
PASSING = ("AveragePooling2D", "Flatten", "GlobalAveragePooling2D", "MaxPooling2D", "GlobalMaxPooling2D", "Dropout")


def fold_pixels(model: "keras.Model", text: str, tell: Say) -> "keras.Model":
    """Return a model that makes of pixels in [0, 1] what the given one makes of its own.

    Parameters
    ----------
    model : keras.Model
        The model; it may be changed.
    text : str
        What its pixels are, as `parse_pixels` reads it.
    tell : callable
        Called with what is not exact: where a first layer pads with zeros, its border sees black instead of them.

    Raises
    ------
    InputError
        The channels do not fit, or a layer that reads the input cannot take the change; the message names it.
    """
    pixels = parse_pixels(text)
    channels = int(model.input_shape[-1])
    if text == AS_THEY_ARE:
        return model
    if len({1, channels, len(pixels.factor), len(pixels.shift)}) > (1 if channels == 1 else 2):
        raise InputError(f"--pixels {text} is for other pictures: the model takes {channels} channels")
    factor, shift = (np.broadcast_to(numbers, (channels,)) for numbers in (pixels.factor, pixels.shift))
    order = np.arange(channels)[::-1] if pixels.reversed else np.arange(channels)
    readers, padded = _readers(model, text)
    if np.any(shift != 0):
        for layer in padded:
            tell(
                f"--pixels {text}: layer {layer.name} pads with zeros, which are not black to the model, but are here: "
                "what it computes of the pictures' border is not exact"
            )
    model = _with_biases(model, [layer.name for layer in readers if not getattr(layer, "use_bias", True)])
    for layer in readers:
        new = model.get_layer(layer.name)
        new.set_weights(_folded(new, new.get_weights(), factor, shift, order, text))
    return model


def _readers(model: "keras.Model", text: str) -> Tuple[List["keras.layers.Layer"], List["keras.layers.Layer"]]:
    """Return the layers that weigh the input, and those that pad it with zeros."""
    consumers: Dict[str, List[keras.layers.Layer]] = {}
    for layer in model.layers:
        if sum(node.outbound_layer is layer for nodes in model._nodes_by_depth.values() for node in nodes) > 1:
            raise InputError(f"--pixels {text}: layer {layer.name} is used several times: use each layer once")
        for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
            consumers.setdefault(tensor.name, []).append(layer)
    readers: Dict[str, keras.layers.Layer] = {}
    padded: List[keras.layers.Layer] = []
    waiting = [model.inputs[0]]
    while waiting:
        for layer in consumers.get(waiting.pop().name, []):
            kind = type(layer).__name__
            if kind == "InputLayer":
                continue
            if kind in PASSING or kind == "ZeroPadding2D":
                padded += [layer] if kind == "ZeroPadding2D" else []
                waiting.append(layer.output)
            elif kind in WEIGHTED or (kind == "BatchNormalization" and _of_channels(layer)):
                readers[layer.name] = layer
                padded += [layer] if getattr(layer, "padding", "valid") == "same" and _pads(layer) else []
            else:
                raise InputError(
                    f"--pixels {text}: layer {layer.name} ({kind}) reads the input, and cannot take the change of the "
                    "pixels into weights: begin with a convolution, a dense layer or a batch normalisation"
                )
    return list(readers.values()), padded


def _of_channels(layer: "keras.layers.Layer") -> bool:
    return list(np.ravel(layer.axis)) in ([-1], [len(layer.input_shape) - 1])


def _pads(layer: "keras.layers.Layer") -> bool:
    """Say whether `same` pads anything."""
    sizes = zip(layer.input_shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate)
    return any((-(-n // stride) - 1) * stride + (taps - 1) * dilation + 1 > n for n, taps, stride, dilation in sizes)


def _with_biases(model: "keras.Model", names: Sequence[str]) -> "keras.Model":
    """Return the model, with biases of 0 in layers that have none."""
    from tensorflow import keras

    if not names:
        return model

    def clone(layer: "keras.layers.Layer") -> "keras.layers.Layer":
        config = layer.get_config()
        if layer.name in names:
            config.update(use_bias=True, bias_initializer="zeros")
        return type(layer).from_config(config)

    changed = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        weights = layer.get_weights()
        extra = [np.zeros(changed.get_layer(layer.name).weights[-1].shape)] if layer.name in names else []
        if weights:
            changed.get_layer(layer.name).set_weights([*weights, *extra])
    return changed


def _folded(
    layer: "keras.layers.Layer",
    weights: Sequence[np.ndarray],
    factor: np.ndarray,
    shift: np.ndarray,
    order: np.ndarray,
    text: str,
) -> List[np.ndarray]:
    """Return the weights of a layer for pixels in [0, 1]; `order` has the picture's channel for each of the layer's."""
    kind = type(layer).__name__
    moved = not np.array_equal(order, np.arange(len(order)))
    if moved and kind in ("DepthwiseConv2D", "BatchNormalization"):
        raise InputError(
            f"--pixels {text}: layer {layer.name} ({kind}) keeps the channels apart, and they cannot change their "
            "order in it: begin with a convolution over all channels"
        )
    exact = [np.asarray(array, np.float64) for array in weights]
    if kind == "BatchNormalization":
        return _normalising(layer, exact, factor, shift)
    if kind == "Dense":  # of a flattened picture, or of the means of its channels
        kernel = exact[0].reshape(-1, len(order), exact[0].shape[-1])
        bias = exact[1] + np.einsum("pcu,c->u", kernel, shift)
        return [_moved(kernel * factor[:, None], 1, order).reshape(exact[0].shape), bias]
    kernel = exact[0]  # (height, width, channels, filters or multiplier)
    sums = kernel.sum((0, 1)) * shift[:, None]
    scaled = _moved(kernel * factor[:, None], 2, order)
    if kind == "Conv2D":
        return [scaled, exact[1] + sums.sum(0)]
    if kind == "DepthwiseConv2D":
        return [scaled, exact[1] + sums.ravel()]
    pointwise = exact[1]  # (1, 1, channels × multiplier, filters)
    parts = pointwise.reshape(len(order), -1, pointwise.shape[-1])
    bias = exact[2] + np.einsum("cm,cmf->f", sums, parts)
    return [scaled, _moved(parts, 0, order).reshape(pointwise.shape), bias]


def _normalising(
    layer: "keras.layers.Layer", weights: List[np.ndarray], factor: np.ndarray, shift: np.ndarray
) -> List[np.ndarray]:
    """Return gamma, beta, mean and variance: with (a x + b − μ) / √(σ² + ε), x has the mean (μ − b) / a."""
    *learnt, mean, variance = weights
    if layer.scale:
        return [learnt[0] * factor, *learnt[1:], (mean - shift) / factor, variance]
    wide = (variance + layer.epsilon) / factor**2 - layer.epsilon
    if np.any(wide < 0):
        raise InputError(f"--pixels: layer {layer.name} (BatchNormalization) has too small a variance to be scaled")
    return [*learnt, (mean - shift) / factor, wide]


def _moved(kernel: np.ndarray, axis: int, order: np.ndarray) -> np.ndarray:
    """Put what belongs to each of the network's channels where the picture has that channel."""
    return np.take(kernel, np.argsort(order), axis)
