"""Map a network to hardware: assign neurons to cores by a method or from a file, place the cores, compute the cost."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError, how_to_install
from snnb.core.progress import Progress, silent
from snnb.mapping.cost import Cost, cost
from snnb.mapping.groups import grouped, patches, sequential
from snnb.mapping.growth import grown
from snnb.mapping.hardware import Hardware, Limits
from snnb.mapping.limits import (
    check_possible,
    divide_overfull,
    exceeded_limits,
    shared_entries,
    split_overfull,
    synapse_loads,
    too_few_cores,
)
from snnb.mapping.partition_files import read_partition, read_placement
from snnb.mapping.placement import place
from snnb.mapping.search import (
    ABUNDANT,
    FEW_GROUPS,
    FEW_PINS,
    FEWEST_GROUPS,
    WORTH,
    Cores,
    Search,
    contract,
    kahypar_is_installed,
    require_kahypar,
    search_groups,
    search_neurons,
)
from snnb.mapping.search_kernels import Contracted
from snnb.mapping.traffic import PlacedNetwork, TrafficSums, count_traffic

MOST_NEURONS = 1_000_000  # for a hypergraph of single neurons
MOST_PINS = 4_000_000  # of a hypergraph of single neurons
# Of groups, from the core of each, with the cost of the best known mapping
SearchGroups = Callable[[Contracted, np.ndarray, float, Progress], Cores]
# Numbers of patches that fill a core, and whether each keeps to its part of the output axons: cores can be divided
PATCHES = ((1, True), (2, True), (2, False))
PATCH_VISITS = 300_000_000  # see `MOST_VISITS`; more hardly help
WITHOUT = (
    f"Mt-KaHyPar is not installed: only snnb's own search is used; for better results: {how_to_install('mapping')}"
)
NAMED = 10  # divided cores in a warning, at most


@dataclass(frozen=True, eq=False)
class Partition:
    """A core for each neuron, within the limits of the hardware."""

    best: TrafficSums
    tried: Tuple[TrafficSums, ...]  # valid partitions of all methods that were tried, `sequential` first
    sequential: TrafficSums  # the baseline; it may need more cores than there are
    warnings: Tuple[str, ...] = ()  # methods without a result, and why


@dataclass(frozen=True, eq=False)
class MappedNetwork:
    """A network on the cores of a chip."""

    hardware: Hardware
    partition: Partition  # of a partition from a file, `best.method` is `file`, and `tried` is empty
    place: np.ndarray  # (cores, 2) int32: x and y of each core
    cost: Cost
    warnings: Tuple[str, ...]  # limits that are exceeded; methods without a result, and why
    divided: Mapping[int, List[int]] = field(default_factory=dict)  # cores of a file's partition, and their parts

    @property
    def network(self) -> PlacedNetwork:
        """The network."""
        return self.partition.best.network

    @property
    def method(self) -> str:
        """Method of the partition: `sequential`, `groups`, `hypergraph` or `file`."""
        return self.partition.best.method

    @property
    def core(self) -> np.ndarray:
        """Core of each placed neuron: int32, shape (neurons,)."""
        return self.partition.best.core


def map_network(
    network: PlacedNetwork,
    hardware: Hardware,
    *,
    method: str = "auto",
    objective: str = "spikes",
    seed: int = 0,
    progress: Progress = silent,
) -> MappedNetwork:
    """Assign neurons to cores, and cores to positions on the mesh.

    Raise `InputError` if the network does not fit on this hardware, or not with this method.

    Parameters
    ----------
    method : see `partition`
    objective : {"spikes", "hops", "energy", "step"}
        `spikes`: place the partition with the lowest connectivity. Otherwise place the partition of each method that
        was tried, and keep that with the fewest hops, the least energy of a sample, or the shortest time step, for
        hardware with `time_ns`.
    seed : seed of all random numbers; the same seed gives the same mapping
    """
    check_possible(network, hardware)
    partitions = partition(network, hardware, method=method, seed=seed, progress=progress)
    mapped = []
    for sums in (partitions.best,) if objective == "spikes" else partitions.tried:
        positions = place(sums.matrix, hardware, seed, progress, hops=objective == "hops")
        chosen = replace(partitions, best=sums)
        mapped.append(MappedNetwork(hardware, chosen, positions, cost(sums, hardware, positions), partitions.warnings))
    figure = {"spikes": "connectivity", "hops": "hops_unicast", "energy": "energy_pj", "step": "step_ns"}[objective]
    return min(mapped, key=lambda one: getattr(one.cost, figure))


def sequential_baseline(
    network: PlacedNetwork, hardware: Hardware, progress: Progress = silent, *, allow_alone: bool = False
) -> TrafficSums:
    """Return the partition that fills cores in the order of the ids; it may need more cores than there are.

    With `allow_alone`, a neuron that alone exceeds a limit is the only one of its core; otherwise raise `InputError`.
    """
    core = sequential(network, Limits.of(hardware), progress)
    return replace(split_overfull(network, core, hardware, allow_alone=allow_alone), method="sequential")


def partition(
    network: PlacedNetwork, hardware: Hardware, *, method: str = "auto", seed: int = 0, progress: Progress = silent
) -> Partition:
    """Assign each neuron to a core, so that few spikes travel between cores; the same seed gives the same partition.

    `sequential` fills one core after the other. `groups` partitions positions and chunks of channels, then moves single
    neurons if there are few enough. If sources share lists of synapses, it partitions patches first, and then positions
    and channels without regard to a memory that is abundant, and with an estimate of it for few neurons. In a graph of
    listed edges it lets cores grow around shared sources instead. `hypergraph` partitions single neurons. `auto` tries
    `groups`, improves the best partition on single neurons, and partitions these anew if that is quick; without shared
    lists it does not try `groups` for at most `FEWEST_GROUPS` neurons. Cores that exceed a limit of output axons or
    synapse memory are divided. The result is the best of the method's and the sequential partition. The network is one
    that `check_possible` accepts.

    Raise `InputError` if the hardware has too few cores; or `method` is `hypergraph`, and Mt-KaHyPar is not installed
    or the network is too large.
    """
    if method == "hypergraph":
        require_kahypar()
    baseline = sequential_baseline(network, hardware, progress)
    tried = [baseline] if baseline.cores <= hardware.cores else []
    undivided = [one.core for one in tried]  # partitions before cores were divided
    if method == "sequential":
        if not tried:
            raise too_few_cores(network, hardware, baseline.cores)
        return Partition(baseline, (baseline,), baseline)
    loads, capacity = synapse_loads(network, hardware)
    limits = Limits.of(hardware)._replace(synapses=capacity)
    single: Optional[Contracted] = None  # the network with a group for each neuron, unless it is too large
    synapses = (2 if network.listed else 64) * MOST_PINS  # sources at a position share their pins
    if network.neurons <= MOST_NEURONS and network.in_degrees.sum() <= synapses:
        single = contract(network, np.arange(network.neurons, dtype=np.int32), network.neurons, loads)
        single = single if single.pins <= MOST_PINS else None
    if method == "hypergraph" and single is None:
        raise InputError(
            f"the network has more than {MOST_NEURONS:,} neurons or {MOST_PINS:,} pins, too many for individual "
            "placement: use --method groups"
        )
    installed = kahypar_is_installed()
    warnings = [] if installed else [WITHOUT]
    steps: List[Tuple[str, Callable[[float, Progress], Sequence[Cores]]]] = []
    search = partial(search_groups, limits=limits, most=hardware.cores, seed=seed, warn=warnings.append)
    neurons = partial(search_neurons, limits=limits, most=hardware.cores, seed=seed, warn=warnings.append)
    without_memory = Limits.of(hardware)
    estimates = capacity < without_memory.synapses and not network.listed  # of the memory of shared lists: `loads`
    abundant = ABUNDANT * loads.sum() / capacity < network.neurons / limits.neurons  # the memory

    def estimates_help() -> bool:
        """Return whether to limit the estimated memory: for small networks and those without a mapping."""
        return network.neurons <= FEW_GROUPS or all(one is baseline for one in tried)

    if method in ("groups", "auto"):
        by_groups = partial(_by_groups, network, loads, single, limits, seed, search, baseline.core)
        if estimates:
            out = hardware.axons_out_per_core
            tried_patches = dict.fromkeys((share, out if kept else None) for share, kept in PATCHES)
            brief = partial(search, most_visits=PATCH_VISITS)
            steps += [("groups", partial(_by_patches, network, *one, limits, brief)) for one in tried_patches]
            if abundant:
                free = partial(search, limits=without_memory)
                without_loads = partial(_by_groups, network, np.zeros_like(loads), None, without_memory, seed, free)
                steps.append(("groups", partial(without_loads, baseline.core)))
                if method == "auto" and single is not None and installed:
                    improve = partial(neurons, single, baseline.core, limits=without_memory, most_pins=FEW_PINS)

                    def improved(known: float, progress: Progress) -> Sequence[Cores]:
                        good = tried and tried[-1].connectivity * scale <= WORTH * known
                        return [improve(undivided[-1], progress)] if good else []

                    steps.append(("hypergraph", improved))
            steps.append(("groups", lambda *given: by_groups(*given) if estimates_help() else []))
        elif method == "groups" or single is None or network.neurons > FEWEST_GROUPS or not installed:
            steps.append(("groups", by_groups))
    if method in ("hypergraph", "auto") and single is not None and installed:
        if steps and not network.listed:
            neurons = partial(neurons, most_pins=FEW_PINS)

        def of_neurons(_: float, progress: Progress) -> Sequence[Cores]:
            if method == "auto" and estimates and not (abundant or estimates_help()):
                return []
            found = min(tried, key=lambda one: one.connectivity).core if tried and method == "auto" else None
            return [neurons(single, baseline.core, found, progress)]

        steps.append(("hypergraph", of_neurons))
    spikes = network.spikes[network.first :].sum()
    scale = network.counts.sum() / spikes if spikes else 1.0  # of the costs of the search
    for number, (name, step) in enumerate(steps):
        lowest = min((one.connectivity for one in tried), default=np.inf)
        for core in step(lowest * scale, _step_progress(progress, number, len(steps), name, lowest)):
            if core is None:
                continue
            _, first, inverse = np.unique(core, return_index=True, return_inverse=True)
            rank = np.empty(first.size, np.int32)  # number cores without gaps, in the order of their first neurons
            rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
            sums = replace(split_overfull(network, rank[inverse], hardware), method=name)
            if sums.cores <= hardware.cores:
                tried.append(sums)
                undivided.append(rank[inverse])
    missing = sorted({name for name, _ in steps[:1]} - {one.method for one in tried})
    warnings += [f"{name} found no mapping within the limits" for name in missing]
    if not tried:
        raise too_few_cores(network, hardware, baseline.cores)
    return Partition(min(tried, key=lambda one: one.connectivity), tuple(tried), baseline, tuple(warnings))


def _step_progress(progress: Progress, number: int, steps: int, name: str, lowest: float) -> Progress:
    """Return the progress of one method as a part of the progress of all methods."""
    note = name if lowest == np.inf else f"{name}, connectivity so far {lowest:,.0f}"
    return lambda done, total, _="": progress(number * total + done, steps * total, note)


def _by_groups(
    network: PlacedNetwork,
    loads: np.ndarray,
    single: Optional[Contracted],
    limits: Limits,
    seed: int,
    search: SearchGroups,
    first: np.ndarray,
    known: float,
    progress: Progress,
) -> Sequence[Cores]:
    """Partition groups of neurons, or let cores grow without kernels; then move single neurons if there are few.

    The partition `first` is a start of the search.
    """
    if network.listed:
        core = grown(network, loads, limits)
    else:
        group, groups = grouped(network, loads, limits)
        net = contract(network, group, groups, loads)
        start = np.zeros(groups, np.int32)
        start[group[::-1]] = first[::-1]  # the core of the first neuron of each group
        core_of_group = search(net, start, known, progress)
        if core_of_group is None:
            return []
        core = core_of_group[group]
    if single is not None:
        moves = Search(single, core, int(core.max()) + 1, limits, seed)
        moves.descend()
        core = moves.core.copy()
    return [core]


def _by_patches(
    network: PlacedNetwork,
    share: int,
    axons_out: Optional[int],
    limits: Limits,
    search: SearchGroups,
    known: float,
    progress: Progress,
) -> Sequence[Cores]:
    """Return patches, each of which takes a part of a core with its shared lists of synapses, and their partition.

    The search does not know the output axons and the exact memory, so patches on cores of their own can be better.
    """
    part = limits._replace(neurons=max(limits.neurons // share, 1), synapses=limits.synapses // share)
    group, groups = patches(network, part, None if axons_out is None else axons_out // share, mixed=share == 1)
    loads = np.zeros(network.neurons, np.int64)
    loads[np.unique(group, return_index=True)[1]] = shared_entries(count_traffic(network, group, groups))
    net = contract(network, group, groups, loads)
    core = search(net, np.arange(groups, dtype=np.int32), known, progress)
    return [*([group] if share == 1 else []), None if core is None else core[group]]


def cost_partition(
    network: PlacedNetwork,
    hardware: Hardware,
    partition_file: Path,
    placement_file: Optional[Path] = None,
    *,
    allow_overfull: bool = False,
    split_overfull: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> MappedNetwork:
    """Compute the cost of a partition, and a placement, of another program.

    By default snnb places the cores. With `allow_overfull`, cores may exceed limits; the mapping is then invalid. With
    `split_overfull` they are divided. Raise `InputError` if they exceed limits without either, the divided cores are
    more than there are, or a file is not valid.
    """
    core = read_partition(partition_file, network, hardware)
    divided: Dict[int, List[int]] = {}
    if split_overfull:
        core, divided = divide_overfull(network, core, hardware)
    cores = int(core.max(initial=-1)) + 1
    if cores > hardware.cores:
        raise too_few_cores(network, hardware, cores)
    if placement_file is not None:
        positions = read_placement(placement_file, cores, hardware)
        cores = len(positions)
    sums = count_traffic(network, core, cores)
    if placement_file is None:
        positions = place(sums.matrix, hardware, seed, progress)
    costs = cost(sums, hardware, positions)
    exceeded = exceeded_limits(costs.contents, hardware)
    if exceeded and not allow_overfull:
        raise InputError(
            f"{partition_file} exceeds the limits of {hardware.name}: {exceeded}; choose larger hardware or more "
            "parts, or give --split-overfull to divide these cores, or --allow-overfull to evaluate it as an "
            "invalid mapping"
        )
    notes = [f"invalid mapping, it exceeds the limits of {hardware.name}: {exceeded}"] if exceeded else []
    if divided:
        parts = [f"core {core} into {', '.join(map(str, parts))}" for core, parts in divided.items()]
        more = f" and {len(parts) - NAMED:,} more, see cost.json" if len(parts) > NAMED else ""
        names = "; ".join(parts[:NAMED]) + more
        notes.append(f"cores of {partition_file} that exceed the limits of {hardware.name} are divided: {names}")
    baseline = sequential_baseline(network, hardware, progress, allow_alone=allow_overfull)
    imported = Partition(replace(sums, method="file"), (), baseline)
    return MappedNetwork(hardware, imported, positions, costs, tuple(notes), divided)
