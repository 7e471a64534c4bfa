"""Graphs from outside: values beside networkx and numpy, refused files, round trips by the costs of a mapping."""

import gzip
import shutil
from pathlib import Path

import h5py
import networkx
import numpy as np
import pandas
import pyarrow.parquet
import pytest
import scipy.sparse

from snnb.core.errors import InputError, UsageError
from snnb.formats.all import FORMATS
from snnb.formats.export_options import ExportOptions
from snnb.formats.import_graph import import_graph
from snnb.formats.request import Request
from snnb.formats.write_export import export
from snnb.graph.synapse_graph import SynapseGraph, seal
from tests.formats.mapped import assert_refused, costs_of, import_anew
from tests.graph.edges import all_edges, names_of

ORIGIN = {"stamp": "s", "sha256": "0"}


def rates_file(path, content):
    path.write_text(content) if isinstance(content, str) else np.save(path, content)
    return path


def test_rates_replace_the_spikes_of_a_graph_file(graph, graph_path, tmp_path):
    nodes = graph.number_of_nodes()
    spikes = np.random.default_rng(1).integers(0, 50, nodes)
    for name, content, factor in (
        ("r.txt", "\n".join(map(str, spikes)), 1),
        ("r.npy", spikes / 4, 1 / 4),
        (
            "r.csv",
            "id,rate\n"
            + "".join(f"{k},{spikes[k] / 8}\n" for k in reversed(range(nodes))),
            30 / 8,
        ),
    ):
        rates = rates_file(tmp_path / name, content)
        new = import_graph(
            graph_path, tmp_path / "in_graph.h5", rates=rates, samples=3, steps=10
        )
        with new.graph as found_graph:
            assert [*new.hashes] == [graph_path, rates]
            got = np.concatenate(
                [
                    population.spike_count.ravel()
                    for population in found_graph.populations
                ]
            )
            np.testing.assert_allclose(got, spikes * factor)
            assert (
                found_graph.recording.num_samples,
                found_graph.recording.num_timesteps,
            ) == (
                3,
                10,
            )
            for column, expected_edge in zip(
                all_edges(found_graph)[:3], all_edges(graph)[:3]
            ):
                np.testing.assert_array_equal(column, expected_edge)


BAD_RATES = {
    "r.txt": {
        "1\n2\n": "has 2 numbers, and the graph has 168 neurons and inputs",
        "1\n-2\n": "line 2: -2 spikes; give finite non-negative numbers",
        "1\n\n2\n": "line 2 is empty; give a number for each neuron",
        "1\nnan\n": "line 2: nan spikes",
        "1\ninf\n": "line 2: inf spikes",
        "id,spikes\n0,1\n1,1e30\n": "line 3: 1e30 spikes",
        "1\n9007199254740994\n": "line 2: 9007199254740994 spikes",
        "9007199254740992\n"
        * 168: "the neurons have 1.513e+18 spikes in total; give at most 2^53",
        "id,spikes,rate\n0,1,2\n": "line 1: has the columns spikes and rate; give one of them",
        "1\nmany\n": "line 2: 'many' is not a number",
        "0 1\n1 2\n": "line 1: '0 1' is not a number; give a number for each neuron, one a line, or CSV",
        'id,spikes\n"0\n",1\n1,x\n': "line 4: 'x' is not a number",
        "a,b\n": "line 1: name the columns: id",
        "id,spikes\n0,1\n0,2\n": "line 3: neuron 0 has a value before",
        "id,spikes\n0,1\n168,2\n": "line 3: the graph has no neuron '168'",
        f"id,spikes\n0,1\n{'9' * 5000},2\n": f"line 3: the graph has no neuron '{'9' * 40}'",
        "id,spikes\n0,1\n1\n": "line 3: has 1 fields, the header has 2",
        "id,spikes\n0,1\n2,1\n": "has no value of 166 of 168 neurons, the first is 1",
    },
    "r.npy": {
        (5,): "has 5 values",
        (168, -1.0): "neuron 0: -1.0 spikes",
        (168, 2.0**54): "neuron 0: 1.8014398509481984e+16 spikes; give",
    },
    "r.mat": {
        "": "not a file of spikes that snnb reads; it reads SONATA reports, traces of SANA-FE, npy"
    },
}


