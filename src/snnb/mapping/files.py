"""A mapping, and its data files, written and read.

The files are `partition.txt`, `cores.csv`, `links.csv`, `traffic.npz`, and `cost.json`; and
`messages.npz` if spike times were recorded. If neurons have names, they are in
`partition_names.csv`, and in the last column of `cores.csv`.
"""

import csv
import hashlib
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple, Union

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix, load_npz, save_npz
from typing_extensions import Annotated

from snnb.chips.hardware import NO_LIMIT, Hardware, Limits
from snnb.core.errors import DamagedError, InputError, UsageError
from snnb.core.quantities import Quantity, number, prefixed, quantities_of, rows, units
from snnb.io.files import read_bytes
from snnb.io.text import Document, html_table, read_document
from snnb.mapping.cost import Cost
from snnb.mapping.limits import least_cores, overfull_cores
from snnb.mapping.links import RouteLoads, write_links
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.quantities import Baseline, Connectivity, Cores, MappingSummary
from snnb.mapping.routes import Routes, find_routes
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
        return cls(
            method=sums.method,
            cores=sums.cores,
            connectivity=sums.connectivity,
        )

    def line(self) -> str:
        """Return the line of the log."""
        connectivity = number(self.connectivity).value
        return f"  {self.method:<20}{self.cores:>10,}{connectivity:>14}"


