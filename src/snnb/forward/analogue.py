"""The analogue forward pass, by ONNX Runtime: activations of a trained network, or of the populations of a network.

A network becomes one ONNX graph (`Graph`). Values keep Keras's order of axes, (samples, height, width, channels);
ONNX Runtime cancels most of the transpositions around convolutions and poolings.

All numbers are float32. Sums are rounded in another order than in TensorFlow; outputs of probabilities differ by some
1e-6. Results depend neither on the number of threads, nor on the other samples.
"""

from dataclasses import replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.core.machine import processors
from snnb.core.progress import Progress, silent
from snnb.forward.onnx_graph import Graph
from snnb.network.layers import (
    Activation,
    Add,
    BatchNormalization,
    GlobalAveragePooling2D,
    Layer,
    Reindexing,
    ReLU,
    SeparableConv2D,
    Weighted,
)
from snnb.network.network import Network, Population, Reindexed
from snnb.network.trained import TrainedLayer, TrainedNetwork, normalisation

# Number of elements in an array of a batch: a batch takes tens of megabytes, and its operations are long enough.
BATCH_ELEMENTS = 2_000_000
# TensorFlow multiplies by a matrix of fewer than 10 rows with another kernel, which rounds differently.
SMALLEST_BATCH, LARGEST_BATCH = 10, 100
VERIFIED_SAMPLES = 100  # on which outputs are compared
# Largest difference of outputs, as a share of the largest output, but at least of 1. Rounding of float32 gives up to
# 1e-5 in trained networks of 100 layers; a weight or a connection in the wrong place changes outputs by a tenth.
TOLERANCE = 1e-3


def batch_of(elements: int) -> int:
    """Return the number of samples that are computed at a time in a network with this number of neurons or values."""
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, BATCH_ELEMENTS // max(1, elements)))


