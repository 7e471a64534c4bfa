"""The converted network, as plain data: what every engine simulates."""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple, Union

import numpy as np

from snnb.errors import InputError

Shape = Tuple[int, ...]
Pair = Tuple[int, int]
ACTIVATIONS = ("relu", "softmax", "linear")


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of the network. `inputs` names the layers it reads; `shape` is its output's, without the batch axis."""

    name: str
    inputs: Tuple[str, ...]
    shape: Shape

    @property
    def size(self) -> int:
        """Number of elements of the output."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class InputLayer(Layer):
    """The pictures."""


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """Re-indexes in C order."""


@dataclass(frozen=True, eq=False)
class Reshape(Layer):
    """Re-indexes in C order."""


@dataclass(frozen=True, eq=False)
class ZeroPadding2D(Layer):
    """Adds `padding` = ((top, bottom), (left, right)) rows and columns of nothing."""

    padding: Tuple[Pair, Pair]


@dataclass(frozen=True, eq=False)
class Concatenate(Layer):
    """Joins its inputs along `axis`, counted without the batch axis."""

    axis: int


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """kernel: float32 (inputs, units); bias: float32 (units,)."""

    kernel: np.ndarray
    bias: np.ndarray
    activation: str


@dataclass(frozen=True, eq=False)
class Conv2D(Layer):
    """kernel: float32 (height, width, input channels, filters); bias: float32 (filters,)."""

    kernel: np.ndarray
    bias: np.ndarray
    activation: str
    strides: Pair
    dilation: Pair
    padding: str


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D(Layer):
    """kernel: float32 (height, width, input channels, multiplier); bias: float32 (input channels * multiplier,)."""

    kernel: np.ndarray
    bias: np.ndarray
    activation: str
    strides: Pair
    dilation: Pair
    padding: str


@dataclass(frozen=True, eq=False)
class AveragePooling2D(Layer):
    """The mean over each window, of the taps that are not padding."""

    pool_size: Pair
    strides: Pair
    padding: str


@dataclass(frozen=True, eq=False)
class MaxPooling2D(Layer):
    """Spiking max pooling: per window, the present spike of the input that has accumulated most so far."""

    pool_size: Pair
    strides: Pair
    padding: str


Population = Union[Dense, Conv2D, DepthwiseConv2D, AveragePooling2D, MaxPooling2D]
POPULATIONS = (Dense, Conv2D, DepthwiseConv2D, AveragePooling2D, MaxPooling2D)
KINDS = {kind.__name__: kind for kind in (InputLayer, Flatten, Reshape, ZeroPadding2D, Concatenate, *POPULATIONS)}


def activation(layer: Layer) -> str:
    """The analogue network's activation; pooling has none."""
    return str(getattr(layer, "activation", "linear"))


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in network order: each comes after those it reads; the input is the first."""

    layers: Tuple[Layer, ...]

    @property
    def input(self) -> Layer:
        """The input population."""
        return self.layers[0]

    @property
    def populations(self) -> List[Layer]:
        """The spiking layers."""
        return [layer for layer in self.layers if isinstance(layer, POPULATIONS)]

    @property
    def output(self) -> Layer:
        """The spiking layer that is read out: the last."""
        return self.populations[-1]

    @property
    def neurons(self) -> int:
        """Number of spiking neurons, the input not among them."""
        return sum(layer.size for layer in self.populations)

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        return next(layer for layer in self.layers if layer.name == name)


def check(network: Network, path: Path) -> None:
    """Raise `InputError`, naming file and layer, unless the network has the form that every engine relies on."""
    inputs = [layer.name for layer in network.layers if isinstance(layer, InputLayer)]
    if len(inputs) != 1 or network.input.name != inputs[0]:
        raise InputError(f"{path.name}: has {len(inputs)} inputs: a network with one can be simulated")
    if not network.populations:
        raise InputError(f"{path.name}: no layer has neurons, so nothing would spike: add a Dense or Conv2D layer")
    read = {name for layer in network.layers for name in layer.inputs}
    ends = [layer for layer in network.layers if layer.name not in read]
    if len(ends) != 1:
        raise InputError(f"{path.name}: ends in {', '.join(layer.name for layer in ends)}: keep one output")
    end = ends[0]
    while isinstance(end, (Flatten, Reshape)):
        end = network.layer(end.inputs[0])
    if end is not network.output:
        raise InputError(f"{path.name}: ends in {end.name}, which has no neurons: end in a Dense or Conv2D layer")
    for layer in network.populations:
        if activation(layer) not in ACTIVATIONS:
            raise InputError(
                f"{path.name}: layer {layer.name}: activation {activation(layer)} cannot be simulated: "
                f"use {', '.join(ACTIVATIONS)}"
            )


def windows(size: int, taps: int, stride: int, dilation: int, padding: str) -> Tuple[int, int]:
    """Number of windows along one axis, and the padding before the first, as TensorFlow has them."""
    span = (taps - 1) * dilation + 1
    if padding == "valid":
        return (size - span) // stride + 1, 0
    number = -(-size // stride)
    return number, max((number - 1) * stride + span - size, 0) // 2
