"""A network prepared for the engine `event`: the data that samples and threads share.

The order of all sums is defined. So counts depend neither on the machine nor on the
version of a library, except counts of a softmax. A current is a sequential sum of
numbers of one type: first the input, then spikes; within each, one projection after the
other in the order of the population; within a projection, the inputs in rising order,
which is C order of their volume. The sum is rounded after each addition. The product of
a weight with a pixel, a current of the input, or a spike count of separated firing is
not rounded before it is added (IEEE 754 fusedMultiplyAdd). Average pooling divides the
sum. The bias is added last. Fixed-point neurons round their sums down, see `Neuron`.

`EventNetwork` is the prepared network. It has a *simulator* for each population, which
computes the population's spikes in some steps from the spikes that it reads:
`WeightedSimulator` or, of fixed-point neurons, `FixedPointSimulator`; of max pooling,
`LargestCountSimulator` or `LeadingInputSimulator`.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np

from snnb.core.compiled import typed_once
from snnb.network.geometry import PADDING
from snnb.network.network import (
    Network,
    Population,
    Projection,
    Reindexed,
    Volume,
    neuron_of,
)
from snnb.network.neuron import Numbers
from snnb.simulation.engines.engine import (
    CHANGING_INPUTS,
    Real,
    dynamics,
    number_type,
    spike_amplitudes,
)
from snnb.simulation.engines.event import compiled_loops, fixed_point_loops
from snnb.simulation.engines.event.loop_arrays import (
    SPARE_ENTRIES,
    WORD_SIZE,
    Buffers,
    InputEntries,
    Neurons,
    NeuronState,
    Parameters,
    PoolingState,
    ProjectionTable,
    align,
    fill_up,
    pack_bits,
    round_up,
    zeros,
)
from snnb.simulation.engines.event.projection_tables import (
    list_pooling_windows,
    make_input_table,
    make_silent_table,
    make_table,
)
from snnb.simulation.engines.event.weighted_sums import WeightedSums, list_divisors
from snnb.simulation.settings import SimulationSettings

# Most steps, and most neurons times steps, that a population simulates before the next
# one reads its spikes: its weights and neurons stay in the cache meanwhile.
TRAIN_STEPS = 100
TRAIN_NEURONS = 30_000_000
# Bytes of the currents of the steps that are computed together: they stay in the
# second-level cache.
CURRENTS_BYTES = 256 << 10
# If the weights take more than this multiple of them, more steps are computed together:
# weights that do not fit into the cache are read from memory once for all of them.
WEIGHTS_PER_CURRENTS = 8
# Most tables of a population whose projections can be merged, see `can_merge`. With a
# third one, the loop takes 0.8 s more to compile than with two, with 16 of them 14 s.
MOST_TABLES = 2
NEVER = np.float32(np.inf)  # threshold of neurons that do not spike


class Source(NamedTuple):
    """Where a projection reads."""

    volume: str
    delay: int  # steps from a spike, or an input, to its arrival


class SpikeProjection(NamedTuple):
    """A projection that reads spikes."""

    projection: Projection
    amplitude: "np.floating[np.typing.NBitBase]"  # of all spikes that it reads

    @property
    def source(self) -> Source:
        """Where it reads."""
        return Source(*self.projection.source)


class InputProjection(NamedTuple):
    """A projection that reads an input that changes from step to step."""

    source: Source
    table: ProjectionTable


class Component(NamedTuple):
    """Volumes that are simulated together, before the volumes that read them."""

    volumes: List[Volume]
    is_stepwise: bool  # a step at a time: a cycle, or a bias that changes


class NetworkState(NamedTuple):
    """All populations in some samples, by population."""

    neurons: Dict[str, Neurons]
    pooling: Dict[str, PoolingState]

    def repeat(self, samples: int) -> "NetworkState":
        """Copy the state of one sample for each of some samples."""
        state = NetworkState({}, {})
        for name, neurons in self.neurons.items():
            arrays = [repeat_rows(array, samples) for array in neurons.state]
            state.neurons[name] = neurons._replace(state=NeuronState(*arrays))
        for name, pooling in self.pooling.items():
            arrays = [repeat_rows(array, samples) for array in pooling]
            state.pooling[name] = PoolingState(*arrays)
        return state

    def cut(self, samples: slice) -> "NetworkState":
        """Return the state of some samples, as views."""
        state = NetworkState({}, {})
        for name, neurons in self.neurons.items():
            arrays = [array[samples] for array in neurons.state]
            state.neurons[name] = neurons._replace(state=NeuronState(*arrays))
        for name, pooling in self.pooling.items():
            state.pooling[name] = PoolingState(*(array[samples] for array in pooling))
        return state


def repeat_rows(array: np.ndarray, rows: int) -> np.ndarray:
    """Copy an array with one row, aligned, with this row several times."""
    return align(np.broadcast_to(array, (rows, array.shape[1])))


class WeightedSimulator:
    """Simulates a population that sums projections with weights, or averages one.

    Attributes
    ----------
    sources
        What the projections that read spikes read, in the order of the population.
    input_projections
        The projections that read an input that changes from step to step.
    """

    def __init__(
        self,
        network: Network,
        population: Population,
        amplitudes: Dict[str, Set[float]],
        changing_volumes: Set[str],
        buffers: Buffers,
    ) -> None:
        """Prepare the tables.

        `amplitudes` is that of `spike_amplitudes`. `changing_volumes` pass on an input
        that changes from step to step.
        """
        real = buffers.real
        projections = list_spike_projections(population, amplitudes, real)
        self.sources = tuple(projection.source for projection in projections)
        self.input_projections = tuple(
            InputProjection(Source(*p.source), make_input_table(p, real))
            for p in population.projections
            if p.input in changing_volumes
        )
        # See `MergedProjections.neurons`; None: each source has a table
        self._merged_neurons: Optional[np.ndarray] = None
        self._tables: Tuple[ProjectionTable, ...]
        if can_merge(population, projections):
            merged = merge_projections(network, projections)
            self._merged_neurons = merged.neurons
            self._tables = (make_table(merged.projection, projections[0].amplitude),)
        else:
            self._tables = tuple(make_table(*p) for p in projections)
        # The loop takes at least one table.
        self._tables = self._tables or (make_silent_table(real),)
        # It takes at least one input if any population of the network reads one.
        self._no_inputs = (make_empty_entries(real),) if changing_volumes else None
        self._changes = bool(projections or self.input_projections)
        self._divisors = fill_up(list_divisors(population, real))
        self._divisors[population.size :] = 1
        self._neurons = round_up(population.size)
        self._largest_source = find_largest_source(network, self.sources)
        if self._merged_neurons is not None:
            self._largest_source = self._merged_neurons.size * WORD_SIZE
        weight_bytes = sum(table.windows.weights.nbytes for table in self._tables)
        currents_bytes = max(CURRENTS_BYTES, weight_bytes // WEIGHTS_PER_CURRENTS)
        step_bytes = self._neurons * np.dtype(real).itemsize
        self._chunk_steps = max(1, currents_bytes // step_bytes)
        self._buffers = buffers
        self._loop = typed_once(compiled_loops.simulate_weighted)

    def simulate(
        self,
        sources: Sequence[np.ndarray],
        inputs: Tuple[InputEntries, ...],
        neurons: Neurons,
        pooling: PoolingState,
        bits: np.ndarray,
    ) -> None:
        """Simulate some steps: change the state, and write the spikes.

        Parameters
        ----------
        sources
            Spikes of each of `self.sources`, uint64 (samples, steps, words).
        inputs
            Input of each of `self.input_projections`.
        neurons, pooling
            The state; `pooling` is empty.
        bits
            Output, the spikes of the population, uint64 (samples, steps, words).
        """
        currents, spike_list = self._take_buffers(bits.shape[1])
        self._loop(
            self._join_sources(sources, bits),
            self._tables,
            inputs or self._no_inputs,
            neurons,
            bits,
            self._divisors,
            currents,
            spike_list,
        )

    def _join_sources(
        self,
        sources: Sequence[np.ndarray],
        bits: np.ndarray,
    ) -> Tuple[np.ndarray, ...]:
        """Return the spikes that each table reads, in the steps of `bits`.

        `sources` are those of `simulate`. Without any, the silent table reads a source
        without neurons.
        """
        if not sources:
            samples, steps, _ = bits.shape
            return (np.zeros((samples, steps, 0), np.uint64),)
        if self._merged_neurons is not None:
            return (np.concatenate(sources, axis=2) & self._merged_neurons,)
        return tuple(sources)

    def _take_buffers(self, steps: int) -> Tuple[np.ndarray, np.ndarray]:
        """Return the buffers of currents and of lists of spikes for some steps.

        `compiled_loops.simulate_weighted` describes both.
        """
        chunk_steps = min(self._chunk_steps, steps)
        currents_size = chunk_steps * self._neurons + WORD_SIZE if self._changes else 0
        list_size = self._largest_source + SPARE_ENTRIES
        currents = self._buffers.currents(currents_size)
        return currents, self._buffers.spike_list((chunk_steps + 1) * list_size)


class FixedPointSimulator(WeightedSimulator):
    """Simulates a population of fixed-point neurons.

    It reads spikes, or constant input; a changing input is spikes too.
    """

    def __init__(
        self,
        network: Network,
        population: Population,
        amplitudes: Dict[str, Set[float]],
        buffers: Buffers,
    ) -> None:
        """Prepare the tables; `amplitudes` is that of `spike_amplitudes`."""
        changing_volumes: Set[str] = set()  # spikes are no changing input
        super().__init__(network, population, amplitudes, changing_volumes, buffers)
        self._loop = typed_once(fixed_point_loops.simulate_fixed_point)
        self._rounds_sums = rounds_each_sum(population)

    def simulate(
        self,
        sources: Sequence[np.ndarray],
        inputs: Tuple[InputEntries, ...],
        neurons: Neurons,
        pooling: PoolingState,
        bits: np.ndarray,
    ) -> None:
        """See `WeightedSimulator`; there are no `inputs`."""
        currents, spike_list = self._take_buffers(bits.shape[1])
        self._loop(
            self._join_sources(sources, bits),
            self._tables,
            neurons,
            bits,
            self._rounds_sums,
            currents,
            spike_list,
        )


class LargestCountSimulator:
    """Simulates a max pooling that follows the largest spike count."""

    input_projections: Tuple[InputProjection, ...] = ()

    def __init__(
        self,
        network: Network,
        projection: SpikeProjection,
        buffers: Buffers,
    ) -> None:
        self.sources = (projection.source,)
        self._windows = list_pooling_windows(projection.projection.geometry)
        self._list_size = find_largest_source(network, self.sources) + SPARE_ENTRIES
        self._buffers = buffers
        self._loop = typed_once(compiled_loops.simulate_largest_count)

    def simulate(
        self,
        sources: Sequence[np.ndarray],
        inputs: Tuple[InputEntries, ...],
        neurons: Neurons,
        pooling: PoolingState,
        bits: np.ndarray,
    ) -> None:
        """See `WeightedSimulator`; there are no `inputs`."""
        (source,) = sources
        spike_list = self._buffers.spike_list(self._list_size)
        self._loop(source, self._windows, neurons, pooling, bits, spike_list)


class LeadingInputSimulator:
    """Simulates a max pooling whose windows follow their leading input."""

    input_projections: Tuple[InputProjection, ...] = ()

    def __init__(
        self,
        network: Network,
        projection: SpikeProjection,
        buffers: Buffers,
    ) -> None:
        self.sources = (projection.source,)
        self._amplitude = projection.amplitude
        self._windows = list_pooling_windows(projection.projection.geometry)
        self._list_size = find_largest_source(network, self.sources) + SPARE_ENTRIES
        self._buffers = buffers
        self._loop = typed_once(compiled_loops.simulate_leading_input)

    def simulate(
        self,
        sources: Sequence[np.ndarray],
        inputs: Tuple[InputEntries, ...],
        neurons: Neurons,
        pooling: PoolingState,
        bits: np.ndarray,
    ) -> None:
        """See `WeightedSimulator`; there are no `inputs`."""
        (source,) = sources
        spike_list = self._buffers.spike_list(self._list_size)
        self._loop(
            source,
            self._windows,
            neurons,
            pooling,
            bits,
            spike_list,
            self._amplitude,
        )


Simulator = Union[WeightedSimulator, LargestCountSimulator, LeadingInputSimulator]


def list_spike_projections(
    population: Population,
    amplitudes: Dict[str, Set[float]],
    real: Real,
) -> List[SpikeProjection]:
    """Return the projections of a population that read spikes, not constant input.

    All spikes that a projection reads have the same amplitude; see
    `find_event_obstacle`.
    """
    return [
        SpikeProjection(projection, real(max(amplitudes[projection.input])))
        for projection in population.projections
        if amplitudes[projection.input]
    ]


class MergedProjections(NamedTuple):
    """Dense projections as one, which reads their sources one after the other.

    Each source is filled up to whole words, so that its spikes are joined as words. A
    volume is a source for each delay with which it is read.
    """

    projection: Projection  # its input has no name
    # uint64 (words of all sources,): a bit is 1 if the neuron has a weight other than
    # 0. The spikes of the others are masked: of a dense layer with delays, most neurons
    # of a source have only weights of other delays
    neurons: np.ndarray


def can_merge(population: Population, projections: List[SpikeProjection]) -> bool:
    """Whether the projections of a population become one table.

    The loops are compiled for each number of tables, which takes the longer the more
    there are: a dense layer has as many projections as delays. Projections can be
    merged if they are dense layers of vectors whose spikes have one amplitude, and only
    the sum of all is rounded. The order of the sums is the same.
    """
    if len(projections) <= MOST_TABLES or rounds_each_sum(population):
        return False
    amplitudes = {projection.amplitude for projection in projections}
    is_dense = all(p.projection.layer.kind == "Dense" for p in projections)
    return is_dense and len(population.shape) == 1 and len(amplitudes) == 1


def merge_projections(
    network: Network,
    projections: List[SpikeProjection],
) -> MergedProjections:
    """Merge the projections of a population that `can_merge`, in their order."""
    kernels = []
    for projection, _ in projections:
        weights = np.asarray(projection.kernel)
        rows = round_up(network.volume(projection.input).size)
        kernel = np.zeros((rows, weights.shape[-1]), np.float32)
        kernel[: len(weights)] = weights
        kernels.append(kernel)
    merged_kernel = np.concatenate(kernels)
    has_weights = merged_kernel.any(axis=1)
    layer = projections[0].projection.layer
    geometry = layer.geometry((len(merged_kernel),))
    return MergedProjections(
        projection=Projection("", layer, geometry, merged_kernel),
        neurons=pack_bits(has_weights),
    )


def find_largest_source(network: Network, sources: Sequence[Source]) -> int:
    """Return the number of neurons of the largest volume among sources, at least 1."""
    return max((network.volume(source.volume).size for source in sources), default=1)


def make_empty_entries(real: Real) -> InputEntries:
    """Return an input without entries."""
    table = make_silent_table(real)
    return InputEntries(
        step_start=np.zeros((1, 0), np.int64),
        neuron=np.zeros(0, np.int32),
        value=np.zeros(0, np.float32),
        runs=table.runs,
        arrivals=table.arrivals,
    )


class EventNetwork:
    """The prepared network: tables, simulators, and the state that neurons start in.

    Attributes
    ----------
    real
        Type of the numbers, float32 or float64.
    buffers
        Buffers of the compiled loops, for each thread.
    train_steps
        Most steps that one population simulates before the next one.
    tables
        Where the inputs of a volume without neurons are in it, by volume; see
        `index_tables`.
    input_places
        Where the elements of the input are in each volume that passes on an input that
        changes from step to step and is not spikes, the input included, by volume: int32, (elements,),
        with `PADDING` for an element that is left out, or None if their index is the
        same.
    history_steps
        Longest delay with which a volume is read, by volume; not of volumes that are
        read without delay only, or in `input_places`.
    components
        All volumes, in the order in which they are simulated.
    state
        All populations before the first step, in one sample.
    simulators
        The simulator of each population.
    later_parameters
        Parameters from the second step on, by population whose bias changes then.
    """

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self.network = network
        self.settings = settings
        self.real = number_type(network, settings)
        self.buffers = Buffers(self.real)
        largest_volume = max(volume.size for volume in network.volumes)
        self.train_steps = max(1, min(TRAIN_STEPS, TRAIN_NEURONS // largest_volume))
        is_constant = settings.input == "constant"
        constant_volumes = network.input_volumes() if is_constant else set()
        self._constant_sums = WeightedSums(network, constant_volumes, self.real)
        self.tables = self._constant_sums.tables
        self.input_places = self._find_input_places()
        self.history_steps = self._find_history_steps()
        self.components = [make_component(volumes) for volumes in network.components()]
        self.state = NetworkState({}, {})
        self.simulators: Dict[str, Simulator] = {}
        self.later_parameters: Dict[str, Parameters] = {}
        amplitudes = spike_amplitudes(network, settings)
        for population in network.populations:
            name = population.name
            neurons = self._make_neurons(population)
            self.state.neurons[name] = neurons
            self.state.pooling[name] = self._make_pooling(population)
            self.simulators[name] = self._make_simulator(population, amplitudes)
            if population.later_bias is not None:
                bias = population.later_bias
                if population.bias is not None:
                    bias = population.bias + population.later_bias
                self.later_parameters[name] = neurons.parameters._replace(
                    bias=self._broadcast(population, bias),
                )

    def _find_input_places(self) -> Dict[str, Optional[np.ndarray]]:
        places: Dict[str, Optional[np.ndarray]] = {}
        if self.settings.input in CHANGING_INPUTS and not self.network.fixed_point:
            places[self.network.input.name] = None
        for volume in self.network.volumes:
            if isinstance(volume, Reindexed):
                for name, table in zip(volume.inputs, self.tables[volume.name]):
                    if name in places:
                        places[volume.name] = compose_tables(places[name], table)
        return places

    def _find_history_steps(self) -> Dict[str, int]:
        steps: Dict[str, int] = {}
        for population in self.network.populations:
            for projection in population.projections:
                name = projection.input
                if projection.delay and name not in self.input_places:
                    steps[name] = max(steps.get(name, 0), projection.delay)
        return steps

    def _broadcast(self, population: Population, values: Numbers) -> np.ndarray:
        """Return a number for each neuron, filled up, given one or one per channel."""
        return fill_up(np.resize(values, population.size).astype(self.real))

    def _make_neurons(self, population: Population) -> Neurons:
        return Neurons(
            parameters=self._make_parameters(population),
            state=self._make_state(population),
            resets_to_value=neuron_of(population, self.settings).reset_potential
            is not None,
            softmax_size=population.shape[-1],
            constant_current=zeros((1, round_up(population.size)), self.real),
            starts_samples=True,
            random_numbers=np.zeros((1, 1, 0), np.float32),
            trace=np.zeros((1, 1, 0), self.real),
        )

    def _make_parameters(self, population: Population) -> Parameters:
        neuron = neuron_of(population, self.settings)
        bias = np.zeros(1) if population.bias is None else population.bias
        threshold = self._broadcast(population, neuron.threshold)
        threshold[population.size :] = NEVER
        if not population.is_spiking:
            threshold[:] = NEVER
        empty = np.zeros(0, self.real)
        parameters = Parameters(
            bias=self._broadcast(population, bias),
            threshold=threshold,
            reset=self._broadcast(population, neuron.reset_or_subtrahend),
            below_threshold=empty,
            leak_rate=empty,
            gain=empty,
            offset=empty,
            current_leak_rate=empty,
            current_gain=empty,
        )
        if population.neuron is None:
            return parameters
        numbers = dynamics(population)
        return parameters._replace(
            below_threshold=np.nextafter(threshold, self.real(-np.inf)),
            leak_rate=self._fill_up(numbers.leak_rate),
            gain=self._fill_up(numbers.gain),
            offset=self._fill_up(numbers.offset),
            current_leak_rate=self._fill_up(numbers.current_leak_rate),
            current_gain=self._fill_up(numbers.current_gain),
        )

    def _fill_up(self, values: np.ndarray) -> np.ndarray:
        """Return numbers of all neurons of a population, flat and filled up."""
        return fill_up(values.ravel().astype(self.real))

    def _make_state(self, population: Population) -> NeuronState:
        neuron = neuron_of(population, self.settings)
        has_model = population.neuron is not None
        has_synaptic_current = has_model and neuron.current_decay_factor is not None
        size = round_up(population.size)
        synaptic_size = size if has_synaptic_current else 0
        return NeuronState(
            potential=self._broadcast(population, neuron.initial)[np.newaxis],
            synaptic_current=zeros((1, synaptic_size), self.real),
            spike_counts=zeros((1, size), np.int32),
            update_count=np.zeros((1, 1), np.int64),
            tie_count=np.zeros((1, int(has_model)), np.int64),
        )

    def _make_pooling(self, population: Population) -> PoolingState:
        inputs = 0
        counted_windows = 0
        following_windows = 0
        if is_max_pooling(population):
            inputs = self.network.volume(population.only.input).size
            if population.counts_largest:
                counted_windows = population.size
            else:
                following_windows = population.size
        return PoolingState(
            input_totals=np.zeros((1, inputs), self.real),
            largest_counts=np.zeros((1, counted_windows), np.int32),
            leaders=np.full((1, following_windows), -1, np.int32),
        )

    def _make_simulator(
        self,
        population: Population,
        amplitudes: Dict[str, Set[float]],
    ) -> Simulator:
        network = self.network
        if is_max_pooling(population):
            (projection,) = list_spike_projections(population, amplitudes, self.real)
            if population.counts_largest:
                return LargestCountSimulator(network, projection, self.buffers)
            return LeadingInputSimulator(network, projection, self.buffers)
        if population.fixed_point:
            return FixedPointSimulator(network, population, amplitudes, self.buffers)
        changing_volumes = set(self.input_places)
        return WeightedSimulator(
            network,
            population,
            amplitudes,
            changing_volumes,
            self.buffers,
        )

    def sum_constant_currents(self, x: np.ndarray) -> Dict[str, np.ndarray]:
        """Return the currents of constant input, by population that it reaches.

        `x` has the shape (samples, *input shape), the currents (samples, neurons or
        more). Those of fixed-point neurons include the bias, and are rounded towards 0.
        """
        pixels = np.array(x.reshape(len(x), -1), self.real)
        values = {self.network.input.name: pixels}
        currents: Dict[str, np.ndarray] = {}
        for population in self._constant_sums.populations:
            current = self._constant_sums.sum_currents(population, values)
            if population.fixed_point:
                bias = self.state.neurons[population.name].parameters.bias
                current[:, : bias.size] = np.trunc(current[:, : bias.size] + bias)
            currents[population.name] = current
        return currents


def make_component(volumes: List[Volume]) -> Component:
    """Decide whether volumes are simulated a step at a time."""
    names = {volume.name for volume in volumes}
    is_stepwise = False
    for volume in volumes:
        if isinstance(volume, Population):
            reads_component = not names.isdisjoint(volume.inputs)
            if reads_component or volume.later_bias is not None:
                is_stepwise = True
    return Component(volumes, is_stepwise)


def rounds_each_sum(population: Population) -> bool:
    """Whether the sums of several projections are rounded before they are added.

    Those of fixed-point neurons are; if all weights are whole, that changes nothing.
    """
    projections = population.projections
    if not population.fixed_point or len(projections) == 1:
        return False
    return any((np.asarray(p.kernel) % 1).any() for p in projections)


def is_max_pooling(population: Population) -> bool:
    """Whether a population forwards spikes of one input of each window."""
    return population.projections[0].layer.WEIGHTING == "maximum"


def compose_tables(
    inner: Optional[np.ndarray],
    outer: Optional[np.ndarray],
) -> Optional[np.ndarray]:
    """Return outer[inner], of two tables of indices as those of `index_tables`."""
    if inner is None or outer is None:
        return inner if outer is None else outer
    return np.where(inner == PADDING, PADDING, outer[inner]).astype(np.int32)
