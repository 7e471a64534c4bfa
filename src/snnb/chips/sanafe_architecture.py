"""Hardware descriptions as architectures of SANA-FE: written, read, and the addresses of cores there.

An architecture (YAML with the key `architecture`; SLAM-Lab/SANA-FE 2.1.1, src/yaml_arch.cpp) is a mesh of tiles of
cores. A core is a pipeline of units; of several units of a kind SANA-FE takes the first by default, and so does this.
SANA-FE has no figures of routers and chips, and no limits of axons and memory: those stand only in the description,
which is part of a written file under a key that SANA-FE ignores. It is read again unless the architecture was changed.
"""

import re
from math import isqrt
from typing import TYPE_CHECKING, Any, Dict, Mapping, Tuple

from snnb.chips.hardware import LARGEST_LIMIT, Hardware, RouteFigures, TimesNs
from snnb.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np


KEY, DESCRIPTION = "architecture", "description"
LINK_BUFFER = 16  # messages, as in SANA-FE's loihi.yaml; only its model `detailed` uses it
# Units of a core: their model, and the events of each with their figures in a description; a dendrite costs nothing
UNITS: Dict[str, Tuple[Dict[str, object], Dict[str, str]]] = {
    "axon_in": ({}, {"message_in": "axon_in"}),
    "synapse": ({"model": "current_based"}, {"process_spike": "synapse"}),
    "dendrite": ({"model": "accumulator_with_delay"}, {"update": ""}),
    "soma": (
        {"model": "truenorth"},
        {"access_neuron": "neuron_inactive", "update_neuron": "update", "spike_out": "spike"},
    ),
    "axon_out": ({}, {"message_out": "axon_out"}),
}
HOPS = {"east_hop": "link_x", "west_hop": "link_x", "north_hop": "link_y", "south_hop": "link_y"}
Node = Mapping[str, Any]


