"""Make a network of a NIR graph: its neurons, with the linear nodes between them.

NIR is channels first; populations are (row, column, channel), so weights and parameters
of neurons are transposed.
"""

from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

import numpy as np

from snnb.core.errors import InputError
from snnb.model_files.channels_first import (
    ChannelsFirst,
    list_places,
    rows_first,
    volume_of,
)
from snnb.model_files.kinds import NirSettings, NotReadError
from snnb.model_files.nir_file import NirNode, read_nir_graph
from snnb.model_files.nir_linear import (
    ElementwiseMap,
    MatrixMap,
    WindowMap,
    channel_values,
    to_matrix,
)
from snnb.model_files.nir_neurons import (
    NEURONS,
    for_population,
    read_neuron,
)
from snnb.model_files.nir_paths import (
    CONSTANT,
    Biases,
    NirPaths,
    PathTerm,
    sample_shape,
)
from snnb.network.geometry import Shape, weights_by_filter
from snnb.network.layers import (
    Conv2D,
    Convolution2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    Permute,
    Reindexing,
    Reshape,
    Scale,
    ZeroPadding2D,
    configured,
)
from snnb.network.network import (
    DROPPED,
    INPUT,
    Network,
    Population,
    Projection,
    Reindexed,
    Volume,
)
from snnb.network.neuron import Neuron


def read_nir(
    path: Path,
    settings: NirSettings,
    samples: Optional[Shape] = None,
) -> Network:
    """Read a NIR file as a network.

    `samples` is the shape (height, width, channels) of samples, see `input_shape`.
    Raise `InputError` if the file cannot be read; the message names the node.
    """
    try:
        graph = read_nir_graph(path)
        return _Builder(NirPaths(graph, settings, samples), settings).network()
    except NotReadError as error:
        raise InputError(f"{path}: {error}") from error
    except RecursionError:
        raise InputError(
            f"{path}: has hundreds of linear nodes in sequence; put neurons between "
            "them"
        ) from None


def input_shape(path: Path, samples: Optional[Shape] = None) -> Tuple[int, int, int]:
    """Return the shape (height, width, channels) of the samples of a NIR network.

    A network whose input is a vector takes samples of any shape with as many elements,
    in the order channels first; by default (1, 1, units).
    """
    try:
        graph = read_nir_graph(path)
        return sample_shape(graph.nodes[graph.input], samples)
    except NotReadError as error:
        raise InputError(f"{path}: {error}") from error