@pytest.mark.parametrize(
    ("name", "content"),
    [(name, content) for name in BAD_RATES for content in BAD_RATES[name]],
)
def test_rates_that_are_refused(name, content, graph_path, tmp_path):
    rates = rates_file(
        tmp_path / name,
        np.full(content[0], content[-1]) if isinstance(content, tuple) else content,
    )
    assert_refused(graph_path, BAD_RATES[name][content], rates=rates)


# Tables


def table(folder, kind, columns):
    """Write columns as pandas, numpy or pyarrow do."""
    path = folder / f"table.{kind}"
    if kind == "npz":
        np.savez_compressed(path, **columns)
    elif kind == "parquet":
        pandas.DataFrame(columns).to_parquet(path)
    else:
        pandas.DataFrame(columns).to_csv(
            path, index=kind == "csv"
        )  # with a further column, or without
    return path


@pytest.mark.parametrize(
    ("kind", "block"),
    [("csv", 64), ("csv", 1 << 24), ("csv.gz", 64), ("npz", 64), ("parquet", 64)],
)
def test_edges_degrees_and_rates_of_a_table(kind, block, monkeypatch, tmp_path):
    """Of random edges with self-connections, cycles, parallel edges, and neurons without any, as networkx has them."""
    monkeypatch.setattr("snnb.formats.csv.BLOCK", block)
    rng = np.random.default_rng(7)
    source, target = rng.integers(0, 60, (2, 400))
    weight, rate = (
        rng.normal(size=400).astype(np.float32),
        rng.integers(0, 9, 60).astype(np.float32) / 8,
    )
    path = table(
        tmp_path,
        kind,
        {"source": source, "target": target, "weight": weight, "rate": rate[source]},
    )
    expected_graph = networkx.DiGraph()
    for edge in zip(source.tolist(), target.tolist(), weight.astype(float).tolist()):
        known_data = expected_graph.get_edge_data(*edge[:2], {"weight": 0.0})
        expected_graph.add_edge(*edge[:2], weight=known_data["weight"] + edge[2])
    found_graph = import_graph(path, tmp_path / "in_graph.h5", samples=2, steps=4)
    with found_graph.graph as graph:
        assert graph.number_of_nodes() == 60
        assert graph.number_of_edges() == expected_graph.number_of_edges()
        (projection,) = graph.projections
        for node in range(60):
            assert projection.out_degrees[node] == (
                expected_graph.out_degree(node) if node in expected_graph else 0
            )
            assert projection.in_degrees[node] == (
                expected_graph.in_degree(node) if node in expected_graph else 0
            )
        got = {
            (s, t): w
            for s, t, w in zip(*(column.tolist() for column in all_edges(graph)[:3]))
        }
        assert list(got) == sorted(expected_graph.edges)
        np.testing.assert_allclose(
            [got[edge] for edge in got],
            [expected_graph.edges[edge]["weight"] for edge in got],
            1e-6,
        )
        counts = np.where(np.isin(np.arange(60), source), rate * 8, 0)
        np.testing.assert_array_equal(graph.populations[0].spike_count, counts)


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
@pytest.mark.parametrize(
    ("source", "target", "other_columns", "message"),
    [
        (
            [1, 2, 3],
            [2, 3, 1],
            {},
            ["ids count from 0: 1 of 4 neurons have no edge, the first is 0"],
        ),
        (
            [7, 0],
            [9, 7],
            {},
            ["ids count from 0: 7 of 10 neurons have no edge, the first is 1"],
        ),
        ([1, 2], [0, 2], {}, []),  # a source only, a target only, a synapse onto itself
        (
            [2, 0, 2, 2],
            [0, 1, 0, 0],
            {"delay": np.arange(4.0), "wieght": np.ones(4)},
            [
                "columns that are not read: delay, wieght",
                "4 edges are 2 synapses: the weights of parallel edges are summed",
            ],
        ),
    ],
)
def test_neurons_without_edges_unread_columns_and_parallel_edges_are_named(
    kind, source, target, other_columns, message, tmp_path
):
    ends = {"source": np.array(source), "target": np.array(target)}
    found_graph = import_graph(
        table(
            tmp_path, kind, {**ends, "weight": np.ones(len(source)), **other_columns}
        ),
        tmp_path / "in_graph.h5",
    )
    found_graph.graph.close()
    assert list(found_graph.notes) == message


