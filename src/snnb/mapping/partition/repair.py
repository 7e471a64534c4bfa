"""Repair: cores that exceed a limit are divided.

Synapse memory and output axons of the cores can only be computed for a complete
partition, so refinement ignores them.
"""

from dataclasses import replace
from typing import Dict, List, Tuple

import numpy as np

from snnb.chips.hardware import Hardware, Limits
from snnb.core.errors import InputError
from snnb.mapping.limits import memory_bits, shared_entries
from snnb.mapping.traffic import MappableNetwork, TrafficSums, count_traffic

UNKNOWN = -1  # entries of a core that are not counted


def split_overfull(
    network: MappableNetwork,
    core: np.ndarray,
    hardware: Hardware,
    *,
    allow_alone: bool = False,
) -> TrafficSums:
    """Divide cores that exceed a limit until none does.

    A core is divided into as many as its fullest limit needs, in the order of the
    neurons' ids: neighbours with all their channels stay together, so that they go on
    to share sources and, with `sharing: kernel`, lists of synapses. Each division can
    add output axons elsewhere, hence the repetition.

    Parameters
    ----------
    core : (neurons,) int32 array
        Core of each placed neuron.
    allow_alone : bool
        Whether a neuron that alone exceeds a limit may stay on its core.

    Returns
    -------
    TrafficSums
        Of the divided cores, which may be more than the hardware has. `entries` are
        known if all cores have been counted.

    Raises
    ------
    InputError
        If a neuron alone exceeds a limit of a core, unless `allow_alone`.
    """
    entries = np.full(int(core.max(initial=-1)) + 1, UNKNOWN)
    while True:
        sums = replace(count_traffic(network, core, entries.size), entries=entries)
        shares = _limit_shares(sums, hardware)
        fullest_share = np.max(list(shares.values()), axis=0)
        pieces = np.ceil(fullest_share)
        pieces = np.clip(pieces, 1, sums.neurons).astype(np.int64)  # of each core
        lone_cores = np.flatnonzero((fullest_share > 1) & (sums.neurons == 1))
        if lone_cores.size and not allow_alone:
            raise _lone_neuron_error(sums, hardware, shares, int(lone_cores[0]))
        if (pieces == 1).all():
            is_counted = (entries != UNKNOWN).all()
            return sums if is_counted else replace(sums, entries=None)
        core = _divide(sums, pieces)
        entries = _keep_counted_entries(entries, pieces)


def _lone_neuron_error(
    sums: TrafficSums,
    hardware: Hardware,
    shares: Dict[str, np.ndarray],
    core: int,
) -> InputError:
    """Return the error that the only neuron of a core exceeds a limit."""
    name = max(shares, key=lambda name: shares[name][core])
    limit = getattr(Limits.of(hardware), name)
    number = round(shares[name][core] * limit)
    network = sums.network
    neuron = int(np.flatnonzero(sums.core == core)[0])
    layer = network.graph.nodes.population(neuron + network.first).name
    return InputError(
        f"{hardware.name}: layer {layer} has a neuron with {number:,} {name}, and a "
        f"core takes {limit:,}",
    )


def _divide(sums: TrafficSums, pieces: np.ndarray) -> np.ndarray:
    """Divide cores into equal pieces by id; return the new core of each neuron, int32.

    `pieces`, int64, shape (cores,), is the number of pieces of each core. If core 0
    has neurons 0, 2, 3 and 5, core 1 has neurons 1 and 4, and `pieces` is 2 and 1, then
    the new cores of neurons 0 to 5 are 0, 2, 0, 1, 2 and 1.
    """
    first_piece = np.cumsum(pieces) - pieces  # its new number
    piece = sums.rank * pieces[sums.core] // sums.neurons[sums.core]
    return (first_piece[sums.core] + piece).astype(np.int32)


def _keep_counted_entries(entries: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """Return the entries of the pieces: known if the core was not divided, int64."""
    first_piece = np.cumsum(pieces) - pieces
    is_undivided = pieces == 1
    piece_entries = np.full(int(pieces.sum()), UNKNOWN)
    piece_entries[first_piece[is_undivided]] = entries[is_undivided]
    return piece_entries


def divide_overfull(
    network: MappableNetwork,
    core: np.ndarray,
    hardware: Hardware,
) -> Tuple[np.ndarray, Dict[int, List[int]]]:
    """Divide cores as `split_overfull` does, but keep the numbers of all other cores.

    Empty cores keep their numbers too.

    Returns
    -------
    core : (neurons,) int32 array
        Core of each placed neuron.
    divided_cores : dict
        By the number of a divided core, the numbers of its parts: its own number, then
        numbers that no core had.
    """
    part = split_overfull(network, core, hardware).core
    # Each part, in the order of the cores that they are parts of
    core_of_part, part_number = np.unique(np.stack([core, part]), axis=1)
    is_further_part = np.diff(core_of_part, prepend=-1) == 0
    cores = int(core.max(initial=-1)) + 1
    further_number = cores + np.cumsum(is_further_part) - 1
    number = np.empty(part_number.size, np.int32)
    number[part_number] = np.where(is_further_part, further_number, core_of_part)
    divided_cores = {}
    for divided_core in np.unique(core_of_part[is_further_part]).tolist():
        parts = part_number[core_of_part == divided_core]
        divided_cores[divided_core] = number[parts].tolist()
    return number[part], divided_cores


def _limit_shares(sums: TrafficSums, hardware: Hardware) -> Dict[str, np.ndarray]:
    """Return the share of each limit that each core takes, by the names of `Limits`.

    The arrays are float64, shape (cores,): above 1, the core exceeds the limit.

    Shared lists are counted once all other limits hold, since that takes longest, and
    only of cores that are `UNKNOWN` in `sums.entries`, which receives them. Without
    sharing, the limit of synapses is that of the memory.
    """
    contents = dict(zip(Limits._fields, sums.contents))
    if hardware.axons_out_per_core is not None:
        contents["axons_out"] = sums.axons_out
    limits = Limits.of(hardware)
    shares = {}
    for name, numbers in contents.items():
        shares[name] = numbers / getattr(limits, name)
    memory = hardware.synapse_memory
    if memory is None or memory.sharing == "none":
        return shares
    if np.max(list(shares.values())) > 1:
        return shares
    assert sums.entries is not None
    is_unknown = sums.entries == UNKNOWN
    sums.entries[is_unknown] = shared_entries(sums, is_unknown)[is_unknown]
    shares["memory_bits"] = memory_bits(sums, memory) / limits.memory_bits
    return shares
