"""Read networks of SANA-FE in its YAML, with the keys `network` and `mappings`.

(Boyle et al., IEEE TCAD 44(8), 2025; SLAM-Lab/SANA-FE 2.1.1, src/yaml_snn.cpp,
src/network.cpp.)

SANA-FE's `load_net` does not replace this reader: its objects hide mapping and biases,
groups lose their order, and version 2.1.1 confuses the weights of sparse edges.

Groups become populations, in the order of the file. SANA-FE places all neurons on
cores, including neurons of its model `input`, so these are placed neurons here. A group
is an input if none of its neurons is on a core, while others are; or, in a file that
maps no neuron, if its neurons have attributes of the model `input`.

A mapping of all neurons except inputs becomes two files for `snnb map`:
`partition.txt`, and `placement.txt` with the numbers of tiles and cores of SANA-FE.

The file is read in two steps. Events of YAML become a *node*: text, a list of nodes, or
a dictionary of nodes by text. Pydantic models then check the nodes.
"""

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from math import prod
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

import numpy as np
import yaml
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from typing_extensions import Annotated, Literal
from yaml.events import (
    CollectionEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from snnb.core.errors import DamagedError, ResourceError, first_line
from snnb.core.machine import require_memory
from snnb.graph.listed import NEURON_BYTES, Edges, ListedGraph, ListedPopulation
from snnb.io.budget import Budget
from snnb.io.faults import faults_in_words
from snnb.io.text import invalid_yaml

BATCH = 1 << 18  # edges
# Its scalars stay text, so that neuron 1.10 is not 1.1
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
NEURON_RANGE = re.compile(r"(\d{1,10})(?:\.\.(\d{1,10}))?")
EDGE = re.compile(r"\s*([^.\s]+)(?:\.(\d{1,10}))?\s*->\s*([^.\s]+)(?:\.(\d{1,10}))?\s*")
YAML_BYTES = 25  # of memory, for each byte of a file
EDGE_BYTES = 100  # of an edge of a convolution in memory
BEGINNING = 1 << 16  # bytes of a file by which it is recognised
LONGEST_SHOWN = 60  # characters of a wrong node in a message
CORE_UNITS = ("synapse", "dendrite", "soma")  # to which attributes may be restricted
PLACEMENT_HEADER = "tile core\n"  # of a placement with the numbers of SANA-FE
UNREAD = (
    "weights of edges and biases of neurons are read; a graph has no thresholds, "
    "leaks, resets and delays"
)
NETLIST = (
    "a netlist of SANA-FE, which snnb no longer reads; give the network in YAML, which "
    "Network.save of SANA-FE writes, or, if snnb exported it, its run"
)
YamlValue = Any  # text, a list of nodes, or a dictionary of nodes by text
Ids = Mapping[str, range]  # of the neurons of each group
Side = Annotated[int, Field(gt=0, lt=2**31)]
Item = TypeVar("Item")


class _Attributes(BaseModel):
    """Attributes in a mapping or a list of mappings.

    Attributes of a unit of a core are in a mapping of its name.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _merge(cls, node: YamlValue) -> Dict[str, YamlValue]:
        return _merge_attributes(node)


def _merge_attributes(node: YamlValue) -> Dict[str, YamlValue]:
    """Return the attributes of a node, those of units included, in one dictionary.

    `[bias: 1, soma: {leak: 2}]` gives {"bias": "1", "leak": "2"}.
    """
    parts = [node] if node else []
    if isinstance(node, list):
        parts = node
    attributes: Dict[str, YamlValue] = {}
    for part in parts:
        if not isinstance(part, dict):
            raise ValueError(f"{_shorten(part)} is not a mapping of attributes")
        for key, value in part.items():
            if key in CORE_UNITS and not isinstance(value, str):
                attributes.update(_merge_attributes(value))
            else:
                attributes[key] = value
    return attributes


class _NeuronAttributes(_Attributes):
    """Attributes of neurons."""

    bias: Optional[float] = None
    spikes: YamlValue = None  # this and the following are of the model `input`
    poisson: YamlValue = None
    rate: YamlValue = None

    @property
    def is_input(self) -> bool:
        """Whether there are attributes of the model `input`."""
        attributes = (self.spikes, self.poisson, self.rate)
        return any(value is not None for value in attributes)


class _Place(_Attributes):
    """The core of neurons: tile, and core in it."""

    core: str = Field(pattern=r"^\d{1,9}\.\d{1,9}$")

    @property
    def numbers(self) -> List[int]:
        """Tile, and core in it."""
        return [int(number) for number in self.core.split(".")]


class _Edge(_Attributes):
    """Attributes of an edge between two neurons."""

    weight: float = Field(0.0, validation_alias=AliasChoices("weight", "w"))


class _Hyperedge(_Attributes):
    """Attributes of the edges between two groups."""

    type: Literal["dense", "sparse", "conv2d"]
    weight: List[float] = Field(validation_alias=AliasChoices("weight", "w"))

    def weights(self, count: int) -> np.ndarray:
        """Return the first `count` weights, of edges or of a kernel: float64 (count,).

        Raise `ValueError` if there are fewer.
        """
        if len(self.weight) < count:
            raise ValueError(
                f"weight has {len(self.weight):,} numbers, not one for each of "
                f"{count:,}"
            )
        return np.array(self.weight[:count])


class _Sparse(_Hyperedge):
    """Edges between pairs of neurons, which count from 0 in each group."""

    source_target_pairs: List[Tuple[int, int]]


class _Convolution(_Hyperedge):
    """Edges of a convolution."""

    input_height: Side
    input_width: Side
    input_channels: Side
    kernel_height: Side
    kernel_width: Side
    kernel_count: Side = 1
    stride_height: Side = 1
    stride_width: Side = 1

    @property
    def output_height(self) -> int:
        """Rows of the target, 0 or less if the kernel does not fit."""
        return (self.input_height - self.kernel_height) // self.stride_height + 1

    @property
    def output_width(self) -> int:
        """Columns of the target, 0 or less if the kernel does not fit."""
        return (self.input_width - self.kernel_width) // self.stride_width + 1

    @property
    def sizes(self) -> Tuple[int, int]:
        """Number of neurons of the source and of the target."""
        input_size = self.input_height * self.input_width
        output_size = max(self.output_height, 0) * max(self.output_width, 0)
        return self.input_channels * input_size, self.kernel_count * output_size


class _Group(BaseModel):
    """A group of neurons."""

    name: str = Field(min_length=1)
    attributes: _NeuronAttributes = _NeuronAttributes()  # of all neurons
    neurons: List[Dict[str, _NeuronAttributes]]  # by number or range, as 0..9

    @field_validator("neurons", mode="before")
    @classmethod
    def _allow_numbers(cls, node: YamlValue) -> YamlValue:
        if not isinstance(node, list):
            return node
        return [{item: {}} if isinstance(item, str) else item for item in node]


class _Network(BaseModel):
    """Groups and edges.

    An edge between neurons has the address `group.neuron -> group.neuron`, edges
    between groups `group -> group`.
    """

    groups: List[_Group]
    edges: List[Dict[str, YamlValue]] = []  # attributes by address


class _File(BaseModel):
    """Content of a file."""

    network: _Network
    mappings: List[Dict[str, _Place]] = []  # by group, or by neurons of one


@dataclass
class _GroupArrays:
    """Biases and cores of the neurons of a group."""

    bias: np.ndarray  # (size,) float32
    core: np.ndarray  # (size, 2) int32: tile, and core in it; -1 for no core
    has_input_model: bool = (
        False  # whether neurons have attributes of the model `input`
    )

    @classmethod
    def empty(cls, size: int) -> "_GroupArrays":
        """Return the arrays of neurons without a bias and a core."""
        return cls(np.zeros(size, np.float32), np.full((size, 2), -1, np.int32))

    @property
    def is_mapped(self) -> bool:
        """Whether a neuron is on a core."""
        return bool((self.core >= 0).any())


def recognises(path: Path) -> bool:
    """Whether a file begins as a network of SANA-FE.

    It is YAML with one of its keys, or a netlist with a group.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begin = file.read(BEGINNING)
    if path.suffix in (".yaml", ".yml"):
        keys = re.search(rb"^(network|mappings)\s*:", begin, re.MULTILINE)
        return keys is not None
    return _is_netlist(begin)


def _is_netlist(begin: bytes) -> bool:
    """Whether the first line that is not a comment is a group of a netlist."""
    return re.match(rb"(\s*(#[^\n]*)?\n)*\s*g\s+\d", begin) is not None


def read(path: Path) -> ListedGraph:
    """Read a network; raise `DamagedError` for a netlist, or if it is not valid."""
    file = _load(path)
    groups = _read_groups(path, file)
    inputs = _input_groups(groups)
    # Inputs first; a group without neurons has no population.
    names = [name for name, group in groups.items() if group.bias.size]
    names.sort(key=lambda name: name not in inputs)  # stable
    populations = []
    for name in names:
        bias = groups[name].bias
        populations.append(ListedPopulation(name, bias.shape, bias=bias))
    graph = ListedGraph(populations, (), sum(name in inputs for name in names))
    notes = [UNREAD]
    if graph.inputs:
        notes.append(f"inputs are the groups {', '.join(names[: graph.inputs])}")
    files = {}
    if any(group.is_mapped for group in groups.values()):
        cores = [groups[name].core for name in names[graph.inputs :]]
        core = np.concatenate(cores)
        unmapped_neurons = int(np.count_nonzero(core[:, 0] < 0))
        if unmapped_neurons:
            notes.append(
                f"the mapping is omitted: {unmapped_neurons:,} neurons have no core",
            )
        else:
            files = _mapping_files(core)
            notes.append(
                "the mapping is in partition.txt and placement.txt next to the graph",
            )
    ids = {**dict.fromkeys(groups, range(0)), **graph.ids_by_population}
    return replace(
        graph,
        edges=_read_edges(path, file.network.edges, ids),
        notes=tuple(notes),
        text_files=files,
    )


def _input_groups(groups: Mapping[str, _GroupArrays]) -> List[str]:
    """Return the names of the groups that are inputs."""
    if any(group.is_mapped for group in groups.values()):
        return [name for name, group in groups.items() if not group.is_mapped]
    return [name for name, group in groups.items() if group.has_input_model]


def _mapping_files(core: np.ndarray) -> Dict[str, str]:
    """Return the texts of partition and placement, by name of the file.

    `core` has tile and core of each neuron: int (neurons, 2). Cores are numbered in the
    order of tiles and their cores.
    """
    cores, numbers = np.unique(core, axis=0, return_inverse=True)
    partition = [f"{number}\n" for number in numbers.ravel().tolist()]
    placement = [f"{tile} {number}\n" for tile, number in cores.tolist()]
    return {
        "partition.txt": "".join(partition),
        "placement.txt": PLACEMENT_HEADER + "".join(placement),
    }


def _load(path: Path) -> _File:
    """Read a file in YAML and check it."""
    with path.open("rb") as file:
        if _is_netlist(file.read(BEGINNING)):
            raise DamagedError(path, NETLIST)
        file.seek(0)
        size = path.stat().st_size
        require_memory(YAML_BYTES * size, f"{path}: the values of the file")
        try:
            events = iter(LOADER(file).get_event, None)
            next(events)  # beginning of the stream
            next(events)  # beginning of the document
            return _File.model_validate(_node(next(events), events))
        except yaml.YAMLError as error:
            raise invalid_yaml(error, path) from None
        except RecursionError:
            raise DamagedError(
                path,
                "YAML nested too deeply for a network of SANA-FE",
            ) from None
        except ValueError as error:
            raise DamagedError(path, _fault(error)) from None


def _node(event: yaml.Event, events: Iterator[yaml.Event]) -> YamlValue:
    """Return the node that begins with an event, and take its other events.

    The events of the node follow in `events`, up to its end. PyYAML's own nodes take
    several times the memory.
    """
    if isinstance(event, ScalarEvent):
        return event.value
    items = takewhile(lambda item: not isinstance(item, CollectionEndEvent), events)
    if isinstance(event, SequenceStartEvent):
        return [_node(item, events) for item in items]
    if isinstance(event, MappingStartEvent):
        mapping: Dict[str, YamlValue] = {}
        for key in items:
            name = str(_node(key, events))
            if name in mapping:
                line = key.start_mark.line + 1
                raise ValueError(
                    f"the key {_shorten(name)} is given twice, again in line {line}",
                )
            mapping[name] = _node(next(events), events)
        return mapping
    raise ValueError("aliases of YAML are not read")


def _fault(error: ValueError) -> str:
    """Return the fault that an error states, in one line."""
    if isinstance(error, ValidationError):
        return faults_in_words(error)
    return first_line(error)


@contextmanager
def _faults_at(path: Path, place: str) -> Iterator[None]:
    """Raise `DamagedError` with a place in the file for a `ValueError` in the block."""
    try:
        yield
    except ValueError as error:
        raise DamagedError(path, f"{place}: {_fault(error)}") from None


def _shorten(node: YamlValue) -> str:
    """Return a node as text of a limited length."""
    text = repr(node)
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[:LONGEST_SHOWN]}…"


