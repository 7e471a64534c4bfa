"""Grids of patches of a population: which keep the limits, and what they cost.

A source has a list in the memory of a patch by which rows of the patch it meets over
which taps, and by which columns, so the memory is a product of sums along both axes,
and of channels. With n rows the sum grows until n is the kernel's size, and a patch of
all rows has fewer lists, since no source lies beyond its border. Hence layers of many
channels take single rows, or all positions and few channels.
"""

from itertools import product
from typing import (
    Callable,
    Dict,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

import numpy as np

from snnb.chips.hardware import Limits
from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.mapping.partition.groups import Grid
from snnb.mapping.traffic import MappableNetwork
from snnb.network.geometry import PADDING, Axis

ALL_SPIKES = 1 << 40  # sum of the spikes of a network by which grids are compared
SynapsePattern = Tuple[Tuple[int, int], ...]  # (output − first output, tap)


class AxisParts(NamedTuple):
    """An axis of a connection in parts, each of which has consecutive outputs.

    A kernel of 3 taps slides over 6 inputs, with padding at both ends. If the outputs
    are divided into two parts, the digits are the taps:

        input      0   1   2   3   4   5
        output 0   1   2
        output 1   0   1   2
        output 2       0   1   2
        ---------------------------------
        output 3           0   1   2
        output 4               0   1   2
        output 5                   0   1

    A column of a part is a *list*: the synapses of one source. The first part has the
    lists 1 0, 2 1 0, 2 1 and 2, so `sources` is 4, and `entries` is 2 + 3 + 2 + 1 = 8.
    Equal lists are stored once; here all are distinct. `reached` is 1, 1, 2, 2, 1, 1.
    """

    outputs: int  # most outputs of a part
    entries: int  # most entries of the distinct lists of a part
    sources: int  # most sources of a part
    reached: np.ndarray  # (inputs,) int64: number of parts that an input reaches
    # (inputs,) int64: 1 if the input itself is in one of these parts; 0 unless the
    # parts are those of a pooling that is joined
    inside: np.ndarray


class GridCandidate(NamedTuple):
    """A grid of patches that keeps the limits."""

    grid: Grid
    max_channels: int  # of a patch
    spikes_per_chunk: float  # that the patches of a chunk of channels receive
    spikes_per_channel: float  # further ones for each channel of the chunk

    def count_spikes(self, filters: int) -> float:
        """Return the spikes that the patches of a population of `filters` receive."""
        chunks = -(-filters // self.max_channels)
        return self.spikes_per_chunk * chunks + self.spikes_per_channel * filters


class OutputAxons(NamedTuple):
    """A limit of output axons, and what counts towards it."""

    limit: int  # of a core
    # (rows, columns) int64: output axons of a channel at each position
    axons: np.ndarray


class _PatchInput(NamedTuple):
    """A connection of which a patch holds synapses."""

    connection: Connection
    # (rows, columns) float64: spikes at each input position; None for a current
    spikes: Optional[np.ndarray]
    # The axes in parts, by the number of parts
    rows: Dict[int, AxisParts]
    columns: Dict[int, AxisParts]

    @classmethod
    def of(
        cls,
        connection: Connection,
        spikes: Optional[np.ndarray],
        divide: Callable[[Axis, int], AxisParts],
        row_counts: Sequence[int],
        column_counts: Sequence[int],
    ) -> "_PatchInput":
        """Return a connection whose axes are divided into each number of parts."""
        axes = connection.geometry
        return cls(
            connection=connection,
            spikes=spikes,
            rows={count: divide(axes.rows, count) for count in row_counts},
            columns={count: divide(axes.columns, count) for count in column_counts},
        )


class _PatchLoad(NamedTuple):
    """The largest contents of a patch, and the spikes that all patches receive."""

    neurons: int  # of each channel
    entries: int  # of lists, of each channel
    axons: int  # of each channel
    shared_axons: int  # of all channels together
    spikes_per_chunk: float  # to the patches of each chunk of channels
    spikes: float  # to the patches of all chunks together, in addition


def list_grids(
    network: MappableNetwork,
    population: GraphPopulation,
    limits: Limits,
    sides: Sequence[int],
    exact: bool,
    output_axons: Optional[OutputAxons] = None,
    pooling: Optional[Connection] = None,
) -> List[GridCandidate]:
    """Return the grids of a population that keep the limits.

    The grid whose patches are single positions is always one of them.

    Parameters
    ----------
    limits : Limits
        Of a patch; `synapses` is that of the entries of lists.
    sides : sequence of int
        Sides of a patch that are tried, in positions.
    exact : bool
        Whether a source has its own spikes, not the mean of its population.
    output_axons : OutputAxons, optional
        A further limit.
    pooling : Connection, optional
        A pooling that reads the population; its neurons join the patches.
    """
    connections: List[Connection] = []
    for projection in network.projections_to(population):
        connections += projection.connections
    rows, columns, filters = connections[0].geometry.output_volume
    row_counts = _count_parts(rows, sides)
    column_counts = _count_parts(columns, sides)
    inputs: List[_PatchInput] = []
    for connection in connections:
        spikes = _position_spikes(network, connection, exact)
        inputs.append(
            _PatchInput.of(
                connection, spikes, divide_outputs, row_counts, column_counts
            )
        )
    if pooling is not None:
        spikes = _position_spikes(network, pooling, exact)
        inputs.append(
            _PatchInput.of(pooling, spikes, divide_pooling, row_counts, column_counts)
        )
    candidates: List[GridCandidate] = []
    for grid in product(row_counts, column_counts):
        load = _measure_patch(inputs, grid, pooling is not None)
        max_channels = _most_channels(load, limits, output_axons, grid)
        if max_channels > 0 or grid == (rows, columns):
            candidate = GridCandidate(
                grid=grid,
                max_channels=max(max_channels, 1),
                spikes_per_chunk=load.spikes_per_chunk,
                spikes_per_channel=load.spikes / filters,
            )
            candidates.append(candidate)
    return candidates


def _count_parts(length: int, sides: Sequence[int]) -> List[int]:
    """Return the numbers of parts of an axis for sides of a patch, ascending."""
    return sorted({-(-length // side) for side in (*sides, length)})


def _measure_patch(
    inputs: Sequence[_PatchInput],
    grid: Grid,
    has_pooling: bool,
) -> _PatchLoad:
    """Return the largest contents of a patch of a grid.

    With `has_pooling`, the last input is a pooling whose neurons join the patches.
    """
    row_count, column_count = grid
    entries = 0
    axons = 0
    shared_axons = 0
    spikes_per_chunk = 0.0
    spikes = 0.0
    for patch_input in inputs:
        geometry = patch_input.connection.geometry
        row = patch_input.rows[row_count]
        column = patch_input.columns[column_count]
        is_dense = geometry.pairing == "dense"  # all channels share the sources
        channels_read = geometry.channels_read
        entries += row.entries * column.entries * channels_read
        sent_spikes = patch_input.spikes
        if sent_spikes is None:
            continue
        sources = row.sources * column.sources * channels_read
        copies = row.reached @ sent_spikes @ column.reached
        received_spikes = float(copies - row.inside @ sent_spikes @ column.inside)
        if is_dense:
            shared_axons += sources
            spikes_per_chunk += received_spikes
        elif geometry.pairing == "grouped":
            # Two groups at the ends of a chunk may be shared with other chunks
            shared_axons += sources
            axons += -(-sources // geometry.multiplier)
            spikes_per_chunk += received_spikes / geometry.groups
            spikes += received_spikes
        else:
            axons += sources
            spikes += received_spikes
    populations = (inputs[0], inputs[-1]) if has_pooling else (inputs[0],)
    neurons = 0
    for patch_input in populations:
        row = patch_input.rows[row_count]
        column = patch_input.columns[column_count]
        neurons += row.outputs * column.outputs
    return _PatchLoad(
        neurons=neurons,
        entries=entries,
        axons=axons,
        shared_axons=shared_axons,
        spikes_per_chunk=spikes_per_chunk,
        spikes=spikes,
    )


def _most_channels(
    load: _PatchLoad,
    limits: Limits,
    output_axons: Optional[OutputAxons],
    grid: Grid,
) -> int:
    """Return how many channels a patch can have; at most 0 if not even one fits."""
    channels = min(limits.neurons // load.neurons, limits.synapses // load.entries)
    if load.axons or load.shared_axons > limits.axons:
        axons_left = limits.axons - load.shared_axons
        channels = min(channels, axons_left // max(load.axons, 1))
    if output_axons is not None:
        axons_of_channel = _largest_sum(output_axons.axons, grid)
        channels = min(channels, output_axons.limit // max(axons_of_channel, 1))
    return channels


def _largest_sum(numbers: np.ndarray, grid: Grid) -> int:
    """Return the largest sum over a patch of `numbers`, (rows, columns) int64."""
    rows, columns = numbers.shape
    row_parts, column_parts = grid
    first_rows = -(-np.arange(row_parts) * rows // row_parts)
    first_columns = -(-np.arange(column_parts) * columns // column_parts)
    row_sums = np.add.reduceat(numbers, first_rows)
    return int(np.add.reduceat(row_sums, first_columns, axis=1).max())


def spikes_at_positions(
    network: MappableNetwork,
    connection: Connection,
    exact: bool,
) -> np.ndarray:
    """Return the spikes of all channels at each input position.

    float64, shape (rows, columns). Unless `exact`, each position has the mean. The
    spikes are integers, scaled so that those of the network sum to about `ALL_SPIKES`.
    Their sums are exact, so that equally good grids are equal on every processor.
    """
    scale = ALL_SPIKES / max(network.spikes.sum(), 1.0)
    spikes = np.rint(network.spikes_of(connection.source) * scale)
    if not exact:
        rows, columns, channels = connection.geometry.input_volume
        return np.full((rows, columns), np.rint(channels * spikes.mean()))
    source = connection.ids - connection.source.first
    spikes_and_padding = np.append(spikes, 0.0)
    index = np.where(connection.ids == PADDING, -1, source)
    sums: np.ndarray = spikes_and_padding[index].sum(axis=2)
    return sums


def _position_spikes(
    network: MappableNetwork,
    connection: Connection,
    exact: bool,
) -> Optional[np.ndarray]:
    """Return `spikes_at_positions`, or None if the source is a constant current."""
    if connection.source not in network.sources:
        return None
    return spikes_at_positions(network, connection, exact)


def find_first_inputs(axis: Axis) -> np.ndarray:
    """Return the first input that each output meets: int64, shape (outputs,)."""
    order, start = axis.by_output()
    return axis.input[order][start[:-1]]


def divide_outputs(axis: Axis, parts: int) -> AxisParts:
    """Divide the outputs of an axis into equal parts."""
    part_of_output = np.arange(axis.outputs) * parts // axis.outputs
    lists = _list_synapses(axis, part_of_output)
    no_inputs = np.zeros(axis.size, np.int64)
    return _measure_parts(axis, part_of_output, lists, no_inputs)


def divide_pooling(axis: Axis, parts: int) -> AxisParts:
    """Divide the inputs of a pooling into equal parts.

    An output is in the part of its first input.
    """
    part_of_input = np.arange(axis.size) * parts // axis.size
    part_of_output = part_of_input[find_first_inputs(axis)]
    lists = _list_synapses(axis, part_of_output)
    inside = _count(
        (source for part, source in lists if part_of_input[source] == part),
        axis.size,
    )
    return _measure_parts(axis, part_of_output, lists, inside)


# The synapses along an axis by part and source: (output, tap), in ascending order
_Lists = Dict[Tuple[int, int], List[Tuple[int, int]]]


def _list_synapses(axis: Axis, part_of_output: np.ndarray) -> _Lists:
    """List the synapses of each source onto each part of the outputs."""
    lists: _Lists = {}
    triples = zip(axis.input.tolist(), axis.output.tolist(), axis.tap.tolist())
    for source, output, tap in triples:
        key = int(part_of_output[output]), source
        lists.setdefault(key, []).append((output, tap))
    return lists


def _measure_parts(
    axis: Axis,
    part_of_output: np.ndarray,
    lists: _Lists,
    inside: np.ndarray,
) -> AxisParts:
    """Return the largest counts of a part, and the parts that each input reaches."""
    distinct_lists: Dict[int, Set[SynapsePattern]] = {}
    for (part, _), synapses in lists.items():
        first_output, _ = synapses[0]
        pattern = tuple((output - first_output, tap) for output, tap in synapses)
        distinct_lists.setdefault(part, set()).add(pattern)
    entries = [sum(map(len, patterns)) for patterns in distinct_lists.values()]
    source_counts = np.bincount([part for part, _ in lists])
    return AxisParts(
        outputs=int(np.bincount(part_of_output).max()),
        entries=max(entries),
        sources=int(source_counts.max()),
        reached=_count((source for _, source in lists), axis.size),
        inside=inside,
    )


def _count(numbers: Iterable[int], length: int) -> np.ndarray:
    """Count how often each number from 0 to `length` − 1 occurs: int64, (length,)."""
    return np.bincount(np.fromiter(numbers, np.int64), minlength=length)
