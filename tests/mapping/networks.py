"""Small networks of every kind of junction as graphs to map."""

import numpy as np

from snnb.chips.hardware import EventFigures, Hardware, RouteFigures
from snnb.graph.build import build_graph
from snnb.network.spike_counts import SpikeCounts
from tests.graph.networks import (
    LAYERS,
    RECORDING,
    branched,
    counts_of,
    network_of_model,
    set_random_weights,
    varied,
)
from tests.graph.recorded import keras, shape_of, use_recorded


@use_recorded
def summed():
    """A population that sums three layers, two of them from the same population; one reads the input as well."""
    source = LAYERS.Input((6, 5, 2), name="input")
    layer = LAYERS.Conv2D(3, 3, padding="same", activation="relu", name="one")(source)
    two = LAYERS.Conv2D(2, 1, strides=2, activation="relu", name="two")(layer)
    terms = [
        LAYERS.Conv2D(3, 3, strides=2, padding="same", name="long")(layer),
        LAYERS.DepthwiseConv2D(1, strides=2, name="short")(layer),
        LAYERS.Conv2D(3, (1, 2), padding="same", name="other")(two),
        LAYERS.Conv2D(
            3, 2, strides=2, padding="same", use_bias=False, name="input_too"
        )(source),
    ]
    total = LAYERS.Activation("relu", name="sum")(LAYERS.Add(name="add")(terms))
    return keras.Model(
        source, LAYERS.Dense(3, name="out")(LAYERS.Flatten(name="flat")(total))
    )


@use_recorded
def chained():
    """A small chain as most networks are: convolution, pooling, convolution, dense layers."""
    source = LAYERS.Input((10, 10, 1), name="input")
    tensor = LAYERS.Conv2D(4, 3, activation="relu", name="conv1")(source)
    tensor = LAYERS.AveragePooling2D(2, name="pool1")(tensor)
    tensor = LAYERS.Conv2D(6, 2, activation="relu", name="conv2")(tensor)
    tensor = LAYERS.Flatten(name="flat")(tensor)
    tensor = LAYERS.Dense(12, activation="relu", name="dense1")(tensor)
    return keras.Model(
        source, LAYERS.Dense(5, activation="softmax", name="dense2")(tensor)
    )


NETWORKS = {
    network.__name__: network for network in (branched, varied, summed, chained)
}


def make_graph(model, folder, coding="current", seed=0):
    """Build the graph of a model with random spike counts."""
    set_random_weights(model, seed)
    drawn_counts = counts_of(model, seed)
    shapes = {
        layer.name: shape_of(layer)[1:]
        for layer in model.layers
        if layer.name in ("sum",)
    }
    drawn_counts.update(
        {
            name: np.arange(np.prod(shape)).reshape(shape)
            for name, shape in shapes.items()
        }
    )
    if coding == "spikes":
        drawn_counts["input"] = np.floor(np.abs(drawn_counts["input"]))
    folder.mkdir(parents=True, exist_ok=True)
    spike_counts = SpikeCounts(RECORDING, drawn_counts, {"input": coding})
    network = network_of_model(model, folder)
    return build_graph(network, spike_counts, path=folder / "net_graph.h5")


def hardware(
    neurons=10_000, axons=100_000, synapses=None, mesh=(8, 7), synapse_energy=None
):
    return Hardware(
        name="chip",
        mesh=mesh,
        neurons_per_core=neurons,
        axons_per_core=axons,
        synapses_per_core=synapses,
        energy_pj=EventFigures(router=1.7, link=3.5, synapse=synapse_energy),
        latency_ns=RouteFigures(router=2.1, link=5.3),
        source="made up",
    )