def _read_groups(path: Path, file: _File) -> Dict[str, _GroupArrays]:
    """Return the groups by name, with biases and cores of their neurons."""
    groups: Dict[str, _GroupArrays] = {}
    budget = Budget(path)
    for group in file.network.groups:
        with _faults_at(path, f"group {group.name}"):
            if group.name in groups:
                raise ValueError("there are two groups of this name")
            groups[group.name] = _read_group(group, budget)
    for mapping in file.mappings:
        for address, place in mapping.items():
            with _faults_at(path, address):
                name, _, numbers = address.partition(".")
                arrays = _find(groups, name)
                neurons = _neurons_of(numbers, name, arrays.bias.size)
                arrays.core[neurons] = place.numbers
    return groups


def _read_group(group: _Group, budget: Budget) -> _GroupArrays:
    """Return the arrays of a group, without cores."""
    size = 0
    for attributes_by_range in group.neurons:
        size += sum(len(_parse_range(numbers)) for numbers in attributes_by_range)
    budget.draw(size, "neurons", NEURON_BYTES)
    arrays = _GroupArrays.empty(size)
    for attributes_by_range in [{"": group.attributes}, *group.neurons]:
        for numbers, attributes in attributes_by_range.items():
            neurons = _neurons_of(numbers, group.name, size)
            if attributes.bias is not None:
                arrays.bias[neurons] = attributes.bias
            arrays.has_input_model |= attributes.is_input
    return arrays


