"""Make a network of a NIR graph: populations of its neurons, with the linear nodes between them composed.

NIR is channels first; populations are (row, column, channel), so weights and parameters of neurons are transposed.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.core.machine import require_memory
from snnb.model_files.kinds import NirSettings, NotReadError
from snnb.model_files.nir_file import PARAMETERS, NirGraph, Node, read_nir_graph, times
from snnb.model_files.nir_linear import (
    Channels,
    Elementwise,
    Linear,
    Matrix,
    Window,
    channel_values,
    compose,
    linear_of,
    matrix_of,
    volume_of,
)
from snnb.network.geometry import Shape
from snnb.network.layers import (
    Conv2D,
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
from snnb.network.network import DROPPED, INPUT, Network, Population, Projection, Reindexed, Volume
from snnb.network.neuron import Neuron

SMALLEST = np.finfo(np.float32).tiny
INTEGRATORS = {"I", "LI", "CubaLI"}  # without spikes
NEURONS = {"Threshold", "IF", "LIF", "CubaLIF", *INTEGRATORS}
WHOLE = 1e-6  # largest distance of a delay from a whole number of time steps
CONSTANT = ""  # source of terms that are biases
VALUE_BYTES = 100  # of an output of a node in memory


@dataclass(frozen=True, eq=False)
class Term:
    """An input of a node: a linear map of the spikes of a population, of the input, or of a constant 1."""

    source: str  # name of a node, or `CONSTANT`
    volume: Channels  # of the source
    linear: Linear
    delay: int = 0  # time steps


def read_nir(path: Path, settings: NirSettings, samples: Optional[Shape] = None) -> Network:
    """Read a NIR file as a network; `samples` is the shape (height, width, channels) of samples, see `input_shape`.

    Raise `InputError` if the file cannot be read; the message names the node.
    """
    try:
        return _Reader(read_nir_graph(path), settings, samples).network()
    except NotReadError as error:
        raise InputError(f"{path}: {error}") from error
    except RecursionError:
        raise InputError(f"{path}: has hundreds of linear nodes in sequence; put neurons between them") from None


def input_shape(path: Path, samples: Optional[Shape] = None) -> Tuple[int, int, int]:
    """Return the shape (height, width, channels) of the samples that a NIR network takes.

    A network whose input is a vector takes samples of any shape with as many elements, in the order channels first; by
    default (1, 1, units).
    """
    try:
        graph = read_nir_graph(path)
        return _samples(graph.nodes[graph.input], samples)
    except NotReadError as error:
        raise InputError(f"{path}: {error}") from error


def _samples(node: Node, given: Optional[Shape]) -> Tuple[int, int, int]:
    shape = _declared_shape(node)
    channels, height, width = volume_of(shape)
    if len(shape) == 1 and given is not None and len(given) == 3 and math.prod(given) == channels:
        height, width, channels = given
    return height, width, channels


def _declared_shape(node: Node) -> Shape:
    shape = tuple(np.atleast_1d(node.parameters["shape"]).astype(int).tolist())
    if not 1 <= len(shape) <= 3 or min(shape) < 1:
        raise node.refuse(f"has the shape {times(shape)}: give units, channels × steps, or channels × rows × columns")
    return shape


class _Reader:
    """The nodes of a graph with their shapes, and the volumes that are made of them."""

    def __init__(self, graph: NirGraph, settings: NirSettings, samples: Optional[Shape]) -> None:
        self._graph, self._settings = graph, settings
        self._inner: Dict[str, Shape] = {}  # NIR shape of a node's input
        self._outer: Dict[str, Shape] = {}  # likewise of its output
        self._linear: Dict[str, Tuple[Linear, Optional[np.ndarray]]] = {}  # linear nodes, with their bias
        self._terms: Dict[str, List[Term]] = {}  # of the outputs of linear nodes
        self._open: List[str] = []  # nodes whose terms are being computed
        height, width, channels = _samples(graph.nodes[graph.input], samples)
        self._samples = (channels, height, width)
        self._neurons: Dict[str, Shape] = {graph.input: (height, width, channels)}  # shapes of volumes with neurons
        self._moved: Dict[str, List[Reindexed]] = {}  # by node, volumes that others read of its neurons
        total = 0
        for name, node in graph.nodes.items():
            if name == graph.input:
                shape = self._outer[name] = _declared_shape(node)
            else:
                shape = next(self._outer[s] for s in graph.sources[name] if (s, name) not in graph.closing)
                self._inner[name] = self._outer[name] = shape
            total += math.prod(shape)
            require_memory(
                VALUE_BYTES * total, f"{graph.budget.path}: the {total:,} inputs of its nodes, up to {name},"
            )
            if node.kind in NEURONS:
                for parameter in PARAMETERS[node.kind]:
                    node.of_shape(parameter, shape)
            elif name != graph.input:
                linear, self._outer[name], bias = linear_of(node, shape)
                self._linear[name] = (linear, bias)
        for name, sources in graph.sources.items():
            for source in sources:
                if self._outer[source] != self._inner[name]:
                    raise graph.nodes[name].refuse(
                        f"reads {times(self._inner[name])}, but from node {source} {times(self._outer[source])}"
                    )

    def network(self) -> Network:
        """Return the network."""
        nodes, first = self._graph.nodes, self._graph.input
        names = [name for name, node in nodes.items() if node.kind in NEURONS]
        if not names:
            raise NotReadError("has no node with neurons")
        arriving = {name: self._arriving(name) for name in [*names, self._graph.output]}
        output = self._output(arriving)
        names = [*(name for name in names if name != output), output]
        biases = {name: self._biases(nodes[name], arriving[name]) for name in names}
        terms: Dict[str, List[Term]] = {}
        for name in names:
            read = [term for term in arriving[name] if term.source != CONSTANT]
            # Convolutions of zeros only add biases.
            terms[name] = [t for t in read if not isinstance(t.linear, Window) or t.linear.kernel.any()] or read
        self._neurons.update({name: self._population_shape(nodes[name], terms[name], biases[name]) for name in names})
        populations = {name: self._population(nodes[name], terms[name], biases[name]) for name in names}
        volumes: List[Volume] = [Volume(INPUT, self._neurons[first]), *self._moved.get(first, [])]
        for name in names:
            volumes += [populations[name], *self._moved.get(name, [])]
        sparse = any(not np.asarray(p.kernel).all() for one in populations.values() for p in one.projections)
        return Network(tuple(volumes), zeros=DROPPED if sparse else None)

    def _arriving(self, name: str) -> List[Term]:
        """Return the terms of the sum that a node reads."""
        terms: List[Term] = []
        constants: Dict[int, np.ndarray] = {}
        for source in self._graph.sources[name]:
            delay = int((source, name) in self._graph.closing)
            for term in self._sent(source):
                term = replace(term, delay=term.delay + delay)
                if term.source == CONSTANT:
                    assert isinstance(term.linear, Matrix)
                    constants[term.delay] = constants.get(term.delay, 0) + term.linear.weights
                elif self._graph.nodes[name].kind in NEURONS and self._graph.nodes[term.source].kind in INTEGRATORS:
                    raise self._graph.nodes[name].refuse(
                        f"reads {self._graph.nodes[term.source].title}, whose output is a potential: neurons here read "
                        "spikes only, so such a node can lead only to the output"
                    )
                else:
                    terms.append(term)
        return terms + [Term(CONSTANT, (1, 1, 1), Matrix(bias), delay) for delay, bias in constants.items()]

    def _sent(self, name: str) -> List[Term]:
        """Return the terms of a node's output."""
        node = self._graph.nodes[name]
        if name == self._graph.input:
            return [Term(name, self._samples, Elementwise())]
        if node.kind in NEURONS:
            return [Term(name, volume_of(self._outer[name]), Elementwise())]
        if name in self._open:
            cycle = " → ".join([*self._open[self._open.index(name) :], name])
            raise node.refuse(f"is in a cycle without neurons: {cycle}")
        if name in self._terms:
            return self._terms[name]
        linear, bias = self._linear[name]
        middle, target = volume_of(self._inner[name]), volume_of(self._outer[name])
        parts = [(linear, 0)]
        if node.kind == "Delay":
            steps = self._steps(node)
            delays = np.unique(steps).tolist()
            parts = [(Elementwise() if len(delays) == 1 else Elementwise(1.0 * (steps == n)), n) for n in delays]
        self._open.append(name)
        terms: List[Term] = []
        for term in self._arriving(name):
            for part, n in parts:
                self._graph.budget.draw_steps(1, "paths of linear nodes")
                composed = compose(term.linear, part, term.volume, middle, target, node)
                terms.append(Term(term.source, term.volume, composed, term.delay + n))
        self._open.pop()
        if bias is not None and bias.any():
            terms.append(Term(CONSTANT, (1, 1, 1), Matrix(np.reshape(bias, (1, -1)))))
        self._terms[name] = terms
        return terms

    def _steps(self, node: Node) -> np.ndarray:
        """Return the delay of each element in time steps."""
        shape = self._inner[node.name]
        delay = node.of_shape("delay", shape).reshape(volume_of(shape))
        if not delay.any():
            return delay.astype(int)
        length = time_step(node, self._settings, "has a delay")
        steps = np.round(delay / length)
        wrong = (np.abs(delay / length - steps) > WHOLE * np.maximum(steps, 1)) | (delay < 0)
        if wrong.any():
            first = delay[wrong][0]
            raise node.refuse(f"has a delay of {first:g}, {first / length:g} time steps: give a whole number of them")
        return steps.astype(int)

    def _output(self, arriving: Mapping[str, Sequence[Term]]) -> str:
        """Return the name of the population that is read out, or of the node `Output` if none of the graph can be."""
        output = self._graph.nodes[self._graph.output]
        first, *others = arriving[output.name]
        if not others and self._is_plain(first):
            read = (term for name, terms in arriving.items() if name != output.name for term in terms)
            if not any(term.source == first.source and not term.delay for term in read):
                return first.source
        for term in arriving[output.name]:
            if term.source != CONSTANT and self._graph.nodes[term.source].kind in INTEGRATORS:
                raise output.refuse(
                    f"reads {self._graph.nodes[term.source].title}, whose output is a potential, through linear nodes "
                    "or with others: it must read this node alone"
                )
        return output.name

    def _is_plain(self, term: Term) -> bool:
        """Whether a term is the spikes of a population, or the potential of integrators."""
        of_neurons = term.source != CONSTANT and self._graph.nodes[term.source].kind in NEURONS
        return of_neurons and isinstance(term.linear, Elementwise) and term.linear.factor is None and not term.delay

    def _biases(self, node: Node, terms: Sequence[Term]) -> Tuple[np.ndarray, np.ndarray]:
        """Return the bias, and the one that is added from the second step on: float64, in NIR's order."""
        biases = [np.zeros(volume_of(self._inner[node.name])) for _ in range(2)]
        for term in terms:
            if term.source == CONSTANT:
                assert isinstance(term.linear, Matrix)
                if term.delay > 1:
                    raise node.refuse(f"reads a bias {term.delay} time steps late; at most one step is supported")
                biases[term.delay] += term.linear.weights.reshape(biases[0].shape)
        if np.abs(biases).max() > np.finfo(np.float32).max:
            raise node.refuse("is reached by biases that are too large for float32")
        return biases[0], biases[1]

    def _population_shape(self, node: Node, terms: Sequence[Term], biases: Tuple[np.ndarray, np.ndarray]) -> Shape:
        """Return the shape of a population.

        Neurons of an image are a vector if a matrix leads to them, or if their biases differ by position.
        """
        shape, (channels, height, width) = self._inner[node.name], volume_of(self._inner[node.name])
        now, later = (channel_values(bias) is not None for bias in biases)
        direct = "tau_syn" not in node.parameters  # a bias acts on the potential, so that it can be an offset
        if len(shape) == 1:
            return (1, 1, channels) if any(isinstance(term.linear, Window) for term in terms) else (channels,)
        if any(isinstance(term.linear, Matrix) for term in terms) or not later or not (now or direct):
            return (channels * height * width,)
        return height, width, channels

    def _population(self, node: Node, terms: Sequence[Term], biases: Tuple[np.ndarray, np.ndarray]) -> Population:
        shape, volume = self._neurons[node.name], volume_of(self._inner[node.name])

        def ordered(values: np.ndarray) -> np.ndarray:
            return _rows_first(values.reshape(volume)).reshape(shape)

        if node.kind in NEURONS:
            neuron = neuron_of(node, self._inner[node.name], self._settings, ordered)
        elif all(self._is_plain(term) for term in terms) and len(terms) == 1:  # spikes that others read too
            neuron = Neuron(0.5, leak=0, reset=0)
        else:
            neuron = Neuron(1, leak=0, spikes=False)
        now, later = (ordered(bias) for bias in biases)
        if channel_values(biases[0]) is None and len(shape) > 1:
            neuron, now = replace(neuron, offset=neuron.offset + neuron.gain * now), np.zeros(shape)
        projections = [self._projection(term, volume, shape, node) for term in terms]
        now, later = (bias.reshape(-1, shape[-1])[0].astype(np.float32) for bias in (now, later))
        if later.any():
            delayed = next(i for i, term in enumerate(terms) if term.delay)
            projections[delayed] = replace(projections[delayed], bias=later)
        kind = projections[0].layer.kind if len(projections) == 1 else "Add"
        return Population(self._name(node.name), shape, kind, tuple(projections), now, "linear", neuron=neuron)

    def _name(self, name: str) -> str:
        if name == self._graph.input:
            return INPUT
        return f"{name}_node" if name == INPUT else name

    def _projection(self, term: Term, target: Channels, shape: Shape, node: Node) -> Projection:
        """Return the projection of a term onto a population of a shape."""
        linear, source = term.linear, term.source
        if len(shape) == 1 < len(self._inner[node.name]):
            linear = Matrix(matrix_of(linear, term.volume, target, node))
        if isinstance(linear, Matrix):
            rows, columns = _order(term.volume), _order(target)
            layer: Layer = configured(Dense, {"units": len(columns)}, node.name)
            read = self._read(source, _reshape((*(1,) * (len(shape) - 1), len(rows))))
            kernel = linear.weights[rows][:, columns]
        elif isinstance(linear, Elementwise):
            read = self._read(source, *_moves(term.volume, target, shape))
            factor = _rows_first(np.ones(target) if linear.factor is None else linear.factor).reshape(-1, shape[-1])
            by_position = bool((factor != factor[0]).any())
            layer = configured(Scale, {"by_position": by_position}, node.name)
            kernel = factor if by_position else factor[0]
        else:
            read, layer, kernel = self._window(term, linear)
        geometry = layer.geometry(read.shape)
        kernel = kernel.reshape(layer.kernel_shape(geometry)).astype(np.float32)
        if not np.isfinite(kernel).all():
            raise node.refuse("is reached by weights that are too large for float32")
        return Projection(read.name, layer, geometry, kernel, term.delay)

    def _window(self, term: Term, window: Window) -> Tuple[Volume, Layer, np.ndarray]:
        """Return the volume that a convolution reads, its layer, and its kernel."""
        channels, height, width = term.volume
        (top, left), (bottom, right) = window.before, window.after
        unused = (height - window.used[0], width - window.used[1])
        read = self._read(
            term.source,
            _reshape((height, width, channels)),
            configured(Cropping2D, {"cropping": ((0, unused[0]), (0, unused[1]))}, term.source),
            configured(ZeroPadding2D, {"padding": ((top, bottom), (left, right))}, term.source),
        )
        kind = DepthwiseConv2D if window.diagonal else Conv2D
        config = {
            "filters": window.filters,
            "depth_multiplier": window.kernel.shape[3],
            "kernel_size": window.kernel.shape[:2],
            "strides": window.strides,
            "dilation_rate": window.dilations,
        }
        return read, configured(kind, config, term.source), window.kernel

    def _read(self, source: str, *layers: Reindexing) -> Volume:
        """Return a volume without neurons that follows a node's neurons; layers that change nothing are ignored."""
        volume = Volume(self._name(source), self._neurons[source])
        inner = volume_of(self._outer[source])
        if source != self._graph.input and len(volume.shape) == 1 and inner[1:] != (1, 1):
            layers = (_reshape((*inner[1:], inner[0])), *layers)
        for layer in layers:
            shape = layer.output_shape([volume.shape])
            if shape == volume.shape and not isinstance(layer, Permute):
                continue
            moved = self._moved.setdefault(source, [])
            same = [one for one in moved if one.inputs == (volume.name,) and one.layer == layer]
            if not same:
                name = f"{volume.name}:{layer.kind}"
                alike = sum(one.name.startswith(name) for one in moved)
                same = [Reindexed(f"{name}{alike}" if alike else name, shape, layer, (volume.name,))]
                moved += same
            volume = same[0]
        return volume


