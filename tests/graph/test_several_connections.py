"""A population that sums several layers: its synapses are those of the layers, two between the same neurons are one."""

import numpy as np
import pytest

from snnb.graph.build import build_graph
from tests.graph.networks import LAYERS, counts_of, save, save_counts, set_random_weights
from tests.graph.recorded import keras


def _from_two_populations():
    source = LAYERS.Input((6, 5, 2), name="input")
    one = LAYERS.Conv2D(3, 3, padding="same", activation="relu", name="one")(source)
    two = LAYERS.Conv2D(2, 1, strides=2, activation="relu", name="two")(one)
    terms = [
        LAYERS.Conv2D(4, 3, strides=2, padding="same", name="long")(one),
        LAYERS.Conv2D(4, (1, 2), padding="same", name="short")(two),
        LAYERS.Conv2D(4, 2, strides=2, padding="same", use_bias=False, name="input_too")(source),
    ]
    return source, terms, [("input", "sum"), ("one", "sum"), ("two", "sum")]


def _twice_from_one_population():
    """The convolution and the shortcut join the same neurons in places."""
    source = LAYERS.Input((4, 4, 3), name="input")
    one = LAYERS.Conv2D(3, 2, padding="same", activation="relu", name="one")(source)
    terms = [
        LAYERS.Conv2D(3, 3, padding="same", name="long")(one),
        LAYERS.DepthwiseConv2D(1, name="short")(one),
    ]
    return source, terms, [("one", "sum")]


@pytest.fixture(params=[_from_two_populations, _twice_from_one_population], ids=lambda network: network.__name__)
def summed(request, tmp_path):
    """The graph, the model, the part of the model that computes the sum's current, and its projections' names."""
    source, terms, between = request.param()
    total = LAYERS.Add(name="add")(terms)
    spiking = LAYERS.Activation("relu", name="sum")(total)
    model = keras.Model(source, LAYERS.Dense(3, name="out")(LAYERS.Flatten(name="flat")(spiking)))
    set_random_weights(model)
    parsed = save(model, tmp_path / "net_parsed.h5")
    counts = {name: values for name, values in counts_of(model).items() if name not in ("long", "short", "input_too")}
    counts["sum"] = np.arange(np.prod(spiking.shape[1:])).reshape(spiking.shape[1:])
    with build_graph(parsed, tmp_path / "net_graph.h5", counts=save_counts(tmp_path / "c.npz", counts)) as graph:
        yield graph, model, terms, between


def _matrix(model, population, terms):
    """Weights from every neuron of a population onto the sum, by the Keras layers themselves: a unit at a time."""
    source = model.get_layer(population).output if population != "input" else model.input
    size, shape = int(np.prod(source.shape[1:])), source.shape[1:]
    units = np.eye(size, dtype=np.float32).reshape(size, *shape)
    total = 0
    for term in terms:
        layer = model.get_layer(term._keras_history.layer.name)
        if layer.input is source or layer.input.name == source.name:
            total = total + (layer(units) - layer(np.zeros_like(units))).numpy().reshape(size, -1)
    return total


def test_weights_are_those_of_the_keras_layers_added(summed):
    graph, model, terms, between = summed
    found = {(p.source.name, p.target.name): p for p in graph.projections}
    assert [pair for pair in found if pair[1] == "sum"] == between
    for source, _ in between:
        expected = _matrix(model, source, terms)
        projection = found[source, "sum"]
        np.testing.assert_allclose(projection.to_scipy().toarray(), expected, atol=1e-5)
        batches = [[values.copy() for values in batch] for batch in projection.edge_batches()]
        sources, targets = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1))
        pairs = np.stack([sources, targets], axis=1)
        assert len(np.unique(pairs, axis=0)) == len(pairs)  # one synapse between two neurons
        np.testing.assert_array_equal(np.lexsort((targets, sources)), np.arange(len(pairs)))
        assert projection.number_of_edges == len(pairs)
        local = pairs - [projection.source.first, projection.target.first]
        np.testing.assert_array_equal(projection.out_degrees, np.bincount(local[:, 0], minlength=len(expected)))
        np.testing.assert_array_equal(projection.in_degrees, np.bincount(local[:, 1], minlength=expected.shape[1]))


def test_the_bias_is_the_sum_of_the_biases(summed):
    graph, _, terms, _ = summed
    layers = [term._keras_history.layer for term in terms]
    expected = sum(layer.get_weights()[1] for layer in layers if layer.use_bias)
    (population,) = (p for p in graph.populations if p.name == "sum")
    assert (population.layer, population.has_bias) == ("Add", True)
    np.testing.assert_allclose(population.bias[0, 0], expected, rtol=1e-6)


def test_neighbours_of_each_neuron_are_those_of_the_matrix(summed):
    graph = summed[0]
    rows = graph.to_scipy()
    columns = rows.tocsc()
    for node in range(graph.number_of_nodes()):
        np.testing.assert_array_equal(np.sort(graph.successors(node)), np.sort(rows[node].indices))
        np.testing.assert_array_equal(graph.predecessors(node), np.sort(columns[:, node].indices))
