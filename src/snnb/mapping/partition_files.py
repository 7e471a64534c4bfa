"""Read a partition and a placement of another program, and lists of unavailable cores.

A file with a partition has a core number per line, as METIS, KaHyPar, Mt-KaHyPar and
AxonCUDA write it; or, if neurons have names, `name core`. Core numbers are kept, and a
number without neurons is an empty core. A placement has `x y` per line, one line for
each core; or, after the line `tile core`, these numbers of SANA-FE.
"""

import re
from pathlib import Path
from typing import List, Tuple

import numpy as np

from snnb.chips.hardware import AnyHardware, Hardware, LayerHardware
from snnb.chips.sanafe_architecture import place_of
from snnb.core.errors import InputError
from snnb.graph.neuron_names import ids_by_label, missing_names, named_values
from snnb.io.budget import Budget
from snnb.io.text import read_lines
from snnb.mapping.traffic import MappableNetwork

ADDRESSES = "tile core"
NUMBER = re.compile(r"\d{1,18}", re.ASCII)
MAX_CHARACTERS = 40  # of a wrong line in a message
CORE_BYTES = 60  # of a core in memory, empty or not
NEURON_ORDER = "the placed neurons in the order of their ids"
PARTITION_FORM = f"a partition has one core number per line, for {NEURON_ORDER}"
PLACEMENT_FORM = "a placement has `x y` per line, for core 0, 1 and so on"


def read_partition(
    path: Path,
    network: MappableNetwork,
    hardware: Hardware,
) -> np.ndarray:
    """Read the core of each placed neuron: int32, shape (neurons,).

    If the input spikes, the file may start with a line for each of its neurons, as the
    exports of `snnb export` have them. These lines are skipped. If neurons have names,
    the file has a row `name core` for each, in any order; rows of inputs are skipped.
    Raise `InputError` if a line is not a core of the hardware, or their number is
    wrong.
    """
    if network.graph.names is None:
        core = _read_cores(path, network, hardware)
    else:
        core = _read_cores_by_name(path, network, hardware)
    cores = int(core.max(initial=-1)) + 1
    Budget(path).draw(cores, "cores", CORE_BYTES)
    return core.astype(np.int32)


def _read_cores(
    path: Path,
    network: MappableNetwork,
    hardware: Hardware,
) -> np.ndarray:
    """Read a core number per line: int64, shape (neurons,)."""
    input_spikes = network.sources[0].first < network.first
    n_inputs = network.first if input_spikes else 0
    numbers, _ = read_number_lines(path, 1, PARTITION_FORM)
    first_line = len(numbers) - network.neurons  # of the placed neurons, from 0
    if first_line not in (0, n_inputs):
        raise InputError(
            f"{path} has {len(numbers):,} lines, and the network has "
            f"{network.neurons:,} placed neurons; {PARTITION_FORM}"
        )
    core = numbers[first_line:, 0]
    beyond = np.flatnonzero(core >= hardware.cores)
    if beyond.size:
        neuron = int(beyond[0])
        line = first_line + neuron + 1
        raise _no_such_core(path, line, int(core[neuron]), hardware)
    return core


def _read_cores_by_name(
    path: Path,
    network: MappableNetwork,
    hardware: Hardware,
) -> np.ndarray:
    """Read rows `name core`: int64, shape (neurons,)."""
    populations = network.graph.populations
    node_core = np.full(network.first + network.neurons, -1, np.int64)
    node_core[: network.first] = 0  # inputs are not placed
    ids = ids_by_label(populations) or {}
    for line, node, text in named_values(path, read_lines(path), ids):
        if node < network.first:
            continue
        if NUMBER.fullmatch(text) is None:
            fault = "is not a core, a whole number from 0"
            if _is_number(text):
                fault = "is too large"
            start = text[:MAX_CHARACTERS]
            raise InputError(f"{path}: line {line:,}: {start!r} {fault}")
        core = int(text)
        if core >= hardware.cores:
            raise _no_such_core(path, line, core, hardware)
        node_core[node] = core
    missing_nodes = np.flatnonzero(node_core < 0)
    if missing_nodes.size:
        raise missing_names(path, populations, missing_nodes)
    return node_core[network.first :]


def _no_such_core(path: Path, line: int, core: int, hardware: Hardware) -> InputError:
    cores = hardware.cores_text if hardware.unavailable else f"{hardware.cores:,}"
    return InputError(
        f"{path}: line {line:,}: core {core:,} is not one of the {cores} of "
        f"{hardware.name}, which are numbered from 0; choose larger hardware or fewer "
        "parts"
    )


def read_placement(path: Path, cores: int, hardware: Hardware) -> np.ndarray:
    """Read x and y of each core, int32, shape (lines, 2).

    There are `cores` lines or more, for empty cores. Raise `InputError` if a line is
    not a position on the mesh, two cores have the same, or the number of lines is
    wrong.
    """
    place, has_addresses = read_number_lines(path, 2, PLACEMENT_FORM, ADDRESSES)
    if has_addresses:
        place = _find_addresses(path, place, hardware)
    if not cores <= len(place) <= hardware.cores:
        raise InputError(
            f"{path} has {len(place):,} lines, and the partition has {cores:,} cores, "
            f"{hardware.name} {hardware.cores:,}; {PLACEMENT_FORM}"
        )
    _refuse_wrong_positions(path, place, hardware)
    _refuse_equal_positions(path, place, hardware)
    return place.astype(np.int32)


