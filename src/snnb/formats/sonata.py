"""`sonata`: files of SONATA for libsonata and bmtk, written and read.

(SONATA data format, version 0.1: Dai et al., PLOS Computational Biology 16(2), 2020.)

This module writes a circuit, `sonata_circuit` reads one, and `sonata_report` reads the
reports of the spikes of a simulation.

An export is a directory:

    nodes.h5, node_types.csv    neurons; a node type is a population of the graph
    edges.h5, edge_types.csv    synapses; an edge type is a projection of the graph
    neuron.json, synapse.json   parameters of NEST's models
    circuit_config.json         names of the files above

It has a population `input` of virtual neurons and a population `snn` of point neurons;
ids count from 0 in each. bmtk's PointNet builds the network on NEST, whose neurons are

- `eprop_iaf` for reset by subtraction: a spike lowers the potential by the threshold;
- `iaf_psc_delta` for reset to a value: a spike sets the potential to `V_reset`.

The time constant that is written for neurons without a leak is so long that their
potential does not decay in float64. A synapse of an average pooling has the weight
1 / (neurons in the window), the mean, whatever the pool weight of the graph. The delays
are `SynapseGraph.delay_steps`. Neurons of a network from a NIR file have individual
dynamics parameters, with potentials divided by the gain.
"""

from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.formats.description import (
    neuron_warning,
    refuse_fast_cycles,
    refuse_properties,
    unsupported_property,
)
from snnb.formats.node_table import node_columns
from snnb.formats.request import BATCH, Counter, Format, Request, starts_above_zero
from snnb.formats.sonata_circuit import CIRCUIT_CONFIG, read, recognises
from snnb.graph.neuron_names import write_names
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.hdf5 import writing
from snnb.io.text import write_json

INPUT = "input"  # name of the population of virtual nodes
NODES = "snn"  # name of the population of neurons
NEURON = "neuron.json"
SYNAPSE = "synapse.json"
MODELS = {"subtraction": "nest:eprop_iaf", "zero": "nest:iaf_psc_delta"}
NEVER = 1e300  # threshold of a neuron that does not spike
NO_LEAK_MS = 1e18  # time constant with which exp(-dt / tau) is 1 in float64
LARGEST_U2 = 2**16 - 1
LARGEST_U4 = 2**32 - 1


class NodePopulation(NamedTuple):
    """A population of nodes in the files: the inputs of a graph, or its other neurons.

    Node n is the neuron `first_id + n` of the graph.
    """

    name: str
    populations: Tuple[GraphPopulation, ...]

    @property
    def first_id(self) -> int:
        """Id in the graph of node 0."""
        return self.populations[0].first

    @property
    def size(self) -> int:
        """Number of nodes."""
        return sum(population.size for population in self.populations)


