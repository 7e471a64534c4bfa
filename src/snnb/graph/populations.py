"""Populations of neurons, and the attributes of each neuron."""

from dataclasses import dataclass
from functools import cached_property
from typing import Iterator, Optional, Sequence, Tuple

import h5py
import numpy as np
from typing_extensions import Literal, get_args

from snnb.graph.neuron_names import read_names
from snnb.io.hdf5 import whole
from snnb.network.network import Volume
from snnb.network.neuron import Neuron, NeuronOptions, Normalised, converted_neuron
from snnb.network.spike_counts import Recording

# `current`: a constant input, whose rate is a mean current and whose traffic is 0.
# `random`: a softmax layer, whose spikes are random. `membrane`: an output that does
# not spike
Coding = Literal["spikes", "current", "random", "membrane"]
CODINGS: Tuple[str, ...] = get_args(Coding)
POOL_WEIGHTS = ("one", "mean")
RATE_UNITS = ("step", "hz", "sample")


def to_integers(shares: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Multiply fractions of the threshold by `unit` and round to integers.

    Float32, exact below 2²³.
    """
    return np.rint(shares.astype(np.float64) * unit).astype(np.float32)


@dataclass(frozen=True, eq=False)
class GraphPopulation(Volume):
    """The neurons of the input or of one spiking layer.

    They have consecutive ids in the order of Keras (row, column, channel).
    """

    layer: str  # Keras class
    first: int  # id of the first neuron
    # One of `CODINGS`; None in a graph without spike counts
    coding: Optional[str] = None
    # First and last (exclusive) time step in which the neurons can fire, of a network
    # with separated firing
    window: Optional[Tuple[int, int]] = None
    # float32: membrane potential of each channel before the first step, as a fraction
    # of the threshold (an integer in an integer graph); None if the simulation sets it
    initial_potential: Optional[np.ndarray] = None
    # float32: integer threshold of each channel of an integer network. Its weights are
    # integers too when multiplied by the threshold of the postsynaptic neuron, and
    # divided by the attribute `pixel` of the graph if the input is the source; so are
    # its biases and initial potentials, multiplied by the threshold
    integer_threshold: Optional[np.ndarray] = None
    # Whether the graph has these integers as weights, biases and initial potentials
    integers: bool = False
    recording: Optional[Recording] = None
    stored_counts: Optional[h5py.Dataset] = None  # read when it is needed
    stored_bias: Optional[h5py.Dataset] = None
    # Threshold, leak and other numbers of the neurons of a network from a NIR file,
    # whose weights are in the unit of its currents; None in a converted network, whose
    # neurons have no leak
    neuron: Optional[Neuron] = None
    # float32: bias of each channel that is added from the second time step on, as it
    # closes a cycle
    later_bias: Optional[np.ndarray] = None
    # Names of the neurons, of an external graph that has names
    stored_names: Optional[h5py.Dataset] = None

    def __repr__(self) -> str:
        return f"<GraphPopulation {self.name}: {self.layer}, shape {self.shape}>"

    @cached_property
    def spike_count(self) -> Optional[np.ndarray]:
        """Spikes, summed over samples and steps: int64 in the shape of the population.

        Of the input, spikes or currents: float64.
        """
        return None if self.stored_counts is None else whole(self.stored_counts)

    @cached_property
    def names(self) -> Optional[np.ndarray]:
        """Names of the neurons: str in an array of objects, flat.

        None if they have none.
        """
        return None if self.stored_names is None else read_names(self.stored_names)

    @cached_property
    def rate(self) -> Optional[np.ndarray]:
        """Spikes per time step (float64) in the population's shape.

        None without spike counts.
        """
        if self.spike_count is None or self.recording is None:
            return None
        return self.spike_count / self.recording.steps

    @property
    def unit(self) -> np.ndarray:
        """Unit of the weights of each channel, float32.

        It is `integer_threshold` in a graph of integers, else 1.
        """
        if self.integers and self.integer_threshold is not None:
            return self.integer_threshold
        return np.ones((), np.float32)

    @cached_property
    def bias(self) -> np.ndarray:
        """Bias (float32) in the shape of the population; 0 for layers without bias.

        The unit is thresholds, or integers, per step.
        """
        if self.stored_bias is None:
            return np.zeros(self.shape, np.float32)
        bias = whole(self.stored_bias)
        if np.ndim(self.unit):
            bias = to_integers(bias, self.unit)
        return np.broadcast_to(bias, self.shape)

    @property
    def threshold(self) -> np.ndarray:
        """Threshold, in the shape of the population.

        It is the threshold of the neuron model; otherwise 1, except in a graph of
        integers.
        """
        neuron = self.neuron_with(Normalised())
        return np.broadcast_to(neuron.threshold, self.shape)

    def neuron_with(self, options: NeuronOptions) -> Neuron:
        """Return the neuron model, or that of a converted network with these options.

        The unit is that of `bias`.
        """
        if self.neuron is not None:
            return self.neuron
        threshold = self.integer_threshold
        start = self.initial_potential
        if start is None and threshold is not None and not self.integers:
            # The simulation starts at an integer.
            integer_start = np.floor(np.float32(options.initial_potential) * threshold)
            start = integer_start.astype(np.float64) / threshold
        return converted_neuron(
            options,
            integer_threshold=threshold if self.integers else None,
            initial_potential=start,
            random=self.coding == "random",
            is_spiking=self.coding != "membrane",
        )

    @cached_property
    def _rate32(self) -> np.ndarray:
        """Rate per time step, float32, flat; 1 without spike counts."""
        if self.rate is None:
            return np.ones(self.size, np.float32)
        return self.rate.ravel().astype(np.float32)

    def edge_rate(self, scale: float) -> np.ndarray:
        """Return float32(rate × scale), flat, the factor from weight to edge.

        It is 1 without spike counts.
        """
        if self.rate is None or scale == 1:
            return self._rate32
        return (self.rate.ravel() * scale).astype(np.float32)

    def traffic(self) -> np.ndarray:
        """Return spikes per time step (float64), flat; 0 for a constant current."""
        if self.rate is None or self.coding == "current":
            return np.zeros(self.size)
        return self.rate.ravel()


@dataclass(frozen=True)
class Node:
    """One neuron: its population, its index in the shape of the population, and values.

    The values are rate per time step, spike count, bias and name. The name is None if
    the neurons of the graph have no names.
    """

    population: str
    index: Tuple[int, ...]
    rate: Optional[float]
    spike_count: Optional[float]
    bias: float
    name: Optional[str] = None


class Nodes:
    """All neurons by id, as a sequence: `len`, iteration over ids, `nodes[n]`."""

    def __init__(self, populations: Sequence[GraphPopulation]) -> None:
        self._populations = populations
        self._first_ids = np.array([population.first for population in populations])

    def __len__(self) -> int:
        last_population = self._populations[-1]
        return last_population.first + last_population.size

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, (int, np.integer)):
            return False
        return 0 <= int(node) < len(self)

    def __getitem__(self, node: int) -> Node:
        population = self.population(node)
        axes = np.unravel_index(node - population.first, population.shape)
        index = tuple(int(position) for position in axes)
        rate = None
        if population.rate is not None:
            rate = population.rate[index].item()
        spike_count = None
        if population.spike_count is not None:
            spike_count = population.spike_count[index].item()
        name = None
        if population.names is not None:
            name = population.names[node - population.first]
        bias = float(population.bias[index])
        return Node(population.name, index, rate, spike_count, bias, name)

    def population(self, node: int) -> GraphPopulation:
        """Return the population that a node belongs to.

        KeyError if there is no such node.
        """
        if node not in self:
            last_id = len(self) - 1
            raise KeyError(f"node {node} does not exist; ids run from 0 to {last_id}")
        number = int(np.searchsorted(self._first_ids, node, side="right")) - 1
        return self._populations[number]
