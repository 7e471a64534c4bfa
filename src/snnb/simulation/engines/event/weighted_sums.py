"""Currents of values that all neurons have at once: constant input, spike counts."""

import math
from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Set, Union

import numpy as np

from snnb.core.compiled import typed_once
from snnb.network.geometry import PADDING
from snnb.network.network import Network, Population, Projection, Reindexed
from snnb.simulation.engines.engine import Real
from snnb.simulation.engines.event import compiled_loops
from snnb.simulation.engines.event.loop_arrays import (
    WORD_SIZE,
    DenseTapTable,
    round_up,
    zeros,
)
from snnb.simulation.engines.event.projection_tables import (
    list_channel_taps,
    list_dense_taps,
)


class DenseSum:
    """Adds the currents of a projection whose filters read all channels of values."""

    def __init__(self, projection: Projection, weights: np.ndarray) -> None:
        """Prepare the projection; `weights` has the shape `geometry.kernel_shape`."""
        self.source = projection.input
        self.taps = list_dense_taps(projection.geometry, weights)
        self._loop = typed_once(compiled_loops.add_dense_values)

    def add_currents(self, values: np.ndarray, currents: np.ndarray) -> None:
        """Add to `currents` those of `values`, of the volume `source`."""
        self._loop(values, self.taps, currents)


class ChannelSum:
    """Adds the currents of a projection whose filters read one channel of values."""

    def __init__(self, projection: Projection, weights: np.ndarray) -> None:
        """Prepare the projection; `weights` has the shape `geometry.kernel_shape`."""
        self.source = projection.input
        self.taps = list_channel_taps(projection.geometry, weights)
        self._multiplier = projection.geometry.multiplier
        self._loop = typed_once(compiled_loops.add_channel_values)

    def add_currents(self, values: np.ndarray, currents: np.ndarray) -> None:
        """Add to `currents` those of `values`, of the volume `source`."""
        if self._multiplier > 1:
            values = np.repeat(values, self._multiplier, axis=1)
        self._loop(values, self.taps, currents)


class GroupedSum:
    """Adds the currents of a grouped convolution of values, group by group."""

    def __init__(self, projection: Projection, weights: np.ndarray) -> None:
        """Prepare the projection; `weights` has the shape `geometry.kernel_shape`."""
        self.source = projection.input
        self._geometry = projection.geometry
        group_geometry = replace(
            self._geometry,
            pairing="dense",
            channels=self._geometry.channels_read,
            filters=self._geometry.multiplier,
            groups=1,
        )
        self._taps: List[DenseTapTable] = []
        for group_weights in np.split(weights, self._geometry.groups, axis=2):
            self._taps.append(list_dense_taps(group_geometry, group_weights))
        self._loop = typed_once(compiled_loops.add_dense_values)

    def add_currents(self, values: np.ndarray, currents: np.ndarray) -> None:
        """Add to `currents` those of `values`, of the volume `source`."""
        rows, columns, channels = self._geometry.input_volume
        inputs = rows * columns * channels
        outputs = math.prod(self._geometry.output_volume)
        channels_read = self._geometry.channels_read
        multiplier = self._geometry.multiplier
        samples = len(values)
        image_shape = (samples, -1, self._geometry.groups, channels_read)
        images = values[:, :inputs].reshape(image_shape)
        maps_shape = (samples, -1, self._geometry.groups, multiplier)
        maps = currents[:, :outputs].reshape(maps_shape)
        group_size = outputs // self._geometry.groups
        group_currents = zeros((samples, group_size + WORD_SIZE), currents.dtype.type)
        for group, taps in enumerate(self._taps):
            group_values = np.ascontiguousarray(images[:, :, group])
            group_maps = maps[:, :, group]
            group_currents[:, :group_size] = group_maps.reshape(samples, group_size)
            self._loop(group_values.reshape(samples, -1), taps, group_currents)
            sums = group_currents[:, :group_size].reshape(group_maps.shape)
            maps[:, :, group] = sums
        currents[:, :outputs] = maps.reshape(samples, outputs)


ProjectionSum = Union[DenseSum, GroupedSum, ChannelSum]


