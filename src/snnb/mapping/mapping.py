"""Reading of a mapping that `snnb map` has written."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Tuple, Union
from typing import Mapping as Items

import numpy as np
from scipy.sparse import csr_matrix, load_npz

from snnb.core.errors import InputError
from snnb.mapping.hardware import Hardware

REMEDY = "`snnb map --force` makes the mapping again"
PARTITION, CORES, TRAFFIC, COST = "partition.txt", "cores.csv", "traffic.npz", "cost.json"
CHECKSUM = "sha256"
CORE_COLUMNS = ("core", "x", "y", "neurons", "axons", "synapses", "spikes_in", "spikes_out")
HELD = ("neurons", "axons", "synapses")
UNITS = {
    "connectivity": "spikes between cores a sample",
    "cut": "spikes that leave their core a sample",
    "hops_unicast": "links crossed a sample, each core being sent a spike of its own",
    "hops_multicast": "links crossed a sample, a spike being copied where its routes part",
    "energy_pj": "pJ a sample",
    "latency_ns_mean": "ns, mean over the spikes between cores",
    "latency_ns_max": "ns",
    "link_load_mean": "spikes a sample over a link in one direction, mean over all links of the mesh",
    "link_load_max": "spikes a sample over a link in one direction",
    "cores": "cores with neurons",
    "reuse": "synapses / axons of a core, mean over the cores that have axons",
    "outside_spikes": "spikes a sample that cores receive from a spiking input",
    "seconds": "s that the mapping took",
}
# What only some descriptions have figures of
FURTHER_UNITS = {
    "chips": "chips with neurons",
    "spikes_between_chips": "spikes a sample between cores of different chips",
    "hops_between_chips": "links between chips crossed a sample, each core being sent a spike of its own",
    "step_ns": "ns of a time step with the mean number of events",
    "sample_ns": "ns between the beginnings of two samples",
    "sample_latency_ns": "ns until a sample has passed all layers",
}
Number = Union[int, float]


@dataclass(frozen=True, eq=False, repr=False)
class Mapping:
    """A mapping.

    Attributes
    ----------
    path : Path
        The directory.
    hardware : Hardware
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, in the order of the graph's ids.
    place : ndarray of int32, shape (cores, 2)
        x and y of each core.
    held : ndarray of int64, shape (cores, 3)
        Neurons, axons and synapses of each core.
    traffic : csr_matrix of float64, shape (cores, cores)
        Spikes per sample from core (row) to core (column).
    cost : mapping of str to number
        The figures of cost.json: `connectivity`, `hops_unicast`, `energy_pj` and so on.
    first : int
        Id in the graph of the first placed neuron.
    layers : mapping of str to int
        Number of neurons of each placed layer by its name, in the order of the graph's ids.
    per_core : mapping of str to ndarray, shape (cores,)
        Figures of the cores: `synapses`, and where the hardware has them `axons_out`, `memory_bits`, `step_ns`.
    energy : mapping of str to float
        Energy in pJ per sample of each kind of event; empty if the hardware has no such figures.
    """

    path: Path
    hardware: Hardware
    core: np.ndarray
    place: np.ndarray
    held: np.ndarray
    traffic: csr_matrix
    cost: Items[str, Number]
    first: int
    layers: Items[str, int]
    per_core: Items[str, np.ndarray]
    energy: Items[str, float]

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
        stated = _verified(directory)
        cores = np.loadtxt(directory / CORES, np.int64, delimiter=",", skiprows=1, usecols=range(1, 6), ndmin=2)
        return cls(
            directory,
            Hardware.model_validate(stated["hardware"]),
            np.loadtxt(directory / PARTITION, np.int32, ndmin=1),
            cores[:, :2].astype(np.int32),
            cores[:, 2:],
            load_npz(directory / TRAFFIC),
            {name: stated[name] for name in stated["units"]},
            stated["first_id"],
            stated["layers"],
            {name: np.array(values) for name, values in stated["per_core"].items()},
            stated.get("energy_by_event_pj", {}),
        )

    def __repr__(self) -> str:
        return f"<Mapping {self.path.name}: {self.core.size:,} neurons on {self.cores:,} cores of {self.hardware.name}>"

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


def checksum(directory: Path, stated: Items[str, object]) -> str:
    """Return the SHA-256 of a mapping's data files and of cost.json, without `seconds`, which differs each time."""
    content = {key: value for key, value in stated.items() if key != "seconds"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in (PARTITION, CORES, TRAFFIC):
        digest.update((directory / name).read_bytes())
    return digest.hexdigest()


def _verified(directory: Path) -> Dict[str, Any]:
    """Return the content of cost.json, if the checksum in it matches."""
    try:
        stated = json.loads((directory / COST).read_bytes())
    except ValueError:
        raise InputError(f"{directory / COST} is not valid JSON; {REMEDY}") from None
    if not isinstance(stated, dict) or stated.pop(CHECKSUM, None) != checksum(directory, stated):
        raise InputError(f"{directory}: a file is damaged, its checksum does not match; {REMEDY}")
    return stated
