"""`sonata`: files of SONATA for libsonata and bmtk, written and read.

(SONATA data format, version 0.1: Dai et al., PLOS Computational Biology 16(2), 2020.)

An export has a population `input` of virtual neurons and a population `snn` of point neurons; ids count from 0 in each.
bmtk's PointNet builds the network on NEST, with the neuron `eprop_iaf` for reset by subtraction and `iaf_psc_delta` for
reset to a value; neither leaks with the time constant that is written. Average poolings have the weight `mean`, and the
delays are `SynapseGraph.delay_steps`. Neurons of a network from a NIR file have individual dynamics parameters, with
potentials divided by the gain.

An import makes a population of each population of nodes, or of each node type if all types have a `pop_name` and
consecutive ids. Virtual nodes are inputs.
"""

import csv
import re
import shlex
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError, InputError
from snnb.formats.description import (
    DESCRIPTION,
    node_table,
    only_described,
    read_description,
    refuse_fast_cycles,
    refuse_properties,
    unsupported_property,
)
from snnb.formats.rates import Rates, refuse_numbers
from snnb.formats.request import BATCH, Counter, Format, Request, starts_above_zero
from snnb.graph.listed import EDGES, NEURON_BYTES, Edges, ListedGraph, ListedPopulation
from snnb.graph.neuron_names import read_names, write_names
from snnb.graph.populations import GraphPopulation, Recording
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.hdf5 import budget_of, read_rows, reading, text_of, whole, writing
from snnb.io.text import JsonValue, load_json, read_lines, write_json

INPUT, NODES = "input", "snn"
NEURON, SYNAPSE = "neuron.json", "synapse.json"
MODELS = {"subtraction": "nest:eprop_iaf", "zero": "nest:iaf_psc_delta"}
NEVER = 1e300  # threshold of a neuron that does not spike
NO_LEAK_MS = 1e18  # time constant with which exp(-dt / tau) is 1 in float64
CONFIGS = ("circuit_config.json", "config.json")  # names of the configuration in a folder
LONGEST_PATH = 4096  # characters of a path in a configuration
EDGE_BYTES = 20  # of an edge on the disk while a graph is written
WEIGHTS = ("syn_weight", "nsyns")  # the weight of an edge is their product
Types = Dict[int, Dict[str, str]]  # columns of a table of types by id, without empty fields


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write nodes, edges and their indices; see `Format`."""
    path.mkdir()
    _write_nodes(graph, path, request)
    edge_populations = _write_edges(graph, path, request)
    # With these parameters NEST's neuron adds up the weights of arriving spikes. A current (`I_e`) does nothing to a
    # neuron without leak: biases arrive as spikes (docs/other-simulators.md).
    start = float(request.neuron.initial) / request.amplitude
    neuron: Dict[str, object] = {"C_m": 1.0, "E_L": 0.0, "V_m": start, "V_th": 1.0}
    neuron.update(tau_m=NO_LEAK_MS, I_e=0.0, t_ref=0.0)
    if request.reset == "zero":
        neuron["V_reset"] = 0.0
    write_json(path / NEURON, neuron)
    write_json(path / SYNAPSE, {})
    populations: Dict[str, object] = {
        "nodes": {**({INPUT: {"type": "virtual"}} if graph.inputs else {}), NODES: {"type": "point_neuron"}},
        "edges": {name: {} for name in edge_populations},
    }
    networks = {}
    for kind, named in populations.items():
        types = f"{kind[:-1]}_types"
        files = {f"{kind}_file": f"$BASE_DIR/{kind}.h5", f"{types}_file": f"$BASE_DIR/{types}.csv"}
        networks[kind] = [{**files, "populations": named}]
    components = {"point_neuron_models_dir": "$BASE_DIR", "synaptic_models_dir": "$BASE_DIR"}
    circuit = {"manifest": {"$BASE_DIR": "."}, "components": components, "networks": networks}
    write_json(path / "circuit_config.json", circuit)


def _unsupported_number(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that NEST's neurons do not have."""
    leak, gain = numbers["leak"], numbers["gain"]
    if "current_leak" in numbers:
        return "current_leak, a synaptic current that acts in the same step"
    if ((leak <= 0) | (leak > 1)).any():
        return "a leak that is not above 0 and at most 1"
    if (gain <= 0).any():
        return "a gain that is not above 0"
    if (numbers["offset"] != 0)[leak == 1].any():
        return "an offset without leak"
    if "subtrahend" not in numbers:
        return None
    if (leak < 1).any():
        return "leak with reset by subtraction, which it subtracts after the leak of the next step"
    differs = np.abs(numbers["subtrahend"] - numbers["threshold"]) > np.spacing(numbers["threshold"].astype(np.float32))
    return "a subtrahend other than the threshold" if differs.any() else None


