"""Limits of the cores: synapse memory, overfull cores, bounds of the number of cores."""

from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.chips.hardware import NO_LIMIT, Hardware, Limits, SynapseMemory
from snnb.core.compiled import compiled
from snnb.core.machine import processors
from snnb.graph.connection import ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, out_degrees, targets
from snnb.mapping.traffic import MappableNetwork, TrafficSums, count_traffic
from snnb.network.geometry import PADDING

# Projections from a population, the population, and a range of its neurons
Block = Tuple[Sequence[GraphProjection], GraphPopulation, int, int]
EDGES = 1 << 18  # synapses of a thread in memory at a time
FACTOR = -7046029254386353131  # odd number of 64 bits; hashes of lists are in the manner of FNV-1a


def overfull_cores(contents: Mapping[str, np.ndarray], hardware: Hardware) -> Dict[str, np.ndarray]:
    """Return the cores that exceed each limit; `contents` of each core have the names of `Limits`."""
    limits = Limits.of(hardware)
    return {name: np.flatnonzero(numbers > getattr(limits, name)) for name, numbers in contents.items()}


def exceeded_limits(contents: Mapping[str, np.ndarray], hardware: Hardware) -> str:
    """Describe each exceeded limit by its fullest core; return the empty string if there is none."""
    texts, limits = [], Limits.of(hardware)
    for name, cores in overfull_cores(contents, hardware).items():
        if cores.size:
            numbers, limit, n_others = contents[name], getattr(limits, name), cores.size - 1
            fullest = int(np.argmax(numbers))
            note = f" (and {n_others:,} cores more than {limit:,})" if n_others else ""
            texts.append(f"core {fullest:,} has {numbers[fullest]:,} {name} of {limit:,}{note}")
    return "; ".join(texts)


def find_obstacle(network: MappableNetwork, hardware: Hardware) -> Optional[str]:
    """Return why no mapping can fit the network on the hardware, or None.

    The bounds are those of a single neuron, and `least_cores`; a network that keeps them
    may still not fit.
    """
    limits = Limits.of(hardware)
    for what, numbers, limit, name in (
        ("sources of spikes", network.fan_in, limits.axons, "axons"),
        ("synapses", network.in_degrees, limits.synapses, "synapses"),
    ):
        neuron = int(np.argmax(numbers))
        if numbers[neuron] > limit:
            layer = network.graph.nodes.population(neuron + network.first).name
            return (
                f"layer {layer} has a neuron with {numbers[neuron]:,} {what}, {numbers[neuron] - limit:,} more than "
                f"the {limit:,} {name} of a core"
            )
    bounds = least_cores(network, hardware)
    name = max(bounds, key=bounds.__getitem__)
    if bounds[name] > hardware.cores:
        requirement = f"requires at least {bounds[name]:,}, by the limit of {name}"
        return f"has {hardware.cores:,} cores, but the network {requirement}"
    return None


