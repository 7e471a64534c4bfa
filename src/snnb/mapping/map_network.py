"""Map a network to hardware: partition it, place the cores, compute the cost."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

import numpy as np

from snnb.chips.hardware import Hardware
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.mapping.cost import Cost, cost
from snnb.mapping.limits import describe_exceeded_limits
from snnb.mapping.links import RouteLoads, route_loads
from snnb.mapping.partition.initial import sequential_baseline
from snnb.mapping.partition.partition import Partition, partition
from snnb.mapping.partition.repair import divide_overfull
from snnb.mapping.partition_files import read_partition, read_placement
from snnb.mapping.placement import place
from snnb.mapping.refusals import check_possible, too_few_cores
from snnb.mapping.traffic import MappableNetwork, count_traffic

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
        `spikes`: place the partition with the lowest connectivity. Otherwise place the
        best partition of each method, and return the mapping with the fewest hops, the
        least energy of a sample, or the shortest time step, for hardware with
        `time_ns`.
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
    candidates = partitions.tried
    if objective == "spikes":
        candidates = (partitions.best,)
    mappings: List[MappedNetwork] = []
    for sums in candidates:
        positions = place(
            sums.matrix,
            hardware,
            seed,
            progress,
            input_spikes=sums.input_spikes(network.spikes),
            hops=objective == "hops",
        )
        loads = route_loads(sums, hardware, positions)
        mapping = MappedNetwork(
            hardware=hardware,
            partition=replace(partitions, best=sums),
            place=positions,
            loads=loads,
            cost=cost(sums, hardware, positions, loads),
            warnings=partitions.warnings,
        )
        mappings.append(mapping)
    return min(mappings, key=lambda mapping: _objective_value(mapping.cost, objective))


def _objective_value(cost: Cost, objective: str) -> float:
    """Return what `map_network` minimises."""
    if objective == "hops":
        return cost.routes.hops_unicast
    if objective == "energy":
        return cost.energy.picojoules
    if objective == "step":
        assert cost.step is not None  # it needs `time_ns`
        return cost.step.step_ns
    return cost.traffic.connectivity


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
