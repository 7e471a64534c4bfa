"""A network prepared for the event-driven engine: the data that all samples and threads share.

To simulate a layer kind with the engine `event`, add a line to `LAYER_LOOPS`: a function that makes its tables for
`compiled_loops.weighted` or, if its currents are not sums over spikes, one that makes a separate loop, as in `pooling`.
"""

from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Type

import numpy as np
import tensorflow as tf

from snnb.conversion.currents import Currents, batch_of, padded, reindexed
from snnb.network.geometry import PADDING
from snnb.network.layers import AveragePooling2D, Conv2D, Dense, DepthwiseConv2D, Layer, MaxPooling2D, Scale
from snnb.network.network import Network, Population, Projection, Reindexed, Volume
from snnb.simulation.engines.engine import (
    CHANGING,
    Dynamics,
    Real,
    dynamics,
    firing_threshold,
    input_volumes,
    number_type,
    spike_amplitudes,
)
from snnb.simulation.engines.event import compiled_loops, pooling
from snnb.simulation.engines.event.loop_arrays import (
    Scratch,
    aligned,
    filled_up,
    inputs_of,
    neurons_of,
    no_tables,
    pooling_windows,
    reach_of,
    runs_of,
    windows_of,
    zeros,
)
from snnb.simulation.engines.event.types import GROUP, SLACK, Entries, Leaky, Neurons, Weighted
from snnb.simulation.simulation_settings import SimulationSettings

# Runs of windows are faster up to this number of filters of a convolution, and of units of a Dense layer (one window).
MOST_FILTERS, MOST_UNITS = 63, 96

# Takes the spikes that are read, the neurons, the output array of spikes, and a buffer for a list of spikes.
Loop = Callable[[np.ndarray, Neurons, np.ndarray, np.ndarray], None]
Tables = Callable[[Projection, "np.floating[Any]", bool], Weighted]


class LayerLoops(NamedTuple):
    """How a layer kind is simulated; a line of `LAYER_LOOPS`."""

    # From a projection, the amplitude of a spike (float32) and whether it reads the input of each step (see `Entries`)
    # to its tables for `compiled_loops.weighted`; None for a layer kind that always has a loop.
    tables: Optional[Tables]
    # From a projection, the amplitude, and whether constant input arrives too, to a separate loop;
    # None where `compiled_loops.weighted` does it.
    loop: Callable[[Projection, "np.floating[Any]", bool], Optional[Loop]] = lambda projection, amplitude, constant: (
        None
    )
    divides: bool = False  # the sum is divided by the number of inputs
    # The current depends on earlier steps, so that constant input does not make a constant current.
    remembers: bool = False

    @property
    def sums(self) -> bool:
        """Whether the current is the contribution of the constant input plus contributions of spikes.

        It is not where numbers are divided or compared after they were added.
        """
        return not (self.divides or self.remembers)


def _all_channels(projection: Projection, amplitude: "np.floating[Any]", entries: bool) -> Weighted:
    geometry, weights = projection.geometry, projection.weights().astype(type(amplitude)) * amplitude
    limit = MOST_FILTERS if geometry.rows.outputs * geometry.columns.outputs > 1 else MOST_UNITS
    return runs_of(geometry, weights) if entries or geometry.filters <= limit else windows_of(geometry, weights)


def _depthwise(projection: Projection, amplitude: "np.floating[Any]", entries: bool) -> Weighted:
    weights = projection.weights().astype(type(amplitude)) * amplitude
    return reach_of(projection.geometry, weights.reshape(-1, projection.geometry.filters), by_neuron=entries)


def _average(projection: Projection, amplitude: "np.floating[Any]", entries: bool) -> Weighted:
    return reach_of(projection.geometry, np.full((1, projection.geometry.filters), amplitude), by_neuron=entries)


def _average_loop(projection: Projection, amplitude: "np.floating[Any]", constant: bool) -> Optional[Loop]:
    if not constant:
        return None
    windows, inputs = pooling_windows(projection.geometry)
    return lambda source, neurons, spikes, room: pooling.average_with_constant(
        source, neurons, spikes, room, windows, amplitude, inputs
    )


def _maximum_loop(projection: Projection, amplitude: "np.floating[Any]", constant: bool) -> Loop:
    windows, _ = pooling_windows(projection.geometry)
    loop = pooling.maximum_with_constant if constant else pooling.maximum
    return lambda source, neurons, spikes, room: loop(source, neurons, spikes, room, windows, amplitude)


