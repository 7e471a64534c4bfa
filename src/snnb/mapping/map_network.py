"""Map a network to hardware: partition it by a method or from a file, place the cores, compute the cost."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

import numpy as np

from snnb.chips.hardware import Hardware
from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.mapping.cost import Cost, cost
from snnb.mapping.limits import describe_exceeded_limits
from snnb.mapping.partition.initial import sequential_baseline
from snnb.mapping.partition.partition import Partition, partition
from snnb.mapping.partition.repair import divide_overfull
from snnb.mapping.partition_files import read_partition, read_placement
from snnb.mapping.placement import place
from snnb.mapping.refusals import check_possible, too_few_cores
from snnb.mapping.traffic import MappableNetwork, count_traffic

NAMED = 10  # divided cores in a warning, at most


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
    return min(mapped, key=lambda candidate: _objective_value(candidate.cost, objective))


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
        raise too_few_cores(network, hardware, count_traffic(network, core, cores))
    if placement_file is not None:
        positions = read_placement(placement_file, cores, hardware)
        cores = len(positions)
    sums = count_traffic(network, core, cores)
    if placement_file is None:
        positions = place(sums.matrix, hardware, seed, progress)
    costs = cost(sums, hardware, positions)
    exceeded = describe_exceeded_limits(costs.contents, hardware)
    if exceeded and not allow_overfull:
        raise InputError(
            f"{partition_file} exceeds the limits of {hardware.name}: {exceeded}; choose larger hardware or more "
            "parts, or give --split-overfull to divide these cores, or --allow-overfull to evaluate it as an "
            "invalid mapping"
        )
    notes = [f"invalid mapping, it exceeds the limits of {hardware.name}: {exceeded}"] if exceeded else []
    if divided:
        parts = [f"core {core} into {', '.join(map(str, parts))}" for core, parts in divided.items()]
        rest = f" and {len(parts) - NAMED:,} more, see cost.json" if len(parts) > NAMED else ""
        names = "; ".join(parts[:NAMED]) + rest
        notes.append(f"cores of {partition_file} that exceed the limits of {hardware.name} are divided: {names}")
    baseline = sequential_baseline(network, hardware, progress, allow_alone=allow_overfull)
    imported = Partition(replace(sums, method="file"), (), baseline)
    return MappedNetwork(hardware, imported, positions, costs, tuple(notes), divided)