def _parse_range(text: str) -> range:
    """Return the neurons of a number or range: `3` is 3 only, `0..9` is 0 to 9."""
    match = NEURON_RANGE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{_shorten(text)} is not a number of a neuron, or a range as 0..9",
        )
    begin = int(match.group(1))
    last = int(match.group(2) or match.group(1))
    if last < begin:
        raise ValueError(f"the range {text} ends before it begins")
    return range(begin, last + 1)


def _neurons_of(numbers: str, group: str, size: int) -> slice:
    """Return the neurons of a range of a group, by default all."""
    neurons = _parse_range(numbers) if numbers else range(size)
    if neurons.stop > size:
        raise ValueError(
            f"there is no neuron {group}.{neurons.stop - 1}; the group has {size:,}, "
            "from 0"
        )
    return slice(neurons.start, neurons.stop)


def _find(groups: Mapping[str, Item], name: str) -> Item:
    """Return the entry of a group."""
    if name not in groups:
        raise ValueError(f"there is no group {_shorten(name)}")
    return groups[name]


def _id(ids: Ids, name: str, number: Optional[str]) -> int:
    """Return the id of a neuron of a group; None, a group without number, is none."""
    group = _find(ids, name)
    if number is None or int(number) >= len(group):
        raise ValueError(
            f"there is no neuron {name}.{number or ''}; the group has {len(group):,}, "
            "from 0"
        )
    return group[int(number)]