def test_several_files_of_spikes_are_added_up(graph, graph_path, tmp_path):
    nodes, random = graph.number_of_nodes(), np.random.default_rng(9)
    first_counts, second_counts = random.integers(0, 50, (2, nodes))
    inputs = sum(population.size for population in graph.inputs)
    first_counts[:inputs] = second_counts[:inputs] = 0
    files = [
        rates_file(tmp_path / "a:b.npy", first_counts),
        rates_file(tmp_path / "b.txt", "\n".join(map(str, second_counts))),
    ]
    found_graph = import_graph(
        graph_path, tmp_path / "in_graph.h5", rates=files, samples=3, steps=10
    )
    with found_graph.graph as new:
        assert [*found_graph.hashes] == [graph_path, *files]
        got = np.concatenate(
            [population.spike_count.ravel() for population in new.populations]
        )
        np.testing.assert_array_equal(got, first_counts + second_counts)
    assert found_graph.notes == (
        f"no spike counts for {', '.join(p.name for p in graph.inputs)}",
    )
    assert_refused(
        graph_path, "a:b.npy: given twice", rates=[*files, files[0]], error=UsageError
    )
    assert_refused(
        graph_path,
        "not a report of SONATA, so omit :input",
        rates=[tmp_path / "b.txt:input"],
        error=UsageError,
    )
    assert_refused(
        graph_path, "c.npy:input: no such file", rates=[tmp_path / "c.npy:input"]
    )


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_ids_without_sign(kind, tmp_path):
    path = table(
        tmp_path,
        kind,
        {"source": np.array([2, 0], np.uint64), "target": np.array([0, 1], np.uint64)},
    )
    with import_graph(path, tmp_path / "in_graph.h5").graph as graph:
        assert [column.tolist() for column in all_edges(graph)[:2]] == [[0, 2], [1, 0]]


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("shape", [(40, 40), (30, 50)])
def test_a_matrix_of_scipy(form, shape, tmp_path):
    matrix = scipy.sparse.random(*shape, 0.1, form, np.float64, random_state=3)
    scipy.sparse.save_npz(tmp_path / "m.npz", matrix)
    with import_graph(tmp_path / "m.npz", tmp_path / "in_graph.h5").graph as graph:
        (projection,) = graph.projections
        assert (projection.to_scipy() != matrix.astype(np.float32)).nnz == 0
        assert [p.size for p in graph.populations] == sorted(
            {*shape} if shape[0] == shape[1] else shape
        )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_names_are_numbered_in_natural_order(kind, tmp_path):
    rng = np.random.default_rng(2)
    names = np.array([f"cell {k}, of Ü" for k in range(3000)], object)
    source, target = names[rng.integers(0, 3000, (2, 9000))]
    path = table(tmp_path, kind, {"source": source, "target": target})
    present = set(np.concatenate([source, target]))
    ids = {name: k for k, name in enumerate(name for name in names if name in present)}
    found_graph = import_graph(path, tmp_path / "in_graph.h5")
    with found_graph.graph as graph:
        expected_edges = sorted({(ids[s], ids[t]) for s, t in zip(source, target)})
        assert (
            list(zip(*(column.tolist() for column in all_edges(graph)[:2])))
            == expected_edges
        )
        assert len(graph.inputs) == 0
    merge_note = f"9,000 edges are {len(expected_edges):,} synapses: the weights of parallel edges are summed"
    assert found_graph.notes == (
        "without a column weight, every weight is 1",
        merge_note,
    )
    rates = rates_file(
        tmp_path / "r.csv",
        "neuron,spikes\n" + "".join(f'"{name}",{3 * k}\n' for name, k in ids.items()),
    )
    with import_graph(path, tmp_path / "in_graph.h5", rates=rates).graph as graph:
        np.testing.assert_array_equal(
            graph.populations[0].spike_count, 3 * np.arange(len(ids))
        )


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_groups_are_populations(kind, tmp_path):
    """Indices keep their places; other names are in natural order; files of spikes name groups and neurons."""
    rows = [
        ("input", "(0, 1)", "b", "x"),
        ("b", "y", "b", "x"),
        ("input", "(2, 0)", "c", "5"),
        ("b", "z", "c", "1"),
    ]
    path = table(
        tmp_path,
        kind,
        dict(
            zip(
                ("source_group", "source", "target_group", "target"),
                map(list, zip(*rows)),
            )
        ),
    )
    with import_graph(path, tmp_path / "in_graph.h5").graph as graph:
        assert [(p.name, p.shape) for p in graph.populations] == [
            ("input", (3, 2)),
            ("b", (3,)),
            ("c", (6,)),
        ]
        assert [p.name for p in graph.inputs] == ["input"]
        edges = set(zip(*(column.tolist() for column in all_edges(graph)[:2])))
        assert edges == {(1, 6), (7, 6), (4, 9 + 5), (8, 9 + 1)}
    rates = rates_file(tmp_path / "r.csv", "id,spikes\n0,1\n")
    with pytest.raises(
        InputError,
        match=r"has no neuron '0'; its neurons have names such as 'input,\(0, 0\)'",
    ):
        import_graph(path, tmp_path / "in_graph.h5", rates=rates)


