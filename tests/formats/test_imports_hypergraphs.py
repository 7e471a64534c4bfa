"""Hypergraphs of AxonCUDA and hMETIS: read after an export, written by hand, refused."""

import json
import struct

import numpy as np
import pytest

from snnb.core.errors import DamagedError
from snnb.formats.export_options import ExportOptions
from snnb.formats.request import Request
from snnb.formats.write_export import export
from tests.formats.mapped import assert_refused, costs_of, import_anew
from tests.graph.edges import all_edges

ORIGIN = {"stamp": "s", "sha256": "0"}  # with one, a description is written


@pytest.mark.parametrize(
    ("format", "unit"),
    [("snn", "step"), ("snn", "hz"), ("axh", "hz"), ("hmetis", "step")],
)
@pytest.mark.parametrize("name", ["graph", "residual_graph", "pruned_graph"])
def test_an_export_that_is_read_again_maps_the_same(
    request, tmp_path, name, format, unit
):
    """All but the weights, the spikes of neurons without targets, and in .hgr silent neurons."""
    original, path = (
        request.getfixturevalue(name),
        tmp_path / f"net.{'hgr' if format == 'hmetis' else format}",
    )
    export(
        original,
        format,
        path,
        Request(ExportOptions(with_input=True, rate_unit=unit)),
        origin=ORIGIN,
    )
    again, notes = import_anew(path, tmp_path)
    counts = np.concatenate([p.spike_count.ravel() for p in original.populations])
    if format == "hmetis":
        np.save(tmp_path / "rates.npy", np.maximum(counts, 1))
        original, _ = import_anew(
            original.path, tmp_path / "clipped", rates=tmp_path / "rates.npy"
        )
    with again:
        assert costs_of(again, tmp_path / "partition") == costs_of(
            original, tmp_path / "partition"
        )
        for edge, other_edge in zip(all_edges(again)[:2], all_edges(original)[:2]):
            np.testing.assert_array_equal(edge, other_edge)
        assert [p.shape for p in again.populations] == [
            p.shape for p in original.populations
        ]
        assert again.recording == original.recording
    assert "the file has no weights of synapses: all are 1" in notes


def test_without_a_description_all_nodes_are_placed_neurons(residual_graph, tmp_path):
    export(residual_graph, "snn", tmp_path / "net.snn")
    recording = residual_graph.recording
    options = {"samples": recording.num_samples, "steps": recording.num_timesteps}
    found_graph, notes = import_anew(tmp_path / "net.snn", tmp_path, **options)
    with found_graph:
        counts = np.concatenate(
            [p.spike_count.ravel() for p in residual_graph.populations]
        )
        source = np.unique(all_edges(residual_graph)[0])
        expected_counts = np.zeros_like(counts)
        expected_counts[source] = counts[source]
        np.testing.assert_array_equal(
            found_graph.populations[0].spike_count, expected_counts
        )
        assert found_graph.populations[0].spike_count.dtype == np.int64
        assert len(found_graph.inputs) == 0
    assert any("none is an input" in note for note in notes)


def snn(path, *words):
    """Write words: integers as uint32, others as float32."""
    path.write_bytes(
        b"".join(
            struct.pack("<I" if isinstance(word, int) else "<f", word) for word in words
        )
    )
    return path


SOME_SNN = (
    4,
    3,
    2,
    0,
    1,
    2,
    0.3,
    1,
    2,
    2,
    0.25,
    1,
    0,
    3,
    0.3,
)  # 0 → 1, 2; 2 → 2; 0 → 3
SOME_AXH = (4, 3, 3, 1, 0, 1, 2, 0.3, 2, 1, 2, 2, 0.25, 2, 1, 0, 3, 0.3)


