"""`sanafe`: write a network as a netlist of SANA-FE; read networks in its YAML, and its traces of spikes.

An export is a netlist, which SANA-FE's `load_net(path, arch, use_netlist_format=True)` reads in a third of the memory
that YAML takes. Group k (`g`) is population k; neurons count from 0 in each group. Groups of relays follow the
populations: a synapse of SANA-FE takes a time step, so the spikes of a connection that skips layers pass through
neurons that spike a step after their only source. All neurons are TrueNorth's (soma `truenorth`), whose sums are
float64; `leaky_integrate_fire` rounds to 1/64. Numbers are in units of the threshold, which is 1, or integers. By
default the neurons are on the cores of tile 0, 1024 on each. With a mapping they are on its cores, without relays,
since the dendrite of the architecture delays spikes. The group of the input is then empty, because a constant input
occupies no core.

An import reads YAML with the keys `network` and `mappings`. SANA-FE's `load_net` does not replace this reader: its
objects hide mapping and biases, groups lose their order, and version 2.1.1 confuses the weights of sparse edges. Groups
become populations, in the order of the file. SANA-FE places all neurons on cores, including neurons of its model
`input`, so these are placed neurons here. A group is an input if none of its neurons is on a core, while others are;
or, in a file that maps no neuron, if its neurons have attributes of the model `input`. A complete mapping becomes two
files for `snnb map`: `partition.txt`, and `placement.txt` with the numbers of tiles and cores of SANA-FE.
(Boyle et al., IEEE TCAD 44(8), 2025; SLAM-Lab/SANA-FE 2.1.1, src/yaml_snn.cpp, src/netlist.cpp, src/network.cpp.)
"""

import re
from array import array
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator, List, Mapping, Optional, Tuple, TypeVar

import numpy as np
import yaml
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from typing_extensions import Annotated, Literal
from yaml.events import CollectionEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from snnb.core.errors import DamagedError, ResourceError, UsageError, first_line
from snnb.core.machine import require_memory
from snnb.core.options import MOST
from snnb.formats.description import refuse_fast_cycles, refuse_max_pooling, refuse_properties
from snnb.formats.rates import MOST_DIGITS, Rates, refuse_numbers
from snnb.formats.request import TEXT_BATCH, Counter, Format, OnCores, Request, starts_above_zero
from snnb.graph.listed import NEURON_BYTES, Edges, ListedGraph, ListedPopulation
from snnb.graph.populations import GraphPopulation, Recording
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.budget import Budget
from snnb.io.faults import faults_in_words
from snnb.io.text import invalid_yaml

LIMIT = 50_000_000  # edges; SANA-FE 2.1.1 takes about 760 bytes of memory for each: 38 GB
CORE = 1024  # neurons: the dendrite `accumulator` has no more, and SANA-FE 2.1.1 writes over its end without a check
UNITS = "synapse_hw_name=synapse dendrite_hw_name=dendrite soma_hw_name=soma"
SOMA = "threshold=1 reset=0 reverse_reset_mode=none reset_mode"
RESETS = {"subtraction": "soft", "zero": "hard"}
NEVER = 1e30  # threshold of an output that does not spike
ROUNDING = 1e-6  # relative; a neuron that spikes only above a number has the next float32 number as threshold
MOST_DELAY = 5  # steps that the dendrite `accumulator_with_delay` adds to the one of every synapse
Relays = Dict[Tuple[str, int], int]


