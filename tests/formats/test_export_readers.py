"""Every format of three graphs, read by the libraries that people use: synapses and neurons are those of the graph."""

import ast
import csv
import json
import pickle
from collections import defaultdict
from functools import partial
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
    """Ids of sources and targets as a file numbers them, and values under the names of `expected_synapses`."""

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
    names, parts = (
        ["syn_weight", "edge", *(["rate"] if graph.recording is not None else [])],
        [],
    )
    for name in config.edge_populations:
        population = config.edge_population(name)
        all_edges_read = population.select_all()
        ends = (
            population.source_nodes(all_edges_read) + first_ids[population.source],
            population.target_nodes(all_edges_read) + first_ids[population.target],
        )
        parts.append(
            (
                *ends,
                *(population.get_attribute(value, all_edges_read) for value in names),
            )
        )
    source, target, *values = map(np.concatenate, zip(*parts))
    return Synapses(source, target, dict(zip(["weight", *names[1:]], values)))


def read_pynn(path, graph):
    pynn.setup(timestep=1.0)
    delays = [
        p["delay_steps"]
        for p in json.loads((path / "description.json").read_text())["projections"]
    ]
    rows = []
    for number, p in enumerate(graph.projections):
        pre, post = (
            pynn.Population(end.size, pynn.IF_curr_exp())
            for end in (p.source, p.target)
        )
        for sign in ("excitatory", "inhibitory"):
            file = path / f"{number:04d}_{p.source.name}__{p.target.name}_{sign}.txt"
            if file.exists():
                assert file.read_text().startswith(
                    '# columns = ["i", "j", "weight", "delay"]\n'
                )
                lines = file.read_text().splitlines()[1:]
                if len(lines) == 1:  # PyNN fails to read it
                    i, j, weight, _ = map(float, lines[0].split())
                    rows.append(
                        (int(i) + p.source.first, int(j) + p.target.first, weight)
                    )
                    continue
                connector = pynn.FromFileConnector(str(file))
                projection = pynn.Projection(
                    pre, post, connector, pynn.StaticSynapse(), receptor_type=sign
                )
                for i, j, weight, delay in projection.get(
                    ["weight", "delay"], format="list"
                ):
                    assert weight < 0 if sign == "inhibitory" else weight >= 0
                    assert delay == delays[number] >= 1
                    rows.append(
                        (int(i) + p.source.first, int(j) + p.target.first, weight)
                    )
    return synapses(rows, "weight")


def read_sanafe(path, graph):
    """A relay's synapses are those of the population whose spikes it delays; the synapses onto it have weight 1."""
    _, network = load(path, path.parent)
    firsts = [population.first for population in graph.populations]
    names = [population.name for population in graph.populations]
    description = json.loads(path.with_name("net.json").read_text())
    delays = {
        (p["source"], p["target"]): p["delay_steps"] for p in description["projections"]
    }
    senders = {
        str(number): (number, 0) for number in range(len(names))
    }  # population, and steps that a relay waits
    for relay in description["sanafe"]["relays"]:
        senders[str(relay["group"])] = (
            names.index(relay["population"]),
            relay["steps_later"],
        )
    rows = []
    for group, (population, later) in senders.items():
        for i, neuron in enumerate(network.groups[group].neurons):
            for edge in neuron.edges_out:
                end, weight = edge.post_neuron, edge.synapse_attributes["weight"]
                to, steps = senders[end.group_name]
                if steps:
                    assert (weight, end.neuron_offset, to, steps) == (
                        1,
                        i,
                        population,
                        later + 1,
                    )
                else:
                    assert delays[names[population], names[to]] == later + 1
                    rows.append(
                        (firsts[population] + i, firsts[to] + end.neuron_offset, weight)
                    )
    return synapses(rows, "weight")


def read_spinemap(path, graph):
    files = [
        (path / f"{name}_info.txt").read_text().splitlines()
        for name in ("connection", "weight")
    ]
    assert len(files[0]) == len(files[1])
    rows = []
    for (neuron, *targets), (same, *weights) in zip(
        *([line.split(" ") for line in lines] for lines in files)
    ):
        assert (neuron, len(targets)) == (same, len(weights))
        rows += [
            (int(neuron), int(target), float(weight))
            for target, weight in zip(targets, weights)
        ]
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
    lines = [
        [int(word) for word in line.split()]
        for line in path.read_text().splitlines()[2 : -found_hypergraph.num_nodes()]
    ]
    sets = [(weight, sorted({pin - 1 for pin in pins})) for weight, *pins in lines]
    assert read == [
        (weight, pins) for weight, pins in sets if len(pins) > 1
    ]  # a hyperedge of one node is never cut
    return synapses(
        [(pins[0] - 1, pin - 1, weight) for weight, *pins in lines for pin in pins[1:]],
        "traffic",
    )


