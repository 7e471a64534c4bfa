"""What populations and re-indexing layers compute from what they read, with the operations that the toolbox uses.

These are Keras's own. Other operations would round differently, and a spike count would differ by one here and there.
To simulate a layer kind, add its function to `CURRENTS`, or to `REINDEXED` where it has no neurons.
"""

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Type

import numpy as np
import tensorflow as tf

from snnb.network.layers import AveragePooling2D, Conv2D, Dense, DepthwiseConv2D, Layer, MaxPooling2D
from snnb.network.network import Population, Reindexed
from snnb.network.reindexing import Concatenate, Flatten, Reindexing, Reshape, ZeroPadding2D


def _dense(layer: Dense, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.matmul(x, kernel) if x.shape.rank == 2 else tf.tensordot(x, kernel, 1)


def _convolution(layer: Conv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.convolution(x, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate)


def _depthwise(layer: DepthwiseConv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    strides = (1, *layer.strides, 1)
    return tf.nn.depthwise_conv2d(x, kernel, strides, layer.padding.upper(), dilations=layer.dilation_rate)


def _average(layer: AveragePooling2D, x: tf.Tensor, kernel: None) -> tf.Tensor:
    return tf.nn.avg_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())


def _maximum(layer: MaxPooling2D, x: tf.Tensor, kernel: None) -> tf.Tensor:
    return tf.nn.max_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())


# By layer kind: from the layer, what it reads `(samples, ...)` and its kernel to its current without the bias.
CURRENTS: Mapping[Type[Layer], Callable[..., tf.Tensor]] = {
    Dense: _dense,
    Conv2D: _convolution,
    DepthwiseConv2D: _depthwise,
    AveragePooling2D: _average,
    MaxPooling2D: _maximum,
}


def _leading(layer: MaxPooling2D, accumulated: tf.Tensor, spikes: tf.Tensor) -> tf.Tensor:
    """Return the present spike of each window's input that has accumulated most so far; the first of several."""
    _, leader = tf.nn.max_pool_with_argmax(accumulated, layer.pool_size, layer.strides, layer.padding.upper())
    batch = tf.shape(spikes)[0]
    passed = tf.gather(tf.reshape(spikes, (batch, -1)), tf.reshape(leader, (batch, -1)), batch_dims=1)
    return tf.reshape(passed, leader.shape)


# The kinds whose current in a spiking network depends on what their inputs have accumulated: from the layer, that, and
# what it reads in this step to the current.
ACCUMULATING: Mapping[Type[Layer], Callable[..., tf.Tensor]] = {MaxPooling2D: _leading}


def _reshaped(volume: Reindexed, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.reshape(inputs[0], (-1, *volume.shape))


def _concatenated(volume: Reindexed, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    assert isinstance(volume.layer, Concatenate)
    return tf.concat(inputs, volume.layer.along(len(volume.shape)) + 1)


def _zero_padded(volume: Reindexed, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    assert isinstance(volume.layer, ZeroPadding2D)
    return tf.pad(inputs[0], [(0, 0), *volume.layer.pads(), (0, 0)])


# By re-indexing layer kind: from the volume and what it reads, `(samples, ...)` each, to its values.
REINDEXED: Mapping[Type[Reindexing], Callable[[Reindexed, Sequence[tf.Tensor]], tf.Tensor]] = {
    Flatten: _reshaped,
    Reshape: _reshaped,
    Concatenate: _concatenated,
    ZeroPadding2D: _zero_padded,
}


def reindexed(volume: Reindexed, tensors: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return the values of a volume without neurons, given those of the volumes that it reads, by name."""
    return REINDEXED[type(volume.layer)](volume, [tensors[name] for name in volume.inputs])


class Currents:
    """Computes currents of populations; their weights are held as tensors of the number type `real`."""

    def __init__(self, populations: Sequence[Population], real: Type["np.floating[Any]"] = np.float32) -> None:
        self._kernels: Dict[str, List[Optional[tf.Tensor]]] = {
            population.name: [None if p.kernel is None else tf.constant(p.kernel, real) for p in population.projections]
            for population in populations
        }
        self._biases = {p.name: tf.constant(p.bias, real) for p in populations if p.bias is not None}

    def of(self, population: Population, read: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Sum the currents of a population's projections, and add its bias: `real` (samples, *population.shape).

        `read` has what volumes pass on, by name, `real` (samples, ...). Projections that read no volume of these are
        left out.
        """
        kernels = zip(population.projections, self._kernels[population.name])
        first, *others = (CURRENTS[type(p.layer)](p.layer, read[p.input], k) for p, k in kernels if p.input in read)
        for current in others:
            first += current
        bias = self._biases.get(population.name)
        return first if bias is None else tf.nn.bias_add(first, bias)
