"""Networks of SANA-FE: YAML with the keys `network` and `mappings`, or a netlist, as `snnb export --format sanafe`.

Groups are populations, in the order of the file. SANA-FE places all neurons on cores, also its model `input`'s,
so these are placed neurons here. A group is an input if none of its neurons is on a core, while others are; or, in a
file without a mapping, if its neurons have attributes of the model `input`. A complete mapping becomes two files for
`snnb map`: `partition.txt`, and `placement.txt` with the numbers of tiles and cores of SANA-FE.

A netlist is read twice: groups and mapping, then edges, some at a time. YAML is in memory, as it is in SANA-FE; its
scalars stay text, so that neuron 1.10 is not 1.1.
(SLAM-Lab/SANA-FE 2.1.1, src/yaml_snn.cpp, src/netlist.cpp, src/network.cpp.)
"""

import math
import re
from array import array
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type

import numpy as np
import yaml
from yaml.events import CollectionEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from snnb.core.errors import DamagedError, first_line
from snnb.formats.description import Description, description_path, read_description
from snnb.formats.rates import Rates
from snnb.graph.listed import Edges, ListedGraph, ListedPopulation, require_neurons
from snnb.graph.populations import Recording
from snnb.io.text import invalid_yaml, refuse_deep_yaml

BATCH = 1 << 18  # edges
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
SUFFIXES = (".yaml", ".yml")
INPUT_MODEL = ("spikes", "poisson", "rate")  # attributes of neurons of SANA-FE's model `input`
CONV2D = ("input_height", "input_width", "input_channels", "kernel_height", "kernel_width")
UNITS = ("synapse", "dendrite", "soma")  # of a core, to which attributes may be restricted
NEURONS = re.compile(r"(\d{1,10})(?:\.\.(\d{1,10}))?")
EDGE = re.compile(r"\s*([^.\s]+)(?:\.(\d{1,10}))?\s*->\s*([^.\s]+)(?:\.(\d{1,10}))?\s*")
CORE = re.compile(r"(\d{1,9})\.(\d{1,9})")
TRACE = b"neuron,timestep"  # first line of a trace
ADDRESSES = "tile core\n"  # first line of a placement with the numbers of SANA-FE
RELAYS = {"soma_hw_name": "soma", "synapse_hw_name": "synapse", "log_spikes": "0"}.items()  # of `snnb export`
UNREAD = "weights of edges and biases of neurons are read; a graph has no thresholds, leaks, resets and delays"
Node = Any  # text, a list of nodes, or a dictionary of nodes by text
Attributes = Dict[str, Node]


@dataclass
class Group:
    """Neurons of a group, with the attributes that a graph has."""

    size: int
    like_relays: bool = False  # whether it has the attributes of relays of `snnb export`
    bias: np.ndarray = field(init=False)  # (size,) float32
    core: np.ndarray = field(init=False)  # (size, 2) int32: tile, and core in it; -1 for a neuron on no core
    input_model: bool = False  # whether neurons have attributes of the model `input`
    relays: bool = False  # whether it is left out, since its neurons repeat the spikes of another group
    first: int = 0  # id of its first neuron; of relays that of the first neuron that they repeat

    def __post_init__(self) -> None:
        self.bias, self.core = np.zeros(self.size, np.float32), np.full((self.size, 2), -1, np.int32)

    @property
    def mapped(self) -> bool:
        """Whether any neuron is on a core."""
        return bool((self.core >= 0).any())

    def configure(self, neurons: slice, attributes: Attributes) -> None:
        """Set attributes of some neurons."""
        if "bias" in attributes:
            self.bias[neurons] = _number(attributes["bias"])
        self.input_model |= any(name in attributes for name in INPUT_MODEL)


Groups = Dict[str, Group]


