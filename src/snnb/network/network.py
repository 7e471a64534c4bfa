"""The network that is simulated: volumes of neurons with their neuron model, and the projections that feed them."""

import math
from dataclasses import dataclass, replace
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

import numpy as np

from snnb.core.errors import InputError
from snnb.network.geometry import PADDING, Geometry, Reading, Shape, count_synapses, count_weights
from snnb.network.layers import Layer, MaxPooling2D, Reindexing
from snnb.network.neuron import Neuron, NeuronOptions, converted_neuron

ACTIVATIONS = ("relu", "softmax", "linear")
MEMBRANE = "membrane"  # activation of an output layer that does not spike: its accumulated input is read
DROPPED = "dropped"  # see `Network.zeros`
INPUT = "input"  # name of the input, also if the file has another one


def of_most_positions(values: np.ndarray) -> np.ndarray:
    """Return the upper median of the values of each channel, the last axis, over all positions: shape (channels,)."""
    rows = np.sort(values.reshape(-1, values.shape[-1]), axis=0)
    middle: np.ndarray = rows[len(rows) // 2]
    return middle


@dataclass(frozen=True, eq=False)
class Volume:
    """The output of a layer, or the input: a neuron for each element of a sample. `shape` is without the batch axis."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """Number of its elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Reindexed(Volume):
    """The output of a layer without neurons, which moves values of other volumes."""

    layer: Reindexing
    inputs: Tuple[str, ...]  # names of the volumes it reads, in order; a name can occur twice


@dataclass(frozen=True, eq=False)
class Projection:
    """The synapses from one volume to the neurons of a population."""

    input: str  # name of the volume
    layer: Layer
    geometry: Geometry
    # float32, `geometry.kernel_shape` in the order of the file: weights in units of the threshold; None if they follow
    # from the layer kind
    kernel: Optional[np.ndarray] = None
    # Time steps from a spike to its arrival. With a delay the volume may be a later one, or the population's own: a
    # cycle has a delay somewhere
    delay: int = 0
    # (channels,) float32, of a projection that closes a cycle: added from the second step on
    bias: Optional[np.ndarray] = None

    @property
    def source(self) -> Tuple[str, int]:
        """The volume that it reads, and the delay."""
        return self.input, self.delay

    def weights(self) -> np.ndarray:
        """Return the weights: float32, shape `geometry.kernel_shape`."""
        assert self.kernel is not None
        return self.kernel.reshape(self.geometry.kernel_shape)


@dataclass(frozen=True, eq=False)
class Population(Volume):
    """Spiking neurons: their input current is the sum of their projections' and a bias."""

    kind: str  # the Keras class of the layer that computes them
    projections: Tuple[Projection, ...]  # at least one
    # float32: bias of each channel, the last axis, shape (channels,), or of each neuron, in the shape of the population
    # (None if no projection has a kernel)
    bias: Optional[np.ndarray]
    activation: str  # activation of the analogue network; `linear` if it has none
    # Value at which the analogue network clips a relu. Spikes saturate at one per step
    max_value: Optional[float] = None
    # (channels,) float32: membrane potential before the first step, as a fraction of the threshold; None where the
    # simulation sets it
    initial_potential: Optional[np.ndarray] = None
    # First and last (exclusive) time step in which the neurons can fire, see `Network.separated`; None: always
    window: Optional[Tuple[int, int]] = None
    # (channels,) float32 integers: firing threshold in an integer network, whose weights, biases and initial potentials
    # are integers too; None: 1, which weights, biases and initial potentials are normalised to
    integer_threshold: Optional[np.ndarray] = None
    # Of a network from a NIR file. None in a converted network, whose integrate-and-fire neurons have the threshold and
    # initial potential above, and settings of the simulation
    neuron: Optional[Neuron] = None

    @property
    def inputs(self) -> Tuple[str, ...]:
        """Names of the volumes that the projections read."""
        return tuple(projection.input for projection in self.projections)

    @property
    def spikes(self) -> bool:
        """Whether its neurons spike; otherwise it is an output layer that is read by its input or its potential."""
        return self.activation != MEMBRANE and (self.neuron is None or self.neuron.spikes)

    @property
    def coding(self) -> str:
        """Kind of output: `spikes`, `random` spikes of a softmax, or the `membrane` potential."""
        return "random" if self.activation == "softmax" else "spikes" if self.spikes else MEMBRANE

    @property
    def counts_largest(self) -> bool:
        """Whether it is a max pooling that follows the largest spike count: without a membrane, see `MaxPooling2D`."""
        layer = self.projections[0].layer
        return isinstance(layer, MaxPooling2D) and layer.rule == "largest_count"

    @property
    def channel_bias(self) -> np.ndarray:
        """Bias of each channel at most positions: (channels,) float32."""
        return np.zeros(self.shape[-1], np.float32) if self.bias is None else of_most_positions(self.bias)

    @property
    def position_bias(self) -> Optional[np.ndarray]:
        """Differences of the biases of neurons from `channel_bias`, float32 in the population's shape; None without."""
        return None if self.bias is None or self.bias.ndim == 1 else self.bias - self.channel_bias

    @property
    def later_bias(self) -> Optional[np.ndarray]:
        """Biases of the projections that close a cycle, added from the second step on: (channels,) float32."""
        biases = [projection.bias for projection in self.projections if projection.bias is not None]
        return np.sum(biases, axis=0, dtype=np.float32) if biases else None

    @property
    def only(self) -> Projection:
        """The projection of a population that has exactly one, such as a pooling."""
        (projection,) = self.projections
        return projection


def neuron_of(population: Population, options: NeuronOptions) -> Neuron:
    """Return the neurons of a population: its neuron model, or converted neurons with these options."""
    if population.neuron is not None:
        return population.neuron
    return converted_neuron(
        options,
        integer_threshold=population.integer_threshold,
        initial_potential=population.initial_potential,
        random=population.activation == "softmax",
        spikes=population.spikes,
    )


class Units(NamedTuple):
    """Divisors that convert weights and biases to units of the threshold: float32, shape (channels,)."""

    weight: np.ndarray  # by a spike, or by a pixel of 1
    bias: np.ndarray  # also of the initial potential


@dataclass(frozen=True, eq=False)
class Network:
    """Volumes in network order: each comes after the volumes that it reads without delay; the input is the first."""

    volumes: Tuple[Volume, ...]
    steps: Optional[int] = None  # number of time steps that the network is calibrated for
    levels: Optional[int] = None  # number of levels of quantised activations in the trained network (Bu et al. 2022)
    weight_bits: Optional[int] = None  # bit width of the weights of an integer network
    zeros: Optional[str] = None  # in a pruned network `dropped`: weights of 0 are not synapses
    pixel: int = 1  # value of a pixel of 1: 255 in an integer network of byte pictures

    @property
    def input(self) -> Volume:
        """The input's neurons."""
        return self.volumes[0]

    @property
    def populations(self) -> List[Population]:
        """The spiking populations, in network order."""
        return [volume for volume in self.volumes if isinstance(volume, Population)]

    @property
    def output(self) -> Population:
        """The population that is read out: the last."""
        return self.populations[-1]

    @property
    def neurons(self) -> int:
        """Number of spiking neurons, the input not among them."""
        return sum(population.size for population in self.populations)

    @property
    def trained_spiking(self) -> bool:
        """Whether the network is from a NIR file: its populations have a neuron model."""
        return self.output.neuron is not None

    @property
    def windowed(self) -> bool:
        """Whether populations fire in windows of time steps, one after the other."""
        return self.output.window is not None

    def latency(self, duration: int) -> int:
        """Return the time steps until a sample has passed all populations; see `interval` for `duration`."""
        return duration * (self.depths()[self.output.name] + 1) if self.windowed else duration

    def interval(self, duration: int) -> int:
        """Return the sample interval in time steps: several samples can be in the network at a time.

        A neuron can process the next sample when its window has ended: its membrane potential holds one sample, from
        the first window of its sources on. `duration` is the number of time steps of a sample, or of each window.
        """
        if not self.windowed:
            return duration
        depths = self.depths()
        first = {p.name: min(depths[sender] for sender in self.senders(p)) for p in self.populations}
        return duration * max(depths[name] - depth + 1 for name, depth in first.items())

    def input_volumes(self) -> Set[str]:
        """Return the names of the input and of the volumes without neurons that pass its values on."""
        passing = [v for v in self.volumes if isinstance(v, Reindexed) and self.input.name in self.senders(v)]
        return {self.input.name, *(volume.name for volume in passing)}

    def depths(self) -> Dict[str, int]:
        """Return the number of populations on the longest path from the input to each volume, itself included.

        Max pooling that follows the largest spike count is not counted: it spikes in the steps of its inputs.
        Projections from later volumes, which close cycles, are not part of a path.
        """
        depths: Dict[str, int] = {}
        for volume in self.volumes:
            read = [depths[name] for name in getattr(volume, "inputs", ()) if name in depths]
            counted = isinstance(volume, Population) and not volume.counts_largest
            depths[volume.name] = max(read, default=0) + counted
        return depths

    def components(self) -> List[List[Volume]]:
        """Return the strongly connected components, each after the components that it reads; volumes in network order.

        A component of several volumes, or with a projection from its own population, is a cycle: its populations have
        to be simulated together, a time step at a time.
        """
        if not any(projection.delay for population in self.populations for projection in population.projections):
            return [[volume] for volume in self.volumes]
        import networkx

        number = {volume.name: i for i, volume in enumerate(self.volumes)}
        graph = networkx.DiGraph()
        graph.add_nodes_from(number.values())
        for volume in self.volumes:
            graph.add_edges_from((number[name], number[volume.name]) for name in getattr(volume, "inputs", ()))
        condensed = networkx.condensation(graph)
        members: Dict[int, List[int]] = {part: sorted(data["members"]) for part, data in condensed.nodes(data=True)}
        order = networkx.lexicographical_topological_sort(condensed, key=lambda part: members[part][0])
        return [[self.volumes[i] for i in members[part]] for part in order]

    def separated(self, steps: int) -> "Network":
        """Return the network with a firing window of `steps` time steps for each population.

        A population at depth d can fire in the steps [d · steps, (d + 1) · steps), when the windows of all its sources
        have ended; until then it integrates. Its bias acts in the steps [(d - 1) · steps, d · steps), a constant input
        in the first `steps` steps (temporal separation: Liu et al. 2022, SpikeConverter, AAAI). Max pooling spikes in
        the steps of its inputs.
        """
        depths = self.depths()
        return self.with_populations(
            replace(p, window=(depths[p.name] * steps, (depths[p.name] + 1) * steps)) for p in self.populations
        )

    def as_trained(self, levels: Optional[int]) -> "Network":
        """Return the network with the activations of `levels` that conversion has removed: a rate is at most 1."""
        if levels is None or self.levels is not None:
            return self
        clipped = (replace(p, max_value=1.0) for p in self.populations if p.activation == "relu")
        return replace(self.with_populations(clipped), levels=levels)

    def senders(self, volume: Union[Population, Reindexed]) -> Set[str]:
        """Return the names of the populations, or the input, that a volume reads, also through re-indexing layers."""
        read = [self.volume(name) for name in volume.inputs]
        return set().union(*(self.senders(v) if isinstance(v, Reindexed) else {v.name} for v in read))

    def units(self, population: Population) -> Units:
        """Return the units of an integer population; ones for another."""
        if population.integer_threshold is None:
            ones = np.ones(population.shape[-1], np.float32)
            return Units(ones, ones)
        pixel = np.float32(self.pixel if self.input.name in self.senders(population) else 1)
        return Units(population.integer_threshold / pixel, population.integer_threshold)

    def volume(self, name: str) -> Volume:
        """Return the volume of that name."""
        return next(volume for volume in self.volumes if volume.name == name)

    def with_populations(self, populations: Iterable[Population]) -> "Network":
        """Return the network with other populations of the same names."""
        changed: Dict[str, Volume] = {population.name: population for population in populations}
        return replace(self, volumes=tuple(changed.get(volume.name, volume) for volume in self.volumes))

    def ids(self) -> Iterator[Tuple[Volume, Tuple[np.ndarray, ...]]]:
        """Yield each volume with neurons, and for each projection the ids of the neurons that it reads.

        The input's neurons are numbered first, then the populations in network order, each in C order of its shape. Ids
        are int64, in the shape `geometry.input_volume`, and -1 where there is no neuron.
        """
        tensors: Dict[str, np.ndarray] = {}
        first = 0
        for volume in self.volumes:
            if isinstance(volume, Reindexed):
                tensors[volume.name] = volume.layer.apply([tensors[name] for name in volume.inputs])
                continue
            tensors[volume.name] = np.arange(first, first + volume.size).reshape(volume.shape)
            first += volume.size
        for volume in self.volumes:
            read = volume.projections if isinstance(volume, Population) else ()
            if not isinstance(volume, Reindexed):
                yield volume, tuple(tensors[p.input].reshape(p.geometry.input_volume) for p in read)

    def fan_out(self) -> Dict[str, np.ndarray]:
        """Count the synapses that leave each neuron, by name of the input or population; see `count_synapses`.

        Connections of two neurons with different delays are several synapses. In a pruned network each weight other
        than 0 is a synapse, also of several between two neurons.
        """
        leaving = np.zeros(self.input.size + self.neurons, np.int64)
        for volume, ids in self.ids():
            if isinstance(volume, Population) and self.zeros == DROPPED:
                for read, p in zip(ids, volume.projections):
                    is_real = read != PADDING
                    counts = count_weights(p.geometry, None if p.kernel is None else p.weights())
                    leaving += np.bincount(read[is_real], counts[is_real], minlength=leaving.size).astype(np.int64)
            elif isinstance(volume, Population):
                for delay in {p.delay for p in volume.projections}:
                    parts = zip(ids, volume.projections)
                    readings = [Reading(read, p.geometry) for read, p in parts if p.delay == delay]
                    first = min(int(read[read != PADDING].min(initial=leaving.size - 1)) for read, _ in readings)
                    last = max(first, *(int(read.max()) for read, _ in readings))
                    leaving[first : last + 1] += count_synapses(readings, first, last + 1 - first).out
        neurons = [self.input, *self.populations]
        ends = np.cumsum([volume.size for volume in neurons]).tolist()
        return {v.name: leaving[end - v.size : end].reshape(v.shape) for v, end in zip(neurons, ends)}


def refuse_maximum_of_input(network: Network) -> None:
    """Raise `InputError` if a max pooling would count the spikes of an input that has none."""
    passing = network.input_volumes()
    for population in network.populations:
        if population.counts_largest and passing.intersection(population.inputs):
            raise InputError(
                f"layer {population.name} takes the maximum of an input that is not spikes: begin with a convolution"
            )
