"""The document `cost.json` of a mapping, and the lines of its log."""

from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
from pydantic import Field

from snnb.io.text import Document
from snnb.mapping.cost import ProjectionCost
from snnb.mapping.hardware import Hardware
from snnb.mapping.limits import NO_LIMIT, Limits
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.time_costs import BinLoads, RecordedSteps
from snnb.mapping.traffic import TrafficSums

Number = Union[int, float]
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
    # Only of some descriptions
    "chips": "chips with neurons",
    "spikes_between_chips": "spikes a sample between cores of different chips",
    "hops_between_chips": "links between chips crossed a sample, each core being sent a spike of its own",
    "step_ns": "ns of a time step with the mean number of events",
    "sample_ns": "ns between the beginnings of two samples",
    "sample_latency_ns": "ns until a sample has passed all layers",
}
RECORDED = ("cores", "chips", "connectivity", "hops_unicast", "energy_pj", "step_ns")  # in the manifest
OF_CORES = ("neurons", "axons", "synapses", "spikes_in", "spikes_out")  # figures of each core that every mapping has


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


class SplitFanIn(Document):
    """The relay neurons of `map --split-fan-in`, and the difference of the spikes from the network without relays."""

    layers: List[str]  # whose neurons have relays
    relays: int
    neurons: int
    synapses: int
    unsplit_neurons: int
    unsplit_synapses: int
    samples: int
    differing_counts: float  # share of the neurons' counts that differ
    mean_count_difference: float
    mean_count: float
    readout_accuracy: Optional[float] = None
    unsplit_readout_accuracy: Optional[float] = None

    def metrics(self) -> Dict[str, Number]:
        """Return the figures that the manifest records."""
        names = ("relays", "differing_counts", "mean_count_difference", "unsplit_readout_accuracy", "readout_accuracy")
        return {name: value for name, value in self if name in names and value is not None}

    def line(self) -> str:
        """Return the figures as one line, for the log and as a warning."""
        accuracy = ""
        if self.readout_accuracy is not None:
            accuracy = (
                f"; read-out accuracy {self.readout_accuracy:.2%}, without relays {self.unsplit_readout_accuracy:.2%}"
            )
        return (
            f"--split-fan-in: {self.relays:,} relay neurons onto {', '.join(self.layers)}: {self.neurons:,} neurons "
            f"instead of {self.unsplit_neurons:,}, {self.synapses:,} synapses instead of {self.unsplit_synapses:,}; "
            f"the spikes are those with relays, in {self.samples:,} samples: {self.differing_counts:.1%} of the counts "
            f"of other neurons differ from those without, the mean difference is {self.mean_count_difference:.3g} of "
            f"{self.mean_count:.3g} spikes{accuracy}"
        )


