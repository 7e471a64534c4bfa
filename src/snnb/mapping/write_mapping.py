"""The files of a mapping: the cores of the neurons, the cores themselves, traffic, and what it costs."""

import json
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Union

import numpy as np

from snnb.mapping.limits import NO_LIMIT, Limits
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.number_lines import write_number_lines
from snnb.mapping.partition import Tried

PARTITION, CORES, COST, TRAFFIC = "partition.txt", "cores.csv", "cost.json", "traffic.npz"
CORE_COLUMNS = ("core", "x", "y", "neurons", "axons", "synapses", "spikes_in", "spikes_out")
HELD = ("neurons", "axons", "synapses")
UNITS = {
    "connectivity": "spikes between cores a sample",
    "cut": "spikes that leave their core a sample",
    "hops_unicast": "links crossed a sample, each core being sent a spike of its own",
    "hops_multicast": "links crossed a sample, a spike being copied where its routes part",
    "energy_pj": "pJ a sample",
    "latency_ns_mean": "ns, mean over the spikes between cores",
    "latency_ns_max": "ns",
    "link_load_mean": "spikes a sample over a link in one direction, mean over all links of the mesh",
    "link_load_max": "spikes a sample over a link in one direction",
    "cores": "cores with neurons",
    "reuse": "synapses / axons of a core, mean over the cores that have axons",
    "outside_spikes": "spikes a sample that cores receive from a spiking input",
    "seconds": "s that the mapping took",
}
Number = Union[int, float]


def write_mapping(directory: Path, mapped: MappedNetwork, stated: Mapping[str, object]) -> None:
    """Write all files of a mapping but its pictures and its log.

    Parameters
    ----------
    directory : Path
    mapped : MappedNetwork
    stated : mapping of str to object
        What cost.json says beside the figures: objective, seed, seconds, the graph.
    """
    from scipy.sparse import save_npz

    write_number_lines(directory / PARTITION, mapped.core)
    _write_cores(directory / CORES, mapped)
    save_npz(directory / TRAFFIC, mapped.traffic)  # numpy gives its parts a fixed time: equal bytes
    described = {**stated, **describe(mapped)}
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in described.items())
    (directory / COST).write_text(f"{{\n{lines}\n}}\n")


def figures(mapped: MappedNetwork) -> Dict[str, Number]:
    """Return the figures of a mapping that are one number each, by their names in cost.json."""
    names = [name for name in UNITS if name != "seconds"]
    numbers: Dict[str, Number] = {name: getattr(mapped.cost, name) for name in names}
    return {**numbers, "cores": int(np.count_nonzero(mapped.cost.neurons))}


def fullness(mapped: MappedNetwork, held: str) -> Dict[str, Union[Number, None]]:
    """Say how full the cores that have neurons are.

    Parameters
    ----------
    mapped : MappedNetwork
    held : {"neurons", "axons", "synapses"}

    Returns
    -------
    dict
        `mean`, `max`, `core` (the fullest), `limit` (None where there is none) and `share`, max / limit.
    """
    numbers: np.ndarray = getattr(mapped.cost, held)
    limit: int = getattr(Limits.of(mapped.hardware), held)
    most, used = int(numbers.max(initial=0)), mapped.cost.neurons > 0
    return {
        "mean": float(numbers[used].mean()) if used.any() else 0.0,
        "max": most,
        "core": int(np.argmax(numbers)),
        "limit": None if limit == NO_LIMIT else limit,
        "share": None if limit == NO_LIMIT else most / limit,
    }


def describe(mapped: MappedNetwork) -> Dict[str, object]:
    """Return everything that cost.json says of a mapping."""
    cost, hardware = mapped.cost, mapped.hardware
    return {
        "hardware": hardware.model_dump(mode="json"),
        "limits": {held: fullness(mapped, held)["limit"] for held in HELD},
        "valid": not mapped.overfull_cores.size,
        "overfull": {held: cores.tolist() for held, cores in mapped.overfull.items()},
        "method": mapped.method,
        "neurons": mapped.network.neurons,
        "first_id": mapped.network.first,
        "samples": mapped.network.samples,
        "layers": {population.name: population.size for population in mapped.network.populations},
        **figures(mapped),
        **{f"{held}_per_core": fullness(mapped, held) for held in HELD},
        "sequential": _tried(mapped.sequential),
        "tried": [_tried(one) for one in mapped.tried],
        "per_projection": [
            {"source": of.source, "target": of.target, "connectivity": of.connectivity, "cut": of.cut}
            for of in cost.projections
        ],
        "per_core": {name: getattr(cost, name).tolist() for name in CORE_COLUMNS[3:]},
        "units": UNITS,
    }


def _tried(one: Tried) -> Dict[str, object]:
    return {"method": one.method, "cores": one.cores, "connectivity": one.connectivity}


def _write_cores(path: Path, mapped: MappedNetwork) -> None:
    cost, cores = mapped.cost, len(mapped.place)
    columns: List[Sequence[Number]] = [range(cores), *mapped.place.T.tolist()]
    columns += [getattr(cost, name).tolist() for name in CORE_COLUMNS[3:]]
    with path.open("w", encoding="ascii") as file:
        file.write(",".join(CORE_COLUMNS) + "\n")
        for row in zip(*columns):
            file.write(",".join(map(repr, row)) + "\n")
