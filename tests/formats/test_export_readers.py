"""Every format of three graphs, read by the libraries that people use.

Synapses and neurons are those of the graph.
"""

import ast
import csv
import json
import pickle
from collections import defaultdict
from functools import partial
from itertools import product
from typing import Dict, NamedTuple

import igraph
import libsonata
import mtkahypar
import networkit
import numpy as np
import pandas
import pyarrow.dataset
import pyNN.mock as pynn
import pytest
import scipy.sparse

from snnb.core.errors import UsageError
from snnb.formats.all import FORMATS
from snnb.formats.export_options import ExportOptions
from snnb.formats.request import Request
from snnb.formats.write_export import export
from tests.crosscheck.sanafe_file import load
from tests.graph.edges import all_edges, names_of
from tests.graph.listed_graphs import random_graph
from tests.graph.networks import save_spike_times


class Synapses(NamedTuple):
    """Ids of sources and targets as a file numbers them, and values of the synapses.

    The names of the values are those of `expected_synapses`.
    """

    source: np.ndarray
    target: np.ndarray
    values: Dict[str, np.ndarray]


def synapses(rows, *names):
    """Synapses of rows (source, target, *values)."""
    source, target, *values = zip(*rows)
    return Synapses(
        np.array(source),
        np.array(target),
        {n: np.array(v, float) for n, v in zip(names, values)},
    )


def read_networkx(path, graph):
    ids = {name: number for number, name in enumerate(names_of(graph))}
    document = pickle.loads(path.read_bytes())  # noqa: S301  (written a line above)
    return synapses(
        [
            (ids[s], ids[t], v["weight"], v["edge"])
            for s, t, v in document.edges(data=True)
        ],
        "weight",
        "edge",
    )


def read_graphml(path, graph):
    found_graph = igraph.Graph.Read_GraphML(str(path))
    ids = [int(node["id"]) for node in found_graph.vs]
    rows = [
        (ids[e.source], ids[e.target], e["weight"], e["edge"]) for e in found_graph.es
    ]
    return synapses(rows, "weight", "edge")


def read_csv(path, graph):
    ids = {
        (name, str(index)): number
        for number, (name, index) in enumerate(names_of(graph))
    }
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    ends = [
        (
            ids[r["source_group"], r["source_neuron"]],
            ids[r["dest_group"], r["dest_neuron"]],
            r["weight"],
            r["edge"],
        )
        for r in rows
    ]
    if graph.recording is None:
        assert {row["rate"] for row in rows} == {""}
        return synapses(ends, "weight", "edge")
    return synapses(
        [(*end, row["rate"]) for end, row in zip(ends, rows)], "weight", "edge", "rate"
    )


def read_npz(path, graph):
    parts = []
    for number, p in enumerate(graph.projections):
        file = path / f"{number:04d}_{p.source.name}__{p.target.name}.npz"
        matrix = scipy.sparse.load_npz(str(file))
        matrix.check_format(full_check=True)
        assert matrix.has_sorted_indices
        assert matrix.shape == (p.source.size, p.target.size)
        found_matrix = matrix.tocoo()
        with np.load(str(file)) as arrays:
            parts.append(
                (
                    found_matrix.row + p.source.first,
                    found_matrix.col + p.target.first,
                    found_matrix.data,
                    arrays["edge"],
                )
            )
    source, target, weight, edge = map(np.concatenate, zip(*parts))
    return Synapses(source, target, {"weight": weight, "edge": edge})


def read_arrow(path, graph):
    files = [
        str(file) for file in [*path.glob("0*.parquet"), *path.glob("edges.parquet")]
    ]
    table = pyarrow.dataset.dataset(files).to_table()
    source, target, weight, edge = (
        table[name].to_numpy() for name in ("source", "target", "weight", "edge")
    )
    return Synapses(source, target, {"weight": weight, "edge": edge})