def read_axoncuda(path, graph, sources=0):
    """As AxonCUDA's own reader reads it: number of targets or pins, in `.axh` of sources, source, targets, weight."""
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
    graph = graph.with_pool_weight("mean") if FORMATS[format].simulates else graph
    scale = (
        1.0
        if graph.recording is None
        else graph.recording.rate_scale(options.rate_unit)
    )
    source, target, weight, edge = all_edges(graph, scale)
    values = {"weight": weight, "edge": edge}
    if graph.recording is not None:
        values["rate"] = np.concatenate(
            [p.edge_rate(scale) for p in graph.populations]
        )[source]
        counts = np.concatenate(
            [
                np.zeros(p.size) if p.coding == "current" else p.spike_count.ravel()
                for p in graph.populations
            ]
        )
        hundredths = (
            100 if (counts != np.rint(counts)).any() else 1
        )  # counts of `random_graph` have two decimals
        values["traffic"] = np.maximum(1, np.rint(hundredths * counts))[source]
        values["spikes"] = (counts / graph.recording.steps * scale)[source]
    currents = all(population.coding == "current" for population in graph.inputs)
    first_id = (
        graph.layers[0].first
        if FORMATS[format].partial and currents and not options.with_input
        else 0
    )
    is_kept = source >= first_id
    if format == "metis":
        return join_columns(
            source[is_kept] - first_id,
            target[is_kept] - first_id,
            values["traffic"][is_kept],
        )
    return Synapses(
        source[is_kept] - first_id,
        target[is_kept] - first_id,
        {name: v[is_kept] for name, v in values.items()},
    )


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
    """Graphs of listed edges with cycles, self-connections and spikes that are not whole numbers."""
    folder, made_paths = tmp_path_factory.mktemp("listed"), {}
    for name, codings in LISTED.items():
        sizes = {
            "sizes": (4, 6, 5, 8),
            "inputs": len(codings),
            "codings": codings or ("spikes",),
            "density": 0.5,
        }
        made_paths[name], synapses = random_graph(
            folder / f"{name}.h5", len(made_paths), **sizes
        )
        assert any((t, s) in synapses for s, t in synapses)
    yield made_paths
    for graph in made_paths.values():
        graph.close()


GRAPHS = ("graph", "residual_graph", "weights_graph")
CASES = [(name, format, {}) for name in GRAPHS for format in sorted(READERS)]
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
CASES += [(name, format, {}) for name in LISTED for format in sorted(READERS)]


@pytest.mark.parametrize(("name", "format", "options"), CASES)
def test_synapses_are_those_of_the_graph(request, tmp_path, name, format, options):
    """With the values of a float32, exactly: in files with shorter or longer digits too."""
    graph = (
        request.getfixturevalue("listed_graphs")[name]
        if name in LISTED
        else request.getfixturevalue(name)
    )
    options = ExportOptions(**options)
    assert name != "graph" or graph.attributes["pool_weight"] == "one"
    times = (
        save_spike_times(graph, tmp_path / "times.npz")
        if format == "spinemap"
        else None
    )
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
    found_synapses, expected_edges = (
        READERS[format](tmp_path / "net", graph),
        expected_synapses(graph, format, options),
    )
    assert found_synapses.source.size == written.edges or format == "metis"
    orders = [
        np.lexsort((edges.target, edges.source))
        for edges in (found_synapses, expected_edges)
    ]
    for column in ("source", "target"):
        np.testing.assert_array_equal(
            getattr(found_synapses, column)[orders[0]],
            getattr(expected_edges, column)[orders[1]],
        )
    for column, values in found_synapses.values.items():
        if options.exact:
            np.testing.assert_array_equal(
                values[orders[0]],
                expected_edges.values[column][orders[1]].astype(float),
            )
        pair = (
            np.float32(values[orders[0]]),
            np.float32(expected_edges.values[column][orders[1]]),
        )
        np.testing.assert_array_equal(*pair, err_msg=column)


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
    return [
        {
            "id": n,
            "population": table["population_names"][table["population"][n]],
            "index": tuple(axis for axis in table["index"][n] if axis >= 0),
            **{name: table[name][n] for name in ("bias", "rate", "spike_count")},
        }
        for n in range(table["bias"].size)
    ]


def nodes_of_parquet(path):
    rows = pyarrow.dataset.dataset(str(path / "nodes.parquet")).to_table().to_pylist()
    return [
        {
            **row,
            "index": tuple(
                row[f"index_{a}"] for a in range(3) if row[f"index_{a}"] >= 0
            ),
        }
        for row in rows
    ]


def nodes_of_sonata(path):
    config, rows = (
        libsonata.CircuitConfig.from_file(str(path / "circuit_config.json")),
        [],
    )
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
    rows, first_id = (
        NODE_READERS[format](tmp_path / "net"),
        84 if format == "spinemap" else 0,
    )
    assert sorted(row["id"] for row in rows) == list(range(len(graph.nodes) - first_id))
    for row in rows:
        node = graph.nodes[row["id"] + first_id]
        for name in ("population", "index", "bias", "rate", "spike_count"):
            assert name not in row or row[name] == getattr(node, name), (name, row)
        assert "bias" in row
        assert "spike_count" in row
