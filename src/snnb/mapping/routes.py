"""Routes of spikes over the mesh: between cores, and from input ports to cores.

A route runs from router to router, along x first, then along y. With `input_ports` in
the hardware description, a spike of an input neuron is a message to each core that
holds a target of the neuron. It enters at the port with the fewest hops to this core,
of equal ones at the first listed:

    routers of a row     0    1    2    3    4
    ports                A                   B
    nearest port         A    A    A    B    B
    hops                 0    1    2    1    0
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from snnb.chips.hardware import Hardware


class Area(NamedTuple):
    """A rectangle of the mesh: its smallest x and y, width and height."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def around(cls, *positions: np.ndarray) -> "Area":
        """Return the smallest area of all positions: arrays (n, 2), not all empty."""
        points = np.concatenate(positions)
        low_x, low_y = points.min(axis=0).tolist()
        high_x, high_y = points.max(axis=0).tolist()
        return cls(low_x, low_y, high_x - low_x + 1, high_y - low_y + 1)


class NearestPorts(NamedTuple):
    """The nearest port of each router of an area, by x and y from its corner."""

    port: np.ndarray  # (width, height) int64: index in the list of ports
    hops: np.ndarray  # (width, height) int64: links between the port and the router


def nearest_ports(ports: np.ndarray, area: Area) -> NearestPorts:
    """Find the port with the fewest hops to each router of an area.

    Of equal ones it is the first. A port outside of the area is replaced by the router
    of the area that is next to it, from which the route continues: a route along x and
    y through it is as short as any.

    Parameters
    ----------
    ports : (ports, 2) int64 array
        Routers of the ports; at least one, anywhere on the mesh.
    """
    # A key, hops · len(ports) + port, orders by hops first: a link adds `len(ports)`
    corner = np.array([area.x, area.y])
    sides = np.array([area.width, area.height])
    inside = np.clip(ports - corner, 0, sides - 1)
    hops_to_area = np.abs(ports - corner - inside).sum(axis=1)
    n_ports = len(ports)
    largest_key = np.iinfo(np.int64).max // 2
    key = np.full(tuple(sides), largest_key, np.int64)
    np.minimum.at(key, tuple(inside.T), hops_to_area * n_ports + np.arange(n_ports))
    for axis in (0, 1):  # from each router to its neighbours, forth and back
        key = _sweep(key, axis, n_ports)
        key = np.flip(_sweep(np.flip(key, axis), axis, n_ports), axis)
    hops, port = np.divmod(key, n_ports)
    return NearestPorts(port, hops)


def _sweep(key: np.ndarray, axis: int, step: int) -> np.ndarray:
    """Replace each key by the least of it and of keys before it plus `step` per place.

    With a step of 2, the keys 9, 1, 8, 8 give 9, 1, 3, 5.
    """
    steps_before = step * np.arange(key.shape[axis])
    if axis == 0:
        steps_before = steps_before[:, None]
    return np.minimum.accumulate(key - steps_before, axis) + steps_before


def port_routers(hardware: Hardware) -> np.ndarray:
    """Return the routers of the input ports: int64, shape (ports, 2)."""
    positions = np.array(hardware.input_ports or (), np.int64).reshape(-1, 2)
    return hardware.router_of(positions)


def entry_ports(hardware: Hardware, place: np.ndarray) -> np.ndarray:
    """Return the port of the spikes to each core: int64, shape (cores,).

    It is an index in `Hardware.input_ports`, which are not empty. `place`, int, shape
    (cores, 2), are the positions of the cores.
    """
    routers = hardware.router_of(place)
    area = Area.around(routers)
    x, y = (routers - (area.x, area.y)).T
    return nearest_ports(port_routers(hardware), area).port[x, y]


@dataclass(frozen=True, eq=False)
class Routes:
    """Routes of a mapping: first those between cores, then those of the input."""

    spikes: np.ndarray  # (routes,) float64: spikes of each route
    begin: np.ndarray  # (routes, 2) int64: x and y of the router where it begins
    end: np.ndarray  # (routes, 2) int64: x and y of the router where it ends
    hops: np.ndarray  # (2, routes) int64: links along x and y
    # (2, routes) int64: those of the hops that lead to another chip
    borders: np.ndarray
    between_cores: int  # number of routes between cores
    area: Area  # of the routers of all cores, and of the ports in use
    has_ports: bool  # whether the input takes routes

    @property
    def of_input(self) -> slice:
        """The routes of the input."""
        return slice(self.between_cores, None)


def find_routes(
    traffic: csr_matrix,
    input_spikes: np.ndarray,
    hardware: Hardware,
    place: np.ndarray,
) -> Routes:
    """Find the routes of the spikes of a mapping.

    Parameters
    ----------
    traffic : (cores, cores) csr_matrix of float64
        Spikes from core to other core.
    input_spikes : (cores,) float64 array
        Spikes of input neurons to each core; ignored without input ports.
    place : (cores, 2) int32 array
        x and y of each core.
    """
    elements = traffic.tocoo()
    spikes = elements.data
    begin = place[elements.row]
    end = place[elements.col]
    has_ports = bool(hardware.input_ports)
    if has_ports:
        cores = np.flatnonzero(input_spikes)
        ports = np.array(hardware.input_ports, place.dtype)
        spikes = np.concatenate([spikes, input_spikes[cores]])
        begin = np.concatenate([begin, ports[entry_ports(hardware, place)[cores]]])
        end = np.concatenate([end, place[cores]])
    begin_router = hardware.router_of(begin)
    end_router = hardware.router_of(end)
    return Routes(
        spikes=spikes,
        begin=begin_router.astype(np.int64),
        end=end_router.astype(np.int64),
        hops=_distances(begin_router, end_router),
        borders=_distances(hardware.chip_of(begin), hardware.chip_of(end)),
        between_cores=elements.data.size,
        area=Area.around(hardware.router_of(place), begin_router),
        has_ports=has_ports,
    )


def _distances(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the distances along x and y of pairs of points: int64, shape (2, pairs)."""
    return np.abs(begin.astype(np.int64) - end.astype(np.int64)).T
