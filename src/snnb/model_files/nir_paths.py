"""The paths of linear nodes between the neurons of a NIR graph.

A node with neurons reads a sum of terms. A term is a path over linear nodes from a
population, the input or a bias, composed to one linear map, with its delay.
"""

import math
from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.core.machine import require_memory
from snnb.model_files.channels_first import fit_samples, volume_of
from snnb.model_files.kinds import NirSettings
from snnb.model_files.nir_file import (
    LARGEST_NUMBER,
    PARAMETERS,
    NirGraph,
    NirNode,
    describe_shape,
)
from snnb.model_files.nir_linear import (
    ElementwiseMap,
    LinearMap,
    LinearNode,
    MatrixMap,
    compose,
    read_linear_node,
)
from snnb.model_files.nir_neurons import INTEGRATORS, NEURONS, time_step
from snnb.network.geometry import Shape

CONSTANT = ""  # source of terms that are biases
CONSTANT_VOLUME = (1, 1, 1)  # of their source, a constant 1
LARGEST_ROUNDING = 1e-6  # of a delay to a whole number of time steps
VALUE_BYTES = 100  # of an output of a node in memory


@dataclass(frozen=True, eq=False)
class PathTerm:
    """An input of a node: a linear map of spikes, of the input, or of a constant 1."""

    source: str  # name of a node, or `CONSTANT`
    map: LinearMap  # from the volume of the source
    delay: int = 0  # time steps


class Biases(NamedTuple):
    """The biases of a node's neurons: float64, in NIR's order."""

    immediate: np.ndarray  # (channels, height, width)
    delayed: np.ndarray  # of the same shape, added from the second step on