class MappingCost(Document):
    """Cost of a mapping; figures are per sample and defined in docs/mapping.md, `UNITS` has their units."""

    model: str
    graph: str  # stamp
    objective: str
    seed: int
    seconds: float
    split_overfull: Optional[Dict[int, List[int]]] = None  # divided cores of a file's partition, and their parts
    split_fan_in: Optional[SplitFanIn] = None
    class_name: Optional[str] = None  # None: spikes of all samples
    assumed_spikes: Optional[bool] = None  # True: no spikes are known, and each neuron counts as one
    by_bin: Optional[BinLoads] = None
    recorded: Optional[RecordedSteps] = None
    hardware: Hardware
    limits: Dict[str, Optional[int]]
    valid: bool
    overfull: Dict[str, List[int]]  # cores that exceed each limit
    method: str
    neurons: int  # that are placed
    first_id: int  # id in the graph of the first of them
    samples: int
    layers: Dict[str, int]  # neurons of each placed population, in the order of the ids
    connectivity: float
    cut: float
    hops_unicast: float
    hops_multicast: float
    energy_pj: float
    latency_ns_mean: float
    latency_ns_max: float
    link_load_mean: float
    link_load_max: float
    cores: int
    reuse: float
    outside_spikes: float
    chips: Optional[int] = None
    spikes_between_chips: Optional[float] = None
    hops_between_chips: Optional[float] = None
    step_ns: Optional[float] = None
    sample_ns: Optional[float] = None
    sample_latency_ns: Optional[float] = None
    neurons_per_core: Contents
    axons_per_core: Contents
    synapses_per_core: Contents
    axons_out_per_core: Optional[Contents] = None
    memory_bits_per_core: Optional[Contents] = None
    sequential: Candidate
    tried: List[Candidate]
    per_projection: List[ProjectionCost]
    events: Optional[Dict[str, float]] = None
    energy_by_event_pj: Optional[Dict[str, float]] = None
    energy_by_part_pj: Optional[Dict[str, float]] = None
    per_core: Dict[str, List[Number]]
    units: Dict[str, str]
    sha256: Optional[str] = Field(default=None, pattern=r"^[0-9a-f]{64}$")  # see `mapping.checksum`

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
        by_bin: Optional[BinLoads] = None,
        recorded: Optional[RecordedSteps] = None,
        split_fan_in: Optional[SplitFanIn] = None,
    ) -> "MappingCost":
        """Return the cost of a mapped network."""
        cost, events = mapped.cost, mapped.cost.events
        figures: Dict[str, Any] = {name: getattr(cost, name) for name in UNITS if name not in ("cores", "seconds")}
        contents = {name: _contents(mapped, name) for name in cost.contents}
        per_core = {**{name: getattr(cost, name) for name in OF_CORES}, **cost.contents}
        if events is not None and events.step_ns is not None:
            per_core["step_ns"] = events.core_ns
        return cls(
            model=model,
            graph=graph,
            objective=objective,
            seed=seed,
            seconds=seconds,
            split_overfull=dict(mapped.divided) or None,
            split_fan_in=split_fan_in,
            class_name=mapped.network.graph.class_name,
            assumed_spikes=mapped.network.graph.assumed_spikes or None,
            by_bin=by_bin,
            recorded=recorded,
            hardware=mapped.hardware,
            limits={name: one.limit for name, one in contents.items()},
            valid=not mapped.overfull_cores.size,
            overfull={name: cores.tolist() for name, cores in mapped.overfull.items()},
            method=mapped.method,
            neurons=mapped.network.neurons,
            first_id=mapped.network.first,
            samples=mapped.network.samples,
            layers={population.name: population.size for population in mapped.network.populations},
            cores=int(np.count_nonzero(cost.neurons)),
            **figures,
            neurons_per_core=contents["neurons"],
            axons_per_core=contents["axons"],
            synapses_per_core=contents["synapses"],
            axons_out_per_core=contents.get("axons_out"),
            memory_bits_per_core=contents.get("memory_bits"),
            sequential=Candidate.of(mapped.sequential),
            tried=[Candidate.of(sums) for sums in mapped.partition.tried],
            per_projection=list(cost.projections),
            events=None if events is None else events.events,
            energy_by_event_pj=None if events is None else events.energy_pj,
            energy_by_part_pj=None if events is None else events.energy_by_part,
            per_core={name: numbers.tolist() for name, numbers in per_core.items()},
            units={name: unit for name, unit in UNITS.items() if figures.get(name, 0) is not None},
        )

    @property
    def figures(self) -> Dict[str, Number]:
        """The scalar figures by name, except `seconds`."""
        values = {name: getattr(self, name) for name in UNITS if name != "seconds"}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def overfull_cores(self) -> List[int]:
        """Cores that exceed at least one limit, ascending."""
        return sorted({core for cores in self.overfull.values() for core in cores})

    def metrics(self) -> Dict[str, Union[Number, None]]:
        """Return the figures that the manifest records."""
        peak = {} if self.by_bin is None else {"link_load_peak": self.by_bin.link_load_peak}
        split = {} if self.split_fan_in is None else self.split_fan_in.metrics()
        figures = {name: self.figures[name] for name in RECORDED if name in self.figures}
        return {**figures, **peak, "sequential_connectivity": self.sequential.connectivity, **split}

    def log_lines(self, warnings: Sequence[str]) -> List[str]:
        """Return the lines of the log: limits, contents of the cores, cost, and the partitions that were tried."""
        hardware, empty = self.hardware, len(self.per_core["neurons"]) - self.cores
        text = [] if self.class_name is None else [f"spikes of the samples of one class only: {self.class_name}"]
        text += [
            f"{self.neurons:,} neurons on {self.cores:,} of the {hardware.cores:,} cores of {hardware.name}, "
            f"{hardware.mesh[0]}×{hardware.mesh[1]}",
            f"source of its figures: {hardware.source}",
        ]
        if empty:
            text.append(
                f"{empty:,} core numbers of the partition have no neurons: empty cores, which keep their numbers"
            )
        text += ["", "a core                      mean         max   limit"]
        for name in self.limits:
            core: Contents = getattr(self, f"{name}_per_core")
            limit = "any number" if core.limit is None else f"{core.limit:,}: {core.share:.0%} full"
            text.append(f"  {name:<18}{core.mean:>12,.1f}{core.max:>12,}   {limit} (core {core.core:,} has most)")
        text += ["", "cost"]
        text += [f"  {name:<18}{value:>14,.6g}  {UNITS[name]}" for name, value in self.figures.items()]
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
        ratio = "and in the order of ids no spikes travel between cores either"
        if self.sequential.connectivity:
            share = self.connectivity / self.sequential.connectivity
            ratio = f"{share:.2f} × the connectivity of the sequential mapping"
        text += [f"taken: {self.method}, {ratio}", *warnings]
        for number in self.overfull_cores:
            exceeded = [name for name, cores in self.overfull.items() if number in cores]
            parts = [f"{self.per_core[name][number]:,} {name} of {self.limits[name]:,}" for name in exceeded]
            text.append(f"  core {number:,}: " + ", ".join(parts))
        if self.by_bin is not None:
            text.append(self.by_bin.line(self.link_load_max))
        if self.recorded is not None:
            text.append(self.recorded.line())
        return text


def _contents(mapped: MappedNetwork, name: str) -> Contents:
    numbers: np.ndarray = getattr(mapped.cost, name)
    limit: int = getattr(Limits.of(mapped.hardware), name)
    most, used = int(numbers.max(initial=0)), mapped.cost.neurons > 0
    return Contents(
        mean=float(numbers[used].mean()) if used.any() else 0.0,
        max=most,
        core=int(np.argmax(numbers)),
        limit=None if limit == NO_LIMIT else limit,
        share=None if limit == NO_LIMIT else most / limit,
    )
