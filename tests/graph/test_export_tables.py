"""Tables and matrices, read back by the libraries that people read them with."""

import csv
import gzip
import sys
from dataclasses import replace

import networkx
import numpy as np
import pandas
import pyarrow.parquet
import pytest
import scipy.sparse

from snnb.core.errors import InputError, ResourceError, UsageError
from snnb.core.options import validated
from snnb.graph.export.export_options import ExportOptions
from snnb.graph.export.parts import _open, _Shared
from snnb.graph.export.request import Request
from snnb.graph.export.write_export import export
from snnb.io.files import sha256_of
from tests.graph.edges import all_edges, names_of


def csv_rows(graph, rate_scale=1.0):
    """What a row must hold, as text and numbers."""
    names = names_of(graph)
    rates = np.concatenate([p.edge_rate(rate_scale) for p in graph.populations])
    for source, target, weight, edge in zip(*all_edges(graph, rate_scale)):
        yield (*map(str, names[source]), *map(str, names[target]), weight, rates[source], edge)


@pytest.mark.parametrize("unit", ["step", "hz"])
def test_csv(graph, tmp_path, unit):
    export(graph, "csv", tmp_path / "net.csv", options=ExportOptions(rate_unit=unit))
    with (tmp_path / "net.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["source_group", "source_neuron", "dest_group", "dest_neuron", "weight", "rate", "edge"]
    assert rows[0][1] == "(0, 0, 0)"
    expected = list(csv_rows(graph, graph.recording.rate_scale(unit)))
    assert [(*row[:4], *map(np.float32, row[4:])) for row in rows] == expected


def test_csv_compressed_is_the_same_table(graph, tmp_path):
    export(graph, "csv", tmp_path / "net.csv")
    export(graph, "csv", tmp_path / "net.csv.gz")
    with gzip.open(str(tmp_path / "net.csv.gz")) as file:
        assert file.read() == (tmp_path / "net.csv").read_bytes()
    assert len(pandas.read_csv(tmp_path / "net.csv.gz")) == graph.number_of_edges()


def test_npz(graph, tmp_path):
    export(graph, "npz", tmp_path / "net")
    for number, projection in enumerate(graph.projections):
        path = tmp_path / "net" / f"{number:04d}_{projection.source.name}__{projection.target.name}.npz"
        matrix, expected = scipy.sparse.load_npz(str(path)), projection.to_scipy()
        matrix.check_format(full_check=True)
        assert matrix.shape == (projection.source.size, projection.target.size)
        assert matrix.has_sorted_indices
        assert (matrix != expected).nnz == 0
        assert matrix.nnz == expected.nnz
        with np.load(str(path)) as file:
            assert (file["edge"] == projection.to_scipy("edge").data).all()
    with np.load(str(tmp_path / "net" / "nodes.npz")) as nodes:
        for n in (0, 83, 100, 167):
            node = graph.nodes[n]
            assert nodes["population_names"][nodes["population"][n]] == node.population
            assert tuple(nodes["index"][n][nodes["index"][n] >= 0]) == node.index
            assert (nodes["rate"][n], nodes["spike_count"][n], nodes["bias"][n]) == (
                node.rate,
                node.spike_count,
                np.float32(node.bias),
            )


def test_parquet(graph, tmp_path):
    export(graph, "parquet", tmp_path / "net", options=ExportOptions(rate_unit="hz"))
    edges = pyarrow.parquet.read_table(tmp_path / "net" / "edges.parquet")
    for name, values in zip(("source", "target", "weight", "edge"), all_edges(graph, 1000.0)):
        assert (edges[name].to_numpy() == values).all()
    assert edges.schema.metadata[b"rate_unit"] == b"spikes per second"
    nodes = pyarrow.parquet.read_table(tmp_path / "net" / "nodes.parquet").to_pylist()
    assert nodes[100] == {
        "id": 100,
        "population": graph.nodes[100].population,
        **{f"index_{axis}": graph.nodes[100].index[axis] for axis in range(3)},
        "bias": graph.nodes[100].bias,
        "rate": graph.nodes[100].rate * 1000,
        "spike_count": graph.nodes[100].spike_count,
    }


def test_csv_without_spike_counts_has_no_rates(weights_graph, tmp_path):
    export(weights_graph, "csv", tmp_path / "net.csv")
    table = pandas.read_csv(tmp_path / "net.csv")
    assert table["rate"].isna().all()
    assert (table["edge"] == table["weight"]).all()


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_64_bit_ids_give_the_same(graph, tmp_path, monkeypatch, format):
    """With a limit of 0 every id is too large for 32 bits."""
    export(graph, format, tmp_path / "narrow")
    monkeypatch.setattr("snnb.graph.store.INT32_LIMIT", 0)
    export(graph, format, tmp_path / "wide")
    if format == "npz":
        paths = [str(next((tmp_path / name).glob("0003*"))) for name in ("narrow", "wide")]
        with np.load(paths[1]) as file:  # scipy itself narrows what fits
            assert file["indices"].dtype == file["indptr"].dtype == np.int64
        narrow, wide = map(scipy.sparse.load_npz, paths)
        assert (narrow != wide).nnz == 0
    else:
        narrow, wide = (pyarrow.parquet.read_table(tmp_path / name / "edges.parquet") for name in ("narrow", "wide"))
        assert str(wide["source"].type) == "int64"
        assert wide["target"].to_pylist() == narrow["target"].to_pylist()


def test_graphml_by_igraph(graph, tmp_path):
    """It takes one type a key: the spike count of an input that is a current is no whole number, the others' are."""
    import igraph

    assert graph.populations[0].coding == "current"
    export(graph, "graphml", tmp_path / "net.graphml")
    found = igraph.Graph.Read_GraphML(str(tmp_path / "net.graphml"))
    sources, targets, weights, edges = all_edges(graph)
    number = {int(node["id"]): node.index for node in found.vs}
    assert (found.vcount(), found.ecount()) == (len(graph.nodes), sources.size)
    for node in (0, 50, 100, 167):
        assert found.vs[number[node]]["spike_count"] == graph.nodes[node].spike_count
        assert found.vs[number[node]]["rate"] == graph.nodes[node].rate
        assert found.vs[number[node]]["population"] == graph.nodes[node].population
    edge = found.es[found.get_eid(number[sources[50]], number[targets[50]])]
    assert (edge["weight"], edge["edge"]) == (weights[50], edges[50])
    read = networkx.read_graphml(str(tmp_path / "net.graphml"), node_type=int)
    assert {type(count) for _, count in read.nodes(data="spike_count")} == {float}


def test_graphml_is_for_small_graphs(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("snnb.graph.export.graphml.NETWORKX_LIMIT", 10)
    with pytest.raises(ResourceError, match="more than programs for graphml hold"):
        export(graph, "graphml", tmp_path / "net.graphml")


@pytest.mark.parametrize("workers", [3])
def test_parts_are_the_rows_of_parquet(graph, tmp_path, monkeypatch, workers):
    """In the order of the index; each part has the sources that the index says."""
    monkeypatch.setattr("snnb.graph.export.parts.PART", 150)
    monkeypatch.setattr("snnb.graph.export.parts.ROWS", 40)
    options = ExportOptions(rate_unit="sample")
    written = export(graph, "parts", tmp_path / "parts", options=options.changed(workers=workers))
    export(graph, "parquet", tmp_path / "parquet", options=options)
    assert written.edges == graph.number_of_edges()
    expected = pyarrow.parquet.read_table(tmp_path / "parquet" / "edges.parquet")
    index = pandas.read_csv(tmp_path / "parts" / "index.csv")
    tables = [pyarrow.parquet.read_table(tmp_path / "parts" / name) for name in index["file"]]
    assert len(tables) > len(graph.projections)
    assert pyarrow.concat_tables(tables).equals(expected)
    assert tables[0].schema.metadata == expected.schema.metadata
    for table, row in zip(tables, index.itertuples()):
        source = table["source"].to_numpy()
        assert (row.edges, row.edges <= 150) == (len(source), True)
        assert row.first_source_id <= source.min() <= source.max() <= row.last_source_id
    nodes = [pyarrow.parquet.read_table(tmp_path / folder / "nodes.parquet") for folder in ("parts", "parquet")]
    assert nodes[0].equals(nodes[1])


def test_a_part_that_fails_stops_the_others(graph, tmp_path, monkeypatch):
    """The error of the thread is the error of the export, and nothing stays."""
    from snnb.graph.export import parts

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts, "_write_part", fail)
    with pytest.raises(ResourceError, match="the disk is full"):
        export(graph, "parts", tmp_path / "parts")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_parts_from_a_cluster_are_the_same_files(graph, tmp_path, dask_workers):
    options = ExportOptions(scheduler=dask_workers.cluster.scheduler_address)
    there = export(graph, "parts", tmp_path / "there", options=options)
    here = export(graph, "parts", tmp_path / "here")
    assert (there.edges, there.size_bytes) == (here.edges, here.size_bytes)
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == names
    for name in names:
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name


def test_a_worker_that_does_not_see_the_files(graph, tmp_path):
    seen = _Shared(graph.path, sha256_of(graph.path), tmp_path, Request())
    with pytest.raises(InputError, match=r"does not see .*; give --output in a directory that all workers share"):
        _open(replace(seen, folder=tmp_path / "elsewhere"), 1)
    for other in (replace(seen, graph=tmp_path / "elsewhere"), replace(seen, digest="0" * 64)):
        with pytest.raises(InputError, match=f"does not see {other.graph}; put the run into a directory that all"):
            _open(other, 1)
    assert _open(seen, 1).graph.number_of_edges() == graph.number_of_edges()


@pytest.mark.parametrize(
    ("format", "options", "message"),
    [
        ("csv", {"scheduler": "tcp://127.0.0.1:1"}, "--scheduler is for --format parts, not for csv; leave it out"),
        ("parquet", {"workers": 2}, "--workers is for --format parts, not for parquet; leave it out"),
        ("hmetis", {"idx64": True}, "--idx64 is for --format metis, not for hmetis; leave it out"),
        ("pynn", {"rate_unit": "hz"}, "--rate-unit is for --format networkx, csv, .*, not for pynn; leave it out"),
        ("snn", {"scale": 3.0}, "--scale is for --format metis, hmetis, not for snn; leave it out"),
    ],
)
def test_what_only_other_formats_can_do_is_refused(graph, tmp_path, format, options, message):
    with pytest.raises(UsageError, match=f"^{message}$"):
        export(graph, format, tmp_path / "x", options=ExportOptions(**options))
    assert list(tmp_path.glob("x*")) == []


def test_another_format_in_its_place_leaves_nothing_of_the_first(graph, tmp_path):
    """Neither a table of nodes that are numbered otherwise, nor a description."""
    (tmp_path / "net.nodes.csv.txt").write_text("somebody's")
    export(graph, "csv", tmp_path / "net")
    assert (tmp_path / "net.nodes.csv").exists()
    export(graph, "hmetis", tmp_path / "net", force=True)
    assert {path.name for path in tmp_path.iterdir()} == {"net", "net.nodes.csv.txt"}


def test_the_workers_are_either_threads_or_a_cluster_s():
    with pytest.raises(UsageError, match="not with --workers"):
        validated(ExportOptions, {"scheduler": "tcp://127.0.0.1:1", "workers": 2})


@pytest.mark.parametrize("format", ["parquet", "parts"])
def test_parquet_without_its_library(graph, tmp_path, monkeypatch, format):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="parquet needs pyarrow: "):
        export(graph, format, tmp_path / "net")


@pytest.mark.parametrize("format", ["csv", "npz", "parquet", "networkx", "graphml", "pynn", "sonata"])
def test_a_graph_of_weights_only_is_written_too(weights_graph, tmp_path, format):
    written = export(weights_graph, format, tmp_path / "out")
    assert written.edges == weights_graph.number_of_edges()
    assert written.size_bytes > 0