def _rows_first(values: np.ndarray) -> np.ndarray:
    """Move the channels of an array (channels, rows, columns) to the end."""
    return values.transpose(1, 2, 0)


def _order(volume: Channels) -> np.ndarray:
    """Return the place in NIR's order of each element of a volume in the order (row, column, channel)."""
    return _rows_first(np.arange(math.prod(volume)).reshape(volume)).ravel()


def _reshape(shape: Shape) -> Reindexing:
    return configured(Reshape, {"target_shape": shape}, "")


def _moves(source: Channels, target: Channels, shape: Shape) -> List[Reindexing]:
    """Return the layers from a volume (row, column, channel) to `shape`, which has the same elements in NIR's order."""
    if (_order(source) == _order(target)).all():
        return [_reshape(shape)]
    channels, height, width = source
    first, last = (configured(Permute, {"dims": dims}, "") for dims in ((3, 1, 2), (2, 3, 1)))
    return [_reshape((height, width, channels)), first, _reshape(target), last, _reshape(shape)]


def neuron_of(node: Node, shape: Shape, settings: NirSettings, order: Callable[[np.ndarray], np.ndarray]) -> Neuron:
    """Return the neuron model of a node whose type is one of `NEURONS`, and whose input has the NIR shape `shape`.

    `order` reorders numbers of that shape to the shape of the population. Raise `NotReadError` if parameters do not fit
    the input, a time constant is not positive, or there is no time step for it.
    """
    numbers: Dict[str, np.ndarray] = {}

    def parameter(name: str, default: float = 0.0) -> np.ndarray:
        return node.of_shape(name, shape, default)

    def remaining(name: str) -> np.ndarray:
        """Fraction of a quantity that remains after a time step, by its time constant."""
        tau = parameter(name)
        if (tau <= 0).any():
            raise node.refuse(f"has {name} {tau.min():g}: time constants must be positive")
        ratio = time_step(node, settings, "has time constants") / tau
        return 1 - ratio if settings.integration == "euler" else np.exp(-ratio)

    if node.kind == "Threshold":  # no state
        numbers["leak"] = np.zeros(shape)
    elif node.kind in ("I", "IF"):
        resistance = parameter("r")
        if (resistance != 1).any():  # per unit of time; 1 is an integral over time steps
            resistance = resistance * time_step(node, settings, "has a resistance r other than 1")
        numbers["gain"] = resistance
    else:
        if "tau_syn" in node.parameters:
            numbers["current_leak"] = remaining("tau_syn")
            numbers["current_gain"] = parameter("w_in", 1.0) * (1 - numbers["current_leak"])
        numbers["leak"] = remaining("tau" if "tau" in node.parameters else "tau_mem")
        numbers["gain"] = parameter("r") * (1 - numbers["leak"])
        numbers["offset"] = parameter("v_leak") * (1 - numbers["leak"])
    spikes = node.kind not in INTEGRATORS
    numbers["threshold"] = np.ones(shape)
    if spikes:
        threshold = parameter("threshold" if node.kind == "Threshold" else "v_threshold")
        numbers["threshold"] = _above(threshold)
        if settings.nir_reset != "value":
            # `snnb export` writes the number below 1 for neurons that spike at 1, from which 1 is subtracted.
            above = numbers["threshold"]
            numbers["subtrahend"] = np.where(above == np.round(above), above, threshold)
            if settings.nir_reset == "subtract_delayed":
                leak = np.broadcast_to(numbers.get("leak", 1.0), shape)
                if (leak == 0).any():
                    raise node.refuse("keeps nothing of a potential, from which a later step could subtract")
                # λ v - θ in the next step is λ (v - θ / λ)
                numbers["subtrahend"] = numbers["subtrahend"] / leak
        else:
            numbers["reset"] = parameter("v_reset")
    return Neuron.of({name: _shortest(order(values)) for name, values in numbers.items()}, spikes=spikes)


def time_step(node: Node, settings: NirSettings, reason: str) -> float:
    """Return the time step; raise `NotReadError` if none is given."""
    if settings.time_step is None:
        raise node.refuse(f"{reason}: give --time-step, the length of a time step in the unit of its parameters")
    return settings.time_step


def _above(threshold: np.ndarray) -> np.ndarray:
    """Return the smallest float32 numbers above `threshold`: NIR's neurons spike where v > threshold.

    TensorFlow takes subnormal numbers for 0, so the smallest one above 0 is a normal number.
    """
    nearest = threshold.astype(np.float32)
    above = np.where(nearest > threshold, nearest, np.nextafter(nearest, np.float32(np.inf)))
    return np.where((above > 0) & (above < SMALLEST), SMALLEST, above)


def _shortest(values: np.ndarray) -> np.ndarray:
    """Return one number if all are equal, one for each channel if all positions are, else all."""
    if (values == values.flat[0]).all():
        return values.flat[0]
    channels = values.reshape(-1, values.shape[-1])
    return channels[0] if (channels == channels[0]).all() else values
