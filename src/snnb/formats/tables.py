"""Graphs from tables of edges, and from the description and the table of nodes of an export.

A table of edges has the columns `source` and `target` in each format, with ids of neurons from 0 or names; columns of
groups assign the neurons to populations. Names get ids in their natural order, population after population, so that
the order of the rows has no effect; names that are the integers 0 to n - 1 are ids. The populations of an export of
`snnb` are read from its description, their biases, spikes and names from its table of nodes.
"""

import re
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.description import Description, description_path, read_description
from snnb.graph.listed import Edges, ListedGraph, ListedPopulation
from snnb.graph.neuron_names import as_names, natural_key, natural_order

LIMIT = 2**31 - 1  # ids
SPARSE_IDS = 100  # ids for each edge, above which they are not numbers of neurons
COLUMNS = {  # names in files by the content of a column, in the order of precedence
    "source": ("source", "source_neuron"),
    "target": ("target", "target_neuron", "dest_neuron"),
    "weight": ("weight", "edge"),
    "rate": ("rate",),
    "source_group": ("source_group", "source_population"),
    "target_group": ("target_group", "target_population", "dest_group"),
}
INDEX = re.compile(r"\(\s*(\d+\s*(,\s*\d+\s*)*),?\s*\)")
KEPT = ("bias", "spike_count", "name")  # columns of a table of nodes that are read
OTHER_NEURONS = "its neurons differ from the description; export the graph again"
NEURONS = "neurons"  # name of the population of neurons without groups
INPUT = "input"  # name of the group that is an input if no edge leads to it
NOT_HELD = (  # by a hypergraph
    "the file has no weights of synapses: all are 1",
    "neurons without targets have no hyperedge, and so no spikes",
)
NO_POPULATIONS = "the file has no populations: all neurons are one, and none is an input"
Name = Tuple[str, str]  # group and name of a neuron; the group is empty if the file has none


def columns_of(path: Path, names: Sequence[str], place: str = "") -> Dict[str, str]:
    """Return the names of the columns of a file that are read, by keys of `COLUMNS`.

    Raise `DamagedError` if it has no edges.
    """
    present = {key: [name for name in known if name in names] for key, known in COLUMNS.items()}
    columns = {key: matches[0] for key, matches in present.items() if matches}
    twice = [name for name in columns.values() if names.count(name) > 1]
    if twice:
        raise DamagedError(path, f"{place}has the column {twice[0]} twice; give it once")
    missing = [end for end in ("source", "target") if end not in columns]
    if missing:
        raise DamagedError(path, f"{place}has no column {missing[0]}; name the columns, such as source,target,weight")
    if ("source_group" in columns) != ("target_group" in columns):
        raise DamagedError(path, f"{place}has a group column for only one end; give both, or neither")
    return columns


def unread_note(names: Iterable[str]) -> Tuple[str, ...]:
    """Return a note that lists the columns that are not read, without those that have no name (an index of pandas)."""
    unread = sorted({str(name) for name in names if name} - {name for known in COLUMNS.values() for name in known})
    return (f"columns that are not read: {', '.join(unread)}",) if unread else ()


_Chunk = Tuple[np.ndarray, np.ndarray, np.ndarray, Optional[np.ndarray]]  # sources, targets, weights, rates of sources


