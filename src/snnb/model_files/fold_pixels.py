"""Fold the preprocessing that a trained network expects into its first layers.

The network that results takes pixels in [0, 1].

A pixel x of channel c in [0, 1] becomes a_c x + b_c. A layer of weighted sums w
· (a x + b) computes the same from x with the weights a w and the additional bias Σ w b.
Zeros that a layer pads are no pixels: before it, a batch normalisation subtracts the
pixel -b / a, which becomes 0; then the weights are a w.

The presets of `--pixels` are the modes of
`keras.applications.imagenet_utils.preprocess_input`. Pixels are 0 to 255:

- `caffe`: blue, green, red; less the mean of ImageNet (103.939, 116.779, 123.68); not
  divided.
- `torch`: to [0, 1], less the mean (0.485, 0.456, 0.406), divided by (0.229, 0.224,
  0.225), as torchvision's networks.
- `tf`: to [-1, 1].
"""

import re
from dataclasses import dataclass, replace
from typing import Callable, Dict, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Say
from snnb.network.geometry import (
    Shape,
    weights_by_channel,
    weights_by_filter,
    window_zeros,
)
from snnb.network.layers import (
    BatchNormalization,
    Conv2D,
    Convolution2D,
    DepthwiseConv2D,
    KerasLayer,
)
from snnb.network.trained import TrainedLayer, TrainedNetwork

Weights = Dict[str, np.ndarray]  # float64, by Keras's name
WEIGHTED = (
    "BatchNormalization",
    "Conv2D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "Dense",
)
# Layers that commute with scaling each channel by a positive number.
PASSING = ("AveragePooling2D", "Flatten", "GlobalAveragePooling2D", "MaxPooling2D")

MEAN = "_less_mean"  # end of the names of batch normalisations that subtract a pixel
AS_THEY_ARE = "0-1"
# Of float arrays: the values that the model in the file reads, without an option
RAW = "raw"
_MEAN_AND_STD = re.compile(r"mean=(?P<mean>[-+.\deE,]+),std=(?P<std>[-+.\deE,]+)")


@dataclass(frozen=True, eq=False)
class Pixels:
    """Affine change from pixels to the input of a network: `factor * x + shift`."""

    factor: np.ndarray  # float64, shape (1,) or (channels,), as `shift`
    shift: np.ndarray
    reversed: bool = False  # whether the network's channels are blue, green, red
    # Preprocessing layers of the model that make the change, for messages
    layers: str = ""

    @classmethod
    def standardised(cls, mean: Sequence[float], std: Sequence[float]) -> "Pixels":
        """Return pixels less a mean, divided by a standard deviation."""
        return cls(1 / np.array(std), -np.array(mean) / np.array(std))

    def reorder(self, array: np.ndarray, axis: int) -> np.ndarray:
        """Return an array with the channels along an axis in the order of pixels."""
        return np.flip(array, axis) if self.reversed else array


_PRESETS = {
    AS_THEY_ARE: Pixels(np.ones(1), np.zeros(1)),
    "0-255": Pixels(np.array([255.0]), np.zeros(1)),
    "tf": Pixels(np.array([2.0]), np.array([-1.0])),
    "torch": Pixels.standardised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Pixels(
        np.array([255.0]),
        np.array([-103.939, -116.779, -123.68]),
        reversed=True,
    ),
}


def parse_pixels(text: str) -> Pixels:
    """Read a pixel range as a change of pixels in [0, 1].

    It is `caffe`, `torch`, `tf`, `0-1`, `0-255`, or `mean=0.5,std=0.5` with one number
    or one for each channel.

    Mean and standard deviation refer to pixels in [0, 1], as in torchvision's
    `Normalize`. Raise `ValueError` for a text of another form.
    """
    if text in _PRESETS:
        return _PRESETS[text]
    match = _MEAN_AND_STD.fullmatch(text)
    if match is None:
        presets = ", ".join(_PRESETS)
        raise ValueError(
            f"{text!r} is none of {presets}, and not like mean=0.5,std=0.25"
        )
    mean = [float(number) for number in match["mean"].split(",")]
    std = [float(number) for number in match["std"].split(",")]
    if not 0 < min(std) <= max(std) < np.inf:
        raise ValueError(f"{text!r}: a standard deviation is above 0")
    if 1 not in (len(mean), len(std)) and len(mean) != len(std):
        raise ValueError(
            f"{text!r} has {len(mean)} means and {len(std)} standard deviations"
        )
    if max(map(abs, mean)) > 1:
        raise ValueError(
            f"{text!r}: mean and std refer to pixels in [0, 1]; divide both by 255"
        )
    return Pixels.standardised(mean, std)