class _Builder:
    """Makes the volumes of a network of the paths between the neurons of a NIR graph.

    A population has the name of its node. Volumes without neurons follow the volume
    that they move values of, and are made once for all populations that read them.
    """

    def __init__(self, paths: NirPaths, settings: NirSettings) -> None:
        self._paths = paths
        self._graph = paths.graph
        self._settings = settings
        # Shapes of the volumes with neurons, by name of the node
        self._shapes: Dict[str, Shape] = {self._graph.input: paths.samples}
        # Volumes without neurons, by name of the node whose values they move
        self._reindexed: Dict[str, List[Reindexed]] = {}

    def network(self) -> Network:
        """Return the network; its output is the population that is read out."""
        nodes = self._graph.nodes
        names = [name for name, node in nodes.items() if node.kind in NEURONS]
        if not names:
            raise NotReadError("has no node with neurons")
        arrivals: Dict[str, List[PathTerm]] = {}
        for name in (*names, self._graph.output):
            arrivals[name] = self._paths.terms(name)
        output = self._paths.output_population(arrivals)
        names = [*(name for name in names if name != output), output]
        biases: Dict[str, Biases] = {}
        for name in names:
            biases[name] = self._paths.biases(name, arrivals[name])
        terms = {name: _without_zeros(arrivals[name]) for name in names}
        for name in names:
            shape = self._population_shape(nodes[name], terms[name], biases[name])
            self._shapes[name] = shape
        populations: Dict[str, Population] = {}
        for name in names:
            node = nodes[name]
            populations[name] = self._population(node, terms[name], biases[name])
        input_name = self._graph.input
        volumes: List[Volume] = [Volume(INPUT, self._shapes[input_name])]
        volumes += self._reindexed.get(input_name, [])
        for name in names:
            volumes.append(populations[name])
            volumes += self._reindexed.get(name, [])
        has_zeros = any(population.has_zeros for population in populations.values())
        return Network(tuple(volumes), zeros=DROPPED if has_zeros else None)

    def _population_shape(
        self,
        node: NirNode,
        terms: Sequence[PathTerm],
        biases: Biases,
    ) -> Shape:
        """Return the shape of a population.

        Neurons of an image are a vector if a matrix leads to them, or if their biases
        differ by position.
        """
        shape = self._paths.input_shapes[node.name]
        channels, height, width = volume_of(shape)
        if len(shape) == 1:
            reads_window = any(isinstance(term.map, WindowMap) for term in terms)
            return (1, 1, channels) if reads_window else (channels,)
        # A bias that acts on the potential can be an offset of the neuron model
        has_no_current = "tau_syn" not in node.parameters
        is_by_channel = channel_values(biases.immediate) is not None
        is_later_by_channel = channel_values(biases.delayed) is not None
        fits_image = is_later_by_channel and (is_by_channel or has_no_current)
        reads_matrix = any(isinstance(term.map, MatrixMap) for term in terms)
        if reads_matrix or not fits_image:
            return (channels * height * width,)
        return height, width, channels

    def _population(
        self,
        node: NirNode,
        terms: Sequence[PathTerm],
        biases: Biases,
    ) -> Population:
        shape = self._shapes[node.name]
        neuron = self._neuron(node, terms)
        immediate_biases = for_population(biases.immediate, shape)
        delayed_biases = for_population(biases.delayed, shape)
        if channel_values(biases.immediate) is None and len(shape) > 1:
            offset = neuron.offset + neuron.gain * immediate_biases
            neuron = replace(neuron, offset=offset)
            immediate_biases = np.zeros(shape)
        projections = [self._projection(term, shape, node) for term in terms]
        delayed_bias = _bias_of_channels(delayed_biases)
        if delayed_bias.any():
            position = next(i for i, term in enumerate(terms) if term.delay)
            projection = replace(projections[position], bias=delayed_bias)
            projections[position] = projection
        kind = projections[0].layer.kind if len(projections) == 1 else "Add"
        return Population(
            self._volume_name(node.name),
            shape,
            kind,
            tuple(projections),
            _bias_of_channels(immediate_biases),
            "linear",
            neuron=neuron,
        )

    def _neuron(self, node: NirNode, terms: Sequence[PathTerm]) -> Neuron:
        """Return the neuron model of a node; the node `Output` may have one here."""
        shape = self._shapes[node.name]
        if node.kind in NEURONS:
            node_shape = self._paths.input_shapes[node.name]
            return read_neuron(node, node_shape, shape, self._settings)
        if len(terms) == 1 and self._paths.is_plain(terms[0]):
            # Spikes that populations of the graph read too
            return Neuron(0.5, decay_factor=0, reset_potential=0)
        return Neuron(1, decay_factor=0, is_spiking=False)

    def _volume_name(self, name: str) -> str:
        """Return the name of the volume of a node: that of the input is `INPUT`."""
        if name == self._graph.input:
            return INPUT
        return f"{name}_node" if name == INPUT else name

    def _projection(self, term: PathTerm, shape: Shape, node: NirNode) -> Projection:
        """Return the projection of a term onto the population of a node.

        `shape` is that of the population.
        """
        linear_map = term.map
        node_shape = self._paths.input_shapes[node.name]
        if len(shape) == 1 < len(node_shape):
            weights = to_matrix(linear_map, node)
            linear_map = MatrixMap(linear_map.source, linear_map.target, weights)
        if isinstance(linear_map, MatrixMap):
            target = volume_of(node_shape)
            connection = self._dense(term.source, linear_map, target, shape)
        elif isinstance(linear_map, WindowMap):
            connection = self._convolution(term.source, linear_map)
        else:
            assert isinstance(linear_map, ElementwiseMap)
            connection = self._scale(term.source, linear_map, shape)
        volume, kind, config, weights = connection
        layer = configured(kind, config, node.name)
        geometry = layer.geometry(volume.shape)
        kernel_shape = layer.kernel_shape(geometry)
        kernel = weights.reshape(kernel_shape).astype(np.float32)
        if not np.isfinite(kernel).all():
            raise node.refuse("is reached by weights that are too large for float32")
        return Projection(volume.name, layer, geometry, kernel, term.delay)

    def _dense(
        self,
        source: str,
        matrix: MatrixMap,
        target: ChannelsFirst,
        shape: Shape,
    ) -> "_Connection":
        """Connect all neurons of a node to a population of a shape by a matrix."""
        rows = list_places(matrix.source)
        columns = list_places(target)
        leading_axes = (1,) * (len(shape) - 1)
        volume = self._read(source, _reshape((*leading_axes, len(rows))))
        weights = matrix.weights[rows][:, columns]
        return _Connection(volume, Dense, {"units": len(columns)}, weights)

    def _scale(
        self,
        source: str,
        elementwise: ElementwiseMap,
        shape: Shape,
    ) -> "_Connection":
        """Connect each neuron of a node to a neuron of a population of a shape."""
        target = elementwise.target
        volume = self._read(source, *_moves(elementwise.source, target, shape))
        factor = elementwise.factor
        if factor is None:
            factor = np.ones(target)
        rows = rows_first(factor).reshape(-1, shape[-1])
        by_position = bool((rows != rows[0]).any())
        weights = rows if by_position else rows[0]
        return _Connection(volume, Scale, {"by_position": by_position}, weights)

    def _convolution(self, source: str, window: WindowMap) -> "_Connection":
        """Connect windows of the neurons of a node to a population."""
        kernel = window.kernel
        channels, height, width = window.source
        rows_cut = (0, height - window.used[0])
        columns_cut = (0, width - window.used[1])
        pads = tuple(zip(kernel.before, window.after))
        cropping = configured(Cropping2D, {"cropping": (rows_cut, columns_cut)}, source)
        padding = configured(ZeroPadding2D, {"padding": pads}, source)
        image = _reshape((height, width, channels))
        volume = self._read(source, image, cropping, padding)
        config = {
            "filters": kernel.filters,
            "depth_multiplier": kernel.weights.shape[3],
            "kernel_size": kernel.size,
            "strides": kernel.strides,
            "dilation_rate": kernel.dilations,
            "groups": kernel.groups,
        }
        kind: Type[Convolution2D] = DepthwiseConv2D if kernel.is_diagonal else Conv2D
        weights = weights_by_filter(kernel.weights, kernel.groups)
        return _Connection(volume, kind, config, weights)

    def _read(self, source: str, *layers: Reindexing) -> Volume:
        """Return the volume that layers make of a node's neurons.

        Layers that change nothing are ignored. If the neurons of an image are a vector,
        the image comes first.
        """
        volume = Volume(self._volume_name(source), self._shapes[source])
        channels, height, width = volume_of(self._paths.output_shapes[source])
        is_flat_image = len(volume.shape) == 1 and (height, width) != (1, 1)
        if source != self._graph.input and is_flat_image:
            layers = (_reshape((height, width, channels)), *layers)
        for layer in layers:
            shape = layer.output_shape([volume.shape])
            if shape != volume.shape or isinstance(layer, Permute):
                volume = self._follow(source, volume, layer, shape)
        return volume

    def _follow(
        self,
        source: str,
        volume: Volume,
        layer: Reindexing,
        shape: Shape,
    ) -> Reindexed:
        """Return the volume of a layer that reads another; make it if there is none."""
        siblings = self._reindexed.setdefault(source, [])
        for sibling in siblings:
            if sibling.inputs == (volume.name,) and sibling.layer == layer:
                return sibling
        name = f"{volume.name}:{layer.kind}"
        count = sum(sibling.name.startswith(name) for sibling in siblings)
        if count:
            name = f"{name}{count}"
        volume_read = Reindexed(name, shape, layer, (volume.name,))
        siblings.append(volume_read)
        return volume_read


