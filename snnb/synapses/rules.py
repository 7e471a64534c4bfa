"""One rule per layer type: how a layer connects two volumes of neurons. Those that only re-index: `reindex.py`.

Rules read the layer's configuration alone, so that a model without a rule for one of its layers is refused before any
weight is read.
"""

from dataclasses import dataclass
from typing import Callable, Dict, Mapping, Optional, Tuple

import numpy as np

from snnb.errors import InputError
from snnb.synapses.parsed_model import Layer
from snnb.synapses.stencil import Axis, repeated_axis, transposed_axis, whole_axis, window_axis

Shape = Tuple[int, ...]
POOL_WEIGHTS = ("one", "mean")
LONGEST = 1 << 31  # of an axis, a kernel, a stride
PADDING = -1  # what stands in an array of node ids where there is no neuron


@dataclass(frozen=True)
class Connection:
    """How a spiking layer's neurons are computed from an input volume `(rows, columns, channels)`.

    Output (r', c', f) is connected to input (r, c, k) for every triple (r, r', i) of `rows` and (c, c', j) of
    `columns`, and for the channels that `pairing` names.

    Attributes
    ----------
    rule : str
        The Keras class of the layer.
    geometry : mapping
        Kernel size, strides and so on as the layer states them, for people to read.
    rows, columns : Axis
    channels, filters : int
        Length of the last axis of the input and of the output volume.
    pairing : {"dense", "diagonal"}
        Dense: every channel k meets every filter f. Diagonal: channel k meets the filters from k·m to
        k·m + m − 1, where m = filters / channels.
    weighting : {"kernel", "one", "mean"}
        The weight is kernel[i, j, k, f] (diagonal: kernel[i, j, k, f mod m]); or 1; or 1 / (taps in the window).
    shape : tuple of int
        The output volume in the layer's own shape.
    kernel : str or None
        The array of the layer's weights that becomes the kernel.
    transposed : bool
        Whether that array has its last two axes the other way round.
    """

    rule: str
    geometry: Mapping[str, object]
    rows: Axis
    columns: Axis
    channels: int
    filters: int
    pairing: str
    weighting: str
    shape: Shape
    kernel: Optional[str] = None
    transposed: bool = False

    @property
    def input_volume(self) -> Tuple[int, int, int]:
        return self.rows.size, self.columns.size, self.channels

    @property
    def output_volume(self) -> Tuple[int, int, int]:
        return self.rows.outputs, self.columns.outputs, self.filters

    @property
    def multiplier(self) -> int:
        """How many filters one channel meets."""
        return self.filters if self.pairing == "dense" else self.filters // self.channels

    @property
    def kernel_shape(self) -> Tuple[int, int, int, int]:
        return self.rows.taps, self.columns.taps, self.channels, self.multiplier


def dense(layer: Layer, shape: Shape, pool_weight: str) -> Connection:
    """Keras applies Dense to the last axis, whatever stands before it: a 1×1 kernel over the leading positions."""
    units = _count(layer, "units")
    columns = whole_axis(int(np.prod(shape[:-1], dtype=np.int64)))
    return Connection(
        "Dense",
        {"units": units},
        whole_axis(1),
        columns,
        shape[-1],
        units,
        "dense",
        "kernel",
        (*shape[:-1], units),
        "kernel",
    )


def conv1d(layer: Layer, shape: Shape, pool_weight: str) -> Connection:
    steps, channels = _volume(layer, shape, 2)
    geometry = _geometry(layer, "kernel_size", "strides", "dilation_rate", "padding")
    columns = window_axis(
        steps,
        _single(layer, "kernel_size"),
        _single(layer, "strides"),
        _single(layer, "dilation_rate"),
        _padding(layer),
    )
    filters = _count(layer, "filters")
    shape = (columns.outputs, filters)
    return Connection("Conv1D", geometry, whole_axis(1), columns, channels, filters, "dense", "kernel", shape, "kernel")


def conv2d(layer: Layer, shape: Shape, pool_weight: str) -> Connection:
    rows, columns, channels, geometry = _windows(layer, shape, "kernel_size")
    filters = _count(layer, "filters")
    shape = (rows.outputs, columns.outputs, filters)
    return Connection("Conv2D", geometry, rows, columns, channels, filters, "dense", "kernel", shape, "kernel")


def depthwise_conv2d(layer: Layer, shape: Shape, pool_weight: str) -> Connection:
    rows, columns, channels, geometry = _windows(layer, shape, "kernel_size")
    filters = channels * _count(layer, "depth_multiplier")
    shape = (rows.outputs, columns.outputs, filters)
    return Connection(
        "DepthwiseConv2D", geometry, rows, columns, channels, filters, "diagonal", "kernel", shape, "depthwise_kernel"
    )


def conv2d_transpose(layer: Layer, shape: Shape, pool_weight: str) -> Connection:
    height, width, channels = _volume(layer, shape, 3)
    padding = _padding(layer)
    extra = _extra(layer)
    axes = []
    for size, kernel, stride, dilation, more in zip(
        (height, width), _pair(layer, "kernel_size"), _pair(layer, "strides"), _pair(layer, "dilation_rate"), extra
    ):
        outputs = _transposed_length(size, kernel, stride, dilation, padding, more)
        try:
            axes.append(transposed_axis(size, outputs, kernel, stride, dilation, padding))
        except ValueError as error:
            raise InputError(f"layer {layer.name}: {error}; check its output_padding") from error
    filters = _count(layer, "filters")
    geometry = _geometry(layer, "kernel_size", "strides", "dilation_rate", "padding", "output_padding")
    shape = (axes[0].outputs, axes[1].outputs, filters)
    return Connection(
        "Conv2DTranspose",
        geometry,
        axes[0],
        axes[1],
        channels,
        filters,
        "dense",
        "kernel",
        shape,
        "kernel",
        transposed=True,
    )


