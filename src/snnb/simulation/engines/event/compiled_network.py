"""A network prepared for the event-driven engine: what all samples and threads share."""

from dataclasses import replace
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np
import tensorflow as tf

from snnb.conversion.batch import batch_of, padded
from snnb.conversion.currents import Currents, reindexed
from snnb.network.network import MEMBRANE, Network, Population, Reindexed
from snnb.network.reindexing import PADDING
from snnb.simulation.block import firing_threshold
from snnb.simulation.engines.event import weighted_loops
from snnb.simulation.engines.event.amplitudes import spike_amplitudes
from snnb.simulation.engines.event.arrays import Scratch, aligned, filled_up, neurons_of, zeros
from snnb.simulation.engines.event.layer_loops import LAYER_LOOPS, Loop
from snnb.simulation.engines.event.loop_geometry import inputs_of
from snnb.simulation.engines.event.types import GROUP, SLACK, Neurons, Weighted
from snnb.simulation.exactness import Real, number_type
from snnb.simulation.simulation_settings import SimulationSettings

# Steps, and most neurons times steps, of a population before the next one reads its spikes: its weights and neurons
# stay in the cache meanwhile.
TRAIN_STEPS, TRAIN_NEURONS = 100, 30_000_000
# Bytes of the currents of the steps that are computed at a time: they stay in the second-level cache. There may be more
# if the weights take more than this multiple of them.
CURRENTS_BYTES, WEIGHTS_SHARE = 256 << 10, 8
# Most numbers in the lists of spikes of these steps, unless one step has more.
MOST_LISTED = 4_000_000
NEVER = np.float32(np.inf)  # threshold of neurons that do not spike


class Work(NamedTuple):
    """Computes the spikes of a population from those of the volumes `inputs`."""

    inputs: Tuple[str, ...]
    # Takes the spikes of these volumes, the neurons, the output array of new spikes, and a thread's scratch.
    run: Callable[[Sequence[np.ndarray], Neurons, np.ndarray, Scratch], None]


class _ConstantInput:
    """Computes what the constant input does to the populations that it reaches, once: it is the same in every step.

    With TensorFlow, so that the currents are those of the engine `tensorflow`. `passing` has the names of the input and
    of the volumes that pass its values on.
    """

    def __init__(self, network: Network, real: Real) -> None:
        self._network, self._real = network, real
        self.passing: Set[str] = {network.input.name}
        for volume in network.volumes:
            if isinstance(volume, Reindexed) and self.passing.intersection(volume.inputs):
                self.passing.add(volume.name)
        read = [replace(p, bias=None) for p in network.populations if self.passing.intersection(p.inputs)]
        self._currents = Currents(read, real)

    def contributions(self, x: np.ndarray, unsummed: Set[str]) -> Dict[str, np.ndarray]:
        """Compute what the input x contributes to the populations that it reaches, in every step.

        By population, that is its current without bias and spikes, float32 (samples, neurons); of a population in
        `unsummed` what it reads, (samples, inputs), 0 where spikes arrive.
        """
        batch = batch_of(self._network)
        slices = [x[first : first + batch] for first in range(0, len(x), batch)]
        parts = [self._batch(part, batch, unsummed) for part in slices]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _batch(self, x: np.ndarray, batch: int, unsummed: Set[str]) -> Dict[str, np.ndarray]:
        tensors = {self._network.input.name: tf.constant(padded(x, batch), self._real)}
        found: Dict[str, np.ndarray] = {}
        for volume in self._network.volumes[1:]:
            tensors[volume.name] = tf.zeros((batch, *volume.shape), self._real)  # no spikes
            if isinstance(volume, Population):
                read = {name: tensors[name] for name in volume.inputs if name in self.passing}
                if read:
                    values = read[volume.only.input] if volume.name in unsummed else self._currents.of(volume, read)
                    found[volume.name] = values.numpy()[: len(x)].reshape(len(x), -1)
            elif isinstance(volume, Reindexed) and volume.name in self.passing:
                tensors[volume.name] = reindexed(volume, tensors)
        return found


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
        self.remembering: Set[str] = set()  # populations that accumulate what they read: max pooling
        self.work: Dict[str, Work] = {}  # by population whose current is not the same in every step
        # By volume without neurons: for each input, see `index_tables`.
        self.tables = {v.name: index_tables(network, v) for v in network.volumes if isinstance(v, Reindexed)}
        self.no_input = zeros((1, filled_up(max(p.size for p in network.populations))), self.real)
        self.biases: Dict[str, np.ndarray] = {}  # by population: float32 (neurons,)
        self.thresholds: Dict[str, np.ndarray] = {}  # likewise
        amplitudes = spike_amplitudes(network, settings)
        for population in network.populations:
            kinds = [LAYER_LOOPS[type(projection.layer)] for projection in population.projections]
            self.biases[population.name] = neurons_of(_bias(population).astype(self.real))
            threshold = firing_threshold(population, settings) if population.activation != MEMBRANE else NEVER
            self.thresholds[population.name] = neurons_of(np.resize(threshold, population.size).astype(self.real))
            self.thresholds[population.name][population.size :] = NEVER
            if any(kind.remembers for kind in kinds):
                self.remembering.add(population.name)
            work = _work(network, population, amplitudes, passing, self.real)
            if work is not None:
                self.work[population.name] = work
                if passing.intersection(population.inputs) and not all(kind.sums for kind in kinds):
                    self.unsummed.add(population.name)

    def without_spikes(self, x: np.ndarray) -> Tuple[Dict[str, np.ndarray], Dict[str, np.ndarray]]:
        """Compute what the constant input does, in every step, to the populations that it reaches.

        Return by population its current without bias, float32 (samples, neurons); and by population of `unsummed` what
        it reads, float32 (samples, inputs), 0 where spikes arrive.
        """
        if self._constant_input is None:
            return {}, {}
        found = self._constant_input.contributions(x, self.unsummed)
        values = {name: aligned(found.pop(name)) for name in self.unsummed}
        return {name: neurons_of(current) for name, current in found.items()}, values