def _refuse_wrong_positions(path: Path, place: np.ndarray, hardware: Hardware) -> None:
    """Raise `InputError` for the first position that takes no core.

    `place`, int64, shape (lines, 2), has x and y of each line of the file.
    """
    width, height = hardware.mesh
    is_outside = (place >= hardware.mesh).any(axis=1)
    if is_outside.any():
        row = int(np.argmax(is_outside))
        x, y = place[row]
        raise InputError(
            f"{path}: line {row + 1:,}: {x} {y} is not on the mesh of {hardware.name}, "
            f"where x is below {width} and y below {height}; {PLACEMENT_FORM}"
        )
    unavailable = np.array(hardware.unavailable or (), np.int64).reshape(-1, 2)
    is_unavailable = np.isin(
        _number_positions(place, hardware),
        _number_positions(unavailable, hardware),
    )
    if is_unavailable.any():
        row = int(np.argmax(is_unavailable))
        x, y = place[row]
        raise InputError(
            f"{path}: line {row + 1:,}: the core at {x} {y} of {hardware.name} is "
            "unavailable; choose another position"
        )


def _refuse_equal_positions(path: Path, place: np.ndarray, hardware: Hardware) -> None:
    """Raise `InputError` for two cores at one position of `place`."""
    position = _number_positions(place, hardware)
    order = np.argsort(position, kind="stable")
    is_repeated = np.diff(position[order]) == 0
    if is_repeated.any():
        rank = int(np.argmax(is_repeated))
        core = order[rank]
        next_core = order[rank + 1]
        x, y = place[core]
        raise InputError(
            f"{path}: cores {core:,} and {next_core:,} are both at {x} {y}; each core "
            "needs its own position"
        )


def _number_positions(place: np.ndarray, hardware: Hardware) -> np.ndarray:
    """Return a number of each position on the mesh: int64, shape (positions,)."""
    _, height = hardware.mesh
    numbers: np.ndarray = place[:, 0] * height + place[:, 1]
    return numbers


def _find_addresses(
    path: Path,
    addresses: np.ndarray,
    hardware: Hardware,
) -> np.ndarray:
    """Return x and y of cores by tile and core in the tile, as SANA-FE numbers them."""
    sides = hardware.tile or (1, 1)
    cores_of_tile = sides[0] * sides[1]
    tiles = hardware.routers[0] * hardware.routers[1]
    is_outside = (addresses >= (tiles, cores_of_tile)).any(axis=1)
    if is_outside.any():
        row = int(np.argmax(is_outside))
        tile, core = addresses[row]
        raise InputError(
            f"{path}: line {row + 2:,}: core {core} of tile {tile} is not on "
            f"{hardware.name}, which has {tiles:,} tiles of {cores_of_tile:,}; give "
            "the architecture file of the network with --hardware"
        )
    return place_of(addresses, hardware.mesh, sides)


def without_cores(hardware: AnyHardware, path: Path) -> AnyHardware:
    """Return a chip without the cores that a file lists.

    Cores that the description has as unavailable stay so. The file has `x y` per line,
    or of a chip with a core for each layer the number of a core. Raise `InputError` if
    a line is not a core of the chip, or no core is left.
    """
    form = f"list the unavailable cores of {hardware.name}, `x y` per line"
    sides = list(hardware.mesh) if isinstance(hardware, Hardware) else []
    if isinstance(hardware, LayerHardware):
        form = f"list the unavailable cores of {hardware.name}, a core number per line"
        sides = [len(hardware.cores)]
    lines, _ = read_number_lines(path, len(sides), form)
    is_outside = (lines >= sides).any(axis=1)
    if is_outside.any():
        row = int(np.argmax(is_outside))
        core = " ".join(map(str, lines[row]))
        cores = " × ".join(f"{side:,}" for side in sides)
        raise InputError(
            f"{path}: line {row + 1:,}: {core} is not one of the {cores} cores of "
            f"{hardware.name}, which are numbered from 0; {form}"
        )
    listed_cores = [row[0] if len(row) == 1 else tuple(row) for row in lines.tolist()]
    unavailable = dict.fromkeys((*(hardware.unavailable or ()), *listed_cores))
    if len(unavailable) == np.prod(sides):
        raise InputError(
            f"{path}: no core of {hardware.name} is left; list fewer cores"
        )
    return hardware.model_copy(update={"unavailable": tuple(unavailable)})


def read_number_lines(
    path: Path,
    columns: int,
    form: str,
    header: str = "",
) -> Tuple[np.ndarray, bool]:
    """Read a file of integers from 0, separated by spaces, tabs or commas.

    The file may be compressed by gzip. Return int64, shape (lines, columns), and
    whether the file starts with `header`. Raise `InputError` with the first invalid
    line, and `form`, the description of a valid file. An empty line is invalid, except
    at the end: lines after it would be of other neurons or cores.
    """
    lines = read_lines(path)
    has_header = bool(header) and bool(lines) and lines[0].strip() == header
    numbers: List[int] = []
    for line, row in enumerate(lines[has_header:], 1 + has_header):
        fields = row.replace(",", " ").split()
        if not row.strip():
            raise InputError(f"{path}: line {line:,} is empty; {form}")
        if len(fields) != columns or not all(map(NUMBER.fullmatch, fields)):
            fault = _describe_fault(fields, columns)
            text = _shorten(row.strip())
            raise InputError(f"{path}: line {line:,}, {text!r}, is {fault}; {form}")
        numbers.extend(map(int, fields))
    if not numbers:
        raise InputError(f"{path}: the file has no numbers; {form}")
    return np.array(numbers, np.int64).reshape(-1, columns), has_header


def _describe_fault(fields: List[str], columns: int) -> str:
    """Return what an invalid line is."""
    if len(fields) == columns and all(map(_is_number, fields)):
        return "too large"
    if columns == 1:
        return "not a whole number from 0"
    return f"not {columns} whole numbers from 0"


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
