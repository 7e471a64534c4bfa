"""NIR, read by its own library and evaluated here with unit vectors: the synapses and biases of the graph."""

import json

import h5py
import nir
import numpy as np
import pytest

from snnb.core.errors import ResourceError, UsageError
from snnb.formats.request import Request, Simulated
from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from snnb.model_files.kinds import NirSettings
from snnb.model_files.nir_network import read_nir
from snnb.network.spike_counts import SpikeCounts
from tests.graph.listed_graphs import random_graph
from tests.graph.networks import (
    LAYERS,
    RECORDING,
    branched,
    counts_of,
    graph_of_model,
    network_of_model,
    residual,
    set_random_weights,
    varied,
)
from tests.graph.recorded import keras
from tests.nir_interpreter import linear

BELOW_1 = np.nextafter(
    np.float32(1), np.float32(0)
)  # NIR's neurons spike above their threshold


def windows():
    """Paddings that NIR does not have, strides, dilation, kernels that are not square, poolings; names with signs."""
    source = LAYERS.Input((11, 8, 2), name="input")
    tensor = LAYERS.Conv2D(3, (4, 2), padding="same", strides=2, name="even/same")(
        source
    )
    tensor = LAYERS.Conv2D(
        2, (1, 3), padding="same", dilation_rate=(1, 2), name="dilated"
    )(tensor)
    tensor = LAYERS.DepthwiseConv2D(
        (2, 3), padding="same", depth_multiplier=2, name="depthwise"
    )(tensor)
    tensor = LAYERS.AveragePooling2D((2, 1), strides=(1, 3), name="pool")(tensor)
    tensor = LAYERS.ZeroPadding2D(((2, 0), (1, 3)), name="zeros")(tensor)
    tensor = LAYERS.Conv2D(2, (2, 3), strides=(3, 4), name="above.kernel")(tensor)
    return keras.Model(
        source, LAYERS.Dense(3, name="out")(LAYERS.Flatten(name="flat")(tensor))
    )


def maximum_free_model():
    """Windows that are cut at the border, and a layer that reads each position."""
    source = LAYERS.Input((4, 3, 2), name="input")
    tensor = LAYERS.AveragePooling2D(3, strides=1, padding="same", name="cut")(source)
    tensor = LAYERS.Reshape((6, 4), name="reshaped")(tensor)
    tensor = LAYERS.Dense(3, name="each")(tensor)
    return keras.Model(
        source, LAYERS.Dense(2, name="out")(LAYERS.Flatten(name="flat")(tensor))
    )


def read(path, **options):
    """Read a file with the library's own reader, and its options.

    The reader expects text as bytes, as h5py 3 reads it; TensorFlow 2.2 needs 2.10.
    """
    if h5py.version.version_tuple[0] >= 3:
        return nir.read(path, **options)
    copy = path.with_suffix(".bytes")
    with h5py.File(path, "r") as file, h5py.File(copy, "w") as written:
        datasets = []
        file.visititems(
            lambda _, item: (
                datasets.append(item) if isinstance(item, h5py.Dataset) else None
            )
        )
        for item in datasets:
            written[item.name] = (
                item[()] if item.dtype != object else np.array(item[()], "S")
            )
    return nir.read(copy)


def evaluate(node, x):
    """Return the outputs of a linear node, and check the shapes that NIR declares."""
    if isinstance(node, nir.Flatten):
        assert (node.start_dim, node.end_dim) == (0, -1)
    y = np.stack(
        [linear({"type": type(node).__name__, **vars(node)}, sample) for sample in x]
    )
    if isinstance(node, nir.Conv2d):
        assert (x.shape[2:], y.shape[1:]) == (
            tuple(node.input_shape),
            tuple(node.output_type["output"]),
        )
    return y


def arriving(graph, name, source, x):
    """Input of node `name` if only `source` sends, namely x; all other nodes before it are linear."""
    if name == source:
        return x
    if isinstance(graph.nodes[name], (nir.IF, nir.Input)):
        return None
    (before,) = [a for a, b in graph.edges if b == name]
    y = arriving(graph, before, source, x)
    return None if y is None else evaluate(graph.nodes[name], y)


