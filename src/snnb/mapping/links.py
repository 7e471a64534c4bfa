"""Loads of the links of a mesh: spikes per sample over each link in each direction.

Routes run along x first, then along y. With unicast routing, a spike is sent to each
core reached; with multicast routing, it crosses each link in the union of these routes
once.
"""

from pathlib import Path
from typing import List, NamedTuple, Tuple

import numpy as np
from scipy.sparse import csr_matrix

from snnb.core.compiled import compiled, inner
from snnb.core.machine import require_memory
from snnb.mapping.traffic import TargetSets, TrafficSums

ROUTER_BYTES = 500  # of a router in the loads of links and in figures


class LinkLoads(NamedTuple):
    """Spikes per sample over each link of a mesh in each direction."""

    # (height, width - 1) float64: links along x, towards larger and towards smaller x
    right: np.ndarray
    left: np.ndarray
    # (height - 1, width) float64: links along y, towards larger and towards smaller y
    up: np.ndarray
    down: np.ndarray

    @property
    def all(self) -> np.ndarray:
        """Loads of all links: float64, flat."""
        return np.concatenate([load.ravel() for load in self])


def used_link_loads(traffic: csr_matrix, place: np.ndarray) -> LinkLoads:
    """Return the loads of the links in the rectangle around the routers at `place`.

    All other links of a mesh have no load. See `link_loads`.
    """
    place, mesh = _move_to_origin(place)
    return link_loads(traffic, place, mesh)


def _move_to_origin(place: np.ndarray) -> Tuple[np.ndarray, Tuple[int, int]]:
    """Return places in the rectangle around them, and its width and height."""
    low = place.min(axis=0)
    high = place.max(axis=0)
    width, height = (high - low + 1).tolist()
    return place - low, (width, height)


def link_loads(
    traffic: csr_matrix,
    place: np.ndarray,
    mesh: Tuple[int, int],
) -> LinkLoads:
    """Count spikes on links with unicast routing: each core reached is sent a spike.

    Parameters
    ----------
    traffic : (cores, cores) csr_matrix of float64
        Spikes per sample from core to core.
    place : (cores, 2) int array
        x and y of each core.
    """
    width, height = mesh
    _require_router_memory(width, height)
    routes = traffic.tocoo()
    x, y = place[routes.row].T.astype(np.int64)
    to_x, to_y = place[routes.col].T.astype(np.int64)
    right = _line_loads(y, x, to_x, routes.data, (height, width))
    left = _line_loads(y, to_x, x, routes.data, (height, width))
    up = _line_loads(to_x, y, to_y, routes.data, (width, height))
    down = _line_loads(to_x, to_y, y, routes.data, (width, height))
    return LinkLoads(right=right, left=left, up=up.T, down=down.T)


def _require_router_memory(width: int, height: int) -> None:
    """Raise `ResourceError` if the loads of a mesh of routers need too much memory."""
    require_memory(
        ROUTER_BYTES * width * height,
        f"the loads and figures of {width:,} × {height:,} routers",
    )


def _line_loads(
    line: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    spikes: np.ndarray,
    shape: Tuple[int, int],
) -> np.ndarray:
    """Add spikes to the links of lines of routers (rows, or columns of the mesh).

    Return the load of each link: float64, shape (lines, routers of a line - 1).

    Parameters
    ----------
    line : (routes,) int64 array
        Line of each route.
    begin, end : (routes,) int64 array
        Routers of the line where the route begins and ends; a route with begin >= end
        has no links.
    spikes : (routes,) float64 array
        Spikes of each route.
    shape : (int, int)
        Numbers of lines, and of routers of a line.
    """
    lines, length = shape
    has_links = begin < end
    line_start = line[has_links] * length
    route_spikes = spikes[has_links]
    begins = line_start + begin[has_links]
    ends = line_start + end[has_links]
    change = np.bincount(
        np.concatenate([begins, ends]),
        np.concatenate([route_spikes, -route_spikes]),
        minlength=lines * length,
    )
    loads = np.cumsum(change.reshape(shape), axis=1)[:, :-1]
    return np.maximum(loads, 0.0)  # rounding may leave a sum below 0


