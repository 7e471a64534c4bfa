"""A network made ready for the event-driven engine: what all samples and threads share."""

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from snnb.network.network import Network, Population, Reindexed
from snnb.network.reindexing import PADDING
from snnb.simulation.engines.event.amplitudes import spike_amplitudes
from snnb.simulation.engines.event.arrays import aligned, filled_up, neurons_of
from snnb.simulation.engines.event.constant_input import ConstantInput
from snnb.simulation.engines.event.layer_loops import LAYER_LOOPS, ProjectionLoops
from snnb.simulation.engines.event.neurons import fire_each
from snnb.simulation.engines.event.types import Neurons, SpikeTrain
from snnb.simulation.settings import SimulationSettings

# A population's spikes are gathered for so many steps, or for as few as can hold so many of them if all its neurons
# spiked, before the next population reads them: meanwhile its weights and neurons stay in the cache.
TRAIN_STEPS, TRAIN_SPIKES = 100, 4_000_000
# Bytes of the currents of several projections: they stay in the second-level cache.
CURRENTS_BYTES = 256 << 10


class Work(NamedTuple):
    """What computes the spikes of a population from those of others.

    Attributes
    ----------
    inputs : tuple of str
        Names of the volumes whose spikes it reads.
    run : callable
        Is given the number of steps, the spikes of these volumes, the neurons, and where their spikes go.
    """

    inputs: Tuple[str, ...]
    run: Callable[[int, Sequence[SpikeTrain], Neurons, SpikeTrain], None]


class EventNetwork:
    """Weights in rows, geometry in tables, and the compiled work of each population.

    Parameters
    ----------
    network : Network
    settings : SimulationSettings

    Attributes
    ----------
    train_steps : int
        Steps that one population does before the next.
    work : dict of str to Work
        By population whose current is not the same in every step.
    tables : dict of str to list of ndarray of int32 or None
        By volume without neurons: for each input, see `index_tables`.
    base : dict of str to ndarray of float32
        By population, its current without spikes and without constant input: the bias.
    unsummed : set of str
        Populations that read the constant input one by one, beside spikes: an average is divided once, after adding,
        and a maximum follows one of all inputs, so that neither is the sum of a current without spikes and of spikes.
    remembering : set of str
        Populations that accumulate what they read: max pooling.
    """

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self.network, self.settings = network, settings
        sizes = [volume.size for volume in network.volumes]
        self.train_steps = max(1, min(TRAIN_STEPS, TRAIN_SPIKES // max(sizes)))
        self._constant_input = ConstantInput(network) if settings.input == "constant" else None
        passing = self._constant_input.passing if self._constant_input is not None else set()
        self.unsummed: Set[str] = set()
        self.remembering: Set[str] = set()
        self.work: Dict[str, Work] = {}
        self.tables = {v.name: index_tables(network, v) for v in network.volumes if isinstance(v, Reindexed)}
        self.base: Dict[str, np.ndarray] = {}
        amplitudes = spike_amplitudes(network, settings)
        for population in network.populations:
            kinds = [LAYER_LOOPS[type(projection.layer)] for projection in population.projections]
            self.base[population.name] = neurons_of(_bias(population))
            if any(kind.remembers for kind in kinds):
                self.remembering.add(population.name)
            work = _work(population, amplitudes, passing)
            if work is not None:
                self.work[population.name] = work
                if passing.intersection(population.inputs) and not all(kind.sums for kind in kinds):
                    self.unsummed.add(population.name)

    def without_spikes(self, x: np.ndarray) -> Tuple[Dict[str, np.ndarray], Dict[str, np.ndarray]]:
        """Compute what the constant input does, in every step, to the populations that it reaches.

        Parameters
        ----------
        x : ndarray of float32, shape (samples, ...)

        Returns
        -------
        currents : dict of str to ndarray of float32, shape (samples, neurons)
            By population, its current with the bias.
        values : dict of str to ndarray of float32, shape (samples, inputs)
            By population of `unsummed`, what it reads, 0 where spikes arrive.
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
        assert (np.diff(table) > 0).all()  # a spike train stays in rising order
        tables.append(None if np.array_equal(table, numbered[read].ravel()) else table)
    return tables


def _bias(population: Population) -> np.ndarray:
    if population.bias is None:
        return np.zeros(population.size, np.float32)
    return np.tile(population.bias, population.size // len(population.bias))


def _work(population: Population, amplitudes: Dict[str, Set[float]], passing: Set[str]) -> Optional[Work]:
    """Return what reads the spikes that reach a population; None when its current is the same in every step."""
    inputs, loops = [], []
    for projection in population.projections:
        kind, spikes = LAYER_LOOPS[type(projection.layer)], amplitudes[projection.input]
        if spikes or kind.remembers:
            inputs.append(projection.input)
            amplitude = np.float32(max(spikes, default=0.0))
            loops.append(kind.loops(projection, amplitude, projection.input in passing))
    if not loops:
        return None
    if len(loops) == 1:
        alone = loops[0].alone
        return Work(tuple(inputs), lambda steps, read, neurons, train: alone(steps, read[0], neurons, train))
    return Work(tuple(inputs), _summed(loops, population.size))


def _summed(
    loops: Sequence[ProjectionLoops], neurons: int
) -> Callable[[int, Sequence[SpikeTrain], Neurons, SpikeTrain], None]:
    """Return what adds the spikes of several projections, a few steps at a time, one projection after the other."""
    size, deposits = filled_up(neurons), [loop.deposit for loop in loops]
    at_once = max(1, CURRENTS_BYTES // (size * np.dtype(np.float32).itemsize))

    def run(steps: int, read: Sequence[SpikeTrain], neurons: Neurons, train: SpikeTrain) -> None:
        currents = aligned(np.zeros((min(at_once, steps), size), np.float32))
        train.start[0] = 0
        for start in range(0, steps, at_once):
            part = currents[: steps - start]
            part[:] = neurons.base
            for deposit, source in zip(deposits, read):
                assert deposit is not None
                deposit(start, source, part)
            fire_each(part, start, neurons, train)

    return run