def fold_pixels(
    network: TrainedNetwork,
    text: Optional[str],
    warn: Say,
    preprocessing: Optional[Pixels] = None,
) -> TrainedNetwork:
    """Return a network with pixels in [0, 1] that has the same outputs.

    `text` is the pixel range of `network`, see `parse_pixels`; None: the range
    that the preprocessing takes, without preprocessing [0, 1]; `RAW`: the pixels of the
    returned network. `preprocessing` is the change by the layers that were removed from
    the network; `warn` is called with a message that names them. A layer that weighs
    pixels gets a bias if it has none. A batch normalisation that subtracts the pixel of
    value 0 is put before a layer that pads with zeros.

    Raise `InputError` if the channels do not fit, a layer that reads the input cannot
    take the change, or the preprocessing takes other pixels; the message names it.
    """
    origin, pixels = _combine(text, warn, preprocessing)
    scales = not np.allclose(pixels.factor, 1, atol=1e-6)
    shifts = not np.allclose(pixels.shift, 0, atol=1e-6)
    if not (pixels.reversed or scales or shifts):
        return network
    channels = network.input.shape[-1]
    lengths = {1, channels, len(pixels.factor), len(pixels.shift)}
    if len(lengths) > (1 if channels == 1 else 2):
        raise InputError(
            f"{origin} does not apply to this model, which takes {channels} channels"
        )
    factor = np.broadcast_to(pixels.factor, (channels,))
    shift = np.broadcast_to(pixels.shift, (channels,))
    pixels = replace(pixels, factor=factor, shift=shift)
    readers = _find_readers(network, origin)
    padding_names: Set[str] = set()  # of layers that need pixels whose 0 is a zero
    if shift.any():
        padding_names = {name for name in readers.values() if name is not None}
    layers: Dict[str, TrainedLayer] = {}
    for layer in network.layers:
        if layer.name in padding_names:
            [source_name] = layer.inputs
            normalisation = _subtract_mean(layer.name, layers[source_name], pixels)
            layers[normalisation.name] = normalisation
            layer = replace(layer, inputs=(normalisation.name,))
        if layer.name in readers:
            layer_pixels = pixels
            if readers[layer.name] in padding_names:
                layer_pixels = replace(pixels, shift=np.zeros(channels))
            layer = _fold(layer, layer_pixels, origin)
        layers[layer.name] = layer
    return replace(network, layers=tuple(layers.values()))


def _subtract_mean(name: str, source: TrainedLayer, pixels: Pixels) -> TrainedLayer:
    """Return the layer that subtracts the pixel of value 0, before a layer `name`."""
    kind = BatchNormalization(center=False, scale=False)
    mean = -pixels.shift / pixels.factor
    if pixels.reversed:
        mean = mean[::-1]
    weights = {
        "moving_mean": mean.astype(np.float32),
        "moving_variance": np.full(mean.size, 1 - kind.epsilon, np.float32),
    }
    return TrainedLayer.reading(f"{name}{MEAN}", kind, [source], weights)


def _combine(
    text: Optional[str],
    warn: Say,
    preprocessing: Optional[Pixels],
) -> Tuple[str, Pixels]:
    """Return the change of pixels in [0, 1], and its name for messages.

    `--pixels` and the model's own layers make it.
    """
    if preprocessing is None:
        pixel_range = text or AS_THEY_ARE
        if text == RAW:
            pixel_range = AS_THEY_ARE
        return f"--pixels {text}", parse_pixels(pixel_range)
    layers = preprocessing.layers
    factor = preprocessing.factor
    shift = preprocessing.shift
    # Of pixels in [0, 1], a factor below 0.2 would leave nearly nothing, and the pixel
    # that becomes 0 is at most 1.
    takes_bytes = factor.max() < 0.2 or (-shift / factor).max() > 1.5
    expected_range = "0-255" if takes_bytes else AS_THEY_ARE
    folding = f"{layers}: folded into the first weights"
    if text == RAW:
        warn(f"{folding}; the model takes the values of the arrays")
        return layers, preprocessing
    if text is None:
        warn(f"{folding}; the model takes pixels of {expected_range}")
    elif text not in (AS_THEY_ARE, "0-255") or (takes_bytes and text == AS_THEY_ARE):
        raise InputError(
            f"--pixels {text}: the model has {layers}, which takes pixels of "
            f"{expected_range}; omit --pixels"
        )
    range_factor = parse_pixels(text or expected_range).factor
    return layers, Pixels(factor * range_factor, shift)