def read_sonata(path, graph):
    config = libsonata.CircuitConfig.from_file(str(path / "circuit_config.json"))
    first_ids = {"input": 0, "snn": graph.layers[0].first}
    names = ["syn_weight", "edge"]
    if graph.recording is not None:
        names.append("rate")
    parts = []
    for name in config.edge_populations:
        population = config.edge_population(name)
        edges = population.select_all()
        columns = [
            population.source_nodes(edges) + first_ids[population.source],
            population.target_nodes(edges) + first_ids[population.target],
        ]
        for value in names:
            columns.append(population.get_attribute(value, edges))
        parts.append(columns)
    source, target, *values = map(np.concatenate, zip(*parts))
    return Synapses(source, target, dict(zip(["weight", *names[1:]], values)))


def read_pynn(path, graph):
    pynn.setup(timestep=1.0)
    description = json.loads((path / "description.json").read_text())
    delays = [p["delay_steps"] for p in description["projections"]]
    rows = []
    for number, p in enumerate(graph.projections):
        for sign in ("excitatory", "inhibitory"):
            file = path / f"{number:04d}_{p.source.name}__{p.target.name}_{sign}.txt"
            if not file.exists():
                continue
            for i, j, weight, delay in read_pynn_file(file, p, sign):
                assert weight < 0 if sign == "inhibitory" else weight >= 0
                assert delay == delays[number] >= 1
                rows.append((int(i) + p.source.first, int(j) + p.target.first, weight))
    return synapses(rows, "weight")


def read_pynn_file(file, projection, sign):
    """Rows (source, target, weight, delay), the neurons numbered from 0."""
    head, *lines = file.read_text().splitlines()
    assert head == '# columns = ["i", "j", "weight", "delay"]'
    if len(lines) == 1:  # PyNN fails to read it
        return [tuple(map(float, lines[0].split()))]
    made_projection = pynn.Projection(
        pynn.Population(projection.source.size, pynn.IF_curr_exp()),
        pynn.Population(projection.target.size, pynn.IF_curr_exp()),
        pynn.FromFileConnector(str(file)),
        pynn.StaticSynapse(),
        receptor_type=sign,
    )
    return made_projection.get(["weight", "delay"], format="list")


def read_sanafe(path, graph):
    """Rows of the synapses, with those of relays as their population's.

    A relay's synapses are those of the population whose spikes it delays; the synapses
    onto it have weight 1.
    """
    _, network = load(path, path.parent)
    description = json.loads(path.with_name("net.json").read_text())
    delays = {}
    for p in description["projections"]:
        delays[p["source"], p["target"]] = p["delay_steps"]
    populations = {population.name: population for population in graph.populations}
    # The population of each group, and the steps that a relay waits
    senders = {}
    for number, population in enumerate(graph.populations):
        senders[str(number)] = (population, 0)
    for relay in description["sanafe"]["relays"]:
        population = populations[relay["population"]]
        senders[str(relay["group"])] = (population, relay["steps_later"])
    rows = []
    for group, (source, steps_later) in senders.items():
        for i, neuron in enumerate(network.groups[group].neurons):
            for edge in neuron.edges_out:
                j = edge.post_neuron.neuron_offset
                weight = edge.synapse_attributes["weight"]
                target, target_steps = senders[edge.post_neuron.group_name]
                if target_steps:
                    assert (weight, j) == (1, i)
                    assert (target, target_steps) == (source, steps_later + 1)
                else:
                    assert delays[source.name, target.name] == steps_later + 1
                    rows.append((source.first + i, target.first + j, weight))
    return synapses(rows, "weight")


def read_spinemap(path, graph):
    target_lines = (path / "connection_info.txt").read_text().splitlines()
    weight_lines = (path / "weight_info.txt").read_text().splitlines()
    assert len(target_lines) == len(weight_lines)
    rows = []
    for target_line, weight_line in zip(target_lines, weight_lines):
        neuron, *targets = target_line.split(" ")
        neuron_of_weights, *weights = weight_line.split(" ")
        assert (neuron, len(targets)) == (neuron_of_weights, len(weights))
        for target, weight in zip(targets, weights):
            rows.append((int(neuron), int(target), float(weight)))
    return synapses(rows, "weight")