@pytest.mark.parametrize(
    ("text", "edges"),
    [  # as numpy.savetxt writes ids; spaces around names
        (
            "source,target,weight\n2.0e+00,0.0e+00,0.5\n1.,2.,0.25\n0.0,1.0,1\n",
            [(0, 1, 1), (1, 2, 0.25), (2, 0, 0.5)],
        ),
        (
            'source, target, weight\na, b, 1\nb, c, 2\n"a" , c, 4\n',
            [(0, 1, 1), (0, 2, 4), (1, 2, 2)],
        ),
    ],
)
def test_ids_as_floats_and_spaces_around_names(text, edges, tmp_path):
    (tmp_path / "edges.csv").write_text(text)
    with import_graph(tmp_path / "edges.csv", tmp_path / "in_graph.h5").graph as graph:
        assert list(zip(*(column.tolist() for column in all_edges(graph)[:3]))) == edges


def test_numbers_of_a_csv_are_those_of_python(tmp_path):
    texts = "0 -0.0 1 +3 1e3 1E-3 .5 5. 0.1 3.4028235e38 1.1754944e-38 1e-45 -7e-46 123456789012345678901234567890"
    texts += " 0.000000000000000000000000000000000012345678901234567890 0.30000001192092896 9.999999999999999999e22"
    texts = [
        *texts.split(),
        *map(
            repr, np.random.default_rng(0).normal(size=500).astype(np.float32).tolist()
        ),
    ]
    (tmp_path / "n.csv").write_text(
        "weight;source;target\r\n"
        + "".join(f" {t} ;{k};0\r\n" for k, t in enumerate(texts))
    )
    with import_graph(tmp_path / "n.csv", tmp_path / "in_graph.h5").graph as graph:
        np.testing.assert_array_equal(
            all_edges(graph)[2], np.array([float(text) for text in texts], np.float32)
        )


