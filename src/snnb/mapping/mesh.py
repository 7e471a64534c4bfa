"""Load of the links of a mesh by spikes between cores, with routes along x first, then along y."""

from typing import NamedTuple, Tuple

import numpy as np
from scipy.sparse import csr_matrix


class LinkLoads(NamedTuple):
    """Spikes per sample over each link of a mesh in each direction."""

    # (height, width - 1) float64: over the links along x, towards larger and towards smaller x
    right: np.ndarray
    left: np.ndarray
    # (height - 1, width) float64: over the links along y, towards larger and towards smaller y
    up: np.ndarray
    down: np.ndarray

    @property
    def all(self) -> np.ndarray:
        """Loads of all links: float64, flat."""
        return np.concatenate([load.ravel() for load in self])


def offsets(traffic: csr_matrix, place: np.ndarray) -> np.ndarray:
    """Return the distances along x and y between the cores of each element of the traffic: int64, (2, elements)."""
    source, target = _pairs(traffic)
    return np.abs(place[source].astype(np.int64) - place[target]).T


def link_loads(traffic: csr_matrix, place: np.ndarray, mesh: Tuple[int, int]) -> LinkLoads:
    """Count spikes on links with unicast routing: each core reached is sent a separate spike.

    Parameters
    ----------
    traffic : (cores, cores) csr_matrix of float64; spikes per sample from core to core
    place : (cores, 2) int array; x and y of each core
    """
    width, height = mesh
    source, target = _pairs(traffic)
    (x, y), (to_x, to_y) = place[source].T.astype(np.int64), place[target].T.astype(np.int64)
    right = _runs(y, x, to_x, traffic.data, height, width)
    left = _runs(y, to_x, x, traffic.data, height, width)
    up = _runs(to_x, y, to_y, traffic.data, width, height)
    down = _runs(to_x, to_y, y, traffic.data, width, height)
    return LinkLoads(right, left, up.T, down.T)


def _pairs(traffic: csr_matrix) -> Tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(traffic.shape[0]), np.diff(traffic.indptr)), traffic.indices


def _runs(
    line: np.ndarray, begin: np.ndarray, end: np.ndarray, load: np.ndarray, lines: int, length: int
) -> np.ndarray:
    """Add each load to the links of its line from `begin` to `end` if begin < end: shape (lines, length - 1)."""
    there = begin < end
    line, begin, end, load = line[there], begin[there], end[there], load[there]
    places = np.concatenate([line * length + begin, line * length + end])
    change = np.bincount(places, np.concatenate([load, -load]), minlength=lines * length)
    loads = np.cumsum(change.reshape(lines, length), axis=1)[:, :-1]
    return np.maximum(loads, 0.0)  # rounding may leave a sum below 0
