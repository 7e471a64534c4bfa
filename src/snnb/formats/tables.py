"""Graphs from tables of edges.

A table of edges has the columns `source` and `target` in each format, with ids of
neurons from 0 or names; columns of groups assign the neurons to populations. Names get
ids in their natural order, population after population, so that the order of the rows
has no effect; names without groups that are the integers 0 to n - 1 are ids.
`named_neurons` does this.
"""

from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import (
    Dict,
    Generator,
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
from snnb.formats.named_neurons import (
    FEWEST_SPARSE_IDS,
    NEURONS,
    SPARSE_IDS,
    Name,
    ids_in_graph,
    number_names,
    populations_of_names,
)
from snnb.graph.listed import Edges, ListedGraph, ListedPopulation

LIMIT = 2**31 - 1  # ids are below it
# By the content of a column: its names in files, of which the first that is there holds
COLUMNS = {
    "source": ("source", "source_neuron"),
    "target": ("target", "target_neuron", "dest_neuron"),
    "weight": ("weight", "edge"),
    "rate": ("rate",),
    "source_group": ("source_group", "source_population"),
    "target_group": ("target_group", "target_population", "dest_group"),
}


def columns_of(path: Path, names: Sequence[str], place: str = "") -> Dict[str, str]:
    """Return the names of the columns of a file that are read, by keys of `COLUMNS`.

    Raise `DamagedError` if one of them is there twice, or if the columns of an end, or
    of the groups of one end only, are missing. `place` begins the message, such as
    "line 1: ".
    """
    columns: Dict[str, str] = {}
    for key, possible_names in COLUMNS.items():
        matches = [name for name in possible_names if name in names]
        if matches:
            columns[key] = matches[0]
    repeated_names = [name for name in columns.values() if names.count(name) > 1]
    if repeated_names:
        raise DamagedError(
            path, f"{place}has the column {repeated_names[0]} twice; give it once"
        )
    missing_columns = [end for end in ("source", "target") if end not in columns]
    if missing_columns:
        raise DamagedError(
            path,
            f"{place}has no column {missing_columns[0]}; name the columns, such as "
            "source,target,weight",
        )
    if ("source_group" in columns) != ("target_group" in columns):
        raise DamagedError(
            path, f"{place}has a group column for only one end; give both, or neither"
        )
    return columns


def unread_note(names: Iterable[str]) -> Tuple[str, ...]:
    """Return a note that lists the columns of a file that are not read; () without any.

    Columns without a name, such as the index of pandas, are not listed, nor are second
    columns of a content of `COLUMNS`.
    """
    unread_names = {str(name) for name in names if name}
    for possible_names in COLUMNS.values():
        unread_names.difference_update(possible_names)
    if not unread_names:
        return ()
    return (f"columns that are not read: {', '.join(sorted(unread_names))}",)


class EdgeTable(ABC):
    """A table of edges in a file, of which some rows at a time are in memory.

    Attributes
    ----------
    path : Path
        The file, for messages.
    columns : mapping
        Names in the file of the columns that are read, by keys of `COLUMNS`, see
        `columns_of`.
    has_names : bool
        Whether neurons have names, not ids.
    """

    def __init__(self, path: Path, columns: Mapping[str, str], has_names: bool) -> None:
        self.path = path
        self.columns = columns
        self.has_names = has_names

    @abstractmethod
    def batches(self) -> Generator[Mapping[str, np.ndarray], None, None]:
        """Yield columns by the keys of `columns`, some rows at a time.

        A column is an array of shape (rows,): of text if it is of names or groups, else
        of numbers. Each call begins with the first row.
        """

    @abstractmethod
    def place(self, row: int) -> str:
        """Return where a row is in the file, such as `line 7`; rows count from 0."""


def graph_of_table(
    table: EdgeTable,
    nodes: Optional[ListedGraph] = None,
) -> ListedGraph:
    """Return the graph of a table of edges, after reading it once.

    Its edges are read from the file again when they are iterated, once. `nodes` is the
    graph without edges of an export (`described_graph`), if the table belongs to one.
    """
    edges = _NumberedEdges(table)
    limit = LIMIT
    if nodes is not None and not table.has_names:
        limit = nodes.nodes
    scan = _Scan(table, limit)
    with closing(edges.chunks()) as chunks:
        for chunk in chunks:
            scan.add(chunk)
    names = list(edges.numbers)
    if any(not name for _, name in names):
        raise DamagedError(
            table.path, "a neuron has no name; name all neurons, or give ids from 0"
        )
    ids: Optional[np.ndarray] = None  # of the names; None if the file has ids
    if nodes is not None:
        graph = nodes
        notes = list(graph.notes)
        if table.has_names:
            ids = ids_in_graph(table.path, names, nodes)
    elif names:
        graph, ids = populations_of_names(names, scan.is_target)
        notes = _notes_of_groups(graph)
    else:
        graph = _graph_of_ids(scan.size)
        notes = _notes_of_ids(scan)
    notes += _notes_of_weights(table.columns)
    has_spikes = any(population.spikes is not None for population in graph.populations)
    if scan.has_rates and not has_spikes:
        rates = np.full(graph.nodes, np.nan, np.float32)
        rates[np.arange(scan.size) if ids is None else ids] = scan.rates
        notes += _notes_of_silent_neurons(rates)
        graph = replace(graph.with_spikes(np.nan_to_num(rates)), per_step=True)
    ids_by_text = None
    if ids is not None and not graph.named:
        texts = [",".join(filter(None, name)) for name in names]
        ids_by_text = dict(zip(texts, ids.tolist()))
    return replace(
        graph,
        edges=edges.with_ids(ids),
        files=graph.files or (table.path,),
        notes=tuple(notes),
        names=ids_by_text,
    )


def _graph_of_ids(size: int) -> ListedGraph:
    """Return a graph of one population of `size` neurons, or without neurons."""
    if not size:
        return ListedGraph([], ())
    return ListedGraph([ListedPopulation(NEURONS, (size,))], ())


def _notes_of_groups(graph: ListedGraph) -> List[str]:
    """Return a note for populations that are known from edges only."""
    if len(graph.populations) == 1 and graph.populations[0].name == NEURONS:
        return []
    return [
        "without the description of an export, the populations have the neurons that "
        "edges name"
    ]


def _notes_of_ids(scan: "_Scan") -> List[str]:
    """Return a note for ids that no edge has."""
    isolated_ids = np.flatnonzero(~scan.has_edge)
    if not isolated_ids.size:
        return []
    return [
        f"ids count from 0: {isolated_ids.size:,} of {scan.size:,} neurons have no "
        f"edge, the first is {isolated_ids[0]:,}"
    ]


def _notes_of_weights(columns: Mapping[str, str]) -> List[str]:
    """Return a note for a table without a column of weights."""
    if "weight" not in columns:
        return ["without a column weight, every weight is 1"]
    if columns["weight"] == "edge":
        return ["without a column weight, the values of column edge are the weights"]
    return []


def _notes_of_silent_neurons(rates: np.ndarray) -> List[str]:
    """Return a note for neurons without a rate, which is NaN."""
    silent_neurons = int(np.count_nonzero(np.isnan(rates)))
    if not silent_neurons:
        return []
    return [
        f"{silent_neurons:,} neurons are not the source of an edge, so the file has no "
        "rates for them: they are silent"
    ]


class _Chunk(NamedTuple):
    """Some edges of a table; arrays have the shape (edges,)."""

    source: np.ndarray  # int64: ids, or the numbers of names
    target: np.ndarray
    weight: np.ndarray  # float32
    rate: Optional[np.ndarray]  # float32: of the sources; None without rates


class _NumberedEdges:
    """The edges of a table, whose neurons have ids, or names that are numbered.

    Attributes
    ----------
    numbers : dict
        Numbers of the names that were read, in order of first appearance; empty if
        neurons have ids.
    """

    def __init__(self, table: EdgeTable) -> None:
        self.numbers: Dict[Name, int] = {}
        self._table = table

    def chunks(self) -> Generator[_Chunk, None, None]:
        """Yield all edges, some at a time."""
        with closing(self._table.batches()) as batches:
            for batch in batches:
                yield self._chunk_of(batch)

    def with_ids(self, ids: Optional[np.ndarray]) -> Iterator[Edges]:
        """Yield all edges between ids, some at a time; number n has the id `ids[n]`."""
        with closing(self.chunks()) as chunks:
            for source, target, weight, _ in chunks:
                if ids is None:
                    yield source, target, weight
                else:
                    yield ids[source], ids[target], weight

    def _chunk_of(self, batch: Mapping[str, np.ndarray]) -> _Chunk:
        """Return the edges of some rows; raise `DamagedError` for a wrong type."""
        if self._table.has_names:
            source, target = number_names(self.numbers, batch)
        else:
            source = self._ids(batch, "source")
            target = self._ids(batch, "target")
        weight = self._values(batch, "weight")
        rate = self._values(batch, "rate")
        if weight is None:
            weight = np.ones(source.size, np.float32)
        return _Chunk(source, target, weight, rate)

    def _ids(self, batch: Mapping[str, np.ndarray], end: str) -> np.ndarray:
        """Return a column of ids as int64, since uint64 has no negative numbers."""
        self._check_type(batch, end, "iu", "integers")
        return batch[end].astype(np.int64, copy=False)

    def _values(
        self,
        batch: Mapping[str, np.ndarray],
        key: str,
    ) -> Optional[np.ndarray]:
        """Return a column of numbers as float32; None if the table has none."""
        if key not in batch:
            return None
        self._check_type(batch, key, "biuf", "numbers")
        with np.errstate(over="ignore"):
            return batch[key].astype(np.float32, copy=False)

    def _check_type(
        self,
        batch: Mapping[str, np.ndarray],
        key: str,
        kinds: str,
        content: str,
    ) -> None:
        """Raise `DamagedError` if a column has none of numpy's kinds of types."""
        dtype = batch[key].dtype
        if dtype.kind not in kinds:
            raise DamagedError(
                self._table.path,
                f"{self._table.columns[key]} is of type {dtype}, not {content}",
            )


class _Scan:
    """Facts about the neurons of a table, which all its edges state together.

    Attributes
    ----------
    size : int
        The largest id or number so far, plus 1.
    has_rates : bool
        Whether the table has rates.
    """

    def __init__(self, table: EdgeTable, limit: int) -> None:
        """Begin without edges; ids must be below `limit`.

        With `LIMIT`, which is no number of neurons, they must not be sparse either.
        """
        self.size = 0
        self.has_rates = False
        self._table = table
        self._limit = limit
        self._edges = 0
        # By id, with room for more neurons
        self._rates = np.zeros(0, np.float32)
        self._is_source = np.zeros(0, bool)
        self._is_target = np.zeros(0, bool)

    @property
    def rates(self) -> np.ndarray:
        """Rates of the neurons, NaN of a neuron that is no source: float32, (size,)."""
        return self._rates[: self.size]

    @property
    def is_target(self) -> np.ndarray:
        """Whether an edge leads to the neuron: bool, shape (size,)."""
        return self._is_target[: self.size]

    @property
    def has_edge(self) -> np.ndarray:
        """Whether an edge leads to the neuron or from it: bool, shape (size,)."""
        return (self._is_source | self._is_target)[: self.size]

    def add(self, chunk: _Chunk) -> None:
        """Add some edges; raise `DamagedError` if their ids or rates are not valid.

        A rate is that of the source; all edges of a source must have the same.
        """
        source, target, _, rate = chunk
        first_row = self._edges
        self._edges += source.size
        self._add_ids("source", source, first_row)
        self._add_ids("target", target, first_row)
        most_ids = FEWEST_SPARSE_IDS + SPARSE_IDS * self._edges
        if self._limit == LIMIT and self.size > most_ids:
            raise DamagedError(
                self._table.path,
                f"the largest of its ids is {self.size - 1:,}, but it has only "
                f"{self._edges:,} edges; number the neurons from 0",
            )
        if self.size > self._is_target.size:
            self._make_room()
        self._is_target[target] = True
        self._is_source[source] = True
        if rate is not None:
            self._add_rates(source, rate, first_row)

    def _add_ids(self, end: str, ids: np.ndarray, first_row: int) -> None:
        """Enlarge the size to the ids of an end, `source` or `target`."""
        is_outside = (ids < 0) | (ids >= self._limit)
        fault = f"; the neurons are 0 to {self._limit - 1:,}"
        self._refuse(is_outside, end, ids, fault, first_row)
        self.size = max(self.size, int(ids.max(initial=-1)) + 1)

    def _add_rates(self, source: np.ndarray, rate: np.ndarray, first_row: int) -> None:
        """Note the rates of sources, which already have room."""
        self.has_rates = True
        is_valid = (rate >= 0) & np.isfinite(rate)
        fault = "; give finite numbers that are not negative"
        self._refuse(~is_valid, "rate", rate, fault, first_row)
        is_new = np.isnan(self._rates[source])
        self._rates[source[is_new]] = rate[is_new]
        differs = self._rates[source] != rate
        fault = ", but its source has another one in another row"
        self._refuse(differs, "rate", rate, fault, first_row)

    def _make_room(self) -> None:
        """Enlarge the arrays by id, to at least twice their size."""
        room = max(self.size, 2 * self._is_target.size) - self._is_target.size
        none = np.zeros(room, bool)
        self._is_source = np.concatenate([self._is_source, none])
        self._is_target = np.concatenate([self._is_target, none])
        self._rates = np.concatenate([self._rates, np.full(room, np.nan, np.float32)])

    def _refuse(
        self,
        is_wrong: np.ndarray,
        name: str,
        values: np.ndarray,
        fault: str,
        first_row: int,
    ) -> None:
        """Raise `DamagedError` for the first wrong value of a column, if any.

        `first_row` is the row in the table of the first value.
        """
        if is_wrong.any():
            row = int(np.flatnonzero(is_wrong)[0])
            place = self._table.place(first_row + row)
            raise DamagedError(
                self._table.path,
                f"{place}: {name} {values[row]}{fault}",
            )
