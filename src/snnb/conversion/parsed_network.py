"""The network that the parser builds: its volumes, and the names of its layers."""

import heapq
from dataclasses import replace
from itertools import count
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError
from snnb.conversion.parsed_values import Affine, Deferred, Term
from snnb.core.machine import require_memory
from snnb.network.geometry import Shape, weights_by_channel, window_padding
from snnb.network.layers import (
    LAYER_KINDS,
    Flatten,
    Reindexing,
    Reshape,
    ZeroPadding2D,
)
from snnb.network.network import (
    INPUT,
    Network,
    Population,
    Projection,
    Reindexed,
    Volume,
)


class Step(NamedTuple):
    """A layer of the parsed model's file; its number there begins a volume's name.

    A population is one layer. A sum of several terms is a layer without activation for
    each, an `Add` and an activation.
    """

    title: str  # kind and shape
    position: int  # index of the trained layer that it comes from
    inputs: Tuple[str, ...]  # keys of the steps that it reads


def step_title(kind: str, shape: Shape) -> str:
    """Return the end of a layer's name: `Conv2D_8x8x4` of a kind and a shape."""
    return f"{kind}_{'x'.join(map(str, shape))}"


class NetworkBuilder:
    """Collects the volumes of the parsed network.

    A volume has a key as its name until `build` names those on which the output
    depends. `levels` is that of the trained network.
    """

    def __init__(self, shape: Shape, levels: Optional[int]) -> None:
        self.input = Volume(INPUT, shape)
        self._levels = levels
        self._steps: Dict[str, Step] = {INPUT: Step("", -1, ())}
        self._volumes: Dict[str, Volume] = {INPUT: self.input}
        # By key, whether no value of the volume can be negative
        self._nonnegative: Dict[str, bool] = {INPUT: False}

    def is_nonnegative(self, volume: Volume) -> bool:
        """Whether no value of a volume can be negative."""
        return self._nonnegative[volume.name]

    def position(self, volume: Volume) -> int:
        """Return the index of the trained layer that a volume comes from."""
        return self._steps[volume.name].position

    def source(self, volume: Reindexed) -> Volume:
        """Return the first volume that a volume without neurons reads."""
        return self._volumes[volume.inputs[0]]

    def add_placeholder(self, kind: str, shape: Shape, position: int) -> Volume:
        """Add a population in place of a layer that cannot be converted.

        So the reasons of all such layers are found before the conversion fails.
        """
        key = self._add_step(kind, position, ())
        volume = Population(key, shape, kind, (), np.zeros(1), "relu")
        return self._add_volume(volume, is_nonnegative=True)

    def add_layer(self, value: Deferred, inputs: Sequence[Volume]) -> Volume:
        """Add the volume of a layer without weights, which reads `inputs`."""
        names = tuple(volume.name for volume in inputs)
        layer = value.layer
        title = value.title or step_title(layer.kind, value.shape)
        key = self._add_step(title, value.position, names)
        if isinstance(layer, Reindexing):
            volume: Volume = Reindexed(key, value.shape, layer, names)
        else:
            geometry = layer.geometry(inputs[0].shape)
            projections = (Projection(names[0], layer, geometry),)
            kind = layer.kind
            volume = Population(key, value.shape, kind, projections, None, "linear")
        is_nonnegative = all(self._nonnegative[name] for name in names)
        return self._add_volume(volume, is_nonnegative)

    def add_population(
        self,
        value: Affine,
        activation: str,
        max_value: Optional[float],
        position: int,
    ) -> Volume:
        """Add the population whose input current is an affine value.

        `max_value` is the value at which activations are clipped; `position` is the
        index of the trained layer with the activation. Raise `NotComposableError` if
        Keras has no layer for a term.
        """
        bias = value.bias.astype(np.float32)
        if bias.ndim > 1 and (bias == bias[0, 0]).all():
            bias = bias[0, 0]
        adds_positions = bias.ndim > 1  # the bias of each, by a BatchNormalization
        is_sum = len(value.terms) > 1
        layer_activation = activation
        if is_sum or adds_positions or max_value is not None:
            layer_activation = "linear"  # the activation is a layer of the file
        projections: List[Projection] = []
        for term in value.terms:
            config = {
                "activation": layer_activation,
                "use_bias": not projections and not adds_positions,
            }
            projections.append(self._projection(term, value.shape, config))
        keys: List[str] = []
        for term, projection in zip(value.terms, projections):
            title = step_title(projection.layer.kind, value.shape)
            read_keys = [projection.input]
            keys.append(self._add_step(title, term.kernel.position, read_keys))
        end_kinds = []  # of the layers after those of the terms
        if is_sum:
            end_kinds.append("Add")
        if adds_positions:
            end_kinds.append("BatchNormalization")
        if max_value is not None:
            end_kinds.append("ReLU")
        elif end_kinds and activation != "linear":
            end_kinds.append("Activation")
        for end_kind in end_kinds:
            title = step_title(end_kind, value.shape)
            keys = [self._add_step(title, position, keys)]
        population = Population(
            keys[0],
            value.shape,
            "Add" if is_sum else projections[0].layer.kind,
            tuple(projections),
            bias,
            activation,
            max_value,
        )
        return self._add_volume(population, is_nonnegative=activation == "relu")

    def build(self, output: Volume) -> Network:
        """Return the network of the volumes that an output depends on.

        Raise `NotComposableError` if a hidden layer has a softmax.
        """
        names = self._names(output.name)
        volumes: List[Volume] = []
        for key, name in names.items():
            if key not in self._volumes:
                continue
            volume = replace(self._volumes[key], name=name)
            subject = f"the {volume.size:,} neurons of layer {name}"
            require_memory(8 * volume.size, subject)
            if isinstance(volume, Population):
                projections = []
                for projection in volume.projections:
                    source = names[projection.input]
                    projections.append(replace(projection, input=source))
                volume = replace(volume, projections=tuple(projections))
            elif isinstance(volume, Reindexed):
                inputs = tuple(names[read_key] for read_key in volume.inputs)
                volume = replace(volume, inputs=inputs)
            volumes.append(volume)
        network = Network(tuple(volumes), levels=self._levels)
        read_out = volumes[-1]
        while isinstance(read_out, Reindexed) and keeps_order(read_out):
            read_out = network.volume(read_out.inputs[0])
        for population in network.populations:
            if population.activation == "softmax" and population is not read_out:
                raise NotComposableError(
                    "softmax in a hidden layer: only the output layer may have softmax",
                )
        return network

    def _names(self, output: str) -> Dict[str, str]:
        """Return the names, `NNKind_shape`, of the steps of an output, by key.

        The order is topological; among steps that could be next, the one of the
        earliest trained layer comes first.
        """
        readers: Dict[str, List[str]] = {}
        unread_inputs: Dict[str, int] = {}
        stack = [output]
        while stack:
            key = stack.pop()
            if key in unread_inputs:
                continue
            inputs = self._steps[key].inputs
            unread_inputs[key] = len(inputs)
            stack += inputs
            for source in inputs:
                readers.setdefault(source, []).append(key)
        names: Dict[str, str] = {}
        arrivals = count(1)
        heap = [(-1, 0, INPUT)]  # position, time of arrival, key
        while heap:
            *_, key = heapq.heappop(heap)
            number = len(names) - 1
            names[key] = f"{number:02d}{self._steps[key].title}" if names else INPUT
            for reader in readers.get(key, []):
                unread_inputs[reader] -= 1
                if unread_inputs[reader] == 0:
                    position = self._steps[reader].position
                    heapq.heappush(heap, (position, next(arrivals), reader))
        return names

    def _add_step(self, title: str, position: int, inputs: Sequence[str]) -> str:
        """Add a step; return its key."""
        key = str(len(self._steps))
        self._steps[key] = Step(title, position, tuple(inputs))
        return key

    def _add_volume(self, volume: Volume, is_nonnegative: bool) -> Volume:
        self._volumes[volume.name] = volume
        self._nonnegative[volume.name] = is_nonnegative
        return volume

    def _projection(
        self,
        term: Term,
        shape: Shape,
        config: Dict[str, object],
    ) -> Projection:
        """Return the projection of a term, for an output of a shape.

        `config` is that of a Keras layer, without what follows from the kernel.
        """
        kernel = _keras_kernel(term.kernel, shape)
        source = term.source
        filters = kernel.weights.shape[-1]
        config.update(units=filters, filters=filters, depth_multiplier=filters)
        config.update(groups=kernel.groups)
        if kernel.transposed is not None:
            config = {**kernel.transposed.model_dump(), **config}
        elif kernel.kind != "Dense":
            padding = _keras_padding(kernel, source.shape, shape)
            if padding is None:
                source = self._pad(source, kernel, shape)
            config.update(
                kernel_size=kernel.size,
                strides=kernel.strides,
                dilation_rate=kernel.dilation,
                padding=padding or "valid",
            )
        layer = LAYER_KINDS[kernel.kind].model_validate(config)
        geometry = layer.geometry(source.shape)
        weights = weights_by_channel(kernel.weights, kernel.groups)
        stored_weights = layer.store_weights(weights, geometry)
        return Projection(source.name, layer, geometry, stored_weights)

    def _pad(self, source: Volume, kernel: Kernel, shape: Shape) -> Volume:
        """Add the zero padding of a volume that a kernel reads, and return it.

        `shape` is that of the kernel's output.
        """
        rows, columns = kernel.zeros_around(source.shape, shape)
        layer = ZeroPadding2D(padding=(rows, columns))
        padded_shape = layer.output_shape([source.shape])
        padding = Deferred(layer, kernel.position, (), padded_shape)
        return self.add_layer(padding, [source])


