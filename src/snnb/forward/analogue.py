"""The analogue forward pass, by ONNX Runtime.

It computes activations of a trained network, or of the populations of a network. A
network becomes one ONNX graph (`OnnxGraph`). Values keep Keras's order of axes,
(samples, height, width, channels); ONNX Runtime cancels most of the transpositions
around convolutions and poolings.

All numbers are float32. Sums are rounded in another order than in TensorFlow; outputs
of probabilities differ by some 1e-6. Results depend neither on the number of threads,
nor on the other samples.
"""

from dataclasses import replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.core.machine import processors
from snnb.core.progress import Progress, silent
from snnb.forward.onnx_graph import OnnxGraph
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

# Number of elements in an array of a batch: a batch takes tens of megabytes, and its
# operations are long enough.
BATCH_ELEMENTS = 2_000_000
# TensorFlow multiplies by a matrix of fewer than 10 rows with another kernel, which
# rounds differently.
SMALLEST_BATCH = 10
LARGEST_BATCH = 100
VERIFIED_SAMPLES = 100  # on which outputs are compared
# Largest difference of outputs, as a share of the largest output, but at least of 1.
# Rounding of float32 gives up to 1e-5 in trained networks of 100 layers; a weight or a
# connection in the wrong place changes outputs by a tenth.
TOLERANCE = 1e-3

Shapes = Mapping[str, Tuple[int, ...]]


def choose_batch_size(elements: int) -> int:
    """Return the number of samples that are computed at a time.

    `elements` is the number of neurons, or values, of the network.
    """
    size = BATCH_ELEMENTS // max(1, elements)
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, size))