def _check(graph: SynapseGraph, request: Request) -> Optional[str]:
    refuse_properties(graph, "NEST", _unsupported_number)
    refuse_fast_cycles(graph, request)
    return only_described(graph, "NEST")


@contextmanager
def _created(path: Path) -> Iterator[h5py.Group]:
    with writing(path) as file:
        file.attrs["magic"] = np.uint32(0x0A7A)
        file.attrs["version"] = np.array([0, 1], np.uint32)
        yield file


def _write_nodes(graph: SynapseGraph, path: Path, request: Request) -> None:
    table, inputs = node_table(graph, request), sum(population.size for population in graph.inputs)
    with _created(path / "nodes.h5") as file:
        for name, part in ((INPUT, slice(0, inputs)), (NODES, slice(inputs, None))):
            if name == INPUT and not graph.inputs:
                continue
            group = file.create_group(f"nodes/{name}")
            types = table["population"][part].astype(np.uint64)
            ids = np.arange(types.size, dtype=np.uint64)
            index = table["index"][part]
            columns: Dict[str, np.ndarray] = {
                "node_id": ids,
                "node_type_id": types,
                "node_group_id": np.zeros(ids.size, np.uint64),
                "node_group_index": ids,
                **{f"0/index_{axis}": index[:, axis] for axis in range(index.shape[1])},
                **{f"0/{name}": table[name][part] for name in ("bias", "rate", "spike_count") if name in table},
            }
            states = graph.integers or graph.neuron_model or starts_above_zero(graph)
            supported = not any(unsupported_property(population, _unsupported_number) for population in graph.layers)
            if name == NODES and states and supported:
                columns.update({f"0/dynamics_params/{key}": values for key, values in _states(graph, request).items()})
            for column, values in columns.items():
                group.create_dataset(column, data=values, track_times=False)
            if "name" in table:
                write_names(group, "0/name", table["name"][part], (types.size,))
    lines = ["node_type_id pop_name layer model_type model_template dynamics_params coding"]
    for number, population in enumerate(graph.populations):
        model = "virtual virtual NULL"
        if number >= len(graph.inputs):
            model = f"point_neuron {MODELS[request.reset_of(population)]} {NEURON}"
        coding = population.coding or "none"
        lines.append(f"{number} {_quoted(population.name)} {_word(population.layer)} {model} {coding}")
    (path / "node_types.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _states(graph: SynapseGraph, request: Request) -> Dict[str, np.ndarray]:
    """Return parameters of each neuron, which replace the values in `neuron.json`: float64."""
    if graph.neuron_model:
        states = [_nest(population, graph) for population in graph.layers]
        resets = any(p.neuron.reset is not None for p in graph.layers if p.neuron is not None)
        names = [name for name in states[0] if resets or name != "V_reset"]  # which eprop_iaf does not have
        return {name: np.concatenate([state[name] for state in states]) for name in names}
    unit, neurons = request.amplitude, [(request.neuron_of(p), p.size) for p in graph.layers]
    thresholds = [np.resize(neuron.firing_threshold / unit, size) for neuron, size in neurons]
    potentials = [np.resize(neuron.initial / unit, size) for neuron, size in neurons]
    return {"V_th": np.concatenate(thresholds), "V_m": np.concatenate(potentials)}


def _nest(population: GraphPopulation, graph: SynapseGraph) -> Dict[str, np.ndarray]:
    """Return the parameters of NEST's neurons; an offset is a resting potential."""
    assert population.neuron is not None
    numbers = {name: values.ravel() for name, values in population.neuron.numbers(population.shape).items()}
    gain, dt = numbers["gain"], 1.0 if graph.recording is None else graph.recording.dt_ms
    leaks = numbers["leak"] < 1
    decay = np.where(leaks, 1 - numbers["leak"], 1)
    return {
        "V_th": numbers["threshold"] / gain if "threshold" in numbers else np.full(gain.size, NEVER),
        "V_m": numbers["initial"] / gain,
        "V_reset": numbers["reset"] / gain if "reset" in numbers else np.zeros(gain.size),
        "E_L": numbers["offset"] / gain / decay,
        "tau_m": np.where(leaks, -dt / np.log(np.where(leaks, numbers["leak"], 0.5)), NO_LEAK_MS),
    }


def _write_edges(graph: SynapseGraph, path: Path, request: Request) -> List[str]:
    """Write the edges from the input and the edges among the others; return the names of the edge populations."""
    counter = request.counter(2 * graph.number_of_edges())
    numbered = list(enumerate(graph.projections))
    own = graph.inputs, graph.layers
    written = []
    with _created(path / "edges.h5") as file:
        file.attrs.update(graph.describe(request.options.rate_unit))
        for sources, source in zip(own, (INPUT, NODES)):
            projections = [(number, p) for number, p in numbered if p.source in sources]
            if projections:
                written.append(f"{source}_{NODES}")
                group = file.create_group(f"edges/{written[-1]}")
                nodes = ((source, sources), (NODES, own[1]))
                _write_edge_population(group, nodes, projections, graph, request, counter)
    delays, dt = graph.delay_steps, 1.0 if graph.recording is None else graph.recording.dt_ms
    lines = ["edge_type_id source target rule model_template dynamics_params delay"]
    for number, projection in numbered:
        names = " ".join(_quoted(p.name) for p in (projection.source, projection.target))
        delay = dt * delays[projection]
        lines.append(f"{number} {names} {_word(projection.rule)} static_synapse {SYNAPSE} {delay}")
    (path / "edge_types.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return written


def _write_edge_population(
    group: h5py.Group,
    nodes: Tuple[Tuple[str, Sequence[GraphPopulation]], Tuple[str, Sequence[GraphPopulation]]],
    projections: Sequence[Tuple[int, GraphProjection]],
    graph: SynapseGraph,
    request: Request,
    counter: Counter,
) -> None:
    """Write edges and their indices.

    `nodes` are name and populations of the sources and of the targets, `projections` have the numbers of edge types;
    `counter` counts each edge twice.
    """
    from snnb.formats.sonata_index import write_indices

    edges, scale = sum(p.number_of_edges for _, p in projections), request.rate_scale(graph)
    kinds = {"source_node_id": "u8", "target_node_id": "u8"}
    kinds["edge_type_id"] = "u2" if projections[-1][0] < 2**16 else "u4"
    kinds.update({"edge_group_index": "u4" if edges < 2**32 else "u8", "0/syn_weight": "f4", "0/edge": "f4"})
    if graph.recording is not None:
        kinds["0/rate"] = "f4"
    columns = {name: group.create_dataset(name, (edges,), kind, track_times=False) for name, kind in kinds.items()}
    # All edges are in group 0: a dataset that is all fill value and takes no room.
    group.create_dataset("edge_group_id", (edges,), np.uint16, chunks=True, fillvalue=0, track_times=False)
    for end, (name, _) in zip(("source_node_id", "target_node_id"), nodes):
        columns[end].attrs["node_population"] = name
    first_source, first_target = (populations[0].first for _, populations in nodes)
    done = 0
    for number, projection in projections:
        rate = projection.source.edge_rate(scale)
        for batch in projection.edge_batches(BATCH, scale):
            part = slice(done, done + batch.source.size)
            values: Dict[str, np.ndarray] = {
                "source_node_id": batch.source - first_source,
                "target_node_id": batch.target - first_target,
                "edge_type_id": np.full(batch.source.size, number),
                "edge_group_index": np.arange(part.start, part.stop),
                "0/syn_weight": batch.weight,
                "0/edge": batch.edge,
            }
            if "0/rate" in columns:
                values["0/rate"] = rate[batch.source - projection.source.first]
            for name, column in columns.items():  # converted here: HDF5 does it slowly
                column[part] = values[name].astype(kinds[name], copy=False)
            done = part.stop
            counter.add(batch.source.size)
    write_indices(group, nodes[0][1], nodes[1][1], [p for _, p in projections], counter.add)


def _quoted(name: str) -> str:
    """Return a name as a field of a table whose fields are separated by spaces."""
    return '"' + name.replace('"', '""') + '"'


def _word(text: str) -> str:
    """Return a field, quoted only if it has spaces."""
    return _quoted(text) if " " in text else text


class _Files(NamedTuple):
    """Files of nodes and of edges, each with its table of types."""

    nodes: Sequence[Tuple[Path, Optional[Path]]]
    edges: Sequence[Tuple[Path, Optional[Path]]]
    virtual: Sequence[str] = ()  # populations that the configuration declares as virtual
    config: Optional[Path] = None


class _Nodes(NamedTuple):
    """A population of nodes."""

    virtual: bool
    together: ListedPopulation
    typed: Sequence[ListedPopulation]  # one for each type; empty if the types are no populations


class _EdgePopulation(NamedTuple):
    """Edges from nodes to nodes."""

    path: Path
    name: str
    ids: Tuple[range, range]  # in the graph, of the nodes that sources and targets are counted in
    of_types: Dict[str, Dict[int, float]]  # values of `WEIGHTS` by edge type


def recognises(path: Path) -> bool:
    """Whether a path is a folder with a circuit or files of SONATA, a configuration, or a file of edges."""
    if path.is_dir():
        return _config_in(path) is not None or any(_holds(file, "edges") for file in _hdf5_files(path))
    return path.suffix == ".json" or _holds(path, "edges")


def read(path: Path) -> ListedGraph:
    """Read nodes and types; edges are read in parts when they are used."""
    files, description = _find(path), (path if path.is_dir() else path.parent) / DESCRIPTION
    described = read_description(description) if description.is_file() else None  # of an export of snnb
    shapes = {} if described is None else {own.name: own for own in described.graph_without_edges.populations}
    nodes: Dict[str, _Nodes] = {}
    for file, table in files.nodes:
        types = _read_types(table, "node_type_id")
        with reading(file) as opened:
            for name, group in opened["nodes"].items():
                if name in nodes:
                    raise DamagedError(file, f"nodes {name} are in another file too; give each population its own name")
                nodes[name] = _read_nodes(file, name, group, types, name in files.virtual, shapes)
    if not nodes:
        raise DamagedError(path, "has no populations of nodes; put the file of nodes next to that of edges")
    names = sorted(nodes, key=lambda name: not nodes[name].virtual)  # stable
    ends = np.cumsum([nodes[name].together.size for name in names]).tolist()
    ids = {name: range(end - nodes[name].together.size, end) for name, end in zip(names, ends)}
    filled = [nodes[name] for name in names if nodes[name].together.size]
    parts = [own.typed or [own.together] for own in filled]
    titles = [population.name for part in parts for population in part]
    if len(set(titles)) < len(titles):  # node types of different populations have one name
        parts = [[own.together] for own in filled]
    populations = [population for part in parts for population in part]
    edges: List[_EdgePopulation] = []
    notes = set() if described is None else set(described.notes)
    if described is None and any(population.spikes is not None for population in populations):
        notes.add("spike_count is of an unknown number of samples and steps: give --rate-samples and --rate-steps")
    for file, table in files.edges:
        types = _read_types(table, "edge_type_id")
        with reading(file) as opened:
            for name, group in opened["edges"].items():
                edges.append(_read_edge_population(file, name, group, ids, types, notes))
    read_files = [path for pair in (*files.nodes, *files.edges) for path in pair]
    read_files += [files.config, None if described is None else description]
    return ListedGraph(
        populations,
        _edges(edges),
        inputs=sum(len(part) for part, own in zip(parts, filled) if own.virtual),
        recording=None if described is None else described.recording,
        assumed=described is not None and described.assumed_spikes,
        files=tuple(dict.fromkeys(path for path in read_files if path is not None)),
        ranges=ids,
        notes=tuple(sorted(notes)),
    )


def _hdf5_files(folder: Path) -> List[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".h5", ".hdf5") and path.is_file())


def _holds(path: Path, kind: str) -> bool:
    """Whether a file is HDF5 with groups below `nodes` or `edges` as SONATA has them."""
    if not path.is_file() or not h5py.is_hdf5(str(path)):
        return False
    column = {"nodes": "node_type_id", "edges": "source_node_id"}[kind]
    with reading(path) as file:
        groups = file[kind].values() if isinstance(file.get(kind), h5py.Group) else ()
        return any(isinstance(group, h5py.Group) and column in group for group in groups)


def _config_in(folder: Path) -> Optional[Path]:
    return next((folder / name for name in CONFIGS if (folder / name).is_file()), None)


def _find(path: Path) -> _Files:
    """Return the files of a folder, of a configuration, or of a file of edges and the files of nodes next to it."""
    config = _config_in(path) if path.is_dir() else path if path.suffix == ".json" else None
    if config is not None:
        return _configured(config)
    folder = path if path.is_dir() else path.parent
    nodes, edges = ([file for file in _hdf5_files(folder) if _holds(file, kind)] for kind in ("nodes", "edges"))
    if path.is_file():
        edges = [path]
    return _Files(
        [(file, _types_next_to(file, "node")) for file in nodes],
        [(file, _types_next_to(file, "edge")) for file in edges],
    )


def _types_next_to(file: Path, kind: str) -> Optional[Path]:
    """Return the table of types: `node_types.csv`, or as bmtk names that of `a_nodes.h5`, `a_node_types.csv`."""
    names = f"{re.sub(f'{kind}s$', '', file.stem)}{kind}_types.csv", f"{kind}_types.csv"
    return next((file.with_name(name) for name in names if file.with_name(name).is_file()), None)


def _configured(config: Path) -> _Files:
    """Read a configuration of a circuit, or that of a simulation, which names one."""
    content = load_json(config)
    try:
        if isinstance(content, dict) and isinstance(content.get("network"), str):
            network = _resolved(content["network"], content, config)
            config, content = network, load_json(network)
        networks = content["networks"]
        files: Dict[str, List[Tuple[Path, Optional[Path]]]] = {"nodes": [], "edges": []}
        for kind, pairs in files.items():
            for entry in networks[kind]:
                table = entry.get(f"{kind[:-1]}_types_file")
                file = _resolved(entry[f"{kind}_file"], content, config)
                pairs.append((file, _resolved(table, content, config) if table and table != "NULL" else None))
        declared = [(entry.get("populations") or {}).items() for entry in networks["nodes"]]
        virtual = [name for entry in declared for name, values in entry if values.get("type") == "virtual"]
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            config, f"its manifest and networks do not name files of nodes and edges ({error})"
        ) from None
    return _Files(files["nodes"], files["edges"], virtual, config)


