"""Read a circuit of SONATA: files of nodes and of edges, each with a table of types.

(SONATA data format, version 0.1: Dai et al., PLOS Computational Biology 16(2), 2020.)

An import makes a population of each population of nodes, or of each node type if the
nodes of each type have consecutive ids and all types a `pop_name` of their own. Virtual
nodes are inputs, and get the first ids of the graph.

A file of nodes has the groups `/nodes/NAME`, a file of edges the groups `/edges/NAME`.
An attribute of an edge is at one of these places, of which the first that has it holds:

    in the file, a column of the group `0`, `1`, … that the edge is in
    in the table of types, a column, for all edges of the type
    none: it is 1

The weight of an edge is the product of its attributes `syn_weight` and `nsyns`. Spike
counts, biases and names of nodes are read from the file only, and only if all nodes of
a population are in its group `0`; so is `model_type`, else from the table of types.
"""

import csv
import re
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import (
    Dict,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
)

import h5py
import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.description import DESCRIPTION, Description, read_description
from snnb.graph.listed import EDGES, NEURON_BYTES, Edges, ListedGraph, ListedPopulation
from snnb.graph.neuron_names import read_names
from snnb.io.hdf5 import (
    array_in,
    budget_of,
    read_integers,
    read_rows,
    reading,
    text_of,
    whole,
)
from snnb.io.text import JsonValue, load_json, read_lines

CIRCUIT_CONFIG = "circuit_config.json"
CONFIGS = (CIRCUIT_CONFIG, "config.json")  # names of the configuration in a folder
LONGEST_PATH = 4096  # characters of a path in a configuration
EDGE_BYTES = 20  # of an edge on the disk while a graph is written
WEIGHTS = ("syn_weight", "nsyns")  # the weight of an edge is their product
UNKNOWN_STEPS = (
    "spike_count is of an unknown number of samples and steps: give --rate-samples and "
    "--rate-steps"
)
TypeTable = Dict[int, Dict[str, str]]  # columns by type id, without empty fields


class _TypedFile(NamedTuple):
    """A file of nodes or edges, and its table of types."""

    path: Path
    types: Optional[Path]


class _CircuitFiles(NamedTuple):
    """The files of a circuit."""

    nodes: Sequence[_TypedFile]
    edges: Sequence[_TypedFile]
    virtual: Sequence[str] = ()  # populations that the configuration declares virtual
    config: Optional[Path] = None

    @property
    def paths(self) -> List[Path]:
        """All files."""
        files = [*self.nodes, *self.edges]
        paths = [*chain.from_iterable(files), self.config]
        return [path for path in paths if path is not None]


class _NodeColumns(NamedTuple):
    """Attributes of nodes by id: (nodes,) arrays, None if the file has none."""

    spike_count: Optional[np.ndarray]
    bias: Optional[np.ndarray]
    name: Optional[np.ndarray]

    def rows(self, nodes: slice) -> "_NodeColumns":
        """Return the attributes of some nodes."""
        columns = [None if values is None else values[nodes] for values in self]
        return _NodeColumns(*columns)


class _NodePopulation(NamedTuple):
    """A population of nodes, and the two ways to make populations of a graph of it."""

    virtual: bool
    population: ListedPopulation  # of all nodes
    # One for each type; empty if the types are not populations
    by_type: Sequence[ListedPopulation]


