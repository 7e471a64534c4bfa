"""Layers without neurons: how an array of node ids runs through them in the place of activations."""

from typing import Callable, Dict, Sequence

import numpy as np

from snnb.errors import InputError
from snnb.synapses.parsed_model import Layer
from snnb.synapses.rules import PADDING, channels_last


def flatten(layer: Layer, inbound: Sequence[np.ndarray]) -> np.ndarray:
    channels_last(layer)
    return inbound[0].reshape(-1)


def reshape(layer: Layer, inbound: Sequence[np.ndarray]) -> np.ndarray:
    return inbound[0].reshape(tuple(layer.config["target_shape"]))


def concatenate(layer: Layer, inbound: Sequence[np.ndarray]) -> np.ndarray:
    axis = layer.config["axis"]
    if axis == 0:
        raise InputError(f"layer {layer.name} concatenates samples (axis 0); take another axis")
    return np.concatenate(inbound, axis=axis - 1 if axis > 0 else axis)


def zero_padding1d(layer: Layer, inbound: Sequence[np.ndarray]) -> np.ndarray:
    return np.pad(inbound[0], [tuple(layer.config["padding"]), (0, 0)], constant_values=PADDING)


def zero_padding2d(layer: Layer, inbound: Sequence[np.ndarray]) -> np.ndarray:
    channels_last(layer)
    top_bottom, left_right = layer.config["padding"]
    return np.pad(inbound[0], [tuple(top_bottom), tuple(left_right), (0, 0)], constant_values=PADDING)


REINDEXING: Dict[str, Callable[[Layer, Sequence[np.ndarray]], np.ndarray]] = {
    "Flatten": flatten,
    "Reshape": reshape,
    "Concatenate": concatenate,
    "ZeroPadding1D": zero_padding1d,
    "ZeroPadding2D": zero_padding2d,
}
