"""Read what MODEL_graph.h5 says of populations and connections, and hold it against what the rules make of it.

Nothing is believed: the file may have been altered and sealed again. Geometry is small whatever the number of synapses,
so all of it is checked when a graph is opened; kernels, ids and counts are checked when they are first read.
"""

import math
import re
from typing import Any, Dict, List, Optional, Tuple

import h5py
import numpy as np

from snnb.core.errors import InputError
from snnb.core.memory import require_memory
from snnb.graph import fields
from snnb.graph.fields import wrong
from snnb.graph.populations import POOL_WEIGHTS, GraphPopulation, Recording
from snnb.graph.store import FORMAT, VERSION, VERSION_WITH_SUMS, connection_name, weighting
from snnb.io.text import parse_json
from snnb.network.geometry import Geometry
from snnb.network.layers import KINDS, Layer, configured

SHA256 = re.compile("[0-9a-f]{64}")
UNITS = {False: "thresholds", True: "thresholds per time step"}
BROKEN = (InputError, KeyError, TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError, AttributeError)


def read_head(file: h5py.File) -> Tuple[Dict[str, object], Optional[Recording]]:
    """Return the root's attributes, and what spike counts were recorded over if there are any."""
    counted = fields.has(file, "num_samples")
    attributes: Dict[str, object] = {
        "format": fields.text(file, "format", [FORMAT]),
        "version": fields.integer(file, "version", VERSION, VERSION_WITH_SUMS),
        "pool_weight": fields.text(file, "pool_weight", POOL_WEIGHTS),
        "parsed_sha256": _digest(file, "parsed_sha256"),
        "edge_unit": fields.text(file, "edge_unit", [UNITS[counted]]),
    }
    if not counted:
        return dict(sorted(attributes.items())), None
    attributes["counts_sha256"] = _digest(file, "counts_sha256")
    attributes["rate_unit"] = fields.text(file, "rate_unit", ["spikes per time step"])
    if fields.has(file, "class_number"):
        attributes["class_number"] = fields.integer(file, "class_number")
        attributes["class_name"] = fields.text(file, "class_name")
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


def read_populations(file: h5py.File, recording: Optional[Recording]) -> Tuple[GraphPopulation, ...]:
    """Return the populations, their ids following upon each other, their names unique.

    Raises
    ------
    ResourceError
        One is so large that this machine's memory cannot hold a number a neuron.
    """
    groups = _numbered(file, "populations")
    if len(groups) < 2:
        raise wrong(file, "has fewer than two populations")
    populations: List[GraphPopulation] = []
    first = 0
    for group in groups:
        population = GraphPopulation(group, recording, first)
        require_memory(population.size, f"{file.filename}: {population.name}")
        if any(population.name == other.name for other in populations):
            raise wrong(group, f"is called {population.name}, as another population")
        populations.append(population)
        first += population.size
    return tuple(populations)


def connection_groups(file: h5py.File, populations: int) -> Dict[int, List[h5py.Group]]:
    """Return the groups of each population's connections, of all but the first, the input."""
    parent = fields.group(file, "connections")
    found: Dict[int, List[h5py.Group]] = {}
    for number in range(1, populations):
        groups = [fields.group(file, connection_name(number, 0))]
        while connection_name(number, len(groups)) in file:
            groups.append(fields.group(file, connection_name(number, len(groups))))
        found[number] = groups
    total = sum(len(groups) for groups in found.values())
    if len(parent) != total:
        raise wrong(parent, f"has {len(parent)} groups, not {total}")
    if (total > populations - 1) != (fields.integer(file, "version") == VERSION_WITH_SUMS):
        raise wrong(parent, "has sums in a file of a version without them, or none in one with them")
    return found


def _numbered(file: h5py.File, name: str) -> List[h5py.Group]:
    """Return the groups 0000, 0001 … inside a group."""
    parent = fields.group(file, name)
    return [fields.group(parent, f"{number:04d}") for number in range(len(parent))]


def read_geometry(group: h5py.Group, target: GraphPopulation, pool_weight: str) -> Tuple[Layer, Geometry]:
    """Read what `store.write_geometry` wrote; refuse it unless it is what the layer makes of its configuration."""
    rule = fields.text(group, "rule", KINDS)
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
    try:
        layer: Layer = configured(KINDS[rule], _config(group, geometry, channels, filters), target.name)
        made = layer.geometry(shape)
        same = (made.input_volume, made.output_volume) == (volume, output) and taps == made.kernel_shape[:2]
    except BROKEN as error:
        raise wrong(group, f"no {rule} has this geometry") from error
    for axis, triples in zip((made.rows, made.columns), stored):
        same = same and np.array_equal(np.stack([axis.input, axis.output, axis.tap], axis=1), triples)
    fields.text(group, "pairing", [made.pairing])
    fields.text(group, "weighting", [weighting(layer, pool_weight)])
    if not same:
        raise wrong(group, f"is not what {rule} makes of its geometry")
    return layer, made


def read_kernel(group: h5py.Group, target: GraphPopulation, layer: Layer, geometry: Geometry) -> Optional[h5py.Dataset]:
    """Return the kernel, to be mapped into memory; None where there is none."""
    weighted = layer.KERNEL is not None
    if ("kernel" in group) != weighted or target.has_bias != weighted:
        raise wrong(group, f"{layer.kind} has {'a kernel and biases' if weighted else 'neither kernel nor biases'}")
    if not weighted:
        return None
    kernel = fields.dataset(group, "kernel", ["<f4"], geometry.kernel_shape)
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


def read_sources(group: h5py.Group, populations: int, fed: List[int]) -> List[int]:
    """Return the numbers of the populations that feed a connection.

    Parameters
    ----------
    group : h5py.Group
    populations : int
    fed : list of int
        The sources of its target: those of a target's only connection.
    """
    if not fields.has(group, "sources"):
        return fed
    numbers = list(fields.integers(group, "sources", range(1, populations), least=0))
    if not set(numbers) <= set(fed) or numbers != sorted(set(numbers)):
        raise wrong(group, "is fed by a population that /projections does not name")
    return numbers
