"""A mapping that `snnb map` wrote, for programs: which core a neuron is on, and what travels between cores."""

import csv
from io import StringIO
from pathlib import Path
from typing import Dict, Tuple, Union, cast
from typing import Mapping as Figures

import numpy as np
from pydantic import ValidationError
from scipy.sparse import csr_matrix

from snnb.core.errors import InputError
from snnb.io.npy import load_archive
from snnb.io.text import load_json, read_text
from snnb.mapping.hardware import Hardware
from snnb.mapping.number_lines import read_number_lines
from snnb.mapping.write_mapping import CORE_COLUMNS, CORES, COST, PARTITION, TRAFFIC, UNITS

REMEDY = "`snnb map --force` makes the mapping again"
LONGEST = 1 << 31  # bytes of a text file
TOLERANCE = 1e-9  # between sums of the same spikes in another order
Number = Union[int, float]


class Mapping:
    """A mapping, read whole and checked.

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
        Spikes a sample from core (row) to core (column).
    cost : mapping of str to number
        The figures of cost.json: `connectivity`, `hops_unicast`, `energy_pj` and so on.
    first : int
        Id in the graph of the first placed neuron.
    layers : mapping of str to int
        Number of neurons of each placed layer by its name, in the order of the graph's ids.
    """

    def __init__(
        self,
        path: Path,
        hardware: Hardware,
        core: np.ndarray,
        place: np.ndarray,
        held: np.ndarray,
        traffic: csr_matrix,
        cost: Figures[str, Number],
        first: int,
        layers: Figures[str, int],
    ) -> None:
        self.path, self.hardware, self.core, self.place = path, hardware, core, place
        self.held, self.traffic, self.cost, self.first, self.layers = held, traffic, cost, first, layers

    @classmethod
    def open(cls, path: Union[str, Path]) -> "Mapping":
        """Read a directory `maps/<stamp>` of a run.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        InputError
            A file is missing, damaged or altered so that it does not fit the others.
        """
        directory = Path(path)
        for name in (PARTITION, CORES, COST, TRAFFIC):
            if not (directory / name).exists():
                raise InputError(f"{directory / name}: no such file; give a directory maps/STAMP of a run")
        hardware, cost, first, layers = _read_cost(directory / COST)
        core = _read_core(directory / PARTITION, sum(layers.values()))
        place, held = _read_cores(directory / CORES, hardware)
        if core.max(initial=-1) >= len(place) or (np.bincount(core, minlength=len(place)) != held[:, 0]).any():
            raise InputError(f"{directory}: {PARTITION} and {CORES} are not of the same mapping; {REMEDY}")
        traffic = _read_traffic(directory / TRAFFIC, len(place))
        if not np.isclose(traffic.sum(), cost["connectivity"], rtol=TOLERANCE):
            raise InputError(f"{directory}: {TRAFFIC} and {COST} are not of the same mapping; {REMEDY}")
        return cls(directory, hardware, core, place, held, traffic, cost, first, layers)

    def __repr__(self) -> str:
        return f"<Mapping {self.path.name}: {self.core.size:,} neurons on {self.cores:,} cores of {self.hardware.name}>"

    @property
    def cores(self) -> int:
        """Number of cores, empty ones included."""
        return len(self.place)

    def core_of(self, node: int) -> int:
        """Return the core of a neuron by its id in the graph; `IndexError` for one of the input, which has none."""
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


def _read_cost(path: Path) -> Tuple[Hardware, Dict[str, Number], int, Dict[str, int]]:
    content = load_json(path, REMEDY)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no figures; {REMEDY}")
    try:
        hardware = Hardware.model_validate(content.get("hardware"))
    except ValidationError:
        raise InputError(f"{path} describes no hardware; {REMEDY}") from None
    cost: Dict[str, Number] = {}
    for name in UNITS:
        value = content.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
            raise InputError(f"{path}: {name} is no number from 0; {REMEDY}")
        cost[name] = value
    first, layers = content.get("first_id"), content.get("layers")
    if not isinstance(layers, dict) or not all(_is_count(count) for count in (first, *layers.values())):
        raise InputError(f"{path} does not state the id of the first neuron and the neurons of each layer; {REMEDY}")
    return hardware, cost, cast("int", first), layers


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _read_core(path: Path, neurons: int) -> np.ndarray:
    numbers, _ = read_number_lines(path, 1, min(neurons, LONGEST), REMEDY)
    if len(numbers) != neurons:
        raise InputError(f"{path} has {len(numbers):,} lines for {neurons:,} neurons; {REMEDY}")
    return np.ascontiguousarray(numbers[:, 0])


def _read_cores(path: Path, hardware: Hardware) -> Tuple[np.ndarray, np.ndarray]:
    """Return places, and neurons, axons and synapses of each core."""
    rows = csv.reader(StringIO(read_text(path, REMEDY)))
    if tuple(next(rows, ())) != CORE_COLUMNS:
        raise InputError(f"{path} has not the columns {','.join(CORE_COLUMNS)}; {REMEDY}")
    try:
        numbers = np.array([[int(word) for word in row[:6]] for row in rows], np.int64).reshape(-1, 6)
    except (ValueError, OverflowError):
        raise InputError(f"{path} holds a value that is not a number; {REMEDY}") from None
    place = numbers[:, 1:3]
    good = len(numbers) <= hardware.cores and (numbers[:, 0] == np.arange(len(numbers))).all()
    if not good or (place < 0).any() or (place >= hardware.mesh).any() or len(np.unique(place, axis=0)) != len(place):
        raise InputError(f"{path} does not give each core a place of its own on the mesh; {REMEDY}")
    return place.astype(np.int32), numbers[:, 3:]


def _read_traffic(path: Path, cores: int) -> csr_matrix:
    found = load_archive(path, REMEDY, must=("data", "indices", "indptr", "shape"))
    data, indices, indptr = (found[name] for name in ("data", "indices", "indptr"))
    good = (
        found["shape"].tolist() == [cores, cores]
        and data.dtype == np.float64
        and indices.dtype.kind == indptr.dtype.kind == "i"
        and data.shape == indices.shape == (data.size,)
        and indptr.shape == (cores + 1,)
        and indptr[0] == 0
        and indptr[-1] == data.size
        and (np.diff(indptr) >= 0).all()
        and ((indices >= 0) & (indices < cores)).all()
        and np.isfinite(data).all()
        and (data >= 0).all()
    )
    if not good:
        raise InputError(f"{path} is no matrix of spikes between {cores:,} cores; {REMEDY}")
    return csr_matrix((data, indices, indptr), shape=(cores, cores))