BAD_CSV = {
    "0,1\n1,2\n": "line 1: has no column source; name the columns",
    "": "line 1: has no column source",
    "source,weight\n0,1\n": "line 1: has no column target",
    "source,target,source_group\n0,1,a\n": "line 1: has a group column for only one end",
    "source,target\n0,1\n2,\0\n": "not text",
    "source,target\n0,1\n2\n": "line 3: has 1 fields, the header has 2",
    "source,target\n0,1\n2,3,4\n": "line 3: has 3 fields, the header has 2",
    "source,target\n0,1\n2,-3\n": "line 3: target -3; the neurons are 0 to 2,147,483,646",
    "source,target\n0,1\n2,1.5\n": "line 3: target 1.5 is not an id from 0",
    "source,target\n0,1\n2,b\n": "line 3: target 'b' is not an id from 0; give ids in all lines",
    "source,target\na,b\n,c\n": "a neuron has no name",
    "source,target\n0,12345678901234567890123\n": "line 2: target 1.23457e+22 is too large; the neurons are 0",
    "source,target,rate\n0,1,1\n1,0,1e30\n": "neuron 1 has 1.0000000150474662e+30 spikes; "
    "give finite non-negative numbers, at most 2^53",
    "source,target\n0,2000000000\n": "the largest of its ids is 2,000,000,000, but it has only 1 edges",
    "source,target,weight\n0,1,1\n0,2,x\n": "line 3: could not convert string 'x'",
    "source,target,weight\n0,1,1e39\n": "the edge from neuron 0 to 1 has the weight inf",
    "source,target,weight\n0,1,3e38\n0,1,3e38\n": "the weights of the edges from neuron 0 to 1 have a sum that float32",
    "source,target,weight\n0,1,\n": "line 2: could not convert string ''",
    "source,target,rate\n0,1,1\n0,2,2\n": ", but its source has another one in another row",
    "source,target,rate\n0,1,\n0,2,2\n": "some rates are empty; give all of them, or none",
    "source,target,rate\n0,1,-1\n": "line 2: rate -1.0; give finite numbers that are not negative",
    "source,target,source\n0,1,1\n": "line 1: has the column source twice; give it once",
    "source\ttarget\n0\t1\n\n\t\n": "line 4: source '' is not an id from 0",
    "source,target\n0,1\n1_0,1\n": "conversion error to double: invalid value '1_0'",
    'source,target\na,b\n"c,d\n': "line 3: has 1 fields, the header has 2",
    "source,target\n": "the graph has no neurons",
}


@pytest.mark.parametrize("cut", [1, 8, 30_000])
def test_a_compressed_file_that_is_cut_is_refused(cut, tmp_path):
    """Also beyond the first lines, which are read apart."""
    numbers = np.random.default_rng(0).integers(0, 1000, (20_000, 2)).tolist()
    text = "source,target\n" + "".join(
        f"{source},{target}\n" for source, target in numbers
    )
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode())[:-cut])
    assert_refused(tmp_path / "t.csv.gz", "not a complete gzip file")


@pytest.mark.parametrize("content", list(BAD_CSV))
def test_csv_that_is_refused(content, tmp_path):
    (tmp_path / "t.csv").write_text(content)
    assert_refused(tmp_path / "t.csv", BAD_CSV[content])


def csr(**arrays):
    matrix = {
        "indices": [1, 0],
        "indptr": [0, 1, 2],
        "data": [1.0, 2.0],
        "shape": [2, 2],
        "format": b"csr",
    }
    return {**matrix, **arrays}


BAD_NPZ = [
    ({"source": [0]}, "has no column target"),
    ({"source": [0, 1], "target": [0]}, "its arrays have different lengths"),
    ({"source": [0.5], "target": [0]}, "source is of type float64, not integers"),
    ({"source": [0, -1], "target": [0, 1]}, "edge 1: source -1; the neurons are 0 to"),
    (
        {"source": [0], "target": [1], "weight": [np.inf]},
        "the edge from neuron 0 to 1 has the weight inf",
    ),
    ({"source": [[0]], "target": [1]}, "or several axes"),
    ({"source": np.array([{}]), "target": [1]}, "not a complete npz file"),
    (csr(indptr=[0, 2, 1]), "not a sparse matrix of scipy"),
    (csr(indices=[1, 2]), "not a sparse matrix of scipy"),
    (csr(shape=[2]), "not a sparse matrix of scipy"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD_NPZ)
def test_npz_that_is_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "t.npz", **arrays)
    assert_refused(tmp_path / "t.npz", message)