class MappingCost(Cost):
    """Content of `cost.json`: cost and provenance of a mapping."""

    model: str
    graph: str  # stamp
    objective: str
    seed: int
    seconds: Annotated[float, Quantity("duration of the mapping", unit="s")] = Field(
        description="wall time of partition, placement and cost"
    )
    # Divided cores of a file's partition, and their parts
    split_overfull: Optional[Dict[int, List[int]]] = None
    # True: there are no spike counts, and one spike per neuron is assumed
    assumed_spikes: Optional[bool] = None
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
    # Units of the quantities that have a value
    units: Dict[str, str] = Field(default_factory=dict)
    # See `checksum`
    sha256: Optional[str] = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(
        cls,
        mapped_network: MappedNetwork,
        *,
        model: str = "",
        graph: str = "",
        objective: str = "spikes",
        seed: int = 0,
        seconds: float = 0.0,
        by_step: Optional[StepLoads] = None,
        recorded_steps: Optional[RecordedSteps] = None,
    ) -> "MappingCost":
        """Return the cost of a mapped network."""
        cost = mapped_network.cost
        network = mapped_network.network
        hardware = mapped_network.hardware
        contents: Dict[str, Contents] = {}
        for name in cost.contents:
            contents[name] = _summarise_contents(mapped_network, name)
        overfull: Dict[str, List[int]] = {}
        for name, cores in overfull_cores(cost.contents, hardware).items():
            overfull[name] = cores.tolist()
        bounds = least_cores(network, hardware)
        mapping_cost = cls(
            **dict(cost),
            model=model,
            graph=graph,
            objective=objective,
            seed=seed,
            seconds=seconds,
            split_overfull=dict(mapped_network.divided_cores) or None,
            assumed_spikes=network.graph.assumed_spikes or None,
            by_step=by_step,
            recorded=recorded_steps,
            hardware=hardware,
            limits={name: kind.limit for name, kind in contents.items()},
            least_cores={name: bounds[name] for name in bounds if name in contents},
            valid=not any(overfull.values()),
            overfull=overfull,
            method=mapped_network.partition.best.method,
            neurons=network.neurons,
            first_id=network.first,
            samples=network.samples,
            layers={layer.name: layer.size for layer in network.populations},
            neurons_per_core=contents["neurons"],
            axons_per_core=contents["axons"],
            synapses_per_core=contents["synapses"],
            axons_out_per_core=contents.get("axons_out"),
            memory_bits_per_core=contents.get("memory_bits"),
            sequential=_baseline(cost, mapped_network.partition.sequential),
            tried=[Candidate.of(sums) for sums in mapped_network.partition.tried],
        )
        return mapping_cost.model_copy(update={"units": units(mapping_cost)})

    @property
    def fill(self) -> Dict[str, Contents]:
        """Mean, maximum and limit of the contents of cores, by names of `Limits`."""
        return {name: getattr(self, f"{name}_per_core") for name in self.limits}

    @property
    def overfull_cores(self) -> List[int]:
        """Cores that exceed at least one limit, ascending."""
        cores: Set[int] = set()
        cores.update(*self.overfull.values())
        return sorted(cores)

    def summary(self) -> MappingSummary:
        """Return the figures that the manifest also holds."""
        by_step = self.by_step
        return MappingSummary(
            graph=self.graph,
            hardware=self.hardware.name,
            mesh=list(self.hardware.mesh),
            method=self.method,
            neurons=self.neurons,
            overfull_cores=len(self.overfull_cores),
            cores=self.cores,
            traffic=self.traffic,
            routes=self.routes,
            energy=self.energy,
            input=self.input,
            step=self.step,
            sequential=self.sequential,
            link_load_peak=None if by_step is None else by_step.link_load_peak,
        )

    def log_lines(self, warnings: Sequence[str]) -> List[str]:
        """Return the lines of the log.

        They are limits, contents of the cores, cost, and the partitions that were
        tried.
        """
        return [
            *self._size_lines(),
            "",
            *self._content_lines(),
            "",
            *self._quantity_lines(),
            *self._energy_and_time_lines(),
            "",
            *self._partition_lines(),
            *warnings,
            *self._overfull_lines(),
            *self._recording_lines(),
        ]

    def _size_lines(self) -> List[str]:
        """Return the lines about chip, number of cores, and their lower bound."""
        hardware = self.hardware
        cores = self.cores.cores
        limit_name = max(self.least_cores, key=self.least_cores.__getitem__)
        min_cores = self.least_cores[limit_name]
        text = [
            f"{self.neurons:,} neurons on {cores:,} of the {hardware.cores_text} of "
            f"{hardware.name}, {hardware.mesh[0]}×{hardware.mesh[1]}",
            f"source of the figures: {hardware.source}",
            f"no mapping has fewer than {min_cores:,} cores, by the limit of "
            f"{limit_name}",
        ]
        n_empty = len(self.per_core["neurons"]) - cores
        if n_empty:
            numbers = f"{n_empty:,} core numbers of the partition"
            text.append(f"{numbers} have no neurons; these cores remain empty")
        return text

    def _content_lines(self) -> List[str]:
        """Return the table of the contents of cores."""
        text = ["a core                      mean         max   limit"]
        for name, kind in self.fill.items():
            limit = "any number"
            if kind.limit is not None:
                limit = f"{kind.limit:,}: {kind.share:.0%} full"
            figures = f"{kind.mean:>12,.1f}{kind.max:>12,}"
            text.append(
                f"  {name:<18}{figures}   {limit} (core {kind.core:,} has most)",
            )
        return text

    def _quantity_lines(self) -> List[str]:
        """Return the tables of the quantities, and of the uneven loads."""
        text = ["cost"]
        for row in rows(self, COST_TABLE):
            text.append(f"  {row.title:<30}{row.value:>12}  {row.unit}".rstrip())
        if self.max_over_mean:
            text += ["", "largest load over the mean"]
            for name, ratio in self.max_over_mean.items():
                text.append(f"  {name:<30}{number(ratio).value:>12}")
        return text

    def _partition_lines(self) -> List[str]:
        """Return the table of the partitions that were tried, and the one taken."""
        text = ["partition                  cores  connectivity"]
        for candidate in self.tried:
            text.append(candidate.line())
        if "sequential" not in {candidate.method for candidate in self.tried}:
            baseline = Candidate(
                method="sequential",
                cores=self.sequential.sequential_cores,
                connectivity=self.sequential.sequential_connectivity,
            )
            text.append(f"{baseline.line()}  for comparison")
        text.append(f"taken: {self.method}, {self._comparison()}")
        return text

    def _overfull_lines(self) -> List[str]:
        """Return a line for each core that exceeds limits."""
        text: List[str] = []
        for core in self.overfull_cores:
            excesses: List[str] = []
            for name, cores in self.overfull.items():
                if core in cores:
                    content = self.per_core[name][core]
                    excesses.append(f"{content:,} {name} of {self.limits[name]:,}")
            text.append(f"  core {core:,}: {', '.join(excesses)}")
        return text

    def _recording_lines(self) -> List[str]:
        """Return the lines about recorded samples."""
        text: List[str] = []
        if self.by_step is not None:
            text.append(self.by_step.line())
        if self.recorded is not None:
            text.append(self.recorded.line())
        return text

    def _energy_and_time_lines(self) -> List[str]:
        """Return the lines about what bounds a step, and the energy of each event."""
        text: List[str] = []
        if self.step is not None:
            bound = self.step.step_bound
            time = " ".join(prefixed(bound.ns, "ns"))
            place = ""
            if bound.core is not None:
                place = f", core {bound.core:,}"
            if bound.link is not None:
                place = f" from {bound.link[0]} to {bound.link[1]}"
            text.append(f"time of a step bounded by: {bound.by}, {time}{place}")
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
        """Compare the connectivity with the sequential mapping's, as text."""
        ratio = self.sequential.connectivity_ratio
        if ratio is not None:
            return f"{ratio:.2f} × the connectivity of the sequential mapping"
        connectivity = self.traffic.connectivity
        this_mapping = "either"
        if connectivity != 0:
            this_mapping = f"but {number(connectivity).value} in this mapping"
        return f"and in sequential order, no spikes travel between cores {this_mapping}"


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