def _read_edges(
    path: Path, edges: List[Dict[str, YamlValue]], ids: Ids
) -> Iterator[Edges]:
    """Yield the edges, `BATCH` of those between neurons at a time.

    The edges between two groups follow where the file has them.
    """
    rows: List[Tuple[int, int, float]] = []  # edges between neurons
    address = ""
    try:
        for attributes_by_address in edges:
            for address, attributes in attributes_by_address.items():
                match = EDGE.fullmatch(address)
                if match is None:
                    raise ValueError("not an edge, as a.0 -> b.1")
                source, source_number, target, target_number = match.groups()
                if source_number is None and target_number is None:
                    ends = _find(ids, source), _find(ids, target)
                    yield from _hyperedge(*ends, attributes)
                    continue
                source_id = _id(ids, source, source_number)
                target_id = _id(ids, target, target_number)
                weight = _Edge.model_validate(attributes).weight
                rows.append((source_id, target_id, weight))
                if len(rows) == BATCH:
                    yield _columns(rows)
                    rows = []
        yield _columns(rows)
    except ValueError as error:
        raise DamagedError(path, f"{address}: {_fault(error)}") from None
    except ResourceError as error:
        raise ResourceError(f"{path}: {address}: {error}") from error


def _columns(rows: Sequence[Tuple[int, int, float]]) -> Edges:
    """Return the columns of a table of edges, which may be empty.

    The columns of a row are the ids of source and target, and the weight.
    """
    source, target, weight = zip(*rows) if rows else ((), (), ())
    return (
        np.array(source, np.int64),
        np.array(target, np.int64),
        np.array(weight, np.float64),
    )