def listed_graph(
    path: Path,
    columns: Mapping[str, str],
    batches: Callable[[], Iterator[Mapping[str, np.ndarray]]],
    place: Callable[[int], str],
    *,
    named: bool = False,
    nodes: Optional[ListedGraph] = None,
) -> ListedGraph:
    """Return the graph of a table of edges, after reading it once.

    `batches` reads the columns by the keys of `columns` (see `columns_of`), some rows at a time; it is called twice.
    `place` names a row, such as `line 7`. With `named`, neurons have names, not ids; `nodes` is the graph without edges
    of an export (`described_graph`).
    """
    ids: Dict[Name, int] = {}  # of names, in order of first appearance; `order` has the final ids

    def typed(batch: Mapping[str, np.ndarray], key: str, kinds: str, expected: str) -> np.ndarray:
        if batch[key].dtype.kind not in kinds:
            raise DamagedError(path, f"{columns[key]} is of type {batch[key].dtype}, not {expected}")
        return batch[key]

    def chunks() -> Iterator[_Chunk]:
        for batch in batches():
            if named:
                source, target = _numbered(ids, batch)
            else:
                ends = (typed(batch, end, "iu", "integers") for end in ("source", "target"))
                source, target = (ids.astype(np.int64, copy=False) for ids in ends)  # uint64 has no negative numbers
            with np.errstate(over="ignore"):
                weight, rate = (
                    typed(batch, key, "biuf", "numbers").astype(np.float32, copy=False) if key in batch else None
                    for key in ("weight", "rate")
                )
            yield source, target, np.ones(source.size, np.float32) if weight is None else weight, rate

    size, known_rates, entered, reached = _scan(path, chunks(), LIMIT if nodes is None or named else nodes.nodes, place)
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
        graph, order = _populations_of(list(ids), entered)
        if len(graph.populations) > 1 or graph.populations[0].name != NEURONS:
            notes.append("without the description of an export, the populations have the neurons that edges name")
    else:
        graph = ListedGraph([ListedPopulation(NEURONS, (size,))] if size else [], ())
        isolated = np.flatnonzero(~reached)
        if isolated.size:
            notes.append(
                f"ids count from 0: {isolated.size:,} of {size:,} neurons have no edge, the first is {isolated[0]:,}"
            )
    if "weight" not in columns:
        notes.append("without a column weight, every weight is 1")
    elif columns["weight"] == "edge":
        notes.append("without a column weight, the values of column edge are the weights")
    if known_rates is not None and all(population.spikes is None for population in graph.populations):
        rates = np.zeros(graph.nodes, np.float32)
        rates[np.arange(size) if order is None else order] = np.nan_to_num(known_rates)
        silent = graph.nodes - np.count_nonzero(~np.isnan(known_rates))
        if silent:
            notes.append(
                f"{silent:,} neurons are not the source of an edge, so the file has no rates for them: they are silent"
            )
        graph = replace(graph.with_spikes(rates), per_step=True)

    def edges() -> Iterator[Edges]:
        for source, target, weight, _ in chunks():
            yield (source, target, weight) if order is None else (order[source], order[target], weight)

    names = None
    if order is not None and not graph.named:
        names = dict(zip((",".join(filter(None, name)) for name in ids), order.tolist()))
    return replace(graph, edges=edges(), files=graph.files or (path,), notes=tuple(notes), names=names)


