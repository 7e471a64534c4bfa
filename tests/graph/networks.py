"""Small networks as Keras writes them, and spike counts that fit them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import numpy as np

from snnb.graph.build import build_graph
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.network import Network
from snnb.network.read_network import read_network
from snnb.network.spike_counts import Recording, SpikeCounts
from tests.graph.recorded import LAYERS, keras, shape_of, use_recorded

SPIKING = (
    "InputLayer",
    "Dense",
    "Conv2D",
    "DepthwiseConv2D",
    "AveragePooling2D",
    "MaxPooling2D",
)
SAMPLES, STEPS = 4, 25
RECORDING = Recording(num_samples=SAMPLES, num_timesteps=STEPS, warm_up=5, dt_ms=1.0)


@use_recorded
def branched():
    """Two branches that meet, padding, overlapping and padded pooling, a tensor concatenated with itself."""
    source = LAYERS.Input((7, 6, 2), name="input")
    first_layer = LAYERS.Conv2D(
        3, (3, 2), padding="same", strides=2, activation="relu", name="00Conv2D_4x3x3"
    )(source)
    padded_layer = LAYERS.ZeroPadding2D(((1, 0), (0, 1)), name="01ZeroPadding2D_8x7x2")(
        source
    )
    second_layer = LAYERS.Conv2D(
        2, 2, strides=2, activation="relu", name="02Conv2D_4x3x2"
    )(padded_layer)
    both = LAYERS.Concatenate(name="03Concatenate_4x3x5")([first_layer, second_layer])
    pooled_layer = LAYERS.AveragePooling2D(
        3, strides=2, padding="same", name="04AveragePooling2D_2x2x5"
    )(both)
    flat = LAYERS.Flatten(name="05Flatten_20")(pooled_layer)
    twice = LAYERS.Concatenate(name="06Concatenate_40")([flat, flat])
    return keras.Model(
        source, LAYERS.Dense(4, activation="softmax", name="07Dense_4")(twice)
    )


@use_recorded
def varied():
    """A layer of every kind that `branched` has not, in a row."""
    source = LAYERS.Input((4, 3, 2), name="input")
    tensor = LAYERS.DepthwiseConv2D(
        (2, 2), depth_multiplier=2, padding="same", name="00DepthwiseConv2D_4x3x4"
    )(source)
    tensor = LAYERS.MaxPooling2D((2, 1), name="01MaxPooling2D_2x3x4")(tensor)
    tensor = LAYERS.ZeroPadding2D((1, 0), name="02ZeroPadding2D_4x3x4")(tensor)
    tensor = LAYERS.AveragePooling2D(1, name="03AveragePooling2D_4x3x4")(tensor)
    tensor = LAYERS.Conv2D(
        2, (3, 2), dilation_rate=(1, 2), padding="same", name="04Conv2D_4x3x2"
    )(tensor)
    tensor = LAYERS.Reshape((4, 6), name="05Reshape_4x6")(tensor)
    return keras.Model(source, LAYERS.Dense(2, name="06Dense_4x2")(tensor))


@use_recorded
def residual():
    """A block whose shortcut skips two layers, a connection from the input that skips all, and a sum."""
    source = LAYERS.Input((6, 6, 2), name="input")
    layer = LAYERS.Conv2D(3, 3, padding="same", activation="relu", name="one")(source)
    two = LAYERS.Conv2D(3, 3, padding="same", activation="relu", name="two")(layer)
    terms = [
        LAYERS.Conv2D(3, 3, padding="same", name="long")(two),
        LAYERS.DepthwiseConv2D(1, name="short")(layer),
        LAYERS.Conv2D(3, 1, name="from_input")(source),
    ]
    total = LAYERS.Activation("relu", name="sum")(LAYERS.Add(name="add")(terms))
    pooled_layer = LAYERS.AveragePooling2D(2, name="pool")(total)
    return keras.Model(
        source, LAYERS.Dense(3, name="out")(LAYERS.Flatten(name="flat")(pooled_layer))
    )


def set_random_weights(model: Any, seed: int = 0) -> None:
    """Weights and biases of either sign, some of them 0."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [rng.integers(-3, 4, w.shape) * 0.37 for w in model.get_weights()]
    )


def save(model: Any, path: Path) -> Path:
    model.save(str(path), include_optimizer=False)
    return path


def graph_of_model(model: Any, folder: Path) -> SynapseGraph:
    """The graph of a Keras model, in a folder, without spike counts."""
    return build_graph(network_of_model(model, folder), path=folder / "net_graph.h5")


def network_of_model(model: Any, folder: Path) -> Network:
    """The network of a Keras model, which is saved in a folder."""
    return read_network(save(model, folder / "net_parsed.h5"))


def counts_of(model: Any, seed: int = 0) -> Dict[str, np.ndarray]:
    """Random spike counts, some of them 0, and a current for the input."""
    rng = np.random.default_rng(seed)
    counts = {}
    for layer in model.layers:
        if type(layer).__name__ in SPIKING:
            counts[layer.name] = np.maximum(
                rng.integers(-20, SAMPLES * STEPS, shape_of(layer)[1:]), 0
            )
    counts["input"] = counts["input"] * 0.9
    return counts


def graph_of(
    network: Network, folder: Path, counts=None, coding=None, **recording: Any
) -> SynapseGraph:
    """Build the graph of a spiking network in a folder; spike counts that are not given are 0."""
    folder.mkdir(exist_ok=True)
    if counts is None:
        counts = {
            volume.name: np.zeros(volume.shape)
            for volume in (network.input, *network.populations)
        }
    spike_counts = SpikeCounts(replace(RECORDING, **recording), counts, coding or {})
    return build_graph(network, spike_counts, path=folder / "net_graph.h5")


def save_spike_times(graph: SynapseGraph, path: Path) -> Path:
    """Random spike times of two samples of 30 steps, sorted by sample, neuron, step; a current has none."""
    rng = np.random.default_rng(9)
    spiking = [
        population for population in graph.populations if population.coding != "current"
    ]
    times = {
        p.name: np.argwhere(rng.random((2, p.size, 30)) < 0.2).astype(np.int32)
        for p in spiking
    }
    np.savez(path, **times, num_samples=2, num_steps=30)
    return path
