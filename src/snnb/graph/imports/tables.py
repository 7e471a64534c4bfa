"""Graphs that files describe: by the description of an export, a table of nodes and a table of edges.

A table of edges has the columns source and target, whatever its format. Neurons are ids from 0, or names: neurons in
order of first appearance, in populations if there are columns of groups. The populations of an export of `snnb` are
read from its description, their biases and spikes from its table of nodes.
"""

import re
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.export.description import Description
from snnb.graph.listed import Edges, ListedGraph, ListedPopulation

LIMIT = 2**31 - 1  # ids
SPARSE_IDS = 100  # ids for each edge, above which they are not numbers of neurons
GROUPS = (("source_group", "source_population"), ("target_group", "target_population", "dest_group"))
ENDS = (("source", "source_neuron"), ("target", "target_neuron", "dest_neuron"))
WEIGHT, EDGE, RATE = "weight", "edge", "rate"
INDEX = re.compile(r"\(\s*(\d+\s*(,\s*\d+\s*)*),?\s*\)")
NEURONS = "neurons"  # name of the population of neurons without groups
Name = Tuple[str, str]  # group and name of a neuron; the group is empty if the file has none


class Columns(NamedTuple):
    """Names of the columns of a table of edges that are read."""

    source: str
    target: str
    weight: Optional[str]
    rate: Optional[str]
    source_group: Optional[str]
    target_group: Optional[str]

    @classmethod
    def of(cls, path: Path, names: Sequence[str], place: str = "") -> "Columns":
        """Return the columns to read of those that a file has; raise `DamagedError` if it has no edges."""
        ends = [next((name for name in these if name in names), None) for these in (*ENDS, *GROUPS)]
        source, target, source_group, target_group = ends
        if source is None or target is None:
            missing = "source" if source is None else "target"
            raise DamagedError(path, f"{place}has no column {missing}; name the columns, such as source,target,weight")
        if (source_group is None) != (target_group is None):
            raise DamagedError(
                path, f"{place}has a group of only one end; give source_group and target_group, or neither"
            )
        weight = next((name for name in (WEIGHT, EDGE) if name in names), None)
        return cls(source, target, weight, RATE if RATE in names else None, source_group, target_group)

    @property
    def used(self) -> List[str]:
        """Names of all columns that are read."""
        return [name for name in self if name is not None]


class _Chunk(NamedTuple):
    """Some edges: ids of sources and targets, weights, and rates of the sources."""

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    rate: Optional[np.ndarray]


class _Scan(NamedTuple):
    nodes: int  # largest id, and 1
    rates: Optional[np.ndarray]  # float32 by id, NaN where a neuron is not a source
    entered: np.ndarray  # bool by id: whether an edge leads to the neuron


