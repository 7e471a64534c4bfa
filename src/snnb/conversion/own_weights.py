"""The numbers of a Keras layer as kernels, bias, and scale and shift."""

from typing import List, Sequence, Tuple

import numpy as np
from tensorflow import keras

from snnb.conversion.kernel import Kernel, Pair, Shape, window


def kernels_of(layer: keras.layers.Layer, position: int) -> List[Kernel]:
    """Return the kernels of a layer with weights: one, or the two of a separable convolution."""
    kind, config = type(layer).__name__, layer.get_config()
    if kind == "Dense":
        return [Kernel("Dense", layer.get_weights()[0], position, config=config)]
    strides, dilation = (_pair(config[key]) for key in ("strides", "dilation_rate"))
    padding = str(config["padding"])
    first, *others = layer.get_weights()
    before = padding_before(layer.input_shape[1:], first.shape[:2], strides, dilation, padding)
    if kind != "SeparableConv2D":
        return [Kernel(kind, first, position, strides, dilation, before, padding, config)]
    depthwise = Kernel("DepthwiseConv2D", first, position, strides, dilation, before, padding)
    return [depthwise, Kernel("Conv2D", others[0], position)]


def padding_before(shape: Shape, size: Pair, strides: Pair, dilation: Pair, padding: str) -> Pair:
    """Return the rows of zeros that a window over an image has above it, and the columns left of it."""
    rows, columns = (window(shape[i], size[i], strides[i], dilation[i], padding)[0] for i in (0, 1))
    return rows, columns


def _pair(values: Sequence[int]) -> Tuple[int, int]:
    first, second = values
    return int(first), int(second)


def bias_of(layer: keras.layers.Layer) -> np.ndarray:
    """Return the bias of a layer with weights, zeros where it has none: float64 `(channels,)`."""
    if layer.use_bias:
        return np.asarray(layer.get_weights()[-1].astype(np.float64))
    return np.zeros(layer.output_shape[-1])


def is_biased(layer: keras.layers.Layer) -> bool:
    """Tell whether a layer adds a bias, be it zero so far."""
    return bool(layer.use_bias)


def normalisation(layer: keras.layers.Layer) -> Tuple[np.ndarray, np.ndarray]:
    """Return what batch normalisation multiplies channels by and then adds: float64 `(channels,)` each."""
    mean, variance = (variable.numpy().astype(np.float64) for variable in (layer.moving_mean, layer.moving_variance))
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * layer.gamma.numpy()
    shift = -mean * scale
    return scale, shift + layer.beta.numpy() if layer.center else shift