class _Connection(NamedTuple):
    """The layer that computes a linear map, and the volume that it reads."""

    volume: Volume
    kind: Type[Layer]
    config: Mapping[str, object]  # of the layer
    weights: np.ndarray  # float64, in the order of the layer's kernel


def _without_zeros(terms: Sequence[PathTerm]) -> List[PathTerm]:
    """Return the terms of a sum that have a source, biases left out.

    Convolutions of zeros only add biases: they are left out unless all terms are such.
    """
    sources = [term for term in terms if term.source != CONSTANT]
    weighted_terms = []
    for term in sources:
        if not isinstance(term.map, WindowMap) or term.map.kernel.weights.any():
            weighted_terms.append(term)
    return weighted_terms or sources


def _bias_of_channels(bias: np.ndarray) -> np.ndarray:
    """Return the biases of the first position of a population: float32 (channels,)."""
    return bias.reshape(-1, bias.shape[-1])[0].astype(np.float32)


def _reshape(shape: Shape) -> Reindexing:
    return configured(Reshape, {"target_shape": shape}, "")


def _permute(axes: Tuple[int, int, int]) -> Reindexing:
    return configured(Permute, {"dims": axes}, "")


def _moves(
    source: ChannelsFirst,
    target: ChannelsFirst,
    shape: Shape,
) -> List[Reindexing]:
    """Return the layers from the image of a volume to a population of a shape.

    The image is (row, column, channel); the population has the elements of the volume
    `target`, which are those of the source in NIR's order.
    """
    if (list_places(source) == list_places(target)).all():
        return [_reshape(shape)]
    channels, height, width = source
    return [
        _reshape((height, width, channels)),
        _permute((3, 1, 2)),
        _reshape(target),
        _permute((2, 3, 1)),
        _reshape(shape),
    ]
