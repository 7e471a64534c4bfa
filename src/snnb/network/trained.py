"""The network that was trained: layers in topological order.

Kinds, settings and weights have Keras's names.
"""

from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.network.geometry import PADDING, Shape
from snnb.network.layers import (
    BatchNormalization,
    InputLayer,
    KerasLayer,
    Layer,
    Reindexing,
    SeparableConv2D,
)


@dataclass(frozen=True, eq=False)
class TrainedLayer:
    """A use of a layer."""

    name: str
    layer: KerasLayer
    # Names of the layers that it reads, in order; a name can occur twice
    inputs: Tuple[str, ...]
    # Of its output, without the batch axis: (height, width, channels) or (units,)
    shape: Shape
    # float32, by Keras's name (`kernel`, `bias`, `gamma` …), in the shapes of
    # `KerasLayer.weight_shapes`
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The Keras class."""
        return self.layer.kind

    @property
    def label(self) -> str:
        """Name and class, for messages."""
        return f"{self.name} ({self.kind})"

    @classmethod
    def reading(
        cls,
        name: str,
        layer: KerasLayer,
        inputs: "Sequence[TrainedLayer]",
        weights: Optional[Mapping[str, np.ndarray]] = None,
    ) -> "TrainedLayer":
        """Make a layer that reads others.

        Raise `ValueError` if it does not fit the shapes of their outputs.
        """
        shape = layer.output_shape([source.shape for source in inputs])
        if 0 in shape:
            raise ValueError("it has an empty output: the images are too small")
        names = tuple(source.name for source in inputs)
        return cls(name, layer, names, shape, weights or {})


@dataclass(frozen=True, eq=False, repr=False)
class TrainedNetwork:
    """Layers in topological order: the input first, the output last."""

    layers: Tuple[TrainedLayer, ...]
    # Number of levels of quantised activations (QCFS) that it was trained with
    levels: Optional[int] = None

    @classmethod
    def ending_in(
        cls,
        output: TrainedLayer,
        layers: Sequence[TrainedLayer],
    ) -> "TrainedNetwork":
        """Return the network of the layers that an output depends on, and the input.

        `layers` are in topological order.
        """
        names = {output.name, layers[0].name}
        network_layers = []
        for layer in reversed(layers):
            if layer.name in names:
                names.update(layer.inputs)
                network_layers.append(layer)
        return cls(tuple(network_layers[::-1]))

    def __repr__(self) -> str:
        layers = f"{len(self.layers)} layers, {self.weights:,} weights"
        return f"<TrainedNetwork {self.input.shape} → {self.output.shape}: {layers}>"

    @property
    def input(self) -> TrainedLayer:
        """The input."""
        return self.layers[0]

    @property
    def output(self) -> TrainedLayer:
        """The layer whose output is the network's."""
        return self.layers[-1]

    @property
    def weights(self) -> int:
        """Number of weights, biases and moments included."""
        count = 0
        for layer in self.layers:
            count += sum(array.size for array in layer.weights.values())
        return count

    @property
    def multiply_accumulates(self) -> int:
        """Multiply-accumulates of an inference: one for each weight of a value.

        Poolings and sums of branches multiply nothing, batch normalisation is part of
        the weights, and zeros of a padding are not multiplied.
        """
        values: Dict[str, np.ndarray] = {}  # by layer, in its shape: 0, or PADDING
        n_multiplications = 0
        for layer in self.layers:
            inputs = [values[name] for name in layer.inputs]
            if isinstance(layer.layer, Reindexing):
                values[layer.name] = layer.layer.apply(inputs)
                continue
            values[layer.name] = np.zeros(layer.shape, np.int8)
            parts: List[Layer] = []
            if isinstance(layer.layer, SeparableConv2D):
                parts = [layer.layer.depthwise(), layer.layer.pointwise()]
            elif isinstance(layer.layer, Layer) and layer.layer.KERNEL is not None:
                parts = [layer.layer]
            for part in parts:
                part_input = inputs[0]
                geometry = part.geometry(part_input.shape)
                is_value = part_input.reshape(geometry.input_volume) != PADDING
                n_multiplications += int(geometry.fan_in(is_value).sum())
                inputs = [np.zeros(geometry.shape, np.int8)]
        return n_multiplications

    def by_name(self) -> Dict[str, TrainedLayer]:
        """Return the layers by name."""
        return {layer.name: layer for layer in self.layers}

    def has(self, kind: str) -> bool:
        """Return whether a layer is of this kind."""
        return any(layer.kind == kind for layer in self.layers)

    def with_layers(
        self,
        replacements: Mapping[str, TrainedLayer],
    ) -> "TrainedNetwork":
        """Return the network with layers replaced, the new ones by name."""
        layers = [replacements.get(layer.name, layer) for layer in self.layers]
        return replace(self, layers=tuple(layers))


def input_layer(name: str, shape: Shape) -> TrainedLayer:
    """Return the input of a network, for samples of a shape."""
    return TrainedLayer(name, InputLayer(batch_input_shape=(None, *shape)), (), shape)


def normalisation(layer: TrainedLayer) -> Tuple[np.ndarray, np.ndarray]:
    """Return scale and shift of batch normalisation: float64 (channels,) each."""
    assert isinstance(layer.layer, BatchNormalization)
    weights: Dict[str, np.ndarray] = {}
    for name, values in layer.weights.items():
        weights[name] = np.asarray(values, np.float64)
    deviation = np.sqrt(weights["moving_variance"] + layer.layer.epsilon)
    scale = weights.get("gamma", 1.0) / deviation
    shift = weights.get("beta", 0.0) - weights["moving_mean"] * scale
    return scale, shift
