"""Properties of formats: targets, text, indices, spikes, scales, limits; test_export_readers.py compares synapses."""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import libsonata
import networkx
import numpy as np
import pandas
import pyarrow.parquet
import pytest
import sanafe as sanafe_simulator
import scipy.sparse
import yaml
from bmtk.utils.sonata.file import File

from snnb.core.errors import InputError, ResourceError, UsageError
from snnb.core.machine import Memory
from snnb.core.options import validated
from snnb.formats.all import FORMATS
from snnb.formats.export_options import ExportOptions
from snnb.formats.parts import _open, _Shared
from snnb.formats.request import Request
from snnb.formats.sonata import EdgePopulation, NodePopulation, write_edge_population
from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from snnb.graph.listed import ListedGraph, ListedPopulation, write_listed
from snnb.io.files import sha256_of
from snnb.network.read_network import read_network
from snnb.network.spike_counts import Recording
from tests.crosscheck.sanafe_file import load
from tests.formats.sonata import assert_indexed_as_by_libsonata
from tests.graph.edges import all_edges
from tests.graph.listed_graphs import random_graph
from tests.graph.networks import LAYERS, graph_of_model, save
from tests.graph.recorded import keras


@pytest.mark.parametrize(
    "format", sorted(name for name, one in FORMATS.items() if not one.needs_mapping)
)
def test_an_existing_target_is_kept_unless_forced(graph, tmp_path, spike_times, format):
    target = tmp_path / "out"
    target.write_text("precious")
    with pytest.raises(UsageError, match=r"out exists.*--force"):
        export(graph, format, target, Request(spike_times=spike_times))
    assert target.read_text() == "precious"
    messages = []
    export(
        graph,
        format,
        target,
        Request(spike_times=spike_times, progress=lambda *seen: messages.append(seen)),
        force=True,
    )
    assert messages[-1][0] == messages[-1][1] > 0
    first_paths = sorted(target.rglob("*"))
    export(graph, format, target, Request(spike_times=spike_times), force=True)
    assert {path.name for path in tmp_path.iterdir()} <= {
        "out",
        "out.json",
        "out.nodes.csv",
    }
    assert sorted(target.rglob("*")) == first_paths


def test_a_target_without_a_name(graph):
    with pytest.raises(UsageError, match="is not a file name"):
        export(graph, "csv", Path())


def test_names_that_are_no_names_of_files(tmp_path):
    """Keras takes `/` in a name."""
    source = LAYERS.Input((3,), name="input")
    first_layer = LAYERS.Dense(2, name="block/../../first")(source)
    parsed_path = save(
        keras.Model(source, LAYERS.Dense(2, name="s" * 150)(first_layer)),
        tmp_path / "net_parsed.h5",
    )
    (tmp_path / "inner").mkdir()
    path = tmp_path / "net_graph.h5"
    with build_graph(read_network(parsed_path), path=path) as graph:
        for format in ("npz", "pynn", "sonata"):
            export(graph, format, tmp_path / "inner" / format)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "inner",
        "net_graph.h5",
        "net_parsed.h5",
    ]
    names = {path.name for path in (tmp_path / "inner" / "npz").iterdir()}
    assert "0000_input__block_.._.._first.npz" in names
    assert f"0001_block_.._.._first__{'s' * 80}.npz" in names


def test_csv_compressed_is_the_same_table(graph, tmp_path):
    export(graph, "csv", tmp_path / "net.csv")
    export(graph, "csv", tmp_path / "net.csv.gz")
    with gzip.open(str(tmp_path / "net.csv.gz")) as file:
        assert file.read() == (tmp_path / "net.csv").read_bytes()
    columns = [
        "source_group",
        "source_neuron",
        "dest_group",
        "dest_neuron",
        "weight",
        "rate",
        "edge",
    ]
    assert pandas.read_csv(tmp_path / "net.csv.gz").columns.tolist() == columns


