"""The data files of a mapping, written and read.

They are `partition.txt`, `cores.csv`, `links.csv`, `traffic.npz`, and `cost.json`; and `messages.npz` if spike
times were recorded. If neurons have names, they are in `partition_names.csv`, and in the last column of `cores.csv`.
"""

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix, load_npz, save_npz

from snnb.chips.hardware import NO_LIMIT, Hardware, Limits
from snnb.core.errors import DamagedError, InputError
from snnb.io.files import read_bytes
from snnb.io.text import Document, html_table, read_document
from snnb.mapping.cost import UNITS, Cost
from snnb.mapping.limits import least_cores, overfull_cores
from snnb.mapping.links import write_links
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.time_costs import Messages, RecordedSteps, StepLoads
from snnb.mapping.traffic import TrafficSums

Number = Union[int, float]
SECONDS = "s, duration of the mapping"
RECORDED = ("cores", "chips", "connectivity", "hops_unicast", "energy_pj", "step_ns")  # in the manifest


class Contents(Document):
    """Contents of the cores of one kind, such as neurons, and their limit."""

    mean: float  # over the cores with neurons
    max: int
    core: int  # the first core with the maximum
    limit: Optional[int]
    share: Optional[float]  # max / limit


class Candidate(Document):
    """A partition that was tried, or the sequential baseline."""

    method: str
    cores: int
    connectivity: float

    @classmethod
    def of(cls, sums: TrafficSums) -> "Candidate":
        """Return the figures of a partition."""
        return cls(method=sums.method, cores=sums.cores, connectivity=sums.connectivity)