class WeightedSums:
    """Computes the currents of populations, without biases.

    Values and currents are float32, or all float64: `real`. Values are arrays of the
    shape (samples, neurons or more), by volume.
    """

    def __init__(self, network: Network, readable: Set[str], real: Real) -> None:
        """Prepare the projections that read one of the volumes `readable`."""
        self._network = network
        self._real = real
        # By volume without neurons, see `index_tables`
        self.tables: Dict[str, List[Optional[np.ndarray]]] = {}
        for volume in network.volumes:
            if isinstance(volume, Reindexed):
                self.tables[volume.name] = index_tables(network, volume)
        self._sums: Dict[str, List[ProjectionSum]] = {}  # by population
        for population in network.populations:
            sums = self._sums[population.name] = []
            for projection in population.projections:
                if projection.input in readable:
                    sums.append(self._make_sum(projection))
        # Populations that have such projections
        self.populations = [p for p in network.populations if self._sums[p.name]]

    def _make_sum(self, projection: Projection) -> ProjectionSum:
        geometry = projection.geometry
        if projection.kernel is None:
            weights = np.ones(geometry.kernel_shape, self._real)
        else:
            weights = projection.weights().astype(self._real)
        if geometry.pairing == "diagonal":
            return ChannelSum(projection, weights)
        if geometry.pairing == "grouped":
            return GroupedSum(projection, weights)
        return DenseSum(projection, weights)

    def sum_currents(
        self,
        population: Population,
        values: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Return the currents of a population: (samples, neurons or more).

        `values` has those of the input and of populations. A missing one is 0. The
        currents of a max pooling are the largest values.
        """
        samples = len(next(iter(values.values())))
        if population.counts_largest:
            return self._find_largest(population, values, samples)
        size = round_up(population.size) + WORD_SIZE
        currents = zeros((samples, size), self._real)
        for projection_sum in self._sums[population.name]:
            inputs = self._read_values(projection_sum.source, values, samples)
            projection_sum.add_currents(inputs, currents)
        divisors = list_divisors(population, self._real)
        if divisors.size:
            currents[:, : divisors.size] /= divisors
        return currents

    def _find_largest(
        self,
        population: Population,
        values: Mapping[str, np.ndarray],
        samples: int,
    ) -> np.ndarray:
        """Return the largest value in each window of a max pooling: (samples, neurons).

        Values are not negative.
        """
        (projection_sum,) = self._sums[population.name]
        inputs = self._read_values(projection_sum.source, values, samples)
        assert isinstance(projection_sum, ChannelSum)
        taps = projection_sum.taps
        windows = len(taps.first_input)
        channel = np.arange(taps.filters)
        largest = np.zeros((samples, windows, taps.filters), self._real)
        for first_input in taps.first_input.T:
            inside = np.flatnonzero(first_input != PADDING)
            neuron = np.add.outer(first_input[inside], channel)
            largest[:, inside] = np.maximum(largest[:, inside], inputs[:, neuron])
        return largest.reshape(samples, windows * taps.filters)

    def _read_values(
        self,
        name: str,
        values: Mapping[str, np.ndarray],
        samples: int,
    ) -> np.ndarray:
        """Return the values of a volume, also of one without neurons."""
        volume = self._network.volume(name)
        if name in values:
            return values[name]
        if not isinstance(volume, Reindexed):
            return np.zeros((samples, volume.size), self._real)
        inputs = [self._read_values(i, values, samples) for i in volume.inputs]
        tables = self.tables[name]
        if len(inputs) == 1 and tables[0] is None and inputs[0].shape[1] >= volume.size:
            return inputs[0]
        moved_values = np.zeros((samples, volume.size), self._real)
        for source, input_values, table in zip(volume.inputs, inputs, tables):
            if table is None:
                size = self._network.volume(source).size
                moved_values[:, :size] = input_values[:, :size]
            else:
                inside = np.flatnonzero(table != PADDING)
                moved_values[:, table[inside]] = input_values[:, inside]
        return moved_values


def index_tables(network: Network, volume: Reindexed) -> List[Optional[np.ndarray]]:
    """Return for each input of a volume where its elements are in the volume.

    Each is int32, (elements,), and has `PADDING` for an element that is left out; it is
    None if all elements have the same index in the volume.
    """
    shapes = [network.volume(name).shape for name in volume.inputs]
    tables: List[Optional[np.ndarray]] = []
    for i, shape in enumerate(shapes):
        ids = [np.full(input_shape, PADDING, np.int32) for input_shape in shapes]
        index = np.arange(ids[i].size, dtype=np.int32)
        ids[i] = index.reshape(shape)
        element = volume.layer.apply(
            ids,
        ).ravel()  # of input i, at each index in the volume
        places = np.flatnonzero(element != PADDING)
        table = np.full(index.size, PADDING, np.int32)
        table[element[places]] = places
        tables.append(None if np.array_equal(table, index) else table)
    return tables


def list_divisors(population: Population, real: Real) -> np.ndarray:
    """Return the number of inputs of each neuron of an average pooling: (neurons,).

    They are of the type `real`, not filled up, and empty for other populations.
    """
    if population.projections[0].layer.WEIGHTING != "average":
        return np.zeros(0, real)
    geometry = population.only.geometry
    return np.repeat(geometry.taps().ravel(), geometry.filters).astype(real)
