"""Map a network to hardware: partition it, place the cores, compute the cost."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

import numpy as np

from snnb.chips.hardware import Hardware
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.mapping.cost import Cost, barrier, cost
from snnb.mapping.limits import describe_exceeded_limits
from snnb.mapping.links import RouteLoads, route_loads
from snnb.mapping.neuron_figures import barrier_of_cores, work_of_neurons
from snnb.mapping.objectives import (
    OBJECTIVES,
    HopsObjective,
    Objective,
    StepObjective,
)
from snnb.mapping.partition.initial import sequential_baseline
from snnb.mapping.partition.partition import Partition, partition
from snnb.mapping.partition.repair import divide_overfull, split_overfull
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.partition.slices import SimplePartition, simple_partitions
from snnb.mapping.partition_files import read_partition, read_placement
from snnb.mapping.placement import place
from snnb.mapping.refusals import check_possible, too_few_cores
from snnb.mapping.traffic import MappableNetwork, TrafficSums, count_traffic

MAX_CORES_NAMED = 10  # divided cores in a warning


@dataclass(frozen=True, eq=False)
class MappedNetwork:
    """A network on the cores of a chip."""

    hardware: Hardware
    # Of a partition from a file, `best.method` is `file`, and `tried` is empty
    partition: Partition
    place: np.ndarray  # (cores, 2) int32: x and y of each core
    loads: RouteLoads
    cost: Cost
    warnings: Tuple[str, ...]  # exceeded limits; methods without a result, and why
    # Cores of a file's partition that were divided, and their parts
    divided_cores: Mapping[int, List[int]] = field(default_factory=dict)

    @property
    def network(self) -> MappableNetwork:
        """The network."""
        return self.partition.best.network

    @property
    def core(self) -> np.ndarray:
        """Core of each placed neuron: int32, shape (neurons,)."""
        return self.partition.best.core


def map_network(
    network: MappableNetwork,
    hardware: Hardware,
    *,
    method: str = "auto",
    objective: str = "spikes",
    seed: int = 0,
    progress: Progress = silent,
) -> MappedNetwork:
    """Assign neurons to cores, and cores to positions on the mesh.

    Raise `InputError` if the network does not fit on this hardware, or not with this
    method.

    Parameters
    ----------
    method : str
        See `partition`.
    objective : {"spikes", "hops", "energy", "step"}
        `spikes` are those between cores. Otherwise place the best partition of each
        method, and return the mapping with the fewest hops, the least energy of a
        sample, or the shortest time step, for hardware with `time_ns`. With the method
        `auto`, no `simple_partitions` are better.
    seed : int
        Seed of all random numbers; the same seed gives the same mapping.
    """
    check_possible(network, hardware)
    partitions = partition(
        network,
        hardware,
        method=method,
        seed=seed,
        progress=progress,
    )
    goal = OBJECTIVES[objective](network, hardware)
    search = _MappingSearch(partitions, hardware, goal, seed, progress)
    for sums in sorted(partitions.tried, key=goal.bound):
        search.place(sums)
    if method == "auto":
        search.try_simple_partitions()
    assert search.best is not None
    return search.best


class _MappingSearch:
    """Places partitions, and keeps the mapping that is best by the objective.

    Attributes
    ----------
    best : MappedNetwork, optional
        None before the first partition is placed.
    """

    def __init__(
        self,
        partitions: Partition,
        hardware: Hardware,
        goal: Objective,
        seed: int,
        progress: Progress,
    ) -> None:
        self._partitions = partitions
        self._hardware = hardware
        self._goal = goal
        self._seed = seed
        self._progress = progress
        self._least_value = np.inf
        self.best: Optional[MappedNetwork] = None

    def place(self, sums: TrafficSums) -> None:
        """Place the cores of a partition, unless its bound is too high.

        The best partition is also placed as for any other objective. For the time of a
        step, the cores are on as few tiles as hold them, if that takes less time.
        """
        if self._goal.bound(sums) >= self._least_value:
            return
        for_hops = isinstance(self._goal, HopsObjective)
        positions = self._find_positions(sums, self._hardware, for_hops)
        self._keep(sums, positions)
        if for_hops and sums is self._partitions.best:
            self._keep(sums, self._find_positions(sums, self._hardware, False))
        if isinstance(self._goal, StepObjective):
            barrier_ns = barrier(sums, self._hardware, positions)
            if barrier_ns > barrier_of_cores(self._hardware, sums.cores):
                compact = _on_fewest_tiles(self._hardware, sums.cores)
                self._keep(sums, self._find_positions(sums, compact, False))

    def _find_positions(
        self, sums: TrafficSums, hardware: Hardware, hops: bool
    ) -> np.ndarray:
        return place(
            sums.matrix,
            hardware,
            self._seed,
            self._progress,
            input_spikes=sums.input_spikes(sums.network.spikes),
            hops=hops,
        )

    def _keep(self, sums: TrafficSums, positions: np.ndarray) -> None:
        """Compute the cost of a mapping, and keep it if it is the best so far."""
        hardware = self._hardware
        loads = route_loads(sums, hardware, positions)
        mapping_cost = cost(sums, hardware, positions, loads)
        value = self._goal.value(mapping_cost)
        if value >= self._least_value:
            return
        tried = self._partitions.tried
        if not any(sums is partition_tried for partition_tried in tried):
            tried = (*tried, sums)
        self._least_value = value
        self.best = MappedNetwork(
            hardware=hardware,
            partition=replace(self._partitions, best=sums, tried=tried),
            place=positions,
            loads=loads,
            cost=mapping_cost,
            warnings=self._partitions.warnings,
        )

    def try_simple_partitions(self) -> None:
        """Place the simple partitions that are better than the best by their bounds.

        Those with low bounds come first. A core that exceeds a limit is divided.
        """
        hardware = self._hardware
        network = self._partitions.best.network
        settings = SearchSettings()
        simple = simple_partitions(
            network,
            hardware,
            (np.ones(network.neurons), work_of_neurons(network, hardware)),
            settings,
            fewest=self._goal.slices_are_fewest,
        )
        ranked: List[Tuple[float, SimplePartition]] = []
        for candidate in simple:
            core = candidate.core
            bound = self._goal.bound(count_traffic(network, core, int(core.max()) + 1))
            if bound < self._least_value:
                ranked.append((bound, candidate))
        ranked.sort(key=lambda row: row[0])
        cores_left = settings.max_placed_cores
        for bound, candidate in ranked:
            if bound >= self._least_value or candidate.cores > cores_left:
                return
            sums = split_overfull(network, candidate.core, hardware)
            if sums.cores <= hardware.cores:
                cores_left -= sums.cores
                self.place(replace(sums, method=candidate.method))


def _on_fewest_tiles(hardware: Hardware, cores: int) -> Hardware:
    """Return the hardware without the tiles that the cores do not need.

    It keeps tiles with the most available cores, of these the ones that are nearest to
    the corner at x = y = 0.
    """
    width, height = hardware.tile or (1, 1)
    x, y = np.indices(hardware.mesh).reshape(2, -1)
    is_available = np.ones(x.size, bool)
    for lost_x, lost_y in hardware.unavailable or ():
        is_available[lost_x * hardware.mesh[1] + lost_y] = False
    tile_x = x // width
    tile_y = y // height
    tile = tile_x * (hardware.mesh[1] // height) + tile_y
    available_cores = np.bincount(tile, is_available)
    distance = np.zeros(available_cores.size, np.int64)
    distance[tile] = np.maximum(tile_x, tile_y)
    order = np.lexsort((distance, -available_cores))
    is_enough = np.cumsum(available_cores[order]) >= cores
    kept_tiles = order[: int(np.argmax(is_enough)) + 1]
    is_lost = ~(is_available & np.isin(tile, kept_tiles))
    unavailable = tuple(zip(x[is_lost].tolist(), y[is_lost].tolist()))
    return hardware.model_copy(update={"unavailable": unavailable or None})


def cost_partition(
    network: MappableNetwork,
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

    By default snnb places the cores. With `allow_overfull`, cores may exceed limits;
    the mapping is then invalid. With `split_overfull` they are divided. Raise
    `InputError` if they exceed limits without either, there are more cores after the
    division than the chip has, or a file is not valid.
    """
    core = read_partition(partition_file, network, hardware)
    divided_cores: Dict[int, List[int]] = {}
    if split_overfull:
        core, divided_cores = divide_overfull(network, core, hardware)
    cores = int(core.max(initial=-1)) + 1
    if cores > hardware.cores:
        sums = count_traffic(network, core, cores)
        raise too_few_cores(network, hardware, sums)
    if placement_file is not None:
        positions = read_placement(placement_file, cores, hardware)
        sums = count_traffic(network, core, len(positions))
    else:
        sums = count_traffic(network, core, cores)
        positions = place(
            sums.matrix,
            hardware,
            seed,
            progress,
            input_spikes=sums.input_spikes(network.spikes),
        )
    loads = route_loads(sums, hardware, positions)
    costs = cost(sums, hardware, positions, loads)
    warnings: List[str] = []
    faults = describe_exceeded_limits(costs.contents, hardware)
    if faults and not allow_overfull:
        raise InputError(
            f"{partition_file} exceeds the limits of {hardware.name}: {faults}; choose "
            "larger hardware or more parts, or give --split-overfull to divide these "
            "cores, or --allow-overfull to evaluate it as an invalid mapping"
        )
    if faults:
        exceeds = f"it exceeds the limits of {hardware.name}"
        warnings.append(f"invalid mapping, {exceeds}: {faults}")
    if divided_cores:
        warnings.append(
            f"cores of {partition_file} that exceed the limits of {hardware.name} are "
            f"divided: {_describe_divisions(divided_cores)}"
        )
    baseline = sequential_baseline(
        network,
        hardware,
        progress,
        allow_alone=allow_overfull,
    )
    return MappedNetwork(
        hardware=hardware,
        partition=Partition(replace(sums, method="file"), (), baseline),
        place=positions,
        loads=loads,
        cost=costs,
        warnings=tuple(warnings),
        divided_cores=divided_cores,
    )


def _describe_divisions(divided_cores: Mapping[int, List[int]]) -> str:
    """Name divided cores and their parts, up to `MAX_CORES_NAMED`."""
    texts: List[str] = []
    for core, parts in divided_cores.items():
        texts.append(f"core {core} into {', '.join(map(str, parts))}")
    text = "; ".join(texts[:MAX_CORES_NAMED])
    n_unnamed = len(texts) - MAX_CORES_NAMED
    if n_unnamed > 0:
        text += f" and {n_unnamed:,} more, see cost.json"
    return text
