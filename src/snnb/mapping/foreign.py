"""Partitions and placements made by other programs: read strictly, and nothing in them is changed.

A partition is a core number a line, as METIS, KaHyPar, Mt-KaHyPar and AxonCUDA write it; a placement is `x y` a line,
one for each core. Numbers of cores keep their meaning: a number that no neuron has is an empty core.
"""

from pathlib import Path
from typing import Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.mapping.hardware import Hardware
from snnb.mapping.limits import exceeded_limits
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.number_lines import read_number_lines
from snnb.mapping.traffic import usage


def read_partition(path: Path, network: PlacedNetwork, hardware: Hardware) -> Tuple[np.ndarray, bytes]:
    """Read the core of each placed neuron.

    Where the input spikes, the file may also have a line for each of its neurons, before all others: the hypergraph
    of `snnb export` has them. These lines are passed over.

    Parameters
    ----------
    path : Path
    network : PlacedNetwork
    hardware : Hardware

    Returns
    -------
    core : ndarray of int32, shape (neurons,)
    content : bytes
        Of the file, as it was read.

    Raises
    ------
    InputError
        The file has not a line for each neuron, a line is no number from 0, or there is no such core.
    """
    inputs = 0 if network.outside is None else network.outside.size
    remedy = "a partition is a core number a line, for the placed neurons in the order of their ids"
    numbers, content = read_number_lines(path, 1, network.neurons + inputs, remedy)
    lines = len(numbers)
    if lines not in (network.neurons, network.neurons + inputs):
        wanted = f"{network.neurons:,} placed neurons"
        raise InputError(f"{path} has {lines:,} lines, and the network has {wanted}; {remedy}")
    skipped = lines - network.neurons
    core = np.ascontiguousarray(numbers[skipped:, 0])
    beyond = np.flatnonzero(core >= hardware.cores)
    if beyond.size:
        line = beyond[0] + skipped + 1
        raise InputError(
            f"{path}: line {line:,}: core {core[beyond[0]]:,} is not one of the {hardware.cores:,} of {hardware.name}, "
            "which are numbered from 0; choose larger hardware or fewer parts"
        )
    return core, content


def read_placement(path: Path, cores: int, hardware: Hardware) -> Tuple[np.ndarray, bytes]:
    """Read the place of each core.

    Parameters
    ----------
    path : Path
    cores : int
        One more than the largest core number of the partition. The file may go on: with the places of empty cores.
    hardware : Hardware

    Returns
    -------
    place : ndarray of int32, shape (lines, 2)
        x and y.
    content : bytes
        Of the file, as it was read.

    Raises
    ------
    InputError
        The file has fewer lines than cores, a line is not two numbers from 0, a place is not on the mesh, or two cores
        have the same.
    """
    remedy = "a placement is x y a line, for core 0, 1 and so on"
    place, content = read_number_lines(path, 2, hardware.cores, remedy)
    if not cores <= len(place) <= hardware.cores:
        raise InputError(
            f"{path} has {len(place):,} lines, and the partition has {cores:,} cores, {hardware.name} "
            f"{hardware.cores:,}; {remedy}"
        )
    width, height = hardware.mesh
    outside = np.flatnonzero((place[:, 0] >= width) | (place[:, 1] >= height))
    if outside.size:
        x, y = place[outside[0]]
        raise InputError(
            f"{path}: line {outside[0] + 1:,}: {x} {y} is not on the mesh of {hardware.name}, where x is below {width} "
            f"and y below {height}; {remedy}"
        )
    number = place[:, 0].astype(np.int64) * height + place[:, 1]
    order = np.argsort(number, kind="stable")
    twice = np.flatnonzero(np.diff(number[order]) == 0)
    if twice.size:
        first, second = order[twice[0]], order[twice[0] + 1]
        x, y = place[first]
        raise InputError(f"{path}: cores {first:,} and {second:,} are both at {x} {y}; give each core its own place")
    return place, content


def check_limits(path: Path, network: PlacedNetwork, core: np.ndarray, cores: int, hardware: Hardware) -> None:
    """Refuse a partition that exceeds limits of the cores.

    Parameters
    ----------
    path : Path
        Of the partition.
    network : PlacedNetwork
    core : ndarray of int32, shape (neurons,)
    cores : int
    hardware : Hardware

    Raises
    ------
    InputError
        A core exceeds a limit. The message names each limit exceeded, and the fullest core.
    """
    exceeded = exceeded_limits(usage(network, core, cores), hardware)
    if exceeded:
        raise InputError(
            f"{path} breaks limits of {hardware.name}: {exceeded}; choose larger hardware or more parts, or give "
            "--allow-overfull to cost it as an invalid mapping"
        )
