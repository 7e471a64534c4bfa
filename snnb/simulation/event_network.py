"""A network made ready for the event-driven engine: what all samples and threads share."""

from functools import partial
from typing import Callable, Dict, List, Optional, Set, Tuple

import numpy as np
import tensorflow as tf

from snnb.interrupt import interruptible
from snnb.simulation import event_kernels as kernels
from snnb.simulation import event_pooling as pooling
from snnb.simulation.currents import batch_of, current, padded, parameters
from snnb.simulation.event_geometry import (
    itself,
    joined_indices,
    padded_indices,
    pooling_windows,
    reach_of,
    segments_of,
)
from snnb.simulation.event_types import GROUP, Neurons, Train
from snnb.simulation.layers import (
    POPULATIONS,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    MaxPooling2D,
    Network,
    Shape,
    ZeroPadding2D,
)
from snnb.simulation.settings import SimulationSettings

# Steps, the spikes that are read, the neurons, and where their spikes go.
Work = Callable[[int, Train, Neurons, Train], None]

# A layer's spikes are gathered for so many steps, or for as few as can hold so many of them if all its neurons spiked,
# before the next layer reads them: meanwhile the layer's weights and neurons stay in the cache.
TRAIN_STEPS, TRAIN_SPIKES = 100, 4_000_000
# Bytes of a cache line.
LINE = 64