class Analogue:
    """Computes values of a network for samples.

    They are the values of its output, or of the layers or volumes `names`. Activations
    are clipped and quantised as in training. The unit of activations in an integer
    network is the threshold.
    """

    def __init__(
        self,
        network: Union[TrainedNetwork, Network],
        names: Optional[Sequence[str]] = None,
        *,
        threads: Optional[int] = None,
    ) -> None:
        graph = OnnxGraph()
        if isinstance(network, TrainedNetwork):
            self._scale = np.float32(1)
            elements = sum(int(np.prod(layer.shape)) for layer in network.layers)
            _add_trained_network(graph, network)
        else:
            self._scale = np.float32(network.pixel)
            elements = network.neurons
            add_network(graph, network)
        self.names = [network.output.name] if names is None else list(names)
        self.batch = choose_batch_size(elements)
        self._input = network.input.name
        self._session = graph.make_session(self.names, threads or processors())

    def values(self, x: np.ndarray) -> List[np.ndarray]:
        """Compute the values for samples, float32 (samples, ...).

        Returns
        -------
        list of np.ndarray
            For each name float32 (samples, *shape).
        """
        pixels = x if self._scale == 1 else x * self._scale
        return self._session.run({self._input: pixels})

    def batches(
        self,
        x: np.ndarray,
        batch: Optional[int] = None,
    ) -> Iterator[List[np.ndarray]]:
        """Yield the values for consecutive parts of the samples.

        A part has `batch` samples.
        """
        size = batch or self.batch
        for begin in range(0, len(x), size):
            yield self.values(x[begin : begin + size])

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Compute the values of the first name: float32 (samples, elements)."""
        outputs = []
        for values, *_ in self.batches(x):
            outputs.append(values.reshape(len(values), -1))
        return np.concatenate(outputs)


def compare_outputs(
    outputs: np.ndarray,
    reference: np.ndarray,
) -> Tuple[float, bool]:
    """Return the largest absolute difference of outputs, and whether it is small.

    It is small if it is within `TOLERANCE`, and thus finite.
    """
    difference = float(np.abs(outputs - reference).max())
    largest_output = float(np.abs(reference).max())
    return difference, difference <= TOLERANCE * max(1.0, largest_output)


def _add_trained_network(graph: OnnxGraph, network: TrainedNetwork) -> None:
    """Add the layers of a trained network; the value of a layer has its name."""
    shapes = {layer.name: layer.shape for layer in network.layers}
    graph.add_input(network.input.name, network.input.shape)
    for layer in network.layers[1:]:
        value = _add_trained_layer(graph, layer, shapes, network.levels)
        graph.name_value(layer.name, value)


def _add_trained_layer(
    graph: OnnxGraph,
    layer: TrainedLayer,
    shapes: Shapes,
    levels: Optional[int],
) -> str:
    """Add a layer of a trained network; return its value.

    `shapes` has the shapes of all layers by name, without the axis of samples.
    """
    kind = layer.layer
    source = layer.inputs[0]
    shape = shapes[source]
    bias = layer.weights.get("bias")
    if isinstance(kind, SeparableConv2D):
        depthwise = kind.depthwise()
        kernel = layer.weights["depthwise_kernel"]
        sums = graph.add_layer(depthwise, source, shape, kernel)
        sums_shape = depthwise.output_shape([shape])
        kernel = layer.weights["pointwise_kernel"]
        value = graph.add_layer(kind.pointwise(), sums, sums_shape, kernel, bias)
        return graph.add_activation(value, kind.activation)
    if isinstance(kind, Layer):
        layer_kernel = None if kind.KERNEL is None else layer.weights[kind.KERNEL]
        value = graph.add_layer(kind, source, shape, layer_kernel, bias)
        if isinstance(kind, Weighted):
            return graph.add_activation(value, kind.activation)
        return value
    if isinstance(kind, Reindexing):
        return graph.add_reindexing(kind, layer.inputs, layer.shape)
    if isinstance(kind, Activation):
        return graph.add_activation(source, kind.activation)
    if isinstance(kind, ReLU):
        return graph.add_activation(source, "relu", kind.max_value, levels)
    if isinstance(kind, BatchNormalization):
        scale, shift = normalisation(layer)
        product = graph.add_node("Mul", [source, scale])
        return graph.add_node("Add", [product, shift])
    if isinstance(kind, GlobalAveragePooling2D):
        return graph.add_mean(source)
    assert isinstance(kind, Add)
    return graph.add_sum(layer.inputs)


def add_network(graph: OnnxGraph, network: Network) -> None:
    """Add the volumes of a network to a graph; the value of a volume has its name."""
    shapes = {volume.name: volume.shape for volume in network.volumes}
    for volume in network.volumes:
        if isinstance(volume, Population):
            value = add_current(graph, volume, shapes)
            if volume.integer_threshold is not None:
                value = graph.add_node("Div", [value, volume.integer_threshold])
            value = graph.add_activation(
                value,
                volume.activation,
                volume.max_value,
                network.levels,
            )
            graph.name_value(volume.name, value)
        elif isinstance(volume, Reindexed):
            _add_reindexed(graph, volume)
        else:
            graph.add_input(volume.name, volume.shape)


def _add_reindexed(graph: OnnxGraph, volume: Reindexed) -> None:
    """Add a volume without neurons; its value has its name."""
    value = graph.add_reindexing(volume.layer, volume.inputs, volume.shape)
    graph.name_value(volume.name, value)


def add_current(graph: OnnxGraph, population: Population, shapes: Shapes) -> str:
    """Add the input current of a population; return its value.

    It is the sum of its projections, and the bias. `shapes` has the shapes of the
    volumes that it reads.
    """
    bias = population.bias
    channel_bias = None
    position_bias = None
    if bias is not None and bias.ndim == 1:
        channel_bias = bias
    else:
        position_bias = bias
    currents: List[str] = []
    for projection in population.projections:
        current = graph.add_layer(
            projection.layer,
            projection.input,
            shapes[projection.input],
            projection.kernel,
            None if currents else channel_bias,
        )
        currents.append(current)
    value = graph.add_sum(currents)
    if position_bias is None:
        return value
    return graph.add_node("Add", [value, position_bias])


class PopulationSums:
    """Computes the input current of one population without the bias of channels.

    It takes the values of the populations, or of the input, that the population reads.
    Of a bias of positions, the difference from the bias of channels is added, see
    `Population.position_bias`.
    """

    def __init__(self, network: Network, population: Population) -> None:
        graph = OnnxGraph()
        shapes = {volume.name: volume.shape for volume in network.volumes}
        senders = network.senders(population)
        available = set(senders)
        for volume in network.volumes:
            if volume.name in senders:
                graph.add_input(volume.name, volume.shape)
            elif isinstance(volume, Reindexed) and available.issuperset(volume.inputs):
                available.add(volume.name)
                _add_reindexed(graph, volume)
        sums_population = replace(population, bias=population.position_bias)
        graph.name_value("", add_current(graph, sums_population, shapes))
        self._senders = senders
        self._inputs = list(dict.fromkeys(population.inputs))
        self._session = graph.make_session(["", *self._inputs], processors())

    def compute(
        self,
        values: Mapping[str, np.ndarray],
        block: slice = slice(None),
    ) -> np.ndarray:
        """Return the sums of a block of samples: float32 (samples, *shape).

        `values` are float32 (samples, ...) by name.
        """
        [sums] = self._session.run(self._cut(values, block), 1)
        return sums

    def compute_with_inputs(
        self,
        values: Mapping[str, np.ndarray],
        block: slice,
    ) -> Tuple[np.ndarray, Dict[str, np.ndarray]]:
        """Return the sums of a block, see `compute`, and what the projections read.

        The latter are by volume its values, float32 (samples, ...).
        """
        sums, *inputs = self._session.run(self._cut(values, block))
        return sums, dict(zip(self._inputs, inputs))

    def _cut(
        self,
        values: Mapping[str, np.ndarray],
        block: slice,
    ) -> Dict[str, np.ndarray]:
        """Return the values of the senders in a block of samples."""
        return {name: values[name][block] for name in self._senders}


def mean_activations(
    network: Network,
    x: np.ndarray,
    scale: float,
    progress: Progress = silent,
) -> Dict[str, np.ndarray]:
    """Return the mean activation of each neuron over samples.

    Weights are normalised: an activation of 1 is a spike in every time step. `x` has
    the shape (samples, height, width, channels); a pixel is value / `scale`.

    Returns
    -------
    dict of str to np.ndarray
        By population, float64 in its shape.
    """
    sums = {p.name: np.zeros(p.shape) for p in network.populations}
    analogue = Analogue(network, list(sums))
    for begin in range(0, len(x), analogue.batch):
        images = np.asarray(x[begin : begin + analogue.batch], np.float32)
        pixels = images / np.float32(scale)
        for total, values in zip(sums.values(), analogue.values(pixels)):
            total += values.sum(axis=0, dtype=np.float64)
        progress(begin + len(pixels), len(x))
    return {name: total / max(1, len(x)) for name, total in sums.items()}
