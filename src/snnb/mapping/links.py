"""Loads of the links of a mesh: spikes per sample over each link in each direction.

Routes run along x first, then along y. With unicast routing, a spike is sent to each core reached; with multicast
routing, it crosses each link in the union of these routes once.
"""

from pathlib import Path
from typing import NamedTuple, Tuple

import numpy as np
from scipy.sparse import csr_matrix

from snnb.core.compiled import compiled, inner
from snnb.core.machine import require_memory
from snnb.mapping.traffic import TargetSets, TrafficSums

ROUTER_BYTES = 500  # of a router in the loads of links and in figures


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


def used_link_loads(traffic: csr_matrix, place: np.ndarray) -> LinkLoads:
    """Return the loads of the links in the rectangle around the routers at `place`; see `link_loads`.

    All other links of a mesh have no load.
    """
    return link_loads(traffic, *_in_rectangle(place))


def _in_rectangle(place: np.ndarray) -> Tuple[np.ndarray, Tuple[int, int]]:
    """Return places in the rectangle around them, and its width and height."""
    low, high = place.min(axis=0), place.max(axis=0)
    width, height = (high - low + 1).tolist()
    return place - low, (width, height)


def link_loads(traffic: csr_matrix, place: np.ndarray, mesh: Tuple[int, int]) -> LinkLoads:
    """Count spikes on links with unicast routing: each core reached is sent a separate spike.

    Parameters
    ----------
    traffic : (cores, cores) csr_matrix of float64; spikes per sample from core to core
    place : (cores, 2) int array; x and y of each core
    """
    width, height = mesh
    require_memory(ROUTER_BYTES * width * height, f"the loads and figures of {width:,} × {height:,} routers")
    cores = traffic.tocoo()
    (x, y), (to_x, to_y) = place[cores.row].T.astype(np.int64), place[cores.col].T.astype(np.int64)
    right = _line_loads(y, x, to_x, traffic.data, height, width)
    left = _line_loads(y, to_x, x, traffic.data, height, width)
    up = _line_loads(to_x, y, to_y, traffic.data, width, height)
    down = _line_loads(to_x, to_y, y, traffic.data, width, height)
    return LinkLoads(right, left, up.T, down.T)


def _line_loads(
    line: np.ndarray, begin: np.ndarray, end: np.ndarray, load: np.ndarray, lines: int, length: int
) -> np.ndarray:
    """Add each load to the links of its line from `begin` to `end` if begin < end: shape (lines, length - 1)."""
    crossed = begin < end
    line, begin, end, load = line[crossed], begin[crossed], end[crossed], load[crossed]
    places = np.concatenate([line * length + begin, line * length + end])
    change = np.bincount(places, np.concatenate([load, -load]), minlength=lines * length)
    loads = np.cumsum(change.reshape(lines, length), axis=1)[:, :-1]
    return np.maximum(loads, 0.0)  # rounding may leave a sum below 0


def multicast_loads(sums: TrafficSums, place: np.ndarray) -> LinkLoads:
    """Count spikes on links with multicast routing, in the rectangle around the routers at `place`; see `link_loads`.

    A link has a load if and only if it has one with unicast routing.
    """
    place, (width, height) = _in_rectangle(place)
    require_memory(ROUTER_BYTES * width * height, f"the loads and figures of {width:,} × {height:,} routers")
    (x, y), loads = np.ascontiguousarray(place.T, np.int32), np.zeros((4, height, width))
    for population, source_core, sets in sums.placed_sets():
        order, columns = np.argsort(source_core, kind="stable"), np.full((3, width), -1, np.int64)
        _add_multicast(order, source_core, sums.network.spikes_of(population), sets, x, y, columns, loads)
    right, left, up, down = loads
    return LinkLoads(right[:, :-1], left[:, :-1], up[:-1], down[:-1])


@compiled
def _add_multicast(
    order: np.ndarray,
    core: np.ndarray,
    spikes: np.ndarray,
    sets: TargetSets,
    x: np.ndarray,
    y: np.ndarray,
    columns: np.ndarray,
    loads: np.ndarray,
) -> None:
    """Add spikes to the links in the union of the routes to the cores reached.

    Parameters
    ----------
    order : (sources,) int64 array; the sources, sorted by core
    x, y : (cores,) int32 array; routers of the cores
    columns : (3, columns) int64 array, −1; a buffer
    loads : (4, rows, columns) float64 array; of the links right, left, up and down, by their end of smaller x or y
    """
    at = 0
    while at < order.size:
        source_core, set_number, weight = core[order[at]], sets.set_of[order[at]], spikes[order[at]]
        at += 1
        while at < order.size and core[order[at]] == source_core and sets.set_of[order[at]] == set_number:
            weight += spikes[order[at]]
            at += 1
        if weight != 0:
            cores = sets.label[sets.start[set_number] : sets.start[set_number + 1]]
            _add_tree(weight, source_core, x, y, cores, columns, loads)


@inner
def _add_tree(
    weight: float,
    core: int,
    x: np.ndarray,
    y: np.ndarray,
    cores: np.ndarray,
    columns: np.ndarray,
    loads: np.ndarray,
) -> None:
    """Add a weight to the links in the union of the routes from a core to others: along x first, then along y.

    All routes share the row of the core and leave it in the columns of the others. The union is the row from the
    leftmost to the rightmost column, and each column from its lowest to its highest core.
    """
    low, high, used_columns = columns[0], columns[1], columns[2]
    begin, own_row = x[core], y[core]
    left = right = begin
    number = 0
    for c in cores:
        if c == core:
            continue
        column, row = x[c], y[c]
        left, right = min(left, column), max(right, column)
        if low[column] < 0:
            low[column] = high[column] = own_row
            used_columns[number] = column
            number += 1
        low[column], high[column] = min(low[column], row), max(high[column], row)
    for link in range(begin, right):
        loads[0, own_row, link] += weight
    for link in range(left, begin):
        loads[1, own_row, link] += weight
    for i in range(number):
        column = used_columns[i]
        for link in range(own_row, high[column]):
            loads[2, link, column] += weight
        for link in range(low[column], own_row):
            loads[3, link, column] += weight
        low[column] = -1


def write_links(path: Path, sums: TrafficSums, place: np.ndarray) -> None:
    """Write a CSV with a row for each link that carries spikes, between the routers at `place`, by x and y.

    Columns: router where the link begins, and where it ends; spikes per sample, unicast and multicast.
    """
    ends, first = [], place.min(axis=0)
    unicast, multicast = used_link_loads(sums.matrix, place).all, multicast_loads(sums, place)
    for loads, step, forth in zip(multicast, ((1, 0), (1, 0), (0, 1), (0, 1)), (True, False, True, False)):
        smaller = np.indices(loads.shape)[::-1].reshape(2, -1).T + first
        ends.append(np.hstack([smaller, smaller + step] if forth else [smaller + step, smaller]))
    links, crossed = np.concatenate(ends), multicast.all
    order = np.lexsort(links.T[::-1])
    order = order[crossed[order] > 0]
    rows = zip(links[order].tolist(), unicast[order].tolist(), crossed[order].tolist())
    lines = (
        f"{x},{y},{to_x},{to_y},{unicast_load!r},{multicast_load!r}"
        for (x, y, to_x, to_y), unicast_load, multicast_load in rows
    )
    path.write_text("\n".join(["x,y,to_x,to_y,unicast,multicast", *lines]) + "\n", encoding="utf-8")