def read_metis(path, graph):
    """Ids ascend from source to target; see `joined`."""
    found_graph = networkit.readGraph(str(path), networkit.Format.METIS)
    assert (found_graph.isDirected(), found_graph.isWeighted()) == (False, True)
    return synapses(
        [
            (min(u, v), max(u, v), weight)
            for u, v, weight in found_graph.iterEdgesWeights()
        ],
        "traffic",
    )


def read_hmetis(path, graph):
    kind = mtkahypar.initialize(1)
    context = kind.context_from_preset(mtkahypar.PresetType.DEFAULT)
    found_hypergraph = kind.hypergraph_from_file(
        str(path), context, mtkahypar.FileFormat.HMETIS
    )
    assert all(
        found_hypergraph.node_weight(node) == 1
        for node in range(found_hypergraph.num_nodes())
    )
    read = [
        (found_hypergraph.edge_weight(number), sorted(found_hypergraph.pins(number)))
        for number in range(found_hypergraph.num_edges())
    ]
    expected_hyperedges = []
    rows = []
    for line in path.read_text().splitlines()[2 : -found_hypergraph.num_nodes()]:
        weight, source, *targets = map(int, line.split())
        nodes = {source - 1, *(target - 1 for target in targets)}
        if len(nodes) > 1:  # a hyperedge of one node is never cut
            expected_hyperedges.append((weight, sorted(nodes)))
        for target in targets:
            rows.append((source - 1, target - 1, weight))
    assert read == expected_hyperedges
    return synapses(rows, "traffic")


def read_axoncuda(path, graph, sources=0):
    """As AxonCUDA's own reader reads it.

    A record is the number of targets or pins, in `.axh` of sources, the source, the
    targets and the weight.
    """
    words = np.fromfile(path, "<u4")
    start = 2
    rows = []
    for _ in range(words[1]):
        number, *options_given, source = words[start : start + 2 + sources].tolist()
        assert options_given == [1] * sources
        end = start + 2 + number
        weight = float(words[end : end + 1].view("<f4")[0])
        rows += [
            (source, target, weight)
            for target in words[start + 2 + sources : end].tolist()
        ]
        start = end + 1
    assert start == words.size
    return synapses(rows, "spikes")


READERS = {
    "networkx": read_networkx,
    "graphml": read_graphml,
    "csv": read_csv,
    "npz": read_npz,
    "parquet": read_arrow,
    "parts": read_arrow,
    "sonata": read_sonata,
    "pynn": read_pynn,
    "sanafe": read_sanafe,
    "spinemap": read_spinemap,
    "metis": read_metis,
    "hmetis": read_hmetis,
    "snn": read_axoncuda,
    "axh": partial(read_axoncuda, sources=1),
}


def expected_synapses(graph, format, options):
    """Source, target and values of the synapses that a format writes."""
    if FORMATS[format].simulates:
        graph = graph.with_pool_weight("mean")
    scale = 1.0
    if graph.recording is not None:
        scale = graph.recording.rate_scale(options.rate_unit)
    source, target, weight, edge = all_edges(graph, scale)
    values = {"weight": weight, "edge": edge}
    for name, numbers in spike_numbers(graph, scale).items():
        values[name] = numbers[source]
    first_id = 0
    has_currents = all(population.coding == "current" for population in graph.inputs)
    if FORMATS[format].partial and has_currents and not options.with_input:
        first_id = graph.layers[0].first
    is_written = source >= first_id
    source_id = source[is_written] - first_id
    target_id = target[is_written] - first_id
    if format == "metis":
        return join_columns(source_id, target_id, values["traffic"][is_written])
    written_values = {name: column[is_written] for name, column in values.items()}
    return Synapses(source_id, target_id, written_values)


