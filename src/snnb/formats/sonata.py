"""`sonata`: a directory of SONATA files for libsonata and bmtk.

The input is a population of virtual neurons, `input`, the others are point neurons, `snn`; ids count from 0 in each.
(SONATA data format, version 0.1: Dai et al., PLOS Computational Biology 16(2), 2020.) bmtk's PointNet builds it as it
is written, on NEST: `eprop_iaf` is an integrate-and-fire neuron with reset by subtraction, `iaf_psc_delta` one with
reset to a value; neither leaks with this time constant. Average poolings weigh the mean;
`SynapseGraph.delay_steps` gives the delays. Neurons of a network that was trained as a spiking one have dynamics
parameters of their own, potentials divided by the gain.
"""

import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.errors import UsageError
from snnb.formats.description import node_table, refuse_fast_cycles
from snnb.formats.request import BATCH, Counter, Format, Request, starts_above_zero
from snnb.graph.neuron_names import write_names
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph

INPUT, NODES = "input", "snn"
NEURON, SYNAPSE = "neuron.json", "synapse.json"
MODELS = {"subtraction": "nest:eprop_iaf", "zero": "nest:iaf_psc_delta"}
NEVER = 1e300  # threshold of a neuron that does not spike
NO_LEAK_MS = 1e18  # time constant with which exp(-dt / tau) is 1 in float64


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write nodes, edges and their indices; see `Format`."""
    path.mkdir()
    _write_nodes(graph, path, request)
    edge_populations = _write_edges(graph, path, request)
    # With these parameters NEST's neuron adds up the weights of arriving spikes. A current (`I_e`) does nothing to a
    # neuron without leak: biases arrive as spikes (docs/other-simulators.md).
    start = request.initial_potential / request.threshold
    neuron: Dict[str, object] = {"C_m": 1.0, "E_L": 0.0, "V_m": start, "V_th": 1.0}
    neuron.update(tau_m=NO_LEAK_MS, I_e=0.0, t_ref=0.0)
    if request.reset == "zero":
        neuron["V_reset"] = 0.0
    _write_json(path / NEURON, neuron)
    _write_json(path / SYNAPSE, {})
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
    _write_json(path / "circuit_config.json", circuit)


def unsaid(population: GraphPopulation) -> Optional[str]:
    """Return a number of the neuron model of a population that NEST's neurons do not have; None if they have all."""
    if population.neuron is None:
        return None
    numbers = population.neuron.numbers(population.shape)
    leak, gain = numbers["leak"], numbers["gain"]
    if "current_leak" in numbers:
        return "current_leak, a synaptic current that acts in the same step"
    if ((leak <= 0) | (leak > 1)).any():
        return "a leak that is not above 0 and at most 1"
    if (gain <= 0).any():
        return "a gain that is not above 0"
    if (numbers["offset"] != 0)[leak == 1].any():
        return "an offset without leak"
    if population.later_bias is not None and population.later_bias.any():
        return "later_bias, a bias that begins in the second step"
    if "subtrahend" not in numbers:
        return None
    if (leak < 1).any():
        return "leak with reset by subtraction, which it subtracts after the leak of the next step"
    differs = np.abs(numbers["subtrahend"] - numbers["threshold"]) > np.spacing(numbers["threshold"].astype(np.float32))
    return "a subtrahend other than the threshold" if differs.any() else None


def _check(graph: SynapseGraph, request: Request) -> None:
    for population in graph.layers:
        number = unsaid(population)
        if number is not None:
            raise UsageError(
                "format sonata is written for NEST, whose neurons do not support this property of "
                f"{population.name}: {number}; use csv or npz, whose description has all numbers"
            )
    refuse_fast_cycles(graph, request)


def _write_json(path: Path, values: Dict[str, object]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")


def _create(path: Path) -> h5py.File:
    file = h5py.File(str(path), "w")
    file.attrs["magic"] = np.uint32(0x0A7A)
    file.attrs["version"] = np.array([0, 1], np.uint32)
    return file


def _write_nodes(graph: SynapseGraph, path: Path, request: Request) -> None:
    table, inputs = node_table(graph, request), sum(population.size for population in graph.inputs)
    with _create(path / "nodes.h5") as file:
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
            if name == NODES and states and not any(map(unsaid, graph.layers)):
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
    (path / "node_types.csv").write_text("\n".join(lines) + "\n")


def _states(graph: SynapseGraph, request: Request) -> Dict[str, np.ndarray]:
    """Return parameters of each neuron, which replace the values in `neuron.json`: float64."""
    populations = graph.layers
    if graph.neuron_model:
        states = [_nest(population, graph) for population in populations]
        resets = any(population.neuron.reset is not None for population in populations if population.neuron is not None)
        names = [name for name in states[0] if resets or name != "V_reset"]  # which eprop_iaf does not have
        return {name: np.concatenate([state[name] for state in states]) for name in names}
    return {
        "V_th": np.concatenate([p.firing_threshold.ravel().astype(np.float64) for p in populations]),
        "V_m": np.concatenate([np.resize(request.start_of(p) / request.threshold, p.size) for p in populations]),
    }


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
    with _create(path / "edges.h5") as file:
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
    (path / "edge_types.csv").write_text("\n".join(lines) + "\n")
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
    kinds = {"source_node_id": "u8", "target_node_id": "u8", "edge_type_id": "u2"}
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


FORMAT = Format("_sonata", write, _check, directory=True, simulates=True, input_apart=True, own_options=("rate_unit",))
