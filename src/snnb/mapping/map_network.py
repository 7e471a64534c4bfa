"""Mapping of a network to hardware: cores, their positions, and the cost."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Dict, List, Optional, Tuple
from typing import Mapping as Items

import numpy as np
from scipy.sparse import csr_matrix

from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.mapping.cost import Cost, cost
from snnb.mapping.hardware import Hardware
from snnb.mapping.limits import check_possible, exceeded_limits, overfull_cores, too_few_cores
from snnb.mapping.memory import divide_overfull
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.partition import Partition, partition, sequential_baseline
from snnb.mapping.partition_files import read_partition, read_placement
from snnb.mapping.placement import place
from snnb.mapping.traffic import TrafficSums, count_traffic

FROM_A_FILE = "file"
NAMED = 10  # divided cores in a warning, at most


@dataclass(frozen=True, eq=False)
class MappedNetwork:
    """A network on the cores of a chip."""

    hardware: Hardware
    partition: Partition  # of a partition from a file, `best.method` is `file`, and `tried` is empty
    place: np.ndarray  # (cores, 2) int32: x and y of each core
    cost: Cost
    warnings: Tuple[str, ...]  # limits that are exceeded; methods without a result, and why
    divided: Items[int, List[int]] = field(default_factory=dict)  # cores of a file's partition, and their parts

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

    @property
    def traffic(self) -> csr_matrix:
        """Spikes per sample from core to core: float64, shape (cores, cores)."""
        return self.partition.best.matrix

    @property
    def sequential(self) -> TrafficSums:
        """The baseline that fills cores in the order of the ids."""
        return self.partition.sequential

    @cached_property
    def overfull(self) -> Dict[str, np.ndarray]:
        """Cores that exceed each limit, by the names of `Limits`; all empty if the mapping is valid."""
        return overfull_cores(self.cost.contents, self.hardware)

    @property
    def overfull_cores(self) -> np.ndarray:
        """Cores that exceed at least one limit, ascending."""
        return np.unique(np.concatenate(list(self.overfull.values())))


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
        was tried, and keep that with the fewest hops, the least energy of a sample, or the shortest time step.
    seed : seed of all random numbers; the same seed gives the same mapping
    """
    if objective == "step" and hardware.time_ns is None:
        raise InputError(f"{hardware.name}: the description has no time_ns, so --objective step has nothing to compare")
    check_possible(network, hardware)
    found = partition(network, hardware, method=method, seed=seed, progress=progress)
    mapped = []
    for sums in (found.best,) if objective == "spikes" else found.tried:
        positions = place(sums.matrix, hardware, seed, progress, hops=objective == "hops")
        chosen = Partition(sums, found.tried, found.sequential, found.warnings)
        mapped.append(_mapped(chosen, hardware, positions, cost(sums, hardware, positions)))
    return min(mapped, key=lambda one: _figure(one.cost, objective))


def _figure(of: Cost, objective: str) -> float:
    """Return the figure of a cost that an objective compares."""
    figures = {"spikes": of.connectivity, "hops": of.hops_unicast, "energy": of.energy_pj, "step": of.step_ns}
    figure = figures[objective]
    assert figure is not None  # the description has times
    return figure


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
) -> Tuple[MappedNetwork, Dict[Path, bytes]]:
    """Compute the cost of a partition, and a placement, of another program; return the contents of the files too.

    By default snnb places the cores. With `allow_overfull`, cores may exceed limits; the mapping is then invalid. With
    `split_overfull` they are divided. Raise `InputError` if they exceed limits without either, the divided cores are
    more than there are, or a file is not valid.
    """
    core, content = read_partition(partition_file, network, hardware)
    divided: Dict[int, List[int]] = {}
    if split_overfull:
        core, divided = divide_overfull(network, core, hardware)
    cores, contents = int(core.max(initial=-1)) + 1, {partition_file: content}
    if cores > hardware.cores:
        raise too_few_cores(network, hardware, cores)
    if placement_file is not None:
        positions, contents[placement_file] = read_placement(placement_file, cores, hardware)
        cores = len(positions)
    sums = count_traffic(network, core, cores)
    if placement_file is None:
        positions = place(sums.matrix, hardware, seed, progress)
    costs = cost(sums, hardware, positions)
    exceeded = exceeded_limits(costs.contents, hardware)
    if exceeded and not allow_overfull:
        raise InputError(
            f"{partition_file} breaks limits of {hardware.name}: {exceeded}; choose larger hardware or more parts, or "
            "give --split-overfull to divide these cores, or --allow-overfull to cost it as an invalid mapping"
        )
    warnings = (_divided_in_words(partition_file, divided, hardware),) if divided else ()
    found = Partition(replace(sums, method=FROM_A_FILE), (), sequential_baseline(network, hardware, progress), warnings)
    return replace(_mapped(found, hardware, positions, costs), divided=divided), contents


def _divided_in_words(path: Path, divided: Items[int, List[int]], hardware: Hardware) -> str:
    cores = [f"core {core} into {', '.join(map(str, parts))}" for core, parts in divided.items()]
    more = f" and {len(cores) - NAMED:,} more, see cost.json" if len(cores) > NAMED else ""
    return f"cores of {path} that break limits of {hardware.name} are divided: {'; '.join(cores[:NAMED])}{more}"


def _mapped(found: Partition, hardware: Hardware, positions: np.ndarray, costs: Cost) -> MappedNetwork:
    exceeded = exceeded_limits(costs.contents, hardware)
    invalid = [f"invalid mapping, it breaks limits of {hardware.name}: {exceeded}"] if exceeded else []
    return MappedNetwork(hardware, found, positions, costs, (*invalid, *found.warnings))
