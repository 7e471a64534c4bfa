"""Loads of the links of a mesh: spikes over each link in each direction.

With unicast routing, a spike is sent to each core reached; with multicast routing, it
crosses each link in the union of these routes once. `routes.py` defines the routes.
"""

from pathlib import Path
from typing import Iterator, NamedTuple, Tuple

import numpy as np

from snnb.chips.hardware import Hardware
from snnb.core.compiled import compiled, inner
from snnb.core.machine import require_memory
from snnb.mapping.routes import (
    Area,
    Routes,
    entry_ports,
    find_routes,
    port_routers,
)
from snnb.mapping.traffic import TargetSets, TrafficSums, join_senders, nodes_of

ROUTER_BYTES = 500  # of a router in the loads of links and in figures
Link = Tuple[Tuple[int, int], Tuple[int, int]]  # x and y of the routers at its ends


class LinkLoads(NamedTuple):
    """Spikes over each link of an area of routers in each direction."""

    # (height, width - 1) float64: over the links along x, towards larger and towards
    # smaller x
    right: np.ndarray
    left: np.ndarray
    # (height - 1, width) float64: over the links along y, towards larger and towards
    # smaller y
    up: np.ndarray
    down: np.ndarray

    @property
    def all(self) -> np.ndarray:
        """Loads of all links: float64, flat, in the order of `list_links`."""
        return np.concatenate([load.ravel() for load in self])


def list_links(area: Area) -> np.ndarray:
    """Return the routers at the ends of the links: int64, shape (links, 4).

    The columns are x and y of the begin, and x and y of the end; the order is that of
    `LinkLoads.all`.
    """
    corner = np.array([area.x, area.y])
    parts = []
    for direction in (np.array([1, 0]), np.array([0, 1])):
        width, height = np.array([area.width, area.height]) - direction
        row, column = np.indices((height, width)).reshape(2, -1)
        smaller = np.stack([column, row], axis=1) + corner
        larger = smaller + direction
        parts += [np.hstack([smaller, larger]), np.hstack([larger, smaller])]
    return np.concatenate(parts)


def busiest_link(loads: LinkLoads, area: Area) -> Link:
    """Return the link with the largest load; of equal ones the first by x and y."""
    busiest = np.flatnonzero(loads.all == loads.all.max())
    links = list_links(area)[busiest]
    x, y, end_x, end_y = links[np.lexsort(links.T[::-1])[0]].tolist()
    return (x, y), (end_x, end_y)


def link_loads(
    routes: Routes,
    area: Area,
    part: slice = slice(None),
) -> LinkLoads:
    """Count spikes on links with unicast routing.

    Parameters
    ----------
    area : Area
        Routers whose links are counted; the routes do not leave it.
    part : slice
        Which of the routes are counted, by default all.
    """
    require_memory(
        ROUTER_BYTES * area.width * area.height,
        f"the loads and figures of {area.width:,} × {area.height:,} routers",
    )
    x, y = _routers_in(area, routes.begin[part]).astype(np.int64)
    end_x, end_y = _routers_in(area, routes.end[part]).astype(np.int64)
    spikes = routes.spikes[part]
    rows = (area.height, area.width)
    columns = (area.width, area.height)
    return LinkLoads(
        right=_line_loads(y, x, end_x, spikes, rows),
        left=_line_loads(y, end_x, x, spikes, rows),
        up=_line_loads(end_x, y, end_y, spikes, columns).T,
        down=_line_loads(end_x, end_y, y, spikes, columns).T,
    )


def _line_loads(
    line: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    spikes: np.ndarray,
    shape: Tuple[int, int],
) -> np.ndarray:
    """Sum up spikes on the links of lines of routers: float64 (lines, routers − 1).

    Route n goes along `line[n]` from router `begin[n]` to `end[n]`. Only routes towards
    larger numbers count: exchange the ends for the others. `shape` has the number of
    lines, which are rows or columns of an area, and the routers of a line.
    """
    lines, routers = shape
    is_forward = begin < end
    line_start = line[is_forward] * routers
    route_spikes = spikes[is_forward]
    first_link = line_start + begin[is_forward]
    end_link = line_start + end[is_forward]
    # The load rises where a route begins, and falls where it ends
    changes = np.bincount(
        np.concatenate([first_link, end_link]),
        np.concatenate([route_spikes, -route_spikes]),
        minlength=lines * routers,
    )
    loads = np.cumsum(changes.reshape(lines, routers), axis=1)[:, :-1]
    return np.maximum(loads, 0.0)  # rounding may leave a sum below 0