def address_of(place: "np.ndarray", mesh: Tuple[int, int], sides: Tuple[int, int]) -> "Tuple[np.ndarray, np.ndarray]":
    """Return the tile of cores in an architecture, and the number of each core in its tile.

    Parameters
    ----------
    place : (cores, 2) int array; x and y
    mesh, sides : cores along x and y of the mesh and of a tile
    """
    tile, core = place // sides, place % sides
    return tile[:, 0] * (mesh[1] // sides[1]) + tile[:, 1], core[:, 0] * sides[1] + core[:, 1]


def place_of(address: "np.ndarray", mesh: Tuple[int, int], sides: Tuple[int, int]) -> "np.ndarray":
    """Return x and y of cores, given tile and core in it; both (cores, 2). The inverse of `address_of`."""
    import numpy as np

    height = mesh[1] // sides[1]
    return np.stack(np.divmod(address[:, 0], height), 1) * sides + np.stack(np.divmod(address[:, 1], sides[1]), 1)


def architecture_file(hardware: Hardware) -> Dict[str, Node]:
    """Return the content of an architecture file; absent figures are 0."""
    width, height = hardware.routers
    time = hardware.latency
    figures = {"energy": (_figures_of_events(hardware.energy_pj), 1e-12), "latency": (_figures_of_events(time), 1e-9)}
    barrier = (time.barrier if isinstance(time, TimesNs) else None) or 0.0
    noc = {"topology": "mesh", "width": width, "height": height, "link_buffer_size": LINK_BUFFER}
    if isinstance(barrier, dict):
        noc.update(sync_model="table", latency_sync={tiles: _scaled(ns, 1e-9) for tiles, ns in barrier.items()})
    else:
        noc.update(sync_model="fixed", latency_sync=_scaled(barrier, 1e-9))
    core: Dict[str, object] = {
        "name": f"core[0..{hardware.cores // (width * height) - 1}]",
        "attributes": {
            "buffer_position": "dendrite",
            "buffer_inside_unit": True,
            "max_neurons_supported": hardware.neurons_per_core,
        },
    }
    for name, (model, events) in UNITS.items():
        core[name] = [{"name": name, "attributes": {**model, **_costs(events, figures)}}]
    tile = {"name": f"tile[0..{width * height - 1}]", "attributes": _costs(HOPS, figures), "core": [core]}
    architecture = {"name": hardware.name, "attributes": noc, "tile": [tile]}
    return {KEY: architecture, DESCRIPTION: hardware.model_dump()}


def _figures_of_events(events: RouteFigures) -> Dict[str, float]:
    """Return the energies or times of all events; `update` is the additional figure of an active neuron."""
    figures = {key: value for key, value in events if key != "barrier" and value is not None}
    link = figures.get("link", 0.0)
    update = figures.get("neuron_active", 0.0) - figures.get("neuron_inactive", 0.0)
    return {"link_x": link, "link_y": link, **figures, "update": update}


def _costs(events: Mapping[str, str], figures: Mapping[str, Tuple[Dict[str, float], float]]) -> Dict[str, float]:
    """Return energy (J) and latency (s) of events by the keys of SANA-FE."""
    return {
        f"{cost}_{event}": _scaled(of_events.get(key, 0.0), unit)
        for cost, (of_events, unit) in figures.items()
        for event, key in events.items()
    }


def _scaled(figure: float, unit: float) -> float:
    return float(f"{figure * unit:.12g}")


MOST = 2**30  # cores of a description


def described(data: Node, where: str) -> Dict[str, object]:
    """Return the keys of a hardware description (`Hardware`); raise `InputError` where the architecture has no such.

    Parameters
    ----------
    data : content of the YAML file
    where : str
        The file, for messages and as the source of the figures.
    """
    try:
        architecture, written = data[KEY], data.get(DESCRIPTION)
        if written is not None and architecture_file(Hardware.model_validate(written))[KEY] == architecture:
            return dict(written)
        tile, tiles = _only(architecture["tile"])
        core, cores = _only(tile["core"])
        noc, units = architecture["attributes"], {name: _first(core[name])["attributes"] for name in UNITS}
        across = isqrt(cores)
        while cores % across:
            across -= 1
        shape = cores // across, across
        columns, rows = -(-tiles // max(noc["height"], 1)), int(noc["height"])  # tile n is at x = n // height
        if columns > noc["width"] or columns * rows != tiles:
            raise ValueError(f"{tiles} tiles do not fill columns of a mesh of {noc['width']} × {noc['height']}")
        position = core["attributes"]["buffer_position"]
        energies = _figures(tile["attributes"], units, position, ("energy", 1e12))
        times: Dict[str, object] = {**_figures(tile["attributes"], units, position, ("latency", 1e9))}
        sync = noc.get("latency_sync", 0.0)
        sync = dict(enumerate(sync)) if isinstance(sync, list) else sync
        if isinstance(sync, dict):  # by tiles in use
            times["barrier"] = {int(tiles): _scaled(float(time), 1e9) for tiles, time in sync.items()}
        else:
            times["barrier"] = _scaled(float(sync), 1e9)
        source = f"{where}, an architecture of SANA-FE"
        return {
            "name": re.sub(r"[^A-Za-z0-9_.-]", "_", str(architecture["name"]))[:60],
            "mesh": [columns * shape[0], rows * shape[1]],
            "tile": list(shape),
            "neurons_per_core": core["attributes"]["max_neurons_supported"],
            "axons_per_core": LARGEST_LIMIT,  # there is no limit
            "energy_pj": energies,
            "time_ns": times,
            "source": source,
            "sources": dict.fromkeys(("tile", "energy_pj", "time_ns"), source),
        }
    except KeyError as error:
        raise InputError(f"{where}: as an architecture of SANA-FE it lacks {error}") from None
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{where}: not an architecture of SANA-FE that a description can state: {error}") from None


def _first(section: Any) -> Node:
    return section[0] if isinstance(section, list) else section


def _only(section: Any) -> Tuple[Node, int]:
    """Return the one entry of a section and how many it stands for: 32 for the name `tile[0..31]`."""
    if isinstance(section, list) and len(section) != 1:
        raise ValueError(f"{len(section)} kinds of tiles or cores; all must be equal")
    entry = _first(section)
    named = re.search(r"\[(\d+)\.\.(\d+)\]", entry["name"])
    number = int(named.group(2)) - int(named.group(1)) + 1 if named else 1
    if not 1 <= number <= MOST:
        raise ValueError(f"{entry['name'][:60]} stands for no tile or core, or for more than {MOST:,}")
    return entry, number


def _figures(tile: Node, units: Mapping[str, Node], position: str, cost: Tuple[str, float]) -> Dict[str, float]:
    """Return the energies or times of the events (`EventFigures`); `cost` is the prefix of the keys, and the unit."""
    prefix, unit = cost

    def figure(node: Node, name: str) -> float:
        return _scaled(float(node[f"{prefix}_{name}"]), unit)

    for direction, opposite in (("east", "west"), ("north", "south")):
        if figure(tile, f"{direction}_hop") != figure(tile, f"{opposite}_hop"):
            raise ValueError(f"{prefix}_{direction}_hop and {prefix}_{opposite}_hop differ")
    if position not in ("soma", "dendrite"):
        raise ValueError(f"buffer_position {position}; it must be soma or dendrite")
    synapse, access = figure(units["synapse"], "process_spike"), figure(units["soma"], "access_neuron")
    dendrite = figure(units["dendrite"], "update")
    # A dendrite before the buffer is updated by each spike at a synapse, one after the buffer with the neuron.
    synapse, access = (synapse + dendrite, access) if position == "soma" else (synapse, access + dendrite)
    return {
        "router": 0.0,
        "link_x": figure(tile, "east_hop"),
        "link_y": figure(tile, "north_hop"),
        "synapse": synapse,
        "neuron_inactive": access,
        "neuron_active": _scaled(access + figure(units["soma"], "update_neuron"), 1),
        "spike": figure(units["soma"], "spike_out"),
        "axon_out": figure(units["axon_out"], "message_out"),
        "axon_in": figure(units["axon_in"], "message_in"),
    }