class EdgePopulation(NamedTuple):
    """A population of edges in the files: all synapses from nodes to nodes."""

    sources: NodePopulation
    targets: NodePopulation
    projections: Mapping[int, GraphProjection]  # by the number of their edge type

    @property
    def name(self) -> str:
        """Name, made as bmtk makes it."""
        return f"{self.sources.name}_{self.targets.name}"

    @property
    def size(self) -> int:
        """Number of edges."""
        return sum(p.number_of_edges for p in self.projections.values())


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write nodes, edges and their indices; see `Format`."""
    path.mkdir()
    inputs = NodePopulation(INPUT, graph.inputs)
    neurons = NodePopulation(NODES, graph.layers)
    node_populations = [inputs, neurons] if graph.inputs else [neurons]
    _write_nodes(graph, path / "nodes.h5", node_populations, request)
    _write_node_types(graph, path / "node_types.csv", request)
    edge_populations = _edge_populations(graph, inputs, neurons)
    _write_edges(graph, path / "edges.h5", edge_populations, request)
    _write_edge_types(graph, path / "edge_types.csv")
    write_json(path / NEURON, _neuron_parameters(request))
    write_json(path / SYNAPSE, {})
    names = [edges.name for edges in edge_populations]
    write_json(path / CIRCUIT_CONFIG, _configuration(graph, names))


def _edge_populations(
    graph: SynapseGraph,
    inputs: NodePopulation,
    neurons: NodePopulation,
) -> List[EdgePopulation]:
    """Return the populations of edges that have a projection, from the input first."""
    edge_populations = []
    for sources in (inputs, neurons):
        projections = {
            number: projection
            for number, projection in enumerate(graph.projections)
            if projection.source in sources.populations
        }
        if projections:
            edge_populations.append(EdgePopulation(sources, neurons, projections))
    return edge_populations


def _neuron_parameters(request: Request) -> Dict[str, object]:
    """Return the parameters that the neurons share, in units of the threshold.

    With these parameters NEST's neuron adds up the weights of arriving spikes. A
    current (`I_e`) does nothing to a neuron without leak: biases arrive as spikes
    (docs/other-simulators.md).
    """
    parameters: Dict[str, object] = {
        "C_m": 1.0,
        "E_L": 0.0,
        "V_m": float(request.neuron.initial) / request.amplitude,
        "V_th": 1.0,
        "tau_m": NO_LEAK_MS,
        "I_e": 0.0,
        "t_ref": 0.0,
    }
    if request.reset == "zero":
        parameters["V_reset"] = 0.0
    return parameters


def _configuration(graph: SynapseGraph, edges: Sequence[str]) -> Dict[str, object]:
    """Return the configuration of the circuit; `edges` are its edge populations."""
    nodes: Dict[str, object] = {NODES: {"type": "point_neuron"}}
    if graph.inputs:
        nodes = {INPUT: {"type": "virtual"}, **nodes}
    return {
        "manifest": {"$BASE_DIR": "."},
        "components": {
            "point_neuron_models_dir": "$BASE_DIR",
            "synaptic_models_dir": "$BASE_DIR",
        },
        "networks": {
            "nodes": [
                {
                    "nodes_file": "$BASE_DIR/nodes.h5",
                    "node_types_file": "$BASE_DIR/node_types.csv",
                    "populations": nodes,
                }
            ],
            "edges": [
                {
                    "edges_file": "$BASE_DIR/edges.h5",
                    "edge_types_file": "$BASE_DIR/edge_types.csv",
                    "populations": {name: {} for name in edges},
                }
            ],
        },
    }


@contextmanager
def _sonata_file(path: Path) -> Iterator[h5py.Group]:
    """Create an HDF5 file that states the version of SONATA."""
    with writing(path) as file:
        file.attrs["magic"] = np.uint32(0x0A7A)
        file.attrs["version"] = np.array([0, 1], np.uint32)
        yield file


def _write_nodes(
    graph: SynapseGraph,
    path: Path,
    node_populations: Sequence[NodePopulation],
    request: Request,
) -> None:
    """Write the nodes and their attributes, columns of the node table."""
    table = node_columns(graph, request)
    with _sonata_file(path) as file:
        for nodes in node_populations:
            rows = slice(nodes.first_id, nodes.first_id + nodes.size)
            columns = _node_columns(table, rows)
            if nodes.name == NODES and _has_own_parameters(graph):
                for name, values in _own_parameters(graph, request).items():
                    columns[f"0/dynamics_params/{name}"] = values
            group = file.create_group(f"nodes/{nodes.name}")
            for name, values in columns.items():
                group.create_dataset(name, data=values, track_times=False)
            if "name" in table:
                write_names(group, "0/name", table["name"][rows], (nodes.size,))


def _node_columns(
    table: Mapping[str, np.ndarray],
    rows: slice,
) -> Dict[str, np.ndarray]:
    """Return the datasets of some nodes, given their rows of the node table.

    They are arrays (nodes,) by name. All nodes are in group 0, in the order of their
    ids.
    """
    types = table["population"][rows].astype(np.uint64)
    ids = np.arange(types.size, dtype=np.uint64)
    columns = {
        "node_id": ids,
        "node_type_id": types,
        "node_group_id": np.zeros(ids.size, np.uint64),
        "node_group_index": ids,
    }
    index = table["index"][rows]
    for axis in range(index.shape[1]):
        columns[f"0/index_{axis}"] = index[:, axis]
    for name in ("bias", "rate", "spike_count"):
        if name in table:
            columns[f"0/{name}"] = table[name][rows]
    return columns


def _has_own_parameters(graph: SynapseGraph) -> bool:
    """Whether neurons have parameters other than those of `neuron.json`.

    A network that NEST's neurons do not support has none: `crosscheck` exports it, and
    reads its numbers in the description.
    """
    if not (graph.integers or graph.neuron_model or starts_above_zero(graph)):
        return False
    return not any(
        unsupported_property(
            population,
            _unsupported_number,
        )
        for population in graph.layers
    )


def _own_parameters(graph: SynapseGraph, request: Request) -> Dict[str, np.ndarray]:
    """Return what replaces the values in `neuron.json`: float64 (neurons,) by name."""
    if not graph.neuron_model:
        tables = [_converted_parameters(p, request) for p in graph.layers]
        return {name: _join(tables, name) for name in tables[0]}
    tables = [_model_parameters(p, graph) for p in graph.layers]
    names = list(tables[0])
    models = [p.neuron for p in graph.layers if p.neuron is not None]
    if all(model.reset_potential is None for model in models):
        names.remove("V_reset")  # which eprop_iaf does not have
    return {name: _join(tables, name) for name in names}


def _join(tables: Sequence[Mapping[str, np.ndarray]], name: str) -> np.ndarray:
    """Return a column of several tables, one after the other."""
    return np.concatenate([table[name] for table in tables])


def _converted_parameters(
    population: GraphPopulation,
    request: Request,
) -> Dict[str, np.ndarray]:
    """Return the parameters of neurons of a converted network: float64 (neurons,).

    The neurons of a channel, the last axis, have the same numbers.
    """
    neuron = request.neuron_of(population)
    threshold = neuron.threshold / request.amplitude
    potential = neuron.initial / request.amplitude
    return {
        "V_th": np.resize(threshold, population.size),
        "V_m": np.resize(potential, population.size),
    }


def _model_parameters(
    population: GraphPopulation,
    graph: SynapseGraph,
) -> Dict[str, np.ndarray]:
    """Return the parameters of neurons with a model: float64 (neurons,).

    An offset is a resting potential.
    """
    assert population.neuron is not None
    numbers = {
        name: values.ravel()
        for name, values in population.neuron.numbers(
            population.shape,
        ).items()
    }
    decay_factor = numbers["leak"]
    gain = numbers["gain"]
    has_leak = decay_factor < 1
    leak_rate = np.where(has_leak, 1 - decay_factor, 1)
    time_constant = -_step_ms(graph) / np.log(np.where(has_leak, decay_factor, 0.5))
    threshold = np.full(gain.size, NEVER)
    if "threshold" in numbers:
        threshold = numbers["threshold"] / gain
    reset = np.zeros(gain.size)
    if "reset" in numbers:
        reset = numbers["reset"] / gain
    return {
        "V_th": threshold,
        "V_m": numbers["initial"] / gain,
        "V_reset": reset,
        "E_L": numbers["offset"] / gain / leak_rate,
        "tau_m": np.where(has_leak, time_constant, NO_LEAK_MS),
    }


def _step_ms(graph: SynapseGraph) -> float:
    """Return the duration of a time step, 1 ms in a graph without spike counts."""
    return 1.0 if graph.recording is None else graph.recording.dt_ms


def _write_node_types(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write a node type for each population; fields are separated by spaces."""
    columns = "node_type_id pop_name layer"
    lines = [f"{columns} model_type model_template dynamics_params coding"]
    for number, population in enumerate(graph.populations):
        if population in graph.inputs:
            model = "virtual virtual NULL"
        else:
            template = MODELS[request.reset_of(population)]
            model = f"point_neuron {template} {NEURON}"
        name = f"{_quote(population.name)} {_quote_spaces(population.layer)}"
        lines.append(f"{number} {name} {model} {population.coding or 'none'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_edges(
    graph: SynapseGraph,
    path: Path,
    edge_populations: Sequence[EdgePopulation],
    request: Request,
) -> None:
    """Write the edges and their indices."""
    # Each edge is counted when it is written, and when its target is indexed.
    counter = request.counter(2 * graph.number_of_edges())
    with _sonata_file(path) as file:
        file.attrs.update(graph.describe(request.options.rate_unit))
        for edges in edge_populations:
            group = file.create_group(f"edges/{edges.name}")
            write_edge_population(group, edges, graph, request, counter)


