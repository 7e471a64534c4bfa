"""What the field quotes for energy: synaptic operations of the spiking network, multiply-accumulates of the other."""

from dataclasses import dataclass
from typing import Dict, Tuple

import numpy as np
import tensorflow as tf

from snnb.interrupt import interruptible
from snnb.simulation.currents import current
from snnb.simulation.layers import (
    POPULATIONS,
    AveragePooling2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    MaxPooling2D,
    Network,
    Pair,
)
from snnb.simulation.totals import Totals


def out_degrees(network: Network) -> Dict[str, np.ndarray]:
    """Number of synapses that start at each neuron, int64 in the population's shape, the input's neurons included.

    A layer whose weights are all 1 has as its gradient the number of its synapses at each input; layers without
    neurons hand that back to where their elements come from.
    """
    sources = {layer.name: tf.zeros((1, *layer.shape)) for layer in (network.input, *network.populations)}
    with tf.GradientTape() as tape:
        tape.watch(sources)
        tensors, synapses = dict(sources), tf.zeros(())
        for layer in network.layers[1:]:
            inputs = [tensors[name] for name in layer.inputs]
            if isinstance(layer, POPULATIONS):
                synapses += _unit_currents(layer, inputs[0])
            else:
                tensors[layer.name] = current(layer, inputs, {})
    gradients = tape.gradient(synapses, sources, unconnected_gradients="zero")
    return {name: gradient.numpy()[0].astype(np.int64) for name, gradient in gradients.items()}


def _unit_currents(layer: Layer, x: tf.Tensor) -> tf.Tensor:
    """Sum of the layer's currents if all its weights were 1."""
    if isinstance(layer, Dense):
        return tf.reduce_sum(x) * layer.kernel.shape[1]
    taps, dilation, copies = _taps(layer)
    kernel = tf.ones((*taps, 1, 1))
    channels = tf.reduce_sum(x, axis=3, keepdims=True)
    strides, padding = layer.strides, layer.padding.upper()  # type: ignore[attr-defined]
    return tf.reduce_sum(tf.nn.convolution(channels, kernel, strides, padding, dilations=dilation)) * copies


def _taps(layer: Layer) -> Tuple[Pair, Pair, int]:
    """Size of the window, dilation, and number of neurons that each window of one input channel serves."""
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        height, width, _, copies = layer.kernel.shape
        return (height, width), layer.dilation, copies
    assert isinstance(layer, (AveragePooling2D, MaxPooling2D))
    return layer.pool_size, (1, 1), 1


@dataclass(frozen=True)
class Energy:
    """Operations per sample.

    Attributes
    ----------
    synapses
        Synapses that end at a spiking layer; the analogue network multiplies and accumulates once for each.
    synaptic_operations
        Sum over neurons of spikes (in the counted steps) times out-degree. The input's neurons count if they spike.
    """

    synapses: int
    synaptic_operations: float


def energy(network: Network, totals: Totals) -> Energy:
    """Both proxies of a simulation."""
    degrees = interruptible(lambda: out_degrees(network))
    operations = sum(int((counts * degrees[name]).sum()) for name, counts in totals.counts.items())
    return Energy(sum(int(degree.sum()) for degree in degrees.values()), operations / totals.samples)
