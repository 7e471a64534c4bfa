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
from typing_extensions import Annotated

from snnb.chips.hardware import NO_LIMIT, Hardware, Limits
from snnb.core.errors import DamagedError, InputError
from snnb.core.quantities import Quantity, number, prefixed, quantities_of, rows, units
from snnb.io.files import read_bytes
from snnb.io.text import Document, html_table, read_document
from snnb.mapping.cost import Cost
from snnb.mapping.limits import least_cores, overfull_cores
from snnb.mapping.links import write_links
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.quantities import Baseline, Connectivity, Cores
from snnb.mapping.time_costs import Messages, RecordedSteps, StepLoads
from snnb.mapping.traffic import TrafficSums


class Contents(Document):
    """Contents of the cores of one kind, such as neurons, and their limit."""

    mean: float  # over the cores with neurons
    max: int
    core: int  # the first core with the maximum
    limit: Optional[int]
    share: Optional[float]  # max / limit


class Candidate(Document):
    """A partition that was tried."""

    method: str
    cores: Cores
    connectivity: Connectivity

    @classmethod
    def of(cls, sums: TrafficSums) -> "Candidate":
        """Return the figures of a partition."""
        return cls(method=sums.method, cores=sums.cores, connectivity=sums.connectivity)


class MappingCost(Cost):
    """Content of `cost.json`: cost and provenance of a mapping."""

    model: str
    graph: str  # stamp
    objective: str
    seed: int
    seconds: Annotated[float, Quantity("duration of the mapping", unit="s")] = Field(
        description="wall time of partition, placement and cost"
    )
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
    sequential: Baseline
    tried: List[Candidate]
    units: Dict[str, str] = Field(default_factory=dict)  # of the quantities that have a value
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
        made = cls(
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
            sequential=_baseline(cost, mapped.partition.sequential),
            tried=[Candidate.of(sums) for sums in mapped.partition.tried],
        )
        return made.model_copy(update={"units": units(made)})

    @property
    def fill(self) -> Dict[str, Contents]:
        """Mean and maximum contents of the cores and their limit, by the names of `Limits`."""
        return {name: getattr(self, f"{name}_per_core") for name in self.limits}

    @property
    def overfull_cores(self) -> List[int]:
        """Cores that exceed at least one limit, ascending."""
        return sorted({core for cores in self.overfull.values() for core in cores})

    def log_lines(self, warnings: Sequence[str]) -> List[str]:
        """Return the lines of the log: limits, contents of the cores, cost, and the partitions that were tried."""
        hardware = self.hardware
        cores = self.cores.cores
        text = [
            f"{self.neurons:,} neurons on {cores:,} of the {hardware.cores:,} cores of {hardware.name}, "
            f"{hardware.mesh[0]}×{hardware.mesh[1]}",
            f"source of the figures: {hardware.source}",
        ]
        limit_name, least = max(self.least_cores.items(), key=lambda item: item[1])
        text.append(f"no mapping has fewer than {least:,} cores, by the limit of {limit_name}")
        empty = len(self.per_core["neurons"]) - cores
        if empty:
            text.append(f"{empty:,} core numbers of the partition have no neurons; these cores remain empty")
        text += ["", "a core                      mean         max   limit"]
        for name, core in self.fill.items():
            limit = "any number" if core.limit is None else f"{core.limit:,}: {core.share:.0%} full"
            text.append(f"  {name:<18}{core.mean:>12,.1f}{core.max:>12,}   {limit} (core {core.core:,} has most)")
        text += ["", "cost"]
        text += [f"  {row.title:<30}{row.value:>12}  {row.unit}".rstrip() for row in rows(self, COST_TABLE)]
        if self.max_over_mean:
            text += ["", "largest load over the mean"]
            text += [f"  {name:<30}{number(ratio).value:>12}" for name, ratio in self.max_over_mean.items()]
        text += self._energy_and_time_lines()
        text += ["", "partition                  cores  connectivity"]
        tried = [(one.method, one.cores, one.connectivity, "") for one in self.tried]
        if "sequential" not in {one.method for one in self.tried}:
            sequential = self.sequential
            baseline = (sequential.sequential_cores, sequential.sequential_connectivity)
            tried.append(("sequential", *baseline, "  for comparison"))
        for method, number_of_cores, connectivity, note in tried:
            text.append(f"  {method:<20}{number_of_cores:>10,}{number(connectivity).value:>14}{note}")
        text += [f"taken: {self.method}, {self._comparison()}", *warnings]
        for core_number in self.overfull_cores:
            exceeded = [name for name, numbers in self.overfull.items() if core_number in numbers]
            parts = [f"{self.per_core[name][core_number]:,} {name} of {self.limits[name]:,}" for name in exceeded]
            text.append(f"  core {core_number:,}: " + ", ".join(parts))
        if self.by_step is not None:
            text.append(self.by_step.line())
        if self.recorded is not None:
            text.append(self.recorded.line())
        return text

    def _energy_and_time_lines(self) -> List[str]:
        """Return the lines of the log about what bounds a step, and the energy of each event."""
        text = []
        if self.step is not None:
            bound = self.step.step_bound
            of_core = "" if bound.core is None else f", core {bound.core:,}"
            text.append(f"time of a step bounded by: {bound.by}, {' '.join(prefixed(bound.ns, 'ns'))}{of_core}")
        if self.events is not None and self.energy_by_event_pj is not None:
            total = sum(self.energy_by_event_pj.values())
            text += ["", "energy of a sample             events        energy"]
            for name, picojoules in self.energy_by_event_pj.items():
                share = picojoules / total if total else 0.0
                event_count = number(self.events[name]).value
                energy = " ".join(prefixed(picojoules, "pJ"))
                text.append(f"  {name:<18}{event_count:>17}{energy:>14}  {share:.1%}")
        return text

    def _comparison(self) -> str:
        """Return the connectivity, compared with that of the sequential mapping, as text."""
        ratio = self.sequential.connectivity_ratio
        if ratio is not None:
            return f"{ratio:.2f} × the connectivity of the sequential mapping"
        connectivity = self.traffic.connectivity
        also = "either" if connectivity == 0 else f"but {number(connectivity).value} in this mapping"
        return f"and in sequential order, no spikes travel between cores {also}"


COST_TABLE = quantities_of(Cost)


def _baseline(cost: Cost, sequential: TrafficSums) -> Baseline:
    ratio: Optional[float] = None
    if sequential.connectivity:
        ratio = cost.traffic.connectivity / sequential.connectivity
    return Baseline(
        sequential_cores=sequential.cores,
        sequential_connectivity=sequential.connectivity,
        connectivity_ratio=ratio,
    )


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
        The content of cost.json: `cost.traffic.connectivity`, `cost.routes.hops_unicast` and so on.
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
        shown = [(row.title, f"{row.value} {row.unit}".strip()) for row in rows(self.cost, COST_TABLE)]
        return html_table(repr(self)[1:-1], shown)

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
