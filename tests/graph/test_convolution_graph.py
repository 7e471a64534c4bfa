"""The graph of grouped and transposed convolutions, against the matrices of their definition."""

import nir
import numpy as np
import pytest

from snnb.formats.request import Request
from snnb.formats.write_export import export
from snnb.graph.listed import ListedGraph, ListedPopulation, write_listed
from snnb.mapping.cost import cost
from snnb.mapping.limits import overfull_cores
from snnb.mapping.partition.partition import partition
from snnb.mapping.traffic import MappableNetwork, count_traffic, target_sets
from snnb.model_files.kinds import NirSettings
from snnb.model_files.nir_network import read_nir
from snnb.network.geometry import count_weights
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble
from snnb.network.spike_counts import Recording
from tests.formats.test_export_nir import read
from tests.graph.edges import all_edges
from tests.graph.networks import graph_of
from tests.mapping.brute_force import csv_edges
from tests.mapping.networks import hardware
from tests.network.convolution_networks import NETWORKS
from tests.network.convolutions import convolution_matrix

SAMPLES, STEPS = 4, 25


@pytest.fixture(scope="module", params=NETWORKS)
def built(request, tmp_path_factory):
    """The graph of a network with spike counts, and the matrix of each layer."""
    network, matrices = NETWORKS[request.param]()
    random = np.random.default_rng(3)
    counts = {}
    for volume in (network.input, *network.populations):
        counts[volume.name] = random.integers(0, SAMPLES * STEPS, volume.shape)
    folder = tmp_path_factory.mktemp("graph")
    with graph_of(network, folder, counts) as graph:
        yield graph, {name: matrix for name, (matrix, _) in matrices.items()}


def projection_onto(graph, name):
    (projection,) = [p for p in graph.projections if p.target.name == name]
    return projection


def test_synapses_are_those_of_the_definition(built):
    graph, matrices = built
    for name, matrix in matrices.items():
        projection = projection_onto(graph, name)
        found = projection.to_scipy()
        np.testing.assert_array_equal(found.toarray(), matrix, err_msg=name)
        if name == "out":
            continue  # its weights of 0 are synapses too
        assert found.nnz == projection.number_of_edges == np.count_nonzero(matrix)
        out_degrees = np.count_nonzero(matrix, axis=1)
        np.testing.assert_array_equal(projection.out_degrees, out_degrees)
        in_degrees = np.count_nonzero(matrix, axis=0)
        np.testing.assert_array_equal(projection.in_degrees, in_degrees)


