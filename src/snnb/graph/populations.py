"""Populations of neurons, and the attributes of each neuron."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Iterator, Optional, Sequence, Tuple

import h5py
import numpy as np

POOL_WEIGHTS = ("one", "mean")
RATE_UNITS = ("step", "hz", "sample")


def whole(shares: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the integers, float32, that `shares` are multiples of 1 / `unit` of: exact below 2²³."""
    return np.rint(shares.astype(np.float64) * unit).astype(np.float32)


@dataclass(frozen=True)
class Recording:
    """Samples and time steps that spikes were counted in.

    Attributes
    ----------
    num_samples, num_timesteps : samples, and time steps counted in each
    warm_up : time steps before them, in which no spikes were counted
    dt_ms : time step in milliseconds
    """

    num_samples: int
    num_timesteps: int
    warm_up: int
    dt_ms: float

    @property
    def steps(self) -> int:
        """Time steps over all samples."""
        return self.num_samples * self.num_timesteps

    def rate_scale(self, unit: str) -> float:
        """Return the factor from spikes per time step to a unit, `step`, `hz` or `sample`."""
        return {"step": 1.0, "hz": 1000.0 / self.dt_ms, "sample": float(self.num_timesteps)}[unit]


class GraphPopulation:
    """The neurons of the input or of one spiking layer; consecutive ids in Keras order (row, column, channel).

    Attributes
    ----------
    name, layer : str
        The parsed layer's name and Keras class.
    shape : tuple of int
    first, size : int
        Id of the first neuron, and number of neurons.
    coding : {"spikes", "current", "random"} or None
        `current`: a constant input, whose rate is a mean current and whose traffic is 0. `random`: a softmax layer,
        whose spikes are drawn at random. `membrane`: an output that does not spike. None in a graph without spike
        counts.
    window : tuple of int or None
        First and last (exclusive) time step in which the neurons can fire, of a network with separated firing.
    initial_potential : ndarray of float32 or None
        Membrane potential of each channel before the first step, as a share of the threshold; None if the simulation
        sets it.
    threshold : ndarray of float32 or None
        Integer threshold of each channel of an integer network. Its weights are integers too when multiplied by the
        threshold of the postsynaptic neuron, and divided by the attribute `pixel` of the graph if the input is the
        source; so are its biases and initial potentials, multiplied by the threshold.
    unit : ndarray of float32
        Threshold of each channel in the unit of the weights: `threshold` in a graph of integers, else 1.
    """

    def __init__(self, group: h5py.Group, recording: Optional[Recording], integers: bool = False) -> None:
        self.name: str = group.attrs["name"]
        self.layer: str = group.attrs["layer"]
        self.shape: Tuple[int, ...] = tuple(group.attrs["shape"].tolist())
        self.size = math.prod(self.shape)
        self.first = int(group.attrs["first_id"])
        self.coding: Optional[str] = None if recording is None else group.attrs["coding"]
        self._recording = recording
        self._counts = None if recording is None else group["spike_count"]
        self.window: Optional[Tuple[int, ...]] = (
            tuple(group.attrs["window"].tolist()) if "window" in group.attrs else None
        )
        self.initial_potential: Optional[np.ndarray] = None
        if "initial_potential" in group:
            self.initial_potential = group["initial_potential"][()]
        self.threshold: Optional[np.ndarray] = group["threshold"][()] if "threshold" in group else None
        self.unit = np.ones((), np.float32) if self.threshold is None or not integers else self.threshold
        if integers and self.initial_potential is not None:
            self.initial_potential = whole(self.initial_potential, self.unit)
        self._bias = group.get("bias")

    def __repr__(self) -> str:
        return f"<GraphPopulation {self.name}: {self.layer}, shape {self.shape}>"

    @cached_property
    def spike_count(self) -> Optional[np.ndarray]:
        """Spikes (int64) or, for the input, spikes or current (float64), summed over samples and steps."""
        return None if self._counts is None else self._counts[()]

    @cached_property
    def rate(self) -> Optional[np.ndarray]:
        """Spikes per time step (float64) in the population's shape; None without spike counts."""
        if self.spike_count is None or self._recording is None:
            return None
        return self.spike_count / self._recording.steps

    @cached_property
    def bias(self) -> np.ndarray:
        """Bias (float32) in the population's shape, in thresholds or integers per step; 0 for layers without bias."""
        if self._bias is None:
            return np.zeros(self.shape, np.float32)
        bias = self._bias[()] if np.ndim(self.unit) == 0 else whole(self._bias[()], self.unit)
        return np.broadcast_to(bias, self.shape)

    @property
    def firing_threshold(self) -> np.ndarray:
        """Threshold in the unit of the weights, float32 in the population's shape: 1 but for a graph of integers."""
        return np.broadcast_to(self.unit, self.shape)

    @property
    def has_bias(self) -> bool:
        """Whether the layer has a bias."""
        return self._bias is not None

    @cached_property
    def _rate32(self) -> np.ndarray:
        return np.ones(self.size, np.float32) if self.rate is None else self.rate.ravel().astype(np.float32)

    def edge_rate(self, scale: float) -> np.ndarray:
        """Return float32(rate × scale), flat, the factor from weight to edge; 1 without spike counts."""
        if self.rate is None or scale == 1:
            return self._rate32
        return (self.rate.ravel() * scale).astype(np.float32)

    def traffic(self) -> np.ndarray:
        """Return spikes per time step (float64), flat; 0 for a population that emits a current."""
        if self.rate is None or self.coding == "current":
            return np.zeros(self.size)
        return self.rate.ravel()


@dataclass(frozen=True)
class Node:
    """One neuron: its population, index in the population's shape, rate per time step, spike count and bias."""

    population: str
    index: Tuple[int, ...]
    rate: Optional[float]
    spike_count: Optional[float]
    bias: float


class Nodes:
    """All neurons by id, as a sequence: `len`, iteration over ids, `nodes[n]`."""

    def __init__(self, populations: Sequence[GraphPopulation]) -> None:
        self._populations = populations
        self._firsts = np.array([population.first for population in populations])

    def __len__(self) -> int:
        last = self._populations[-1]
        return last.first + last.size

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __contains__(self, node: object) -> bool:
        return isinstance(node, (int, np.integer)) and 0 <= int(node) < len(self)

    def __getitem__(self, node: int) -> Node:
        population = self.population(node)
        index = tuple(int(i) for i in np.unravel_index(node - population.first, population.shape))
        rate, count = (None if v is None else v[index].item() for v in (population.rate, population.spike_count))
        return Node(population.name, index, rate, count, float(population.bias[index]))

    def population(self, node: int) -> GraphPopulation:
        """Return the population that a node belongs to; KeyError if there is no such node."""
        if node not in self:
            raise KeyError(f"node {node} does not exist; ids run from 0 to {len(self) - 1}")
        return self._populations[int(np.searchsorted(self._firsts, node, side="right")) - 1]
