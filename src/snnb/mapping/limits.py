"""Limits of the cores: synapse memory, overfull cores, least number of cores."""

from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, TypeVar

import numpy as np

from snnb.chips.hardware import NO_LIMIT, Hardware, Limits, SynapseMemory
from snnb.core.compiled import compiled
from snnb.core.machine import processors
from snnb.graph.connection import Connection, ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, out_degrees, targets
from snnb.mapping.traffic import MappableNetwork, TrafficSums, count_traffic
from snnb.network.geometry import PADDING

EDGES = 1 << 18  # synapses of a thread in memory at a time
# Odd number of 64 bits; hashes of lists are in the manner of FNV-1a
FACTOR = -7046029254386353131


def overfull_cores(
    contents: Mapping[str, np.ndarray],
    hardware: Hardware,
) -> Dict[str, np.ndarray]:
    """Return the cores that exceed each limit, by the names of `contents`.

    `contents` are arrays of shape (cores,), by some of the names of `Limits`.
    """
    limits = Limits.of(hardware)
    overfull: Dict[str, np.ndarray] = {}
    for name, numbers in contents.items():
        overfull[name] = np.flatnonzero(numbers > getattr(limits, name))
    return overfull


def describe_exceeded_limits(
    contents: Mapping[str, np.ndarray],
    hardware: Hardware,
) -> str:
    """Describe each exceeded limit by its fullest core.

    Return the empty string if there is none.
    """
    limits = Limits.of(hardware)
    texts: List[str] = []
    for name, cores in overfull_cores(contents, hardware).items():
        if cores.size == 0:
            continue
        numbers = contents[name]
        limit = getattr(limits, name)
        fullest = int(np.argmax(numbers))
        text = f"core {fullest:,} has {numbers[fullest]:,} {name} of {limit:,}"
        n_others = cores.size - 1
        if n_others:
            text += f" (and {n_others:,} cores more than {limit:,})"
        texts.append(text)
    return "; ".join(texts)


def find_obstacle(network: MappableNetwork, hardware: Hardware) -> Optional[str]:
    """Return why no mapping can fit the network on the hardware, or None.

    It is a neuron that alone exceeds a limit, or `least_cores` of which there are not
    as many. A network without an obstacle may still not fit.
    """
    limits = Limits.of(hardware)
    for content, numbers, limit, name in (
        ("sources of spikes", network.fan_in, limits.axons, "axons"),
        ("synapses", network.in_degrees, limits.synapses, "synapses"),
    ):
        neuron = int(np.argmax(numbers))
        excess = numbers[neuron] - limit
        if excess > 0:
            node = neuron + network.first
            layer = network.graph.nodes.population(node).name
            return (
                f"layer {layer} has a neuron with {numbers[neuron]:,} {content}, "
                f"{excess:,} more than the {limit:,} {name} of a core"
            )
    bounds = least_cores(network, hardware)
    name = max(bounds, key=lambda name: bounds[name])
    if bounds[name] > hardware.cores:
        return (
            f"has {hardware.cores_text}, but the network requires at least "
            f"{bounds[name]:,}, by the limit of {name}"
        )
    return None