def _resolved(name: str, content: JsonValue, config: Path) -> Path:
    """Return a path of a configuration, with the variables of its manifest replaced."""
    variables = {str(key): str(value) for key, value in (content.get("manifest") or {}).items()}
    variables.update(dict.fromkeys(("${configdir}", "$configdir", "${workingdir}", "$workingdir"), "."))
    for _ in variables:  # values have variables too
        for key in sorted(variables, key=len, reverse=True):
            name = name.replace(key, variables[key])
            if max(len(name), len(variables[key])) > LONGEST_PATH:
                raise DamagedError(config, f"its manifest has or makes a path of more than {LONGEST_PATH:,} characters")
    return config.parent / name


def _read_types(table: Optional[Path], key: str) -> Types:
    """Read a table of types: fields are separated by spaces, and NULL is an empty one."""
    if table is None:
        return {}
    if not table.is_file():
        raise DamagedError(table, "no such file")
    rows = csv.DictReader(read_lines(table), delimiter=" ", skipinitialspace=True)
    types: Types = {}
    for number, row in enumerate(rows, 2):
        try:
            types[int(row[key])] = {name: text for name, text in row.items() if name and text not in (None, "", "NULL")}
        except (KeyError, TypeError, ValueError):
            raise DamagedError(table, f"line {number}: has no whole number as {key}") from None
    return types


