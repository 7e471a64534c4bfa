"""Hardware descriptions as architectures of SANA-FE, and the addresses of cores there.

An architecture (YAML with the key `architecture`; SLAM-Lab/SANA-FE 2.1.1,
src/yaml_arch.cpp) is a mesh of tiles of cores. A core is a pipeline of units; of
several units of a kind SANA-FE takes the first by default, and so does this module.
SANA-FE has no figures of routers and chips, and no limits of axons and memory: those
stand only in the description, which is part of a written file under a key that SANA-FE
ignores. It is read again unless the architecture was changed.
"""

import re
from math import isqrt
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Tuple, Union

from snnb.chips.hardware import LARGEST_LIMIT, Hardware, RouteFigures
from snnb.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np


KEY = "architecture"
DESCRIPTION = "description"
# Messages, as in SANA-FE's loihi.yaml; only its model `detailed` uses it
LINK_BUFFER = 16
JOULES_PER_PJ = 1e-12
SECONDS_PER_NS = 1e-9


class Unit(NamedTuple):
    """A kind of unit of a core."""

    model: Dict[str, object]
    # Events by their keys in an architecture: the keys of their figures in a
    # description
    events: Dict[str, str]


UNITS = {
    "axon_in": Unit({}, {"message_in": "axon_in"}),
    "synapse": Unit({"model": "current_based"}, {"process_spike": "synapse"}),
    # A dendrite costs nothing
    "dendrite": Unit({"model": "accumulator_with_delay"}, {"update": ""}),
    "soma": Unit(
        {"model": "truenorth"},
        {
            "access_neuron": "neuron_inactive",
            "update_neuron": "update",
            "spike_out": "spike",
        },
    ),
    "axon_out": Unit({}, {"message_out": "axon_out"}),
}
HOPS = {
    "east_hop": "link_x",
    "west_hop": "link_x",
    "north_hop": "link_y",
    "south_hop": "link_y",
}
Section = Mapping[str, Any]  # of the YAML file


def address_of(
    place: "np.ndarray",
    mesh: Tuple[int, int],
    sides: Tuple[int, int],
) -> "Tuple[np.ndarray, np.ndarray]":
    """Return the tile of cores in an architecture, and the number of each in its tile.

    Parameters
    ----------
    place : (cores, 2) int array
        x and y of each core.
    mesh, sides : (int, int)
        Cores along x and y of the mesh, and of a tile.
    """
    tile_place = place // sides
    core_place = place % sides
    tiles_along_y = mesh[1] // sides[1]
    tile = tile_place[:, 0] * tiles_along_y + tile_place[:, 1]
    core = core_place[:, 0] * sides[1] + core_place[:, 1]
    return tile, core


def place_of(
    address: "np.ndarray",
    mesh: Tuple[int, int],
    sides: Tuple[int, int],
) -> "np.ndarray":
    """Return x and y of cores: the inverse of `address_of`.

    `address` (int, shape (cores, 2)) is the tile of each core, and its number there;
    the result has the same shape.
    """
    import numpy as np

    tiles_along_y = mesh[1] // sides[1]
    tile_place = np.stack(np.divmod(address[:, 0], tiles_along_y), 1)
    core_place = np.stack(np.divmod(address[:, 1], sides[1]), 1)
    return tile_place * sides + core_place


def architecture_file(hardware: Hardware) -> Dict[str, Section]:
    """Return the content of an architecture file; absent figures are 0."""
    width, height = hardware.routers
    tiles = width * height
    energies = _event_figures(hardware.energy_pj)
    times = _event_figures(hardware.latency)
    core: Dict[str, object] = {
        "name": f"core[0..{hardware.mesh[0] * hardware.mesh[1] // tiles - 1}]",
        "attributes": {
            "buffer_position": "dendrite",
            "buffer_inside_unit": True,
            "max_neurons_supported": hardware.neurons_per_core,
        },
    }
    for name, unit in UNITS.items():
        costs = _costs(unit.events, energies, times)
        core[name] = [{"name": name, "attributes": {**unit.model, **costs}}]
    tile = {
        "name": f"tile[0..{tiles - 1}]",
        "attributes": _costs(HOPS, energies, times),
        "core": [core],
    }
    architecture = {
        "name": hardware.name,
        "attributes": {
            "topology": "mesh",
            "width": width,
            "height": height,
            "link_buffer_size": LINK_BUFFER,
            **_barrier(hardware),
        },
        "tile": [tile],
    }
    return {KEY: architecture, DESCRIPTION: hardware.model_dump()}