def write_netlist(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write groups, biases, synapses and mapping; see `Format`."""
    on_cores, first, amplitude = request.on_cores, graph.layers[0].first, request.amplitude
    relays = _relays_of(graph) if on_cores is None else {}
    number = {population.name: k for k, population in enumerate(graph.populations)}
    sizes = {population.name: population.size for population in graph.populations}
    counter = request.counter(graph.number_of_edges())
    with path.open("wb") as file:
        for population in graph.populations:
            mode = "hard" if population in graph.inputs else RESETS[request.reset_of(population)]
            size = f"{population.size} {UNITS} log_spikes=1"
            if on_cores is not None and population in graph.inputs:
                size = f"0 {UNITS}"
            file.write(f"g {size} {SOMA}={mode}\n".encode())
        for name, _ in relays:
            file.write(f"g {sizes[name]} {UNITS} log_spikes=0 {SOMA}=hard\n".encode())
        for population in graph.layers:
            group = number[population.name]
            _write_biases(file, group, population, request)
            if on_cores is not None:
                updated = on_cores.updated[population.first - first :][: population.size]
                file.writelines(b"n %d.%d force_update=1\n" % (group, i) for i in np.flatnonzero(updated).tolist())
        for (name, steps), group in relays.items():
            before = relays.get((name, steps - 1), number[name])
            for i in range(sizes[name]):
                file.write(b"e %d.%d->%d.%d weight=1\n" % (before, i, group, i))
        for projection, steps in graph.delay_steps.items():
            name, target = projection.source.name, number[projection.target.name]
            if on_cores is None:
                source = relays.get((name, steps - 1), number[name])
                # A spike of the input is 1.
                unit = amplitude if projection.source in graph.inputs else 1.0
                _write_edges(file, projection, (source, target), unit, counter)
            elif projection.source not in graph.inputs:
                _write_edges(file, projection, (number[name], target), 1.0, counter, steps - 1)
        if on_cores is None:
            groups = enumerate([*sizes.values(), *(sizes[name] for name, _ in relays)])
            neurons = [(group, i) for group, size in groups for i in range(size)]
            file.writelines(b"& %d.%d@0.%d\n" % (*neuron, k // CORE) for k, neuron in enumerate(neurons))
            return
        neurons = [(number[population.name], i) for population in graph.layers for i in range(population.size)]
        places = zip(on_cores.tile.tolist(), on_cores.core.tolist())
        file.writelines(b"& %d.%d@%d.%d\n" % (*neuron, *place) for neuron, place in zip(neurons, places))


def _relays_of(graph: SynapseGraph) -> Relays:
    """Return the number of each group of relays by population and delay in steps; a constant input needs none."""
    longest: Dict[str, int] = {}
    for projection, steps in graph.delay_steps.items():
        name = projection.source.name
        longest[name] = max(longest.get(name, 1), steps)
    relays: Relays = {}
    for population in (p for p in graph.populations if p not in graph.inputs or p.coding == "spikes"):
        for steps in range(1, longest.get(population.name, 1)):
            relays[population.name, steps] = len(graph.populations) + len(relays)
    return relays


def _write_biases(file: BinaryIO, group: int, population: GraphPopulation, request: Request) -> None:
    biases = population.bias.astype(np.float64) / request.amplitude
    if population.neuron is not None:
        biases = biases + population.neuron.offset
    biases = biases.ravel()
    neuron = request.neuron_of(population)
    threshold = neuron.firing_threshold / request.amplitude if neuron.spikes else NEVER
    thresholds = np.resize(threshold, population.size)
    for i in np.flatnonzero((biases != 0) | (thresholds != 1)).tolist():
        own = "" if thresholds[i] == 1 else f" threshold={float(thresholds[i])!r}"
        file.write(f"n {group}.{i} bias={float(biases[i])!r}{own}\n".encode())


def _write_edges(
    file: BinaryIO, projection: GraphProjection, groups: Tuple[int, int], unit: float, counter: Counter, delay: int = 0
) -> None:
    """Write a line for each synapse; weights are divided by `unit`."""
    first_source, first_target = projection.source.first, projection.target.first
    digits, later = "%.17g" if unit == 1 else "%r", f" delay={delay}" if delay else ""
    line = f"e {groups[0]}.%d->{groups[1]}.%d weight={digits}{later}\n"
    for batch in projection.edge_batches(TEXT_BATCH):
        ends = (batch.source - first_source).tolist(), (batch.target - first_target).tolist()
        weights = batch.weight.astype(np.float64) / unit + 0.0  # not -0
        file.write("".join(map(line.__mod__, zip(*ends, weights.tolist()))).encode())
        counter.add(batch.source.size)


def _describe(graph: SynapseGraph, request: Request) -> Dict[str, object]:
    if request.on_cores is not None:
        return {"sanafe": {"threshold": 1.0, "mapping": request.on_cores.mapping}}
    sizes = {population.name: population.size for population in graph.populations}
    relays: List[Dict[str, object]] = [
        {"group": group, "population": name, "steps_later": steps, "size": sizes[name]}
        for (name, steps), group in _relays_of(graph).items()
    ]
    added = sum(sizes[name] for name, _ in _relays_of(graph))
    cores = -(-(graph.number_of_nodes() + added) // CORE)
    return {
        "sanafe": {"threshold": 1.0, "cores": cores, "relays": relays, "added_neurons": added, "added_edges": added}
    }


def unsupported_number(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that TrueNorth's neuron does not have."""
    if "current_leak" in numbers:
        return "a synaptic current"
    if (numbers.get("leak", np.ones(1)) != 1).any():
        return "a leak: SANA-FE's neuron with a leak, leaky_integrate_fire, rounds potentials to 1/64 in each step"
    if (numbers.get("gain", np.ones(1)) != 1).any():
        return "a gain other than 1"
    if "subtrahend" in numbers and not np.allclose(numbers["subtrahend"], numbers["threshold"], ROUNDING, ROUNDING**2):
        return "a subtrahend other than its threshold"
    return None


def _unstated_number(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that a file of this format does not state."""
    for name in ("reset", "initial"):
        if name in numbers and numbers[name].any():
            return f"a {name} other than 0"
    if "threshold" not in numbers:
        return "no threshold"
    return unsupported_number(numbers)


def _check(graph: SynapseGraph, request: Request) -> None:
    if request.neuron.initial or starts_above_zero(graph):
        raise UsageError(
            "format sanafe cannot state initial potentials other than 0: `snnb crosscheck --with sanafe` simulates "
            "them; else simulate without --initial-potential, and without parse --calibrate"
        )
    refuse_max_pooling(graph, "SANA-FE")
    refuse_properties(graph, "SANA-FE", _unstated_number)
    refuse_fast_cycles(graph, request)
    if graph.number_of_edges() > LIMIT:
        raise ResourceError(
            f"{graph.number_of_edges():,} edges exceed the limit for SANA-FE ({LIMIT:,}), due to its memory; "
            "use a smaller network, or npz"
        )
    if request.on_cores is not None:
        check_mapped(graph, request.on_cores)


def check_mapped(graph: SynapseGraph, on_cores: OnCores) -> None:
    """Raise `UsageError` for a mapping that SANA-FE cannot hold on a chip."""
    if any(population.coding != "current" for population in graph.inputs):
        raise UsageError("the neurons of a spiking input are not on cores of a mapping; export without --map")
    longest = max(graph.delay_steps.values(), default=1) - 1
    if longest > MOST_DELAY:
        raise UsageError(f"a connection skips {longest} layers, SANA-FE delays {MOST_DELAY}; export without --map")
    fullest = int(np.unique(np.stack([on_cores.tile, on_cores.core]), axis=1, return_counts=True)[1].max(initial=0))
    if fullest > CORE:
        raise UsageError(f"a core has {fullest:,} neurons, SANA-FE's have {CORE:,} at most; map onto other hardware")


BATCH = 1 << 18  # edges
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # scalars stay text, so that neuron 1.10 is not 1.1
NEURONS = re.compile(r"(\d{1,10})(?:\.\.(\d{1,10}))?")
EDGE = re.compile(r"\s*([^.\s]+)(?:\.(\d{1,10}))?\s*->\s*([^.\s]+)(?:\.(\d{1,10}))?\s*")
YAML_BYTES = 25  # of memory, for each byte of a file
EDGE_BYTES = 100  # of an edge of a convolution in memory
Side = Annotated[int, Field(gt=0, lt=2**31)]
CORE_UNITS = ("synapse", "dendrite", "soma")  # to which attributes may be restricted
TRACE = b"neuron,timestep"  # first line of a trace
ADDRESSES = "tile core\n"  # first line of a placement with the numbers of SANA-FE
UNREAD = "weights of edges and biases of neurons are read; a graph has no thresholds, leaks, resets and delays"
NETLIST = (
    "a netlist of SANA-FE, which snnb no longer reads; give the network in YAML, which Network.save of SANA-FE writes, "
    "or, if snnb exported it, its run"
)
Node = Any  # text, a list of nodes, or a dictionary of nodes by text
Ids = Mapping[str, range]  # of the neurons of each group
T = TypeVar("T")


class _Attributes(BaseModel):
    """Attributes in a mapping or a list of mappings; attributes of a unit of a core are in a mapping of its name."""

    model_config = ConfigDict(allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _merge(cls, node: Node) -> Dict[str, Node]:
        return _merged(node)


def _merged(node: Node) -> Dict[str, Node]:
    attributes: Dict[str, Node] = {}
    for part in node if isinstance(node, list) else [node] if node else []:
        if not isinstance(part, dict):
            raise ValueError(f"{_shown(part)} is not a mapping of attributes")
        for key, value in part.items():
            attributes.update(_merged(value) if key in CORE_UNITS and not isinstance(value, str) else {key: value})
    return attributes


class _Neurons(_Attributes):
    bias: Optional[float] = None
    spikes: Node = None  # this and the following are of the model `input`
    poisson: Node = None
    rate: Node = None


class _Place(_Attributes):
    core: str = Field(pattern=r"^\d{1,9}\.\d{1,9}$")  # tile, and core in it


class _Edge(_Attributes):
    weight: float = Field(0.0, validation_alias=AliasChoices("weight", "w"))


class _Hyperedge(_Attributes):
    type: Literal["dense", "sparse", "conv2d"]
    weight: List[float] = Field(validation_alias=AliasChoices("weight", "w"))

    def weights(self, count: int) -> np.ndarray:
        """Return the weights of a number of edges, or the kernel of a convolution."""
        if len(self.weight) < count:
            raise ValueError(f"weight has {len(self.weight):,} numbers, not one for each of {count:,}")
        return np.array(self.weight[:count])


class _Sparse(_Hyperedge):
    source_target_pairs: List[Tuple[int, int]]


class _Convolution(_Hyperedge):
    input_height: Side
    input_width: Side
    input_channels: Side
    kernel_height: Side
    kernel_width: Side
    kernel_count: Side = 1
    stride_height: Side = 1
    stride_width: Side = 1


class _Group(BaseModel):
    name: str = Field(min_length=1)
    attributes: _Neurons = _Neurons()
    neurons: List[Dict[str, _Neurons]]  # by number or range, as 0..9

    @field_validator("neurons", mode="before")
    @classmethod
    def _allow_numbers(cls, node: Node) -> Node:
        return [{item: {}} if isinstance(item, str) else item for item in node] if isinstance(node, list) else node


class _Network(BaseModel):
    groups: List[_Group]
    edges: List[Dict[str, Node]] = []  # attributes by `group.neuron -> group.neuron`, or by `group -> group`


class _File(BaseModel):
    network: _Network
    mappings: List[Dict[str, _Place]] = []  # by group, or by neurons of one


@dataclass
class _Arrays:
    """Biases and cores of the neurons of a group."""

    bias: np.ndarray  # (size,) float32
    core: np.ndarray  # (size, 2) int32: tile, and core in it; -1 for a neuron on no core
    input_model: bool = False  # whether neurons have attributes of the model `input`


def recognises(path: Path) -> bool:
    """Whether a file begins as a network of SANA-FE: YAML with one of its keys, or a netlist with a group."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begin = file.read(1 << 16)
    if path.suffix in (".yaml", ".yml"):
        return re.search(rb"^(network|mappings)\s*:", begin, re.MULTILINE) is not None
    return _is_netlist(begin)


def _is_netlist(begin: bytes) -> bool:
    return re.match(rb"(\s*(#[^\n]*)?\n)*\s*g\s+\d", begin) is not None


def read(path: Path) -> ListedGraph:
    """Read a network of SANA-FE in YAML; raise `DamagedError` for its netlist, and for a file that is not valid."""
    file = _load(path)
    groups = _read_groups(path, file)
    mapped = {name for name, group in groups.items() if (group.core >= 0).any()}
    inputs = {name for name, group in groups.items() if (name not in mapped if mapped else group.input_model)}
    names = sorted((name for name, group in groups.items() if group.bias.size), key=lambda name: name not in inputs)
    populations = [ListedPopulation(name, groups[name].bias.shape, bias=groups[name].bias) for name in names]
    graph = ListedGraph(populations, (), sum(name in inputs for name in names))
    notes, files = [UNREAD], {}
    if graph.inputs:
        notes.append(f"inputs are the groups {', '.join(names[: graph.inputs])}")
    if mapped:
        core = np.concatenate([groups[name].core for name in names[graph.inputs :]])
        unmapped = int(np.count_nonzero(core[:, 0] < 0))
        if unmapped:
            notes.append(f"the mapping is omitted: {unmapped:,} neurons have no core")
        else:
            cores, numbers = np.unique(core, axis=0, return_inverse=True)
            files["partition.txt"] = "".join(f"{number}\n" for number in numbers.ravel().tolist())
            files["placement.txt"] = ADDRESSES + "".join(f"{tile} {within}\n" for tile, within in cores.tolist())
            notes.append("the mapping is in partition.txt and placement.txt next to the graph")
    ids = {**dict.fromkeys(groups, range(0)), **graph.ids_by_population}
    return replace(graph, edges=_read_edges(path, file.network.edges, ids), notes=tuple(notes), text_files=files)


def _load(path: Path) -> _File:
    with path.open("rb") as file:
        if _is_netlist(file.read(1 << 16)):
            raise DamagedError(path, NETLIST)
        file.seek(0)
        require_memory(YAML_BYTES * path.stat().st_size, f"{path}: the values of the file")
        try:
            events = iter(LOADER(file).get_event, None)
            next(events), next(events)  # beginnings of the stream and of the document
            return _File.model_validate(_node(next(events), events))
        except yaml.YAMLError as error:
            raise invalid_yaml(error, path) from None
        except RecursionError:
            raise DamagedError(path, "YAML nested too deeply for a network of SANA-FE") from None
        except ValueError as error:
            raise DamagedError(path, _fault(error)) from None


def _node(event: yaml.Event, events: Iterator[yaml.Event]) -> Node:
    """Return the node that begins with an event; PyYAML's own nodes take several times the memory."""
    inner = takewhile(lambda event: not isinstance(event, CollectionEndEvent), events)
    if isinstance(event, ScalarEvent):
        return event.value
    if isinstance(event, SequenceStartEvent):
        return [_node(item, events) for item in inner]
    if isinstance(event, MappingStartEvent):
        mapping: Dict[str, Node] = {}
        for key in inner:
            name = str(_node(key, events))
            if name in mapping:
                raise ValueError(f"the key {_shown(name)} is given twice, again in line {key.start_mark.line + 1}")
            mapping[name] = _node(next(events), events)
        return mapping
    raise ValueError("aliases of YAML are not read")


def _fault(error: ValueError) -> str:
    return faults_in_words(error) if isinstance(error, ValidationError) else first_line(error)


def _shown(node: Node) -> str:
    text = repr(node)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _read_groups(path: Path, file: _File) -> Dict[str, _Arrays]:
    """Return the groups by name, with biases and cores of their neurons."""
    groups: Dict[str, _Arrays] = {}
    budget, place = Budget(path), ""
    try:
        for stated in file.network.groups:
            place = f"group {stated.name}: "
            if stated.name in groups:
                raise ValueError("there are two groups of this name")
            size = sum(len(_neurons(numbers)) for one in stated.neurons for numbers in one)
            budget.draw(size, "neurons", NEURON_BYTES)
            group = _Arrays(np.zeros(size, np.float32), np.full((size, 2), -1, np.int32))
            for one in [{"": stated.attributes}, *stated.neurons]:
                for numbers, own in one.items():
                    neurons = _slice(numbers, stated.name, size)
                    if own.bias is not None:
                        group.bias[neurons] = own.bias
                    group.input_model |= any(value is not None for value in (own.spikes, own.poisson, own.rate))
            groups[stated.name] = group
        for address, on in (pair for one in file.mappings for pair in one.items()):
            place = f"{address}: "
            name, _, numbers = address.partition(".")
            group = _named(groups, name)
            group.core[_slice(numbers, name, group.bias.size)] = [int(number) for number in on.core.split(".")]
    except ValueError as error:
        raise DamagedError(path, place + _fault(error)) from None
    return groups


def _neurons(text: str) -> range:
    """Return the neurons of a number or range, `3` or `0..9`."""
    match = NEURONS.fullmatch(text)
    if match is None:
        raise ValueError(f"{_shown(text)} is not a number of a neuron, or a range as 0..9")
    first, last = int(match.group(1)), int(match.group(2) or match.group(1))
    if last < first:
        raise ValueError(f"the range {text} ends before it begins")
    return range(first, last + 1)


def _slice(text: str, name: str, size: int) -> slice:
    """Return neurons of a group, by default all."""
    neurons = _neurons(text) if text else range(size)
    if neurons.stop > size:
        raise ValueError(f"there is no neuron {name}.{neurons.stop - 1}; the group has {size:,}, from 0")
    return slice(neurons.start, neurons.stop)


def _named(groups: Mapping[str, T], name: str) -> T:
    if name not in groups:
        raise ValueError(f"there is no group {_shown(name)}")
    return groups[name]


def _id(ids: Ids, name: str, number: Optional[str]) -> int:
    """Return the id of a neuron."""
    group = _named(ids, name)
    if number is None or int(number) >= len(group):
        raise ValueError(f"there is no neuron {name}.{number or ''}; the group has {len(group):,}, from 0")
    return group[int(number)]


def _read_edges(path: Path, edges: List[Dict[str, Node]], ids: Ids) -> Iterator[Edges]:
    rows: List[Tuple[int, int, float]] = []
    address = ""
    try:
        for address, attributes in (pair for one in edges for pair in one.items()):
            match = EDGE.fullmatch(address)
            if match is None:
                raise ValueError("not an edge, as a.0 -> b.1")
            source, i, target, j = match.groups()
            if i is None and j is None:
                yield from _hyperedge(_named(ids, source), _named(ids, target), attributes)
                continue
            rows.append((_id(ids, source, i), _id(ids, target, j), _Edge.model_validate(attributes).weight))
            if len(rows) == BATCH:
                yield _columns(rows)
                rows = []
        yield _columns(rows)
    except ValueError as error:
        raise DamagedError(path, f"{address}: {_fault(error)}") from None
    except ResourceError as error:
        raise ResourceError(f"{path}: {address}: {error}") from error


def _columns(rows: List[Tuple[int, int, float]]) -> Edges:
    source, target, weight = zip(*rows) if rows else ((), (), ())
    return np.array(source, np.int64), np.array(target, np.int64), np.array(weight, np.float64)


def _hyperedge(source: range, target: range, attributes: Node) -> Iterator[Edges]:
    """Yield the edges between two groups."""
    kind = _Hyperedge.model_validate(attributes)
    if kind.type == "sparse":
        pairs = np.array(_Sparse.model_validate(attributes).source_target_pairs, np.int64).reshape(-1, 2)
        if ((pairs < 0) | (pairs >= (len(source), len(target)))).any():
            raise ValueError(f"source_target_pairs are not of groups of {len(source):,} and {len(target):,} neurons")
        yield source.start + pairs[:, 0], target.start + pairs[:, 1], kind.weights(len(pairs))
    elif kind.type == "conv2d":
        yield from _convolution(source, target, _Convolution.model_validate(attributes))
    else:
        weights = kind.weights(len(source) * len(target))
        yield np.repeat(source, len(target)), np.tile(target, len(source)), weights


def _convolution(source: range, target: range, kind: _Convolution) -> Iterator[Edges]:
    """Yield the edges of a `conv2d` for each channel of the target.

    Neurons are ordered by channel, row and column, weights by row, column, channel of the source and of the target.
    """
    height, width, channels = kind.input_height, kind.input_width, kind.input_channels
    rows, columns, filters = kind.kernel_height, kind.kernel_width, kind.kernel_count
    out_height, out_width = (height - rows) // kind.stride_height + 1, (width - columns) // kind.stride_width + 1
    sizes = channels * height * width, filters * max(out_height, 0) * max(out_width, 0)
    if sizes != (len(source), len(target)) or not all(sizes):
        raise ValueError(f"a conv2d from {sizes[0]:,} to {sizes[1]:,} neurons, not {len(source):,} to {len(target):,}")
    weights = kind.weights(rows * columns * channels * filters).reshape(rows, columns, channels, filters)
    taps = out_height * out_width * rows * columns * channels
    require_memory(EDGE_BYTES * taps, f"the {taps:,} synapses of a channel")
    y, x, row, column, channel = np.indices((out_height, out_width, rows, columns, channels)).reshape(5, -1)
    sources = source.start + (channel * height + y * kind.stride_height + row) * width + x * kind.stride_width + column
    for one in range(filters):
        ends = target.start + (one * out_height + y) * out_width + x
        yield sources, ends, weights[row, column, channel, one]


def is_trace(path: Path) -> bool:
    """Whether a file begins as a trace of spikes."""
    with path.open("rb") as file:
        return file.readline(100).strip() == TRACE


def read_trace(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Count the spikes of a trace of SANA-FE, which has a line for each: GROUP.NEURON,STEP with steps from 1."""
    refuse_numbers(path, graph)
    ranges = graph.ids_by_population
    nodes, steps, last = array("q"), array("q"), 0
    with path.open(encoding="utf-8", errors="replace") as file:
        next(file)
        for line, text in enumerate(file, 2):
            neuron, _, step = text.strip().rpartition(",")
            name, _, number = neuron.rpartition(".")
            numbers = step.isdecimal() and number.isdecimal() and max(len(step), len(number)) <= MOST_DIGITS
            if not (numbers and int(step)):
                raise DamagedError(path, f"line {line}: {text[:40].strip()!r} is not a spike, GROUP.NEURON,STEP")
            ids = ranges.get(name, ())
            if int(number) >= len(ids):
                raise DamagedError(path, f"line {line}: the graph has no neuron {neuron[:40]!r}")
            if int(step) > MOST:
                raise DamagedError(path, f"line {line}: step {step}, and a trace has at most {MOST:,} steps")
            if recording.steps > 1 and int(step) > recording.steps:
                raise DamagedError(path, f"line {line}: a spike in step {step} of {recording.steps:,}")
            nodes.append(ids[int(number)])
            steps.append(int(step) - 1)
            last = max(last, int(step))
    notes = ["neurons whose spikes SANA-FE has not logged (log_spikes) count as silent"]
    if recording.steps == 1:
        recording = replace(recording, num_timesteps=max(last, 1))
        notes.append(f"{last:,} time steps are assumed, up to the last spike of the trace")
    times = np.array([nodes, steps], np.int64)
    if (np.diff(times[1]) < 0).any():
        times = times[:, np.argsort(times[1], kind="stable")]
    spikes = np.bincount(times[0], minlength=graph.nodes)
    return Rates(spikes, recording, tuple(notes), times if recording.num_samples == 1 else None)


FORMAT = Format(
    "_sanafe.net",
    write_netlist,
    _check,
    simulates=True,
    own_options=("map",),
    extra_description=_describe,
    reader=(recognises, read),
)
