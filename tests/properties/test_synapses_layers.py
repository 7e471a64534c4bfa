"""The graph against Keras itself: whatever the layer and its shapes, the edges are what the layer computes."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from snnb.model_files.keras import keras
from snnb.network.read_network import read_network
from snnb.network.spike_counts import Recording, SpikeCounts
from tests.conversion.conftest import examples
from tests.formats.sonata import assert_indexed_as_by_libsonata

LAYERS = keras.layers
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
small = st.tuples(st.integers(1, 4), st.integers(1, 4))
paddings = st.sampled_from(["valid", "same"])


@st.composite
def strides_or_dilations(draw):
    """Keras takes strides or dilations, not both."""
    steps = draw(small)
    return draw(st.sampled_from([{"strides": steps}, {"dilation_rate": steps}]))


@st.composite
def connecting_layers(draw, kinds):
    """A layer with neurons and the shape of an input that it accepts."""
    kind = draw(st.sampled_from(kinds))
    height, width = draw(sizes)
    channels = draw(st.integers(1, 4))
    filters = draw(st.integers(1, 5))
    shape = (height, width, channels)
    if kind == "Dense":
        shape = draw(st.sampled_from([(height * width,), (height, channels), shape]))
        return LAYERS.Dense(filters), shape
    kernel, padding = draw(small), draw(paddings)
    if kind in ("AveragePooling2D", "MaxPooling2D"):
        return getattr(LAYERS, kind)(
            kernel, strides=draw(st.none() | small), padding=padding
        ), shape
    step = draw(st.integers(1, 3))
    if kind == "DepthwiseConv2D":  # TensorFlow's CPU kernel knows equal strides only
        steps = draw(
            st.sampled_from(
                [{"strides": step}, {"dilation_rate": (step, draw(st.integers(1, 3)))}]
            )
        )
        return LAYERS.DepthwiseConv2D(
            kernel, padding=padding, depth_multiplier=draw(st.integers(1, 3)), **steps
        ), shape
    return LAYERS.Conv2D(
        filters, kernel, padding=padding, **draw(strides_or_dilations())
    ), shape


LINEAR = ["Dense", "Conv2D", "DepthwiseConv2D", "AveragePooling2D"]


@st.composite
def reindexings(draw):
    """A function that puts a few re-indexing layers after a tensor of three axes."""
    kinds = draw(
        st.lists(st.sampled_from(["pad", "turn", "lengthen", "itself"]), max_size=3)
    )
    pads = draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))
    axis = draw(st.sampled_from([1, 2, 3, -1]))

    def reindex(tensor):
        for kind in kinds:
            height, width, channels = tensor.shape[1:]
            if kind == "pad":
                tensor = LAYERS.ZeroPadding2D(pads)(tensor)
            elif kind == "turn":
                tensor = LAYERS.Reshape((width, channels, height))(
                    LAYERS.Flatten()(tensor)
                )
            elif kind == "lengthen":
                tensor = LAYERS.Reshape((1, height, width * channels))(tensor)
            elif height * width * channels < 200:
                tensor = LAYERS.Concatenate(axis=axis)([tensor, tensor])
        return tensor

    return reindex


@st.composite
def single_layers(draw, kinds):
    """A model of one layer with neurons, with layers before it that only re-index."""
    layer, shape = draw(connecting_layers(kinds))
    reindex = draw(reindexings())
    keras.backend.clear_session()
    source = LAYERS.Input(shape, name="input")
    try:
        model = keras.Model(
            source, layer(reindex(source) if len(shape) == 3 else source)
        )
        model(np.zeros((1, *shape), np.float32))
    except (
        ValueError,
        tf.errors.InvalidArgumentError,
    ):  # a window larger than its input; a padding that cannot be
        reject()
    assume(0 not in model.output_shape)
    # Random weights and biases: multiples of 2⁻⁸, never 0, so that sums are exact and no edge vanishes.
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    model.set_weights(
        [rng.integers(1, 129, w.shape) / 256 for w in model.get_weights()]
    )
    return model


def graph_of(model, counts=None, **options):
    with tempfile.TemporaryDirectory() as folder:
        parsed_path = Path(folder) / "net_parsed.h5"
        if counts is not None:
            recording = Recording(1, num_timesteps=3, warm_up=0, dt_ms=1.0)
            options["counts"] = SpikeCounts(recording, counts, {})
        model.save(str(parsed_path), include_optimizer=False)
        # The kernel stays readable after the folder is gone: it is mapped when first used.
        path = Path(folder) / "net_graph.h5"
        graph = build_graph(read_network(parsed_path), path=path, **options)
        for projection in graph.projections:
            assert all(
                c.kernel is None or c.kernel.dtype == np.float32
                for c in projection.connections
            )
        return graph


@examples(4, 30)
@given(single_layers(LINEAR), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_synapses_of_a_layer_are_those_of_keras(model, max_edges, seed):
    """The output for an input of 0 is the bias; ∂target/∂source is the weight of the synapse, and 0 elsewhere."""
    rng = np.random.default_rng(seed)
    counts = {
        "input": rng.integers(-3, 4, model.input_shape[1:]) * 0.25,
        model.layers[-1].name: rng.integers(0, 4, model.output_shape[1:]),
    }
    graph = graph_of(model, counts=counts)
    bias, jacobian = bias_and_jacobian(model)
    np.testing.assert_array_equal(graph.populations[1].bias.ravel(), bias)
    (projection,) = graph.projections
    matrix = projection.to_scipy().T
    np.testing.assert_allclose(matrix.toarray(), jacobian, rtol=1e-6, atol=1e-6)
    assert matrix.nnz == np.count_nonzero(jacobian) == projection.number_of_edges
    assert (projection.in_degrees == np.count_nonzero(jacobian, axis=1)).all()
    assert (projection.out_degrees == np.count_nonzero(jacobian, axis=0)).all()
    if graph.number_of_edges():
        assert_lookups_agree_with_edges(graph, max_edges)
        with tempfile.TemporaryDirectory() as folder:
            export(graph, "sonata", Path(folder) / "net")
            inputs = graph.populations[0].size
            others_number = graph.number_of_nodes() - inputs
            assert_indexed_as_by_libsonata(
                Path(folder) / "net" / "edges.h5", inputs, others_number, Path(folder)
            )


@examples(4, 30)
@given(single_layers(["MaxPooling2D"]))
def test_a_maximum_is_that_of_the_predecessors(model):
    """Positive inputs, so that an explicit zero of padding never is the maximum."""
    x = np.random.default_rng(0).permutation(
        np.arange(1.0, np.prod(model.input_shape[1:]) + 1)
    )
    expected_maximum = (
        model(x.reshape((1, *model.input_shape[1:])).astype(np.float32)).numpy().ravel()
    )
    graph = graph_of(model)
    first_neuron = graph.populations[1].first
    for target, value in enumerate(expected_maximum):
        sources, weights = (
            graph.projections[0].predecessors(first_neuron + target)
            if graph.projections
            else ((), ())
        )
        assert max([*x[list(sources)], 0.0]) == value
        assert all(weight == 1 for weight in weights)
    if graph.number_of_edges():
        assert_lookups_agree_with_edges(graph, 7)


def bias_and_jacobian(model):
    x = tf.zeros((1, *model.input_shape[1:]))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.reshape(model(x), (-1,))
    found_weights = tape.jacobian(y, x, experimental_use_pfor=False)
    return y.numpy(), found_weights.numpy().reshape(y.shape[0], -1)


def assert_lookups_agree_with_edges(graph, max_edges):
    """Compare lookups of single neurons and degrees with the generated edges, in 32 and in 64 bits."""
    found_edges = list_edges(graph, 7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snnb.graph.connection.INT32_LIMIT", 0)
        wide_edges = list_edges(graph, max_edges)
    assert (found_edges[0].dtype, wide_edges[0].dtype) == (np.int32, np.int64)
    for narrow_column, wide_column in zip(found_edges, wide_edges):
        np.testing.assert_array_equal(narrow_column, wide_column)
    sources, targets, weights, _ = found_edges
    assert (np.lexsort((targets, sources)) == np.arange(sources.size)).all()
    assert (
        len(set(zip(sources.tolist(), targets.tolist())))
        == sources.size
        == graph.number_of_edges()
    )
    for node in range(graph.number_of_nodes()):
        assert graph.successors(node).tolist() == targets[sources == node].tolist()
        assert graph.predecessors(node).tolist() == sources[targets == node].tolist()
        assert graph.out_degree(node) == np.count_nonzero(sources == node)
        assert graph.in_degree(node) == np.count_nonzero(targets == node)
    (projection,) = graph.projections
    for node in range(projection.target.first, graph.number_of_nodes()):
        assert (
            projection.predecessors(node)[1].tolist()
            == weights[targets == node].tolist()
        )


def list_edges(graph, max_edges):
    batches = [
        tuple(values.copy() for values in batch)
        for batch in graph.edge_batches(max_edges)
    ]
    assert all(0 < batch[0].size <= max_edges for batch in batches)
    return [np.concatenate(parts) for parts in zip(*batches)]
