"""Names of neurons: in the file of a graph, in every export and its readers, in a mapping, and in files by name."""

import csv
import gzip
import pickle

import h5py
import igraph
import networkx
import numpy as np
import pyarrow.parquet
import pytest

from snnb import Run
from snnb.core.errors import InputError
from snnb.formats.all import FORMATS
from snnb.formats.import_graph import import_graph
from snnb.formats.write_export import export
from snnb.graph.synapse_graph import FORMAT, USER_BLOCK, VERSION, SynapseGraph, seal
from snnb.mapping.files import Mapping, MappingCost
from snnb.mapping.map_network import cost_partition, map_network
from snnb.mapping.traffic import MappableNetwork
from tests.formats.mapped import assert_refused, import_anew
from tests.graph.edges import all_edges
from tests.mapping.networks import hardware

# Population, name, spikes and core of each neuron, in the order of the ids
NEURONS = [
    ("input", "eye, left", 4, 0),
    ("input", "Ω", 2, 0),
    ("cortex", "p;1", 7, 1),
    ("cortex", 'the "third"', 0, 0),
    ("cortex", "Ω", 5, 1),
]
EDGES = [(0, 2), (1, 3), (2, 4), (4, 3), (3, 3)]
LABELS = [f"{population},{name}" for population, name, *_ in NEURONS]
NAMES = [name for _, name, *_ in NEURONS]


def graph_of(run):
    return SynapseGraph.open(next(run.path.glob("graphs/imported/*_graph.h5")))


def write_edges(path):
    ends = ("source_group", "source", "target_group", "target")
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(ends)
        rows.writerows([*NEURONS[s][:2], *NEURONS[t][:2]] for s, t in EDGES)
    return path


@pytest.fixture
def named_graph(tmp_path):
    """A graph of two populations, the first of which is the input, that a CSV describes by names."""
    rates = tmp_path / "spikes.txt"
    rates.write_text(
        "".join(
            f"{label} {NEURONS[k][2]}\n" for k, label in reversed([*enumerate(LABELS)])
        )
    )
    with import_graph(
        write_edges(tmp_path / "edges.csv"), tmp_path / "in_graph.h5", rates=rates
    ).graph as graph:
        yield graph


def test_names_are_in_the_file_of_the_graph(named_graph, tmp_path):
    assert named_graph.names == LABELS
    assert [p.name for p in named_graph.inputs] == ["input"]
    assert [named_graph.nodes[k].name for k in range(5)] == NAMES
    assert [named_graph.nodes[k].spike_count for k in range(5)] == [
        spikes for *_, spikes, _ in NEURONS
    ]
    with h5py.File(str(named_graph.path), "r") as file:
        stored_names = [file[f"populations/000{k}/names"][()] for k in range(2)]
    flat_names = np.concatenate([names.ravel() for names in stored_names])
    assert [name.decode() for name in flat_names.tolist()] == NAMES
    again = import_graph(
        tmp_path / "edges.csv",
        tmp_path / "again_graph.h5",
        rates=tmp_path / "spikes.txt",
    ).graph
    again.close()
    assert again.path.read_bytes() == named_graph.path.read_bytes()
    with import_graph(named_graph.path, tmp_path / "copy_graph.h5").graph as copy:
        assert copy.names == LABELS


@pytest.mark.parametrize(
    "name", ["net.csv", "net.csv.gz", "npz", "parquet", "parts", "sonata"]
)
def test_an_export_read_again_has_the_same_names_and_ids(named_graph, tmp_path, name):
    export(
        named_graph,
        name.split(".")[-1] if "csv" not in name else "csv",
        tmp_path / name,
    )
    again, _ = import_anew(tmp_path / name, tmp_path / "again")
    with again:
        assert again.names == LABELS
        for edge, other_edge in zip(all_edges(again)[:3], all_edges(named_graph)[:3]):
            np.testing.assert_array_equal(edge, other_edge)
        for edge, other_edge in zip(again.populations, named_graph.populations):
            np.testing.assert_array_equal(edge.spike_count, other_edge.spike_count)


def test_the_edges_of_an_exported_csv_are_by_name(named_graph, tmp_path):
    export(named_graph, "csv", tmp_path / "net.csv")
    # Without the description, from the edges alone
    (tmp_path / "net.csv.json").unlink()
    again, _ = import_anew(tmp_path / "net.csv", tmp_path / "again")
    with again:
        assert sorted(again.names) == sorted(LABELS)
        source, target, *_ = all_edges(again)
        named_edges = [
            (again.names[s], again.names[t])
            for s, t in zip(source.tolist(), target.tolist())
        ]
        assert sorted(named_edges) == sorted((LABELS[s], LABELS[t]) for s, t in EDGES)


