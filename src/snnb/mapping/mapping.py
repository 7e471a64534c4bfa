"""The data files of a mapping: `partition.txt`, `cores.csv`, `traffic.npz` and `cost.json`, written and read."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple, Union
from typing import Mapping as Items

import numpy as np
from scipy.sparse import csr_matrix, load_npz, save_npz

from snnb.core.errors import DamagedError, InputError
from snnb.io.text import read_document
from snnb.mapping.hardware import Hardware
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.mapping_cost import OF_CORES, MappingCost, Number

PARTITION, CORES, TRAFFIC, COST = "partition.txt", "cores.csv", "traffic.npz", "cost.json"
CORE_COLUMNS = ("core", "x", "y", *OF_CORES)


@dataclass(frozen=True, eq=False, repr=False)
class Mapping:
    """A mapping that `snnb map` has written.

    Attributes
    ----------
    path : Path
        The directory.
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, in the order of the graph's ids.
    place : ndarray of int32, shape (cores, 2)
        x and y of each core.
    traffic : csr_matrix of float64, shape (cores, cores)
        Spikes per sample from core (row) to core (column).
    cost : MappingCost
        The content of cost.json: `cost.connectivity`, `cost.hops_unicast`, `cost.energy_pj` and so on.
    per_core : mapping of str to ndarray, shape (cores,)
        Figures of the cores: `neurons`, `axons`, `synapses`, `spikes_in`, `spikes_out`, and where the hardware has them
        `axons_out`, `memory_bits`, `step_ns`.
    """

    path: Path
    core: np.ndarray
    place: np.ndarray
    traffic: csr_matrix
    cost: MappingCost
    per_core: Items[str, np.ndarray]

    @classmethod
    def open(cls, path: Union[str, Path]) -> "Mapping":
        """Read a directory `maps/<stamp>` of a run.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        InputError : a file is missing, or the checksum does not match
        """
        directory = Path(path)
        for name in (PARTITION, CORES, TRAFFIC, COST):
            if not (directory / name).exists():
                raise InputError(f"{directory / name}: no such file; give a directory maps/STAMP of a run")
        cost = read_document(MappingCost, directory / COST)
        if cost.sha256 != checksum(directory, cost):
            raise DamagedError(directory, "a file is damaged, its checksum does not match")
        return cls(
            directory,
            np.loadtxt(directory / PARTITION, np.int32, ndmin=1),
            np.loadtxt(directory / CORES, np.int32, delimiter=",", skiprows=1, usecols=(1, 2), ndmin=2),
            load_npz(directory / TRAFFIC),
            cost,
            {name: np.array(values) for name, values in cost.per_core.items()},
        )

    def __repr__(self) -> str:
        return f"<Mapping {self.path.name}: {self.core.size:,} neurons on {self.cores:,} cores of {self.hardware.name}>"

    @property
    def hardware(self) -> Hardware:
        """Hardware description."""
        return self.cost.hardware

    @property
    def first(self) -> int:
        """Id in the graph of the first placed neuron."""
        return self.cost.first_id

    @property
    def cores(self) -> int:
        """Number of cores, including empty ones."""
        return len(self.place)

    def core_of(self, node: int) -> int:
        """Return the core of a neuron by its id in the graph; raise `IndexError` for a neuron of the input."""
        if not self.first <= node < self.first + self.core.size:
            raise IndexError(f"node {node} is not placed; placed are {self.first} to {self.first + self.core.size - 1}")
        return int(self.core[node - self.first])

    def neurons_of(self, core: int) -> np.ndarray:
        """Return the ids in the graph of the neurons of a core: int64, ascending."""
        self._check_core(core)
        return np.flatnonzero(self.core == core) + self.first

    def place_of(self, core: int) -> Tuple[int, int]:
        """Return x and y of a core."""
        self._check_core(core)
        x, y = self.place[core]
        return int(x), int(y)

    def _check_core(self, core: int) -> None:
        if not 0 <= core < self.cores:
            raise IndexError(f"no core {core}: the mapping has {self.cores} cores, numbered from 0")


def write_mapping(directory: Path, mapped: MappedNetwork, cost: MappingCost) -> None:
    """Write the data files of a mapping; `cost` without a checksum."""
    (directory / PARTITION).write_text("".join(f"{core}\n" for core in mapped.core.tolist()))
    columns: List[Sequence[Number]] = [range(len(mapped.place)), *mapped.place.T.tolist(), *cost.per_core.values()]
    rows = [",".join([*CORE_COLUMNS[:3], *cost.per_core]), *(",".join(map(repr, row)) for row in zip(*columns))]
    (directory / CORES).write_text("\n".join(rows) + "\n")
    save_npz(directory / TRAFFIC, mapped.traffic)  # numpy sets a fixed time: the same bytes each time
    cost.model_copy(update={"sha256": checksum(directory, cost)}).write(directory / COST)


def checksum(directory: Path, cost: MappingCost) -> str:
    """Return the SHA-256 of a mapping's data files and of cost.json, without `seconds`, which differs each time."""
    content: Dict[str, object] = {
        k: v for k, v in cost.model_dump(mode="json").items() if k not in ("seconds", "sha256")
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in (PARTITION, CORES, TRAFFIC):
        digest.update((directory / name).read_bytes())
    return digest.hexdigest()