@pytest.mark.parametrize(("name", "words"), [("a.snn", SOME_SNN), ("a.axh", SOME_AXH)])
def test_a_file_of_axoncuda_by_hand(tmp_path, name, words):
    """Two hyperedges of a source, a self-connection, and a neuron without spikes; one step or ten."""
    path = snn(tmp_path / name, *words)
    for steps, spikes in ((None, [np.float32(0.3), 0, 0.25, 0]), (10, [3, 0, 2.5, 0])):
        found_graph, notes = import_anew(path, tmp_path, steps=steps)
        with found_graph:
            assert [column.tolist() for column in all_edges(found_graph)[:3]] == [
                [0, 0, 0, 2],
                [1, 2, 3, 2],
                [1, 1, 1, 1],
            ]
            np.testing.assert_array_equal(
                found_graph.populations[0].spike_count, spikes
            )
            assert len(notes) == 3


HGR = {
    "2 3 11\n5 1 2 3\n0 3 1\n1\n1\n1\n": ([5, 0, 0], [0, 0, 2], [1, 2, 0], 4),
    "% one\n\n2 3 11\n%\n5 1 2 3\r\n\n7  3\t1 \n1\n2\n1": (
        [5, 0, 7],
        [0, 0, 2],
        [1, 2, 0],
        4,
    ),
    "2 3 1\n5 2 2 3\n7 3\n": ([0, 5, 7], [1, 1], [1, 2], 3),
    "1 3 10\n3 2 1\n1\n1\n1\n": ([1, 1, 1], [2, 2], [0, 1], 4),
    "1 3\n3 2 1\n": ([1, 1, 1], [2, 2], [0, 1], 3),
    "1 3 0\n3 2 1\n": ([1, 1, 1], [2, 2], [0, 1], 3),
    "0 3 1\n": ([0, 0, 0], [], [], 3),
}


@pytest.mark.parametrize("text", HGR)
def test_an_hgr_file_by_hand(tmp_path, monkeypatch, text):
    monkeypatch.setattr("snnb.formats.hmetis.HYPEREDGES", 1)
    (tmp_path / "a.hgr").write_bytes(text.encode())
    spikes, source, target, notes = HGR[text]
    found_graph, given_notes = import_anew(tmp_path / "a.hgr", tmp_path)
    with found_graph:
        edges = all_edges(found_graph)[:2] if source else [np.empty(0), np.empty(0)]
        assert [column.tolist() for column in edges] == [source, target]
        assert found_graph.populations[0].spike_count.tolist() == spikes
        assert len(given_notes) == notes


def test_a_scaled_hgr_file_has_multiples_of_the_scale(residual_graph, tmp_path):
    export(
        residual_graph,
        "hmetis",
        tmp_path / "net.hgr",
        Request(ExportOptions(scale=0.25)),
        origin=ORIGIN,
    )
    found_graph, notes = import_anew(tmp_path / "net.hgr", tmp_path)
    with found_graph:
        for population, other_population in zip(
            found_graph.populations[:-1], residual_graph.populations
        ):
            np.testing.assert_array_equal(
                population.spike_count,
                4 * np.maximum(np.rint(other_population.spike_count / 4), 1),
            )
    assert "numbers of spikes were rounded to multiples of 4" in notes


def test_the_description_alone_states_the_weight_of_a_spike(residual_graph, tmp_path):
    """Without it the weights are the spikes; one of an older version, which does not state the weight, is refused."""
    path = tmp_path / "net.hgr"
    export(
        residual_graph,
        "hmetis",
        path,
        Request(ExportOptions(scale=0.25)),
        origin=ORIGIN,
    )
    description = json.loads((tmp_path / "net.hgr.json").read_text())
    assert description.pop("spike_weight") == 0.25
    (tmp_path / "net.hgr.json").write_text(json.dumps(description))
    with pytest.raises(
        DamagedError, match="states no spike_weight: export the graph again"
    ):
        import_anew(path, tmp_path)
    (tmp_path / "net.hgr.json").unlink()
    found_graph, notes = import_anew(path, tmp_path)
    with found_graph:
        counts = np.concatenate(
            [p.spike_count.ravel() for p in residual_graph.populations]
        )
        own_spikes = found_graph.populations[0].spike_count
        np.testing.assert_array_equal(
            own_spikes[own_spikes > 0],
            np.maximum(np.rint(counts / 4), 1)[own_spikes > 0],
        )
    assert not any("multiples" in note for note in notes)