def table_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [row["name"] for row in csv.DictReader(file)]


def sonata_names(path):
    with h5py.File(str(path / "nodes.h5"), "r") as file:
        stored_names = [file[f"nodes/{name}/0/name"][()] for name in ("input", "snn")]
    return [name.decode() for name in np.concatenate(stored_names).tolist()]


def npz_names(path):
    with np.load(str(path / "nodes.npz")) as arrays:
        return arrays["name"].tolist()


def networkx_names(path):
    graph = pickle.loads(path.read_bytes())  # noqa: S301
    return [name for _, name in graph.nodes(data="name")]


READERS = {  # of the names of all neurons in the order of the ids
    "networkx": networkx_names,
    "csv": lambda path: table_of(path.with_name("net.nodes.csv")),
    "npz": npz_names,
    "parquet": lambda path: pyarrow.parquet.read_table(
        str(path / "nodes.parquet")
    ).to_pydict()["name"],
    "parts": lambda path: pyarrow.parquet.read_table(
        str(path / "nodes.parquet")
    ).to_pydict()["name"],
    "sonata": sonata_names,
    "pynn": lambda path: table_of(path / "nodes.csv"),
    "graphml": lambda path: igraph.Graph.Read_GraphML(str(path)).vs["name"],
}
IN_A_SIBLING = (
    "sanafe",
    "metis",
    "hmetis",
    "snn",
    "axh",
)  # of integers; nir and spinemap take no such graph


@pytest.mark.parametrize(
    "format", [name for name in FORMATS if name not in ("nir", "spinemap", "noxim")]
)
def test_names_in_every_export(named_graph, tmp_path, format):
    path = export(named_graph, format, tmp_path / "net").path
    if format in IN_A_SIBLING:
        assert (tmp_path / "net.names.txt").read_text(encoding="utf-8").split("\n") == [
            *LABELS,
            "",
        ]
    else:
        assert READERS[format](path) == NAMES
    assert (tmp_path / "net.names.txt").exists() == (format in IN_A_SIBLING)


def test_another_export_removes_the_names_next_to_a_file(named_graph, tmp_path):
    origin = {"stamp": "s", "sha256": "0"}
    export(named_graph, "hmetis", tmp_path / "net", origin=origin)
    assert (tmp_path / "net").read_text().splitlines()[1].split()[
        1
    ] == "5"  # nodes, as there are lines of names
    export(named_graph, "graphml", tmp_path / "net", origin=origin, force=True)
    assert not (tmp_path / "net.names.txt").exists()


def test_names_of_a_mapping(named_graph, tmp_path):
    chip = hardware(neurons=3, mesh=(2, 2))
    network = MappableNetwork.of(named_graph)
    partition = tmp_path / "cores.txt.gz"
    directory = tmp_path / "map"
    rows = ["name;core", "", *(f"{LABELS[k]};{NEURONS[k][3]}" for k in (4, 2, 3))]
    partition.write_bytes(gzip.compress(("\ufeff" + "\n".join(rows)).encode()))
    network_mapping = cost_partition(network, chip, partition)
    assert network_mapping.core.tolist() == [1, 0, 1]
    assert network_mapping.cost.traffic.connectivity == 5  # of Ω
    assert network_mapping.cost.traffic.outside_spikes == 4 + 2  # of both inputs
    directory.mkdir()
    Mapping.of(network_mapping, MappingCost.of(network_mapping)).write(directory)
    mapping = Mapping.open(directory)
    assert mapping.names == LABELS[2:]
    assert [mapping.core_of(2 + k) for k in range(3)] == [1, 0, 1]
    with (directory / "cores.csv").open(newline="", encoding="utf-8") as file:
        cells = [row["names"] for row in csv.DictReader(file)]
    assert [next(csv.reader([cell], delimiter=";")) for cell in cells] == [
        LABELS[3:4],
        [LABELS[2], LABELS[4]],
    ]
    with (directory / "partition_names.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["name", "core"],
            *([label, core] for label, core in zip(LABELS[2:], "101")),
        ]
    again = cost_partition(network, chip, directory / "partition_names.csv")
    assert again.core.tolist() == [1, 0, 1]
    (directory / "partition_names.csv").write_text("name,core\n")
    with pytest.raises(InputError, match="a file is damaged"):
        Mapping.open(directory)


