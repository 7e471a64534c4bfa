"""The network that is simulated.

It has volumes of neurons with their neuron model, and the projections that feed them.
"""

import math
from dataclasses import dataclass, replace
from typing import (
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Set,
    Tuple,
    Union,
)

import numpy as np

from snnb.core.errors import InputError
from snnb.network.geometry import (
    PADDING,
    Geometry,
    Reading,
    Shape,
    count_synapses,
    count_weights,
)
from snnb.network.layers import Layer, MaxPooling2D, Reindexing
from snnb.network.neuron import Neuron, NeuronOptions, converted_neuron

ACTIVATIONS = ("relu", "softmax", "linear")
# Activation of an output layer that does not spike: its accumulated input is read
MEMBRANE = "membrane"
DROPPED = "dropped"  # see `Network.zeros`
INPUT = "input"  # name of the input, also if the file has another one


def channel_medians(values: np.ndarray) -> np.ndarray:
    """Return the upper median of the values of each channel over all positions.

    The channels are the last axis; the result has the shape (channels,).
    """
    rows = np.sort(values.reshape(-1, values.shape[-1]), axis=0)
    medians: np.ndarray = rows[len(rows) // 2]
    return medians


@dataclass(frozen=True, eq=False)
class Volume:
    """The output of a layer, or the input: a neuron for each element of a sample."""

    name: str
    shape: Shape  # without the batch axis

    @property
    def size(self) -> int:
        """Number of its elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Reindexed(Volume):
    """The output of a layer without neurons, which moves values of other volumes."""

    layer: Reindexing
    # Names of the volumes it reads, in order; a name can occur twice
    inputs: Tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Projection:
    """The synapses from one volume to the neurons of a population."""

    input: str  # name of the volume
    layer: Layer
    geometry: Geometry
    # float32, in shape and order of the file: weights in units of the threshold; None
    # if they follow from the layer kind
    kernel: Optional[np.ndarray] = None
    # Time steps from a spike to its arrival. With a delay the volume may be a later
    # one, or the population's own: a cycle has a delay somewhere
    delay: int = 0
    # (channels,) float32, of a projection that closes a cycle: added from the second
    # step on
    bias: Optional[np.ndarray] = None

    @property
    def source(self) -> Tuple[str, int]:
        """The volume that it reads, and the delay."""
        return self.input, self.delay

    def weights(self) -> np.ndarray:
        """Return the weights: float32, shape `geometry.kernel_shape`."""
        assert self.kernel is not None
        return self.layer.read_weights(self.kernel, self.geometry)

    def replace_weights(self, weights: np.ndarray) -> "Projection":
        """Return the projection with other weights, in the shape of `weights()`."""
        kernel = self.layer.store_weights(weights, self.geometry)
        return replace(self, kernel=kernel.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Population(Volume):
    """Spiking neurons; their current is the sum of the projections' and a bias."""

    kind: str  # the Keras class of the layer that computes them
    projections: Tuple[Projection, ...]  # at least one
    # float32: bias of each channel, the last axis, shape (channels,), or of each
    # neuron, in the shape of the population (None if no projection has a kernel)
    bias: Optional[np.ndarray]
    # Activation of the analogue network; `linear` if it has none
    activation: str
    # Value at which the analogue network clips a relu. Spikes saturate at one per step
    max_value: Optional[float] = None
    # (channels,) float32: membrane potential before the first step, as a fraction of
    # the threshold; None where the simulation sets it
    initial_potential: Optional[np.ndarray] = None
    # First and last (exclusive) time step in which the neurons can fire, see
    # `Network.separated`; None: always
    window: Optional[Tuple[int, int]] = None
    # (channels,) float32 integers: firing threshold in an integer network, whose
    # weights, biases and initial potentials are integers too; None: 1, which weights,
    # biases and initial potentials are normalised to
    integer_threshold: Optional[np.ndarray] = None
    # Of a network from a NIR or lava-dl file. None in a converted network, whose
    # integrate-and-fire neurons have the threshold and initial potential above, and
    # settings of the simulation
    neuron: Optional[Neuron] = None

    @property
    def inputs(self) -> Tuple[str, ...]:
        """Names of the volumes that the projections read."""
        return tuple(projection.input for projection in self.projections)

    @property
    def is_spiking(self) -> bool:
        """Whether its neurons spike.

        Otherwise it is an output layer that is read by its input or its potential.
        """
        if self.activation == MEMBRANE:
            return False
        return self.neuron is None or self.neuron.is_spiking

    @property
    def fixed_point(self) -> bool:
        """Whether its neurons compute with fixed-point numbers, see `Neuron`."""
        return self.neuron is not None and self.neuron.fixed_point

    @property
    def coding(self) -> str:
        """Kind of output.

        It is `spikes`, `random` spikes of a softmax, or the `membrane` potential.
        """
        if self.activation == "softmax":
            return "random"
        return "spikes" if self.is_spiking else MEMBRANE

    @property
    def has_zeros(self) -> bool:
        """Whether a weight of its projections, which have kernels, is 0."""
        kernels = [np.asarray(projection.kernel) for projection in self.projections]
        return any(not kernel.all() for kernel in kernels)

    @property
    def counts_largest(self) -> bool:
        """Whether it is a max pooling that follows the largest spike count.

        Such a population has no membrane, see `MaxPooling2D`.
        """
        layer = self.projections[0].layer
        return isinstance(layer, MaxPooling2D) and layer.rule == "largest_count"

    @property
    def channel_bias(self) -> np.ndarray:
        """Bias of each channel at most positions: (channels,) float32."""
        if self.bias is None:
            return np.zeros(self.shape[-1], np.float32)
        return channel_medians(self.bias)

    @property
    def position_bias(self) -> Optional[np.ndarray]:
        """Differences of the biases of neurons from `channel_bias`.

        They are float32 in the population's shape; None without such differences.
        """
        if self.bias is None or self.bias.ndim == 1:
            return None
        return self.bias - self.channel_bias

    @property
    def later_bias(self) -> Optional[np.ndarray]:
        """Biases of the projections that close a cycle, added from the second step on.

        They are float32 (channels,); None without such a bias.
        """
        biases: List[np.ndarray] = []
        for projection in self.projections:
            if projection.bias is not None:
                biases.append(projection.bias)
        return np.sum(biases, axis=0, dtype=np.float32) if biases else None

    @property
    def only(self) -> Projection:
        """The projection of a population that has exactly one, such as a pooling."""
        (projection,) = self.projections
        return projection


def neuron_of(population: Population, options: NeuronOptions) -> Neuron:
    """Return the neurons of a population.

    They are its neuron model, or converted neurons with these options.
    """
    if population.neuron is not None:
        return population.neuron
    return converted_neuron(
        options,
        integer_threshold=population.integer_threshold,
        initial_potential=population.initial_potential,
        random=population.activation == "softmax",
        is_spiking=population.is_spiking,
    )


class Units(NamedTuple):
    """Divisors that convert weights and biases to units of the threshold.

    They are float32 (channels,).
    """

    # Of each projection: by a spike, or by a pixel of 1
    weights: Tuple[np.ndarray, ...]
    bias: np.ndarray  # also of the initial potential


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """Volumes in network order, the input first.

    A volume comes after the volumes that it reads without delay.
    """

    volumes: Tuple[Volume, ...]
    # Number of time steps that the network is calibrated for
    steps: Optional[int] = None
    # Number of levels of quantised activations in the trained network (Bu et al. 2022)
    levels: Optional[int] = None
    # Bit width of the weights of an integer network
    weight_bits: Optional[int] = None
    # In a pruned network `dropped`: weights of 0 are not synapses
    zeros: Optional[str] = None
    # Value of a pixel of 1: 255 in an integer network of byte pictures
    pixel: int = 1

    def __repr__(self) -> str:
        layers = f"{len(self.populations)} populations, {self.neurons:,} neurons"
        return f"<Network {self.input.shape} → {self.output.shape}: {layers}>"

    @property
    def input(self) -> Volume:
        """The input's neurons."""
        return self.volumes[0]

    @property
    def populations(self) -> List[Population]:
        """The spiking populations, in network order."""
        return [volume for volume in self.volumes if isinstance(volume, Population)]

    @property
    def volume_names(self) -> List[str]:
        """Names of the input and the populations, in network order."""
        return [self.input.name, *(population.name for population in self.populations)]

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
        """Whether the network is from a NIR or lava-dl file, with neuron models."""
        return self.output.neuron is not None

    @property
    def fixed_point(self) -> bool:
        """Whether its neurons are fixed-point neurons, see `Neuron`."""
        return self.output.fixed_point

    @property
    def rounds_pixels(self) -> bool:
        """Whether it reads pixels as integers: a converted integer network."""
        return self.weight_bits is not None and not self.trained_spiking

    @property
    def windowed(self) -> bool:
        """Whether populations fire in windows of time steps, one after the other."""
        return self.output.window is not None

    def latency(self, duration: int) -> int:
        """Return the time steps until a sample has passed all populations.

        See `interval` for `duration`.
        """
        if not self.windowed:
            return duration
        return duration * (self.depths()[self.output.name] + 1)

    def interval(self, duration: int) -> int:
        """Return the sample interval in time steps.

        Several samples can be in the network at a time. A neuron can process the next
        sample when its window has ended: its membrane potential holds one sample, from
        the first window of its sources on. `duration` is the number of time steps of a
        sample, or of each window.
        """
        if not self.windowed:
            return duration
        depths = self.depths()
        windows_per_sample = []
        for population in self.populations:
            source_depths = [depths[name] for name in self.senders(population)]
            windows = depths[population.name] - min(source_depths) + 1
            windows_per_sample.append(windows)
        return duration * max(windows_per_sample)

    def input_volumes(self) -> Set[str]:
        """Return the names of the volumes that have values of the input.

        They are the input, and the volumes without neurons that pass its values on.
        """
        names = {self.input.name}
        for volume in self.volumes:
            if not isinstance(volume, Reindexed):
                continue
            if self.input.name in self.senders(volume):
                names.add(volume.name)
        return names

    def depths(self) -> Dict[str, int]:
        """Return the depth of each volume, by name.

        It is the number of populations on the longest path from the input, the volume
        itself included. Max pooling that follows the largest spike count is not
        counted: it spikes in the steps of its inputs. Projections from later volumes,
        which close cycles, are not part of a path.
        """
        depths: Dict[str, int] = {}
        for volume in self.volumes:
            depth = 0
            for name in _inputs_of(volume):
                depth = max(depth, depths.get(name, 0))
            if isinstance(volume, Population) and not volume.counts_largest:
                depth += 1
            depths[volume.name] = depth
        return depths

    def components(self) -> List[List[Volume]]:
        """Return the strongly connected components, after those that they read.

        The volumes of a component are in network order. A component of several volumes,
        or with a projection from its own population, is a cycle: its populations have
        to be simulated together, a time step at a time.
        """
        if not self._has_delays():
            return [[volume] for volume in self.volumes]
        import networkx

        numbers = {volume.name: number for number, volume in enumerate(self.volumes)}
        graph = networkx.DiGraph()
        graph.add_nodes_from(numbers.values())
        for volume in self.volumes:
            for name in _inputs_of(volume):
                graph.add_edge(numbers[name], numbers[volume.name])
        condensation = networkx.condensation(graph)
        members: Dict[int, List[int]] = {}
        for component, data in condensation.nodes(data=True):
            members[component] = sorted(data["members"])
        order = networkx.lexicographical_topological_sort(
            condensation,
            key=lambda component: members[component][0],
        )
        components = []
        for component in order:
            volumes = [self.volumes[number] for number in members[component]]
            components.append(volumes)
        return components

    def _has_delays(self) -> bool:
        """Whether a projection has a delay."""
        delays: Set[int] = set()
        for population in self.populations:
            delays.update(projection.delay for projection in population.projections)
        return any(delays)

    def separated(self, steps: int) -> "Network":
        """Return the network with a firing window of `steps` time steps a population.

        A population at depth d can fire in the steps [d · steps, (d + 1) · steps), when
        the windows of all its sources have ended; until then it integrates. Its bias
        acts in the steps [(d - 1) · steps, d · steps), a constant input in the first
        `steps` steps (temporal separation: Liu et al. 2022, SpikeConverter, AAAI). Max
        pooling spikes in the steps of its inputs.
        """
        depths = self.depths()
        populations = []
        for population in self.populations:
            start = depths[population.name] * steps
            populations.append(replace(population, window=(start, start + steps)))
        return self.with_populations(populations)

    def as_trained(self, levels: Optional[int]) -> "Network":
        """Return the network with the activations of `levels`, as it was trained.

        Conversion has removed them: a rate is at most 1.
        """
        if levels is None or self.levels is not None:
            return self
        populations = []
        for population in self.populations:
            if population.activation == "relu":
                populations.append(replace(population, max_value=1.0))
        return replace(self.with_populations(populations), levels=levels)

    def senders(self, volume: Union[Population, Reindexed]) -> Set[str]:
        """Return the names of the populations, or the input, that a volume reads.

        It also reads them through re-indexing layers.
        """
        names: Set[str] = set()
        for name in volume.inputs:
            source = self.volume(name)
            if isinstance(source, Reindexed):
                names |= self.senders(source)
            else:
                names.add(name)
        return names

    def units(self, population: Population) -> Units:
        """Return the units of an integer population; ones for another population."""
        if population.integer_threshold is None:
            ones = np.ones(population.shape[-1], np.float32)
            return Units((ones,) * len(population.projections), ones)
        threshold = population.integer_threshold
        input_volumes = self.input_volumes()
        weights = []
        for projection in population.projections:
            reads_input = projection.input in input_volumes
            pixel = np.float32(self.pixel if reads_input else 1)
            weights.append(threshold / pixel)
        return Units(tuple(weights), threshold)

    def volume(self, name: str) -> Volume:
        """Return the volume of that name."""
        return next(volume for volume in self.volumes if volume.name == name)

    def with_populations(self, populations: Iterable[Population]) -> "Network":
        """Return the network with other populations of the same names."""
        replacements: Dict[str, Volume] = {}
        for population in populations:
            replacements[population.name] = population
        volumes = [replacements.get(volume.name, volume) for volume in self.volumes]
        return replace(self, volumes=tuple(volumes))

    def ids(self) -> Iterator[Tuple[Volume, Tuple[np.ndarray, ...]]]:
        """Yield each volume with neurons, and the ids of the neurons that it reads.

        There is an array of ids for each projection: int64, in the shape
        `geometry.input_volume`, and -1 where there is no neuron. The input's neurons
        are numbered first, then the populations in network order, each in C order of
        its shape.
        """
        ids: Dict[str, np.ndarray] = {}  # of the neurons of a volume, in its shape
        first_id = 0
        for volume in self.volumes:
            if isinstance(volume, Reindexed):
                inputs = [ids[name] for name in volume.inputs]
                ids[volume.name] = volume.layer.apply(inputs)
                continue
            end_id = first_id + volume.size
            ids[volume.name] = np.arange(first_id, end_id).reshape(volume.shape)
            first_id = end_id
        for volume in self.volumes:
            if isinstance(volume, Population):
                ids_read = []
                for projection in volume.projections:
                    shape = projection.geometry.input_volume
                    ids_read.append(ids[projection.input].reshape(shape))
                yield volume, tuple(ids_read)
            elif not isinstance(volume, Reindexed):
                yield volume, ()

    def fan_out(self) -> Dict[str, np.ndarray]:
        """Count the synapses that leave each neuron.

        By name of the input or a population, the counts are int64 in the shape of the
        volume, see `count_synapses`. Connections of two neurons with different delays
        are several synapses. In a pruned network each weight other than 0 is a synapse,
        also of several between two neurons.
        """
        counts = np.zeros(self.input.size + self.neurons, np.int64)
        for volume, ids in self.ids():
            if not isinstance(volume, Population):
                continue
            if self.zeros == DROPPED:
                _add_weights_out(counts, volume, ids)
            else:
                _add_synapses_out(counts, volume, ids)
        fan_out = {}
        first_id = 0
        for volume in (self.input, *self.populations):
            end_id = first_id + volume.size
            fan_out[volume.name] = counts[first_id:end_id].reshape(volume.shape)
            first_id = end_id
        return fan_out


def _inputs_of(volume: Volume) -> Tuple[str, ...]:
    """Return the names of the volumes that a volume reads: none if it is the input."""
    return volume.inputs if isinstance(volume, (Population, Reindexed)) else ()


def _add_weights_out(
    counts: np.ndarray,
    population: Population,
    ids: Tuple[np.ndarray, ...],
) -> None:
    """Add the weights other than 0 of a population to the neurons that they read.

    `counts` are int64 by id, `ids` those that the projections read, see `Network.ids`.
    """
    for ids_read, projection in zip(ids, population.projections):
        is_real = ids_read != PADDING
        kernel = None if projection.kernel is None else projection.weights()
        weights = count_weights(projection.geometry, kernel)
        sums = np.bincount(ids_read[is_real], weights[is_real], minlength=counts.size)
        counts += sums.astype(np.int64)


def _add_synapses_out(
    counts: np.ndarray,
    population: Population,
    ids: Tuple[np.ndarray, ...],
) -> None:
    """Add the synapses of a population to the neurons that they read.

    For the parameters see `_add_weights_out`.
    """
    for delay in {projection.delay for projection in population.projections}:
        readings = []
        first_id = counts.size - 1
        last_id = 0
        for ids_read, projection in zip(ids, population.projections):
            if projection.delay == delay:
                readings.append(Reading(ids_read, projection.geometry))
                neuron_ids = ids_read[ids_read != PADDING]
                first_id = min(first_id, int(neuron_ids.min(initial=first_id)))
                last_id = max(last_id, int(ids_read.max()))
        last_id = max(first_id, last_id)
        synapses = count_synapses(readings, first_id, last_id + 1 - first_id)
        counts[first_id : last_id + 1] += synapses.out


def refuse_maximum_of_input(network: Network) -> None:
    """Raise `InputError` if a max pooling would count spikes of an analogue input."""
    input_volumes = network.input_volumes()
    for population in network.populations:
        if population.counts_largest and input_volumes.intersection(population.inputs):
            raise InputError(
                f"layer {population.name} takes the maximum of an input that is not "
                "spikes: begin with a convolution"
            )