def _numbered(ids: Dict[Name, int], batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the ids of sources and targets, (2, edges), and add new names to `ids`."""
    ends = []
    for end in ("source", "target"):
        groups = map(str, batch[f"{end}_group"].tolist()) if f"{end}_group" in batch else repeat("")
        ends.append(zip(groups, map(str, batch[end].tolist())))
    pairs = [(ids.setdefault(source, len(ids)), ids.setdefault(target, len(ids))) for source, target in zip(*ends)]
    return np.array(pairs, np.int64).reshape(-1, 2).T


def _scan(
    path: Path, chunks: Iterator[_Chunk], limit: int, place: Callable[[int], str]
) -> Tuple[int, Optional[np.ndarray], np.ndarray, np.ndarray]:
    """Check the ids and rates of all edges.

    Return the largest id + 1; the rates (float32 by id, NaN where a neuron is not a source; None without rates); and
    bool by id, whether an edge leads to the neuron, and whether one leads to or from it.
    """
    size = total = done = 0
    rates, entered, left = np.zeros(0, np.float32), np.zeros(0, bool), np.zeros(0, bool)
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
            entered, left = (np.concatenate([known, np.zeros(more, bool)]) for known in (entered, left))
            rates = np.concatenate([rates, np.full(more, np.nan, np.float32)])
        entered[target] = left[source] = True
        if rate is not None:
            rated = True
            refuse(~((rate >= 0) & np.isfinite(rate)), "rate", rate, "; give finite numbers that are not negative")
            unknown = np.isnan(rates[source])
            rates[source[unknown]] = rate[unknown]
            refuse(rates[source] != rate, "rate", rate, ", but its source has another one in another row")
    return size, rates[:size] if rated else None, entered[:size], (entered | left)[:size]


def _ids_of(path: Path, names: Iterable[Name], graph: ListedGraph) -> np.ndarray:
    """Return the ids of names, population and index, in a graph."""
    ids: Dict[Name, int] = {}
    for own in graph.populations:
        texts = map(str, np.ndindex(*own.shape)) if own.names is None else own.names.tolist()
        ids.update(((own.name, text), number) for number, text in enumerate(texts, len(ids)))
    missing = next((name for name in names if name not in ids), None)
    if missing is not None:
        raise DamagedError(path, f"names neuron {' '.join(missing)!r}, which its description does not have")
    return np.array([ids[name] for name in names], np.int64)


def _populations_of(names: Sequence[Name], entered: np.ndarray) -> Tuple[ListedGraph, np.ndarray]:
    """Return populations of named neurons, and the id of each name; `entered` is whether an edge leads to it.

    Groups are in the natural order of their names, after an input. The neurons of a group are numbered as their names
    are if all are indices, `3` or `(1, 2, 0)`, else in natural order. Names without groups that are 0 to n - 1 are ids,
    and no names.
    """
    members: Dict[str, List[int]] = {}
    for number, (group, _) in enumerate(names):
        members.setdefault(group, []).append(number)
    inputs = [INPUT] if INPUT in members and not entered[members[INPUT]].any() else []
    order, first = np.empty(len(names), np.int64), 0
    populations: List[ListedPopulation] = []
    for group in [*inputs, *sorted(members.keys() - {*inputs}, key=natural_key)]:
        numbers = np.array(members[group])
        texts = [names[k][1] for k in members[group]]
        are_ids = not group and len(members) == 1 and set(texts) == set(map(str, range(len(texts))))
        indices = _indices(texts) if group or are_ids else None
        shape: Tuple[int, ...] = (len(numbers),)
        own, local = as_names(texts), np.arange(len(texts))
        if indices is None:
            sorting = natural_order(texts)
            own, numbers = own[sorting], numbers[sorting]
        else:
            shape = tuple((indices.max(axis=0) + 1).tolist())
            local = np.ravel_multi_index(tuple(indices.T), shape)
            one = range(shape[0]) if all(text.isdecimal() for text in texts) else np.ndindex(*shape)
            own = as_names(list(map(str, one)))  # also of neurons without edges
            own[local] = texts
        order[numbers] = first + local
        populations.append(ListedPopulation(group or NEURONS, shape, names=None if are_ids else own))
        first += populations[-1].size
    return ListedGraph(populations, (), len(inputs)), order


def _indices(texts: Sequence[str]) -> Optional[np.ndarray]:
    """Return indices of neurons, (neurons, axes); None if the texts are none, or not for a dense population.

    Texts of one index, such as 1 and 01, are names.
    """
    rows: List[List[int]] = []
    for text in texts:
        match = INDEX.fullmatch(text)
        parts = match.group(1).split(",") if match else [text]
        if not all(part.strip().isdecimal() for part in parts) or (rows and len(parts) != len(rows[0])):
            return None
        rows.append([int(part) for part in parts])
    if not rows or np.prod(np.max(rows, axis=0).astype(float) + 1) > 1_000_000 + SPARSE_IDS * len(rows):
        return None
    return np.array(rows, np.int64) if len(set(map(tuple, rows))) == len(rows) else None


def described_graph(path: Path, description: Description, columns: Mapping[str, np.ndarray]) -> ListedGraph:
    """Return the graph of an export without its edges; `path` is the table of nodes, for errors.

    `columns` are `population` (text), and `bias`, `spike_count` and `name` if the table has them: a value for each
    neuron.
    """
    graph = description.graph_without_edges
    if graph.nodes != columns["population"].size:
        raise DamagedError(path, OTHER_NEURONS)
    populations: List[ListedPopulation] = []
    names: List[str] = []
    for own in graph.populations:
        part = slice(len(names), len(names) + own.size)
        names += [own.name] * own.size
        bias, spikes, labels = (columns[key][part] if key in columns else None for key in KEPT)
        bias = bias if bias is not None and bias.any() else None
        labels = None if labels is None else as_names(labels.tolist())
        populations.append(replace(own, bias=bias, spikes=spikes, names=labels))
    if columns["population"].tolist() != names:
        raise DamagedError(path, OTHER_NEURONS)
    return replace(graph, populations=populations)


def description_of(path: Path, format: str, nodes: int) -> Optional[Description]:
    """Return the description next to a hypergraph; None if it is missing, or of another graph or format."""
    if not description_path(path).is_file():
        return None
    description = read_description(description_path(path))
    return description if (description.format, description.graph_without_edges.nodes) == (format, nodes) else None


def hypergraph_of(
    path: Path,
    described: Optional[Description],
    nodes: int,
    edges: Iterable[Edges],
    spikes: Optional[np.ndarray],
    *,
    per_step: bool = False,
    notes: Sequence[str] = (),
) -> ListedGraph:
    """Return the graph of a hypergraph, with the populations of its description if it has one.

    `spikes` are the spike counts of the neurons, or with `per_step` the spikes per time step; None if they are unknown.
    """
    if described is None:
        population = ListedPopulation(NEURONS, (nodes,), spikes=spikes)
        return ListedGraph([population], edges, per_step=per_step, notes=(*NOT_HELD, NO_POPULATIONS, *notes))
    files, graph = (path, description_path(path)), described.graph_without_edges
    graph = replace(graph, edges=edges, per_step=per_step, files=files, notes=(*NOT_HELD, *notes))
    return graph if spikes is None else graph.with_spikes(spikes)