def synapses(graph, source, target, shape):
    """Weights (sources, targets) and what arrives of nothing, in NIR's order of neurons."""
    x = np.concatenate([np.zeros((1, np.prod(shape))), np.eye(np.prod(shape))]).reshape(
        -1, *shape
    )
    found_weights = [
        arriving(graph, a, source, x) for a, b in graph.edges if b == target
    ]
    found_weights = [y for y in found_weights if y is not None]
    assert found_weights, (source, target)
    assert {y.shape[1:] for y in found_weights} == {graph.nodes[target].r.shape}
    y = (sum(found_weights) * graph.nodes[target].r).reshape(len(x), -1)
    return y[1:] - y[0], y[0]


def channels_first(values, shape):
    return (
        np.moveaxis(values.reshape(shape), -1, 0).ravel()
        if len(shape) == 3
        else values.ravel()
    )


@pytest.mark.parametrize("threshold", [1.0, 0.5])
@pytest.mark.parametrize("network", [branched, windows, residual, maximum_free_model])
def test_synapses_are_those_of_the_graph(tmp_path, network, threshold):
    model = network()
    set_random_weights(model, 3)
    with graph_of_model(model, tmp_path) as graph:
        assert_same_synapses(graph, tmp_path, threshold)


@pytest.mark.parametrize("codings", [("current",), ("spikes", "current")])
def test_synapses_of_a_recurrent_graph_are_matrices(tmp_path, codings):
    sizes = {"sizes": (3, 4, 5, 6), "inputs": len(codings), "codings": codings}
    with random_graph(tmp_path / "net_graph.h5", 1, **sizes)[0] as graph:
        assert_same_synapses(graph, tmp_path, threshold=1.0)


def test_biases_without_synapses_are_lost(tmp_path):
    with random_graph(
        tmp_path / "net_graph.h5", 1, sizes=(3, 40), density=0.0, inputs=1
    )[0] as graph:
        export(graph, "nir", tmp_path / "net.nir", origin={})
    losses = json.loads((tmp_path / "net.nir.json").read_text())["nir"]["losses"]
    assert [loss for loss in losses if "p1" in loss] == [
        "bias: p1 has no synapses onto it, so that no node has its biases"
    ]


def test_a_graph_without_an_input_is_refused(tmp_path):
    with random_graph(tmp_path / "net_graph.h5", 1, sizes=(3, 4), inputs=0)[0] as graph:  # noqa: SIM117
        with pytest.raises(UsageError, match="has none"):
            export(graph, "nir", tmp_path / "net.nir")


def assert_same_synapses(graph, tmp_path, threshold):
    simulation = Simulated(
        threshold, "subtraction", "constant", None, 255.0, None, None, 30, 2, 7
    )
    export(graph, "nir", tmp_path / "net.nir", Request(simulated=simulation), origin={})
    written, document = (
        read(tmp_path / "net.nir"),
        json.loads((tmp_path / "net.nir.json").read_text()),
    )
    names = document["nir"]["nodes"]
    mean = graph.with_pool_weight("mean")
    biases = {}
    synapse_count = 0
    for projection in mean.projections:
        source, target = projection.source, projection.target
        node = written.nodes[names[source.name]]
        shape = (
            node.r.shape
            if isinstance(node, nir.IF)
            else tuple(node.input_type["input"])
        )
        found_weights, bias = synapses(
            written, names[source.name], names[target.name], shape
        )
        rows = channels_first(np.arange(source.size), source.shape)
        columns = channels_first(np.arange(target.size), target.shape)
        expected_weights = (
            projection.to_scipy().toarray().astype(float)[rows][:, columns]
        )
        expected_weights /= threshold if source in mean.inputs else 1
        np.testing.assert_allclose(
            found_weights,
            expected_weights,
            rtol=1e-6,
            atol=1e-7,
            err_msg=f"{source} {target}",
        )
        synapse_count += np.count_nonzero(np.abs(found_weights) > 1e-7)
        biases[target.name] = biases.get(target.name, 0) + bias
    assert synapse_count == sum(
        np.count_nonzero(p.to_scipy().data) for p in mean.projections
    )
    for population in (p for p in mean.layers if p.name in biases):
        expected_weights = (
            channels_first(population.bias.astype(float), population.shape) / threshold
        )
        np.testing.assert_allclose(
            biases[population.name], expected_weights, rtol=1e-6, atol=1e-6
        )
        assert (written.nodes[names[population.name]].v_threshold == BELOW_1).all()
    outputs = [
        name for name, node in written.nodes.items() if isinstance(node, nir.Output)
    ]
    unread = [
        p
        for p in mean.populations
        if all(projection.source is not p for projection in mean.projections)
    ]
    assert [a for a, b in written.edges if b in outputs] == [
        names[p.name] for p in unread or mean.layers[-1:]
    ]