def _barrier(hardware: Hardware) -> Dict[str, object]:
    """Return the keys of the end of a time step."""
    barrier = hardware.time_ns.barrier if hardware.time_ns is not None else None
    if not isinstance(barrier, dict):
        latency = _round_digits((barrier or 0.0) * SECONDS_PER_NS)
        return {"sync_model": "fixed", "latency_sync": latency}
    latencies: Dict[int, float] = {}
    for tiles, ns in barrier.items():
        latencies[tiles] = _round_digits(ns * SECONDS_PER_NS)
    return {"sync_model": "table", "latency_sync": latencies}


# Keys of `time_ns` that are no times of an event of a core or a route
WITHOUT_EVENT = ("barrier", "link_spike", "routing")


def _event_figures(events: RouteFigures) -> Dict[str, float]:
    """Return the energies or times of all events that have one.

    `update` is the additional figure of an active neuron.
    """
    figures: Dict[str, float] = {}
    for key, value in events:
        if key not in WITHOUT_EVENT and value is not None:
            figures[key] = value
    link = figures.get("link", 0.0)
    active = figures.get("neuron_active", 0.0)
    inactive = figures.get("neuron_inactive", 0.0)
    return {"link_x": link, "link_y": link, **figures, "update": active - inactive}


def _costs(
    events: Mapping[str, str],
    energies: Mapping[str, float],
    times: Mapping[str, float],
) -> Dict[str, float]:
    """Return energy (J) and latency (s) of events by the keys of SANA-FE.

    `energies` (pJ) and `times` (ns) have the keys of a description.
    """
    costs: Dict[str, float] = {}
    for event, key in events.items():
        costs[f"energy_{event}"] = _round_digits(energies.get(key, 0.0) * JOULES_PER_PJ)
    for event, key in events.items():
        costs[f"latency_{event}"] = _round_digits(times.get(key, 0.0) * SECONDS_PER_NS)
    return costs


def _round_digits(figure: float) -> float:
    """Round to 12 digits."""
    return float(f"{figure:.12g}")


MAX_CORES = 2**30  # of a description


def read_architecture(data: Section, file: str) -> Dict[str, object]:
    """Return the keys of a hardware description (`Hardware`) of an architecture.

    Raise `InputError` if the architecture lacks some, or cannot be described.

    Parameters
    ----------
    data : mapping
        Content of the YAML file.
    file : str
        The file, for messages and as the source of the figures.
    """
    try:
        architecture = data[KEY]
        description = data.get(DESCRIPTION)
        if description is not None:
            hardware = Hardware.model_validate(description)
            if architecture_file(hardware)[KEY] == architecture:
                return dict(description)
        return _describe(architecture, f"{file}, an architecture of SANA-FE")
    except KeyError as error:
        fault = f"as an architecture of SANA-FE it lacks {error}"
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        fault = f"not an architecture of SANA-FE that a description can state: {error}"
    raise InputError(f"{file}: {fault}")