def average_pooling2d(layer: Layer, shape: Shape, pool_weight: str) -> Connection:
    return _pooling(layer, shape, pool_weight)


def max_pooling2d(layer: Layer, shape: Shape, pool_weight: str) -> Connection:
    """A maximum has no weights and no mean: its edges weigh 1 whatever `pool_weight` says."""
    return _pooling(layer, shape, "one")


def upsampling2d(layer: Layer, shape: Shape, pool_weight: str) -> Connection:
    height, width, channels = _volume(layer, shape, 3)
    if layer.config.get("interpolation", "nearest") != "nearest":
        raise InputError(
            f"layer {layer.name}: only nearest-neighbour interpolation has a rule; the layer mixes its neighbours"
        )
    factors = _pair(layer, "size")
    rows, columns = (repeated_axis(size, factor) for size, factor in zip((height, width), factors))
    shape = (rows.outputs, columns.outputs, channels)
    return Connection("UpSampling2D", {"size": factors}, rows, columns, channels, channels, "diagonal", "one", shape)


CONNECTING: Dict[str, Callable[[Layer, Shape, str], Connection]] = {
    "Dense": dense,
    "Conv1D": conv1d,
    "Conv2D": conv2d,
    "DepthwiseConv2D": depthwise_conv2d,
    "Conv2DTranspose": conv2d_transpose,
    "AveragePooling2D": average_pooling2d,
    "MaxPooling2D": max_pooling2d,
    "UpSampling2D": upsampling2d,
}


def _windows(layer: Layer, shape: Shape, kernel: str) -> Tuple[Axis, Axis, int, Dict[str, object]]:
    height, width, channels = _volume(layer, shape, 3)
    padding = _padding(layer)
    dilations = _pair(layer, "dilation_rate") if "dilation_rate" in layer.config else (1, 1)
    rows, columns = (
        window_axis(size, taps, stride, dilation, padding)
        for size, taps, stride, dilation in zip(
            (height, width), _pair(layer, kernel), _pair(layer, "strides"), dilations
        )
    )
    return rows, columns, channels, _geometry(layer, kernel, "strides", "dilation_rate", "padding")


def _pooling(layer: Layer, shape: Shape, weighting: str) -> Connection:
    rows, columns, channels, geometry = _windows(layer, shape, "pool_size")
    shape = (rows.outputs, columns.outputs, channels)
    return Connection(layer.kind, geometry, rows, columns, channels, channels, "diagonal", weighting, shape)


def _transposed_length(size: int, kernel: int, stride: int, dilation: int, padding: str, extra: Optional[int]) -> int:
    """Length of a transposed convolution's output (Keras, `deconv_output_length`)."""
    reach = (kernel - 1) * dilation + 1
    if extra is not None:
        pad = reach // 2 if padding == "same" else 0
        return (size - 1) * stride + reach - 2 * pad + extra
    return size * stride if padding == "same" else size * stride + max(reach - stride, 0)


def _extra(layer: Layer) -> Tuple[Optional[int], Optional[int]]:
    extra = layer.config.get("output_padding")
    if extra is None:
        return None, None
    first, second = extra
    if not all(type(value) is int and 0 <= value <= LONGEST for value in (first, second)):
        raise InputError(f"layer {layer.name}: output_padding is {extra!r}, which is no pair of whole numbers")
    return first, second


def _volume(layer: Layer, shape: Shape, axes: int) -> Shape:
    channels_last(layer)
    if len(shape) != axes:
        raise InputError(f"layer {layer.name} is fed a tensor of shape {shape}; {layer.kind} takes {axes} axes")
    if layer.config.get("groups", 1) != 1:
        raise InputError(f"layer {layer.name} is a grouped convolution, which has no rule")
    return shape


def channels_last(layer: Layer) -> None:
    """Raise `InputError` unless the layer keeps its channels last."""
    if layer.config.get("data_format", "channels_last") != "channels_last":
        raise InputError(f"layer {layer.name} keeps channels first; build the model with channels last")


def _padding(layer: Layer) -> str:
    padding = layer.config["padding"]
    allowed = ("valid", "same", "causal") if layer.kind == "Conv1D" else ("valid", "same")
    if padding not in allowed:
        raise InputError(f"layer {layer.name}: padding {padding!r} has no rule; use one of {', '.join(allowed)}")
    return padding


def _pair(layer: Layer, key: str) -> Tuple[int, int]:
    first, second = (_positive(layer, key, value) for value in layer.config[key])
    return first, second


def _single(layer: Layer, key: str) -> int:
    value = layer.config[key]
    return _positive(layer, key, value if isinstance(value, int) else value[0])


def _count(layer: Layer, key: str) -> int:
    return _positive(layer, key, layer.config[key])


def _positive(layer: Layer, key: str, value: object) -> int:
    if type(value) is not int or not 1 <= value <= LONGEST:
        raise InputError(f"layer {layer.name}: {key} is {value!r}, which is no whole number from 1 to {LONGEST}")
    return value


def _geometry(layer: Layer, *keys: str) -> Dict[str, object]:
    return {key: layer.config[key] for key in keys if layer.config.get(key) is not None}
