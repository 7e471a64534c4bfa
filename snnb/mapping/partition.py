"""Stand-in until map-core has its own."""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from snnb.mapping.cost import connectivity
from snnb.mapping.hardware import Hardware
from snnb.mapping.limits import Limits
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.sequential import sequential
from snnb.progress import Progress, silent


@dataclass(frozen=True)
class Tried:
    """What one method gave."""

    method: str
    cores: int
    connectivity: float


@dataclass(frozen=True, eq=False)
class Partition:
    """A core for each neuron."""

    core: np.ndarray
    method: str
    tried: Tuple[Tried, ...]


def partition(
    network: PlacedNetwork, hardware: Hardware, *, method: str = "auto", seed: int = 0, progress: Progress = silent
) -> Partition:
    """Give each neuron a core."""
    core = sequential(network, Limits.of(hardware), progress)
    cores = int(core.max()) + 1
    return Partition(core, "sequential", (Tried("sequential", cores, connectivity(network, core, cores)),))