class MappingCost(Cost):
    """Content of `cost.json`: cost and provenance of a mapping; docs/mapping.md defines the quantities."""

    model: str
    graph: str  # stamp
    objective: str
    seed: int
    seconds: float
    split_overfull: Optional[Dict[int, List[int]]] = None  # divided cores of a file's partition, and their parts
    assumed_spikes: Optional[bool] = None  # True: there are no spike counts, and one spike per neuron is assumed
    by_step: Optional[StepLoads] = None  # None: no spike times were recorded
    recorded: Optional[RecordedSteps] = None
    hardware: Hardware
    limits: Dict[str, Optional[int]]
    least_cores: Dict[str, int]  # lower bound by each limit
    valid: bool
    overfull: Dict[str, List[int]]  # cores that exceed each limit
    method: str
    neurons: int  # that are placed
    first_id: int  # id in the graph of the first of them
    samples: int
    layers: Dict[str, int]  # neurons of each placed population, in the order of the ids
    neurons_per_core: Contents
    axons_per_core: Contents
    synapses_per_core: Contents
    axons_out_per_core: Optional[Contents] = None
    memory_bits_per_core: Optional[Contents] = None
    sequential: Candidate
    tried: List[Candidate]
    units: Dict[str, str]
    sha256: Optional[str] = Field(default=None, pattern=r"^[0-9a-f]{64}$")  # see `checksum`

    @classmethod
    def of(
        cls,
        mapped: MappedNetwork,
        *,
        model: str = "",
        graph: str = "",
        objective: str = "spikes",
        seed: int = 0,
        seconds: float = 0.0,
        by_step: Optional[StepLoads] = None,
        recorded: Optional[RecordedSteps] = None,
    ) -> "MappingCost":
        """Return the cost of a mapped network."""
        cost, network = mapped.cost, mapped.network
        contents = {name: _contents(mapped, name) for name in cost.contents}
        overfull = {name: cores.tolist() for name, cores in overfull_cores(cost.contents, mapped.hardware).items()}
        units = {**{name: unit for name, unit in UNITS.items() if getattr(cost, name) is not None}, "seconds": SECONDS}
        if mapped.hardware.energy_of == "network":
            units["energy_pj"] += ", without neurons and messages"
        return cls(
            **dict(cost),
            model=model,
            graph=graph,
            objective=objective,
            seed=seed,
            seconds=seconds,
            split_overfull=dict(mapped.divided) or None,
            assumed_spikes=network.graph.assumed_spikes or None,
            by_step=by_step,
            recorded=recorded,
            hardware=mapped.hardware,
            limits={name: one.limit for name, one in contents.items()},
            least_cores={name: n for name, n in least_cores(network, mapped.hardware).items() if name in contents},
            valid=not any(overfull.values()),
            overfull=overfull,
            method=mapped.partition.best.method,
            neurons=network.neurons,
            first_id=network.first,
            samples=network.samples,
            layers={population.name: population.size for population in network.populations},
            neurons_per_core=contents["neurons"],
            axons_per_core=contents["axons"],
            synapses_per_core=contents["synapses"],
            axons_out_per_core=contents.get("axons_out"),
            memory_bits_per_core=contents.get("memory_bits"),
            sequential=Candidate.of(mapped.partition.sequential),
            tried=[Candidate.of(sums) for sums in mapped.partition.tried],
            units=units,
        )

    @property
    def figures(self) -> Dict[str, Number]:
        """The scalar figures by name."""
        values = {name: getattr(self, name) for name in UNITS}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def fill(self) -> Dict[str, Contents]:
        """Mean and maximum contents of the cores and their limit, by the names of `Limits`."""
        return {name: getattr(self, f"{name}_per_core") for name in self.limits}

    @property
    def overfull_cores(self) -> List[int]:
        """Cores that exceed at least one limit, ascending."""
        return sorted({core for cores in self.overfull.values() for core in cores})

    def metrics(self) -> Dict[str, Union[Number, None]]:
        """Return the figures that the manifest records."""
        peak = {} if self.by_step is None else {"link_load_peak": self.by_step.link_load_peak}
        figures = {name: self.figures[name] for name in RECORDED if name in self.figures}
        return {**figures, **peak, "sequential_connectivity": self.sequential.connectivity}

    def log_lines(self, warnings: Sequence[str]) -> List[str]:
        """Return the lines of the log: limits, contents of the cores, cost, and the partitions that were tried."""
        hardware, empty = self.hardware, len(self.per_core["neurons"]) - self.cores
        text = [
            f"{self.neurons:,} neurons on {self.cores:,} of the {hardware.cores:,} cores of {hardware.name}, "
            f"{hardware.mesh[0]}×{hardware.mesh[1]}",
            f"source of the figures: {hardware.source}",
        ]
        name, cores = max(self.least_cores.items(), key=lambda one: one[1])
        text.append(f"no mapping has fewer than {cores:,} cores, by the limit of {name}")
        if empty:
            text.append(f"{empty:,} core numbers of the partition have no neurons; these cores remain empty")
        text += ["", "a core                      mean         max   limit"]
        for name, core in self.fill.items():
            limit = "any number" if core.limit is None else f"{core.limit:,}: {core.share:.0%} full"
            text.append(f"  {name:<18}{core.mean:>12,.1f}{core.max:>12,}   {limit} (core {core.core:,} has most)")
        text += ["", "cost"]
        text += [f"  {name:<24}{value:>14,.6g}  {self.units[name]}" for name, value in self.figures.items()]
        if self.max_over_mean:
            text += ["", "largest load over the mean"]
            text += [f"  {name:<24}{value:>14,.4g}" for name, value in self.max_over_mean.items()]
        if self.step_bound is not None:
            of_core = "" if self.step_bound.core is None else f", core {self.step_bound.core:,}"
            text.append(f"time of a step bounded by: {self.step_bound.by}, {self.step_bound.ns:,.6g} ns{of_core}")
        if self.events is not None and self.energy_by_event_pj is not None:
            total = sum(self.energy_by_event_pj.values())
            text += ["", "energy of a sample             events            pJ"]
            for name, picojoules in self.energy_by_event_pj.items():
                share = picojoules / total if total else 0.0
                text.append(f"  {name:<18}{self.events[name]:>17,.6g}{picojoules:>14,.6g}  {share:.1%}")
        text += ["", "partition                  cores  connectivity"]
        for one in self.tried if self.sequential in self.tried else [*self.tried, self.sequential]:
            note = "" if one in self.tried else "  for comparison"
            text.append(f"  {one.method:<20}{one.cores:>10,}{one.connectivity:>14,.6g}{note}")
        also = "either" if self.connectivity == 0 else f"but {self.connectivity:,.6g} in this mapping"
        ratio = f"and in sequential order, no spikes travel between cores {also}"
        if self.sequential.connectivity:
            share = self.connectivity / self.sequential.connectivity
            ratio = f"{share:.2f} × the connectivity of the sequential mapping"
        text += [f"taken: {self.method}, {ratio}", *warnings]
        for number in self.overfull_cores:
            exceeded = [name for name, cores in self.overfull.items() if number in cores]
            parts = [f"{self.per_core[name][number]:,} {name} of {self.limits[name]:,}" for name in exceeded]
            text.append(f"  core {number:,}: " + ", ".join(parts))
        if self.by_step is not None:
            text.append(self.by_step.line())
        if self.recorded is not None:
            text.append(self.recorded.line())
        return text


def _contents(mapped: MappedNetwork, name: str) -> Contents:
    numbers = mapped.cost.per_core[name]
    limit: int = getattr(Limits.of(mapped.hardware), name)
    largest, is_used = int(numbers.max(initial=0)), mapped.cost.per_core["neurons"] > 0
    return Contents(
        mean=float(numbers[is_used].mean()) if is_used.any() else 0.0,
        max=largest,
        core=int(np.argmax(numbers)),
        limit=None if limit == NO_LIMIT else limit,
        share=None if limit == NO_LIMIT else largest / limit,
    )