class _Trees(NamedTuple):
    """Trees of routes: each is the union of the routes of spikes to several cores.

    Tree n leads to the cores `label[start[set[n]]:start[set[n] + 1]]`.
    """

    spikes: np.ndarray  # (trees,) float64: that cross each link of the tree
    # (trees,) int32: the router where a tree begins, from the corner of an area
    x: np.ndarray
    y: np.ndarray
    set: np.ndarray  # (trees,) int64: the set of cores that a tree leads to
    # The sets, as in `TargetSets`: (sets + 1,) int64, and int32
    start: np.ndarray
    label: np.ndarray


class RouteLoads(NamedTuple):
    """Routes of the spikes of a mapping, and the loads of the links."""

    routes: Routes
    unicast: LinkLoads
    multicast: LinkLoads


def route_loads(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> RouteLoads:
    """Find the routes of a mapping with the cores at `place`, and count spikes on links."""
    spikes = sums.network.spikes
    routes = find_routes(sums.matrix, sums.input_spikes(spikes), hardware, place)
    return RouteLoads(
        routes,
        link_loads(routes, routes.area),
        multicast_loads(sums, spikes, hardware, place, routes.area),
    )


def multicast_loads(
    sums: TrafficSums,
    spikes: np.ndarray,
    hardware: Hardware,
    place: np.ndarray,
    area: Area,
) -> LinkLoads:
    """Count spikes on links with multicast routing.

    A link has a load if and only if it has one with unicast routing.

    Parameters
    ----------
    spikes : (nodes,) float64 array
        Spikes of each node of the graph.
    place : (cores, 2) int32 array
        x and y of each core.
    area : Area
        Routers whose links are counted; the routes do not leave it.
    """
    require_memory(
        ROUTER_BYTES * area.width * area.height,
        f"the loads and figures of {area.width:,} × {area.height:,} routers",
    )
    x, y = _routers_in(area, hardware.router_of(place))
    loads = np.zeros((4, area.height, area.width))
    for trees in _list_trees(sums, spikes, hardware, place, area):
        buffer = np.full((3, area.width), -1, np.int64)
        _add_trees(trees, x, y, buffer, loads)
    right, left, up, down = loads
    return LinkLoads(right[:, :-1], left[:, :-1], up[:-1], down[:-1])


def _routers_in(area: Area, routers: np.ndarray) -> np.ndarray:
    """Return x and y of routers from the corner of an area: int32, shape (2, routers)."""
    coordinates: np.ndarray = routers.T - [[area.x], [area.y]]
    return np.ascontiguousarray(coordinates, np.int32)


def _list_trees(
    sums: TrafficSums,
    spikes: np.ndarray,
    hardware: Hardware,
    place: np.ndarray,
    area: Area,
) -> Iterator[_Trees]:
    """Yield the trees of each source population; of an input only with ports.

    A spike of an input has a tree from each port by which it enters.
    """
    x, y = _routers_in(area, hardware.router_of(place))
    for population, source_core, sets in sums.placed_sets():
        senders = join_senders(source_core, spikes[nodes_of(population)], sets)
        yield _Trees(
            spikes=senders.spikes,
            x=x[senders.core],
            y=y[senders.core],
            set=senders.set,
            start=sets.start,
            label=sets.label,
        )
    if not hardware.input_ports:
        return
    port_x, port_y = _routers_in(area, port_routers(hardware))
    core_port = entry_ports(hardware, place)
    for population, sets in sums.input_sets():
        n_sets = sets.start.size - 1
        set_spikes = np.bincount(sets.set_of, spikes[nodes_of(population)], n_sets)
        set_number, port, start, label = _split_sets(sets, core_port)
        yield _Trees(
            spikes=set_spikes[set_number],
            x=port_x[port],
            y=port_y[port],
            set=np.arange(port.size),
            start=start,
            label=label,
        )


def _split_sets(
    sets: TargetSets,
    core_port: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split sets of cores by the ports of the cores.

    With the ports 0, 1 and 0 of three cores, the sets (0, 1, 2) and (1,) give the parts
    (0, 2), (1,) and (1,) of the sets 0, 0 and 1 and the ports 0, 1 and 1.

    Returns
    -------
    set_number, port : (parts,) int64 array
        Set and port of each part.
    start, label : (parts + 1,) int64, int32 array
        Part n has the cores `label[start[n]:start[n + 1]]`.
    """
    set_of_label = np.repeat(np.arange(sets.start.size - 1), np.diff(sets.start))
    port_of_label = core_port[sets.label]
    order = np.lexsort((port_of_label, set_of_label))
    set_number = set_of_label[order]
    port = port_of_label[order]
    is_first = np.ones(order.size, bool)
    is_first[1:] = (np.diff(set_number) != 0) | (np.diff(port) != 0)
    start = np.append(np.flatnonzero(is_first), order.size)
    return set_number[is_first], port[is_first], start, sets.label[order]


@compiled
def _add_trees(
    trees: _Trees,
    x: np.ndarray,
    y: np.ndarray,
    buffer: np.ndarray,
    loads: np.ndarray,
) -> None:
    """Add spikes to the links in the union of the routes to the cores reached.

    Parameters
    ----------
    x, y : (cores,) int32 array
        Routers of the cores, from the corner of the area.
    buffer : (3, columns) int64 array
        The lowest and highest row of a tree in each column, and the columns that it
        uses. The lowest row is −1, before and after, for no row.
    loads : (4, rows, columns) float64 array
        Of the links right, left, up and down, by their end of smaller x or y; updated.
    """
    for n in range(trees.spikes.size):
        if trees.spikes[n] != 0:
            start = trees.start[trees.set[n]]
            end = trees.start[trees.set[n] + 1]
            cores = trees.label[start:end]
            _add_tree(
                trees.spikes[n], trees.x[n], trees.y[n], x, y, cores, buffer, loads
            )


@inner
def _add_tree(
    spikes: float,
    begin_x: int,
    begin_y: int,
    x: np.ndarray,
    y: np.ndarray,
    cores: np.ndarray,
    buffer: np.ndarray,
    loads: np.ndarray,
) -> None:
    """Add spikes to the links in the union of the routes from a router to cores.

    All routes share the row of the router and leave it in the columns of the cores. The
    union is the row from the leftmost to the rightmost column, and each column from its
    lowest to its highest core.
    """
    low = buffer[0]
    high = buffer[1]
    used_columns = buffer[2]
    left = begin_x
    right = begin_x
    number = 0
    for core in cores:
        column = x[core]
        row = y[core]
        left = min(left, column)
        right = max(right, column)
        if low[column] < 0:
            low[column] = begin_y
            high[column] = begin_y
            used_columns[number] = column
            number += 1
        low[column] = min(low[column], row)
        high[column] = max(high[column], row)
    for link in range(begin_x, right):
        loads[0, begin_y, link] += spikes
    for link in range(left, begin_x):
        loads[1, begin_y, link] += spikes
    for i in range(number):
        column = used_columns[i]
        for link in range(begin_y, high[column]):
            loads[2, link, column] += spikes
        for link in range(low[column], begin_y):
            loads[3, link, column] += spikes
        low[column] = -1


def write_links(path: Path, routes: Routes, multicast: LinkLoads) -> None:
    """Write a CSV with a row for each link that carries spikes, by x and y.

    Columns: router where the link begins, and where it ends; spikes, unicast and
    multicast; with routes of an input, their part of the unicast spikes.
    """
    unicast = link_loads(routes, routes.area)
    loads_by_column = {"unicast": unicast.all, "multicast": multicast.all}
    if routes.has_ports:
        loads_by_column["input"] = link_loads(routes, routes.area, routes.of_input).all
    links = list_links(routes.area)
    by_position = np.lexsort(links.T[::-1])
    used_links = by_position[multicast.all[by_position] > 0]
    columns = [loads[used_links].tolist() for loads in loads_by_column.values()]
    lines = [",".join(["x", "y", "to_x", "to_y", *loads_by_column])]
    for ends, *spikes in zip(links[used_links].tolist(), *columns):
        lines.append(",".join([*map(str, ends), *map(repr, spikes)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