def spike_numbers(graph, scale):
    """Numbers of all neurons that follow from their spikes, by name."""
    if graph.recording is None:
        return {}
    rates = []
    counts = []
    for population in graph.populations:
        rates.append(population.edge_rate(scale))
        is_current = population.coding == "current"
        spike_count = population.spike_count.ravel()
        counts.append(np.zeros(population.size) if is_current else spike_count)
    count = np.concatenate(counts)
    # The counts of `random_graph` have two decimals
    unit = 100 if (count != np.rint(count)).any() else 1
    return {
        "rate": np.concatenate(rates),
        "traffic": np.maximum(1, np.rint(unit * count)),
        "spikes": count / graph.recording.steps * scale,
    }


def join_columns(source, target, traffic):
    """Synapses in both directions as one, without those of a neuron with itself."""
    sums = defaultdict(float)
    for s, t, value in zip(source.tolist(), target.tolist(), traffic.tolist()):
        sums[min(s, t), max(s, t)] += value
    return synapses(
        [(*ends, value) for ends, value in sums.items() if ends[0] != ends[1]],
        "traffic",
    )


LISTED = {  # codings of the inputs
    "no input": (),
    "a current and spikes": ("current", "spikes"),
}


@pytest.fixture(scope="module")
def listed_graphs(tmp_path_factory):
    """Graphs of listed edges with cycles and self-connections.

    The numbers of spikes are not whole.
    """
    folder = tmp_path_factory.mktemp("listed")
    graphs = {}
    for name, codings in LISTED.items():
        graphs[name], synapses = random_graph(
            folder / f"{name}.h5",
            len(graphs),
            sizes=(4, 6, 5, 8),
            inputs=len(codings),
            codings=codings or ("spikes",),
            density=0.5,
        )
        assert any((t, s) in synapses for s, t in synapses)
    yield graphs
    for graph in graphs.values():
        graph.close()


GRAPHS = ("graph", "residual_graph", "weights_graph")
CASES = [(*case, {}) for case in product(GRAPHS, sorted(READERS))]
CASES += [
    ("graph", name, {"rate_unit": "hz"})
    for name, format in FORMATS.items()
    if "rate_unit" in format.own_options
]
CASES += [
    ("graph", name, {"with_input": True})
    for name, format in FORMATS.items()
    if format.partial and name in READERS
]
CASES += [
    ("graph", name, {"exact": True})
    for name, format in FORMATS.items()
    if "exact" in format.own_options
]
CASES += [("graph", "parts", {"workers": 3})]
CASES += [(*case, {}) for case in product(LISTED, sorted(READERS))]


@pytest.mark.parametrize(("name", "format", "options"), CASES)
def test_synapses_are_those_of_the_graph(
    request, tmp_path, listed_graphs, name, format, options
):
    """With the values of a float32, exactly: also in files with other digits."""
    is_listed = name in LISTED
    graph = listed_graphs[name] if is_listed else request.getfixturevalue(name)
    options = ExportOptions(**options)
    assert name != "graph" or graph.attributes["pool_weight"] == "one"
    times = None
    if format == "spinemap":
        times = save_spike_times(graph, tmp_path / "times.npz")
    options_given = {
        "request": Request(options, times),
        "origin": {"stamp": "s", "sha256": "0"},
    }
    if (
        format in ("metis", "hmetis", "snn", "axh", "spinemap")
        and graph.recording is None
    ):
        with pytest.raises(
            UsageError, match="has no spike counts, which this format requires"
        ):
            export(graph, format, tmp_path / "net", **options_given)
        return
    written = export(graph, format, tmp_path / "net", **options_given)
    found_synapses = READERS[format](tmp_path / "net", graph)
    expected_edges = expected_synapses(graph, format, options)
    assert found_synapses.source.size == written.edges or format == "metis"
    order = np.lexsort((found_synapses.target, found_synapses.source))
    expected_order = np.lexsort((expected_edges.target, expected_edges.source))
    for column in ("source", "target"):
        np.testing.assert_array_equal(
            getattr(found_synapses, column)[order],
            getattr(expected_edges, column)[expected_order],
        )
    for column, values in found_synapses.values.items():
        found_values = values[order]
        expected_values = expected_edges.values[column][expected_order]
        if options.exact:
            np.testing.assert_array_equal(found_values, expected_values.astype(float))
        np.testing.assert_array_equal(
            np.float32(found_values), np.float32(expected_values), err_msg=column
        )