def test_neighbours_are_those_of_the_definition(built):
    graph, matrices = built
    for name, matrix in matrices.items():
        projection = projection_onto(graph, name)
        targets = projection.target
        for target in range(0, targets.size, 1 + targets.size // 20):
            nodes, weights = projection.predecessors(targets.first + target)
            sources = nodes - projection.source.first
            np.testing.assert_array_equal(matrix[sources, target], weights)
            start_to_end = projection.sources_of_range(target, target + 1)
            np.testing.assert_array_equal(start_to_end, nodes)


def test_the_csv_lists_the_synapses(built, tmp_path):
    graph, matrices = built
    total = 0
    for source, target, (_, name), weight in csv_edges(graph, tmp_path):
        projection = projection_onto(graph, name)
        row = source - projection.source.first
        column = target - projection.target.first
        assert matrices[name][row, column] == weight
        total += 1
    assert total == graph.number_of_edges()


def test_nir_has_the_same_synapses(built, tmp_path):
    graph, matrices = built
    path = export(graph, "nir", tmp_path / "net.nir", Request()).path
    written = read(path, type_check=False)
    groups = [n.groups for n in written.nodes.values() if isinstance(n, nir.Conv2d)]
    # NIR has no transposed convolutions: they are matrices
    is_transposed = "cropped" in matrices
    assert sorted(groups) == ([] if is_transposed else [2, 2, 3, 4, 12, 12, 18])
    network = read_nir(path, NirSettings(time_step=1.0, nir_reset="subtract"))
    with graph_of(network, tmp_path / "read") as graph_read:
        assert len(graph_read.projections) == len(graph.projections)
        for projection in graph_read.projections:
            name = projection.target.name
            if name not in matrices:
                continue
            weights = projection.to_scipy().toarray()
            np.testing.assert_array_equal(weights, matrices[name], err_msg=name)


@pytest.mark.parametrize("method", ["sequential", "groups"])
def test_a_mapping_costs_what_that_of_listed_edges_costs(built, tmp_path, method):
    graph, _ = built
    network = MappableNetwork.of(graph)
    chip = hardware(mesh=(16, 16), neurons=60, axons=1500, synapses=4000)
    core = partition(network, chip, method=method).best.core
    cores = int(core.max()) + 1
    place = np.argwhere(np.ones((16, 16)))[:cores].astype(np.int32)
    found = cost(count_traffic(network, core, cores), chip, place)
    for excess in overfull_cores(found.contents, chip).values():
        assert excess.size == 0
    populations = []
    for p in graph.populations:
        coding = p.coding if p in graph.inputs else "spikes"
        populations.append(
            ListedPopulation(p.name, p.shape, coding=coding, spikes=p.spike_count)
        )
    source, target, weight, _ = all_edges(graph)
    listed = ListedGraph(populations, [(source, target, weight)], inputs=1)
    recording = Recording(4, 25, 5, 1.0)
    with write_listed(listed, tmp_path / "listed.h5", recording, "0") as other:
        other_network = MappableNetwork.of(other)
        sums = count_traffic(other_network, core, cores)
        expected = cost(sums, chip, place)
    assert found.traffic == expected.traffic
    for name, numbers in expected.contents.items():
        np.testing.assert_array_equal(found.contents[name], numbers)


def test_synapses_of_neurons_that_are_read_several_times(tmp_path):
    """Two projections of one population, which read each neuron at four positions."""
    random = np.random.default_rng(5)
    shape = (2, 3, 4)
    layers = [
        StoredLayer(
            "input", "InputLayer", {"batch_input_shape": (None, *shape)}, (), {}
        )
    ]
    layers.append(StoredLayer("rows", "Concatenate", {"axis": 1}, ("input",) * 2, {}))
    layers.append(StoredLayer("twice", "Concatenate", {"axis": 2}, ("rows",) * 2, {}))
    ids = np.arange(24).reshape(shape)
    ids = np.concatenate([ids, ids], axis=0)
    ids = np.concatenate([ids, ids], axis=1)
    expected = np.zeros((24, 4 * 6 * 8))
    is_synapse = np.zeros(expected.shape, bool)
    weight_counts = np.zeros(24)
    for number, groups in enumerate((2, 4)):
        kernel = random.integers(1, 9, (3, 2, 4 // groups, 8)).astype(np.float32)
        config = {"filters": 8, "kernel_size": (3, 2), "groups": groups}
        config.update(padding="same", activation="linear")
        arrays = {"kernel": kernel, "bias": np.zeros(8, np.float32)}
        name = f"sum_{number}"
        layers.append(StoredLayer(name, "Conv2D", config, ("twice",), arrays))
        matrix, _ = convolution_matrix(kernel, ids.shape, groups)
        np.add.at(expected, ids.ravel(), matrix)
        np.logical_or.at(is_synapse, ids.ravel(), matrix != 0)
        np.add.at(weight_counts, ids.ravel(), np.count_nonzero(matrix, axis=1))
    layers.append(StoredLayer("sum", "Add", {}, ("sum_0", "sum_1"), {}))
    network = assemble(layers)
    (population,) = network.populations
    found_counts = np.zeros(24)
    for projection in population.projections:
        counts = count_weights(projection.geometry, projection.weights())
        np.add.at(found_counts, ids.ravel(), counts.ravel())
    np.testing.assert_array_equal(found_counts, weight_counts)
    with graph_of(network, tmp_path) as graph:
        (synapses,) = graph.projections
        np.testing.assert_array_equal(synapses.to_scipy().toarray(), expected)
        np.testing.assert_array_equal(synapses.out_degrees, is_synapse.sum(axis=1))
        np.testing.assert_array_equal(synapses.in_degrees, is_synapse.sum(axis=0))
        labels = random.integers(0, 5, expected.shape[1]).astype(np.int32)
        sets = target_sets([synapses], labels, 5, synapses.target.first)
        for neuron in range(24):
            begin, end = sets.start[sets.set_of[neuron] :][:2]
            reached = sorted(sets.label[begin:end].tolist())
            assert reached == np.unique(labels[is_synapse[neuron]]).tolist()
