"""Partitions and placements of other programs; core numbers are kept, and a number without neurons is an empty core.

A partition has a core number per line, as METIS, KaHyPar, Mt-KaHyPar and AxonCUDA write it. A placement has `x y` per
line, one line for each core; or, after the line `tile core`, these numbers of SANA-FE.
"""

import re
import warnings
from io import BytesIO
from pathlib import Path
from typing import Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.mapping.hardware import Hardware
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.sanafe_architecture import place_of

ADDRESSES = b"tile core\n"
SHOWN = 40  # characters of a wrong line


def read_partition(path: Path, network: PlacedNetwork, hardware: Hardware) -> Tuple[np.ndarray, bytes]:
    """Read the core of each placed neuron, int32, and the content of the file.

    If the input spikes, the file may start with a line for each of its neurons, as the exports of `snnb export` have
    them. These lines are skipped. Raise `InputError` if a line is not a core of the hardware, or their number is wrong.
    """
    inputs = 0 if network.outside is None else network.outside.size
    expected = "a partition is a core number a line, for the placed neurons in the order of their ids"
    numbers, content = read_number_lines(path, 1, expected)
    skipped = len(numbers) - network.neurons
    if skipped not in (0, inputs):
        raise InputError(
            f"{path} has {len(numbers):,} lines, and the network has {network.neurons:,} placed neurons; {expected}"
        )
    core = numbers[skipped:, 0]
    beyond = np.flatnonzero(core >= hardware.cores)
    if beyond.size:
        raise InputError(
            f"{path}: line {beyond[0] + skipped + 1:,}: core {core[beyond[0]]:,} is not one of the {hardware.cores:,} "
            f"of {hardware.name}, which are numbered from 0; choose larger hardware or fewer parts"
        )
    return core.astype(np.int32), content


def read_placement(path: Path, cores: int, hardware: Hardware) -> Tuple[np.ndarray, bytes]:
    """Read x and y of each core, int32, shape (lines, 2), and the content of the file.

    There are `cores` lines or more, for empty cores. Raise `InputError` if a line is not a position on the mesh, two
    cores have the same, or the number of lines is wrong.
    """
    expected = "a placement is x y a line, for core 0, 1 and so on"
    place, content = read_number_lines(path, 2, expected, ADDRESSES)
    if content.startswith(ADDRESSES):
        place = _at_addresses(path, place, hardware)
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
        raise InputError(f"{path}: cores {first:,} and {second:,} are both at {x} {y}; give each core its own place")
    return place.astype(np.int32), content


def _at_addresses(path: Path, address: np.ndarray, hardware: Hardware) -> np.ndarray:
    """Return x and y of cores that are given by tile, and core in it, as SANA-FE numbers them."""
    sides = hardware.tile or (1, 1)
    tiles, within = hardware.cores // (sides[0] * sides[1]), sides[0] * sides[1]
    outside = np.flatnonzero((address >= (tiles, within)).any(axis=1))
    if outside.size:
        tile, core = address[outside[0]]
        raise InputError(
            f"{path}: line {outside[0] + 2:,}: core {core} of tile {tile} is not on {hardware.name}, which has "
            f"{tiles:,} tiles of {within:,}; give the architecture file of the network with --hardware"
        )
    return place_of(address, hardware.mesh, sides)


def read_number_lines(path: Path, columns: int, expected: str, header: bytes = b"") -> Tuple[np.ndarray, bytes]:
    """Read a file of integers from 0, separated by spaces, tabs or commas; empty lines and a `header` are ignored.

    Return int64, shape (lines, columns), and the content. Raise `InputError` with the first invalid line.
    """
    content = path.read_bytes()
    begin = len(header) if header and content.startswith(header) else 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy only warns of a fraction in a column of integers, and of no data
            numbers = np.loadtxt(BytesIO(content[begin:].replace(b",", b" ")), np.int64, comments=None, ndmin=2)
    except (ValueError, Warning):
        numbers = np.empty((0, 0), np.int64)
    if numbers.shape[1] != columns or (numbers < 0).any():
        raise InputError(f"{path}: {_first_error(content, columns, begin)}; {expected}")
    return numbers, content


def _first_error(content: bytes, columns: int, begin: int) -> str:
    good = re.compile(r"\s*|\s*" + r"[\s,]\s*".join([r"\d{1,18}"] * columns) + r"\s*")
    expected = "a whole number from 0" if columns == 1 else f"{columns} whole numbers from 0"
    first = 1 + content[:begin].count(b"\n")
    for number, line in enumerate(content[begin:].decode("utf-8", "replace").split("\n"), first):
        if good.fullmatch(line) is None:
            shown = line.strip() if len(line.strip()) <= SHOWN else f"{line.strip()[:SHOWN]}…"
            return f"line {number:,}, {shown!r}, is not {expected}"
    return "the file has no numbers"