def _find_readers(network: TrainedNetwork, origin: str) -> Dict[str, Optional[str]]:
    """Return the layers that weigh the input, by name.

    With each stands the name of the first layer before it that pads with zeros, or its
    own if it pads itself; None without padding.
    """
    shapes = {layer.name: layer.shape for layer in network.layers}
    # Layers whose values are pixels, with the first layer on the way that pads
    pixel_layers: Dict[str, Optional[str]] = {network.input.name: None}
    readers: Dict[str, Optional[str]] = {}
    for layer in network.layers[1:]:
        sources = [name for name in layer.inputs if name in pixel_layers]
        if not sources:
            continue
        padding_name = pixel_layers[sources[0]]
        if layer.kind in PASSING:
            pixel_layers[layer.name] = padding_name
        elif layer.kind == "ZeroPadding2D":
            pixel_layers[layer.name] = padding_name or layer.name
        elif layer.kind in WEIGHTED:
            if padding_name is None and _pads(layer, shapes[sources[0]]):
                padding_name = layer.name
            readers[layer.name] = padding_name
        else:
            raise InputError(
                f"{origin}: layer {layer.label} reads the input, and has no weights "
                "into which the pixel scaling can be folded: begin with a convolution, "
                "a dense layer or a batch normalisation",
            )
    return readers


def _pads(layer: TrainedLayer, shape: Shape) -> bool:
    """Return whether a layer pads an input of a shape with zeros."""
    kind = layer.layer
    if not isinstance(kind, Convolution2D):
        return False
    zeros = window_zeros(
        shape,
        kind.kernel_size,
        kind.strides,
        kind.dilation_rate,
        kind.padding,
    )
    return bool(np.any(zeros))


def _fold(layer: TrainedLayer, pixels: Pixels, origin: str) -> TrainedLayer:
    """Return a layer with weights for pixels in [0, 1].

    The change of `pixels` has a number for each channel.
    """
    if pixels.reversed and _separates_channels(layer.layer):
        raise InputError(
            f"{origin}: layer {layer.label} processes channels separately, so they "
            "cannot be reordered: begin with a convolution over all channels",
        )
    weights: Weights = {}
    for name, array in layer.weights.items():
        weights[name] = np.asarray(array, np.float64)
    kind = layer.layer
    if isinstance(kind, BatchNormalization):
        weights = _fold_into_normalisation(weights, pixels, kind)
        if not kind.scale and np.any(weights["moving_variance"] < 0):
            raise InputError(
                f"{origin}: layer {layer.label} has a variance too small to be scaled"
            )
    else:
        bias = weights.pop("bias", np.zeros(1))
        if isinstance(kind, Conv2D) and kind.groups > 1:
            sums = _fold_into_groups(weights, pixels, kind.groups)
        else:
            sums = _FOLDS[layer.kind](weights, pixels)
        weights["bias"] = bias + sums
        kind = kind.model_copy(update={"use_bias": True})
    float32_weights: Weights = {}
    for name, array in weights.items():
        with np.errstate(over="ignore"):
            float32_weights[name] = array.astype(np.float32)
        if not np.isfinite(float32_weights[name]).all():
            raise InputError(
                f"{origin}: the {name} of layer {layer.label} is too large for float32 "
                "when the pixel scaling is folded into it",
            )
    return replace(layer, layer=kind, weights=float32_weights)


def _separates_channels(layer: KerasLayer) -> bool:
    """Whether an output of a layer reads some channels of its input only."""
    if isinstance(layer, Conv2D):
        return layer.groups > 1
    return isinstance(layer, (DepthwiseConv2D, BatchNormalization))