def test_every_format_has_a_reader():
    # test_export_nir.py compares every synapse, tests/stages/test_crosscheck.py every rate
    assert set(FORMATS) - set(READERS) == {"nir", "noxim"}


def nodes_of_csv(path):
    table = pandas.read_csv(
        path, converters={"index": ast.literal_eval}, float_precision="round_trip"
    )
    return table.to_dict("records")


def nodes_of_npz(path):
    with np.load(str(path / "nodes.npz")) as arrays:
        table = dict(arrays)
    rows = []
    for n in range(table["bias"].size):
        row = {name: table[name][n] for name in ("bias", "rate", "spike_count")}
        row["id"] = n
        row["population"] = table["population_names"][table["population"][n]]
        row["index"] = tuple(axis for axis in table["index"][n] if axis >= 0)
        rows.append(row)
    return rows


def nodes_of_parquet(path):
    rows = pyarrow.dataset.dataset(str(path / "nodes.parquet")).to_table().to_pylist()
    for row in rows:
        index = [row[f"index_{axis}"] for axis in range(3)]
        row["index"] = tuple(position for position in index if position >= 0)
    return rows


def nodes_of_sonata(path):
    config = libsonata.CircuitConfig.from_file(str(path / "circuit_config.json"))
    rows = []
    for name in ("input", "snn"):
        population = config.node_population(name)
        columns = {
            c: population.get_attribute(c, population.select_all())
            for c in ("bias", "rate", "spike_count")
        }
        rows += [dict(zip(columns, values)) for values in zip(*columns.values())]
    return [{"id": number, **row} for number, row in enumerate(rows)]


def nodes_of_networkx(path):
    found_nodes = pickle.loads(path.read_bytes()).nodes(data=True)  # noqa: S301
    return [
        {"id": number, "population": name[0], "index": name[1], **values}
        for number, (name, values) in enumerate(found_nodes)
    ]


def nodes_of_graphml(path):
    rows = [node.attributes() for node in igraph.Graph.Read_GraphML(str(path)).vs]
    return [
        {**row, "id": int(row["id"]), "index": ast.literal_eval(row["index"])}
        for row in rows
    ]


NODE_READERS = {
    "csv": lambda path: nodes_of_csv(path.with_name("net.nodes.csv")),
    "pynn": lambda path: nodes_of_csv(path / "nodes.csv"),
    "spinemap": lambda path: nodes_of_csv(path / "nodes.csv"),
    "npz": nodes_of_npz,
    "parquet": nodes_of_parquet,
    "parts": nodes_of_parquet,
    "sonata": nodes_of_sonata,
    "networkx": nodes_of_networkx,
    "graphml": nodes_of_graphml,
}


@pytest.mark.parametrize("format", sorted(NODE_READERS))
def test_neurons_are_those_of_the_graph(graph, tmp_path, spike_times, format):
    """All numbers are the same float64."""
    export(graph, format, tmp_path / "net", Request(spike_times=spike_times))
    rows = NODE_READERS[format](tmp_path / "net")
    first_id = 84 if format == "spinemap" else 0
    assert sorted(row["id"] for row in rows) == list(range(len(graph.nodes) - first_id))
    for row in rows:
        node = graph.nodes[row["id"] + first_id]
        for name in ("population", "index", "bias", "rate", "spike_count"):
            assert name not in row or row[name] == getattr(node, name), (name, row)
        assert "bias" in row
        assert "spike_count" in row