BAD_PARQUET = [
    ({"from": [0], "to": [1]}, "has no column source"),
    ({"source": [0, 1], "target": [1, None]}, "row 1: target is null"),
    ({"source": [0, -1], "target": [0, 1]}, "row 1: source -1; the neurons are 0 to"),
    (
        {"source": [0.0, 1.0], "target": [1, 0]},
        "source is of type float64, not integers",
    ),
    (
        {"source": [0], "target": [1], "weight": [float("nan")]},
        "the edge from neuron 0 to 1 has the weight nan",
    ),
]


@pytest.mark.parametrize(("columns", "message"), BAD_PARQUET)
def test_parquet_that_is_refused(columns, message, tmp_path):
    pyarrow.parquet.write_table(pyarrow.table(columns), str(tmp_path / "t.parquet"))
    assert_refused(tmp_path / "t.parquet", message)


@pytest.mark.parametrize("name", ["t.npz", "t.parquet", "t.csv.gz", "t.csv"])
def test_files_of_other_bytes_are_refused(name, tmp_path):
    (tmp_path / name).write_bytes(b"\xff\x8b" * 100)
    assert_refused(tmp_path / name, "not text" if name == "t.csv" else "not a complete")


@pytest.mark.parametrize("name", ["graph", "residual_graph", "pruned_graph"])
@pytest.mark.parametrize(
    "target", ["csv", "csv.gz", "npz", "parquet", "parts", "sonata"]
)
def test_an_export_that_is_read_again_maps_the_same(request, tmp_path, name, target):
    original = request.getfixturevalue(name)
    format = "csv" if "csv" in target else target
    path = tmp_path / {"sonata": "net"}.get(target, f"net.{target}")
    options = ExportOptions(
        rate_unit="hz" if "rate_unit" in FORMATS[format].own_options else "step"
    )
    export(original, format, path, Request(options), origin=ORIGIN)
    again, notes = import_anew(path, tmp_path / "again")
    edges = all_edges(
        original.with_pool_weight("mean") if FORMATS[format].simulates else original
    )
    with again:
        assert costs_of(again, tmp_path / "partition") == costs_of(
            original, tmp_path / "partition"
        )
        for edge, other_edge in zip(all_edges(again), edges):
            np.testing.assert_array_equal(edge, other_edge)
        for edge, other_edge in zip(again.populations, original.populations):
            assert (edge.name, edge.layer, edge.shape, edge.coding) == (
                other_edge.name,
                other_edge.layer,
                other_edge.shape,
                other_edge.coding,
            )
            np.testing.assert_array_equal(edge.spike_count, other_edge.spike_count)
            np.testing.assert_array_equal(edge.bias, other_edge.bias)
        assert again.recording == original.recording
    assert notes == (("delays are not read",) if format == "sonata" else ())


@pytest.mark.parametrize(
    "name", ["net.csv", "net.npz", "net.parquet", "net.parts", "net.sonata"]
)
@pytest.mark.parametrize("original", ["weights_graph", "graph"])
def test_each_neuron_counts_as_one_spike_of_one_step_where_none_are_known(
    request, tmp_path, name, original
):
    format, original = name[4:], request.getfixturevalue(original)
    export(original, format, tmp_path / name, origin=ORIGIN)
    again, _ = import_anew(tmp_path / name, tmp_path / "again")
    with again:
        expected_edges = all_edges(
            original.with_pool_weight("mean") if FORMATS[format].simulates else original
        )
        np.testing.assert_array_equal(all_edges(again)[2], expected_edges[2])
        is_assumed = original.recording is None
        assert (again.assumed_spikes, again.recording.steps == 1) == (
            is_assumed,
            is_assumed,
        )