PARTITION, CORES, TRAFFIC, COST = "partition.txt", "cores.csv", "traffic.npz", "cost.json"
LINKS = "links.csv"
MESSAGES = "messages.npz"  # if spike times were recorded
NAMES = "partition_names.csv"  # of a graph whose neurons have names


@dataclass(frozen=True, eq=False, repr=False)
class Mapping:
    """A mapping written by `snnb map`.

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
    names : list of str, or None
        Name of each placed neuron, in the order of `core`; in a graph of several populations `POPULATION,NAME`. None if
        neurons have no names.
    """

    path: Path
    core: np.ndarray
    place: np.ndarray
    traffic: csr_matrix
    cost: MappingCost
    names: Optional[List[str]] = None

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
        names = None
        if (directory / NAMES).exists():
            with (directory / NAMES).open(encoding="utf-8", newline="") as file:
                names = [name for name, _ in list(csv.reader(file))[1:]]
        return cls(
            directory,
            np.loadtxt(directory / PARTITION, np.int32, ndmin=1),
            np.loadtxt(directory / CORES, np.int32, delimiter=",", skiprows=1, usecols=(1, 2), ndmin=2),
            load_npz(directory / TRAFFIC),
            cost,
            names,
        )

    def __repr__(self) -> str:
        return f"<Mapping {self.path.name}: {self.core.size:,} neurons on {self.cores:,} cores of {self.hardware.name}>"

    def _repr_html_(self) -> str:
        return html_table(repr(self)[1:-1], self.cost.metrics().items())

    @property
    def hardware(self) -> Hardware:
        """Hardware description."""
        return self.cost.hardware

    @property
    def per_core(self) -> Dict[str, np.ndarray]:
        """Figures of the cores, each of shape (cores,).

        They are `neurons`, `axons`, `synapses`, `spikes_in`, `spikes_out`, `synaptic_operations`, and where the
        hardware has them `axons_out`, `memory_bits`, `step_ns`.
        """
        return self.cost.per_core

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


def write_mapping(
    directory: Path, mapped: MappedNetwork, cost: MappingCost, messages: Optional[Messages] = None
) -> Mapping:
    """Write the data files of a mapping, `cost` without a checksum, and return the mapping."""
    (directory / PARTITION).write_text("".join(f"{core}\n" for core in mapped.core.tolist()), encoding="utf-8")
    names = None if mapped.network.graph.names is None else list(mapped.network.graph.names[mapped.network.first :])
    x, y = mapped.place.T.tolist()
    figures = {name: numbers.tolist() for name, numbers in cost.per_core.items()}
    columns: Dict[str, Sequence[object]] = {"core": range(len(x)), "x": x, "y": y, **figures}
    if names is not None:
        _write_csv(directory / NAMES, {"name": names, "core": mapped.core.tolist()})
        by_core, sizes = np.argsort(mapped.core, kind="stable"), np.bincount(mapped.core, minlength=len(x))
        cells = []  # of each core: a row of a CSV that is separated by semicolons
        for ids in np.split(by_core, np.cumsum(sizes)[:-1]):
            row = io.StringIO()
            csv.writer(row, delimiter=";", lineterminator="").writerow([names[k] for k in ids.tolist()])
            cells.append(row.getvalue())
        columns["names"] = cells
    _write_csv(directory / CORES, columns)
    traffic = mapped.partition.best.matrix
    save_npz(directory / TRAFFIC, traffic)  # numpy sets a fixed time: the same bytes each time
    write_links(directory / LINKS, mapped.partition.best, mapped.hardware.router_of(mapped.place))
    if messages is not None:
        np.savez_compressed(directory / MESSAGES, **messages._asdict())
    cost = cost.model_copy(update={"sha256": checksum(directory, cost)})
    cost.write(directory / COST)
    return Mapping(directory, mapped.core, mapped.place, traffic, cost, names)


def _write_csv(path: Path, columns: Dict[str, Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *zip(*columns.values())])


def checksum(directory: Path, cost: MappingCost) -> str:
    """Return the SHA-256 of a mapping's data files and of cost.json, without `seconds`, which differs each time."""
    content: Dict[str, object] = {
        k: v for k, v in cost.model_dump(mode="json").items() if k not in ("seconds", "sha256")
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    optional = [name for name in (NAMES, MESSAGES) if (directory / name).exists()]
    for name in (PARTITION, CORES, TRAFFIC, LINKS, *optional):
        digest.update(read_bytes(directory / name))
    return digest.hexdigest()
