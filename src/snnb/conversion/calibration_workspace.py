"""The network during its calibration, with what the calibrated populations compute."""

from typing import Dict, Iterator, Mapping, NamedTuple

import numpy as np

from snnb.conversion.calibration_activations import Activation, Pixels, SpikeTrain
from snnb.conversion.rewriting import Channels
from snnb.core.machine import scratch_array
from snnb.forward.analogue import PopulationSums
from snnb.network.network import Network, Population

BLOCK_BYTES = 16_000_000  # size of the arrays that are in memory at a time
ALL_SAMPLES = slice(None)


class Workspace:
    """The network during its calibration, with what the calibrated populations compute.

    The dictionaries have the name of a population, or of the input, as their key.
    Activations and spikes are dropped after the last population that reads them.

    Attributes
    ----------
    samples : int
        Number of training images.
    network : Network
        The parsed network, with the weights of the populations that are calibrated.
    channels : dict
        Scale factors, biases and initial potentials of the calibrated populations.
    integer_factors : dict
        Factors from weights to integers of the populations of an integer network:
        float64 (channels,), see `snnb.conversion.integers.channel_factors`.
    trained : dict
        Activations in the trained network.
    spiking : dict
        Activations that the spikes of the calibrated populations stand for.
    spike_trains : dict
        With free firing: the same populations with their spikes, without the input.
    """

    def __init__(self, network: Network, x: np.ndarray) -> None:
        self.samples = len(x)
        self.network = network
        self.channels: Dict[str, Channels] = {}
        self.integer_factors: Dict[str, np.ndarray] = {}
        pixels = Pixels(x)
        self.trained: Dict[str, Activation] = {network.input.name: pixels}
        self.spiking: Dict[str, Activation] = {network.input.name: pixels}
        self.spike_trains: Dict[str, SpikeTrain] = {}
        # Name of the last population that reads a population, or the input, directly
        # or through re-indexing layers.
        self._last_reader: Dict[str, str] = {}
        for population in network.populations:
            for sender in network.senders(population):
                self._last_reader[sender] = population.name

    def replace(self, population: Population) -> None:
        """Replace the population of this name in the network."""
        self.network = self.network.with_populations([population])

    def blocks(
        self,
        population: Population,
        arrays: int = 1,
        samples: slice = ALL_SAMPLES,
    ) -> Iterator[slice]:
        """Yield consecutive blocks of the samples.

        In each of them, `arrays` float32 arrays of the largest volume at the
        population fit into `BLOCK_BYTES`.
        """
        names = (*population.inputs, population.name)
        largest_size = max(self.network.volume(name).size for name in names)
        length = max(1, BLOCK_BYTES // (4 * largest_size * arrays))
        begin, end, _ = samples.indices(self.samples)
        for start in range(begin, end, length):
            yield slice(start, min(start + length, end))

    def inputs(
        self,
        population: Population,
        activations: Mapping[str, Activation],
        samples: slice,
    ) -> Dict[str, np.ndarray]:
        """Return the activations of the senders of a population, by name.

        They are float32 (samples, *shape), of a block of samples.
        """
        senders = self.network.senders(population)
        return {name: activations[name].block(samples) for name in senders}

    def input_current(
        self,
        population: Population,
        sums: PopulationSums,
        activations: Mapping[str, Activation],
    ) -> np.ndarray:
        """Return the input current of a population without the bias of its channels.

        It is float32 (samples, *shape), of all samples, computed by the `sums` of the
        population. `activations` has those of its senders.
        """
        current = scratch_array((self.samples, *population.shape), np.float32)
        for block in self.blocks(population):
            current[block] = sums.compute(self.inputs(population, activations, block))
        return current

    def release(self, population: Population) -> None:
        """Drop the activations that no population after this one reads."""
        for name, reader in self._last_reader.items():
            if reader == population.name:
                self.trained.pop(name, None)
                self.spiking.pop(name, None)
                self.spike_trains.pop(name, None)


class BlockRows(NamedTuple):
    """The rows of a block of samples that are in a table, see `rows_of_block`."""

    in_block: slice  # among the rows of the block
    in_table: slice  # among the rows of the table


def rows_of_block(samples: slice, positions: int, distance: int) -> BlockRows:
    """Return where the rows of a block of samples are.

    A sample has a row for each of its `positions`; the table has the rows 0,
    `distance`, 2 · `distance`, … of those of all samples. For example, with 10
    positions and a distance of 3, the samples 1 and 2 have the rows 10 to 29. The rows
    12, 15, …, 27 of them are in the table: there they are the rows 4 to 9, in the block
    the rows 2, 5, …, 17.
    """
    first_row = samples.start * positions
    begin = -(-first_row // distance)
    end = -(-samples.stop * positions // distance)
    in_block = slice(begin * distance - first_row, None, distance)
    return BlockRows(in_block, slice(begin, end))