BAD_PARTITIONS = {
    "1\n0\n1\n": "line 1, '1', has no name, and neurons of this graph have names",
    "cortex,p;1 1\ncortex,q 0\n": "line 2: the graph has no neuron 'cortex,q'; its neurons have names such as",
    "cortex,Ω 1\n\ncortex,Ω 0\n": "line 3: neuron 'cortex,Ω' has a value before",
    "cortex,Ω 1.5\n": "line 1: '1.5' is not a core, a whole number from 0",
    "cortex,Ω 4\n": "line 1: core 4 is not one of the 4 of chip",
    "cortex,Ω 1\ncortex,p;1 0\n": 'has no value of 1 of 5 neurons, the first is cortex,the "third"',
    "": "has no value of 3 of 5 neurons",
}


@pytest.mark.parametrize("text", BAD_PARTITIONS)
def test_partitions_that_are_refused(named_graph, tmp_path, text):
    (tmp_path / "p.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        cost_partition(
            MappableNetwork.of(named_graph), hardware(mesh=(2, 2)), tmp_path / "p.txt"
        )
    assert str(error.value).startswith(f"{tmp_path / 'p.txt'}: ")
    assert BAD_PARTITIONS[text] in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4\n2\n7\n0\n5\n", "line 1, '4', has no name"),
        ("input,Ω 4\ncortex,Ω many\n", "line 2: 'many' is not a number"),
        ("input,Ω 4\n", "has no value of 4 of 5 neurons, the first is input,eye, left"),
        (np.arange(5), "has no names, and neurons of this graph have names"),
    ],
)
def test_rates_that_are_refused(tmp_path, text, message):
    rates = tmp_path / ("r.txt" if isinstance(text, str) else "r.npy")
    rates.write_text(text, encoding="utf-8") if isinstance(text, str) else np.save(
        rates, text
    )
    assert_refused(write_edges(tmp_path / "edges.csv"), message, rates=rates)


@pytest.mark.parametrize("kind", ["h5", "csv"])
@pytest.mark.parametrize("names", ["yx", "10"])
def test_spikes_by_number_are_read_only_if_names_are_these_numbers(
    tmp_path, kind, names
):
    """Two spikes of neuron 0, and one of neuron 1."""
    first_name, second_name = names
    (tmp_path / "t.csv").write_text(
        f"source_group,source,target_group,target\na,{first_name},a,{second_name}\n"
    )
    rates = tmp_path / f"spikes.{kind}"
    if kind == "h5":
        with h5py.File(str(rates), "w") as file:
            file["spikes/a/node_ids"] = [0, 1, 0]
    else:
        rates.write_text("neuron,timestep\na.0,1\na.1,2\na.0,3\n")
    if names == "yx":
        assert_refused(
            tmp_path / "t.csv",
            "numbers neurons, but neurons of a have names; give a text file",
            rates=rates,
        )
        return
    with import_graph(
        tmp_path / "t.csv", tmp_path / "in_graph.h5", rates=rates
    ).graph as graph:
        assert dict(zip(graph.names, graph.populations[0].spike_count.tolist())) == {
            "0": 2,
            "1": 1,
        }
    with import_graph(
        tmp_path / "in_graph.h5", tmp_path / "copy_graph.h5", rates=rates
    ).graph as graph:
        assert graph.populations[0].spike_count.tolist() == [2, 1]