def test_layers_stay_layers(tmp_path):
    """No matrix but the dense layer's, whatever the padding; the pooling is a sum whose factor the neurons have."""
    model = windows()
    set_random_weights(model)
    with graph_of_model(model, tmp_path) as graph:
        export(graph, "nir", tmp_path / "net.nir")
    nodes = read(tmp_path / "net.nir").nodes
    kinds = [type(node).__name__ for node in nodes.values()]
    counts = {"Conv2d": 4, "SumPool2d": 1, "Affine": 1, "Flatten": 1, "IF": 6}
    assert {kind: kinds.count(kind) for kind in counts} == counts
    assert [
        set(node.r.ravel()) for name, node in nodes.items() if name.endswith("_pool")
    ] == [{0.5}]


@pytest.mark.parametrize("coding", ["membrane", "spikes"])
def test_an_output_that_does_not_spike_is_an_integrator(tmp_path, coding):
    """Read by the library, and by the package as an output that is read by its potential."""
    model = windows()
    set_random_weights(model)
    counts = SpikeCounts(RECORDING, counts_of(model), {"out": coding})
    graph = build_graph(network_of_model(model, tmp_path), counts)
    export(graph, "nir", tmp_path / "net.nir", origin={})
    document = json.loads((tmp_path / "net.nir.json").read_text())
    node = read(tmp_path / "net.nir").nodes[document["nir"]["nodes"]["out"]]
    assert type(node) is {"membrane": nir.I, "spikes": nir.IF}[coding]
    settings = NirSettings(time_step=1.0, nir_reset="subtract")
    network = read_nir(tmp_path / "net.nir", settings)
    assert network.output.coding == coding
    assert all(population.is_spiking for population in network.populations[:-1])


def test_losses_are_stated(graph, tmp_path):
    simulation = Simulated(1.0, "zero", "constant", None, 255.0, None, None, 30, 2, 7)
    export(graph, "nir", tmp_path / "net.nir", Request(simulated=simulation), origin={})
    document = json.loads((tmp_path / "net.nir.json").read_text())
    assert [loss.split(":")[0] for loss in document["nir"]["losses"]] == [
        "reset",
        "time",
        "random",
    ]
    assert "reset by zero" in document["nir"]["losses"][0]
    assert "07Dense_4" in document["nir"]["losses"][2]


def test_what_nir_cannot_say_is_one_line(tmp_path, monkeypatch):
    with graph_of_model(varied(), tmp_path) as graph:  # noqa: SIM117
        with pytest.raises(
            UsageError,
            match=r"01MaxPooling2D_2x3x4 is a max pooling, .* --max-pool average",
        ):
            export(graph, "nir", tmp_path / "net.nir")
    with graph_of_model(maximum_free_model(), tmp_path) as graph:
        monkeypatch.setattr("snnb.formats.nir.LARGEST_MATRIX", 400)
        with pytest.raises(
            ResourceError,
            match=r"cut → each \(Dense\) is not a layer of NIR, .* 432 weights",
        ):
            export(graph, "nir", tmp_path / "net.nir")
    assert not list(tmp_path.glob("*.nir*"))
