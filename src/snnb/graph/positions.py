"""Positions of the neurons of a source population in a layer's input, behind all layers that only re-index."""

import math
from functools import cached_property
from typing import NamedTuple, Optional, Tuple

import h5py
import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.network.reindexing import PADDING


class InputVolume(NamedTuple):
    """Nodes at the positions of a layer's input.

    Attributes
    ----------
    shape : tuple of int
        (height, width, channels).
    parallel : bool
        Whether a node is at several positions.
    first : int or None
        Id of the node at the first position, where ids are consecutive; otherwise None.
    ids : h5py.Dataset or None
        Node at each position, -1 for padding, where they are not.
    """

    shape: Tuple[int, int, int]
    parallel: bool
    first: Optional[int]
    ids: Optional[h5py.Dataset]


class Positions:
    """The positions of one source population in an input volume.

    Consecutive ids need no array for lookups of single nodes.

    Attributes
    ----------
    parallel : bool
        Whether a neuron is at several positions.
    """

    def __init__(self, volume: InputVolume, source: GraphPopulation) -> None:
        self.parallel = volume.parallel
        self._volume = volume
        self._source = source

    @cached_property
    def ids(self) -> np.ndarray:
        """Node at each position (int64, the volume's shape); -1 for padding and neurons of other populations."""
        first = self._volume.first
        if first is None:
            assert self._volume.ids is not None
            return self._mask(self._volume.ids[()].astype(np.int64))
        count = math.prod(self._volume.shape)
        return self._mask(first + np.arange(count)).reshape(self._volume.shape)

    @cached_property
    def where(self) -> np.ndarray:
        """Flat position of each source (int64, shape (sources,)), -1 for none; not for parallel connections."""
        first = self._volume.first
        if first is not None:
            position = self._source.first - first + np.arange(self._source.size)
            return np.where((position >= 0) & (position < math.prod(self._volume.shape)), position, PADDING)
        position = np.full(self._source.size, PADDING, np.int64)
        flat = self.ids.ravel()
        used = np.flatnonzero(flat != PADDING)
        position[flat[used] - self._source.first] = used
        return position

    def of_sources(self, start: int, stop: int) -> Tuple[np.ndarray, np.ndarray]:
        """Return the positions of some sources.

        Parameters
        ----------
        start, stop : int
            Range of indices in the source population.

        Returns
        -------
        index, position : ndarray of int64, shape (positions,)
            Sources in ascending order, and a flat position of each; of one source ascending.
        """
        if self.parallel:
            begin, index, position = self._sorted
            part = slice(begin[start], begin[stop])
            return index[part], position[part]
        position = self.where[start:stop]
        index = np.flatnonzero(position != PADDING)
        return start + index, position[index]

    def nodes_at(self, rows: np.ndarray, columns: np.ndarray, channels: slice) -> np.ndarray:
        """Return the nodes (-1 for none) at all crossings of rows and columns, shape (rows, columns, channels)."""
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
    def _sorted(self) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index of each source's first entry, and the entries: sources, ascending, and their positions."""
        flat = self.ids.ravel()
        position = np.flatnonzero(flat != PADDING)
        index = flat[position] - self._source.first
        order = np.argsort(index, kind="stable")
        begin = np.searchsorted(index[order], np.arange(self._source.size + 1))
        return begin, index[order], position[order]