class _EdgePopulation(NamedTuple):
    """A population of edges, which is read when it is used."""

    path: Path
    name: str
    sources: range  # ids in the graph of the nodes 0, 1, … that sources are counted in
    targets: range
    type_values: Mapping[str, Mapping[int, float]]  # of `WEIGHTS`, by type id
    notes: FrozenSet[str]  # content that is not read, a sentence each

    def batches(self) -> Iterator[Edges]:
        """Yield ids in the graph of sources and targets, and weights.

        They are arrays of shape (edges,) of `EDGES` edges at a time.
        """
        with reading(self.path) as file:
            group = file["edges"][self.name]
            size = array_in(group, "source_node_id").size
            attributes = [group[number] for number in _attribute_groups(group)]
            has_counts = any("nsyns" in columns for columns in attributes)
            has_counts = has_counts or bool(self.type_values["nsyns"])
            for begin in range(0, size, EDGES):
                rows = range(begin, min(begin + EDGES, size))
                source = self._ids(group["source_node_id"], rows, self.sources)
                target = self._ids(group["target_node_id"], rows, self.targets)
                weight = self._column(group, rows, "syn_weight")
                if has_counts:  # of synapses of an edge
                    weight = weight * self._column(group, rows, "nsyns")
                yield source, target, weight

    def _ids(self, column: h5py.Dataset, rows: range, nodes: range) -> np.ndarray:
        """Read the numbers of nodes; return their ids in the graph: int64 (rows,)."""
        numbers = read_integers(column, rows.start, rows.stop)
        outside = np.flatnonzero((numbers < 0) | (numbers >= len(nodes)))
        if outside.size:
            raise DamagedError(
                self.path,
                f"edges {self.name}: node {numbers[outside[0]]:,} of {len(nodes):,}, "
                "from 0",
            )
        return numbers + nodes.start

    def _column(self, group: h5py.Group, rows: range, key: str) -> np.ndarray:
        """Return an attribute of some edges: a number for each, (rows,).

        It is that of their edge group, else of their type, else 1.
        """
        groups = _attribute_groups(group)
        groups_with_key = [number for number in groups if key in group[number]]
        index = np.arange(rows.start, rows.stop)
        if "edge_group_index" in group:
            index = read_integers(group["edge_group_index"], rows.start, rows.stop)
        if len(groups) == 1 and groups_with_key:
            return _values_at(array_in(group[groups[0]], key), index)
        values = np.ones(len(rows), np.float32)
        if self.type_values[key]:
            type_ids = read_integers(group["edge_type_id"], rows.start, rows.stop)
            values = _values_by_type(self.type_values[key], type_ids)
        for number in groups_with_key:
            group_ids = read_integers(group["edge_group_id"], rows.start, rows.stop)
            is_member = group_ids == int(number)
            column = array_in(group[number], key)
            values[is_member] = _values_at(column, index[is_member])
        return values


def _values_by_type(by_type: Mapping[int, float], type_ids: np.ndarray) -> np.ndarray:
    """Return the value of each type id, 1 for an id without one: float32.

    With {3: 0.5, 7: 2.0}, the ids 7, 3, 4 give 2.0, 0.5, 1.0.
    """
    ids, values = np.array(sorted(by_type.items())).T
    place = np.minimum(np.searchsorted(ids, type_ids), ids.size - 1)
    has_value = ids[place] == type_ids
    return np.where(has_value, values[place], 1).astype(np.float32)


def _values_at(column: h5py.Dataset, index: np.ndarray) -> np.ndarray:
    """Read the values of a dataset at indices, which mostly ascend without gaps.

    Raise `ValueError` for an index that it does not have.
    """
    if not index.size:
        return np.empty(0, np.float32)
    lowest = int(index.min())
    highest = int(index.max())
    if lowest < 0 or highest >= column.size:
        wrong_index = lowest if lowest < 0 else highest
        raise ValueError(
            f"edge_group_index {wrong_index} of {column.name}, which has {column.size} "
            "values"
        )
    values = read_rows(column, lowest, highest + 1)
    if values.size == index.size and (np.diff(index) == 1).all():
        return values
    return values[index - lowest]


def _attribute_groups(group: h5py.Group) -> List[str]:
    """Return the names of the groups of attributes of an edge population."""
    return [name for name in group if name.isdecimal()]


def recognises(path: Path) -> bool:
    """Whether a path is a circuit of SONATA.

    It is a folder with a configuration or a file of edges, a configuration, which is
    any JSON file, or a file of edges.
    """
    if path.is_dir():
        has_edges = any(_holds(file, "edges") for file in _hdf5_files(path))
        return _config_in(path) is not None or has_edges
    return path.suffix == ".json" or _holds(path, "edges")