def listed_graph(
    path: Path,
    columns: Columns,
    batches: Callable[[], Iterator[Mapping[str, np.ndarray]]],
    place: Callable[[int], str],
    *,
    named: bool = False,
    nodes: Optional[ListedGraph] = None,
) -> ListedGraph:
    """Return the graph of a table of edges, after reading it once.

    Parameters
    ----------
    path : Path
    columns : Columns
    batches : callable that reads the columns, some rows at a time; it is called twice
    place : callable that names a row, such as `line 7`
    named : whether neurons have names, not ids
    nodes : graph without edges, of an export (`described_graph`)
    """
    ids: Dict[Name, int] = {}  # of names, in order of first appearance

    def chunks() -> Iterator[_Chunk]:
        for batch in batches():
            if named:
                source, target = _numbered(ids, batch, columns)
            else:
                source, target = (_typed(path, name, batch[name], "iu", "integers") for name in columns[:2])
            weight, rate = (
                None if name is None else _typed(path, name, batch[name], "biuf", "numbers") for name in columns[2:4]
            )
            weight = np.ones(source.size, np.float32) if weight is None else _float32(weight)
            yield _Chunk(source, target, weight, None if rate is None else _float32(rate))

    scan = _scan(path, chunks(), LIMIT if nodes is None or named else nodes.nodes, place)
    if any(not name for _, name in ids):
        raise DamagedError(path, "a neuron has no name; name all neurons, or give ids from 0")
    notes: List[str] = []
    order = None
    if nodes is not None:
        graph = nodes
        if named:
            order = _ids_of(path, ids, nodes)
        notes += graph.notes
    elif ids:
        graph, order = _populations_of(list(ids))
        if len(graph.populations) > 1 or graph.populations[0].name != NEURONS:
            notes.append("without the description of an export, the populations have the neurons that edges name")
    else:
        graph = ListedGraph([ListedPopulation(NEURONS, (scan.nodes,))] if scan.nodes else [], ())
    if columns.weight is None:
        notes.append("without a column weight, every weight is 1")
    elif columns.weight == EDGE:
        notes.append("without a column weight, the values of column edge are the weights")
    if order is not None and nodes is None:
        name, size = graph.populations[0].name, graph.populations[0].size
        graph = replace(graph, inputs=int(name == "input" and order[scan.entered].min(initial=size) >= size))
    if scan.rates is not None and all(population.spikes is None for population in graph.populations):
        rates = np.zeros(graph.nodes, np.float32)
        rates[np.arange(scan.nodes) if order is None else order] = np.nan_to_num(scan.rates)
        silent = graph.nodes - np.count_nonzero(~np.isnan(scan.rates))
        if silent:
            notes.append(
                f"{silent:,} neurons are no source of an edge, so the file has no rate of them: they are silent"
            )
        graph = replace(graph.with_spikes(rates), per_step=True)

    def edges() -> Iterator[Edges]:
        for source, target, weight, _ in chunks():
            yield (source, target, weight) if order is None else (order[source], order[target], weight)

    names = None
    if order is not None:
        names = dict(zip((",".join(filter(None, name)) for name in ids), order.tolist()))
    return replace(graph, edges=edges(), files=graph.files or (path,), notes=tuple(notes), names=names)


def _numbered(ids: Dict[Name, int], batch: Mapping[str, np.ndarray], columns: Columns) -> np.ndarray:
    """Return the ids of sources and targets, (2, edges), and add new names to `ids`."""
    groups = [repeat("") if name is None else map(str, batch[name].tolist()) for name in columns[4:]]
    ends = [zip(group, map(str, batch[str(name)].tolist())) for group, name in zip(groups, columns[:2])]
    pairs = [(ids.setdefault(source, len(ids)), ids.setdefault(target, len(ids))) for source, target in zip(*ends)]
    return np.array(pairs, np.int64).reshape(-1, 2).T


def _typed(path: Path, name: Optional[str], values: np.ndarray, kinds: str, expected: str) -> np.ndarray:
    if values.dtype.kind not in kinds:
        raise DamagedError(path, f"{name} is of type {values.dtype}, expected are {expected}")
    return values


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def _scan(path: Path, chunks: Iterator[_Chunk], limit: int, place: Callable[[int], str]) -> _Scan:
    """Check the ids and rates of all edges; count nodes; gather the rates of the sources."""
    size = total = done = 0
    rates, entered = np.zeros(0, np.float32), np.zeros(0, bool)
    rated = False

    def refuse(bad: np.ndarray, name: str, values: np.ndarray, fault: str) -> None:
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            raise DamagedError(path, f"{place(done + k)}: {name} {values[k]}{fault}")

    for source, target, _, rate in chunks:
        done, total = total, total + source.size
        for name, ids in (("source", source), ("target", target)):
            refuse((ids < 0) | (ids >= limit), name, ids, f"; the neurons are 0 to {limit - 1:,}")
            size = max(size, int(ids.max(initial=-1)) + 1)
        if limit == LIMIT and size > 1_000_000 + SPARSE_IDS * total:
            raise DamagedError(
                path,
                f"the largest of its ids is {size - 1:,}, but it has only {total:,} edges; number the neurons from 0",
            )
        if size > entered.size:
            more = max(size, 2 * entered.size) - entered.size
            entered = np.concatenate([entered, np.zeros(more, bool)])
            rates = np.concatenate([rates, np.full(more, np.nan, np.float32)])
        entered[target] = True
        if rate is not None:
            rated = True
            refuse(~((rate >= 0) & np.isfinite(rate)), "rate", rate, "; give finite numbers that are not negative")
            unknown = np.isnan(rates[source])
            rates[source[unknown]] = rate[unknown]
            refuse(rates[source] != rate, "rate", rate, ", but its source has another one in another row")
    return _Scan(size, rates[:size] if rated else None, entered[:size])