def test_spikes_by_number_are_those_of_an_export_to_sonata(named_graph, tmp_path):
    export(named_graph, "sonata", tmp_path / "net")
    with h5py.File(str(tmp_path / "spikes.h5"), "w") as file:
        file["spikes/snn/node_ids"] = [2, 2, 0]
    with import_graph(
        tmp_path / "net", tmp_path / "again_graph.h5", rates=tmp_path / "spikes.h5"
    ).graph as graph:
        spikes = []
        for population in graph.populations:
            spikes += population.spike_count.ravel().tolist()
        assert dict(zip(graph.names, spikes)) == {
            **dict.fromkeys(LABELS, 0),
            "cortex,Ω": 2,
            "cortex,p;1": 1,
        }


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz", "r.txt.gz"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_rates_are_read_as_edge_lists_are(tmp_path, name, separator):
    rates = tmp_path / name
    text = "\ufeff" + "\r\n".join(["id,spikes", "1,8", "", "0,3", "2,0", ""]).replace(
        ",", separator
    )
    rates.write_bytes(
        gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
    )
    (tmp_path / "ids.csv").write_text("source,target\n0,1\n1,2\n")
    with import_graph(
        tmp_path / "ids.csv", tmp_path / "in_graph.h5", rates=rates
    ).graph as graph:
        assert graph.names is None
        assert graph.populations[0].spike_count.tolist() == [3, 8, 0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["", "0,1", "", " ", "1,x"], "line 6: target 'x' is not an id from 0"),
        (["0,1", "", "1,0.5"], "line 4: target 0.5 is not an id"),
        (["", "0,1", "", "", "1,2", "", "2,-3"], "line 8: target -3"),
        (["", "a,b", "", "b"], "line 5: has 1 fields, the header has 2"),
    ],
)
@pytest.mark.parametrize("block", [16, 1 << 22])
def test_lines_of_edges_are_numbered_as_in_the_file(
    tmp_path, monkeypatch, rows, message, block
):
    monkeypatch.setattr("snnb.formats.csv.BLOCK", block)
    (tmp_path / "t.csv").write_text("\n".join(["source,target", *rows]) + "\n")
    assert_refused(tmp_path / "t.csv", message)


def test_indices_that_are_written_in_two_ways_are_two_names(tmp_path):
    (tmp_path / "t.csv").write_text(
        "source_group,source,target_group,target\na,1,a,01\na,01,a,2\n"
    )
    with import_graph(tmp_path / "t.csv", tmp_path / "in_graph.h5").graph as graph:
        assert graph.names == ["01", "1", "2"]
        assert [column.tolist() for column in all_edges(graph)[:2]] == [[0, 1], [2, 0]]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([b"a", b"a"], "2 neurons have the name 'a'"),
        ([b"a", b"b c\x07"], "a neuron of neurons has the name 'b c\\x07'"),
        ([b"a", b" b"], "without spaces at its ends"),
        ([b"a", b""], "1 to 200 printable characters"),
        ([b"a", b"\xff"], "damaged"),
        ([b"a"], "2 neurons and 1 names"),
    ],
)
def test_a_graph_file_whose_names_are_refused(tmp_path, names, message):
    path = tmp_path / "hand_graph.h5"
    with h5py.File(str(path), "w", userblock_size=USER_BLOCK) as file:
        file.attrs.update(format=FORMAT, version=VERSION, inputs=0)
        group = file.create_group("populations/0000")
        group.attrs.update(name="neurons", layer="neurons", shape=[2], first_id=0)
        group["names"] = np.array(names)
        file["projections"] = np.zeros((0, 2), np.int64)
    seal(path)
    assert_refused(path, message)


def test_attributes_of_networkx_that_are_not_read_are_named(tmp_path):
    graph = networkx.DiGraph([("a", "b", {"delay": 2.0}), ("b", "a")])
    warnings = (
        Run.from_graph(graph, tmp_path / "run").graphs["imported"].record.warnings
    )
    assert "columns that are not read: delay" in warnings


CELLS = [  # in natural order
    *(("L2", f"cell {k}") for k in range(40)),
    *(("L10", f"cell {k}") for k in range(40)),
]


def write_table(path, columns):
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), str(path))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *zip(*columns.values())])
    return path