@pytest.mark.parametrize(
    "name",
    [
        "net.csv",
        "net.npz",
        "net.parquet",
        "net.sonata",
        "net.snn",
        "net.axh",
        "net.hgr",
    ],
)
def test_spikes_that_are_assumed_are_assumed_after_an_export_too(
    weights_graph, tmp_path, name
):
    format = {"net.hgr": "hmetis"}.get(name, name[4:])
    export(weights_graph, "csv", tmp_path / "weights.csv")
    assumed_graph, _ = import_anew(tmp_path / "weights.csv", tmp_path / "first")
    with assumed_graph:
        options = ExportOptions(with_input=FORMATS[format].partial)
        export(assumed_graph, format, tmp_path / name, Request(options), origin=ORIGIN)
        again, _ = import_anew(tmp_path / name, tmp_path / "again")
        with again:
            assert again.assumed_spikes
            for population, other_population in zip(
                again.populations, assumed_graph.populations
            ):
                np.testing.assert_array_equal(
                    population.spike_count, other_population.spike_count
                )


def _named_edges(graph):
    """The weight of each edge by the populations and indices of its ends."""
    names = names_of(graph)
    return {
        (names[s], names[t]): w
        for s, t, w in zip(*(column.tolist() for column in all_edges(graph)[:3]))
    }


@pytest.mark.parametrize("missing_file", ["json", "nodes.csv"])
def test_a_csv_without_its_description_or_its_nodes(
    residual_graph, tmp_path, missing_file
):
    """Populations, spikes of sources and edges are the same; the recording is that of the options."""
    unit = "step" if missing_file == "json" else "hz"
    export(
        residual_graph,
        "csv",
        tmp_path / "net.csv",
        Request(ExportOptions(rate_unit=unit)),
    )
    (tmp_path / f"net.csv.{missing_file}").unlink()
    recording = residual_graph.recording
    options = {"samples": recording.num_samples, "steps": recording.num_timesteps}
    again, notes = import_anew(tmp_path / "net.csv", tmp_path / "again", **options)
    with again:
        assert _named_edges(again) == _named_edges(residual_graph)
        other_populations = {
            population.name: population for population in residual_graph.populations
        }
        assert [one_population.name for one_population in again.populations] == [
            "input",
            *sorted(other_populations.keys() - {"input"}),
        ]
        for one_population in again.populations:
            other_population = other_populations[one_population.name]
            assert one_population.shape == other_population.shape
            if one_population.name != "out":  # whose neurons are no source of an edge
                np.testing.assert_array_equal(
                    one_population.spike_count, other_population.spike_count
                )
        assert len(again.inputs) == 1
    assert notes[0].startswith("without the description of an export")


@pytest.mark.parametrize("format", ["csv", "npz", "parquet"])
def test_what_is_not_read_of_a_graph_with_neuron_models_is_noted(
    graph_path, tmp_path, format
):
    shutil.copy(graph_path, tmp_path / "net_graph.h5")
    with h5py.File(str(tmp_path / "net_graph.h5"), "r+") as file:
        group = file.create_group("populations/0002/neuron")
        group["threshold"] = 1.5
        group["leak"] = 0.9
        group.attrs["spikes"] = True
        file["connections/0002"].attrs["delay"] = 1
        file["delays"] = np.array([0, 1, 0, 0, 0])
    seal(tmp_path / "net_graph.h5")
    rates = rates_file(tmp_path / "r.npy", np.arange(168))
    original = import_graph(
        tmp_path / "net_graph.h5", tmp_path / "in_graph.h5", rates=rates
    ).graph
    with original:
        export(original, format, tmp_path / f"net.{format}")
        again, notes = import_anew(tmp_path / f"net.{format}", tmp_path / "again")
        with again:
            for edge, other_edge in zip(all_edges(again), all_edges(original)):
                np.testing.assert_array_equal(edge, other_edge)
    assert [note[:11] for note in notes] == ["the numbers", "delays are "]


@pytest.mark.parametrize("name", ["net.csv", "sonata"])
def test_integers_whose_thresholds_are_not_read_are_noted(pruned_graph, tmp_path, name):
    format, path = {"net.csv": "csv"}.get(name, name), tmp_path / name
    export(
        pruned_graph, format, path, Request(ExportOptions(integers=True)), origin=ORIGIN
    )
    _, notes = import_anew(path, tmp_path / "again")
    assert "weights and biases are integers, whose thresholds are not read" in notes