def recognises(path: Path) -> bool:
    """Whether a file begins as a network of SANA-FE: YAML with one of its keys, or a netlist with a group."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begin = file.read(1 << 16)
    if path.suffix in SUFFIXES:
        return re.search(rb"^(network|mappings)\s*:", begin, re.MULTILINE) is not None
    return re.match(rb"(\s*(#[^\n]*)?\n)*\s*g\s+\d", begin) is not None


def read(path: Path) -> ListedGraph:
    """Read a network of SANA-FE; of an export of `snnb` with its description, relays are ignored."""
    file = _File(path)
    groups = _read_groups(file)
    described = None if path.suffix in SUFFIXES else _description_of(path, groups)
    netlist = None if described is None else described.sanafe
    mapped = any(group.mapped for group in groups.values())
    if described is not None:
        inputs = {str(number) for number in range(described.inputs)}
    elif mapped:
        inputs = {name for name, group in groups.items() if not group.mapped}
    else:
        inputs = {name for name, group in groups.items() if group.input_model}
    names = [name for name, group in groups.items() if group.size and not group.relays]
    names.sort(key=lambda name: name not in inputs)
    first, populations = 0, []
    for name in names:
        group = groups[name]
        group.first, first = first, first + group.size
        own = ListedPopulation(name, (group.size,)) if described is None else described.listed[int(name)]
        populations.append(replace(own, bias=group.bias))
    notes: List[str] = []
    files: Dict[str, str] = {}
    if described is None or netlist is None:
        notes.append(UNREAD)
        relays = sum(group.like_relays for group in groups.values())
        if relays:
            notes.append(f"{relays} groups of relays count as neurons: {path.name}.json, which names them, is missing")
        if inputs:
            notes.append(f"inputs are the groups {', '.join(name for name in names if name in inputs)}")
    else:
        notes += described.notes
        group_of = {population.name: str(number) for number, population in enumerate(described.populations)}
        for relay in netlist.relays:
            groups[str(relay.group)].first = groups[group_of[relay.population]].first
        if netlist.mapping is not None:
            notes.append("the file has no inputs and none of their synapses, as it has a mapping")
    if mapped and (netlist is None or netlist.mapping is not None):
        core = np.concatenate([groups[name].core for name in names if name not in inputs])
        unmapped = int(np.count_nonzero(core[:, 0] < 0))
        if unmapped:
            notes.append(f"the mapping is left out: {unmapped:,} neurons are on no core")
        else:
            cores, numbers = np.unique(core, axis=0, return_inverse=True)
            files["partition.txt"] = "".join(f"{number}\n" for number in numbers.ravel().tolist())
            files["placement.txt"] = ADDRESSES + "".join(f"{tile} {within}\n" for tile, within in cores.tolist())
            notes.append("the mapping is in partition.txt and placement.txt next to the graph")
    return ListedGraph(
        populations,
        _read_edges(file, groups),
        sum(name in inputs for name in names),
        None if described is None else described.recording,
        files=() if described is None else (path, description_path(path)),
        notes=tuple(notes),
        ranges={name: range(groups[name].first, groups[name].first + groups[name].size) for name in names},
        text_files=files,
    )


def _description_of(path: Path, groups: Groups) -> Optional[Description]:
    """Return the description next to an export, and mark the groups of relays; None if there is none."""
    file = description_path(path)
    described = read_description(file) if file.is_file() else None
    if described is None or described.sanafe is None:
        return None
    sizes = {str(number): population.size for number, population in enumerate(described.listed)}
    if described.sanafe.mapping is not None:
        sizes.update((str(number), 0) for number in range(described.inputs))
    sizes.update((str(relay.group), relay.size) for relay in described.sanafe.relays)
    if {name: group.size for name, group in groups.items()} != sizes:
        raise DamagedError(file, f"describes other groups than {path.name} has; move it away")
    for relay in described.sanafe.relays:
        groups[str(relay.group)].relays = True
    return described


class _Entry(NamedTuple):
    """An entry of a file: a group (g), neurons (n), or an edge (e), or neurons on a core (&)."""

    kind: str
    address: str  # name of the group, `group.neurons`, or `group.neuron->group.neuron`
    attributes: Attributes
    size: int = 0  # of a group


class _File:
    """A file whose entries are read one after another.

    Attributes
    ----------
    place : str
        Line of a netlist, or part of a YAML file, that is read, for messages.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, ""
        self._document: Node = None
        if path.suffix in SUFFIXES:
            with self.located(), path.open("rb") as opened:
                events = iter(LOADER(opened).get_event, None)
                next(events), next(events)  # beginnings of the stream and of the document
                self._document = _node(next(events), events)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Raise errors of the block as `DamagedError` with the place in the file."""
        try:
            yield
        except ValueError as error:
            raise DamagedError(self.path, f"{self.place}{first_line(error)}") from None
        except yaml.YAMLError as error:
            raise invalid_yaml(error, self.path) from None
        except RecursionError:
            raise DamagedError(self.path, "nested too deeply for a network of SANA-FE") from None

    def entries(self, edges: bool) -> Iterator[_Entry]:
        """Yield the edges, or all other entries, each group before its neurons."""
        return self._netlist(edges) if self._document is None else self._yaml(edges)

    def _netlist(self, edges: bool) -> Iterator[_Entry]:
        groups = 0
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line, text in enumerate(file, 1):
                self.place = f"line {line:,}: "
                fields = text.split(None, 2)
                kind = fields[0][0] if fields else "#"
                if kind == "#":
                    continue
                if len(fields) < 2 or kind not in "gne&":
                    raise ValueError(f"{_shown(text.strip())} is not a group (g), neuron (n), edge (e) or mapping (&)")
                if edges != (kind == "e"):
                    continue
                address, attributes = fields[1], _fields(fields[2:])
                if kind == "g":
                    if not address.isdecimal():
                        raise ValueError(f"{_shown(address)} is not a number of neurons")
                    yield _Entry("g", str(groups), attributes, int(address))
                    groups += 1
                elif kind == "&":
                    neuron, _, core = address.partition("@")
                    yield _Entry("&", neuron, {"core": core})
                else:
                    yield _Entry(kind, address, attributes)

    def _yaml(self, edges: bool) -> Iterator[_Entry]:
        network = _part(self._document, "network", dict)
        if not edges:
            for group in _part(network, "groups", list):
                self.place = "groups: "
                yield from self._group(group)
        owner, title, kind = (network, "edges", "e") if edges else (self._document, "mappings", "&")
        for item in _part(owner, title, list):
            self.place = f"{title}: "
            for address, attributes in _pairs(item):
                self.place = f"{address}: "
                yield _Entry(kind, address, _attributes(attributes))

    def _group(self, group: Node) -> Iterator[_Entry]:
        name = _part(group, "name", str)
        if not name:
            raise ValueError(f"a group has no name: {_shown(group)}")
        self.place = f"group {name}: "
        neurons: List[_Entry] = []
        size = 0
        for item in _part(group, "neurons", list):
            for numbers, attributes in [(item, "")] if isinstance(item, str) else _pairs(item):
                part = _slice(numbers)
                size += part.stop - part.start
                neurons.append(_Entry("n", f"{name}.{numbers}", _attributes(attributes)))
        yield _Entry("g", name, _attributes(group.get("attributes")), size)
        yield from neurons


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
                raise ValueError(
                    f"the key {_shown(name)} is given several times, again in line {key.start_mark.line + 1}"
                )
            mapping[name] = _node(next(events), events)
        return mapping
    raise ValueError("aliases of YAML are not read")


def _part(node: Node, name: str, kind: Type[Node]) -> Node:
    """Return a part of a mapping; an empty one if it is missing or empty."""
    if not isinstance(node, dict):
        raise ValueError(f"{_shown(node)} is not a mapping with the key {name}")
    part = node.get(name) or kind()
    if not isinstance(part, kind):
        raise ValueError(f"{name} is {_shown(part)}, and must be a {kind.__name__}")
    return part


def _read_groups(file: _File) -> Groups:
    """Read the groups, and where their neurons are mapped."""
    groups: Groups = {}
    total = 0
    with file.located():
        for kind, address, attributes, size in file.entries(edges=False):
            name, _, numbers = address.partition(".")
            if kind == "g":
                if address in groups:
                    raise ValueError(f"there are two groups {_shown(address)}")
                total += size
                require_neurons(file.path, total)
                groups[address] = Group(size, like_relays=attributes.items() >= RELAYS)
                groups[address].configure(slice(None), attributes)
                continue
            group = _group(groups, name)
            neurons = _slice(numbers, name, group) if numbers or kind == "n" else slice(None)
            if kind == "n":
                group.configure(neurons, attributes)
                continue
            core = attributes.get("core")
            match = CORE.fullmatch(core) if isinstance(core, str) else None
            if match is None:
                raise ValueError(f"{_shown(core)} is not a core, as 0.3: core 3 of tile 0")
            group.core[neurons] = int(match.group(1)), int(match.group(2))
        if not groups:
            raise ValueError("there are no groups; they are in network, groups")
    return groups


def _read_edges(file: _File, groups: Groups) -> Iterator[Edges]:
    rows: List[Tuple[int, int, float]] = []
    with file.located():
        for entry in file.entries(edges=True):
            match = EDGE.fullmatch(entry.address)
            if match is None:
                raise ValueError(f"{_shown(entry.address)} is not an edge, as a.0 -> b.1")
            source, i, target, j = match.groups()
            if i is None and j is None:
                yield from _hyperedge(_group(groups, source), _group(groups, target), entry.attributes)
                continue
            ends = _id(groups, source, i), _id(groups, target, j)
            if not groups[target].relays:
                rows.append((*ends, _number(entry.attributes.get("weight", entry.attributes.get("w", "0")))))
            if len(rows) == BATCH:
                yield _columns(rows)
                rows = []
        yield _columns(rows)


def _columns(rows: Sequence[Tuple[int, int, float]]) -> Edges:
    source, target, weight = zip(*rows) if rows else ((), (), ())
    return np.array(source, np.int64), np.array(target, np.int64), np.array(weight, np.float64)


def _fields(rest: Sequence[str]) -> Attributes:
    """Return the attributes at the end of a line of a netlist: `name=value` for each, or YAML in brackets."""
    text = rest[0].strip() if rest else ""
    if text[:1] in ("[", "{"):
        try:
            refuse_deep_yaml(text)
            return _attributes(yaml.load(text, Loader=LOADER))
        except yaml.YAMLError:
            raise ValueError(f"{_shown(text)} is not valid YAML") from None
    attributes: Attributes = {}
    for one in text.split():
        name, equals, value = one.partition("=")
        if not equals:
            raise ValueError(f"{_shown(one)} is not an attribute, name=value")
        attributes[name] = value
    return attributes


def _attributes(node: Node) -> Attributes:
    """Merge attributes, a mapping or a list of mappings, with the attributes of units of the hardware."""
    if not node:
        return {}
    if isinstance(node, str):
        raise ValueError(f"{_shown(node)} is not a mapping of attributes")
    attributes: Attributes = {}
    for part in node if isinstance(node, list) else [node]:
        if not isinstance(part, dict):
            attributes.update(_attributes(part))
            continue
        for key, value in part.items():
            attributes.update(_attributes(value) if key in UNITS and not isinstance(value, str) else {key: value})
    return attributes


def _pairs(node: Node) -> List[Tuple[str, Node]]:
    if not isinstance(node, dict):
        raise ValueError(f"{_shown(node)} is not an address with its attributes")
    return list(node.items())


def _group(groups: Groups, name: str) -> Group:
    if name not in groups:
        raise ValueError(f"there is no group {_shown(name)}")
    return groups[name]


def _id(groups: Groups, name: str, number: Optional[str]) -> int:
    """Return the id of a neuron."""
    group = _group(groups, name)
    if number is None or int(number) >= group.size:
        raise ValueError(f"there is no neuron {name}.{number or ''}; the group has {group.size:,}, from 0")
    return group.first + int(number)


def _slice(text: str, name: str = "", group: Optional[Group] = None) -> slice:
    """Return the neurons of a number or range, `3` or `0..9`, of a group where one is given."""
    match = NEURONS.fullmatch(text)
    if match is None:
        raise ValueError(f"{_shown(text)} is not a number of a neuron, or a range as 0..9")
    first, last = int(match.group(1)), int(match.group(2) or match.group(1))
    if last < first:
        raise ValueError(f"the range {text} ends before it begins")
    if group is not None and last >= group.size:
        raise ValueError(f"there is no neuron {name}.{last}; the group has {group.size:,}, from 0")
    return slice(first, last + 1)


def _number(node: Node) -> float:
    try:
        value = float(node)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{_shown(node)} is not a finite number")
    return value


def _shown(node: Node) -> str:
    text = repr(node)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _hyperedge(source: Group, target: Group, attributes: Attributes) -> Iterator[Edges]:
    """Yield the edges between two groups of type dense, sparse or conv2d."""
    kind = attributes.get("type")
    if kind == "dense":
        weights, ends = _weights(attributes, source.size * target.size), target.first + np.arange(target.size)
        rows = max(1, BATCH // max(target.size, 1))
        for begin in range(0, source.size, rows):
            numbers = np.arange(begin, min(begin + rows, source.size))
            part = weights[numbers[0] * target.size : (numbers[-1] + 1) * target.size]
            yield source.first + np.repeat(numbers, target.size), np.tile(ends, numbers.size), part
    elif kind == "sparse":
        listed = attributes.get("source_target_pairs")
        if not isinstance(listed, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in listed):
            raise ValueError("source_target_pairs is not a list of pairs of neurons")
        pairs = np.array(listed).astype(np.int64).reshape(-1, 2)
        if ((pairs < 0) | (pairs >= (source.size, target.size))).any():
            raise ValueError(f"source_target_pairs are not of groups of {source.size:,} and {target.size:,} neurons")
        yield source.first + pairs[:, 0], target.first + pairs[:, 1], _weights(attributes, len(pairs))
    elif kind == "conv2d":
        yield from _convolution(source, target, attributes)
    else:
        raise ValueError(f"the type of an edge between groups is {_shown(kind)}; use dense, sparse or conv2d")


def _weights(attributes: Attributes, count: int) -> np.ndarray:
    """Return the weights of a number of edges; 0 where none are given, as in SANA-FE."""
    given = attributes.get("weight", attributes.get("w", ["0"] * count))
    if not isinstance(given, list) or len(given) < count:
        raise ValueError(f"weight has not a number for each of {count:,} edges")
    return np.array([_number(one) for one in given[:count]])


def _convolution(source: Group, target: Group, attributes: Attributes) -> Iterator[Edges]:
    """Yield the edges of a `conv2d` for each channel of the target.

    Neurons are ordered by channel, row and column, weights by row, column, channel of the source and of the target.
    """

    def size(name: str, default: str = "") -> int:
        text = attributes.get(name, default)
        if not (isinstance(text, str) and text.isdecimal() and int(text)):
            raise ValueError(f"{name} of a conv2d is {_shown(text)}; give a whole number from 1")
        return int(text)

    height, width, channels, rows, columns = (size(name) for name in CONV2D)
    filters, down, right = (size(name, "1") for name in ("kernel_count", "stride_height", "stride_width"))
    out_height, out_width = (height - rows) // down + 1, (width - columns) // right + 1
    sizes = channels * height * width, filters * max(out_height, 0) * max(out_width, 0)
    if sizes != (source.size, target.size):
        raise ValueError(
            f"a conv2d from {sizes[0]:,} to {sizes[1]:,} neurons; its groups have {source.size:,} and {target.size:,}"
        )
    y, x, row, column, channel = np.indices((out_height, out_width, rows, columns, channels)).reshape(5, -1)
    sources = source.first + (channel * height + y * down + row) * width + x * right + column
    weights = _weights(attributes, rows * columns * channels * filters).reshape(rows, columns, channels, filters)
    for one in range(filters):
        ends = target.first + (one * out_height + y) * out_width + x
        yield sources, ends, weights[row, column, channel, one]


def is_trace(path: Path) -> bool:
    """Whether a file begins as a trace of spikes."""
    with path.open("rb") as file:
        return file.readline(100).strip() == TRACE


def read_trace(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Count the spikes of a trace of SANA-FE, which has a line for each: GROUP.NEURON,STEP with steps from 1."""
    nodes, steps, last = array("q"), array("q"), 0
    with path.open(encoding="utf-8", errors="replace") as file:
        next(file)
        for line, text in enumerate(file, 2):
            neuron, _, step = text.strip().rpartition(",")
            name, _, number = neuron.partition(".")
            if not (step.isdecimal() and number.isdecimal() and int(step)):
                raise DamagedError(path, f"line {line}: {text[:40].strip()!r} is not a spike, GROUP.NEURON,STEP")
            ids = graph.ranges.get(name, ())
            if int(number) >= len(ids):
                raise DamagedError(path, f"line {line}: the graph has no neuron {neuron[:40]!r}")
            if recording.steps > 1 and int(step) > recording.steps:
                raise DamagedError(
                    path, f"line {line}: a spike in step {step}, and the spikes are of {recording.steps:,} steps"
                )
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