def _hyperedge(source: range, target: range, attributes: YamlValue) -> Iterator[Edges]:
    """Yield the edges between two groups, whose neurons have these ids."""
    kind = _Hyperedge.model_validate(attributes)
    if kind.type == "sparse":
        yield _sparse_edges(source, target, _Sparse.model_validate(attributes))
    elif kind.type == "conv2d":
        convolution = _Convolution.model_validate(attributes)
        yield from _convolution_edges(source, target, convolution)
    else:
        # First, since it refuses a file that has fewer weights than it declares edges.
        weights = kind.weights(len(source) * len(target))
        yield np.repeat(source, len(target)), np.tile(target, len(source)), weights


def _sparse_edges(source: range, target: range, sparse: _Sparse) -> Edges:
    """Return the edges between pairs of neurons."""
    pairs = np.array(sparse.source_target_pairs, np.int64).reshape(-1, 2)
    sizes = (len(source), len(target))
    if ((pairs < 0) | (pairs >= sizes)).any():
        raise ValueError(
            f"source_target_pairs are not of groups of {sizes[0]:,} and {sizes[1]:,} "
            "neurons"
        )
    weights = sparse.weights(len(pairs))
    return source.start + pairs[:, 0], target.start + pairs[:, 1], weights


def _convolution_edges(
    source: range,
    target: range,
    convolution: _Convolution,
) -> Iterator[Edges]:
    """Yield the edges of a `conv2d` for each channel of the target.

    Neurons are ordered by channel, row and column; weights by row, column, channel of
    the source and channel of the target.
    """
    sizes = convolution.sizes
    if sizes != (len(source), len(target)) or not all(sizes):
        raise ValueError(
            f"a conv2d from {sizes[0]:,} to {sizes[1]:,} neurons, not {len(source):,} "
            f"to {len(target):,}"
        )
    kernel_shape = (
        convolution.kernel_height,
        convolution.kernel_width,
        convolution.input_channels,
        convolution.kernel_count,
    )
    weights = convolution.weights(prod(kernel_shape)).reshape(kernel_shape)
    output_height = convolution.output_height
    output_width = convolution.output_width
    # An edge for each window (y, x) and each weight (row, column, channel) in it
    edge_shape = (output_height, output_width, *kernel_shape[:3])
    count = prod(edge_shape)
    require_memory(EDGE_BYTES * count, f"the {count:,} synapses of a channel")
    y, x, row, column, channel = np.indices(edge_shape).reshape(5, -1)
    input_row = channel * convolution.input_height + y * convolution.stride_height + row
    input_column = x * convolution.stride_width + column
    source_ids = source.start + input_row * convolution.input_width + input_column
    for number in range(convolution.kernel_count):
        output_row = number * output_height + y
        target_ids = target.start + output_row * output_width + x
        yield source_ids, target_ids, weights[row, column, channel, number]
