"""SONATA by libsonata and by bmtk, PyNN by its own connector, SpiNeMap by its documented lines."""

import json

import h5py
import libsonata
import numpy as np
import pyNN.mock as pynn
import pytest
from bmtk.utils.sonata.file import File

from snnb.core.errors import InputError, UsageError
from snnb.graph.build import build_graph
from snnb.graph.export.export_options import ExportOptions
from snnb.graph.export.write_export import export
from tests.graph.edges import all_edges
from tests.graph.networks import LAYERS, save
from tests.graph.recorded import keras
from tests.graph.sonata import assert_indexed_as_by_libsonata


@pytest.fixture(scope="module")
def sonata(graph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sonata") / "net"
    export(graph, "sonata", folder)
    return folder


@pytest.fixture(scope="module")
def mean(graph):
    """The graph as simulators get it: poolings weigh the mean, while it was made with weights of one."""
    assert graph.attributes["pool_weight"] == "one"
    return graph.with_pool_weight("mean")


POPULATIONS = (("input_snn", "input", 0), ("snn_snn", "snn", 84))  # and the id of the first source in the graph


def edges_from(graph, first):
    """Edges of the input (first = 0) or of the others, ids as in the graph."""
    values = all_edges(graph)
    which = (values[0] >= 84) == bool(first)
    return [column[which] for column in values]


@pytest.mark.parametrize(("name", "source", "first"), POPULATIONS)
def test_libsonata_reads_edges_and_both_indices(mean, sonata, name, source, first):
    sources, targets, weights, edges = edges_from(mean, first)
    population = libsonata.EdgeStorage(str(sonata / "edges.h5")).open_population(name)
    everything = population.select_all()
    assert (population.source, population.target) == (source, "snn")
    assert (population.source_nodes(everything) == sources - first).all()
    assert (population.target_nodes(everything) == targets - 84).all()
    assert (population.get_attribute("syn_weight", everything) == weights).all()
    assert (population.get_attribute("edge", everything) == edges).all()
    rates = np.concatenate([p.rate.ravel() for p in mean.populations])
    np.testing.assert_allclose(population.get_attribute("rate", everything), rates[sources], rtol=1e-6)
    for node in (0, 6, 66, 83):
        assert population.efferent_edges([node]).flatten().tolist() == np.flatnonzero(sources - first == node).tolist()
        assert population.afferent_edges([node]).flatten().tolist() == np.flatnonzero(targets - 84 == node).tolist()


def test_the_indices_are_those_that_libsonata_writes(graph, sonata, tmp_path):
    assert_indexed_as_by_libsonata(sonata / "edges.h5", 84, graph.number_of_nodes() - 84, tmp_path)


def test_indices_of_neurons_that_stand_alone(tmp_path):
    """One neuron a population: its edges in two projections have consecutive ids, and are one range."""
    keras.backend.clear_session()
    source = LAYERS.Input((1,), name="input")
    branches = [LAYERS.Dense(units, name=name)(source) for name, units in (("one", 1), ("other", 2))]
    network = keras.Model(source, LAYERS.Dense(1, name="both")(LAYERS.Concatenate()(branches)))
    with build_graph(save(network, tmp_path / "net_parsed.h5"), tmp_path / "net_graph.h5") as graph:
        export(graph, "sonata", tmp_path / "net")
        assert_indexed_as_by_libsonata(tmp_path / "net" / "edges.h5", 1, graph.number_of_nodes() - 1, tmp_path)
    with h5py.File(str(tmp_path / "net" / "edges.h5"), "r") as file:
        ranges = [file[f"edges/{name}/indices/source_to_target/range_to_edge_id"] for name in ("input_snn", "snn_snn")]
        assert [values[()].tolist() for values in ranges] == [[[0, 3]], [[0, 1], [1, 2], [2, 3]]]
        assert "rate" not in file["edges/snn_snn/0"]


def test_a_network_of_one_layer_has_edges_from_the_input_only(tmp_path):
    keras.backend.clear_session()
    source = LAYERS.Input((3,), name="input")
    network = keras.Model(source, LAYERS.Dense(2, name="out")(source))
    with build_graph(save(network, tmp_path / "net_parsed.h5"), tmp_path / "net_graph.h5") as graph:
        export(graph, "sonata", tmp_path / "net")
    config = libsonata.CircuitConfig.from_file(str(tmp_path / "net" / "circuit_config.json"))
    assert config.edge_populations == {"input_snn"}
    assert config.edge_population("input_snn").size == 6


def test_libsonata_reads_nodes_and_the_circuit(graph, sonata):
    config = libsonata.CircuitConfig.from_file(str(sonata / "circuit_config.json"))
    nodes = [config.node_population(name) for name in ("input", "snn")]
    assert [population.size for population in nodes] == [84, graph.number_of_nodes() - 84]
    rates = np.concatenate([p.rate.ravel() for p in graph.populations])
    found = [population.get_attribute("rate", population.select_all()) for population in nodes]
    assert (np.concatenate(found) == rates).all()
    edges = [config.edge_population(name).size for name in ("input_snn", "snn_snn")]
    assert edges == [sum(s.edges for s in graph.summary() if (s.source == "input") == which) for which in (True, False)]


def test_bmtk_reads_the_same(mean, sonata):
    sources, targets, weights, _ = edges_from(mean, 84)
    names = {kind: [str(sonata / f"{kind}s.h5")] for kind in ("node", "edge")}
    file = File([*names["node"], *names["edge"]], [str(sonata / "node_types.csv"), str(sonata / "edge_types.csv")])
    node = file.nodes["snn"].get_node_id(130 - 84)
    assert node["pop_name"] == mean.nodes[130].population
    assert [node[f"index_{axis}"] for axis in range(3)] == list(mean.nodes[130].index)
    found = [(e.source_node_id, e["syn_weight"], e["rule"]) for e in file.edges["snn_snn"].get_target(150 - 84)]
    expected = zip((sources[targets == 150] - 84).tolist(), weights[targets == 150].tolist())
    assert sorted(found) == sorted((s, w, "AveragePooling2D") for s, w in expected)
    assert {weight for _, weight, _ in found} == {np.float32(1 / len(found))}
    found = [e.target_node_id for e in file.edges["snn_snn"].get_source(100 - 84)]
    assert sorted(found) == (targets[sources == 100] - 84).tolist()


def test_sonata_files_have_what_the_standard_asks_for(sonata):
    for kind in ("nodes", "edges"):
        with h5py.File(str(sonata / f"{kind}.h5"), "r") as file:
            assert file.attrs["magic"] == 0x0A7A
            assert file.attrs["version"].tolist() == [0, 1]
    with h5py.File(str(sonata / "edges.h5"), "r") as file:
        for name, source, _ in POPULATIONS:
            group = file[f"edges/{name}"]
            assert group["source_node_id"].attrs["node_population"] == source
            assert set(group["edge_group_id"][()]) == {0}
            assert (group["edge_group_index"][()] == np.arange(group["source_node_id"].size)).all()


@pytest.mark.parametrize("exact", [False, True])
def test_pynn_makes_the_same_connections(mean, graph, tmp_path, exact):
    export(graph, "pynn", tmp_path / "net", options=ExportOptions(exact=exact))
    assert json.loads((tmp_path / "net" / "description.json").read_text())["pool_weight"] == "mean"
    graph = mean
    pynn.setup(timestep=1.0)
    seen = 0
    for number, projection in enumerate(graph.projections):
        pre = pynn.Population(projection.source.size, pynn.IF_curr_exp())
        post = pynn.Population(projection.target.size, pynn.IF_curr_exp())
        found = np.zeros((projection.source.size, projection.target.size))
        for sign in ("excitatory", "inhibitory"):
            path = tmp_path / "net" / f"{number:04d}_{projection.source.name}__{projection.target.name}_{sign}.txt"
            if not path.exists():
                assert sign == "inhibitory"
                assert (projection.to_scipy().data >= 0).all()
                continue
            assert path.read_text().startswith('# columns = ["i", "j", "weight", "delay"]\n')
            connector = pynn.FromFileConnector(str(path))
            made = pynn.Projection(pre, post, connector, pynn.StaticSynapse(), receptor_type=sign)
            for i, j, weight, delay in made.get(["weight", "delay"], format="list"):
                assert delay >= 1
                assert weight < 0 if sign == "inhibitory" else weight >= 0
                found[int(i), int(j)] = weight
                seen += 1
        expected = projection.to_scipy().toarray()
        np.testing.assert_allclose(found, expected, rtol=1e-7)
        assert not exact or (found == expected).all()
    assert seen == graph.number_of_edges()


def spinemap_lines(path, number):
    lines = path.read_text().splitlines()
    assert all(line == " ".join(line.split()) for line in lines)
    return {int(line.split()[0]): [number(word) for word in line.split()[1:]] for line in lines}


@pytest.mark.parametrize("with_input", [False, True])
def test_spinemap(graph, tmp_path, spike_times, with_input):
    export(graph, "spinemap", tmp_path / "net", spike_times=spike_times, options=ExportOptions(with_input=with_input))
    connections = spinemap_lines(tmp_path / "net" / "connection_info.txt", int)
    weights = spinemap_lines(tmp_path / "net" / "weight_info.txt", np.float32)
    spikes = spinemap_lines(tmp_path / "net" / "spike_info.txt", int)
    assert list(connections) == list(weights)
    first = 0 if with_input else 84
    sources, targets, values, _ = all_edges(graph)
    for node in range(first, 168):
        which = sources == node
        if which.any():
            assert connections[node - first] == (targets[which] - first).tolist()
            assert weights[node - first] == values[which].tolist()
        else:
            assert node - first not in connections
    assert list(spikes) == list(range(168 - first))
    with np.load(str(spike_times)) as file:
        for population in graph.populations[0 if with_input else 1 :]:
            for neuron in range(population.size):
                expected = (
                    [s * int(file["num_steps"]) + t for s, n, t in file[population.name].tolist() if n == neuron]
                    if population.name != "input"
                    else []
                )
                assert spikes[population.first + neuron - first] == expected


def test_spinemap_needs_the_times_of_this_network(graph, tmp_path, spike_times):
    with pytest.raises(UsageError, match="--record-spikes"):
        export(graph, "spinemap", tmp_path / "net")
    with pytest.raises(UsageError, match="--record-spikes"):
        export(graph, "spinemap", tmp_path / "net", spike_times=tmp_path / "none.npz")
    (tmp_path / "broken.npz").write_bytes(spike_times.read_bytes()[:100])
    with pytest.raises(InputError, match="not a complete npz file"):
        export(graph, "spinemap", tmp_path / "net", spike_times=tmp_path / "broken.npz")
    with np.load(str(spike_times)) as file:
        times = dict(file)
    times["07Dense_4"] = np.array([[0, 4, 0]], np.int32)
    np.savez(tmp_path / "other.npz", **times)
    with pytest.raises(InputError, match="07Dense_4 do not fit"):
        export(graph, "spinemap", tmp_path / "net", spike_times=tmp_path / "other.npz")
    assert not (tmp_path / "net").exists()
