"""Read what MODEL_graph.h5 says of populations and connections, and hold it against what the rules make of it.

Nothing is believed: the file may have been altered and sealed again. Geometry is small whatever the number of synapses,
so all of it is checked when a graph is opened; kernels, ids and counts are checked when they are first read.
"""

import math
import re
from typing import Any, Dict, List, Optional, Tuple

import h5py
import numpy as np

from snnb.errors import InputError
from snnb.synapses import fields
from snnb.synapses.fields import wrong
from snnb.synapses.parsed_model import Layer
from snnb.synapses.population import Population, Recording, require_memory
from snnb.synapses.rules import CONNECTING, POOL_WEIGHTS, Connection
from snnb.synapses.store import FORMAT, VERSION
from snnb.text import parse_json

SHA256 = re.compile("[0-9a-f]{64}")
UNITS = {False: "thresholds", True: "thresholds per time step"}
BROKEN = (InputError, KeyError, TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError, AttributeError)


def read_head(file: h5py.File) -> Tuple[Dict[str, Any], Optional[Recording]]:
    """Return the root's attributes, and what spike counts were recorded over if there are any."""
    counted = fields.has(file, "num_samples")
    attributes: Dict[str, Any] = {
        "format": fields.text(file, "format", [FORMAT]),
        "version": fields.integer(file, "version", VERSION, VERSION),
        "pool_weight": fields.text(file, "pool_weight", POOL_WEIGHTS),
        "parsed_sha256": _digest(file, "parsed_sha256"),
        "edge_unit": fields.text(file, "edge_unit", [UNITS[counted]]),
    }
    if not counted:
        return dict(sorted(attributes.items())), None
    attributes["counts_sha256"] = _digest(file, "counts_sha256")
    attributes["rate_unit"] = fields.text(file, "rate_unit", ["spikes per time step"])
    recording = Recording(
        fields.integer(file, "num_samples", 1),
        fields.integer(file, "num_timesteps", 1),
        fields.integer(file, "warm_up"),
        fields.time_step(file, "dt_ms"),
    )
    return dict(sorted({**attributes, **vars(recording)}.items())), recording


def _digest(file: h5py.File, name: str) -> str:
    value = fields.text(file, name)
    if not SHA256.fullmatch(value):
        raise wrong(file, f"the attribute {name} is no SHA-256")
    return value


def read_populations(file: h5py.File, recording: Optional[Recording]) -> Tuple[Population, ...]:
    """Return the populations, their ids following upon each other, their names unique.

    Raises
    ------
    ResourceError
        One is so large that this machine's memory cannot hold a number a neuron.
    """
    groups = _numbered(file, "populations", 0)
    if len(groups) < 2:
        raise wrong(file, "has fewer than two populations")
    populations: List[Population] = []
    first = 0
    for group in groups:
        population = Population(group, recording, first)
        require_memory(population.size, f"{file.filename}: {population.name}")
        if any(population.name == other.name for other in populations):
            raise wrong(group, f"is called {population.name}, as another population")
        populations.append(population)
        first += population.size
    return tuple(populations)


def connection_groups(file: h5py.File, populations: int) -> Dict[int, h5py.Group]:
    """Return the group of each population's connection, of all but the first, the input."""
    return dict(enumerate(_numbered(file, "connections", 1, populations), 1))


def _numbered(file: h5py.File, name: str, first: int, stop: Optional[int] = None) -> List[h5py.Group]:
    """Return the groups 0000, 0001 … inside a group."""
    parent = fields.group(file, name)
    stop = first + len(parent) if stop is None else stop
    if len(parent) != stop - first:
        raise wrong(parent, f"has {len(parent)} groups, not {stop - first}")
    return [fields.group(parent, f"{number:04d}") for number in range(first, stop)]


def read_connection(group: h5py.Group, target: Population, pool_weight: str) -> Connection:
    """Read what `store.write_connection` wrote: what the layer's rule makes of its geometry, or it is refused."""
    rule = fields.text(group, "rule", CONNECTING)
    geometry = parse_json(
        fields.text(group, "geometry", longest=fields.LONGEST_TEXT),
        f"{group.file.filename}: {group.name}: geometry",
        fields.REMEDY,
    )
    volume, output = (fields.integers(group, name, [3]) for name in ("input_volume", "output_volume"))
    (width, channels), filters = volume[1:], output[-1]
    taps = fields.integers(group, "taps", [2])
    stored = [fields.values(fields.dataset(group, name, ["<i4"], (None, 3))) for name in ("rows", "columns")]
    if output[-1] != target.shape[-1] or math.prod(output) != target.size:
        raise wrong(group, f"computes {output}, but {target.name} has the shape {target.shape}")
    shape = (width, channels) if rule in ("Dense", "Conv1D") else volume
    layer = Layer(target.name, rule, _config(group, geometry, channels, filters), (), {})
    try:
        made = CONNECTING[rule](layer, shape, pool_weight)
        same = (made.input_volume, made.output_volume) == (volume, output) and taps == made.kernel_shape[:2]
    except BROKEN as error:
        raise wrong(group, f"no {rule} has this geometry") from error
    for axis, triples in zip((made.rows, made.columns), stored):
        same = same and np.array_equal(np.stack([axis.input, axis.output, axis.tap], axis=1), triples)
    for name in ("pairing", "weighting"):
        fields.text(group, name, [getattr(made, name)])
    if not same:
        raise wrong(group, f"is not what {rule} makes of its geometry")
    return made


def read_kernel(group: h5py.Group, target: Population, connection: Connection) -> Optional[h5py.Dataset]:
    """Return the kernel, to be mapped into memory; None where there is none."""
    weighted = connection.weighting == "kernel"
    if ("kernel" in group) != weighted or target.has_bias != weighted:
        raise wrong(
            group, f"{connection.rule} has {'a kernel and biases' if weighted else 'neither kernel nor biases'}"
        )
    if not weighted:
        return None
    kernel = fields.dataset(group, "kernel", ["<f4"], connection.kernel_shape)
    if kernel.chunks is not None or kernel.id.get_offset() is None:
        raise wrong(kernel, "does not stand in the file as it is")
    return kernel


def _config(group: h5py.Group, geometry: Any, channels: int, filters: int) -> Dict[str, Any]:
    """Return the layer's configuration as far as its rule asks for it."""
    if not isinstance(geometry, dict) or not all(_is_plain(value) for value in geometry.values()):
        raise wrong(group, "the attribute geometry is no mapping of whole numbers and words")
    return {"filters": filters, "depth_multiplier": max(1, filters // channels), **geometry}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 3 and all(type(item) is int and 0 <= item <= 1 << 31 for item in value)
    return isinstance(value, str) or (type(value) is int and 0 < value <= fields.LARGEST)


def read_projections(file: h5py.File, populations: int) -> List[Tuple[int, int]]:
    """Return the numbers of source and target of all projections, by target, then source."""
    array = fields.dataset(file, "projections", ["<i8"], (None, 2))
    links = [(source, target) for source, target in fields.values(array).tolist()]
    if links != sorted(set(links), key=lambda link: link[::-1]):
        raise wrong(array, "is not sorted by target and source, or names a projection twice")
    if not all(0 <= source < target < populations for source, target in links):
        raise wrong(array, "names a population that there is not, or one that does not stand before its target")
    if {target for _, target in links} != set(range(1, populations)):
        raise wrong(array, "names no source of some population")
    return links