IN_ASCII = """
import sys
from pathlib import Path
from snnb.formats.write_export import export
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.read_network import read_network
from snnb.network.spike_counts import Recording

assert sys.getfilesystemencoding() == "ascii"
graph, target = map(Path, sys.argv[1:3])
for format in sys.argv[3:]:
    export(SynapseGraph.open(graph), format, target / format)
"""


def test_text_is_utf_8_in_any_locale(tmp_path):
    path, formats = (
        tmp_path / "net_graph.h5",
        ("csv", "sonata", "parts", "pynn", "graphml"),
    )
    populations = [
        ListedPopulation(name, (2,), coding="spikes", spikes=np.ones(2))
        for name in ("entrée", "région")
    ]
    edges = np.array([0, 1, 2]), np.array([2, 3, 3]), np.array([0.5, -1.0, 1.0])
    graph = write_listed(
        ListedGraph(populations, [edges], inputs=1),
        path,
        Recording(1, 10, 0, 1.0),
        "0" * 64,
    )
    for name in ("ascii", "utf-8"):
        (tmp_path / name).mkdir()
    for format in formats:
        export(graph, format, tmp_path / "utf-8" / format)
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [
        sys.executable,
        "-c",
        IN_ASCII,
        str(path),
        str(tmp_path / "ascii"),
        *formats,
    ]
    subprocess.run(command, env={**os.environ, **locale}, check=True)
    written, expected_files = (
        {
            str(file.relative_to(folder)): file.read_bytes()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        for folder in (tmp_path / "ascii", tmp_path / "utf-8")
    )
    assert list(written) == list(expected_files)
    assert [name for name in written if written[name] != expected_files[name]] == []
    assert sum("région".encode() in content for content in written.values()) >= len(
        formats
    )


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_64_bit_ids_give_the_same(graph, tmp_path, monkeypatch, format):
    """With a limit of 0 every id is too large for 32 bits."""
    export(graph, format, tmp_path / "narrow")
    monkeypatch.setattr("snnb.graph.connection.INT32_LIMIT", 0)
    export(graph, format, tmp_path / "wide")
    if format == "npz":
        paths = [
            str(next((tmp_path / name).glob("0003*"))) for name in ("narrow", "wide")
        ]
        with np.load(paths[1]) as file:  # scipy itself narrows what fits
            assert file["indices"].dtype == file["indptr"].dtype == np.int64
        narrow_files, wide_files = map(scipy.sparse.load_npz, paths)
        assert (narrow_files != wide_files).nnz == 0
    else:
        narrow_files, wide_files = (
            pyarrow.parquet.read_table(tmp_path / name / "edges.parquet")
            for name in ("narrow", "wide")
        )
        assert str(wide_files["source"].type) == "int64"
        assert wide_files["target"].to_pylist() == narrow_files["target"].to_pylist()


def test_graphml_has_one_type_for_a_key(graph, tmp_path):
    """The spike count of an input that is a current is not an integer, the others' are."""
    export(graph, "graphml", tmp_path / "net.graphml")
    found_graph = networkx.read_graphml(str(tmp_path / "net.graphml"), node_type=int)
    assert {type(count) for _, count in found_graph.nodes(data="spike_count")} == {
        float
    }


def test_parts_are_the_rows_of_parquet(graph, tmp_path, monkeypatch):
    """In the order of the index; each part has the sources that the index says."""
    monkeypatch.setattr("snnb.formats.parts.PART", 150)
    monkeypatch.setattr("snnb.formats.parts.ROWS", 40)
    options = ExportOptions(rate_unit="sample")
    written = export(
        graph, "parts", tmp_path / "parts", Request(options.changed(workers=3))
    )
    export(graph, "parquet", tmp_path / "parquet", Request(options))
    assert written.edges == graph.number_of_edges()
    expected_rows = pyarrow.parquet.read_table(tmp_path / "parquet" / "edges.parquet")
    index = pandas.read_csv(tmp_path / "parts" / "index.csv")
    tables = [
        pyarrow.parquet.read_table(tmp_path / "parts" / name) for name in index["file"]
    ]
    assert len(tables) > len(graph.projections)
    assert pyarrow.concat_tables(tables).equals(expected_rows)
    assert tables[0].schema.metadata == expected_rows.schema.metadata
    assert expected_rows.schema.metadata[b"rate_unit"] == b"spikes per sample"
    for table, row in zip(tables, index.itertuples()):
        source = table["source"].to_numpy()
        assert (row.edges, row.edges <= 150) == (len(source), True)
        assert row.first_source_id <= source.min() <= source.max() <= row.last_source_id
    nodes = [
        pyarrow.parquet.read_table(tmp_path / folder / "nodes.parquet")
        for folder in ("parts", "parquet")
    ]
    assert nodes[0].equals(nodes[1])


def test_a_part_that_fails_stops_the_others(graph, tmp_path, monkeypatch):
    """The error of the thread is the error of the export, and nothing stays."""
    from snnb.formats import parts

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts, "write_edges", fail)
    with pytest.raises(ResourceError, match="the disk is full"):
        export(graph, "parts", tmp_path / "parts")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_parts_from_a_cluster_are_the_same_files(graph, tmp_path, dask_workers):
    options = ExportOptions(scheduler=dask_workers.cluster.scheduler_address)
    there_export = export(graph, "parts", tmp_path / "there", Request(options))
    here_export = export(graph, "parts", tmp_path / "here")
    assert (there_export.edges, there_export.size_bytes) == (
        here_export.edges,
        here_export.size_bytes,
    )
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == names
    for name in names:
        assert (tmp_path / "there" / name).read_bytes() == (
            tmp_path / "here" / name
        ).read_bytes(), name