def read(path: Path) -> ListedGraph:
    """Read nodes and types; edges are read in parts when they are used."""
    files = _find_files(path)
    description_file = (path if path.is_dir() else path.parent) / DESCRIPTION
    description: Optional[Description] = None  # of an export of snnb
    if description_file.is_file():
        description = read_description(description_file)
    nodes = _read_all_nodes(files, description)
    if not nodes:
        raise DamagedError(
            path,
            "has no populations of nodes; put the file of nodes next to that of edges",
        )
    names = sorted(nodes, key=lambda name: not nodes[name].virtual)  # stable
    ids = _ids_by_name([nodes[name].population for name in names])
    groups = _graph_populations([nodes[name] for name in names])
    populations = list(chain.from_iterable(groups.values()))
    edge_populations = _read_all_edges(files, ids)
    notes: Set[str] = set().union(*(edges.notes for edges in edge_populations))
    paths = files.paths
    if description is not None:
        notes.update(description.notes)
        paths.append(description_file)
    elif any(population.spikes is not None for population in populations):
        notes.add(UNKNOWN_STEPS)
    return ListedGraph(
        populations,
        chain.from_iterable(edges.batches() for edges in edge_populations),
        inputs=sum(len(group) for name, group in groups.items() if nodes[name].virtual),
        recording=None if description is None else description.recording,
        assumed=description is not None and description.assumed_spikes,
        files=tuple(dict.fromkeys(paths)),
        ranges=ids,
        notes=tuple(sorted(notes)),
    )


def _ids_by_name(populations: Sequence[ListedPopulation]) -> Dict[str, range]:
    """Return the ids of populations in the graph, which follow each other."""
    ids = {}
    first_id = 0
    for population in populations:
        ids[population.name] = range(first_id, first_id + population.size)
        first_id += population.size
    return ids


def _graph_populations(
    nodes: Sequence[_NodePopulation],
) -> Dict[str, Sequence[ListedPopulation]]:
    """Return the populations of the graph by population of nodes, without empty ones.

    They are the node types where these are populations, unless two of all these
    populations have one name.
    """
    node_populations = [item for item in nodes if item.population.size]
    groups: Dict[str, Sequence[ListedPopulation]] = {}
    for item in node_populations:
        groups[item.population.name] = item.by_type or [item.population]
    names = [population.name for population in chain.from_iterable(groups.values())]
    if len(set(names)) == len(names):
        return groups
    return {item.population.name: [item.population] for item in node_populations}


def _hdf5_files(folder: Path) -> List[Path]:
    """Return the files in a folder with an ending of HDF5, in order of their names."""
    files = (path for path in folder.iterdir() if path.suffix in (".h5", ".hdf5"))
    return sorted(path for path in files if path.is_file())


def _holds(path: Path, kind: str) -> bool:
    """Whether a file is HDF5 with a population of SONATA below `nodes` or `edges`.

    `kind` is which of both.
    """
    if not path.is_file() or not h5py.is_hdf5(str(path)):
        return False
    column = {"nodes": "node_type_id", "edges": "source_node_id"}[kind]
    with reading(path) as file:
        if not isinstance(file.get(kind), h5py.Group):
            return False
        groups = file[kind].values()
        return any(
            isinstance(group, h5py.Group) and column in group for group in groups
        )


def _config_in(folder: Path) -> Optional[Path]:
    """Return the configuration in a folder, None if it has none."""
    paths = [folder / name for name in CONFIGS]
    return next((path for path in paths if path.is_file()), None)


def _find_files(path: Path) -> _CircuitFiles:
    """Return the files of a folder, of a configuration, or of a file of edges.

    Without a configuration, the files of nodes are all that are in the folder.
    """
    config = path if path.suffix == ".json" else None
    if path.is_dir():
        config = _config_in(path)
    if config is not None:
        return _files_of_config(config)
    candidates = _hdf5_files(path if path.is_dir() else path.parent)
    nodes = [file for file in candidates if _holds(file, "nodes")]
    edges = [path]
    if path.is_dir():
        edges = [file for file in candidates if _holds(file, "edges")]
    return _CircuitFiles(
        [_TypedFile(file, _types_next_to(file, "node")) for file in nodes],
        [_TypedFile(file, _types_next_to(file, "edge")) for file in edges],
    )


def _types_next_to(file: Path, kind: str) -> Optional[Path]:
    """Return the table of types of a file of nodes or edges; None if there is none.

    It is `node_types.csv`, or as bmtk names that of `a_nodes.h5`, `a_node_types.csv`.
    """
    stem = re.sub(f"{kind}s$", "", file.stem)
    paths = [file.with_name(f"{prefix}{kind}_types.csv") for prefix in (stem, "")]
    return next((path for path in paths if path.is_file()), None)


