"""Which neuron of a source population stands where in a layer's input, after all the layers that only re-index."""

import math
from functools import cached_property
from typing import Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.graph import fields
from snnb.graph.populations import GraphPopulation
from snnb.network.reindexing import PADDING


class InputVolume:
    """The input volume of a layer as the file has it: which node, of whatever population, stands at each position.

    Mostly ids simply count up through it; then there is no array.

    Attributes
    ----------
    shape : tuple of int
        (height, width, channels).
    first : int or None
        The node at the first position, where ids count up; None where an array says which nodes there are.
    parallel : bool
        Whether some neuron stands at several positions.
    """

    def __init__(
        self,
        group: h5py.Group,
        shape: Tuple[int, int, int],
        target: GraphPopulation,
        sources: Sequence[GraphPopulation],
    ) -> None:
        self.shape = shape
        self.parallel = fields.flag(group, "parallel")
        self.first: Optional[int] = None
        self._sources = sources
        self._nodes = target.first  # a layer is fed by what stands before it
        self._group = group
        self._checked = False
        if fields.has(group, "first_id") == ("ids" in group):
            raise fields.wrong(group, "needs either first_id or ids")
        if fields.has(group, "first_id"):
            self.first = fields.integer(group, "first_id", 0, self._nodes - math.prod(shape))
            last = self.first + math.prod(shape)
            shares = [min(last, p.first + p.size) - max(self.first, p.first) for p in sources]
            if self.parallel or min(shares) < 1 or sum(shares) != last - self.first:
                raise fields.wrong(group, "is not fed by the populations that /projections names")
        else:
            self._ids = fields.dataset(group, "ids", ["<i4", "<i8"], shape)

    def read(self) -> np.ndarray:
        """Read the ids (int32 or int64, the volume's shape; -1 for padding), and check them the first time."""
        ids = fields.values(self._ids)
        if not self._checked:
            self._check(ids)
            self._checked = True
        return ids

    def _check(self, ids: np.ndarray) -> None:
        if ids.min() < PADDING or ids.max() >= self._nodes:
            raise fields.wrong(self._ids, "names a node that does not stand before this layer")
        uses = np.bincount(ids.ravel() + 1)[1:]
        if bool((uses > 1).any()) != self.parallel:
            raise fields.wrong(self._ids, "does not fit the attribute parallel")
        shares = [uses[p.first : p.first + p.size].sum() for p in self._sources]
        if min(shares) < 1 or sum(shares) != uses.sum():
            raise fields.wrong(self._group, "is not fed by the populations that /projections names")


class Positions:
    """The positions of one source population in a layer's input volume.

    Where ids count up, single lookups are arithmetic and need no array.

    Attributes
    ----------
    parallel : bool
        Whether some neuron stands at several positions.
    """

    def __init__(self, volume: InputVolume, source: GraphPopulation) -> None:
        self.parallel = volume.parallel
        self._volume = volume
        self._source = source

    @property
    def _positions(self) -> int:
        return math.prod(self._volume.shape)

    @cached_property
    def ids(self) -> np.ndarray:
        """Node at each position (int64, the volume's shape); -1 for padding and neurons of other populations."""
        first = self._volume.first
        if first is None:
            return self._mask(self._volume.read().astype(np.int64))
        return self._mask(first + np.arange(self._positions)).reshape(self._volume.shape)

    @cached_property
    def where(self) -> np.ndarray:
        """Flat position of each source (int64, shape (sources,)), -1 for none; not for parallel connections."""
        first = self._volume.first
        if first is not None:
            position = self._source.first - first + np.arange(self._source.size)
            return np.where((position >= 0) & (position < self._positions), position, PADDING)
        position = np.full(self._source.size, PADDING, np.int64)
        flat = self.ids.ravel()
        used = np.flatnonzero(flat != PADDING)
        position[flat[used] - self._source.first] = used
        return position

    def positions_of(self, node: int) -> np.ndarray:
        """Return the flat positions of one source, ascending."""
        if self.parallel:
            start, position = self._sorted
            local = node - self._source.first
            return position[start[local] : start[local + 1]]
        if self._volume.first is not None:
            position = np.array([node - self._volume.first])
            return position[(position >= 0) & (position < self._positions)]
        position = self.where[node - self._source.first : node - self._source.first + 1]
        return position[position != PADDING]

    def nodes_at(self, rows: np.ndarray, columns: np.ndarray, channels: slice) -> np.ndarray:
        """Return the nodes (-1 where there is none) at all crossings, shape (rows, columns, channels)."""
        first = self._volume.first
        if first is None:
            return self.ids[rows[:, None], columns[None, :], channels]
        _, width, depth = self._volume.shape
        pixel = rows[:, None] * width + columns[None, :]
        flat = pixel[:, :, None] * depth + np.arange(depth)[channels]
        return self._mask(flat + first)

    def _mask(self, ids: np.ndarray) -> np.ndarray:
        ids[(ids < self._source.first) | (ids >= self._source.first + self._source.size)] = PADDING
        return ids

    @cached_property
    def _sorted(self) -> Tuple[np.ndarray, np.ndarray]:
        """Positions by source, and where each source's begin."""
        flat = self.ids.ravel()
        position = np.flatnonzero(flat != PADDING)
        local = flat[position] - self._source.first
        order = np.argsort(local, kind="stable")
        return np.searchsorted(local[order], np.arange(self._source.size + 1)), position[order]