def _read_nodes(
    path: Path, name: str, group: h5py.Group, types: Types, virtual: bool, described: Mapping[str, ListedPopulation]
) -> _Nodes:
    size = group["node_type_id"].size
    budget_of(group).draw(size, f"nodes of {name}", NEURON_BYTES)
    type_ids = whole(group["node_type_id"]).astype(np.int64)
    if "node_id" in group:
        node_ids = whole(group["node_id"])
        order = np.argsort(node_ids, kind="stable")
        if (node_ids[order] != np.arange(size)).any():
            raise DamagedError(path, f"nodes {name}: node_id is not 0 to {size - 1:,}, each once")
    else:
        order = np.arange(size)
    type_ids = type_ids[order]
    used = np.unique(type_ids).tolist()
    kinds = {types.get(number, {}).get("model_type") for number in used}
    own = group["0"] if "0" in group and "1" not in group else {}
    if "model_type" in own:  # of each node, as text or as the number of one
        texts = whole(own["model_type"])
        if "@library/model_type" in own:
            texts = whole(own["@library/model_type"])[np.unique(texts)]
        kinds = set(map(text_of, texts.tolist()))
    if "virtual" in kinds and len(kinds) > 1:
        raise DamagedError(path, f"nodes {name} are both virtual and not virtual; put them into separate populations")
    rows = order if "node_group_index" not in group else whole(group["node_group_index"])[order]
    kept = [key for key in ("spike_count", "bias") if key in own and own[key].shape == (size,)]
    values = {key: whole(own[key])[rows] for key in kept}

    # Of an export of snnb; names of nodes of other programs need not differ
    names = read_names(own["name"])[rows] if described and "name" in own and own["name"].shape == (size,) else None

    def population(title: str, part: slice) -> ListedPopulation:
        own = ListedPopulation(title, (part.stop - part.start,))
        if title in described and described[title].size == own.size:
            own = described[title]
        spikes, bias = (values[key][part] if key in values else None for key in ("spike_count", "bias"))
        return replace(own, spikes=spikes, bias=bias, names=None if names is None else names[part])

    starts = np.flatnonzero(np.diff(type_ids, prepend=-1)).tolist()
    titles = [types.get(int(type_ids[start]), {}).get("pop_name", "") for start in starts]
    typed = []
    if len(starts) == len(used) and all(titles):
        parts = [slice(start, stop) for start, stop in zip(starts, [*starts[1:], size])]
        typed = [population(title, part) for title, part in zip(titles, parts)]
    return _Nodes(virtual or kinds == {"virtual"}, population(name, slice(0, size)), typed)