def test_a_worker_that_does_not_see_the_files(graph, tmp_path):
    seen = _Shared(graph.path, sha256_of(graph.path), tmp_path, Request())
    with pytest.raises(
        InputError,
        match=r"cannot access .*; give --output in a directory that all workers share",
    ):
        _open(replace(seen, folder=tmp_path / "elsewhere"), 1)
    for other_folder in (
        replace(seen, graph=tmp_path / "elsewhere"),
        replace(seen, digest="0" * 64),
    ):
        with pytest.raises(
            InputError,
            match=f"cannot access {other_folder.graph}; put the run into a directory that all",
        ):
            _open(other_folder, 1)
    assert _open(seen, 1)[1].number_of_edges() == graph.number_of_edges()


def test_a_worker_writes_integers_where_they_are_asked_for(pruned_graph, tmp_path):
    request = Request(ExportOptions(integers=True))
    _, place, _ = _open(
        _Shared(pruned_graph.path, sha256_of(pruned_graph.path), tmp_path, request), 1
    )
    np.testing.assert_array_equal(
        all_edges(place)[2], all_edges(pruned_graph.with_integers())[2]
    )


REFUSED = [
    (
        "csv",
        {"scheduler": "tcp://127.0.0.1:1"},
        None,
        UsageError,
        "--scheduler applies to --format parts, not to csv",
    ),
    (
        "parquet",
        {"workers": 2},
        None,
        UsageError,
        "--workers applies to --format parts, not to parquet",
    ),
    (
        "hmetis",
        {"idx64": True},
        None,
        UsageError,
        "--idx64 applies to --format metis, not to hmetis",
    ),
    (
        "pynn",
        {"rate_unit": "hz"},
        None,
        UsageError,
        "--rate-unit applies to --format networkx, csv, .*, not to pynn",
    ),
    (
        "hmetis",
        {"exact": True},
        None,
        UsageError,
        "--exact applies to --format csv, spinemap, pynn, not to hmetis",
    ),
    (
        "csv",
        {"with_input": True},
        None,
        UsageError,
        "--with-input applies to --format spinemap, metis, .*, not to csv",
    ),
    (
        "snn",
        {"scale": 3.0},
        None,
        UsageError,
        "--scale applies to --format noxim, metis, hmetis, not to snn",
    ),
    (
        "networkx",
        {},
        ("networkx.memory", lambda: Memory(1 << 34, 1000)),
        ResourceError,
        "use npz, parquet or csv",
    ),
    ("graphml", {}, ("networkx.NETWORKX_LIMIT", 10), ResourceError, "GraphML programs"),
    ("sanafe", {}, ("sanafe.LIMIT", 100), ResourceError, "SANA-FE .*smaller network"),
    ("metis", {}, ("metis.LARGEST", 10), UsageError, "--idx64"),
    ("metis", {}, ("metis.LARGEST_SUM", 10), UsageError, "too large for this format"),
    (
        "hmetis",
        {"scale": 1.0},
        ("metis.LARGEST_SUM", 700),
        UsageError,
        "smaller --scale",
    ),
]


