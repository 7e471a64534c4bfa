"""What a layer computes from what it reads, with the operations that Keras, and so the toolbox, uses.

Other operations would round differently, and a spike count would differ by one here and there.
"""

from functools import partial
from typing import Dict, List, Sequence

import numpy as np
import tensorflow as tf

from snnb.interrupt import interruptible
from snnb.simulation.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    MaxPooling2D,
    Network,
    ZeroPadding2D,
    activation,
)

# Elements of an array of a batch of samples: keeps a batch in tens of megabytes, and its operations long enough.
BATCH_NEURONS = 2_000_000
# TensorFlow multiplies by a matrix of fewer than 10 rows with another kernel, which rounds differently.
SMALLEST_BATCH, LARGEST_BATCH = 10, 100
ACTIVATE = {"relu": tf.nn.relu, "softmax": tf.nn.softmax, "linear": tf.identity}


def batch_of(network: Network) -> int:
    """Samples that TensorFlow computes at a time: always so many, so that results depend on nothing else."""
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, BATCH_NEURONS // network.neurons))


def padded(x: np.ndarray, batch: int) -> np.ndarray:
    """`x` with samples of zeros added to a whole batch."""
    return np.concatenate([x, np.zeros((batch - len(x), *x.shape[1:]), x.dtype)])


def parameters(layers: Sequence[Layer]) -> Dict[str, List[tf.Tensor]]:
    """Kernel and bias of those layers that have them, as tensors."""
    return {
        layer.name: [tf.constant(layer.kernel), tf.constant(layer.bias)]
        for layer in layers
        if isinstance(layer, (Dense, Conv2D, DepthwiseConv2D))
    }


def current(layer: Layer, inputs: List[tf.Tensor], weights: Dict[str, List[tf.Tensor]]) -> tf.Tensor:
    """Input current of a population's neurons, or the re-indexed input of a layer without neurons."""
    if isinstance(layer, Concatenate):
        return tf.concat(inputs, layer.axis + 1)
    (x,) = inputs
    if isinstance(layer, Dense):
        kernel, bias = weights[layer.name]
        product = tf.matmul(x, kernel) if x.shape.rank == 2 else tf.tensordot(x, kernel, 1)
        return tf.nn.bias_add(product, bias)
    if isinstance(layer, Conv2D):
        kernel, bias = weights[layer.name]
        x = tf.nn.convolution(x, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation)
        return tf.nn.bias_add(x, bias)
    if isinstance(layer, DepthwiseConv2D):
        kernel, bias = weights[layer.name]
        strides = (1, *layer.strides, 1)
        x = tf.nn.depthwise_conv2d(x, kernel, strides, layer.padding.upper(), dilations=layer.dilation)
        return tf.nn.bias_add(x, bias)
    if isinstance(layer, AveragePooling2D):
        return tf.nn.avg_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())
    if isinstance(layer, MaxPooling2D):
        return tf.nn.max_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())
    if isinstance(layer, ZeroPadding2D):
        return tf.pad(x, [(0, 0), *layer.padding, (0, 0)])
    return tf.reshape(x, (-1, *layer.shape))  # Flatten, Reshape


class Analogue:
    """The analogue network: the parsed model's forward pass."""

    def __init__(self, network: Network) -> None:
        self._network, self._weights = network, parameters(network.layers)

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Outputs for the pictures `x`, float32 `(samples, ...)`, flat: float32 `(samples, units)`."""
        batch = batch_of(self._network)
        parts = [x[first : first + batch] for first in range(0, len(x), batch)]
        batches = [interruptible(partial(self._batch, padded(part, batch))) for part in parts]
        return np.concatenate([outputs[: len(part)] for outputs, part in zip(batches, parts)])

    def _batch(self, x: np.ndarray) -> np.ndarray:
        tensors = {self._network.input.name: tf.constant(x)}
        for layer in self._network.layers[1:]:
            inputs = [tensors[name] for name in layer.inputs]
            tensors[layer.name] = ACTIVATE[activation(layer)](current(layer, inputs, self._weights))
        outputs: np.ndarray = tensors[self._network.output.name].numpy().reshape(len(x), -1)
        return outputs