def _fold_into_normalisation(
    weights: Weights,
    pixels: Pixels,
    layer: BatchNormalization,
) -> Weights:
    """Return the weights of a batch normalisation of pixels in [0, 1].

    With (a x + b - μ) / √(σ² + ε), x has the mean (μ - b) / a. A variance is negative
    if it is too small.
    """
    result = dict(weights)
    mean = weights["moving_mean"]
    # The numbers of channels at each position, if it is over flattened pictures
    factor = np.resize(pixels.factor, mean.shape)
    shift = np.resize(pixels.shift, mean.shape)
    result["moving_mean"] = (mean - shift) / factor
    if layer.scale:
        result["gamma"] = weights["gamma"] * factor
    else:
        variance = weights["moving_variance"] + layer.epsilon
        result["moving_variance"] = variance / factor**2 - layer.epsilon
    return result


def _fold_into_dense(weights: Weights, pixels: Pixels) -> np.ndarray:
    """Change the kernel of a dense layer; return the sums that its bias gets.

    The layer reads a flattened picture, or the means of its channels.
    """
    kernel = weights["kernel"]
    channel_kernel = kernel.reshape(-1, len(pixels.factor), kernel.shape[-1])
    scaled_kernel = channel_kernel * pixels.factor[:, np.newaxis]
    weights["kernel"] = pixels.reorder(scaled_kernel, 1).reshape(kernel.shape)
    return np.einsum("pcu,c->u", channel_kernel, pixels.shift)


def _fold_into_convolution(weights: Weights, pixels: Pixels) -> np.ndarray:
    """Change the kernel of a convolution; return the sums that its bias gets."""
    return _fold_into_kernel(weights, "kernel", pixels).sum(0)


def _fold_into_groups(weights: Weights, pixels: Pixels, groups: int) -> np.ndarray:
    """Change the kernel of a grouped convolution; see `_fold_into_convolution`.

    The channels are not reordered.
    """
    kernel = weights_by_channel(weights["kernel"], groups)
    scaled_kernel = kernel * pixels.factor[:, np.newaxis]
    weights["kernel"] = weights_by_filter(scaled_kernel, groups)
    sums = kernel.sum((0, 1)) * pixels.shift[:, np.newaxis]
    return sums.reshape(groups, -1, sums.shape[-1]).sum(axis=1).ravel()


def _fold_into_depthwise(weights: Weights, pixels: Pixels) -> np.ndarray:
    """Change the kernel of a depthwise convolution; see `_fold_into_convolution`."""
    return _fold_into_kernel(weights, "depthwise_kernel", pixels).ravel()


def _fold_into_separable(weights: Weights, pixels: Pixels) -> np.ndarray:
    """Change the kernels of a separable convolution; see `_fold_into_convolution`."""
    sums = _fold_into_kernel(weights, "depthwise_kernel", pixels)
    pointwise = weights["pointwise_kernel"]  # (1, 1, channels × multiplier, filters)
    parts = pointwise.reshape(len(pixels.factor), -1, pointwise.shape[-1])
    reordered_parts = pixels.reorder(parts, 0)
    weights["pointwise_kernel"] = reordered_parts.reshape(pointwise.shape)
    return np.einsum("cm,cmf->f", sums, parts)


def _fold_into_kernel(weights: Weights, name: str, pixels: Pixels) -> np.ndarray:
    """Scale a kernel (height, width, channels, filters or multiplier).

    Return the sums of its taps times the shift: (channels, filters or multiplier).
    """
    kernel = weights[name]
    factor = pixels.factor[:, np.newaxis]
    weights[name] = pixels.reorder(kernel * factor, 2)
    return kernel.sum((0, 1)) * pixels.shift[:, np.newaxis]


# The function that folds a change of pixels into the weights of a layer, by its kind
_FOLDS: Mapping[str, Callable[[Weights, Pixels], np.ndarray]] = {
    "Conv2D": _fold_into_convolution,
    "Dense": _fold_into_dense,
    "DepthwiseConv2D": _fold_into_depthwise,
    "SeparableConv2D": _fold_into_separable,
}
