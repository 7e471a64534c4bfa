"""A network prepared for the event-driven engine: the data that all samples and threads share.

The order of all sums is defined. So counts depend neither on the machine nor on the version of a library, except counts
of a softmax. A current is a sequential sum of numbers of one type: first the input, then spikes; within each, one
projection after the other in the order of the population; within a projection, the inputs in rising order, which is C
order of their volume. The sum is rounded after each addition; the product of a weight with a pixel, a current of the
input, or a spike count of separated firing is not rounded before it is added (IEEE 754 fusedMultiplyAdd). Average
pooling divides the sum. The bias is added last.
"""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from snnb.core.compiled import typed_once
from snnb.network.geometry import PADDING
from snnb.network.network import Network, Population, Projection, Reindexed, Volume, neuron_of
from snnb.network.neuron import Numbers
from snnb.simulation.engines.engine import CHANGING, Real, dynamics, number_type, spike_amplitudes
from snnb.simulation.engines.event import compiled_loops
from snnb.simulation.engines.event.loop_arrays import (
    BIAS,
    GROUP,
    SLACK,
    Entries,
    Neurons,
    Scratch,
    Table,
    Taps,
    aligned,
    filled_up,
    neurons_of,
    no_table,
    pooling_windows,
    reach_of,
    runs_of,
    table_of_form,
    taps_of,
    windows_of,
    zeros,
)
from snnb.simulation.settings import SimulationSettings

# Runs of windows are faster up to this number of filters of a convolution, and of units of a Dense layer (one window).
MOST_FILTERS, MOST_UNITS = 63, 96

# Most steps, and most neurons times steps, that a population simulates before the next one reads its spikes: its
# weights and neurons stay in the cache meanwhile.
TRAIN_STEPS, TRAIN_NEURONS = 100, 30_000_000
# Bytes of the currents of the steps that are computed at a time: they stay in the second-level cache. There may be more
# if the weights take more than this multiple of them.
CURRENTS_BYTES, WEIGHTS_SHARE = 256 << 10, 8
NEVER = np.float32(np.inf)  # threshold of neurons that do not spike


Source = Tuple[str, int]  # name of a volume, and delay


class Work(NamedTuple):
    """Computes the spikes of a population from the spikes of `inputs`, and the input of each step.

    `entries` are volumes that have the input of each step, and the table of the projection that reads each.
    """

    inputs: Tuple[Source, ...]
    entries: Tuple[Tuple[Source, Table], ...]
    # Takes the spikes of the inputs, the input of each step, the neurons, and the output array of new spikes.
    run: Callable[[Sequence[np.ndarray], Tuple[Entries, ...], Neurons, np.ndarray], None]