class EventNetwork:
    """Weights in rows, geometry in tables, and the compiled work of each population.

    Attributes
    ----------
    train_steps
        Steps that one layer does before the next.
    work
        By population that reads spikes.
    tables
        By layer that joins or pads: for each input, where its elements are in the output; None: where they were.
    base
        By population: float32, its current without spikes: the bias.
    fed
        Populations that the constant input reaches, and the layers between.
    pooled
        Those of them that read the constant input one by one, beside spikes: an average is divided once, after adding,
        and a maximum follows one of all inputs, so that neither is the sum of a current without spikes and of spikes.
    """

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self.network, self.settings = network, settings
        sizes = [layer.size for layer in network.layers]
        self.train_steps = max(1, min(TRAIN_STEPS, TRAIN_SPIKES // max(sizes)))
        self.fed = _fed(network, settings)
        self.pooled: Set[str] = set()
        self.work: Dict[str, Work] = {}
        self.tables: Dict[str, List[Optional[np.ndarray]]] = {}
        self.base: Dict[str, np.ndarray] = {}
        self._weights = parameters([layer for layer in network.layers if layer.name in self.fed])
        amplitudes = _amplitudes(network, settings)
        for layer in network.layers[1:]:
            shapes = [network.layer(name).shape for name in layer.inputs]
            if not isinstance(layer, POPULATIONS):
                self.tables[layer.name] = _tables(layer, shapes)
                continue
            self.base[layer.name] = neurons_of(_bias(layer))
            spikes, fed = amplitudes[layer.inputs[0]], layer.name in self.fed
            if spikes or (fed and isinstance(layer, MaxPooling2D)):
                self.work[layer.name] = _work(layer, shapes[0], max(spikes, default=0.0), fed)
                if fed and isinstance(layer, (AveragePooling2D, MaxPooling2D)):
                    self.pooled.add(layer.name)

    def without_spikes(self, x: np.ndarray) -> Tuple[Dict[str, np.ndarray], Dict[str, np.ndarray]]:
        """What the constant input does, in every step, to the populations that it reaches.

        TensorFlow computes it, so that the currents are those of the engine `tensorflow`.

        Returns
        -------
        By population: its current, float32 `(samples, neurons)`; and what one of `pooled` reads, float32
        `(samples, inputs)`, 0 where spikes arrive.
        """
        batch = batch_of(self.network)
        slices = [x[first : first + batch] for first in range(0, len(x), batch)]
        parts = [interruptible(partial(self._batch_without_spikes, part, batch)) for part in slices]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        pooled = {name: aligned(found.pop(name)) for name in self.pooled}
        return {name: neurons_of(values) for name, values in found.items()}, pooled

    def _batch_without_spikes(self, x: np.ndarray, batch: int) -> Dict[str, np.ndarray]:
        tensors = {self.network.input.name: tf.constant(padded(x, batch))}
        found: Dict[str, np.ndarray] = {}
        for layer in self.network.layers[1:]:
            inputs = [tensors[name] for name in layer.inputs]
            tensors[layer.name] = tf.zeros((batch, *layer.shape))  # no spikes
            if layer.name in self.fed:
                value = inputs[0] if layer.name in self.pooled else current(layer, inputs, self._weights)
                if isinstance(layer, POPULATIONS):
                    found[layer.name] = value.numpy()[: len(x)].reshape(len(x), -1)
                else:
                    tensors[layer.name] = value
        return found


def unsupported(network: Network, settings: SimulationSettings) -> Optional[str]:
    """Why the event-driven engine cannot simulate the network as asked; None when it can."""
    amplitudes = _amplitudes(network, settings)
    for layer in network.populations:
        if len(amplitudes[layer.inputs[0]]) > 1:
            return (
                f"layer {layer.name} reads input spikes of amplitude 1 and spikes of amplitude {settings.threshold:g}"
            )
    return None


def aligned(values: np.ndarray) -> np.ndarray:
    """A copy that begins with a cache line, so that rows and vectors of 16 numbers lie in one line each."""
    room = np.empty(values.nbytes + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    copy = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def neurons_of(values: np.ndarray) -> np.ndarray:
    """`values`, `(..., neurons)`, filled up with zeros to a multiple of `GROUP` neurons; aligned."""
    filled = aligned(np.zeros((*values.shape[:-1], -(-values.shape[-1] // GROUP) * GROUP), values.dtype))
    filled[..., : values.shape[-1]] = values
    return filled


def _amplitudes(network: Network, settings: SimulationSettings) -> Dict[str, Set[float]]:
    """What a spike adds, by layer: of Poisson input 1, of a population its threshold; constant input has no spikes."""
    found: Dict[str, Set[float]] = {network.input.name: {1.0} if settings.input == "poisson" else set()}
    for layer in network.layers[1:]:
        read: Set[float] = set().union(*(found[name] for name in layer.inputs))
        found[layer.name] = {settings.threshold} if isinstance(layer, POPULATIONS) else read
    return found


def _fed(network: Network, settings: SimulationSettings) -> Set[str]:
    passing = {network.input.name} if settings.input == "constant" else set()
    fed = set(passing)
    for layer in network.layers[1:]:
        if passing.intersection(layer.inputs):
            fed.add(layer.name)
            if not isinstance(layer, POPULATIONS):
                passing.add(layer.name)
    return fed


def _bias(layer: Layer) -> np.ndarray:
    if isinstance(layer, (Dense, Conv2D, DepthwiseConv2D)):
        return np.tile(layer.bias, layer.size // len(layer.bias))
    return np.zeros(layer.size, np.float32)


def _tables(layer: Layer, shapes: List[Shape]) -> List[Optional[np.ndarray]]:
    if isinstance(layer, ZeroPadding2D):
        return [padded_indices(layer, shapes[0])]
    if isinstance(layer, Concatenate):
        begins = np.cumsum([0, *(shape[layer.axis] for shape in shapes)])
        return [joined_indices(layer, begin, shape[layer.axis]) for begin, shape in zip(begins, shapes)]
    return [None]


def _work(layer: Layer, shape: Shape, amplitude: float, fed: bool) -> Work:
    """The work of a population that reads spikes of that amplitude, and constant input too if it is `fed`, by shape."""
    size, channels, units = np.float32(amplitude), shape[-1], layer.shape[-1]
    if isinstance(layer, (Dense, Conv2D)):
        weights = aligned((layer.kernel * size).ravel())
        if isinstance(layer, Dense) and len(shape) == 1:
            return lambda steps, source, neurons, train: kernels.dense(steps, source, weights, units, neurons, train)
        positions = int(np.prod(shape[:-1]))
        segments = segments_of(layer, shape) if isinstance(layer, Conv2D) else itself(positions, channels, units)
        return lambda steps, source, neurons, train: kernels.convolution(
            steps, source, channels, segments, weights, units, neurons, train
        )
    if isinstance(layer, DepthwiseConv2D):
        multiplier = layer.kernel.shape[3]
        taps, reach = (layer.kernel * size).ravel(), reach_of(layer, shape)
        placed = reach._replace(tap=reach.tap * np.int32(channels * multiplier))
        return lambda steps, source, neurons, train: kernels.depthwise(
            steps, source, channels, placed, taps, multiplier, neurons, train
        )
    assert isinstance(layer, (AveragePooling2D, MaxPooling2D))
    windows, inputs = pooling_windows(layer, shape)
    if isinstance(layer, MaxPooling2D):
        maximum = pooling.maximum_with_constant if fed else pooling.maximum
        return lambda steps, source, neurons, train: maximum(steps, source, windows, size, neurons, train)
    average = pooling.average_with_constant if fed else pooling.average
    return lambda steps, source, neurons, train: average(steps, source, windows, size, inputs, neurons, train)
