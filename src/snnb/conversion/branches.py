"""Branches that meet: find the layer that each input of a layer comes from, and refuse inputs with two scale factors.

The weights of a layer are scaled by the factor of the layer before it. A convolution or pooling that reads two layers
in one channel has the same weight for both, which cannot be scaled by two factors.
"""

from typing import TYPE_CHECKING, Dict, List

import numpy as np

from snnb.core.errors import InputError

if TYPE_CHECKING:
    from snnb.io.keras import keras

# Layers that do not move values.
IN_PLACE = {"Activation", "ActivityRegularization", "BatchNormalization", "Dropout", "GaussianNoise", "ReLU"}


def check_branches(model: "keras.Model") -> None:
    """Refuse a trained model in which branches meet within one channel; `check_architecture` has accepted the model."""
    origins: Dict[str, np.ndarray] = {
        layer.name: np.ones(layer.output_shape[0][1:], np.float32) for layer in model._input_layers
    }
    for number, layer in enumerate(model.layers, 2):
        if layer.name in origins:
            continue
        kind, inputs = type(layer).__name__, [origins[before.name] for before in inbound(layer)]
        if kind in IN_PLACE:
            origins[layer.name] = inputs[0]
        elif kind == "Add":  # has neurons, as a layer with weights
            origins[layer.name] = np.full(layer.output_shape[1:], number, np.float32)
        elif "Pooling2D" in kind:
            origins[layer.name] = np.broadcast_to(origin_of_channels(layer.name, inputs[0]), layer.output_shape[1:])
        elif layer.weights:
            if "Conv2D" in kind:
                origin_of_channels(layer.name, inputs[0])
            origins[layer.name] = np.full(layer.output_shape[1:], number, np.float32)
        else:
            origins[layer.name] = reindexed(layer, inputs)


def inbound(layer: "keras.layers.Layer") -> List["keras.layers.Layer"]:
    """Return the layers that a layer reads at its first use."""
    layers = layer.inbound_nodes[0].inbound_layers
    return layers if isinstance(layers, list) else [layers]


def reindexed(layer: "keras.layers.Layer", origins: List[np.ndarray]) -> np.ndarray:
    """Apply a layer without weights to arrays that label the elements of its inputs; padding is 0."""
    batches = [origin[np.newaxis] for origin in origins]
    numbers: np.ndarray = layer(batches if len(batches) > 1 else batches[0]).numpy()[0]
    return numbers


def origin_of_channels(name: str, origin: np.ndarray) -> np.ndarray:
    """Return the label of each channel, given the labels of the elements, `(height, width, channels)`; 0 is padding.

    Raise `InputError`, with the `name` of the layer that reads them, if a channel has several labels.
    """
    highest: np.ndarray = origin.max(axis=(0, 1))
    if not ((origin == highest) | (origin == 0)).all():
        raise InputError(
            f"{name} takes branches side by side in one channel, whose scale factors differ: "
            "concatenate them along the channels"
        )
    return highest