LAYER_LOOPS: Mapping[Type[Layer], LayerLoops] = {
    Dense: LayerLoops(_all_channels),
    Conv2D: LayerLoops(_all_channels),
    DepthwiseConv2D: LayerLoops(_depthwise),
    Scale: LayerLoops(_depthwise),
    AveragePooling2D: LayerLoops(_average, _average_loop, divides=True),
    MaxPooling2D: LayerLoops(None, _maximum_loop, remembers=True),
}


# Steps, and most neurons times steps, of a population before the next one reads its spikes: its weights and neurons
# stay in the cache meanwhile.
TRAIN_STEPS, TRAIN_NEURONS = 100, 30_000_000
# Bytes of the currents of the steps that are computed at a time: they stay in the second-level cache. There may be more
# if the weights take more than this multiple of them.
CURRENTS_BYTES, WEIGHTS_SHARE = 256 << 10, 8
# Most numbers in the lists of spikes of these steps, unless one step has more.
MOST_LISTED = 4_000_000
NEVER = np.float32(np.inf)  # threshold of neurons that do not spike


Source = Tuple[str, int]  # name of a volume, and delay


class Work(NamedTuple):
    """Computes the spikes of a population from the spikes of `inputs`, and the input of each step.

    `entries` are volumes that have the input of each step, and the tables of the projections that read them.
    """

    inputs: Tuple[Source, ...]
    entries: Tuple[Tuple[Source, Weighted], ...]
    # Takes the spikes of the inputs, the input of each step, the neurons, the output array of new spikes, and a
    # thread's scratch.
    run: Callable[[Sequence[np.ndarray], Tuple[Entries, ...], Neurons, np.ndarray, Scratch], None]


class _ConstantInput:
    """Computes once the contribution of the constant input to the populations that it reaches, equal in all steps.

    It uses TensorFlow, so that the currents are equal to those in the engine `tensorflow`.
    """

    def __init__(self, network: Network, real: Real) -> None:
        self._network, self._real = network, real
        self.passing = input_volumes(network)
        read = [replace(p, bias=None) for p in network.populations if self.passing.intersection(p.inputs)]
        self._currents = Currents(read, real)

    def contributions(self, x: np.ndarray, unsummed: Set[str]) -> Dict[str, np.ndarray]:
        """Compute the contribution of the input x to the populations that it reaches, in every step.

        By population, that is its current without bias and spikes, float32 (samples, neurons); of a population in
        `unsummed` its input, (samples, inputs), 0 where spikes arrive.
        """
        batch = batch_of(self._network)
        slices = [x[first : first + batch] for first in range(0, len(x), batch)]
        parts = [self._batch(part, batch, unsummed) for part in slices]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _batch(self, x: np.ndarray, batch: int, unsummed: Set[str]) -> Dict[str, np.ndarray]:
        tensors = {self._network.input.name: tf.constant(padded(x, batch), self._real)}
        contributions: Dict[str, np.ndarray] = {}
        for volume in self._network.volumes[1:]:
            tensors[volume.name] = tf.zeros((batch, *volume.shape), self._real)  # no spikes
            if isinstance(volume, Population):
                read = {name: tensors[name] for name in volume.inputs if name in self.passing}
                if read:
                    values = read[volume.only.input] if volume.name in unsummed else self._currents.of(volume, read)
                    contributions[volume.name] = values.numpy()[: len(x)].reshape(len(x), -1)
            elif isinstance(volume, Reindexed) and volume.name in self.passing:
                tensors[volume.name] = reindexed(volume, tensors)
        return contributions