def write_edge_population(
    group: h5py.Group,
    edges: EdgePopulation,
    graph: SynapseGraph,
    request: Request,
    counter: Counter,
) -> None:
    """Write edges, projection after projection, and their indices.

    `counter` counts each edge twice.
    """
    from snnb.formats.sonata_index import write_indices

    scale = request.rate_scale(graph)
    columns = _edge_datasets(group, edges, has_rates=graph.recording is not None)
    begin = 0
    for number, projection in edges.projections.items():
        rate = projection.source.edge_rate(scale)
        for batch in projection.edge_batches(BATCH, scale):
            rows = slice(begin, begin + batch.source.size)
            values = {
                "source_node_id": batch.source - edges.sources.first_id,
                "target_node_id": batch.target - edges.targets.first_id,
                "edge_type_id": np.full(batch.source.size, number),
                "edge_group_index": np.arange(rows.start, rows.stop),
                "0/syn_weight": batch.weight,
                "0/edge": batch.edge,
            }
            if "0/rate" in columns:
                values["0/rate"] = rate[batch.source - projection.source.first]
            for name, column in columns.items():
                # Converted by numpy: HDF5 converts slowly.
                column[rows] = values[name].astype(column.dtype, copy=False)
            begin = rows.stop
            counter.add(batch.source.size)
    write_indices(
        group,
        edges.sources.populations,
        edges.targets.populations,
        list(edges.projections.values()),
        counter.add,
    )


