"""A residual network in every format: what each reader counts and sums up is what the graph's summary says."""

import csv
import json
import pickle

import libsonata
import networkx
import numpy as np
import pyarrow.dataset
import pytest
import scipy.sparse

from snnb.graph.build import build_graph
from snnb.graph.export.write_export import FORMATS, export
from tests.graph.networks import counts_of, save, save_counts, set_random_weights
from tests.graph.test_export_description import residual


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """With a constant input, and spike counts of all other populations."""
    folder, model = tmp_path_factory.mktemp("residual"), residual()
    set_random_weights(model)
    counts = counts_of(model)
    for name, like in (("sum", "two"), ("out", "out")):  # a sum's neurons are not those of a layer with a kernel
        counts[name] = np.abs(counts[like]) + 1
    counts = {name: counts[name] for name in ("input", "one", "two", "sum", "pool", "out")}
    saved = save_counts(folder / "spike_rate_sums.npz", counts)
    parsed = save(model, folder / "net_parsed.h5")
    with build_graph(parsed, folder / "net_graph.h5", counts=saved, coding={"input": "current"}) as opened:
        yield opened


def networkx_edges(path):
    found = pickle.loads(path.read_bytes())  # noqa: S301  (written a line above)
    return [edge for _, _, edge in found.edges(data="edge")]


def csv_edges(path):
    with path.open(newline="") as file:
        return [float(row["edge"]) for row in csv.DictReader(file)]


def npz_edges(path):
    files = sorted(path.glob("0*.npz"))
    edges = [np.load(file)["edge"] for file in files]
    assert [scipy.sparse.load_npz(str(file)).nnz for file in files] == [values.size for values in edges]
    return np.concatenate(edges)


def arrow_edges(path):
    files = [str(file) for file in [*path.glob("0*.parquet"), *path.glob("edges.parquet")]]
    return pyarrow.dataset.dataset(files).to_table()["edge"].to_numpy()


def sonata_edges(path):
    storage = libsonata.EdgeStorage(str(path / "edges.h5"))
    found = [storage.open_population(name) for name in storage.population_names]
    return np.concatenate([p.get_attribute("edge", p.select_all()) for p in found])


def pynn_weights(path):
    return np.concatenate([np.loadtxt(file, ndmin=2)[:, 2] for file in path.glob("0*.txt")])


def sanafe_weights(path):
    """Without the synapses of the relays, of weight 1."""
    stated = json.loads(path.with_name("net.json").read_text())["sanafe"]
    groups = {relay["group"] for relay in stated["relays"]}
    lines = [line for line in path.read_text().splitlines() if line.startswith("e ")]
    return [
        float(line.split("weight=")[1].split()[0])
        for line in lines
        if int(line.split("->")[1].split(".")[0]) not in groups
    ]


def spinemap_weights(path):
    lines = (path / "weight_info.txt").read_text().splitlines()
    return [float(word) for line in lines for word in line.split()[1:]]


def metis_edges(path):
    """The head says how many undirected edges there are; each stands in the lists of both its ends."""
    head, *lines = (line for line in path.read_text().splitlines() if not line.startswith("%"))
    ends = sum(len(line.split()) // 2 for line in lines)
    assert ends == 2 * int(head.split()[1])
    return [None] * (ends // 2)


def hmetis_edges(path):
    head, *lines = (line for line in path.read_text().splitlines() if not line.startswith("%"))
    return [pin for line in lines[: int(head.split()[0])] for pin in line.split()[2:]]


def snn_edges(path):
    words = np.frombuffer(path.read_bytes(), "<u4")
    at, edges = 2, 0
    for _ in range(words[1]):
        edges, at = edges + int(words[at]), at + 3 + int(words[at])
    assert at == words.size
    return [None] * edges


READERS = {  # and what is summed up
    "networkx": (networkx_edges, "edge"),
    "graphml": (lambda path: [edge for *_, edge in networkx.read_graphml(str(path)).edges(data="edge")], "edge"),
    "csv": (csv_edges, "edge"),
    "npz": (npz_edges, "edge"),
    "parquet": (arrow_edges, "edge"),
    "parts": (arrow_edges, "edge"),
    "sonata": (sonata_edges, "edge"),
    "pynn": (pynn_weights, "weight"),
    "sanafe": (sanafe_weights, "weight"),
    "spinemap": (spinemap_weights, "weight"),
    "metis": (metis_edges, None),
    "hmetis": (hmetis_edges, None),
    "snn": (snn_edges, None),
}


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"nir"}))  # test_export_nir.py compares every synapse
def test_synapses_and_their_sum(graph, tmp_path, format):
    spikes = {p.name: np.argwhere(np.ones((1, p.size, 2))).astype(np.int32) for p in graph.populations[1:]}
    np.savez(tmp_path / "times.npz", **spikes, num_samples=1, num_steps=2)
    origin = {"stamp": "s", "sha256": "0"}
    export(graph, format, tmp_path / "net", spike_times=tmp_path / "times.npz", origin=origin)
    summary = (graph.with_pool_weight("mean") if FORMATS[format].simulates else graph).summary()
    kept = [p for p in summary if not FORMATS[format].partial or p.source != "input"]
    read, summed = READERS[format]
    found = read(tmp_path / "net")
    assert len(found) == sum(p.edges for p in kept)
    if summed is not None:
        expected = sum(getattr(p, summed).sum for p in kept)
        assert np.sum(found, dtype=float) == pytest.approx(expected, rel=1e-5, abs=1e-5)