def least_cores(network: MappableNetwork, hardware: Hardware) -> Dict[str, int]:
    """Return lower bounds for the number of cores, by the names of `Limits`.

    Each neuron takes an axon and an output axon for each core with targets of it. These
    cores are at least its targets over the neurons of a core, and if lists of synapses
    are shared, the filters that it reaches over those whose weights a core can hold. A
    core holds the weights of a neuron of each filter that it has neurons of.
    """
    limits = Limits.of(hardware)
    memory = hardware.synapse_memory
    synapses = int(network.in_degrees.sum())
    target_cores = _divide_up(network.fan_out, limits.neurons)  # of each neuron
    bounds = {
        "neurons": _divide_up(network.neurons, limits.neurons),
        "synapses": _divide_up(synapses, limits.synapses),
    }
    if memory is not None and memory.sharing == "kernel":
        entries = 0
        # Only kernels whose weights all differ, as equal weights can be one entry
        for population, connections in network.distinct_kernels:
            filter_entries = _count_least_entries(connections)
            filters = connections[0].geometry.filters
            positions = population.size // filters
            least_copies = _divide_up(positions, limits.neurons)
            entries += filters * filter_entries * least_copies
            filters_per_core = max(memory.entries // max(filter_entries, 1), 1)
            cores = _divide_up(filters, filters_per_core)
            _raise_target_cores(network, connections, cores, target_cores)
        bounds["memory_bits"] = _divide_up(entries, memory.entries)
    axons = int(target_cores.sum())
    bounds["axons"] = _divide_up(axons, limits.axons)
    bounds["axons_out"] = _divide_up(axons, limits.axons_out)
    return bounds


def _raise_target_cores(
    network: MappableNetwork,
    connections: Sequence[Connection],
    cores: int,
    target_cores: np.ndarray,
) -> None:
    """Raise `target_cores` of the sources of connections to at least `cores`.

    `target_cores`, int64, shape (neurons,), are those of each placed neuron; updated.
    Sources that are not placed, or have no target, are left out.
    """
    for connection in connections:
        if connection.source in network.populations:
            source_cores = target_cores[network.part(connection.source)]
            has_target = connection.out_degrees > 0
            source_cores[has_target] = np.maximum(source_cores[has_target], cores)


N = TypeVar("N", int, np.ndarray)


def _divide_up(number: N, divisor: int) -> N:
    """Divide integers and round up."""
    return -(-number // divisor)


def _count_least_entries(connections: Sequence[Connection]) -> int:
    """Return the number of entries that a core with neurons of a filter holds at least.

    They are the synapses of the neuron of the filter that has the fewest, by its
    position; filters do not differ.
    """
    synapses_at: List[np.ndarray] = []  # each position, of each connection
    for connection in connections:
        fan_in = connection.geometry.fan_in(connection.ids != PADDING)
        synapses_at.append(fan_in[:, :, 0])
    return int(np.sum(synapses_at, axis=0).min())


def filling_limit(sums: TrafficSums, hardware: Hardware) -> str:
    """Describe the limit of which the cores with neurons use most in the mean."""
    contents = dict(zip(Limits._fields, sums.contents))
    if hardware.axons_out_per_core is not None:
        contents["axons_out"] = sums.axons_out
    if hardware.synapse_memory is not None:
        contents["memory_bits"] = memory_bits(sums, hardware.synapse_memory)
    limits = Limits.of(hardware)._asdict()
    is_used = sums.neurons > 0
    means = {name: float(numbers[is_used].mean()) for name, numbers in contents.items()}
    name = max(means, key=lambda name: means[name] / limits[name])
    return f"{means[name]:,.0f} of {limits[name]:,} {name} in the mean"


def memory_bits(sums: TrafficSums, memory: SynapseMemory) -> np.ndarray:
    """Return the bits of the synapses of each core: int64, shape (cores,).

    An entry of a list has weight and index. The list of a source has an entry for each
    of its synapses onto neurons of the core, also if the source is an input. With
    `sharing: kernel`, sources have one list if theirs are equal up to a shift: the same
    weights in the order of the targets' ids, for the same differences of the targets'
    local indices (ranks by id in the core).
    """
    if memory.sharing == "none":
        entries = sums.synapses
    elif sums.entries is not None:
        entries = sums.entries
    else:
        entries = shared_entries(sums)
    return entries * (memory.weight_bits + memory.index_bits)


class _SourceRange(NamedTuple):
    """Consecutive neurons of a population, whose lists of synapses a thread hashes."""

    projections: Sequence[GraphProjection]  # from the population
    population: GraphPopulation
    start: int
    stop: int


class _Lists(NamedTuple):
    """Lists of synapses, each of one source onto one core.

    They are distinct, with ascending hashes, where `_unite_lists` returns them.
    """

    hash: np.ndarray  # (lists,) int64
    content: np.ndarray  # (lists,) int64: core · 2^32 + number of synapses


def shared_entries(
    sums: TrafficSums,
    is_counted: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Count the entries of the distinct lists of each core: int64, shape (cores,).

    `is_counted` (bool, shape (cores,)) are the cores whose lists are counted, by
    default all; the remaining ones have 0. Lists are compared by 64-bit hashes: n lists
    make a wrong count with a probability of about n² / 2^65.
    """
    if is_counted is None:
        is_counted = np.ones(sums.cores, bool)
    hasher = _ListHasher(sums, is_counted)
    lists = _Lists(np.empty(0, np.int64), np.empty(0, np.int64))
    waiting: List[_Lists] = []  # lists that are not yet united with `lists`
    with ThreadPoolExecutor(processors()) as pool:
        for new_lists in pool.map(hasher.hash, _list_source_ranges(sums, is_counted)):
            waiting.append(new_lists)
            n_waiting = sum(part.hash.size for part in waiting)
            # Seldom, since sorting takes time; yet most lists are duplicates
            if n_waiting > max(lists.hash.size, EDGES):
                lists = _unite_lists([lists, *waiting])
                waiting = []
    lists = _unite_lists([lists, *waiting])
    core = lists.content >> 32
    length = lists.content & 0xFFFFFFFF
    return np.bincount(core, length, sums.cores).astype(np.int64)


def _list_source_ranges(
    sums: TrafficSums,
    is_counted: np.ndarray,
) -> List[_SourceRange]:
    """Divide the nodes of the graph, each with projections onto cores that are counted.

    A range of a population that has no such projection has none.
    """
    network = sums.network
    source_ranges: List[_SourceRange] = []
    for population in network.graph.populations:
        projections = [
            projection
            for projection in network.projections_from(population)
            if is_counted[sums.core[network.part(projection.target)]].any()
        ]
        for projection in projections:
            # Compute its cached properties now: several threads would compute them
            projection.edges_of(0, 1)
        degrees = out_degrees(projections, population)
        for start, stop in ranges(degrees, EDGES):
            source_range = _SourceRange(projections, population, start, stop)
            source_ranges.append(source_range)
    return source_ranges


class _ListHasher:
    """Hashes the lists of synapses of sources onto the cores of a partition."""

    def __init__(self, sums: TrafficSums, is_counted: np.ndarray) -> None:
        self._first_neuron = sums.network.first
        self._cores = sums.cores
        self._is_counted = is_counted
        # (neurons, 2) int32: core, and rank by id among the neurons of the core
        self._neurons = np.stack([sums.core, sums.rank.astype(np.int32)], axis=1)

    def hash(self, source_range: _SourceRange) -> _Lists:
        """Return the distinct lists of a range of sources onto counted cores."""
        indptr, target, weight = targets(*source_range)
        lists = np.empty((target.size, 2), np.int64)
        number = _hash_lists(
            indptr,
            target - self._first_neuron,
            (weight + np.float32(0)).view(np.int32),  # -0 is 0
            self._neurons,
            self._is_counted,
            np.zeros((self._cores, 3), np.int64),
            lists,
        )
        return _unite_lists([_Lists(lists[:number, 0], lists[:number, 1])])


def _unite_lists(parts: Sequence[_Lists]) -> _Lists:
    """Return the distinct lists of several parts."""
    hashes = np.concatenate([lists.hash for lists in parts])
    contents = np.concatenate([lists.content for lists in parts])
    distinct_hashes, index = np.unique(hashes, return_index=True)
    return _Lists(distinct_hashes, contents[index])


@compiled
def _hash_lists(
    indptr: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    neurons: np.ndarray,
    is_counted: np.ndarray,
    buffers: np.ndarray,
    lists: np.ndarray,
) -> int:
    """Write the hash and the content of each source's list of synapses onto each core.

    Return the number of lists.

    Parameters
    ----------
    indptr, target, weight : int64, int64, int32 array
        Targets of each source, ascending, and the bits of the weights, in CSR form.
    neurons : (neurons, 2) int32 array
        Core of each neuron, and its rank by id among the neurons of the core.
    is_counted : (cores,) bool array
        Cores whose lists are counted.
    buffers : (cores, 3) int64 array
        Hash, local index of the first target and length of a list; the length is 0.
    lists : (lists, 2) int64 array
        Output: hash, and core · 2^32 + length.
    """
    number = 0
    target_cores = np.empty(len(buffers), np.int64)
    for source in range(indptr.size - 1):
        cores = 0
        for edge in range(indptr[source], indptr[source + 1]):
            core = np.int64(neurons[target[edge], 0])
            index = np.int64(neurons[target[edge], 1])
            if not is_counted[core]:
                continue
            if buffers[core, 2] == 0:
                target_cores[cores] = core
                cores += 1
                buffers[core, 0] = (core + 1) * FACTOR
                buffers[core, 1] = index
            shift = (index - buffers[core, 1]) << 32
            value = (buffers[core, 0] ^ shift ^ weight[edge]) * FACTOR
            buffers[core, 0] = value ^ ((value >> 32) & 0xFFFFFFFF)
            buffers[core, 2] += 1
        for core in target_cores[:cores]:
            lists[number, 0] = buffers[core, 0]
            lists[number, 1] = (core << 32) | buffers[core, 2]
            buffers[core, 2] = 0
            number += 1
    return number


def synapse_loads(
    network: MappableNetwork,
    hardware: Hardware,
) -> Tuple[np.ndarray, int]:
    """Return the synapse load of each neuron, and the capacity of a core for loads.

    Loads (int64, shape (neurons,)) are the synapses of a neuron, or if only shared
    lists are limited, entries of the memory. These are an estimate: each population is
    divided evenly among as few cores as its neurons need, and the neurons of a core
    share the entries of its lists equally.
    """
    limits = Limits.of(hardware)
    memory = hardware.synapse_memory
    if memory is None or limits.synapses < NO_LIMIT:
        return network.in_degrees, limits.synapses
    core = np.empty(network.neurons, np.int32)
    cores = 0
    for population in network.populations:
        population_cores = _divide_up(population.size, limits.neurons)
        core_of_index = np.arange(population.size) * population_cores // population.size
        core[network.part(population)] = cores + core_of_index
        cores += population_cores
    sums = count_traffic(network, core, cores)
    neuron_entries = np.ceil(shared_entries(sums) / sums.neurons).astype(np.int64)
    return neuron_entries[core], memory.entries