def _summarise_contents(mapped_network: MappedNetwork, name: str) -> Contents:
    """Return mean and maximum of the contents of one kind, and their limit."""
    per_core = mapped_network.cost.per_core
    numbers = per_core[name]
    is_used = per_core["neurons"] > 0
    largest = int(numbers.max(initial=0))
    limit: int = getattr(Limits.of(mapped_network.hardware), name)
    has_limit = limit != NO_LIMIT
    return Contents(
        mean=float(numbers[is_used].mean()) if is_used.any() else 0.0,
        max=largest,
        core=int(np.argmax(numbers)),
        limit=limit if has_limit else None,
        share=largest / limit if has_limit else None,
    )


PARTITION = "partition.txt"
CORES = "cores.csv"
TRAFFIC = "traffic.npz"
COST = "cost.json"
LINKS = "links.csv"
MESSAGES = "messages.npz"  # if spike times were recorded
NAMES = "partition_names.csv"  # of a graph whose neurons have names


@dataclass(frozen=True, eq=False, repr=False)
class Mapping:
    """Neurons on the cores of a chip, with the cost.

    Attributes
    ----------
    path : Path or None
        The directory of a mapping that was written by `snnb map`.
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, in the order of the graph's ids.
    place : ndarray of int32, shape (cores, 2)
        x and y of each core.
    traffic : csr_matrix of float64, shape (cores, cores)
        Spikes per sample from core (row) to core (column).
    cost : MappingCost
        The content of cost.json: `cost.traffic.connectivity`,
        `cost.routes.hops_unicast` and so on.
    names : list of str, or None
        Name of each placed neuron, in the order of `core`; in a graph of several
        populations `POPULATION,NAME`. None if neurons have no names.
    warnings : tuple of str
        Exceeded limits, and methods without a result.
    notes : tuple of str
        What the cost assumes or excludes.
    loads : RouteLoads or None
        Of a mapping in memory.
    messages : Messages or None
        Of recorded samples, in memory.
    """

    path: Optional[Path]
    core: np.ndarray
    place: np.ndarray
    traffic: csr_matrix
    cost: MappingCost
    names: Optional[List[str]] = None
    warnings: Tuple[str, ...] = ()
    notes: Tuple[str, ...] = ()
    loads: Optional[RouteLoads] = None
    messages: Optional[Messages] = None

    @classmethod
    def of(
        cls,
        mapped_network: MappedNetwork,
        cost: MappingCost,
        *,
        messages: Optional[Messages] = None,
        notes: Sequence[str] = (),
    ) -> "Mapping":
        """Return the mapping of a mapped network, in memory.

        Parameters
        ----------
        mapped_network : MappedNetwork
        cost : MappingCost
        messages : Messages, optional
            Of recorded samples.
        notes : sequence of str
            What the cost assumes or excludes.
        """
        network = mapped_network.network
        names = network.graph.names
        return cls(
            path=None,
            core=mapped_network.core,
            place=mapped_network.place,
            traffic=mapped_network.partition.best.matrix,
            cost=cost,
            names=None if names is None else list(names[network.first :]),
            warnings=mapped_network.warnings,
            notes=tuple(notes),
            loads=mapped_network.loads,
            messages=messages,
        )

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
            file = directory / name
            if not file.exists():
                raise InputError(
                    f"{file}: no such file; give a directory maps/STAMP of a run",
                )
        cost = read_document(MappingCost, directory / COST)
        if cost.sha256 != checksum(directory, cost):
            raise DamagedError(
                directory, "a file is damaged, its checksum does not match"
            )
        core = np.loadtxt(directory / PARTITION, np.int32, ndmin=1)
        place = np.loadtxt(
            directory / CORES,
            np.int32,
            delimiter=",",
            skiprows=1,
            usecols=(1, 2),
            ndmin=2,
        )
        return cls(
            path=directory,
            core=core,
            place=place,
            traffic=load_npz(directory / TRAFFIC),
            cost=cost,
            names=_read_names(directory / NAMES),
        )

    def __repr__(self) -> str:
        label = "Mapping" if self.path is None else f"Mapping {self.name}"
        return (
            f"<{label}: {self.core.size:,} neurons on {self.cores:,} cores of "
            f"{self.hardware.name}>"
        )

    def _repr_html_(self) -> str:
        table: List[Tuple[str, str]] = []
        for row in rows(self.cost, COST_TABLE):
            table.append((row.title, f"{row.value} {row.unit}".strip()))
        return html_table(repr(self)[1:-1], table)

    @property
    def name(self) -> str:
        """Name of its directory; empty in memory."""
        return "" if self.path is None else self.path.name

    @property
    def hardware(self) -> Hardware:
        """Hardware description."""
        return self.cost.hardware

    @property
    def per_core(self) -> Dict[str, np.ndarray]:
        """Figures of the cores, each of shape (cores,).

        They are `neurons`, `axons`, `synapses`, `spikes_in`, `spikes_out`,
        `synaptic_operations`, and where the hardware has them `axons_out`,
        `memory_bits`, `step_ns`.
        """
        return self.cost.per_core

    @property
    def routes(self) -> Routes:
        """Routes of the spikes between cores, and from input ports to cores."""
        input_spikes = self.per_core.get("input_spikes", np.zeros(self.cores))
        return find_routes(self.traffic, input_spikes, self.hardware, self.place)

    @property
    def first(self) -> int:
        """Id in the graph of the first placed neuron."""
        return self.cost.first_id

    @property
    def cores(self) -> int:
        """Number of cores, including empty ones."""
        return len(self.place)

    def core_of(self, node: int) -> int:
        """Return the core of a neuron by its id in the graph.

        Raise `IndexError` for a neuron of the input.
        """
        neuron = node - self.first
        if not 0 <= neuron < self.core.size:
            last_node = self.first + self.core.size - 1
            raise IndexError(
                f"node {node} is not placed; placed are {self.first} to {last_node}",
            )
        return int(self.core[neuron])

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
            raise IndexError(
                f"no core {core}: the mapping has {self.cores} cores, numbered from 0",
            )

    def write(self, directory: Union[str, Path]) -> "Mapping":
        """Write the data files of a mapping in memory, which `Mapping.open` reads.

        Parameters
        ----------
        directory : str or Path
            It exists.

        Returns
        -------
        Mapping
            The same mapping, with its path.

        Raises
        ------
        UsageError
            The mapping was read from files.
        """
        directory = Path(directory)
        if self.loads is None:
            raise UsageError(f"{self.path}: the mapping is in files already; copy them")
        core, place = self.core, self.place
        lines = "".join(f"{number}\n" for number in core.tolist())
        (directory / PARTITION).write_text(lines, encoding="utf-8")
        columns: Dict[str, Sequence[object]] = {
            "core": range(len(place)),
            "x": place[:, 0].tolist(),
            "y": place[:, 1].tolist(),
        }
        for figure, numbers in self.cost.per_core.items():
            columns[figure] = numbers.tolist()
        if self.names is not None:
            table = {"name": self.names, "core": core.tolist()}
            _write_csv(directory / NAMES, table)
            columns["names"] = _join_names(self.names, core, len(place))
        _write_csv(directory / CORES, columns)
        # numpy sets a fixed time: the same bytes each time
        save_npz(directory / TRAFFIC, self.traffic)
        write_links(directory / LINKS, self.loads.routes, self.loads.multicast)
        if self.messages is not None:
            np.savez_compressed(directory / MESSAGES, **self.messages._asdict())
        sha256 = checksum(directory, self.cost)
        cost = self.cost.model_copy(update={"sha256": sha256})
        cost.write(directory / COST)
        return replace(self, path=directory, cost=cost)