def _ids_of(path: Path, names: Iterable[Name], graph: ListedGraph) -> np.ndarray:
    """Return the ids of names, population and index, in a graph."""
    indices = ((own.name, str(index)) for own in graph.populations for index in np.ndindex(*own.shape))
    ids = {name: number for number, name in enumerate(indices)}
    missing = next((name for name in names if name not in ids), None)
    if missing is not None:
        raise DamagedError(path, f"names neuron {' '.join(missing)!r}, which its description does not have")
    return np.array([ids[name] for name in names], np.int64)


def _populations_of(names: Sequence[Name]) -> Tuple[ListedGraph, np.ndarray]:
    """Return populations of named neurons, and the id of each name.

    The neurons of a group are numbered as their names are if all are indices, `3` or `(1, 2, 0)`, else in the order of
    the names.
    """
    members: Dict[str, List[int]] = {}
    for number, (group, _) in enumerate(names):
        members.setdefault(group, []).append(number)
    order, first = np.empty(len(names), np.int64), 0
    populations: List[ListedPopulation] = []
    for group, numbers in members.items():
        indices = _indices([names[k][1] for k in numbers] if group else [])
        shape: Tuple[int, ...] = (len(numbers),)
        local = np.arange(len(numbers))
        if indices is not None:
            shape = tuple((indices.max(axis=0) + 1).tolist())
            local = np.ravel_multi_index(tuple(indices.T), shape)
        order[numbers] = first + local
        populations.append(ListedPopulation(group or NEURONS, shape))
        first += populations[-1].size
    return ListedGraph(populations, ()), order


def _indices(texts: Sequence[str]) -> Optional[np.ndarray]:
    """Return indices of neurons, (neurons, axes); None if the texts are none, or not for a dense population."""
    rows: List[List[int]] = []
    for text in texts:
        match = INDEX.fullmatch(text)
        parts = match.group(1).split(",") if match else [text]
        if not all(part.strip().isdecimal() for part in parts) or (rows and len(parts) != len(rows[0])):
            return None
        rows.append([int(part) for part in parts])
    if not rows or np.prod(np.max(rows, axis=0).astype(float) + 1) > 1_000_000 + SPARSE_IDS * len(rows):
        return None
    return np.array(rows, np.int64)


def described_graph(path: Path, description: Description, columns: Mapping[str, np.ndarray]) -> ListedGraph:
    """Return the graph of an export without its edges.

    Parameters
    ----------
    path : file of the table of nodes, for errors
    description : Description
    columns : `population` (text), and `bias` and `spike_count` if the table has them; a value for each neuron
    """
    populations: List[ListedPopulation] = []
    names: List[str] = []
    for own in description.populations:
        part = slice(len(names), len(names) + own.size)
        names += [own.name] * own.size
        shares = None  # an integer network's may be the default
        if own.initial_potential is not None and description.weight_bits is None:
            shares = np.array(own.initial_potential) / description.neuron.threshold
        bias = columns["bias"][part] if "bias" in columns and columns["bias"][part].any() else None
        spikes = columns["spike_count"][part] if "spike_count" in columns else None
        coding = own.coding or "spikes"
        populations.append(ListedPopulation(own.name, own.shape, own.layer, coding, spikes, bias, own.window, shares))
    if columns["population"].tolist() != names:
        raise DamagedError(path, "its neurons are not those of the description; export the graph again")
    return ListedGraph(populations, (), description.inputs, description.recording, notes=tuple(description.notes))