class WeightedSums:
    """Currents, without biases, of values that all neurons of volumes have at once, such as a constant input."""

    def __init__(self, network: Network, names: Set[str], real: Real) -> None:
        """Prepare the projections from the volumes `names`."""
        self._network, self._real = network, real
        # By volume without neurons: for each input, see `index_tables`.
        self.tables = {v.name: index_tables(network, v) for v in network.volumes if isinstance(v, Reindexed)}
        self._read = {p.name: [q for q in p.projections if q.input in names] for p in network.populations}
        self._taps: Dict[str, List[Taps]] = {}
        for name, read in self._read.items():
            weights = [np.ones(q.geometry.kernel_shape) if q.kernel is None else q.weights() for q in read]
            self._taps[name] = [taps_of(q.geometry, each.astype(real)) for q, each in zip(read, weights)]
        # Populations that read the volumes
        self.populations = [population for population in network.populations if self._read[population.name]]
        self._add = typed_once(compiled_loops.add_values)

    def of(self, population: Population, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the currents of a population, `real` (samples, neurons or more).

        `values` has the values of the input and of populations, of this type and shape; a missing one is 0.
        """
        samples = len(next(iter(values.values())))
        if population.counts_largest:
            return self._largest(population, self._values(population.only.input, samples, values))
        currents = zeros((samples, filled_up(population.size) + GROUP), self._real)
        for projection, taps in zip(self._read[population.name], self._taps[population.name]):
            read, geometry = self._values(projection.input, samples, values), projection.geometry
            if geometry.pairing == "diagonal" and geometry.multiplier > 1:
                read = np.repeat(read, geometry.multiplier, axis=1)
            self._add(read, taps, currents)
        divisors = divisors_of(population, self._real)
        if divisors.size:
            currents[:, : divisors.size] /= divisors
        return currents

    def _largest(self, population: Population, values: np.ndarray) -> np.ndarray:
        """Return the largest value in each window of a max pooling; values are not negative."""
        [taps] = self._taps[population.name]
        windows, channels = len(taps.position), taps.channels
        largest = np.zeros((len(values), windows, channels), self._real)
        for position in taps.position.T:
            inside = np.flatnonzero(position >= 0)
            units = position[inside][:, np.newaxis] + np.arange(channels)
            largest[:, inside] = np.maximum(largest[:, inside], values[:, units])
        return largest.reshape(len(values), -1)

    def _values(self, name: str, samples: int, values: Mapping[str, np.ndarray]) -> np.ndarray:
        volume = self._network.volume(name)
        if name in values:
            return values[name]
        if not isinstance(volume, Reindexed):
            return np.zeros((samples, volume.size), self._real)
        parts = [self._values(source, samples, values) for source in volume.inputs]
        tables = self.tables[name]
        if len(parts) == 1 and tables[0] is None and parts[0].shape[1] >= volume.size:
            return parts[0]
        joined = np.zeros((samples, volume.size), self._real)
        for part, table, source in zip(parts, tables, volume.inputs):
            places = np.arange(self._network.volume(source).size) if table is None else table
            inside = np.flatnonzero(places != PADDING)
            joined[:, places[inside]] = part[:, inside]
        return joined


class EventNetwork:
    """Weights in rows, geometry in tables, the compiled work of each population, and the state that it starts in."""

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self.network, self.settings, self.real = network, settings, number_type(network, settings)
        self.scratch = Scratch(self.real)
        # Steps that one population does before the next.
        self.train_steps = max(1, min(TRAIN_STEPS, TRAIN_NEURONS // max(volume.size for volume in network.volumes)))
        self._constant = WeightedSums(
            network, network.input_volumes() if settings.input == "constant" else set(), self.real
        )
        self.tables = self._constant.tables
        # Places of the elements of the input in each volume that has the input of each step, as in `tables`
        self.entries: Dict[str, Optional[np.ndarray]] = {network.input.name: None} if settings.input in CHANGING else {}
        for volume in network.volumes:
            inputs = volume.inputs if isinstance(volume, Reindexed) else ()
            for name, table in zip(inputs, self.tables.get(volume.name, [])):
                if name in self.entries:
                    before = self.entries[name]
                    if before is None or table is None:
                        self.entries[volume.name] = before if table is None else table
                    else:
                        places = np.where(before == PADDING, PADDING, table[before])
                        self.entries[volume.name] = places.astype(np.int32)
        # Steps between a spike and its latest arrival, by volume that is read with a delay.
        self.history: Dict[str, int] = {}
        for projection in (p for population in network.populations for p in population.projections):
            if projection.delay and projection.input not in self.entries:
                self.history[projection.input] = max(self.history.get(projection.input, 0), projection.delay)
        # With each component, whether it has to be simulated a step at a time
        self.components: List[Tuple[List[Volume], bool]] = []
        for part in network.components():
            names, populations = {volume.name for volume in part}, [v for v in part if isinstance(v, Population)]
            stepped = any(names.intersection(p.inputs) or p.later_bias is not None for p in populations)
            self.components.append((part, stepped))
        self.neurons = {population.name: self._neurons(population) for population in network.populations}
        amplitudes = spike_amplitudes(network, settings)
        self.work = {population.name: self._work(population, amplitudes) for population in network.populations}
        self.later_numbers: Dict[str, np.ndarray] = {}  # by population whose bias changes after the first step
        for population in network.populations:
            if population.later_bias is not None:
                bias = population.later_bias if population.bias is None else population.bias + population.later_bias
                numbers = self.later_numbers[population.name] = aligned(self.neurons[population.name].numbers)
                numbers[BIAS] = self._each(population, bias)

    def _each(self, population: Population, values: Numbers) -> np.ndarray:
        """Return a number for each neuron, given one, or one for each channel."""
        return neurons_of(np.resize(values, population.size).astype(self.real))

    def _neurons(self, population: Population) -> Neurons:
        """Return the state of a population before the first step, in one sample."""
        size, neuron, none = population.size, neuron_of(population, self.settings), np.zeros((1, 0), self.real)
        threshold = self._each(population, neuron.firing_threshold)
        threshold[size if population.spikes else 0 :] = NEVER
        bias = self._each(population, np.zeros(1) if population.bias is None else population.bias)
        numbers, leaky = [bias, threshold, self._each(population, neuron.after)], population.neuron is not None
        if leaky:
            numbers.append(np.nextafter(threshold, self.real(-np.inf)))
            numbers += [neurons_of(each.ravel()) for each in dynamics(population)]
        pools = population.projections[0].layer.WEIGHTING == "maximum"
        inputs = self.network.volume(population.only.input).size if pools else 0
        return Neurons(
            potential=self._each(population, neuron.initial)[np.newaxis],
            base=zeros((1, filled_up(size)), self.real),
            numbers=aligned(np.stack(numbers)),
            to_value=neuron.reset is not None,
            counts=zeros((1, filled_up(size)), np.int32),
            received=np.zeros((1, 1, 0), self.real),
            uniforms=np.zeros((1, 1, 0), np.float32),
            classes=population.shape[-1],
            accumulated=np.zeros((1, inputs), self.real),
            leader=np.full((1, size if pools else 0), 0 if population.counts_largest else -1, np.int32),
            synaptic=zeros((1, filled_up(size)), self.real) if leaky and neuron.current_leak is not None else none,
            ties=np.zeros((1, int(leaky)), np.int64),
            updates=np.full((1, 1), 0 if population.counts_largest else -1, np.int64),
        )

    def _work(self, population: Population, amplitudes: Dict[str, Set[float]]) -> Work:
        """Return the work of a population."""
        real, scratch = self.real, self.scratch
        # All spikes that a projection reads have one amplitude, see `engine.unsupported`.
        inputs = [(p, real(max(amplitudes[p.input]))) for p in population.projections if amplitudes[p.input]]
        sources = tuple(p.source for p, _ in inputs)
        most = max((self.network.volume(name).size for name, _ in sources), default=1)
        if population.projections[0].layer.WEIGHTING == "maximum":
            ((projection, amplitude),) = inputs
            windows, largest = pooling_windows(projection.geometry), typed_once(compiled_loops.largest_count)
            leading, counts_largest = typed_once(compiled_loops.leading_input), population.counts_largest

            def pool(read: Sequence[np.ndarray], _: Tuple[Entries, ...], neurons: Neurons, spikes: np.ndarray) -> None:
                if counts_largest:
                    largest(read[0], neurons, spikes, scratch.room(most + SLACK), windows)
                else:
                    leading(read[0], neurons, spikes, scratch.room(most + SLACK), windows, amplitude)

            return Work(sources, (), pool)
        arrivals = [
            (p.source, table_of(p, real(1), entries=True)) for p in population.projections if p.input in self.entries
        ]
        changes = bool(inputs or arrivals)  # whether the current is not the same in every step
        divisors = neurons_of(divisors_of(population, real))
        divisors[population.size :] = 1
        # The compiled loop takes at least one of each, but no entries where no population of the network has any.
        tables = tuple(table_of(p, amplitude) for p, amplitude in inputs) or (no_table(real),)
        _, _, runs, reach = no_table(real)
        none = (Entries(np.zeros((1, 0), np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), runs, reach),)
        missing = none if self.entries else None
        size = filled_up(population.size)
        # Weights that do not fit into the cache are read from memory once for all these steps.
        room_for_currents = max(CURRENTS_BYTES, sum(table.windows.weights.nbytes for table in tables) // WEIGHTS_SHARE)
        at_once = max(1, room_for_currents // (size * np.dtype(real).itemsize))
        weighted = typed_once(compiled_loops.weighted)

        def add(read: Sequence[np.ndarray], entries: Tuple[Entries, ...], neurons: Neurons, spikes: np.ndarray) -> None:
            trains = tuple(read) or (np.zeros((*spikes.shape[:2], 0), np.uint64),)
            steps = min(at_once, spikes.shape[1])
            currents = scratch.currents(steps * size + GROUP if changes else 0)
            room = scratch.room((steps + 1) * (most + SLACK))
            weighted(trains, tables, entries or missing, neurons, spikes, divisors, currents, room)

        return Work(sources, tuple(arrivals), add)

    def constant_currents(self, x: np.ndarray) -> Dict[str, np.ndarray]:
        """Return the currents of the constant input x, by name of the populations that it reaches."""
        values = {self.network.input.name: np.array(x.reshape(len(x), -1), self.real)}
        return {population.name: self._constant.of(population, values) for population in self._constant.populations}


def divisors_of(population: Population, real: Real) -> np.ndarray:
    """Return the numbers of inputs that an average pooling divides by, (neurons,); of length 0 for another layer."""
    if population.projections[0].layer.WEIGHTING != "average":
        return np.zeros(0, real)
    geometry = population.only.geometry
    return np.repeat(geometry.taps().ravel(), geometry.filters).astype(real)


def index_tables(network: Network, volume: Reindexed) -> List[Optional[np.ndarray]]:
    """Return for each input of a volume the places of its elements in the volume, int32, flat; None if unchanged.

    The place of an element that is left out is `PADDING`.
    """
    shapes = [network.volume(name).shape for name in volume.inputs]
    tables: List[Optional[np.ndarray]] = []
    for read in range(len(shapes)):
        numbered = [np.full(shape, PADDING, np.int32) for shape in shapes]
        numbered[read] = np.arange(numbered[read].size, dtype=np.int32).reshape(shapes[read])
        element = volume.layer.apply(numbered).ravel()
        kept = np.flatnonzero(element != PADDING)
        table = np.full(numbered[read].size, PADDING, np.int32)
        table[element[kept]] = kept
        tables.append(None if np.array_equal(table, numbered[read].ravel()) else table)
    return tables


def table_of(projection: Projection, amplitude: "np.floating[Any]", *, entries: bool = False) -> Table:
    """Return the table of a projection for `compiled_loops.weighted`.

    `amplitude` is that of a spike; `entries` is whether the projection reads the input of each step (see `Entries`).
    """
    geometry = projection.geometry
    if projection.kernel is None:
        weights = np.full((1, geometry.filters), amplitude)
    else:
        weights = projection.weights().astype(type(amplitude)) * amplitude
    if geometry.pairing == "diagonal":
        return table_of_form(reach_of(geometry, weights.reshape(-1, geometry.filters), by_neuron=entries))
    limit = MOST_FILTERS if geometry.rows.outputs * geometry.columns.outputs > 1 else MOST_UNITS
    in_runs = entries or geometry.filters <= limit
    return table_of_form(runs_of(geometry, weights) if in_runs else windows_of(geometry, weights))