def index_tables(network: Network, volume: Reindexed) -> List[Optional[np.ndarray]]:
    """Return for each input of a volume where its elements are in the volume: int32, flat, or None where they were."""
    shapes = [network.volume(name).shape for name in volume.inputs]
    tables: List[Optional[np.ndarray]] = []
    for read in range(len(shapes)):
        numbered = [np.full(shape, PADDING, np.int32) for shape in shapes]
        numbered[read] = np.arange(numbered[read].size, dtype=np.int32).reshape(shapes[read])
        element = volume.layer.apply(numbered).ravel()
        there = np.flatnonzero(element != PADDING)
        table = np.empty(numbered[read].size, np.int32)
        table[element[there]] = there
        tables.append(None if np.array_equal(table, numbered[read].ravel()) else table)
    return tables


def _bias(population: Population) -> np.ndarray:
    if population.bias is None:
        return np.zeros(population.size, np.float32)
    return np.tile(population.bias, population.size // len(population.bias))


def _work(
    network: Network, population: Population, amplitudes: Dict[str, Set[float]], passing: Set[str], real: Real
) -> Optional[Work]:
    """Return what reads the spikes that reach a population; None when its current is the same in every step."""
    inputs, tables = [], []
    for projection in population.projections:
        kind, spikes = LAYER_LOOPS[type(projection.layer)], amplitudes[projection.input]
        if not (spikes or kind.remembers):
            continue
        inputs.append(projection.input)
        amplitude = real(max(spikes, default=0.0))
        loop = kind.loop(projection, amplitude, projection.input in passing)
        if loop is not None:
            return _looped(projection.input, loop, network.volume(projection.input).size + SLACK)
        assert kind.tables is not None
        tables.append(kind.tables(projection, amplitude))
    if not inputs:
        return None
    divisors = np.zeros(0, real)
    if LAYER_LOOPS[type(population.projections[0].layer)].divides:
        divisors = neurons_of(inputs_of(population.only.geometry))
        divisors[population.size :] = 1
    return _summed(inputs, tuple(tables), divisors, population.size, max(network.volume(name).size for name in inputs))


def _looped(name: str, loop: Loop, room: int) -> Work:
    """Return the work of a separate loop, which needs a buffer of `room` numbers."""
    return Work((name,), lambda read, neurons, spikes, scratch: loop(read[0], neurons, spikes, scratch.room(room)))


def _summed(inputs: Sequence[str], tables: Tuple[Weighted, ...], divisors: np.ndarray, neurons: int, most: int) -> Work:
    """Return what sums projections, none of which reads more than `most` neurons."""
    size = filled_up(neurons)
    # Weights that do not fit into the cache are read from memory once for all these steps.
    room_for_currents = max(CURRENTS_BYTES, sum(table.windows.weights.nbytes for table in tables) // WEIGHTS_SHARE)
    at_once = max(1, min(room_for_currents // (size * np.dtype(divisors.dtype).itemsize), MOST_LISTED // most))

    def run(read: Sequence[np.ndarray], neurons: Neurons, spikes: np.ndarray, scratch: Scratch) -> None:
        steps = min(at_once, spikes.shape[1])
        currents, room = scratch.currents(steps * size + GROUP), scratch.room((steps + 1) * (most + SLACK))
        weighted_loops.weighted(tuple(read), tables, neurons, spikes, divisors, currents, room)

    return Work(tuple(inputs), run)