def _read_names(path: Path) -> Optional[List[str]]:
    """Read the names of the placed neurons; return None if there is no such file."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows_read = csv.reader(file)
        next(rows_read)  # the head
        return [name for name, _ in rows_read]


def _join_names(names: Sequence[str], core: np.ndarray, cores: int) -> List[str]:
    """Return the names of the neurons of each core.

    They are a row of a CSV that is separated by semicolons.
    """
    sizes = np.bincount(core, minlength=cores)
    neurons = np.argsort(core, kind="stable")
    cells: List[str] = []
    for core_neurons in np.split(neurons, np.cumsum(sizes)[:-1]):
        row = io.StringIO()
        writer = csv.writer(row, delimiter=";", lineterminator="")
        writer.writerow([names[neuron] for neuron in core_neurons.tolist()])
        cells.append(row.getvalue())
    return cells


def _write_csv(path: Path, columns: Dict[str, Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values()))


def checksum(directory: Path, cost: MappingCost) -> str:
    """Return the SHA-256 of the data files of a mapping and of cost.json.

    Of cost.json, `seconds` is left out, as it differs each time.
    """
    content: Dict[str, object] = cost.model_dump(mode="json")
    for key in ("seconds", "sha256"):
        content.pop(key, None)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    names = [PARTITION, CORES, TRAFFIC, LINKS]
    names += [name for name in (NAMES, MESSAGES) if (directory / name).exists()]
    for name in names:
        digest.update(read_bytes(directory / name))
    return digest.hexdigest()
