"""Synapse memory of each core."""

from typing import Optional

import numpy as np

from snnb.graph import adjacency
from snnb.graph.edges import ranges
from snnb.mapping.hardware import SynapseMemory
from snnb.mapping.memory_kernels import add_lists, rehash
from snnb.mapping.traffic import TrafficSums

EDGES = 1 << 20  # synapses in memory at a time
TABLE = 1 << 16  # elements of the table at first, a power of two


def memory_bits(sums: TrafficSums, memory: Optional[SynapseMemory]) -> Optional[np.ndarray]:
    """Return the bits of the synapses of each core: int64, shape (cores,); None without a description.

    An entry of a list has weight and index. The list of a source has an entry for each of its synapses onto neurons of
    the core. With `sharing: kernel`, sources have one list if theirs are equal up to a shift: the same weights in the
    order of the targets' ids, for the same differences of the targets' local indices (ranks by id in the core).
    """
    if memory is None:
        return None
    if memory.sharing == "none":
        entries = sums.synapses
    else:
        entries = shared_entries(sums) if sums.entries is None else sums.entries
    return entries * (memory.weight_bits + memory.index_bits)


def shared_entries(sums: TrafficSums, counted: Optional[np.ndarray] = None) -> np.ndarray:
    """Count the entries of the distinct lists of each core: int64, shape (cores,).

    `counted` (bool, shape (cores,)) are the cores whose lists are counted, by default all; others have 0. Lists are
    compared by 128-bit hashes: n lists make a wrong count with a probability of about n² / 2^128.
    """
    network, neurons = sums.network, np.stack([sums.core, sums.rank.astype(np.int32)], axis=1)
    table, filled = np.zeros((TABLE, 2), np.int64), 0
    buffers, chosen = np.zeros((sums.cores, 5), np.int64), np.ones(sums.cores, bool) if counted is None else counted
    for population in network.graph.populations:
        every = network.projections_from(population)
        projections = [p for p in every if chosen[sums.core[network.part(p.target)]].any()]
        degrees = adjacency.out_degrees(projections, population)
        for start, stop in ranges(degrees, EDGES):
            indptr, target, weight = adjacency.targets(projections, start, stop)
            bits = (weight + np.float32(0)).view(np.int32)  # -0 is 0
            placed, source = target - network.first, 0
            while source < stop - start:
                source, filled = add_lists(source, indptr, placed, bits, neurons, chosen, buffers, table, filled)
                if 2 * filled > len(table):
                    larger = np.zeros((4 * len(table), 2), np.int64)
                    rehash(table, larger)
                    table = larger
    return buffers[:, 4]
