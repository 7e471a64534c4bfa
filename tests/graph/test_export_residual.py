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


@pytest.fixture(scope="module")
def times(graph, tmp_path_factory):
    spikes = {p.name: np.argwhere(np.ones((1, p.size, 2))).astype(np.int32) for p in graph.populations[1:]}
    path = tmp_path_factory.mktemp("times") / "spike_times.npz"
    np.savez(path, **spikes, num_samples=1, num_steps=2)
    return path


def networkx_totals(path):
    found = pickle.loads(path.read_bytes())  # noqa: S301  (written a line above)
    return found.number_of_edges(), sum(edge for _, _, edge in found.edges(data="edge"))


def csv_totals(path):
    with path.open(newline="") as file:
        edges = [float(row["edge"]) for row in csv.DictReader(file)]
    return len(edges), sum(edges)


def npz_totals(path):
    files = sorted(path.glob("0*.npz"))
    edges = [np.load(file)["edge"].astype(float).sum() for file in files]
    return sum(scipy.sparse.load_npz(str(file)).nnz for file in files), sum(edges)


def arrow_totals(files):
    table = pyarrow.dataset.dataset([str(file) for file in files]).to_table()
    return table.num_rows, table["edge"].to_numpy().astype(float).sum()


def sonata_totals(path):
    storage = libsonata.EdgeStorage(str(path / "edges.h5"))
    found = [storage.open_population(name) for name in storage.population_names]
    return sum(p.size for p in found), sum(p.get_attribute("edge", p.select_all()).astype(float).sum() for p in found)


def graphml_totals(path):
    found = networkx.read_graphml(str(path))
    return found.number_of_edges(), sum(edge for _, _, edge in found.edges(data="edge"))


TRAFFIC = {
    "networkx": networkx_totals,
    "csv": csv_totals,
    "npz": npz_totals,
    "parquet": lambda path: arrow_totals([path / "edges.parquet"]),
    "parts": lambda path: arrow_totals(sorted(path.glob("0*.parquet"))),
    "sonata": sonata_totals,
    "graphml": graphml_totals,
}


@pytest.mark.parametrize("format", sorted(TRAFFIC))
def test_synapses_and_their_traffic(graph, tmp_path, format):
    export(graph, format, tmp_path / "net")
    summary = (graph.with_pool_weight("mean") if format == "sonata" else graph).summary()
    edges, traffic = TRAFFIC[format](tmp_path / "net")
    assert edges == sum(projection.edges for projection in summary)
    assert traffic == pytest.approx(sum(projection.edge.sum for projection in summary), rel=1e-6)


def pynn_totals(path):
    lists = [np.loadtxt(file, ndmin=2) for file in path.glob("0*.txt")]
    return sum(map(len, lists)), sum(listed[:, 2].sum() for listed in lists)


def sanafe_totals(path):
    """Behind the synapses stand those of the relays, of weight 1."""
    stated = json.loads(path.with_name("net.json").read_text())["sanafe"]
    lines = [line for line in path.read_text().splitlines() if line.startswith("e ")]
    weights = [float(line.split("weight=")[1].split()[0]) for line in lines]
    relayed = sum(relay["size"] for relay in stated["relays"])
    return len(weights) - relayed, sum(weights) - relayed


def spinemap_totals(path):
    lines = [line.split()[1:] for line in (path / "weight_info.txt").read_text().splitlines()]
    return sum(map(len, lines)), sum(float(word) for line in lines for word in line)


@pytest.mark.parametrize(
    ("format", "totals"), [("pynn", pynn_totals), ("sanafe", sanafe_totals), ("spinemap", spinemap_totals)]
)
def test_synapses_and_their_weights(graph, times, tmp_path, format, totals):
    export(graph, format, tmp_path / "net", spike_times=times, origin={"stamp": "s", "sha256": "0"})
    summary = (graph if format == "spinemap" else graph.with_pool_weight("mean")).summary()
    kept = [p for p in summary if format != "spinemap" or p.source != "input"]
    edges, weights = totals(tmp_path / "net")
    assert edges == sum(projection.edges for projection in kept)
    assert weights == pytest.approx(sum(projection.weight.sum for projection in kept), rel=1e-5, abs=1e-5)


def metis_edges(path):
    """The head says how many undirected edges there are; each stands in the lists of both its ends."""
    head, *lines = (line for line in path.read_text().splitlines() if not line.startswith("%"))
    ends = sum(len(line.split()) // 2 for line in lines)
    assert ends == 2 * int(head.split()[1])
    return ends // 2


def hmetis_edges(path):
    head, *lines = (line for line in path.read_text().splitlines() if not line.startswith("%"))
    return sum(len(line.split()) - 2 for line in lines[: int(head.split()[0])])


def snn_edges(path):
    words = np.frombuffer(path.read_bytes(), "<u4")
    at, edges = 2, 0
    for _ in range(words[1]):
        edges, at = edges + int(words[at]), at + 3 + int(words[at])
    assert at == words.size
    return edges


@pytest.mark.parametrize(("format", "count"), [("metis", metis_edges), ("hmetis", hmetis_edges), ("snn", snn_edges)])
def test_synapses_between_spiking_neurons(graph, tmp_path, format, count):
    export(graph, format, tmp_path / "net")
    assert count(tmp_path / "net") == sum(p.edges for p in graph.summary() if p.source != "input")


def test_no_format_is_left_out():
    """What `nir` has of such a network is compared synapse by synapse in test_export_nir.py."""
    assert {*TRAFFIC, "pynn", "sanafe", "spinemap", "metis", "hmetis", "snn", "nir"} == set(FORMATS)
