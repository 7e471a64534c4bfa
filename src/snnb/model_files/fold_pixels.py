"""Fold the preprocessing that a trained network expects into its first layers, so that it takes pixels in [0, 1].

A pixel x of channel c in [0, 1] becomes a_c x + b_c. A layer of weighted sums w · (a x + b) computes the same from x
with the weights a w and the additional bias Σ w b. Zeros that a layer pads are no pixels: before it, a batch
normalisation subtracts the pixel -b / a, which becomes 0; then the weights are a w.

The presets of `--pixels` are the modes of `keras.applications.imagenet_utils.preprocess_input`. Pixels are 0 to 255:

- `caffe`: blue, green, red; less the mean of ImageNet (103.939, 116.779, 123.68); not divided.
- `torch`: to [0, 1], less the mean (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225), as torchvision's networks.
- `tf`: to [-1, 1].
"""

import re
from dataclasses import dataclass, replace
from typing import Dict, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Say
from snnb.network.geometry import window_zeros
from snnb.network.layers import BatchNormalization, Convolution2D
from snnb.network.trained import TrainedLayer, TrainedNetwork

WEIGHTED = ("BatchNormalization", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense")
# Layers that commute with scaling each channel by a positive number.
PASSING = ("AveragePooling2D", "Flatten", "GlobalAveragePooling2D", "MaxPooling2D")

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
    network: TrainedNetwork, text: Optional[str], warn: Say, preprocessing: Optional[Pixels] = None
) -> TrainedNetwork:
    """Return a network with pixels in [0, 1] that has the outputs of the given network with its pixels.

    `text` is the pixel range of the given network, see `parse_pixels`; None: the range that the preprocessing takes,
    without preprocessing [0, 1]; `RAW`: the pixels of the returned network. `preprocessing` is the change by the layers
    that were removed from the network; `warn` is called with a message that names them. A layer that weighs pixels gets
    a bias if it has none. A batch normalisation that subtracts the pixel of value 0 is put before a layer that pads
    with zeros.

    Raise `InputError` if the channels do not fit, a layer that reads the input cannot take the change, or the
    preprocessing takes other pixels; the message names it.
    """
    origin, pixels = _combined(text, warn, preprocessing)
    factor, shift = pixels.factor, pixels.shift
    if not pixels.reversed and np.allclose(factor, 1, atol=1e-6) and np.allclose(shift, 0, atol=1e-6):
        return network
    channels = network.input.shape[-1]
    if len({1, channels, len(factor), len(shift)}) > (1 if channels == 1 else 2):
        raise InputError(f"{origin} does not apply to this model, which takes {channels} channels")
    factor, shift = (np.broadcast_to(numbers, (channels,)) for numbers in (factor, shift))
    readers = _readers(network, origin)
    padded = {pads for pads in readers.values() if pads is not None} if shift.any() else set()
    layers: Dict[str, TrainedLayer] = {}
    for layer in network.layers:
        if layer.name in padded:
            kind = BatchNormalization(center=False, scale=False)
            mean = (-shift / factor)[:: -1 if pixels.reversed else 1].astype(np.float32)
            moments = {"moving_mean": mean, "moving_variance": np.full(channels, 1 - kind.epsilon, np.float32)}
            [read] = layer.inputs
            shifted = TrainedLayer.reading(f"{layer.name}{MEAN}", kind, [layers[read]], moments)
            layers[shifted.name] = shifted
            layer = replace(layer, inputs=(shifted.name,))
        if layer.name in readers:
            rest = np.zeros(channels) if readers[layer.name] in padded else shift
            layer = _folded(layer, Pixels(factor, rest, pixels.reversed), origin)
        layers[layer.name] = layer
    return replace(network, layers=tuple(layers.values()))


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