def _edge_datasets(
    group: h5py.Group,
    edges: EdgePopulation,
    has_rates: bool,
) -> Dict[str, h5py.Dataset]:
    """Create the datasets of an edge population; return those to fill, by name."""
    kinds = {
        "source_node_id": "u8",
        "target_node_id": "u8",
        "edge_type_id": "u2" if max(edges.projections) <= LARGEST_U2 else "u4",
        "edge_group_index": "u4" if edges.size <= LARGEST_U4 else "u8",
        "0/syn_weight": "f4",
        "0/edge": "f4",
    }
    if has_rates:
        kinds["0/rate"] = "f4"
    columns = {
        name: group.create_dataset(
            name,
            (edges.size,),
            kind,
            track_times=False,
        )
        for name, kind in kinds.items()
    }
    # All edges are in group 0: a dataset that is all fill value and takes no room.
    group.create_dataset(
        "edge_group_id",
        (edges.size,),
        np.uint16,
        chunks=True,
        fillvalue=0,
        track_times=False,
    )
    columns["source_node_id"].attrs["node_population"] = edges.sources.name
    columns["target_node_id"].attrs["node_population"] = edges.targets.name
    return columns


def _write_edge_types(graph: SynapseGraph, path: Path) -> None:
    """Write an edge type for each projection; fields are separated by spaces."""
    columns = "edge_type_id source target rule"
    lines = [f"{columns} model_template dynamics_params delay"]
    for number, projection in enumerate(graph.projections):
        ends = f"{_quote(projection.source.name)} {_quote(projection.target.name)}"
        rule = _quote_spaces(projection.rule)
        delay_ms = _step_ms(graph) * graph.delay_steps[projection]
        lines.append(f"{number} {ends} {rule} static_synapse {SYNAPSE} {delay_ms}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _quote(name: str) -> str:
    """Return a name as a field of a table whose fields are separated by spaces."""
    return '"' + name.replace('"', '""') + '"'


def _quote_spaces(text: str) -> str:
    """Return a field, quoted only if it has spaces."""
    return _quote(text) if " " in text else text


def _unsupported_number(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that NEST's neurons do not have."""
    decay_factor = numbers["leak"]
    if "current_leak" in numbers:
        return "current_leak, a synaptic current that acts in the same step"
    if ((decay_factor <= 0) | (decay_factor > 1)).any():
        return "a leak that is not above 0 and at most 1"
    if (numbers["gain"] <= 0).any():
        return "a gain that is not above 0"
    if (numbers["offset"] != 0)[decay_factor == 1].any():
        return "an offset without leak"
    if "subtrahend" not in numbers:
        return None
    if (decay_factor < 1).any():
        return (
            "leak with reset by subtraction, which it subtracts after the leak of the "
            "next step"
        )
    difference = np.abs(numbers["subtrahend"] - numbers["threshold"])
    rounding = np.spacing(numbers["threshold"].astype(np.float32))
    if (difference > rounding).any():
        return "a subtrahend other than the threshold"
    return None


def _check(graph: SynapseGraph, request: Request) -> Optional[str]:
    """Refuse what NEST's neurons do not have; return a warning of lost content."""
    refuse_properties(graph, "NEST", _unsupported_number)
    refuse_fast_cycles(graph, request)
    return neuron_warning(graph, "NEST")


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