def _read_edge_population(
    path: Path, name: str, group: h5py.Group, ids: Dict[str, range], types: Types, notes: Set[str]
) -> _EdgePopulation:
    """Check the names and sizes of an edge population, and note content that is not read."""
    ends: List[range] = []
    columns = [group[f"{end}_node_id"] for end in ("source", "target")]
    for end, column in zip(("source", "target"), columns):
        (value,) = np.ravel(column.attrs.get("node_population", column.attrs.get("network", "")))
        population = text_of(value)
        if population not in ids:
            raise DamagedError(path, f"edges {name}: {end}_node_id is of nodes {population!r}, not of {', '.join(ids)}")
        ends.append(ids[population])
    budget_of(group).draw(columns[0].size, f"edges of {name}", EDGE_BYTES, in_memory=False)
    if columns[0].shape != columns[1].shape or columns[0].ndim != 1:
        raise DamagedError(path, f"edges {name}: {columns[0].size:,} sources and {columns[1].size:,} targets")
    of_types = {}
    for key in WEIGHTS:
        try:
            of_types[key] = {number: float(row[key]) for number, row in types.items() if key in row}
        except ValueError:
            raise DamagedError(path, f"edges {name}: {key} in the table of edge types is not a number") from None
    names = set().union(*(group[number] for number in _groups(group)), *types.values())
    if "delay" in names:
        notes.add("delays are not read")
    if "weight_function" in names:
        notes.add("weight_function is not computed: weights are syn_weight")
    if "syn_weight" not in names:
        notes.add(f"the edges {name} have no syn_weight, so each has the weight 1")
    return _EdgePopulation(path, name, (ends[0], ends[1]), of_types)