@pytest.mark.parametrize(("format", "options", "limit", "error", "words"), REFUSED)
def test_refused_before_anything_is_written(
    graph, tmp_path, monkeypatch, format, options, limit, error, words
):
    if limit is not None:
        monkeypatch.setattr(f"snnb.formats.{limit[0]}", limit[1])
    with pytest.raises(error, match=words) as error_info:
        export(graph, format, tmp_path / "net", Request(ExportOptions(**options)))
    assert "\n" not in str(error_info.value)
    assert not list(tmp_path.iterdir())


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


@pytest.fixture(scope="module")
def sonata(graph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sonata") / "net"
    export(graph, "sonata", folder)
    return folder


def test_the_indices_are_those_that_libsonata_writes(graph, sonata, tmp_path):
    assert_indexed_as_by_libsonata(
        sonata / "edges.h5", 84, graph.number_of_nodes() - 84, tmp_path
    )


def test_indices_of_neurons_that_stand_alone(tmp_path):
    """One neuron a population: its edges in two projections have consecutive ids, and are one range."""
    keras.backend.clear_session()
    source = LAYERS.Input((1,), name="input")
    branches = [
        LAYERS.Dense(units, name=name)(source)
        for name, units in (("one", 1), ("other", 2))
    ]
    network = keras.Model(
        source, LAYERS.Dense(1, name="both")(LAYERS.Concatenate()(branches))
    )
    with graph_of_model(network, tmp_path) as graph:
        export(graph, "sonata", tmp_path / "net")
        assert_indexed_as_by_libsonata(
            tmp_path / "net" / "edges.h5", 1, graph.number_of_nodes() - 1, tmp_path
        )
    with h5py.File(str(tmp_path / "net" / "edges.h5"), "r") as file:
        ranges = [
            file[f"edges/{name}/indices/source_to_target/range_to_edge_id"]
            for name in ("input_snn", "snn_snn")
        ]
        assert [values[()].tolist() for values in ranges] == [
            [[0, 3]],
            [[0, 1], [1, 2], [2, 3]],
        ]
        assert "rate" not in file["edges/snn_snn/0"]


def test_a_network_of_one_layer_has_edges_from_the_input_only(tmp_path):
    keras.backend.clear_session()
    source = LAYERS.Input((3,), name="input")
    network = keras.Model(source, LAYERS.Dense(2, name="out")(source))
    with graph_of_model(network, tmp_path) as graph:
        export(graph, "sonata", tmp_path / "net")
    config = libsonata.CircuitConfig.from_file(
        str(tmp_path / "net" / "circuit_config.json")
    )
    assert config.edge_populations == {"input_snn"}
    assert config.edge_population("input_snn").size == 6


def test_sonata_numbers_more_projections_than_16_bits(tmp_path):
    """As for 257 populations, each connected to all."""
    graph, _ = random_graph(tmp_path / "net_graph.h5", 1, inputs=0)
    request, numbers = Request(), [0, 65_535, 65_536, 70_000]
    nodes = NodePopulation("snn", graph.populations)
    edges = EdgePopulation(nodes, nodes, dict(zip(numbers, graph.projections)))
    with h5py.File(str(tmp_path / "edges.h5"), "w") as file:
        group = file.create_group("edges/snn_snn")
        write_edge_population(group, edges, graph, request, request.counter(1))
        expected_types = np.repeat(
            numbers, [p.number_of_edges for p in edges.projections.values()]
        )
        assert group["edge_type_id"][()].tolist() == expected_types.tolist()


def test_bmtk_reads_the_same(graph, sonata):
    mean = graph.with_pool_weight("mean")
    sources, targets, weights, _ = all_edges(mean)
    names = {kind: [str(sonata / f"{kind}s.h5")] for kind in ("node", "edge")}
    file = File(
        [*names["node"], *names["edge"]],
        [str(sonata / "node_types.csv"), str(sonata / "edge_types.csv")],
    )
    node = file.nodes["snn"].get_node_id(130 - 84)
    assert node["pop_name"] == mean.nodes[130].population
    assert [node[f"index_{axis}"] for axis in range(3)] == list(mean.nodes[130].index)
    found_targets = [
        (e.source_node_id, e["syn_weight"], e["rule"])
        for e in file.edges["snn_snn"].get_target(150 - 84)
    ]
    expected_pairs = zip(
        (sources[targets == 150] - 84).tolist(), weights[targets == 150].tolist()
    )
    assert sorted(found_targets) == sorted(
        (s, w, "AveragePooling2D") for s, w in expected_pairs
    )
    assert {weight for _, weight, _ in found_targets} == {
        np.float32(1 / len(found_targets))
    }
    found_targets = [
        e.target_node_id for e in file.edges["snn_snn"].get_source(100 - 84)
    ]
    assert sorted(found_targets) == (targets[sources == 100] - 84).tolist()


def test_sonata_files_have_what_the_standard_asks_for(sonata):
    for kind in ("nodes", "edges"):
        with h5py.File(str(sonata / f"{kind}.h5"), "r") as file:
            assert file.attrs["magic"] == 0x0A7A
            assert file.attrs["version"].tolist() == [0, 1]
    with h5py.File(str(sonata / "edges.h5"), "r") as file:
        for name, source in (("input_snn", "input"), ("snn_snn", "snn")):
            group = file[f"edges/{name}"]
            assert group["source_node_id"].attrs["node_population"] == source
            assert set(group["edge_group_id"][()]) == {0}
            assert (
                group["edge_group_index"][()] == np.arange(group["source_node_id"].size)
            ).all()


@pytest.mark.parametrize("with_input", [False, True])
def test_spinemap_lists_the_spikes_of_each_neuron(
    graph, tmp_path, spike_times, with_input
):
    export(
        graph,
        "spinemap",
        tmp_path / "net",
        Request(ExportOptions(with_input=with_input), spike_times=spike_times),
    )
    found_counts = [
        [int(w) for w in line.split(" ")]
        for line in (tmp_path / "net" / "spike_info.txt").read_text().splitlines()
    ]
    expected_spikes, first_id = {}, 0 if with_input else 84
    with np.load(str(spike_times)) as file:
        for population in graph.populations[1:]:
            for sample, neuron, step in file[population.name].tolist():
                expected_spikes.setdefault(
                    population.first + neuron - first_id, []
                ).append(30 * sample + step)
    assert found_counts == [
        [neuron, *expected_spikes.get(neuron, [])] for neuron in range(168 - first_id)
    ]


def test_spinemap_needs_the_times_of_this_network(graph, tmp_path, spike_times):
    with pytest.raises(UsageError, match="--record-spikes"):
        export(graph, "spinemap", tmp_path / "net")
    with pytest.raises(UsageError, match="--record-spikes"):
        export(
            graph,
            "spinemap",
            tmp_path / "net",
            Request(spike_times=tmp_path / "none.npz"),
        )
    (tmp_path / "broken.npz").write_bytes(spike_times.read_bytes()[:100])
    with pytest.raises(InputError, match="not a complete npz file"):
        export(
            graph,
            "spinemap",
            tmp_path / "net",
            Request(spike_times=tmp_path / "broken.npz"),
        )
    with np.load(str(spike_times)) as file:
        times = dict(file)
    times["07Dense_4"] = np.array([[0, 4, 0]], np.int32)
    np.savez(tmp_path / "other.npz", **times)
    with pytest.raises(InputError, match="07Dense_4 do not fit"):
        export(
            graph,
            "spinemap",
            tmp_path / "net",
            Request(spike_times=tmp_path / "other.npz"),
        )
    assert not (tmp_path / "net").exists()


def test_weights_are_scaled_until_their_sum_fits(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("snnb.formats.metis.LARGEST_SUM", 700)
    export(graph, "hmetis", tmp_path / "net.hgr")
    comment, head, *lines = (tmp_path / "net.hgr").read_text().splitlines()
    total = sum(int(line.split()[0]) for line in lines[: int(head.split()[0])])
    assert 350 < total <= 700
    scale = float(comment.split("round(")[1].split(" x")[0])
    counts, sources = (
        np.concatenate([p.spike_count.ravel() for p in graph.layers]),
        np.unique(all_edges(graph)[0]),
    )
    assert total == sum(
        max(1, round(scale * count))
        for count in counts[sources[sources >= 84] - 84].tolist()
    )


@pytest.mark.parametrize(
    ("format", "batch"),
    [
        ("snn", "BATCH"),
        ("axh", "BATCH"),
        ("hmetis", "TEXT_BATCH"),
        ("metis", "TEXT_BATCH"),
        ("spinemap", "TEXT_BATCH"),
    ],
)
def test_small_batches_give_the_same_bytes(
    graph, tmp_path, monkeypatch, spike_times, format, batch
):
    export(graph, format, tmp_path / "one", Request(spike_times=spike_times))
    module = {"snn": "axoncuda", "axh": "axoncuda"}.get(format, format)
    monkeypatch.setattr(f"snnb.formats.{module}.{batch}", 7)
    export(graph, format, tmp_path / "two", Request(spike_times=spike_times))
    path, two = (tmp_path / name for name in ("one", "two"))
    for file in path.iterdir() if path.is_dir() else [path]:
        assert (
            two / file.name if path.is_dir() else two
        ).read_bytes() == file.read_bytes()


def test_metis_for_64_bit_indices(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("snnb.formats.metis.LARGEST", 10)
    assert (
        export(
            graph, "metis", tmp_path / "net.graph", Request(ExportOptions(idx64=True))
        ).edges
        > 10
    )


def test_biases_that_sanafe_reads(graph, tmp_path):
    export(graph, "sanafe", tmp_path / "net")
    _, network = load(tmp_path / "net", tmp_path)
    network.save(str(tmp_path / "back.yaml"))
    saved_document = yaml.safe_load((tmp_path / "back.yaml").read_text())
    assert len(saved_document["network"]["groups"]) == len(
        graph.populations
    )  # a network without skips has no relays
    for population, group in zip(
        graph.populations[1:], saved_document["network"]["groups"][1:]
    ):
        biases = np.zeros(population.size)
        for entry in group["neurons"]:
            for ids, attributes in entry.items():
                first_id, _, last = str(ids).partition("..")
                biases[int(first_id) : int(last or first_id) + 1] = attributes.get(
                    "bias", 0
                )
        np.testing.assert_array_equal(biases, population.bias.ravel().astype(float))


def test_more_neurons_than_a_core_holds(tmp_path):
    """SANA-FE ends with a segmentation fault if a core has more than 1024."""
    source = LAYERS.Input((30, 30, 2), name="input")
    out = LAYERS.Dense(2, name="out")(
        LAYERS.Flatten(name="flat")(LAYERS.Conv2D(2, 3, name="conv")(source))
    )
    model = keras.Model(source, out)
    with graph_of_model(model, tmp_path) as graph:
        export(graph, "sanafe", tmp_path / "net", origin={"stamp": "s", "sha256": "0"})
    architecture, network = load(tmp_path / "net", tmp_path)
    chip = sanafe_simulator.SpikingChip(architecture)
    chip.load(network)
    chip.sim(2, timing_model="simple")
    lines = [
        line.split("@0.")
        for line in (tmp_path / "net").read_text().splitlines()
        if line.startswith("&")
    ]
    assert np.bincount([int(core) for _, core in lines]).tolist() == [
        1024,
        1024,
        1024,
        298,
    ]  # 1800 + 1568 + 2
    assert json.loads((tmp_path / "net.json").read_text())["sanafe"]["cores"] == 4