def read_cells(kind, edges, folder):
    """Return the graph of edges, pairs of `CELLS`, from a file or from networkx; with groups in `csv groups`."""
    if kind == "csv groups":
        columns = zip(*(source + target for source, target in edges))
        named_pairs = dict(
            zip(("source_group", "source", "target_group", "target"), columns)
        )
        return import_graph(
            write_table(folder / "edges.csv", named_pairs), folder / "in_graph.h5"
        ).graph
    labels = [(" ".join(source), " ".join(target)) for source, target in edges]
    if kind == "networkx":
        run = Run.from_graph(networkx.DiGraph(labels), folder / "run")
        return graph_of(run)
    path = write_table(
        folder / f"edges.{kind}",
        dict(zip(("source", "target"), map(list, zip(*labels)))),
    )
    return import_graph(path, folder / "in_graph.h5").graph


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["csv", "csv groups", "npz", "parquet", "networkx"])
def test_the_order_of_edges_changes_neither_ids_nor_mappings(
    kind, seed, tmp_path, no_kahypar
):
    ends = np.random.default_rng(18).integers(0, len(CELLS), (400, 2)).tolist()
    pairs = sorted({*map(tuple, ends), *((k, k + 1) for k in range(len(CELLS) - 1))})
    edges = [
        (CELLS[pairs[k][0]], CELLS[pairs[k][1]])
        for k in np.random.default_rng(seed).permutation(len(pairs))
    ]
    with read_cells(kind, edges, tmp_path) as graph:
        assert graph.names == [
            ("," if kind == "csv groups" else " ").join(cell) for cell in CELLS
        ]
        assert (
            sorted(zip(*(column.tolist() for column in all_edges(graph)[:2]))) == pairs
        )
        mapping = map_network(
            MappableNetwork.of(graph), hardware(neurons=9, mesh=(4, 4)), method="groups"
        )
        baseline = mapping.partition.sequential
        assert baseline.core.tolist() == [k // 9 for k in range(len(CELLS))]
        reached_cores = {
            (source, target // 9)
            for source, target in pairs
            if source // 9 != target // 9
        }
        assert baseline.connectivity == len(
            reached_cores
        )  # one spike of each neuron is assumed


def test_populations_of_networkx_keep_their_nodes(tmp_path):
    """The nodes are those of the populations in the given order, and in natural order in each that has one axis."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(
        (name, {"spikes": spikes})
        for name, spikes in [("z10", 1), ("z9", 2), ("a2", 3), ("a1", 4)]
    )
    graph.add_weighted_edges_from([("z10", "a1", 5.0), ("z9", "a2", 7.0)])
    run = Run.from_graph(
        graph, tmp_path / "run", populations={"first": 2, "second": 2}, inputs=1
    )
    with graph_of(run) as found_graph:
        assert found_graph.names == ["first,z9", "first,z10", "second,a1", "second,a2"]
        assert [p.spike_count.tolist() for p in found_graph.populations] == [
            [2, 1],
            [4, 3],
        ]
        assert set(
            zip(*(column.tolist() for column in all_edges(found_graph)[:3]))
        ) == {
            (1, 2, 5.0),
            (0, 3, 7.0),
        }
    shaped_run = Run.from_graph(
        graph, tmp_path / "shaped", populations={"first": 2, "second": (1, 2)}, inputs=1
    )
    with graph_of(shaped_run) as found_graph:
        assert found_graph.names == ["first,z9", "first,z10", "second,a2", "second,a1"]


def test_an_input_comes_first_whatever_the_order_of_the_lines(tmp_path):
    head = "source_group,source,target_group,target"
    rows = ["b,1,a,x", "input,p,b,1", "b,1,b,0", "input,o,b,0"]
    for order in (rows, rows[::-1]):
        (tmp_path / "t.csv").write_text("\n".join([head, *order]) + "\n")
        with import_graph(tmp_path / "t.csv", tmp_path / "in_graph.h5").graph as graph:
            assert [p.name for p in graph.populations] == ["input", "a", "b"]
            assert [p.name for p in graph.inputs] == ["input"]
            assert graph.names == ["input,o", "input,p", "a,x", "b,0", "b,1"]


def test_nodes_of_networkx_are_ids_or_names(tmp_path):
    edges = [(2, 0, 1.5), (1, 2, 2.0), (0, 1, 4.0)]
    for k, (labels, names) in enumerate(
        [
            ([0, 1, 2], None),
            (["0", "1", "2"], None),
            ([1, 2, 3], ["1", "2", "3"]),
            ([(0, 1), "b", 7], ["7", "(0, 1)", "b"]),
        ]
    ):
        graph = networkx.DiGraph()
        graph.add_nodes_from((labels[n], {"spikes": 10 * n}) for n in (2, 1, 0))
        graph.add_weighted_edges_from((labels[s], labels[t], w) for s, t, w in edges)
        run = Run.from_graph(graph, tmp_path / f"run{k}")
        with graph_of(run) as found_graph:
            assert found_graph.names == names
            number = (
                [0, 1, 2]
                if names is None
                else [names.index(str(label)) for label in labels]
            )
            assert found_graph.populations[0].spike_count[number].tolist() == [
                0,
                10,
                20,
            ]
            got = set(zip(*(column.tolist() for column in all_edges(found_graph)[:3])))
            assert got == {(number[s], number[t], w) for s, t, w in edges}