def _groups(group: h5py.Group) -> List[str]:
    return [name for name in group if name.isdecimal()]


def _edges(populations: Sequence[_EdgePopulation]) -> Iterator[Edges]:
    for path, name, nodes, of_types in populations:
        with reading(path) as file:
            group = file["edges"][name]
            for begin in range(0, group["source_node_id"].size, EDGES):
                part = range(group["source_node_id"].size)[begin : begin + EDGES]
                columns = [group[f"{end}_node_id"] for end in ("source", "target")]
                ends = [read_rows(column, part.start, part.stop).astype(np.int64) for column in columns]
                for end, among in zip(ends, nodes):
                    if end.size and not 0 <= end.min() <= end.max() < len(among):
                        wrong = end[np.flatnonzero((end < 0) | (end >= len(among)))[0]]
                        raise DamagedError(path, f"edges {name}: node {wrong:,} of {len(among):,}, from 0")
                weight = _column(group, part, "syn_weight", of_types)
                if of_types["nsyns"] or any("nsyns" in group[number] for number in _groups(group)):
                    weight = weight * _column(group, part, "nsyns", of_types)
                yield ends[0] + nodes[0].start, ends[1] + nodes[1].start, weight


def _column(group: h5py.Group, part: range, key: str, of_types: Dict[str, Dict[int, float]]) -> np.ndarray:
    """Return the values of some edges: of their edge group, else of their type, else 1."""
    groups = _groups(group)
    holding = [number for number in groups if key in group[number]]
    if "edge_group_index" in group:
        index = read_rows(group["edge_group_index"], part.start, part.stop)
    else:
        index = np.arange(part.start, part.stop)
    if len(groups) == 1 and holding:
        return _values_at(group[groups[0]][key], index)
    values = np.ones(len(part), np.float32)
    if of_types[key]:
        numbers, of_type = np.array(sorted(of_types[key].items())).T
        type_ids = read_rows(group["edge_type_id"], part.start, part.stop)
        place = np.minimum(np.searchsorted(numbers, type_ids), numbers.size - 1)
        values = np.where(numbers[place] == type_ids, of_type[place], 1).astype(np.float32)
    for number in holding:
        own = read_rows(group["edge_group_id"], part.start, part.stop) == int(number)
        values[own] = _values_at(group[number][key], index[own])
    return values