class EventNetwork:
    """Weights in rows, geometry in tables, and the compiled work of each population."""

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self.network, self.settings, self.real = network, settings, number_type(network, settings)
        sizes = [volume.size for volume in network.volumes]
        # Steps that one population does before the next.
        self.train_steps = max(1, min(TRAIN_STEPS, TRAIN_NEURONS // max(sizes)))
        self._constant_input = _ConstantInput(network, self.real) if settings.input == "constant" else None
        passing = self._constant_input.passing if self._constant_input is not None else set()
        # Populations that read values of the constant input as well as spikes: an average is divided after adding,
        # and a maximum follows one of all inputs: neither is the sum of a current without spikes and of spikes.
        self.unsummed: Set[str] = set()
        self.remembering: Set[str] = set()  # populations that accumulate their input: max pooling
        self.work: Dict[str, Work] = {}  # by population whose current is not the same in every step
        # By volume without neurons: for each input, see `index_tables`.
        self.tables = {v.name: index_tables(network, v) for v in network.volumes if isinstance(v, Reindexed)}
        # By volume that has the input of each step: where the elements of the input are in it, as in `tables`.
        self.entries: Dict[str, Optional[np.ndarray]] = _entry_tables(network, settings, self.tables)
        # Steps between a spike and its latest arrival, by volume that is read with a delay.
        self.history: Dict[str, int] = {}
        for projection in (p for population in network.populations for p in population.projections):
            if projection.delay and projection.input not in self.entries:
                self.history[projection.input] = max(self.history.get(projection.input, 0), projection.delay)
        self.components = [(part, _is_stepped(part)) for part in network.components()]
        self.no_input = zeros((1, filled_up(max(p.size for p in network.populations))), self.real)
        self.biases: Dict[str, np.ndarray] = {}  # by population: float32 (neurons,)
        self.later_biases: Dict[str, np.ndarray] = {}  # likewise, from the second step on
        self.thresholds: Dict[str, np.ndarray] = {}  # likewise
        self.leaky: Dict[str, Leaky] = {}  # by population with a neuron model, without synaptic currents
        no_current = np.zeros((1, 0), self.real)
        self.not_leaky = Leaky(Dynamics(*[no_current[0]] * len(Dynamics._fields)), no_current, False)
        amplitudes = spike_amplitudes(network, settings)
        for population in network.populations:
            kinds = [LAYER_LOOPS[type(projection.layer)] for projection in population.projections]
            bias = np.zeros(1, np.float32) if population.bias is None else population.bias
            self.biases[population.name] = neurons_of(np.resize(bias, population.size).astype(self.real))
            if population.later_bias is not None:
                later = np.resize(bias + population.later_bias, population.size)
                self.later_biases[population.name] = neurons_of(later.astype(self.real))
            threshold = firing_threshold(population, settings) if population.spikes else NEVER
            if population.neuron is not None:
                numbers = Dynamics(*(neurons_of(each.ravel()) for each in dynamics(population)))
                self.leaky[population.name] = Leaky(numbers, no_current, population.neuron.reset is not None)
            self.thresholds[population.name] = neurons_of(np.resize(threshold, population.size).astype(self.real))
            self.thresholds[population.name][population.size :] = NEVER
            if any(kind.remembers for kind in kinds):
                self.remembering.add(population.name)
            work = _work(network, population, amplitudes, passing, set(self.entries), self.real)
            if work is not None:
                self.work[population.name] = work
                if passing.intersection(population.inputs) and not all(kind.sums for kind in kinds):
                    self.unsummed.add(population.name)

    def without_spikes(self, x: np.ndarray) -> Tuple[Dict[str, np.ndarray], Dict[str, np.ndarray]]:
        """Compute the contribution of the constant input, in every step, to the populations that it reaches.

        Return by population its current without bias, float32 (samples, neurons); and by population of `unsummed`
        its input, float32 (samples, inputs), 0 where spikes arrive.
        """
        if self._constant_input is None:
            return {}, {}
        contributions = self._constant_input.contributions(x, self.unsummed)
        values = {name: aligned(contributions.pop(name)) for name in self.unsummed}
        return {name: neurons_of(current) for name, current in contributions.items()}, values


def index_tables(network: Network, volume: Reindexed) -> List[Optional[np.ndarray]]:
    """Return for each input of a volume where its elements are in the volume: int32, flat, or None where they were.

    It is `PADDING` for an element that is left out.
    """
    shapes = [network.volume(name).shape for name in volume.inputs]
    tables: List[Optional[np.ndarray]] = []
    for read in range(len(shapes)):
        numbered = [np.full(shape, PADDING, np.int32) for shape in shapes]
        numbered[read] = np.arange(numbered[read].size, dtype=np.int32).reshape(shapes[read])
        element = volume.layer.apply(numbered).ravel()
        there = np.flatnonzero(element != PADDING)
        table = np.full(numbered[read].size, PADDING, np.int32)
        table[element[there]] = there
        tables.append(None if np.array_equal(table, numbered[read].ravel()) else table)
    return tables


def _is_stepped(component: Sequence[Volume]) -> bool:
    """Whether a component has to be simulated a step at a time."""
    names = {volume.name for volume in component}
    populations = [volume for volume in component if isinstance(volume, Population)]
    return any(names.intersection(p.inputs) or p.later_bias is not None for p in populations)


def _entry_tables(
    network: Network, settings: SimulationSettings, tables: Mapping[str, List[Optional[np.ndarray]]]
) -> Dict[str, Optional[np.ndarray]]:
    """Return where the elements of the input are in each volume that has the input of each step; see `index_tables`."""
    entries: Dict[str, Optional[np.ndarray]] = {network.input.name: None} if settings.input in CHANGING else {}
    for volume in network.volumes:
        for name, table in zip(volume.inputs if isinstance(volume, Reindexed) else (), tables.get(volume.name, [])):
            if name in entries:
                before = entries[name]
                if before is None or table is None:
                    entries[volume.name] = before if table is None else table
                else:
                    entries[volume.name] = np.where(before == PADDING, PADDING, table[before]).astype(np.int32)
    return entries


def _work(
    network: Network,
    population: Population,
    amplitudes: Dict[str, Set[float]],
    passing: Set[str],
    entries: Set[str],
    real: Real,
) -> Optional[Work]:
    """Return the work that reads the spikes of a population's inputs; None if its current is the same in every step."""
    inputs, tables, arrivals = [], [], []
    for projection in population.projections:
        kind, spikes = LAYER_LOOPS[type(projection.layer)], amplitudes[projection.input]
        if projection.input in entries:
            assert kind.tables is not None  # see `choose.unsupported`
            arrivals.append((projection.source, kind.tables(projection, real(1), True)))
        if not (spikes or kind.remembers):
            continue
        inputs.append(projection.source)
        amplitude = real(max(spikes, default=0.0))
        loop = kind.loop(projection, amplitude, projection.input in passing)
        if loop is not None:
            return _looped(projection.source, loop, network.volume(projection.input).size + SLACK)
        assert kind.tables is not None
        tables.append(kind.tables(projection, amplitude, False))
    if not inputs and not arrivals:
        return None
    divisors = np.zeros(0, real)
    if LAYER_LOOPS[type(population.projections[0].layer)].divides:
        divisors = neurons_of(inputs_of(population.only.geometry))
        divisors[population.size :] = 1
    max_sources = max((network.volume(name).size for name, _ in inputs), default=1)
    return _summed(inputs, tuple(tables), tuple(arrivals), divisors, population.size, max_sources)


def _looped(source: Source, loop: Loop, room: int) -> Work:
    """Return the work of a separate loop, which needs a buffer of `room` numbers."""
    return Work(
        (source,),
        (),
        lambda read, entries, neurons, spikes, scratch: loop(read[0], neurons, spikes, scratch.room(room)),
    )


def _summed(
    inputs: Sequence[Source],
    tables: Tuple[Weighted, ...],
    arrivals: Tuple[Tuple[Source, Weighted], ...],
    divisors: np.ndarray,
    neurons: int,
    max_sources: int,
) -> Work:
    """Return the work that sums projections, none of which reads spikes of more than `max_sources` neurons."""
    real = divisors.dtype.type
    # The compiled loop takes at least one of each.
    tables = tables or (no_tables(real),)
    none = Entries(np.zeros((1, 0), np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), no_tables(real))
    size = filled_up(neurons)
    # Weights that do not fit into the cache are read from memory once for all these steps.
    room_for_currents = max(CURRENTS_BYTES, sum(table.windows.weights.nbytes for table in tables) // WEIGHTS_SHARE)
    at_once = max(1, min(room_for_currents // (size * np.dtype(divisors.dtype).itemsize), MOST_LISTED // max_sources))

    def run(
        read: Sequence[np.ndarray],
        entries: Tuple[Entries, ...],
        neurons: Neurons,
        spikes: np.ndarray,
        scratch: Scratch,
    ) -> None:
        sources = tuple(read) or (np.zeros((*spikes.shape[:2], 0), np.uint64),)
        steps = min(at_once, spikes.shape[1])
        currents, room = scratch.currents(steps * size + GROUP), scratch.room((steps + 1) * (max_sources + SLACK))
        compiled_loops.weighted(sources, tables, entries or (none,), neurons, spikes, divisors, currents, room)

    return Work(tuple(inputs), arrivals, run)