def multicast_loads(sums: TrafficSums, place: np.ndarray) -> LinkLoads:
    """Count spikes on links with multicast routing.

    The links are in the rectangle around the routers at `place`; see `link_loads`. A
    link has a load if and only if it has one with unicast routing.
    """
    place, (width, height) = _move_to_origin(place)
    _require_router_memory(width, height)
    x, y = np.ascontiguousarray(place.T, np.int32)
    loads = np.zeros((4, height, width))
    for population, source_core, sets in sums.placed_sets():
        _add_multicast(
            np.argsort(source_core, kind="stable"),
            source_core,
            sums.network.spikes_of(population),
            sets,
            x,
            y,
            np.full((3, width), -1, np.int64),
            loads,
        )
    right, left, up, down = loads
    return LinkLoads(
        right=right[:, :-1],
        left=left[:, :-1],
        up=up[:-1],
        down=down[:-1],
    )


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
    order : (sources,) int64 array
        The sources, sorted by core.
    core, spikes : (sources,) int32, float64 array
        Core and spikes of each source.
    sets : TargetSets
        The cores that the sources reach.
    x, y : (cores,) int32 array
        Router of each core.
    columns : (3, columns) int64 array
        A buffer: −1.
    loads : (4, rows, columns) float64 array
        Loads of the links right, left, up and down, by their end of smaller x or y;
        updated.
    """
    i = 0
    while i < order.size:
        source_core = core[order[i]]
        set_number = sets.set_of[order[i]]
        weight = spikes[order[i]]
        i += 1
        while i < order.size and core[order[i]] == source_core:
            if sets.set_of[order[i]] != set_number:
                break
            weight += spikes[order[i]]
            i += 1
        if weight != 0:
            begin = sets.start[set_number]
            end = sets.start[set_number + 1]
            cores = sets.label[begin:end]
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
    """Add a weight to the links in the union of the routes from a core to `cores`.

    Routes run along x first, then along y. So all routes share the row of the core and
    leave it in the columns of their targets. The union is the row from the leftmost to
    the rightmost column, and each column from its lowest to its highest core. For the
    other arguments see `_add_multicast`.
    """
    low = columns[0]  # row of the lowest core of each column; −1: not in the union
    high = columns[1]  # row of the highest core
    used_columns = columns[2]  # the columns in the union
    n_used = 0
    source_column = x[core]
    source_row = y[core]
    leftmost = source_column
    rightmost = source_column
    for target_core in cores:
        if target_core == core:
            continue
        column = x[target_core]
        row = y[target_core]
        leftmost = min(leftmost, column)
        rightmost = max(rightmost, column)
        if low[column] < 0:
            low[column] = source_row
            high[column] = source_row
            used_columns[n_used] = column
            n_used += 1
        low[column] = min(low[column], row)
        high[column] = max(high[column], row)
    for link in range(source_column, rightmost):
        loads[0, source_row, link] += weight
    for link in range(leftmost, source_column):
        loads[1, source_row, link] += weight
    for i in range(n_used):
        column = used_columns[i]
        for link in range(source_row, high[column]):
            loads[2, link, column] += weight
        for link in range(low[column], source_row):
            loads[3, link, column] += weight
        low[column] = -1


# Step along x and y of a link in each array of `LinkLoads`, and whether it leads
# towards larger x or y
DIRECTIONS = (
    ((1, 0), True),
    ((1, 0), False),
    ((0, 1), True),
    ((0, 1), False),
)


def write_links(path: Path, sums: TrafficSums, place: np.ndarray) -> None:
    """Write a CSV with a row for each link that carries spikes, by x and y.

    The links connect the routers at `place`. Columns: router where the link begins, and
    where it ends; spikes per sample, unicast and multicast.
    """
    unicast = used_link_loads(sums.matrix, place).all
    multicast = multicast_loads(sums, place)
    origin = place.min(axis=0)
    # (links, 4): x and y where a link begins, and where it ends
    links: List[np.ndarray] = []
    for loads, (step, is_forward) in zip(multicast, DIRECTIONS):
        near_end = np.indices(loads.shape)[::-1].reshape(2, -1).T + origin
        far_end = near_end + step
        ends = [near_end, far_end] if is_forward else [far_end, near_end]
        links.append(np.hstack(ends))
    link = np.concatenate(links)
    multicast_load = multicast.all
    order = np.lexsort(link.T[::-1])
    order = order[multicast_load[order] > 0]
    lines = ["x,y,to_x,to_y,unicast,multicast"]
    for row in zip(
        link[order].tolist(),
        unicast[order].tolist(),
        multicast_load[order].tolist(),
    ):
        (x, y, to_x, to_y), unicast_spikes, multicast_spikes = row
        lines.append(f"{x},{y},{to_x},{to_y},{unicast_spikes!r},{multicast_spikes!r}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
