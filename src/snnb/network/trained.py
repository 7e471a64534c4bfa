"""The network that was trained: layers in topological order.

Kinds, settings and weights have Keras's names.
"""

from dataclasses import dataclass, field, replace
from typing import Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.network.geometry import Shape
from snnb.network.layers import BatchNormalization, InputLayer, KerasLayer


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


@dataclass(frozen=True, eq=False)
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
