"""Synapse memory of each core."""

from concurrent.futures import ThreadPoolExecutor
from typing import List, Optional, Sequence, Tuple

import numpy as np

from snnb.core.machine import processors
from snnb.graph import adjacency
from snnb.graph.edges import ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.mapping.hardware import SynapseMemory
from snnb.mapping.memory_kernels import add_lists, insert_all
from snnb.mapping.traffic import TrafficSums

# Projections from a population, the population, and a range of its neurons
Block = Tuple[Sequence[GraphProjection], GraphPopulation, int, int]
EDGES = 1 << 18  # synapses of a thread in memory at a time
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
    network, chosen = sums.network, np.ones(sums.cores, bool) if counted is None else counted
    blocks: List[Block] = []
    for population in network.graph.populations:
        every = network.projections_from(population)
        projections = [p for p in every if chosen[sums.core[network.part(p.target)]].any()]
        degrees = adjacency.out_degrees(projections, population)
        blocks += [(projections, population, start, stop) for start, stop in ranges(degrees, EDGES)]
    neurons, threads = np.stack([sums.core, sums.rank.astype(np.int32)], axis=1), processors()
    with ThreadPoolExecutor(threads) as pool:
        parts = [blocks[first::threads] for first in range(threads)]
        tables = list(pool.map(lambda part: _distinct(part, network.first, neurons, chosen), parts))
    lists = _merged(tables)
    contents = lists[lists[:, 0] != 0, 2]
    return np.bincount(contents >> 32, contents & 0xFFFFFFFF, sums.cores).astype(np.int64)


def _distinct(blocks: Sequence[Block], first: int, neurons: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the table of the distinct lists of some sources, see `add_lists`."""
    table, filled, buffers = np.zeros((TABLE, 3), np.int64), 0, np.zeros((len(chosen), 4), np.int64)
    for projections, source, start, stop in blocks:
        indptr, target, weight = adjacency.targets(projections, source, start, stop)
        bits = (weight + np.float32(0)).view(np.int32)  # -0 is 0
        placed, done = target - first, 0
        while done < stop - start:
            done, filled = add_lists(done, indptr, placed, bits, neurons, chosen, buffers, table, filled)
            if 2 * filled > len(table):
                table = _merged([table])
    return table


def _merged(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Return the lists of several tables in one, of whose elements at most half are full."""
    filled = sum(int(np.count_nonzero(table[:, 0])) for table in tables)
    merged = np.zeros((1 << (2 * filled).bit_length(), 3), np.int64)
    for table in tables:
        insert_all(table, merged)
    return merged