def keeps_order(volume: Reindexed) -> bool:
    """Whether a volume has the values of its input in the same order."""
    return isinstance(volume.layer, (Flatten, Reshape))


def _keras_kernel(kernel: Kernel, shape: Shape) -> Kernel:
    """Return the kernel of a Keras layer that computes an output of a shape.

    Raise `NotComposableError` if there is none.
    """
    if kernel.kind == IDENTITY:
        if len(shape) != 3:
            raise NotComposableError(
                "connects units of a Dense layer one to one, which only feature maps "
                "support: use a Dense layer"
            )
        weights = kernel.weights.reshape(1, 1, -1, 1)
        kernel = Kernel("DepthwiseConv2D", weights, kernel.position)
    rows, columns = kernel.strides
    if kernel.kind == "DepthwiseConv2D" and rows != columns:
        raise NotComposableError(
            f"has strides of {rows} × {columns} for each channel, which are not "
            "supported: use equal strides, or insert a relu before it",
        )
    return kernel


def _keras_padding(kernel: Kernel, source: Shape, output: Shape) -> Optional[str]:
    """Return Keras's padding with the zeros that a kernel reads around its input.

    `source` and `output` are the shapes of input and output. Return None if Keras has
    no such padding.
    """
    axes = list(zip(source, kernel.size, kernel.strides, kernel.dilation))
    kernel_padding = list(zip(kernel.before, output))
    for padding in (kernel.padding, "valid", "same"):
        if [window_padding(*axis, padding) for axis in axes] == kernel_padding:
            return padding
    return None
