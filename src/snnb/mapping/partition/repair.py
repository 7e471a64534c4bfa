"""Repair: cores that exceed a limit are divided.

Synapse memory and output axons of the cores can only be computed for a complete partition, so refinement ignores them.
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
    network: MappableNetwork, core: np.ndarray, hardware: Hardware, *, allow_alone: bool = False
) -> TrafficSums:
    """Divide cores that exceed a limit until none does; the result may need more cores than there are.

    A core is divided into as many as its fullest limit needs, in the order of the neurons' ids: neighbours with all
    their channels stay together, so that they go on to share sources and, with `sharing: kernel`, lists of synapses.
    Each division can add output axons elsewhere, hence the repetition.

    Raise `InputError` if a neuron alone exceeds a limit of a core, unless `allow_alone`: such cores stay.

    Parameters
    ----------
    core : (neurons,) int32 array; core of each placed neuron
    """
    entries = np.full(int(core.max(initial=-1)) + 1, UNKNOWN)
    while True:
        sums = replace(count_traffic(network, core, entries.size), entries=entries)
        utilisation = _used(sums, hardware)
        share = np.max(list(utilisation.values()), axis=0)
        pieces = np.clip(np.ceil(share), 1, sums.neurons).astype(np.int64)
        alone = np.flatnonzero((share > 1) & (sums.neurons == 1))
        if (pieces == 1).all() and (allow_alone or not alone.size):
            return sums if (entries != UNKNOWN).all() else replace(sums, entries=None)
        if alone.size and not allow_alone:
            shares = {name: shares[alone[0]] for name, shares in utilisation.items()}
            name = max(shares, key=shares.__getitem__)
            neuron, limit = int(np.flatnonzero(core == alone[0])[0]), getattr(Limits.of(hardware), name)
            layer = network.graph.nodes.population(neuron + network.first).name
            raise InputError(
                f"{hardware.name}: layer {layer} has a neuron with {round(shares[name] * limit):,} {name}, and a core "
                f"takes {limit:,}"
            )
        first, counted = np.cumsum(pieces) - pieces, entries
        entries = np.full(int(pieces.sum()), UNKNOWN)
        entries[first[pieces == 1]] = counted[pieces == 1]  # the same neurons
        core = (first[core] + sums.rank * pieces[core] // sums.neurons[core]).astype(np.int32)


def divide_overfull(
    network: MappableNetwork, core: np.ndarray, hardware: Hardware
) -> Tuple[np.ndarray, Dict[int, List[int]]]:
    """Divide cores as `split_overfull` does, but keep the numbers of the others, and of empty cores.

    Return the core of each placed neuron, int32, and by divided core the numbers of its parts: its own number, then
    numbers that no core had.
    """
    part = split_overfull(network, core, hardware).core
    (old, new), cores = np.unique(np.stack([core, part]), axis=1), int(core.max(initial=-1)) + 1
    is_new = np.diff(old, prepend=-1) == 0
    number = np.empty(new.size, np.int32)  # of each part
    number[new] = np.where(is_new, cores + np.cumsum(is_new) - 1, old)
    return number[part], {
        core_number: number[new[old == core_number]].tolist() for core_number in np.unique(old[is_new]).tolist()
    }


def _used(sums: TrafficSums, hardware: Hardware) -> Dict[str, np.ndarray]:
    """Return the utilisation of each limit by the contents of each core, by the names of `Limits`.

    Shared lists are counted once all other limits hold, since that takes longest, and only of cores that are
    `UNKNOWN` in `sums.entries`, which receives them. Without sharing, the limit of synapses is that of the memory.
    """
    contents = dict(zip(Limits._fields, sums.contents))
    if hardware.axons_out_per_core is not None:
        contents["axons_out"] = sums.axons_out
    limits = Limits.of(hardware)
    shares = {name: numbers / getattr(limits, name) for name, numbers in contents.items()}
    memory = hardware.synapse_memory
    if memory is None or memory.sharing == "none" or np.max(list(shares.values())) > 1:
        return shares
    assert sums.entries is not None
    unknown = sums.entries == UNKNOWN
    sums.entries[unknown] = shared_entries(sums, unknown)[unknown]
    return {**shares, "memory_bits": memory_bits(sums, memory) / limits.memory_bits}