def _readers(network: TrainedNetwork, origin: str) -> Dict[str, Optional[str]]:
    """Return the layers that weigh the input, each with the name of the first layer before it that pads, or its own."""
    shapes = {layer.name: layer.shape for layer in network.layers}
    passing: Dict[str, Optional[str]] = {network.input.name: None}  # layers of pixels, with the first one that pads
    readers: Dict[str, Optional[str]] = {}
    for layer in network.layers[1:]:
        sources = [name for name in layer.inputs if name in passing]
        if not sources:
            continue
        pads = passing[sources[0]]
        if layer.kind in PASSING:
            passing[layer.name] = pads
        elif layer.kind == "ZeroPadding2D":
            passing[layer.name] = pads or layer.name
        elif layer.kind in WEIGHTED:
            kind, zeros = layer.layer, ((0, 0), (0, 0))
            if isinstance(kind, Convolution2D):
                shape = shapes[sources[0]]
                zeros = window_zeros(shape, kind.kernel_size, kind.strides, kind.dilation_rate, kind.padding)
            readers[layer.name] = pads or (layer.name if np.any(zeros) else None)
        else:
            raise InputError(
                f"{origin}: layer {layer.label} reads the input, and has no weights into which the pixel scaling can "
                "be folded: begin with a convolution, a dense layer or a batch normalisation"
            )
    return readers


def _folded(layer: TrainedLayer, pixels: Pixels, origin: str) -> TrainedLayer:
    """Return a layer with weights for pixels in [0, 1], whose change has a number for each channel."""
    kind, factor, shift = layer.layer, pixels.factor, pixels.shift
    if pixels.reversed and layer.kind in ("DepthwiseConv2D", "BatchNormalization"):
        raise InputError(
            f"{origin}: layer {layer.label} processes channels separately, so they cannot be reordered: begin with a "
            "convolution over all channels"
        )

    def reordered(kernel: np.ndarray, axis: int) -> np.ndarray:
        return np.flip(kernel, axis) if pixels.reversed else kernel

    weights = {name: np.asarray(array, np.float64) for name, array in layer.weights.items()}
    if isinstance(kind, BatchNormalization):  # with (a x + b - μ) / √(σ² + ε), x has the mean (μ - b) / a
        mean, variance = weights["moving_mean"], weights["moving_variance"]
        factor, shift = np.resize(factor, mean.shape), np.resize(shift, mean.shape)  # at each position if flattened
        weights["moving_mean"] = (mean - shift) / factor
        if kind.scale:
            weights["gamma"] = weights["gamma"] * factor
        else:
            weights["moving_variance"] = (variance + kind.epsilon) / factor**2 - kind.epsilon
            if np.any(weights["moving_variance"] < 0):
                raise InputError(f"{origin}: layer {layer.label} has a variance too small to be scaled")
    else:
        bias = weights.pop("bias", 0.0)
        name = next(iter(weights))
        kernel = weights[name]
        if layer.kind == "Dense":  # of a flattened picture, or of the means of its channels
            by_channel = kernel.reshape(-1, len(factor), kernel.shape[-1])
            weights[name] = reordered(by_channel * factor[:, None], 1).reshape(kernel.shape)
            weights["bias"] = bias + np.einsum("pcu,c->u", by_channel, shift)
        else:  # (height, width, channels, filters or multiplier)
            sums = kernel.sum((0, 1)) * shift[:, None]
            weights[name] = reordered(kernel * factor[:, None], 2)
            if layer.kind == "SeparableConv2D":
                pointwise = weights["pointwise_kernel"]  # (1, 1, channels × multiplier, filters)
                parts = pointwise.reshape(len(factor), -1, pointwise.shape[-1])
                weights["pointwise_kernel"] = reordered(parts, 0).reshape(pointwise.shape)
                weights["bias"] = bias + np.einsum("cm,cmf->f", sums, parts)
            else:
                weights["bias"] = bias + (sums.sum(0) if layer.kind == "Conv2D" else sums.ravel())
        kind = kind.model_copy(update={"use_bias": True})
    with np.errstate(over="ignore"):
        folded = {name: array.astype(np.float32) for name, array in weights.items()}
    for name, array in folded.items():
        if not np.isfinite(array).all():
            raise InputError(
                f"{origin}: the {name} of layer {layer.label} is too large for float32 "
                "when the pixel scaling is folded into it"
            )
    return replace(layer, layer=kind, weights=folded)