def least_cores(network: MappableNetwork, hardware: Hardware) -> Dict[str, int]:
    """Return lower bounds for the number of cores, by the names of the limits in `Limits`.

    Each neuron takes an axon and an output axon for each core with targets of it. These cores are at least its targets
    over the neurons of a core, and if lists of synapses are shared, the filters that it reaches over those whose
    weights a core can hold. A core holds the weights of a neuron of each filter that it has neurons of.
    """
    limits, memory = Limits.of(hardware), hardware.synapse_memory
    reached, needed = -(-network.fan_out // limits.neurons), int(network.in_degrees.sum())
    bounds = {"neurons": -(-network.neurons // limits.neurons), "synapses": -(-needed // limits.synapses)}
    if memory is not None and memory.sharing == "kernel":
        needed = 0
        for population, connections in network.distinct_kernels:  # equal weights can be one entry
            filters = connections[0].geometry.filters
            entries = int(np.sum([c.geometry.fan_in(c.ids != PADDING)[:, :, 0] for c in connections], axis=0).min())
            needed += filters * entries * -(-(population.size // filters) // limits.neurons)
            cores = -(-filters // max(memory.entries // max(entries, 1), 1))
            for connection in connections:
                if connection.source in network.populations:
                    part = network.part(connection.source)
                    reached[part] = np.maximum(reached[part], np.where(connection.out_degrees > 0, cores, 0))
        bounds["memory_bits"] = -(-needed // memory.entries)
    total = int(reached.sum())
    return {**bounds, "axons": -(-total // limits.axons), "axons_out": -(-total // limits.axons_out)}


def filling_limit(sums: TrafficSums, hardware: Hardware) -> str:
    """Describe the limit that the cores with neurons exhaust most in the mean."""
    contents = dict(zip(Limits._fields, sums.contents))
    if hardware.axons_out_per_core is not None:
        contents["axons_out"] = sums.axons_out
    if hardware.synapse_memory is not None:
        contents["memory_bits"] = memory_bits(sums, hardware.synapse_memory)
    limits = Limits.of(hardware)._asdict()
    used = sums.neurons > 0
    means = {name: float(numbers[used].mean()) for name, numbers in contents.items()}
    name = max(means, key=lambda name: means[name] / limits[name])
    return f"{means[name]:,.0f} of {limits[name]:,} {name} in the mean"


def memory_bits(sums: TrafficSums, memory: SynapseMemory) -> np.ndarray:
    """Return the bits of the synapses of each core: int64, shape (cores,).

    An entry of a list has weight and index. The list of a source has an entry for each of its synapses onto neurons of
    the core. With `sharing: kernel`, sources have one list if theirs are equal up to a shift: the same weights in the
    order of the targets' ids, for the same differences of the targets' local indices (ranks by id in the core).
    """
    if memory.sharing == "none":
        entries = sums.synapses
    else:
        entries = shared_entries(sums) if sums.entries is None else sums.entries
    return entries * (memory.weight_bits + memory.index_bits)


def shared_entries(sums: TrafficSums, counted: Optional[np.ndarray] = None) -> np.ndarray:
    """Count the entries of the distinct lists of each core: int64, shape (cores,).

    `counted` (bool, shape (cores,)) are the cores whose lists are counted, by default all; others have 0. Lists are
    compared by 64-bit hashes: n lists make a wrong count with a probability of about n² / 2^65.
    """
    network, chosen = sums.network, np.ones(sums.cores, bool) if counted is None else counted
    neurons = np.stack([sums.core, sums.rank.astype(np.int32)], axis=1)
    blocks: List[Block] = []
    for population in network.graph.populations:
        leaving = network.projections_from(population)
        projections = [p for p in leaving if chosen[sums.core[network.part(p.target)]].any()]
        degrees = out_degrees(projections, population)
        for projection in projections:  # cached properties are not computed by several threads at once
            projection.edges_of(0, 1)
        blocks += [(projections, population, start, stop) for start, stop in ranges(degrees, EDGES)]

    def distinct(block: Block) -> Tuple[np.ndarray, np.ndarray]:
        indptr, target, weight = targets(*block)
        lists, buffers = np.empty((target.size, 2), np.int64), np.zeros((sums.cores, 3), np.int64)
        bits = (weight + np.float32(0)).view(np.int32)  # -0 is 0
        number = _hash_lists(indptr, target - network.first, bits, neurons, chosen, buffers, lists)
        return unique(lists[:number, 0], lists[:number, 1])

    def unique(hashes: np.ndarray, contents: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        first = np.unique(hashes, return_index=True)[1]
        return hashes[first], contents[first]

    hashes = contents = np.empty(0, np.int64)
    parts: List[Tuple[np.ndarray, np.ndarray]] = []
    with ThreadPoolExecutor(processors()) as pool:
        for part in pool.map(distinct, blocks):
            parts.append(part)
            if sum(one.size for one, _ in parts) > max(hashes.size, EDGES):  # most are duplicates
                hashes, contents = unique(*map(np.concatenate, zip((hashes, contents), *parts)))
                parts = []
    hashes, contents = unique(*map(np.concatenate, zip((hashes, contents), *parts)))
    return np.bincount(contents >> 32, contents & 0xFFFFFFFF, sums.cores).astype(np.int64)


@compiled
def _hash_lists(
    indptr: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    neurons: np.ndarray,
    counted: np.ndarray,
    buffers: np.ndarray,
    lists: np.ndarray,
) -> int:
    """Write the hash of each source's list of synapses onto each core, and the list's content; return their number.

    Parameters
    ----------
    indptr, target, weight : targets of each source, ascending, and the bits of the weights, in CSR form
    neurons : (neurons, 2) int32 array; core of each, and its rank by id among the neurons of the core
    counted : (cores,) bool array; lists of other cores are not counted
    buffers : (cores, 3) int64 array; hash, local index of the first target and length of a list, which is 0
    lists : (lists, 2) int64 array; output: hash, and core · 2^32 + length
    """
    number = 0
    touched = np.empty(len(buffers), np.int64)
    for source in range(indptr.size - 1):
        cores = 0
        for edge in range(indptr[source], indptr[source + 1]):
            core, index = np.int64(neurons[target[edge], 0]), np.int64(neurons[target[edge], 1])
            if not counted[core]:
                continue
            if buffers[core, 2] == 0:
                touched[cores] = core
                cores += 1
                buffers[core, 0], buffers[core, 1] = (core + 1) * FACTOR, index
            value = (buffers[core, 0] ^ ((index - buffers[core, 1]) << 32) ^ weight[edge]) * FACTOR
            buffers[core, 0] = value ^ ((value >> 32) & 0xFFFFFFFF)
            buffers[core, 2] += 1
        for core in touched[:cores]:
            lists[number, 0], lists[number, 1] = buffers[core, 0], (core << 32) | buffers[core, 2]
            buffers[core, 2] = 0
            number += 1
    return number


def synapse_loads(network: MappableNetwork, hardware: Hardware) -> Tuple[np.ndarray, int]:
    """Return the synapse load of each neuron, int64, shape (neurons,), and the capacity of a core.

    They are its synapses, or if only shared lists are limited, entries of the memory. Of these a neuron takes its part
    of the entries of a core that has neurons of its population only: an estimate.
    """
    memory, limits = hardware.synapse_memory, Limits.of(hardware)
    if memory is None or limits.synapses < NO_LIMIT:
        return network.in_degrees, limits.synapses
    core, cores = np.empty(network.neurons, np.int32), 0
    for population in network.populations:
        needed = -(-population.size // limits.neurons)
        core[network.part(population)] = cores + np.arange(population.size) * needed // population.size
        cores += needed
    sums = count_traffic(network, core, cores)
    return np.ceil(shared_entries(sums) / sums.neurons).astype(np.int64)[core], memory.entries
