"""Currents of populations, and values of re-indexing layers, with TensorFlow.

The toolbox uses the same operations of Keras. Other operations would round differently and shift some spikes. To
simulate a layer kind, add its function to `CURRENTS`, or to `REINDEXED` if it has no neurons.
"""

from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type

import numpy as np
import tensorflow as tf

from snnb.network.geometry import Shape
from snnb.network.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Layer,
    MaxPooling2D,
    Permute,
    Reindexing,
    Reshape,
    Scale,
    ZeroPadding2D,
)
from snnb.network.network import Population, Reindexed


def padded(x: np.ndarray, batch: int) -> np.ndarray:
    """Add samples of zeros to `x`, shape `(samples, ...)`, until it has `batch` samples."""
    return np.concatenate([x, np.zeros((batch - len(x), *x.shape[1:]), x.dtype)])


# TensorFlow does not support all strides with dilations: a convolution with strides of 1 is computed and subsampled.
def _convolution(layer: Conv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    (rows, columns), padding, dilations = layer.strides, layer.padding.upper(), layer.dilation_rate
    if max(rows, columns) > 1 and max(dilations) > 1:
        return tf.nn.convolution(x, kernel, (1, 1), padding, dilations=dilations)[:, ::rows, ::columns]
    return tf.nn.convolution(x, kernel, (rows, columns), padding, dilations=dilations)


def _depthwise(layer: DepthwiseConv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    (rows, columns), padding, dilations = layer.strides, layer.padding.upper(), layer.dilation_rate
    if rows != columns or (rows > 1 and max(dilations) > 1):
        return tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), padding, dilations=dilations)[:, ::rows, ::columns]
    return tf.nn.depthwise_conv2d(x, kernel, (1, rows, columns, 1), padding, dilations=dilations)


# By layer kind: function of the layer, its input `(samples, ...)` and its kernel that returns the current without bias.
CURRENTS: Mapping[Type[Layer], Callable[..., tf.Tensor]] = {
    Dense: lambda layer, x, kernel: tf.matmul(x, kernel) if x.shape.rank == 2 else tf.tensordot(x, kernel, 1),
    Scale: lambda layer, x, kernel: x * tf.reshape(kernel, (*(x.shape[1:-1] if layer.by_position else ()), -1)),
    Conv2D: _convolution,
    DepthwiseConv2D: _depthwise,
    AveragePooling2D: lambda layer, x, _: tf.nn.avg_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper()),
}


def largest(layer: MaxPooling2D, values: tf.Tensor) -> tf.Tensor:
    """Return the largest value in each window."""
    return tf.nn.max_pool2d(values, layer.pool_size, layer.strides, layer.padding.upper())


def leading_spikes(layer: MaxPooling2D, accumulated: tf.Tensor, spikes: tf.Tensor) -> tf.Tensor:
    """Return the present spike of each window's input that has accumulated most so far; the first of several."""
    _, leader = tf.nn.max_pool_with_argmax(accumulated, layer.pool_size, layer.strides, layer.padding.upper())
    batch = tf.shape(spikes)[0]
    passed = tf.gather(tf.reshape(spikes, (batch, -1)), tf.reshape(leader, (batch, -1)), batch_dims=1)
    return tf.reshape(passed, leader.shape)


def _cropped(layer: Cropping2D, shape: Shape, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    (top, _), (left, _) = layer.cropping
    height, width, _ = shape
    return inputs[0][:, top : top + height, left : left + width]


# By re-indexing layer kind: function of the layer, the shape of its output and its inputs `(samples, ...)`.
REINDEXED: Mapping[Type[Reindexing], Callable[..., tf.Tensor]] = {
    Flatten: lambda layer, shape, inputs: tf.reshape(inputs[0], (-1, *shape)),
    Reshape: lambda layer, shape, inputs: tf.reshape(inputs[0], (-1, *shape)),
    Permute: lambda layer, shape, inputs: tf.transpose(inputs[0], (0, *layer.dims)),
    Concatenate: lambda layer, shape, inputs: tf.concat(inputs, layer.along(len(shape)) + 1),
    ZeroPadding2D: lambda layer, shape, inputs: tf.pad(inputs[0], [(0, 0), *layer.padding, (0, 0)]),
    Cropping2D: _cropped,
}


def reindexed(volume: Reindexed, tensors: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return the values of a volume without neurons, given the values of the volumes that it reads, by name."""
    return REINDEXED[type(volume.layer)](volume.layer, volume.shape, [tensors[name] for name in volume.inputs])


class Currents:
    """Computes currents of populations; their weights are held as tensors of the number type `real`."""

    def __init__(self, populations: Sequence[Population], real: Type["np.floating[Any]"] = np.float32) -> None:
        self._kernels: Dict[str, List[Optional[tf.Tensor]]] = {
            population.name: [None if p.kernel is None else tf.constant(p.kernel, real) for p in population.projections]
            for population in populations
        }
        self._biases = {p.name: tf.constant(p.bias, real) for p in populations if p.bias is not None}

    def of(
        self,
        population: Population,
        read: Mapping[str, tf.Tensor],
        delayed: Mapping[Tuple[str, int], tf.Tensor] = MappingProxyType({}),
    ) -> tf.Tensor:
        """Sum the currents of a population's projections, and add its bias: `real` (samples, *population.shape).

        `read` has the values of volumes by name, `real` (samples, ...); `delayed` has values of earlier steps by name
        and delay. Projections from other volumes are ignored.
        """
        kernels = zip(population.projections, self._kernels[population.name])
        values = {**{(name, 0): value for name, value in read.items()}, **delayed}
        first, *others = (
            CURRENTS[type(p.layer)](p.layer, values[p.source], k) for p, k in kernels if p.source in values
        )
        for current in others:
            first += current
        bias = self._biases.get(population.name)
        if bias is None:
            return first
        return tf.nn.bias_add(first, bias) if bias.shape.rank == 1 else first + bias