def _describe(architecture: Section, source: str) -> Dict[str, object]:
    """Return the keys of the description of an architecture."""
    tile, tiles = _only_entry(architecture["tile"])
    core, cores = _only_entry(tile["core"])
    attributes = architecture["attributes"]
    units = {name: _first_entry(core[name])["attributes"] for name in UNITS}
    tile_width, tile_height = _tile_size(cores)
    # Columns and rows of tiles; tile n is at x = n // height
    columns = -(-tiles // max(attributes["height"], 1))
    rows = int(attributes["height"])
    if columns > attributes["width"] or columns * rows != tiles:
        raise ValueError(
            f"{tiles} tiles do not fill columns of a mesh of {attributes['width']} × "
            f"{attributes['height']}"
        )
    position = core["attributes"]["buffer_position"]
    energies = _Costs("energy", 1e12, tile["attributes"], units)
    latencies = _Costs("latency", 1e9, tile["attributes"], units)
    energy_pj = energies.describe(position)
    time_ns: Dict[str, object] = {**latencies.describe(position)}
    time_ns["barrier"] = _barrier_ns(attributes.get("latency_sync", 0.0))
    return {
        "name": re.sub(r"[^A-Za-z0-9_.-]", "_", str(architecture["name"]))[:60],
        "mesh": [columns * tile_width, rows * tile_height],
        "tile": [tile_width, tile_height],
        "neurons_per_core": core["attributes"]["max_neurons_supported"],
        "axons_per_core": LARGEST_LIMIT,  # there is no limit
        "energy_pj": energy_pj,
        "time_ns": time_ns,
        "source": source,
        "sources": dict.fromkeys(("tile", "energy_pj", "time_ns"), source),
    }


def _tile_size(cores: int) -> Tuple[int, int]:
    """Return width and height of a tile, as close to a square as its cores allow."""
    height = isqrt(cores)
    while cores % height:
        height -= 1
    return cores // height, height


def _barrier_ns(
    sync: Union[float, List[float], Dict[int, float]],
) -> Union[float, Dict[int, float]]:
    """Return the latency of the barrier in ns, one or by number of tiles in use.

    `sync` is `latency_sync` in s, which may be a list, a mapping or a number.
    """
    if isinstance(sync, list):
        sync = dict(enumerate(sync))
    if not isinstance(sync, dict):
        return _round_digits(float(sync) * 1e9)
    barrier: Dict[int, float] = {}
    for tiles_in_use, seconds in sync.items():
        barrier[int(tiles_in_use)] = _round_digits(float(seconds) * 1e9)
    return barrier


def _first_entry(section: Any) -> Section:
    return section[0] if isinstance(section, list) else section


def _only_entry(section: Any) -> Tuple[Section, int]:
    """Return the one entry of a section, and how many tiles or cores it stands for.

    For the name `tile[0..31]` these are 32.
    """
    if isinstance(section, list) and len(section) != 1:
        raise ValueError(f"{len(section)} kinds of tiles or cores; all must be equal")
    entry = _first_entry(section)
    bounds = re.search(r"\[(\d+)\.\.(\d+)\]", entry["name"])
    number = 1
    if bounds is not None:
        number = int(bounds.group(2)) - int(bounds.group(1)) + 1
    if not 1 <= number <= MAX_CORES:
        name = entry["name"][:60]
        raise ValueError(
            f"{name} stands for no tile or core, or for more than {MAX_CORES:,}"
        )
    return entry, number


class _Costs(NamedTuple):
    """Energies or latencies in an architecture."""

    prefix: str  # of their keys
    scale: float  # from J to pJ, or from s to ns
    tile: Section
    units: Mapping[str, Section]

    def figure(self, section: Section, event: str) -> float:
        """Return the energy or time of an event."""
        return _round_digits(float(section[f"{self.prefix}_{event}"]) * self.scale)

    def unit_figure(self, unit: str, event: str) -> float:
        """Return the energy or time of an event of a unit."""
        return self.figure(self.units[unit], event)

    def describe(self, position: str) -> Dict[str, float]:
        """Return the figures of the events in a description (`EventFigures`).

        `position` is the one of the buffer in the pipeline. A dendrite in front of it
        is updated by each spike at a synapse, a dendrite behind it with the neuron.
        """
        for direction, opposite in (("east", "west"), ("north", "south")):
            hop = self.figure(self.tile, f"{direction}_hop")
            if hop != self.figure(self.tile, f"{opposite}_hop"):
                keys = (
                    f"{self.prefix}_{direction}_hop",
                    f"{self.prefix}_{opposite}_hop",
                )
                raise ValueError(f"{' and '.join(keys)} differ")
        if position not in ("soma", "dendrite"):
            raise ValueError(f"buffer_position {position}; it must be soma or dendrite")
        synapse = self.unit_figure("synapse", "process_spike")
        access = self.unit_figure("soma", "access_neuron")
        dendrite = self.unit_figure("dendrite", "update")
        if position == "soma":
            synapse += dendrite
        else:
            access += dendrite
        update = self.unit_figure("soma", "update_neuron")
        return {
            "router": 0.0,
            "link_x": self.figure(self.tile, "east_hop"),
            "link_y": self.figure(self.tile, "north_hop"),
            "synapse": synapse,
            "neuron_inactive": access,
            "neuron_active": _round_digits(access + update),
            "spike": self.unit_figure("soma", "spike_out"),
            "axon_out": self.unit_figure("axon_out", "message_out"),
            "axon_in": self.unit_figure("axon_in", "message_in"),
        }