class Analogue:
    """Computes values of a network for samples: of its output, or of the layers or volumes `names`.

    Activations are clipped and quantised as in training. The unit of those in an integer network is the threshold.
    """

    def __init__(
        self,
        network: Union[TrainedNetwork, Network],
        names: Optional[Sequence[str]] = None,
        *,
        threads: Optional[int] = None,
    ) -> None:
        graph = Graph()
        if isinstance(network, TrainedNetwork):
            end, elements = network.output.name, sum(int(np.prod(layer.shape)) for layer in network.layers)
            self._scale = np.float32(1)
            shapes = {layer.name: layer.shape for layer in network.layers}
            graph.input(network.input.name, network.input.shape)
            for layer in network.layers[1:]:
                graph.name(layer.name, _trained_value(graph, layer, shapes, network.levels))
        else:
            end, elements = network.output.name, network.neurons
            self._scale = np.float32(network.pixel)
            add_network(graph, network)
        self.names = [end] if names is None else list(names)
        self.batch = batch_of(elements)
        self._input = network.input.name
        self._session = graph.session(self.names, threads or processors())

    def values(self, x: np.ndarray) -> List[np.ndarray]:
        """Compute the values for samples, float32 (samples, ...): for each name float32 (samples, *shape)."""
        return self._session.run({self._input: x if self._scale == 1 else x * self._scale})

    def batches(self, x: np.ndarray, batch: Optional[int] = None) -> Iterator[List[np.ndarray]]:
        """Yield the values for consecutive parts of the samples, of `batch` samples each."""
        size = batch or self.batch
        for first in range(0, len(x), size):
            yield self.values(x[first : first + size])

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Compute the values of the first name: float32 (samples, elements)."""
        return np.concatenate([values.reshape(len(values), -1) for values, *_ in self.batches(x)])


def compare_outputs(outputs: np.ndarray, reference: np.ndarray) -> Tuple[float, bool]:
    """Return the largest absolute difference of outputs, and whether it is within `TOLERANCE`, so finite too."""
    largest = float(np.abs(outputs - reference).max())
    return largest, largest <= TOLERANCE * max(1.0, float(np.abs(reference).max()))


def _trained_value(
    graph: Graph, layer: TrainedLayer, shapes: Mapping[str, Tuple[int, ...]], levels: Optional[int]
) -> str:
    kind, weights, read = layer.layer, layer.weights, layer.inputs
    shape = shapes[read[0]]
    if isinstance(kind, SeparableConv2D):
        first, second = kind.depthwise(), kind.pointwise()
        between = graph.weighted(first, read[0], shape, weights["depthwise_kernel"])
        shape = first.output_shape([shape])
        value = graph.weighted(second, between, shape, weights["pointwise_kernel"], weights.get("bias"))
        return graph.activated(value, kind.activation)
    if isinstance(kind, Layer):
        kernel = None if kind.KERNEL is None else weights[kind.KERNEL]
        value = graph.weighted(kind, read[0], shape, kernel, weights.get("bias"))
        return graph.activated(value, kind.activation) if isinstance(kind, Weighted) else value
    if isinstance(kind, Reindexing):
        return graph.rearranged(kind, read, layer.shape)
    if isinstance(kind, Activation):
        return graph.activated(read[0], kind.activation)
    if isinstance(kind, ReLU):
        return graph.activated(read[0], "relu", kind.max_value, levels)
    if isinstance(kind, BatchNormalization):
        scale, shift = normalisation(layer)
        return graph.node("Add", [graph.node("Mul", [read[0], scale]), shift])
    if isinstance(kind, GlobalAveragePooling2D):
        return graph.mean(read[0])
    assert isinstance(kind, Add)
    return graph.sum(read)


def add_network(graph: Graph, network: Network) -> None:
    """Add the volumes of a network to a graph; the value of a volume has its name."""
    shapes = {volume.name: volume.shape for volume in network.volumes}
    for volume in network.volumes:
        if isinstance(volume, Population):
            value = current(graph, volume, shapes)
            if volume.integer_threshold is not None:
                value = graph.node("Div", [value, volume.integer_threshold])
            graph.name(volume.name, graph.activated(value, volume.activation, volume.max_value, network.levels))
        elif isinstance(volume, Reindexed):
            graph.name(volume.name, graph.rearranged(volume.layer, volume.inputs, volume.shape))
        else:
            graph.input(volume.name, volume.shape)


def current(graph: Graph, population: Population, shapes: Mapping[str, Tuple[int, ...]]) -> str:
    """Add the input current of a population: the sum of its projections, and the bias."""
    bias = population.bias
    values: List[str] = []
    for projection in population.projections:
        channel_bias = bias if bias is not None and bias.ndim == 1 and not values else None
        read = projection.input
        values.append(graph.weighted(projection.layer, read, shapes[read], projection.kernel, channel_bias))
    value = graph.sum(values) if len(values) > 1 else values[0]
    return graph.node("Add", [value, bias]) if bias is not None and bias.ndim > 1 else value


class PopulationSums:
    """Computes the input current of one population without the bias of channels, given the values of its senders.

    Of a bias of positions, the difference from the bias of channels is added, see `Population.position_bias`.
    """

    def __init__(self, network: Network, population: Population) -> None:
        graph = Graph()
        shapes = {volume.name: volume.shape for volume in network.volumes}
        names = network.senders(population)
        available = set(names)
        for volume in network.volumes:
            if volume.name in names:
                graph.input(volume.name, volume.shape)
            elif isinstance(volume, Reindexed) and available.issuperset(volume.inputs):
                available.add(volume.name)
                graph.name(volume.name, graph.rearranged(volume.layer, volume.inputs, volume.shape))
        graph.name("", current(graph, replace(population, bias=population.position_bias), shapes))
        self._inputs, self._read = names, list(dict.fromkeys(population.inputs))
        self._session = graph.session(["", *self._read], processors())

    def of(self, values: Mapping[str, np.ndarray], block: slice = slice(None)) -> np.ndarray:
        """Return the sums of a block of samples, (samples, *shape), given float32 values (samples, ...) by name."""
        [sums] = self._session.run({name: values[name][block] for name in self._inputs}, 1)
        return sums

    def with_inputs(self, values: Mapping[str, np.ndarray], block: slice) -> Tuple[np.ndarray, Dict[str, np.ndarray]]:
        """Return the sums of a block, and the values of the volumes that the projections read, by name."""
        sums, *read = self._session.run({name: values[name][block] for name in self._inputs})
        return sums, dict(zip(self._read, read))


def mean_activations(
    network: Network, x: np.ndarray, scale: float, progress: Progress = silent
) -> Dict[str, np.ndarray]:
    """Return the mean activation of each neuron over samples: by population, float64 in its shape.

    Weights are normalised: an activation of 1 is a spike in every time step. `x` has the shape (samples, height, width,
    channels); a pixel is value / `scale`.
    """
    sums = {population.name: np.zeros(population.shape) for population in network.populations}
    analogue = Analogue(network, list(sums))
    for first in range(0, len(x), analogue.batch):
        part = np.asarray(x[first : first + analogue.batch], np.float32) / np.float32(scale)
        for total, values in zip(sums.values(), analogue.values(part)):
            total += values.sum(axis=0, dtype=np.float64)
        progress(first + len(part), len(x))
    return {name: total / max(1, len(x)) for name, total in sums.items()}
