"""Positions of the neurons of a source population in a layer's input, behind all layers that only re-index."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Optional, Tuple

import h5py
import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.network.reindexing import PADDING


@dataclass(frozen=True, eq=False)
class Positions:
    """The positions of one source population in a layer's input.

    Attributes
    ----------
    source : GraphPopulation
    shape : (height, width, channels) of the input
    parallel : bool
        Whether a neuron is at several positions.
    first : int or None
        Id of the node at the first position if ids are consecutive. Then single nodes are found without an array.
    stored : h5py.Dataset or None
        Otherwise the node at each position, -1 for padding.
    """

    source: GraphPopulation
    shape: Tuple[int, int, int]
    parallel: bool
    first: Optional[int]
    stored: Optional[h5py.Dataset]

    @cached_property
    def ids(self) -> np.ndarray:
        """Node at each position (int64, the input's shape); -1 for padding and neurons of other populations."""
        if self.first is None:
            assert self.stored is not None
            return self._mask(self.stored[()].astype(np.int64))
        return self._mask(self.first + np.arange(math.prod(self.shape))).reshape(self.shape)

    @cached_property
    def where(self) -> np.ndarray:
        """Flat position of each source (int64, shape (sources,)), -1 for none; not for parallel connections."""
        if self.first is not None:
            position = self.source.first - self.first + np.arange(self.source.size)
            return np.where((position >= 0) & (position < math.prod(self.shape)), position, PADDING)
        position = np.full(self.source.size, PADDING, np.int64)
        flat = self.ids.ravel()
        used = np.flatnonzero(flat != PADDING)
        position[flat[used] - self.source.first] = used
        return position

    def of_sources(self, start: int, stop: int) -> Tuple[np.ndarray, np.ndarray]:
        """Return index and flat position (int64) of each occurrence of the sources `start` to `stop - 1`, ascending."""
        begin, index, position = self._sorted
        part = slice(begin[start], begin[stop])
        return index[part], position[part]

    def nodes_at(self, rows: np.ndarray, columns: np.ndarray, channels: slice) -> np.ndarray:
        """Return the nodes (-1 for none) at all crossings of rows and columns, shape (rows, columns, channels)."""
        if self.first is None:
            return self.ids[rows[:, None], columns[None, :], channels]
        _, width, depth = self.shape
        pixel = rows[:, None] * width + columns[None, :]
        return self._mask(self.first + pixel[:, :, None] * depth + np.arange(depth)[channels])

    def _mask(self, ids: np.ndarray) -> np.ndarray:
        ids[(ids < self.source.first) | (ids >= self.source.first + self.source.size)] = PADDING
        return ids

    @cached_property
    def _sorted(self) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index of each source's first entry, and the entries: sources, ascending, and their positions."""
        flat = self.ids.ravel()
        position = np.flatnonzero(flat != PADDING)
        index = flat[position] - self.source.first
        order = np.argsort(index, kind="stable")
        begin = np.searchsorted(index[order], np.arange(self.source.size + 1))
        return begin, index[order], position[order]
