"""Which neuron of a source population stands where in a layer's input, after all the layers that only re-index."""

from functools import cached_property
from typing import Tuple

import h5py
import numpy as np

from snnb.synapses.population import Population
from snnb.synapses.rules import PADDING


class Reindexing:
    """The positions of one source population in a layer's input volume.

    Mostly ids simply count up through the volume; then single lookups are arithmetic and need no array.

    Attributes
    ----------
    parallel : bool
        Whether some neuron stands at several positions.
    """

    def __init__(self, group: h5py.Group, volume: Tuple[int, int, int], source: Population) -> None:
        self.parallel: bool = bool(group.attrs["parallel"])
        self._group = group
        self._volume = volume
        self._source = source

    @property
    def consecutive(self) -> bool:
        return "first_id" in self._group.attrs

    @property
    def _positions(self) -> int:
        height, width, channels = self._volume
        return height * width * channels

    @property
    def _offset(self) -> int:
        """How far the source's first neuron stands behind the volume's first position."""
        return self._source.first - int(self._group.attrs["first_id"])

    @cached_property
    def ids(self) -> np.ndarray:
        """Node at each position (int64, the volume's shape); -1 for padding and neurons of other populations."""
        if self.consecutive:
            flat = int(self._group.attrs["first_id"]) + np.arange(self._positions)
            return self._mask(flat).reshape(self._volume)
        return self._mask(self._group["ids"][()].astype(np.int64))

    @cached_property
    def where(self) -> np.ndarray:
        """Flat position of each source (int64, shape (sources,)), -1 for none; not for parallel connections."""
        if self.consecutive:
            position = self._offset + np.arange(self._source.size)
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
        if self.consecutive:
            position = np.array([self._offset + node - self._source.first])
            return position[(position >= 0) & (position < self._positions)]
        position = self.where[node - self._source.first : node - self._source.first + 1]
        return position[position != PADDING]

    def nodes_at(self, rows: np.ndarray, columns: np.ndarray, channels: slice) -> np.ndarray:
        """Return the nodes (-1 where there is none) at all crossings, shape (rows, columns, channels)."""
        if not self.consecutive:
            return self.ids[rows[:, None], columns[None, :], channels]
        _, width, depth = self._volume
        pixel = rows[:, None] * width + columns[None, :]
        flat = pixel[:, :, None] * depth + np.arange(depth)[channels]
        return self._mask(flat + int(self._group.attrs["first_id"]))

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
