"""Writes a hardware description as an architecture of SANA-FE, and addresses its cores there.

SANA-FE (SLAM-Lab/SANA-FE 2.1.1) has no figures of routers and chips, and no limits of axons and memory: those stand
only in the description, which is part of the file under a key that SANA-FE ignores.
"""

from typing import TYPE_CHECKING, Any, Dict, Mapping, Tuple

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


def architecture_file(description: Node) -> Dict[str, Node]:
    """Return the content of an architecture file from the keys of a description (`Hardware`); absent figures are 0."""
    mesh, sides = description["mesh"], description.get("tile") or (1, 1)
    width, height = mesh[0] // sides[0], mesh[1] // sides[1]
    energy, time = description["energy_pj"], description.get("time_ns") or description["latency_ns"]
    figures = {"energy": (_figures(energy), 1e-12), "latency": (_figures(time), 1e-9)}
    barrier = time.get("barrier") or 0.0
    noc = {"topology": "mesh", "width": width, "height": height, "link_buffer_size": LINK_BUFFER}
    if isinstance(barrier, dict):
        noc.update(sync_model="table", latency_sync={tiles: _scaled(ns, 1e-9) for tiles, ns in barrier.items()})
    else:
        noc.update(sync_model="fixed", latency_sync=_scaled(barrier, 1e-9))
    core: Dict[str, object] = {
        "name": f"core[0..{sides[0] * sides[1] - 1}]",
        "attributes": {
            "buffer_position": "dendrite",
            "buffer_inside_unit": True,
            "max_neurons_supported": description["neurons_per_core"],
        },
    }
    for name, (model, events) in UNITS.items():
        core[name] = [{"name": name, "attributes": {**model, **_costs(events, figures)}}]
    tile = {"name": f"tile[0..{width * height - 1}]", "attributes": _costs(HOPS, figures), "core": [core]}
    architecture = {"name": description["name"], "attributes": noc, "tile": [tile]}
    return {KEY: architecture, DESCRIPTION: dict(description)}


def _figures(stated: Node) -> Dict[str, float]:
    """Return the energies or times of all events; a neuron's `update` is what an active one takes more."""
    found = {key: value or 0.0 for key, value in stated.items() if key != "barrier"}
    link = found.get("link", 0.0)
    update = found.get("neuron_active", 0.0) - found.get("neuron_inactive", 0.0)
    return {"link_x": link, "link_y": link, **found, "update": update}


def _costs(events: Mapping[str, str], figures: Mapping[str, Tuple[Dict[str, float], float]]) -> Dict[str, float]:
    """Return energy (J) and latency (s) of events by the keys of SANA-FE."""
    return {
        f"{cost}_{event}": _scaled(of.get(key, 0.0), unit)
        for cost, (of, unit) in figures.items()
        for event, key in events.items()
    }


def _scaled(figure: float, unit: float) -> float:
    return float(f"{figure * unit:.12g}")
