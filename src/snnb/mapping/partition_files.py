"""Read a partition and a placement that another program has written.

A file with a partition has a core number per line, as METIS, KaHyPar, Mt-KaHyPar and AxonCUDA write it; or, if neurons
have names, `name core`. Core numbers are kept, and a number without neurons is an empty core. A placement has `x y` per
line, one line for each core; or, after the line `tile core`, these numbers of SANA-FE.
"""

import re
from pathlib import Path
from typing import List, Tuple

import numpy as np

from snnb.chips.hardware import Hardware
from snnb.chips.sanafe_architecture import place_of
from snnb.core.errors import InputError
from snnb.graph.neuron_names import ids_by_label, missing_names, named_values
from snnb.io.budget import Budget
from snnb.io.text import read_lines
from snnb.mapping.traffic import MappableNetwork

ADDRESSES = "tile core"
NUMBER = re.compile(r"\d{1,18}", re.ASCII)
SHOWN = 40  # characters of a wrong line
CORE_BYTES = 60  # of a core in memory, empty or not


def read_partition(path: Path, network: MappableNetwork, hardware: Hardware) -> np.ndarray:
    """Read the core of each placed neuron, int32.

    If the input spikes, the file may start with a line for each of its neurons, as the exports of `snnb export` have
    them. These lines are skipped. If neurons have names, the file has a row `name core` for each, in any order; rows of
    inputs are skipped. Raise `InputError` if a line is not a core of the hardware, or their number is wrong.
    """
    populations = network.graph.populations
    if network.graph.names is None:
        inputs = network.first if network.sources[0].first < network.first else 0
        expected = "a partition has one core number per line, for the placed neurons in the order of their ids"
        numbers, _ = read_number_lines(path, 1, expected)
        skipped = len(numbers) - network.neurons
        if skipped not in (0, inputs):
            raise InputError(
                f"{path} has {len(numbers):,} lines, and the network has {network.neurons:,} placed neurons; {expected}"
            )
        core = numbers[skipped:, 0]
        beyond = np.flatnonzero(core >= hardware.cores)
        if beyond.size:
            raise _no_such_core(path, int(beyond[0]) + skipped + 1, int(core[beyond[0]]), hardware)
    else:
        of_nodes = np.full(network.first + network.neurons, -1, np.int64)
        of_nodes[: network.first] = 0  # inputs are not placed
        for line, node, text in named_values(path, read_lines(path), ids_by_label(populations) or {}):
            if node < network.first:
                continue
            if NUMBER.fullmatch(text) is None:
                fault = "is too large" if _is_number(text) else "is not a core, a whole number from 0"
                raise InputError(f"{path}: line {line:,}: {text[:SHOWN]!r} {fault}")
            if int(text) >= hardware.cores:
                raise _no_such_core(path, line, int(text), hardware)
            of_nodes[node] = int(text)
        missing = np.flatnonzero(of_nodes < 0)
        if missing.size:
            raise missing_names(path, populations, missing)
        core = of_nodes[network.first :]
    Budget(path).draw(int(core.max(initial=-1)) + 1, "cores", CORE_BYTES)
    return core.astype(np.int32)


def _no_such_core(path: Path, line: int, core: int, hardware: Hardware) -> InputError:
    return InputError(
        f"{path}: line {line:,}: core {core:,} is not one of the {hardware.cores:,} of {hardware.name}, which are "
        "numbered from 0; choose larger hardware or fewer parts"
    )


def read_placement(path: Path, cores: int, hardware: Hardware) -> np.ndarray:
    """Read x and y of each core, int32, shape (lines, 2).

    There are `cores` lines or more, for empty cores. Raise `InputError` if a line is not a position on the mesh, two
    cores have the same, or the number of lines is wrong.
    """
    expected = "a placement has `x y` per line, for core 0, 1 and so on"
    place, by_address = read_number_lines(path, 2, expected, ADDRESSES)
    if by_address:  # tile, and core in it, as SANA-FE numbers them
        sides = hardware.tile or (1, 1)
        tiles, within = hardware.cores // (sides[0] * sides[1]), sides[0] * sides[1]
        outside = np.flatnonzero((place >= (tiles, within)).any(axis=1))
        if outside.size:
            tile, core = place[outside[0]]
            raise InputError(
                f"{path}: line {outside[0] + 2:,}: core {core} of tile {tile} is not on {hardware.name}, which has "
                f"{tiles:,} tiles of {within:,}; give the architecture file of the network with --hardware"
            )
        place = place_of(place, hardware.mesh, sides)
    if not cores <= len(place) <= hardware.cores:
        raise InputError(
            f"{path} has {len(place):,} lines, and the partition has {cores:,} cores, {hardware.name} "
            f"{hardware.cores:,}; {expected}"
        )
    width, height = hardware.mesh
    outside = np.flatnonzero((place >= hardware.mesh).any(axis=1))
    if outside.size:
        x, y = place[outside[0]]
        raise InputError(
            f"{path}: line {outside[0] + 1:,}: {x} {y} is not on the mesh of {hardware.name}, where x is below {width} "
            f"and y below {height}; {expected}"
        )
    number = place[:, 0] * height + place[:, 1]
    order = np.argsort(number, kind="stable")
    twice = np.flatnonzero(np.diff(number[order]) == 0)
    if twice.size:
        first, second = order[twice[0]], order[twice[0] + 1]
        x, y = place[first]
        raise InputError(
            f"{path}: cores {first:,} and {second:,} are both at {x} {y}; each core needs its own position"
        )
    return place.astype(np.int32)


def read_number_lines(path: Path, columns: int, expected: str, header: str = "") -> Tuple[np.ndarray, bool]:
    """Read a file of integers from 0, separated by spaces, tabs or commas; it may be compressed by gzip.

    Return int64, shape (lines, columns), and whether the file starts with `header`. Raise `InputError` with the first
    invalid line. An empty line is one, except at the end: lines after it would be of other neurons or cores.
    """
    lines = read_lines(path)
    has_header = bool(header) and bool(lines) and lines[0].strip() == header
    what = "a whole number from 0" if columns == 1 else f"{columns} whole numbers from 0"
    numbers: List[int] = []
    for line, row in enumerate(lines[has_header:], 1 + has_header):
        fields = row.replace(",", " ").split()
        if not row.strip():
            raise InputError(f"{path}: line {line:,} is empty; {expected}")
        if len(fields) != columns or not all(map(NUMBER.fullmatch, fields)):
            shown = row.strip() if len(row.strip()) <= SHOWN else f"{row.strip()[:SHOWN]}…"
            are_numbers = len(fields) == columns and all(map(_is_number, fields))
            fault = "too large" if are_numbers else f"not {what}"
            raise InputError(f"{path}: line {line:,}, {shown!r}, is {fault}; {expected}")
        numbers.extend(map(int, fields))
    if not numbers:
        raise InputError(f"{path}: the file has no numbers; {expected}")
    return np.array(numbers, np.int64).reshape(-1, columns), has_header


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