def _files_of_config(config: Path) -> _CircuitFiles:
    """Return the files of the configuration of a circuit.

    The configuration of a simulation names that of a circuit.
    """
    content = load_json(config)
    try:
        if isinstance(content, dict) and isinstance(content.get("network"), str):
            config = _resolve(content["network"], content, config)
            content = load_json(config)
        networks = content["networks"]
        nodes = _files_of_entries(networks["nodes"], "node", content, config)
        edges = _files_of_entries(networks["edges"], "edge", content, config)
        virtual = _virtual_populations(networks["nodes"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            config,
            f"its manifest and networks do not name files of nodes and edges ({error})",
        ) from None
    return _CircuitFiles(nodes, edges, virtual, config)


def _files_of_entries(
    entries: JsonValue,
    kind: str,
    content: JsonValue,
    config: Path,
) -> List[_TypedFile]:
    """Return the files that entries of a configuration name.

    `kind` is `node` or `edge`, `content` that of the configuration `config`.
    """
    files = []
    for entry in entries:
        table = entry.get(f"{kind}_types_file")
        path = _resolve(entry[f"{kind}s_file"], content, config)
        types = None
        if table and table != "NULL":
            types = _resolve(table, content, config)
        files.append(_TypedFile(path, types))
    return files


def _virtual_populations(entries: JsonValue) -> List[str]:
    """Return the names of the populations that entries of nodes declare as virtual."""
    names = []
    for entry in entries:
        for name, values in (entry.get("populations") or {}).items():
            if values.get("type") == "virtual":
                names.append(name)
    return names


def _resolve(name: str, content: JsonValue, config: Path) -> Path:
    """Return a path of a configuration, with the variables of its manifest replaced.

    A relative path begins at the folder of the configuration.
    """
    manifest = content.get("manifest") or {}
    variables = {str(key): str(value) for key, value in manifest.items()}
    for folder in ("configdir", "workingdir"):
        variables[f"${{{folder}}}"] = "."
        variables[f"${folder}"] = "."
    for _ in variables:  # values have variables too
        for key in sorted(variables, key=len, reverse=True):
            name = name.replace(key, variables[key])
            if max(len(name), len(variables[key])) > LONGEST_PATH:
                raise DamagedError(
                    config,
                    f"its manifest has or makes a path of more than {LONGEST_PATH:,} "
                    "characters",
                )
    return config.parent / name


def _read_types(table: Optional[Path], key: str) -> TypeTable:
    """Read a table of types: fields are separated by spaces, and NULL is an empty one.

    `key` is the column of the type ids.
    """
    if table is None:
        return {}
    if not table.is_file():
        raise DamagedError(table, "no such file")
    rows = csv.DictReader(read_lines(table), delimiter=" ", skipinitialspace=True)
    types: TypeTable = {}
    for line, row in enumerate(rows, 2):
        fields = {}
        for name, text in row.items():
            if name and text not in (None, "", "NULL"):
                fields[name] = text
        try:
            types[int(row[key])] = fields
        except (KeyError, TypeError, ValueError):
            raise DamagedError(
                table,
                f"line {line}: has no whole number as {key}",
            ) from None
    return types


def _read_all_nodes(
    files: _CircuitFiles,
    description: Optional[Description],
) -> Dict[str, _NodePopulation]:
    """Read all populations of nodes, by name."""
    originals: Dict[str, ListedPopulation] = {}
    if description is not None:
        for population in description.graph_without_edges.populations:
            originals[population.name] = population
    nodes: Dict[str, _NodePopulation] = {}
    for file in files.nodes:
        types = _read_types(file.types, "node_type_id")
        with reading(file.path) as opened_file:
            for name, group in opened_file["nodes"].items():
                if name in nodes:
                    raise DamagedError(
                        file.path,
                        f"nodes {name} are in another file too; give each population "
                        "its own name",
                    )
                virtual = name in files.virtual
                nodes[name] = _read_nodes(
                    file.path,
                    name,
                    group,
                    types,
                    virtual,
                    originals,
                )
    return nodes


def _read_nodes(
    path: Path,
    name: str,
    group: h5py.Group,
    types: TypeTable,
    virtual: bool,
    originals: Mapping[str, ListedPopulation],
) -> _NodePopulation:
    """Read a population of nodes.

    `virtual` is whether the configuration declares it as virtual, `originals` the
    populations of the graph that `snnb` exported, by name.
    """
    stored_type_ids = array_in(group, "node_type_id")
    size = stored_type_ids.size
    budget_of(group).draw(size, f"nodes of {name}", NEURON_BYTES)
    stored_types = read_integers(stored_type_ids, 0, size)
    order = _row_of_each_node(path, name, group)
    type_ids = stored_types[order]
    attributes = {}
    if "0" in group and "1" not in group:
        attributes = group["0"]
    models = _model_types(attributes, types, type_ids)
    if "virtual" in models and len(models) > 1:
        raise DamagedError(
            path,
            f"nodes {name} are both virtual and not virtual; put them into separate "
            "populations",
        )
    rows = _row_in_group(path, name, group)[order]
    # Names of nodes of other programs need not differ.
    columns = _node_columns(attributes, rows, has_names=bool(originals))
    population = _listed_population(name, columns, size, originals)
    by_type = _populations_of_types(columns, type_ids, types, originals)
    return _NodePopulation(virtual or models == {"virtual"}, population, by_type)


def _populations_of_types(
    columns: _NodeColumns,
    type_ids: np.ndarray,
    types: TypeTable,
    originals: Mapping[str, ListedPopulation],
) -> List[ListedPopulation]:
    """Return a population for each type of nodes, named by its `pop_name`.

    There are none if a type has no name, or if its nodes do not follow each other.
    """
    starts = _run_starts(type_ids)
    titles = [types.get(int(type_ids[k]), {}).get("pop_name", "") for k in starts]
    is_consecutive = len(starts) == len(np.unique(type_ids))  # each type in one run
    if not is_consecutive or not all(titles):
        return []
    populations = []
    for title, start, stop in zip(titles, starts, [*starts[1:], type_ids.size]):
        part = columns.rows(slice(start, stop))
        populations.append(_listed_population(title, part, stop - start, originals))
    return populations


def _row_of_each_node(path: Path, name: str, group: h5py.Group) -> np.ndarray:
    """Return the row in the file of nodes 0, 1, …: int64 (nodes,)."""
    size = group["node_type_id"].size
    if "node_id" not in group:
        return np.arange(size)
    node_ids = whole(group["node_id"])
    order = np.argsort(node_ids, kind="stable")
    if not np.array_equal(node_ids[order], np.arange(size)):
        raise DamagedError(
            path,
            f"nodes {name}: node_id is not 0 to {size - 1:,}, each once",
        )
    return order


def _row_in_group(path: Path, name: str, group: h5py.Group) -> np.ndarray:
    """Return the row of each node of the file in its group of attributes: (nodes,)."""
    size = group["node_type_id"].size
    if "node_group_index" not in group:
        return np.arange(size)
    rows = whole(group["node_group_index"])
    if rows.shape != (size,) or ((rows < 0) | (rows >= size)).any():
        raise DamagedError(
            path,
            f"nodes {name}: node_group_index is not 0 to {size - 1:,} for each node",
        )
    return rows


def _model_types(
    attributes: Mapping[str, h5py.Dataset],
    types: TypeTable,
    type_ids: np.ndarray,
) -> Set[Optional[str]]:
    """Return each `model_type` of the nodes; None for a type of nodes without one."""
    if "model_type" not in attributes:
        used = np.unique(type_ids).tolist()
        return {types.get(number, {}).get("model_type") for number in used}
    values = whole(attributes["model_type"])
    if "@library/model_type" in attributes:  # values are numbers of these texts
        texts = whole(attributes["@library/model_type"])
        numbers = np.unique(values)
        wrong_numbers = numbers[(numbers < 0) | (numbers >= texts.size)]
        if wrong_numbers.size:
            raise ValueError(
                f"model_type {wrong_numbers[0]} of @library/model_type, which has "
                f"{texts.size} values"
            )
        values = texts[numbers]
    return set(map(text_of, values.tolist()))


def _node_columns(
    attributes: Mapping[str, h5py.Dataset],
    rows: np.ndarray,
    has_names: bool,
) -> _NodeColumns:
    """Read the attributes of nodes at their rows, by id.

    A dataset without a value for each node is not read. `has_names` is whether `name`
    is read.
    """
    columns: Dict[str, Optional[np.ndarray]] = dict.fromkeys(_NodeColumns._fields)
    for key in _NodeColumns._fields:
        if key not in attributes or attributes[key].shape != (rows.size,):
            continue
        if key != "name":
            columns[key] = whole(attributes[key])[rows]
        elif has_names:
            columns[key] = read_names(attributes[key])[rows]
    return _NodeColumns(**columns)


def _listed_population(
    name: str,
    columns: _NodeColumns,
    size: int,
    originals: Mapping[str, ListedPopulation],
) -> ListedPopulation:
    """Return a population of the graph, with the shape and kind of its original."""
    population = ListedPopulation(name, (size,))
    if name in originals and originals[name].size == size:
        population = originals[name]
    return replace(
        population,
        spikes=columns.spike_count,
        bias=columns.bias,
        names=columns.name,
    )


def _run_starts(values: np.ndarray) -> List[int]:
    """Return where runs of equal values begin: 7, 7, 3, 3, 3, 7 give 0, 2, 5."""
    is_start = np.ones(values.size, bool)
    is_start[1:] = values[1:] != values[:-1]
    starts: List[int] = np.flatnonzero(is_start).tolist()
    return starts


def _read_all_edges(
    files: _CircuitFiles,
    ids: Mapping[str, range],
) -> List[_EdgePopulation]:
    """Return all populations of edges; `ids` are those of nodes, by population."""
    edge_populations = []
    for file in files.edges:
        types = _read_types(file.types, "edge_type_id")
        with reading(file.path) as opened_file:
            for name, group in opened_file["edges"].items():
                edges = _read_edge_population(file.path, name, group, ids, types)
                edge_populations.append(edges)
    return edge_populations


def _read_edge_population(
    path: Path,
    name: str,
    group: h5py.Group,
    ids: Mapping[str, range],
    types: TypeTable,
) -> _EdgePopulation:
    """Check the names and sizes of an edge population, and note what is not read."""
    source = array_in(group, "source_node_id")
    target = array_in(group, "target_node_id")
    sources = _nodes_of_end(path, name, "source", source, ids)
    targets = _nodes_of_end(path, name, "target", target, ids)
    size = source.size
    budget_of(group).draw(size, f"edges of {name}", EDGE_BYTES, in_memory=False)
    if source.shape != target.shape or source.ndim != 1:
        raise DamagedError(
            path,
            f"edges {name}: {size:,} sources and {target.size:,} targets",
        )
    for column in ("edge_type_id", "edge_group_id", "edge_group_index"):
        if column in group and array_in(group, column).shape != source.shape:
            raise DamagedError(
                path,
                f"edges {name}: {size:,} sources and {group[column].size:,} of {column}",
            )
    type_values = {}
    for key in WEIGHTS:
        texts = {number: row[key] for number, row in types.items() if key in row}
        try:
            type_values[key] = {number: float(text) for number, text in texts.items()}
        except ValueError:
            raise DamagedError(
                path,
                f"edges {name}: {key} in the table of edge types is not a number",
            ) from None
    notes = _unread_edges(name, group, types)
    return _EdgePopulation(path, name, sources, targets, type_values, notes)


def _nodes_of_end(
    path: Path,
    name: str,
    end: str,
    column: h5py.Dataset,
    ids: Mapping[str, range],
) -> range:
    """Return the ids of the nodes that a column of sources or targets counts from 0."""
    attribute = column.attrs.get("network", "")
    (value,) = np.ravel(column.attrs.get("node_population", attribute))
    population = text_of(value)
    if population not in ids:
        raise DamagedError(
            path,
            f"edges {name}: {end}_node_id is of nodes {population!r}, not of "
            f"{', '.join(ids)}",
        )
    return ids[population]


def _unread_edges(name: str, group: h5py.Group, types: TypeTable) -> FrozenSet[str]:
    """Return notes about attributes of edges that are not read, or missing."""
    groups = [group[number] for number in _attribute_groups(group)]
    attributes: Set[str] = set().union(*groups, *types.values())
    notes = set()
    if "delay" in attributes:
        notes.add("delays are not read")
    if "weight_function" in attributes:
        notes.add("weight_function is not computed: weights are syn_weight")
    if "syn_weight" not in attributes:
        notes.add(f"the edges {name} have no syn_weight, so each has the weight 1")
    return frozenset(notes)