@pytest.mark.parametrize("format", ["csv", "npz", "parquet", "sonata"])
def test_windows_and_initial_potentials_are_read_again(graph_path, tmp_path, format):
    shutil.copy(graph_path, tmp_path / "net_graph.h5")
    with h5py.File(str(tmp_path / "net_graph.h5"), "r+") as file:
        group = file["populations/0002"]
        group.attrs["window"] = np.array([4, 20])
        group["initial_potential"] = np.array([0.5, 0.1], np.float32)
    seal(tmp_path / "net_graph.h5")
    with SynapseGraph.open(tmp_path / "net_graph.h5") as original:
        export(original, format, tmp_path / f"net.{format}")
        again, _ = import_anew(tmp_path / f"net.{format}", tmp_path / "again")
        with again:
            assert again.populations[2].window == (4, 20)
            np.testing.assert_array_equal(
                again.populations[2].initial_potential, np.array([0.5, 0.1], np.float32)
            )
            if format == "sonata":  # NEST starts neurons as the file of nodes states
                with h5py.File(str(tmp_path / "net.sonata/nodes.h5"), "r") as file:
                    starts = file["nodes/snn/0/dynamics_params/V_m"][()]
                expected_windows = [
                    np.resize(p.initial_potential if p.window else 0, p.size)
                    for p in again.layers
                ]
                np.testing.assert_array_equal(starts, np.concatenate(expected_windows))
            assert costs_of(again, tmp_path / "partition") == costs_of(
                original, tmp_path / "partition"
            )


def replace_text(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


BAD_EXPORTS = [
    (
        "csv",
        "net.csv.nodes.csv",
        replace_text("\n7,", "\n8,"),
        "its ids are not 0, 1, 2",
    ),
    (
        "csv",
        "net.csv.nodes.csv",
        replace_text(",spikes,", ",spikes,many"),
        "not the table of nodes of an export (could not convert",
    ),
    (
        "csv",
        "net.csv.nodes.csv",
        replace_text("input,", "output,"),
        "its neurons differ from the description",
    ),
    (
        "csv",
        "net.csv.json",
        replace_text("7,", "8,"),
        "its neurons differ from the description",
    ),
    (
        "csv",
        "net.csv.json",
        replace_text("{", "["),
        "not the description of an export of snnb",
    ),
    (
        "sonata",
        "description.json",
        replace_text("{", "["),
        "not the description of an export of snnb",
    ),
    (
        "hmetis",
        "net.hgr.json",
        replace_text("{", "["),
        "not the description of an export of snnb",
    ),
    (
        "npz",
        "description.json",
        replace_text(" 7,", " 8,"),
        "its neurons differ from the description",
    ),
    (
        "npz",
        "0001_input__02Conv2D_4x3x2.npz",
        Path.unlink,
        "has no matrix 0001_*.npz, the synapses from input to 02Conv2D",
    ),
    (
        "npz",
        "0001_input__02Conv2D_4x3x2.npz",
        lambda path: np.savez(path, **csr()),
        "a matrix of shape (2, 2), not",
    ),
    ("npz", "description.json", Path.unlink, "no such file"),
    ("parquet", "edges.parquet", Path.unlink, "has no file of edges"),
    (
        "parquet",
        "nodes.parquet",
        lambda path: path.write_bytes(b"PAR1"),
        "not a complete Parquet file",
    ),
    (
        "parquet",
        "nodes.parquet",
        lambda path: path.write_bytes(
            path.read_bytes().replace(b"02Conv", b"02\xc9onv")
        ),
        "utf-8",
    ),
]


@pytest.mark.parametrize(("format", "name", "alter", "message"), BAD_EXPORTS)
def test_exports_that_are_refused(format, name, alter, message, graph, tmp_path):
    target = {"hmetis": "net.hgr"}.get(format, f"net.{format}")
    export(graph, format, tmp_path / target, origin=ORIGIN)
    (altered_path,) = tmp_path.rglob(name)
    alter(altered_path)
    assert_refused(tmp_path / target, message)