REFUSED = {
    "2 3 11\n5 1 2\n0 1 3\n1\n1\n1\n": "lines 2 and 3 both begin with node 1",
    "1 3\n1 4\n": "line 2: node 4, and line 1 states 3 nodes, from 1",
    "% c\n1 3\n\n0 1\n": "line 4: node 0, and line 2 states 3 nodes",
    "1 3\n1 2\n3 1\n": "line 3 follows the 1 hyperedges that line 1 states",
    "1 2 10\n1 2\n1 1\n1\n": "line 3 follows the 1 hyperedges and 2 weights of nodes (one a line) that line 1 states",
    "2 3\n1 2\n": "truncated, it has 1 of 2 hyperedges",
    "1 3 11\n5 1 2\n1\n": "truncated, it has 1 of 1 hyperedges and 1 of 3 weights of nodes",
    "2 3 1\n5 1 2\n3\n": "line 3: a hyperedge has a weight and no pins",
    "1 3\n1 -2\n": "line 2 has other text than whole numbers from 0",
    "1 3 1\n99999999999999999999 1 2\n": "line 2 has a number of 2^63 - 1 or more",
    "1 3 1\n9007199254740994 1 2\n": "neuron 0 has 9007199254740994.0 spikes; give finite non-negative numbers",
    "1 3 2\n1 2\n": "line 1: the first line has the numbers",
    "% nothing\n": "line 1: the first line has the numbers",
    "0 0\n": "the graph has no neurons",
    (): "truncated, it has 0 bytes",
    (4, 3): "truncated, the 3 hyperedges of its header take more than 8 bytes",
    SOME_SNN[:-1]: "truncated, the 3 hyperedges of its header take more than 56 bytes",
    (4, 1, 2**32 - 1, 0, 1, 0.5): "truncated",
    (*SOME_SNN, 1): "its header states 3 hyperedges, which end at byte 60 of 64",
    (2, 1, 1, 2, 0, 0.5): "a hyperedge names neuron 2, and the header states 2, from 0",
    (2, 1, 1, 0, 2, 0.5): "a hyperedge names neuron 2, and the header states 2, from 0",
    (
        2,
        1,
        1,
        0,
        1,
        -0.5,
    ): "the hyperedge of neuron 0 weighs -0.5; give spikes per time step",
    (2, 1, 1, 0, 1, float("nan")): "the hyperedge of neuron 0 weighs nan",
    (
        2,
        2,
        1,
        1,
        0,
        0.5,
        1,
        1,
        1,
        0.25,
    ): "two hyperedges of neuron 1 weigh 0.5 and 0.25",
}


REFUSED_AXH = {
    (
        4,
        1,
        3,
        2,
        0,
        1,
        2,
        0.5,
    ): "hyperedge 0 has 3 pins and 2 sources; give hyperedges of one source",
    (4, 2, 2, 1, 0, 1, 0.5, 0, 1, 0.5): "hyperedge 1 has 0 pins and 1 sources",
    (4, 2, 2, 1, 0, 1, 0.5, 1, 0, 0, 0.5): "hyperedge 1 has 1 pins and 0 sources",
    (
        4,
        1,
        2,
        1,
        0,
        4,
        0.5,
    ): "a hyperedge names neuron 4, and the header states 4, from 0",
    (4, 2, 2, 1, 0, 1, 0.5): "truncated, the 2 hyperedges of its header",
    (4, 1, 2, 1, 0, 1, -0.5): "the hyperedge of neuron 0 weighs -0.5",
}


@pytest.mark.parametrize(
    ("content", "message"), [*REFUSED.items(), *REFUSED_AXH.items()]
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / (
        "a.hgr"
        if isinstance(content, str)
        else "a.axh"
        if content in REFUSED_AXH
        else "a.snn"
    )
    path.write_text(content) if isinstance(content, str) else snn(path, *content)
    assert_refused(path, message)