class NirPaths:
    """The nodes of a graph with the shapes of their values, and the paths between them.

    `samples` is the shape (height, width, channels) of a sample, see `sample_shape`.
    Raise `NotReadError` if a node does not fit its input.
    """

    def __init__(
        self,
        graph: NirGraph,
        settings: NirSettings,
        samples: Optional[Shape],
    ) -> None:
        self.graph = graph
        self.samples = sample_shape(graph.nodes[graph.input], samples)
        # NIR shapes of the inputs and outputs of nodes, by name
        self.input_shapes: Dict[str, Shape] = {}
        self.output_shapes: Dict[str, Shape] = {}
        self._settings = settings
        self._linear_nodes: Dict[str, LinearNode] = {}
        self._output_terms: Dict[str, List[PathTerm]] = {}  # of linear nodes
        self._open_nodes: List[str] = []  # whose terms are being computed
        value_count = 0
        for name, node in graph.nodes.items():
            shape = self._shape_read(name)
            value_count += math.prod(shape)
            subject = f"the {value_count:,} inputs of its nodes, up to {name},"
            size = VALUE_BYTES * value_count
            require_memory(size, f"{graph.budget.path}: {subject}")
            if name != graph.input:
                self.input_shapes[name] = shape
            self.output_shapes[name] = shape
            if node.kind in NEURONS:
                for parameter in PARAMETERS[node.kind]:
                    node.broadcast(parameter, shape)
            elif name != graph.input:
                linear_node = read_linear_node(node, shape)
                self._linear_nodes[name] = linear_node
                self.output_shapes[name] = linear_node.shape
        self._check_shapes()

    def _shape_read(self, name: str) -> Shape:
        """Return the shape that the first source of a node gives it."""
        graph = self.graph
        if name == graph.input:
            return _declared_shape(graph.nodes[name])
        edges = [(source, name) for source in graph.sources[name]]
        source, _ = next(edge for edge in edges if edge not in graph.closing_edges)
        return self.output_shapes[source]

    def _check_shapes(self) -> None:
        """Raise `NotReadError` if the sources of a node differ in shape."""
        for name, sources in self.graph.sources.items():
            for source in sources:
                shape = self.output_shapes[source]
                input_shape = self.input_shapes[name]
                if shape != input_shape:
                    raise self.graph.nodes[name].refuse(
                        f"reads {describe_shape(input_shape)}, but from node {source} "
                        f"{describe_shape(shape)}",
                    )

    def terms(self, name: str) -> List[PathTerm]:
        """Return the terms of the sum that a node reads, biases last.

        Raise `NotReadError` if a path has a cycle without neurons, or neurons would
        read a potential.
        """
        node = self.graph.nodes[name]
        terms: List[PathTerm] = []
        biases: Dict[int, np.ndarray] = {}  # by delay, (1, elements)
        for source in self.graph.sources[name]:
            delay = int((source, name) in self.graph.closing_edges)
            for term in self._terms_of_output(source):
                term = replace(term, delay=term.delay + delay)
                if term.source == CONSTANT:
                    bias = biases.get(term.delay, 0)
                    biases[term.delay] = bias + bias_weights(term)
                    continue
                source_node = self.graph.nodes[term.source]
                if node.kind in NEURONS and source_node.kind in INTEGRATORS:
                    raise node.refuse(
                        f"reads {source_node.title}, whose output is a potential: "
                        "neurons here read spikes only, so such a node can lead only "
                        "to the output"
                    )
                terms.append(term)
        volume = volume_of(self.input_shapes[name])
        for delay, bias in biases.items():
            bias_map = MatrixMap(CONSTANT_VOLUME, volume, bias)
            terms.append(PathTerm(CONSTANT, bias_map, delay))
        return terms

    def _terms_of_output(self, name: str) -> List[PathTerm]:
        """Return the terms whose sum is the output of a node."""
        node = self.graph.nodes[name]
        volume = volume_of(self.output_shapes[name])
        if name == self.graph.input:
            height, width, channels = self.samples
            return [PathTerm(name, ElementwiseMap((channels, height, width), volume))]
        if node.kind in NEURONS:
            return [PathTerm(name, ElementwiseMap(volume, volume))]
        if name in self._open_nodes:
            cycle = [*self._open_nodes[self._open_nodes.index(name) :], name]
            raise node.refuse(f"is in a cycle without neurons: {' → '.join(cycle)}")
        if name in self._output_terms:
            return self._output_terms[name]
        linear_map, _, bias = self._linear_nodes[name]
        node_parts = [(linear_map, 0)]
        if node.kind == "Delay":
            node_parts = self._delay_parts(node, linear_map)
        self._open_nodes.append(name)
        terms: List[PathTerm] = []
        for term in self.terms(name):
            for part, delay in node_parts:
                self.graph.budget.draw_steps(1, "paths of linear nodes")
                composition = compose(term.map, part, node)
                terms.append(PathTerm(term.source, composition, term.delay + delay))
        self._open_nodes.pop()
        if bias is not None and bias.any():
            weights = np.reshape(bias, (1, -1))
            bias_map = MatrixMap(CONSTANT_VOLUME, linear_map.target, weights)
            terms.append(PathTerm(CONSTANT, bias_map))
        self._output_terms[name] = terms
        return terms

    def _delay_parts(
        self,
        node: NirNode,
        identity: LinearMap,
    ) -> List[Tuple[LinearMap, int]]:
        """Return a map for each delay of a node, with the delay in time steps.

        The map passes on the elements that have this delay; it is `identity` if all
        elements have the same.
        """
        steps = self._delay_steps(node)
        delays = np.unique(steps).tolist()
        if len(delays) == 1:
            return [(identity, delays[0])]
        volume = identity.target
        parts: List[Tuple[LinearMap, int]] = []
        for delay in delays:
            factor = 1.0 * (steps == delay)
            parts.append((ElementwiseMap(volume, volume, factor), delay))
        return parts

    def _delay_steps(self, node: NirNode) -> np.ndarray:
        """Return the delay of each element in time steps.

        The result is int (channels, rows, columns).

        Raise `NotReadError` if it is no whole number.
        """
        shape = self.input_shapes[node.name]
        delay = node.broadcast("delay", shape).reshape(volume_of(shape))
        if not delay.any():
            return delay.astype(int)
        step_length = time_step(node, self._settings, "has a delay")
        ratio = delay / step_length
        steps = np.round(ratio)
        rounding = np.abs(ratio - steps)
        is_wrong = (rounding > LARGEST_ROUNDING * np.maximum(steps, 1)) | (delay < 0)
        is_wrong |= steps > LARGEST_NUMBER
        if is_wrong.any():
            wrong_delay = delay[is_wrong][0]
            raise node.refuse(
                f"has a delay of {wrong_delay:g}, {wrong_delay / step_length:g} time "
                "steps: give a whole number of them, at most "
                f"{LARGEST_NUMBER:,}"
            )
        return steps.astype(int)

    def biases(self, name: str, terms: Sequence[PathTerm]) -> Biases:
        """Return the biases among the terms that a node reads."""
        node = self.graph.nodes[name]
        volume = volume_of(self.input_shapes[name])
        biases = Biases(np.zeros(volume), np.zeros(volume))
        for term in terms:
            if term.source != CONSTANT:
                continue
            if term.delay > 1:
                raise node.refuse(
                    f"reads a bias {term.delay} time steps late; at most one step is "
                    "supported"
                )
            bias = biases.delayed if term.delay else biases.immediate
            bias += bias_weights(term).reshape(volume)
        if np.abs(biases).max() > np.finfo(np.float32).max:
            raise node.refuse("is reached by biases that are too large for float32")
        return biases

    def output_population(self, arrivals: Mapping[str, Sequence[PathTerm]]) -> str:
        """Return the name of the population that is read out.

        It is the node `Output` if no population of the graph can be. `arrivals` are the
        terms that the nodes with neurons and the node `Output` read, by name.
        """
        nodes = self.graph.nodes
        output = nodes[self.graph.output]
        terms = arrivals[output.name]
        if len(terms) == 1 and self.is_plain(terms[0]):
            source = terms[0].source
            if not self._is_read_immediately(source, arrivals):
                return source
        for term in terms:
            if term.source != CONSTANT and nodes[term.source].kind in INTEGRATORS:
                raise output.refuse(
                    f"reads {nodes[term.source].title}, whose output is a potential, "
                    "through linear nodes or with others: it must read this node alone"
                )
        return output.name

    def _is_read_immediately(
        self,
        source: str,
        arrivals: Mapping[str, Sequence[PathTerm]],
    ) -> bool:
        """Whether a population reads the spikes of a node without a delay."""
        for name, terms in arrivals.items():
            if name == self.graph.output:
                continue
            if any(term.source == source and not term.delay for term in terms):
                return True
        return False

    def is_plain(self, term: PathTerm) -> bool:
        """Whether a term is the spikes of a population, or the potential of one."""
        if term.source == CONSTANT or term.delay:
            return False
        if self.graph.nodes[term.source].kind not in NEURONS:
            return False
        return isinstance(term.map, ElementwiseMap) and term.map.factor is None


def bias_weights(term: PathTerm) -> np.ndarray:
    """Return the weights of a term that is a bias: float64 (1, elements)."""
    assert isinstance(term.map, MatrixMap)
    return term.map.weights


def sample_shape(node: NirNode, samples: Optional[Shape]) -> Tuple[int, int, int]:
    """Return the shape (height, width, channels) of the samples for an input node.

    `samples` is the shape of the samples that there are, see `fit_samples`.
    """
    return fit_samples(_declared_shape(node), samples)


def _declared_shape(node: NirNode) -> Shape:
    """Return the NIR shape that an input node declares."""
    axes = node.parameters["shape"].size
    forms = "give units, channels × steps, or channels × rows × columns"
    if not 1 <= axes <= 3:
        raise node.refuse(f"has a shape of {axes:,} numbers: {forms}")
    shape = node.whole_numbers("shape", axes)
    if min(shape) < 1:
        raise node.refuse(f"has the shape {describe_shape(shape)}: {forms}")
    return shape
