"""The partitioners' files, read by NetworKit and Mt-KaHyPar."""

from csv import DictReader

import mtkahypar
import networkit
import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.graph.export.export_options import ExportOptions
from snnb.graph.export.write_export import export
from tests.graph.edges import all_edges


def numbers(path):
    """Lines of whole numbers, comments apart."""
    lines = path.read_text().splitlines()
    assert lines[0].startswith("%")
    return [[int(word) for word in line.split(" ") if word] for line in lines if not line.startswith("%")]


def kept_edges(graph, first):
    sources, targets, _, _ = all_edges(graph)
    counts = np.concatenate([p.spike_count.ravel() for p in graph.populations])
    counts[:84] = 0  # a constant current is no traffic
    return [(s - first, t - first, counts[s]) for s, t in zip(sources.tolist(), targets.tolist()) if s >= first]


@pytest.mark.parametrize("with_input", [False, True])
def test_metis_by_networkit(graph, tmp_path, with_input):
    done = export(graph, "metis", tmp_path / "net.graph", options=ExportOptions(with_input=with_input))
    found = networkit.readGraph(str(tmp_path / "net.graph"), networkit.Format.METIS)
    first = 0 if with_input else 84
    edges = kept_edges(graph, first)
    assert found.numberOfNodes() == 168 - first
    assert found.numberOfEdges() == len(edges) == done.edges
    assert not found.isDirected()
    assert found.isWeighted()
    for source, target, count in edges:
        assert found.weight(source, target) == found.weight(target, source) == max(1, count)


def test_metis_lists_both_directions_and_leaves_isolated_nodes_empty(graph, tmp_path):
    export(graph, "metis", tmp_path / "net.graph", options=ExportOptions(scale=50.0))
    (nodes, edges, form), *lines = numbers(tmp_path / "net.graph")
    assert (nodes, edges, form) == (84, len(kept_edges(graph, 84)), 1)
    assert len(lines) == nodes
    listed = {(n, pairs[i] - 1): pairs[i + 1] for n, pairs in enumerate(lines) for i in range(0, len(pairs), 2)}
    expected = {}
    for source, target, count in kept_edges(graph, 84):
        expected[source, target] = expected[target, source] = max(1, round(50 * count / 100))
    assert listed == expected
    touched = {node for edge in expected for node in edge}
    assert {n for n, line in enumerate(lines) if not line} == set(range(84)) - touched


def test_hmetis_by_mtkahypar(graph, tmp_path):
    export(graph, "hmetis", tmp_path / "net.hgr")
    found = mtkahypar.initialize(1).hypergraph_from_file(
        str(tmp_path / "net.hgr"),
        mtkahypar.initialize(1).context_from_preset(mtkahypar.PresetType.DEFAULT),
        mtkahypar.FileFormat.HMETIS,
    )
    edges = kept_edges(graph, 84)
    pins, weights = {}, {}
    for source, target, count in edges:
        pins.setdefault(source, {source}).add(target)
        weights[source] = max(1, count)
    assert found.num_nodes() == 84
    assert found.num_edges() == len(pins)
    assert found.num_pins() == sum(map(len, pins.values()))
    for number, source in enumerate(sorted(pins)):
        assert set(found.pins(number)) == pins[source]
        assert found.edge_weight(number) == weights[source]
    assert all(found.node_weight(node) == 1 for node in range(84))


def test_weights_are_scaled_until_their_sum_fits(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("snnb.graph.export.metis.LARGEST_SUM", 700)
    export(graph, "hmetis", tmp_path / "net.hgr")
    text = (tmp_path / "net.hgr").read_text()
    (hyperedges, _, _), *lines = numbers(tmp_path / "net.hgr")
    total = sum(line[0] for line in lines[:hyperedges])
    assert 350 < total <= 700
    scale = float(text.split("round(")[1].split(" x")[0])
    counts = {source: count for source, _, count in kept_edges(graph, 84)}
    assert total == sum(max(1, round(scale * count)) for count in counts.values())
    with pytest.raises(UsageError, match="smaller --scale"):
        export(graph, "hmetis", tmp_path / "other.hgr", options=ExportOptions(scale=1.0))
    monkeypatch.setattr("snnb.graph.export.metis.LARGEST_SUM", 10)
    with pytest.raises(UsageError, match="too large for this format"):
        export(graph, "metis", tmp_path / "net.graph")


def test_metis_with_32_bits_holds_so_many_edges(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("snnb.graph.export.metis.LARGEST", 10)
    with pytest.raises(UsageError, match="--idx64"):
        export(graph, "metis", tmp_path / "net.graph")
    export(graph, "metis", tmp_path / "net.graph", options=ExportOptions(idx64=True))


def hyperedges(path):
    """The binary hypergraph of AxonCUDA as its own reader goes through it: nodes, and (source, targets, weight)."""
    words = np.fromfile(path, "<u4")
    nodes, count, at = int(words[0]), int(words[1]), 2
    found = []
    for _ in range(count):
        number, source = int(words[at]), int(words[at + 1])
        end = at + 2 + number
        found.append((source, words[at + 2 : end].tolist(), float(words[end : end + 1].view("<f4")[0])))
        at = end + 1
    assert at == words.size
    return nodes, found


@pytest.mark.parametrize("with_input", [False, True])
def test_snn_has_the_edges_and_rates_of_the_csv(graph, tmp_path, with_input):
    done = export(graph, "snn", tmp_path / "net.snn", options=ExportOptions(with_input=with_input))
    export(graph, "csv", tmp_path / "net.csv")
    nodes, found = hyperedges(tmp_path / "net.snn")
    first = 0 if with_input else 84
    assert nodes == 168 - first
    assert done.edges == sum(len(targets) for _, targets, _ in found)
    assert done.size_bytes == 8 + 4 * done.edges + 12 * len(found)
    ids, start = {}, 0
    for population in graph.populations:
        for index in np.ndindex(*population.shape):
            ids[population.name, str(tuple(index))] = start
            start += 1
    expected = {}
    with (tmp_path / "net.csv").open() as file:
        for row in DictReader(line for line in file if not line.startswith("#")):
            source = ids[row["source_group"], row["source_neuron"]] - first
            target = ids[row["dest_group"], row["dest_neuron"]] - first
            if source >= 0:
                expected.setdefault(source, []).append((target, np.float32(row["rate"])))
    assert [source for source, _, _ in found] == sorted(expected)
    for source, targets, weight in found:
        assert targets == sorted(target for target, _ in expected[source])
        current = source + first < 84  # which is no traffic
        assert weight == (0 if current else expected[source][0][1])


def test_snn_in_another_unit_and_in_small_parts(graph, tmp_path, monkeypatch):
    export(graph, "snn", tmp_path / "net.snn")
    export(graph, "snn", tmp_path / "hz.snn", options=ExportOptions(rate_unit="hz"))
    by_step, by_second = (hyperedges(tmp_path / name)[1] for name in ("net.snn", "hz.snn"))
    assert [weight for *_, weight in by_second] == pytest.approx([1000 * weight for *_, weight in by_step])
    monkeypatch.setattr("snnb.graph.export.snn.BATCH", 7)
    export(graph, "snn", tmp_path / "parts.snn")
    assert (tmp_path / "parts.snn").read_bytes() == (tmp_path / "net.snn").read_bytes()
