"""Reads an architecture of SANA-FE as a hardware description.

An architecture (YAML with the key `architecture`; SLAM-Lab/SANA-FE 2.1.1, src/yaml_arch.cpp) is a mesh of tiles of
cores. A core is a pipeline of units; of several units of a kind SANA-FE takes the first by default, and so does this.
A file of `architecture_file` states the description too, which is taken unless somebody changed the architecture.
"""

import re
from math import isqrt
from typing import Any, Dict, Mapping, Tuple

from snnb.core.errors import InputError
from snnb.mapping.architecture_file import DESCRIPTION, KEY, architecture_file

NO_LIMIT = 2**53  # SANA-FE does not limit axons
SECTIONS = ("axon_in", "synapse", "dendrite", "soma", "axon_out")
Node = Mapping[str, Any]


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
        if written is not None and architecture_file(written)[KEY] == architecture:
            return dict(written)
        tile, tiles = _only(architecture["tile"])
        core, cores = _only(tile["core"])
        noc, units = architecture["attributes"], {name: _first(core[name])["attributes"] for name in SECTIONS}
        across = isqrt(cores)
        while cores % across:
            across -= 1
        shape = cores // across, across
        columns, rows = -(-tiles // noc["height"]), int(noc["height"])  # tile n is at x = n // height
        if columns > noc["width"] or columns * rows != tiles:
            raise ValueError(f"{tiles} tiles do not fill columns of a mesh of {noc['width']} × {noc['height']}")
        position = core["attributes"]["buffer_position"]
        energies = _figures(tile["attributes"], units, position, ("energy", 1e12))
        times: Dict[str, object] = {**_figures(tile["attributes"], units, position, ("latency", 1e9))}
        times["barrier"] = _barrier(noc.get("latency_sync", 0.0))
        source = f"{where}, an architecture of SANA-FE"
        return {
            "name": re.sub(r"[^A-Za-z0-9_.-]", "_", str(architecture["name"]))[:60],
            "mesh": [columns * shape[0], rows * shape[1]],
            "tile": list(shape),
            "neurons_per_core": core["attributes"]["max_neurons_supported"],
            "axons_per_core": NO_LIMIT,
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
    return entry, int(named.group(2)) - int(named.group(1)) + 1 if named else 1


def _figures(tile: Node, units: Mapping[str, Node], position: str, cost: Tuple[str, float]) -> Dict[str, float]:
    """Return the energies or times of the events (`EventFigures`); `cost` is the prefix of the keys, and the unit."""
    prefix, unit = cost

    def figure(node: Node, name: str) -> float:
        return float(f"{float(node[f'{prefix}_{name}']) * unit:.12g}")

    for one, other in (("east", "west"), ("north", "south")):
        if figure(tile, f"{one}_hop") != figure(tile, f"{other}_hop"):
            raise ValueError(f"{prefix}_{one}_hop and {prefix}_{other}_hop differ")
    if position not in ("soma", "dendrite"):
        raise ValueError(f"buffer_position {position}; it must be soma or dendrite")
    synapse, access = figure(units["synapse"], "process_spike"), figure(units["soma"], "access_neuron")
    dendrite = figure(units["dendrite"], "update")
    # A dendrite before the buffer is updated by each spike at a synapse, one behind it with the neuron.
    synapse, access = (synapse + dendrite, access) if position == "soma" else (synapse, access + dendrite)
    return {
        "router": 0.0,
        "link_x": figure(tile, "east_hop"),
        "link_y": figure(tile, "north_hop"),
        "synapse": synapse,
        "neuron_inactive": access,
        "neuron_active": float(f"{access + figure(units['soma'], 'update_neuron'):.12g}"),
        "spike": figure(units["soma"], "spike_out"),
        "axon_out": figure(units["axon_out"], "message_out"),
        "axon_in": figure(units["axon_in"], "message_in"),
    }


def _barrier(sync: Any) -> object:
    """Return the time of the end of a step in ns, or a table of it by tiles in use."""
    if isinstance(sync, list):
        sync = dict(enumerate(sync))
    if isinstance(sync, dict):
        return {int(tiles): float(f"{float(time) * 1e9:.12g}") for tiles, time in sync.items()}
    return float(f"{float(sync) * 1e9:.12g}")