def _values_at(column: h5py.Dataset, index: np.ndarray) -> np.ndarray:
    """Read the values of a dataset at indices, which mostly ascend without gaps."""
    if not index.size:
        return np.empty(0, np.float32)
    first, last = int(index.min()), int(index.max())
    if last >= column.size:
        raise ValueError(f"edge_group_index {last} of {column.name}, which has {column.size} values")
    values = read_rows(column, first, last + 1)
    return values if values.size == index.size and (np.diff(index) == 1).all() else values[index - first]


def is_report(path: Path) -> bool:
    """Whether a file is HDF5 with spikes as SONATA has them."""
    if not h5py.is_hdf5(str(path)):
        return False
    with reading(path) as file:
        return "spikes" in file


def read_report(path: Path, graph: ListedGraph, recording: Recording, population: Optional[str] = None) -> Rates:
    """Count the spikes of a SONATA report: `/spikes/POPULATION/node_ids`, or without the population.

    Older reports have `/spikes/gids`, of one population that they do not name. `population` is the one to read of
    several, or that of spikes without a name; by default all are read, or that of a graph of one.
    """
    refuse_numbers(path, graph)
    ranges, spikes, notes = graph.ids_by_population, np.zeros(graph.nodes, np.int64), []
    if population is not None and population not in ranges:
        raise InputError(f"{path}:{population}: no such population; the graph has {', '.join(ranges)}")
    with reading(path) as file:
        group = file["spikes"]
        groups = {name: own for name, own in group.items() if isinstance(own, h5py.Group)}
        without = [name for name, own in groups.items() if "node_ids" not in own]
        if without:
            raise DamagedError(path, f"has no /spikes/{without[0]}/node_ids")
        named = {name: own["node_ids"] for name, own in groups.items()}
        unnamed = next((group[name] for name in ("node_ids", "gids") if name in group), None)
        if unnamed is None and not named:
            raise DamagedError(path, "has no spikes: neither /spikes/POPULATION/node_ids nor /spikes/gids")
        if unnamed is not None:
            if population is None and len(ranges) > 1:
                raise DamagedError(
                    path,
                    f"names no population of its spikes, and the graph has {', '.join(ranges)}; "
                    f"give --rates {shlex.quote(path.name)}:POPULATION",
                )
            owner = population or next(iter(ranges))
            if owner in named:
                raise DamagedError(path, f"has spikes of {owner}, and spikes of no named population")
            named[owner] = unnamed
        if population is not None and population not in named:
            raise DamagedError(path, f"has no spikes of {population}; it has spikes of {', '.join(named)}")
        for name in named if population is None else [population]:
            ids, column = ranges.get(name), named[name]
            if ids is None:
                raise DamagedError(path, f"has spikes of {name!r}, and the populations are {', '.join(ranges)}")
            if column.dtype.kind not in "iu" and column.size:
                raise DamagedError(path, f"the ids of the spikes of {name} are of type {column.dtype}, not integers")
            for begin in range(0, column.size, EDGES):
                nodes = read_rows(column, begin, begin + EDGES)
                if not 0 <= nodes.min() <= nodes.max() < len(ids):
                    wrong = nodes[(nodes < 0) | (nodes >= len(ids))][0]
                    raise DamagedError(path, f"has a spike of node {wrong:,} of {name}, which has {len(ids):,}, from 0")
                spikes[ids.start : ids.stop] += np.bincount(nodes.astype(np.int64), minlength=len(ids))
    if recording.steps == 1:
        notes.append("a report of SONATA does not state the time steps that spikes were counted in: give --rate-steps")
    return Rates(spikes, notes=tuple(notes))


FORMAT = Format(
    "_sonata",
    write,
    _check,
    directory=True,
    simulates=True,
    input_apart=True,
    own_options=("rate_unit",),
    reader=(recognises, read),
)
