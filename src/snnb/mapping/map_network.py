"""From a network and hardware to cores, places and costs."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Optional, Sequence, Tuple

import numpy as np

from snnb.core.progress import Progress, silent
from snnb.mapping.cost import Cost, cost
from snnb.mapping.foreign import check_limits, read_partition, read_placement
from snnb.mapping.hardware import Hardware, descriptions
from snnb.mapping.limits import Limits, check_possible, exceeded_limits, overfull_cores, too_few_cores
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.partition import Partition, Tried, partition
from snnb.mapping.placement import place, total_hops
from snnb.mapping.sequential import sequential
from snnb.mapping.traffic import traffic

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FROM_A_FILE = "file"


@dataclass(frozen=True, eq=False)
class MappedNetwork:
    """A network on cores, the cores on a mesh, and what that costs.

    Attributes
    ----------
    network : PlacedNetwork
    hardware : Hardware
    core : ndarray of int32, shape (neurons,)
    place : ndarray of int32, shape (cores, 2)
        x and y.
    traffic : csr_matrix of float64, shape (cores, cores)
        Spikes from core to core a sample.
    cost : Cost
    method : str
        Method that made the partition: `sequential`, `groups`, `hypergraph`, or `file`.
    tried : tuple of Tried
        The partition of each method; empty for a partition from a file.
    sequential : Tried
        The mapping in the order of ids, to compare with.
    warnings : tuple of str
        Limits that are exceeded; methods that could not be tried, and why.
    """

    network: PlacedNetwork
    hardware: Hardware
    core: np.ndarray
    place: np.ndarray
    traffic: "csr_matrix"
    cost: Cost
    method: str
    tried: Tuple[Tried, ...]
    sequential: Tried
    warnings: Tuple[str, ...]

    @cached_property
    def overfull(self) -> Dict[str, np.ndarray]:
        """Cores that exceed each limit, by `neurons`, `axons` and `synapses`; all empty where the mapping is valid."""
        return overfull_cores((self.cost.neurons, self.cost.axons, self.cost.synapses), self.hardware)

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
    """Find cores and places.

    Parameters
    ----------
    network : PlacedNetwork
    hardware : Hardware
    method : {"auto", "sequential", "groups", "hypergraph"}
    objective : {"spikes", "hops"}
        `spikes`: place the partition with the lowest connectivity. `hops`: place the partition of each method, and
        keep the one with the fewest hops.
    seed : int
        Of everything random; the same seed gives the same mapping.
    progress : Progress
        Told how far it is, with the objective so far.

    Raises
    ------
    InputError
        The network cannot be on this hardware, or not with this method.
    """
    check_possible(network, hardware, list(descriptions().values()))
    if objective == "hops" and method == "auto":
        found = _fewest_hops(network, hardware, seed, progress)
    else:
        parts = partition(network, hardware, method=method, seed=seed, progress=progress)
        found = parts, *_placed(network, hardware, parts.core, seed, progress)
    parts, between, places = found
    return _costed(network, hardware, parts, between, places, progress)


def cost_partition(
    network: PlacedNetwork,
    hardware: Hardware,
    partition_file: Path,
    placement_file: Optional[Path] = None,
    *,
    allow_overfull: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Tuple[MappedNetwork, Dict[Path, bytes]]:
    """Cost a partition that was made elsewhere, with a placement made elsewhere or ours.

    Parameters
    ----------
    network : PlacedNetwork
    hardware : Hardware
    partition_file : Path
    placement_file : Path, optional
    allow_overfull : bool
        Accept cores that exceed limits; the mapping is then invalid.
    seed : int
        Of the placement, where no file has it.
    progress : Progress

    Returns
    -------
    mapped : MappedNetwork
    read : dict of Path to bytes
        The files and what was read of them.

    Raises
    ------
    InputError
        A file is not valid, or the partition exceeds limits and `allow_overfull` is False.
    """
    core, content = read_partition(partition_file, network, hardware)
    cores, read = int(core.max(initial=-1)) + 1, {partition_file: content}
    if placement_file is not None:
        places, read[placement_file] = read_placement(placement_file, cores, hardware)
        cores = len(places)
    if not allow_overfull:
        check_limits(partition_file, network, core, cores, hardware)
    between = traffic(network, core, cores)
    if placement_file is None:
        places = place(between, hardware, seed, progress)
    parts = Partition(core, FROM_A_FILE, ())
    return _costed(network, hardware, parts, between, places, progress), read


def _placed(
    network: PlacedNetwork, hardware: Hardware, core: np.ndarray, seed: int, progress: Progress
) -> Tuple["csr_matrix", np.ndarray]:
    cores = int(core.max(initial=-1)) + 1
    if cores > hardware.cores:
        raise too_few_cores(network, hardware, cores, list(descriptions().values()))
    between = traffic(network, core, cores)
    return between, place(between, hardware, seed, progress)


def _fewest_hops(
    network: PlacedNetwork, hardware: Hardware, seed: int, progress: Progress
) -> Tuple[Partition, "csr_matrix", np.ndarray]:
    """Place the partition of each method, and keep the one with the fewest hops."""
    found = partition(network, hardware, seed=seed, progress=progress)
    placed = [(one, *_placed(network, hardware, one.core, seed, progress)) for one in found.tried]
    taken, between, places = min(placed, key=lambda of: total_hops(*of[1:]))
    return replace(found, core=taken.core, method=taken.method), between, places


def _costed(
    network: PlacedNetwork,
    hardware: Hardware,
    parts: Partition,
    between: "csr_matrix",
    places: np.ndarray,
    progress: Progress,
) -> MappedNetwork:
    found = cost(network, parts.core, hardware, places)
    exceeded = exceeded_limits((found.neurons, found.axons, found.synapses), hardware)
    invalid = [f"invalid mapping, it breaks limits of {hardware.name}: {exceeded}"] if exceeded else []
    return MappedNetwork(
        network,
        hardware,
        parts.core,
        places,
        between,
        found,
        parts.method,
        parts.tried,
        _yardstick(network, hardware, parts.tried, progress),
        (*invalid, *parts.warnings),
    )


def _yardstick(network: PlacedNetwork, hardware: Hardware, tried: Sequence[Tried], progress: Progress) -> Tried:
    """Return the mapping in the order of ids, tried or made now; it may need more cores than there are."""
    for one in tried:
        if one.method == "sequential":
            return one
    return Tried.of("sequential", network, sequential(network, Limits.of(hardware), progress))
