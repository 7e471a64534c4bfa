"""Make a network of a file of lava-dl, with the fixed-point neurons of Lava.

`lava_file` reads the layers, and `_Builder` makes a population of each layer with
weights, and volumes without neurons between them where values are padded or flattened.
A file is channels first; populations are (row, column, channel).

In Lava each layer is a time step behind the one before it. Here all layers compute the
same step: a sample from zero state is what Lava gives with a reset interval of the
length of the sample, read i steps later in layer i.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional, Tuple, Type

import numpy as np

from snnb.core.errors import InputError
from snnb.model_files.channels_first import (
    ChannelsFirst,
    fit_samples,
    list_places,
    rows_first,
    volume_of,
)
from snnb.model_files.kinds import NotReadError
from snnb.model_files.lava_file import (
    CONVOLUTION,
    DENSE,
    FLATTEN,
    FULL_DECAY,
    INPUT,
    LONGEST_DELAY,
    LavaLayer,
    read_layers,
)
from snnb.model_files.lava_weights import STORED_BITS, store_weights
from snnb.model_files.spiking_model import SpikingModel
from snnb.network.geometry import Shape, window_padding
from snnb.network.layers import (
    Conv2D,
    Convolution2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Reindexing,
    Scale,
    ZeroPadding2D,
    configured,
)
from snnb.network.network import (
    DROPPED,
    Network,
    Population,
    Projection,
    Reindexed,
    Volume,
)
from snnb.network.network import INPUT as INPUT_VOLUME
from snnb.network.neuron import FRACTION, SUM_LIMIT, Neuron


def read_lava_dl(path: Path, samples: Optional[Shape] = None) -> SpikingModel:
    """Read a file of lava-dl as a network.

    `samples` is the shape (height, width, channels) of the samples of the data set, see
    `input_shape`. Raise `InputError` for a network that is not read, with the name of
    the layer, and `DamagedError` for a file that cannot be read.
    """
    try:
        layers = read_layers(path)
        return _Builder(layers, _sample_shape(layers, samples)).network()
    except NotReadError as error:
        raise InputError(f"{path}: {error}") from error


def input_shape(path: Path, samples: Optional[Shape] = None) -> Tuple[int, int, int]:
    """Return the shape (height, width, channels) of the samples of a file of lava-dl.

    `samples`, the shape of the samples of the data set, is returned if the network
    takes them; otherwise the default is. The file states the shape of an image. A
    network whose input is a vector takes samples of any shape with as many elements, in
    the order channels first; by default (1, 1, units). A network that begins with a
    convolution, without an input layer, takes samples of each shape that leads to the
    output of the convolution; by default of the smallest. Raise the errors of
    `read_lava_dl`.
    """
    try:
        return _sample_shape(read_layers(path), samples)
    except NotReadError as error:
        raise InputError(f"{path}: {error}") from error


def _sample_shape(
    layers: List[LavaLayer],
    samples: Optional[Shape],
) -> Tuple[int, int, int]:
    """Return the shape of samples, see `input_shape`."""
    first_layer = layers[0]
    if first_layer.kind == FLATTEN:
        raise first_layer.refuse("is the first layer: the shape of samples is unknown")
    if first_layer.kind == CONVOLUTION:
        return _convolved_shape(first_layer, samples)
    shape = first_layer.shape
    if first_layer.kind != INPUT:  # a dense layer
        assert first_layer.weight is not None
        shape = (first_layer.weight.shape[1],)
    return fit_samples(shape, samples)


def _convolved_shape(
    layer: LavaLayer,
    samples: Optional[Shape],
) -> Tuple[int, int, int]:
    """Return the shape of samples that a first layer, a convolution, reads."""
    assert layer.weight is not None
    channels = layer.weight.shape[1] * layer.groups
    smallest_lengths = []
    for axis in (0, 1):
        span = layer.dilation[axis] * (layer.weight.shape[2 + axis] - 1) + 1
        windows_span = (layer.shape[1 + axis] - 1) * layer.stride[axis] + span
        smallest_lengths.append(max(1, windows_span - 2 * layer.padding[axis]))
    if samples is not None and len(samples) == 3:
        height, width, sample_channels = samples
        has_output = _has_windows(layer, 0, height) and _has_windows(layer, 1, width)
        if sample_channels == channels and has_output:
            return height, width, channels
    return smallest_lengths[0], smallest_lengths[1], channels


def _has_windows(layer: LavaLayer, axis: int, length: int) -> bool:
    """Whether a convolution of `length` rows (axis 0) or columns (1) has its output."""
    assert layer.weight is not None
    _, windows = window_padding(
        size=length,
        kernel=layer.weight.shape[2 + axis],
        stride=layer.stride[axis],
        dilation=layer.dilation[axis],
        padding=(layer.padding[axis], layer.padding[axis]),
    )
    return windows == layer.shape[1 + axis]


class _Builder:
    """Makes the volumes of a network of layers in a file, one after the other.

    `samples` is the shape (height, width, channels) of samples. `NotReadError` names a
    layer that does not fit those before it.
    """

    def __init__(self, layers: List[LavaLayer], samples: Tuple[int, int, int]) -> None:
        self._layers = layers
        height, width, channels = samples
        # The volume that the next layer reads, and its shape in the file. The shape of
        # an image remains after a flatten layer, so that a dense layer finds its
        # weights
        self._volume: Volume = Volume(INPUT_VOLUME, samples)
        self._layout: ChannelsFirst = (channels, height, width)
        # Whether the next layer reads a vector: it must be dense
        first_layer = layers[0]
        reads_vector = first_layer.kind != CONVOLUTION and len(first_layer.shape) == 1
        self._is_flat = reads_vector
        self._volumes: List[Volume] = [self._volume]  # so far
        # See `SpikingModel`
        self._exponents: Dict[str, int] = {}
        self._notes: List[str] = []
        # Bits of a weight with its sign: those of dense layers, or more of a convolution
        self._weight_bits = STORED_BITS

    def network(self) -> SpikingModel:
        """Make the volumes, and return the network; its output is the last population.

        Weights of 0 are no synapses.
        """
        dense_layers = [layer for layer in self._layers if layer.kind == DENSE]
        for layer in dense_layers:
            if layer.neuron is None and layer is not self._layers[-1]:
                raise layer.refuse(
                    "has no neuron, so that it never spikes: only the last layer may "
                    "have none"
                )
        for layer in self._layers:
            if layer.kind == INPUT:
                self._add_input(layer)
            elif layer.kind == FLATTEN:
                self._is_flat = True
            elif layer.kind == CONVOLUTION:
                self._add_convolution(layer)
            else:
                self._add_dense(layer)
            self._note_truncation(layer)
        populations = [v for v in self._volumes if isinstance(v, Population)]
        if not populations:
            raise NotReadError("has no layer with neurons")
        has_zeros = any(population.has_zeros for population in populations)
        network = Network(
            tuple(self._volumes),
            weight_bits=self._weight_bits,
            zeros=DROPPED if has_zeros else None,
        )
        return SpikingModel(network, self._exponents, self._notes)

    def _add_input(self, layer: LavaLayer) -> None:
        """Add the neurons of an input if it has any: their bias is 2 w pixel - w + b."""
        if layer.number:
            raise layer.refuse("is not the first layer")
        if layer.neuron is None:
            return
        assert layer.weight is not None
        scale = configured(Scale, {}, layer.name)
        geometry = scale.geometry(self._volume.shape)
        channels = self._volume.shape[-1]
        kernel = _fill_channels(layer, "weight", 2 * layer.weight, channels)
        bias = _fill_channels(layer, "bias", layer.bias - layer.weight, channels)
        projection = Projection(
            self._volume.name,
            scale,
            geometry,
            kernel.reshape(scale.kernel_shape(geometry)),
        )
        self._add_population(layer, self._volume.shape, [projection], bias)

    def _add_convolution(self, layer: LavaLayer) -> None:
        """Add the neurons of a convolution, and the padding of what it reads."""
        weight = layer.weight
        assert weight is not None
        if self._is_flat:
            raise layer.refuse("follows a dense layer or flatten: it reads images")
        channels = self._layout[0]
        if weight.shape[1] * layer.groups != channels or weight.shape[0] % layer.groups:
            raise layer.refuse(
                f"has weights of shape {weight.shape} in {layer.groups} groups, and "
                f"reads {channels} channels"
            )
        self._add_padding(layer)
        kind, config = _convolution_config(layer, channels)
        convolution = configured(kind, config, layer.name)
        geometry = convolution.geometry(self._volume.shape)
        filters, height, width = volume_of(layer.shape)
        if geometry.shape != (height, width, filters):
            fault = f"has the output {layer.shape}, not (channels, height, width)"
            computed_shape = (geometry.shape[2], *geometry.shape[:2])
            raise layer.refuse(f"{fault} = {computed_shape} of its weights and input")
        # From (filter, channel of the group, row, column) to Keras's order
        kernel = weight.transpose(2, 3, 1, 0)
        if kind is DepthwiseConv2D:
            multiplier = filters // channels
            kernel = kernel.reshape(*kernel.shape[:2], channels, multiplier)
        largest = int(np.abs(weight).max())
        self._weight_bits = max(self._weight_bits, largest.bit_length() + 1)
        projection = Projection(
            self._volume.name,
            convolution,
            geometry,
            kernel.reshape(convolution.kernel_shape(geometry)).astype(np.float32),
        )
        self._layout = (filters, height, width)
        self._add_population(layer, geometry.shape, [projection])

    def _add_padding(self, layer: LavaLayer) -> None:
        """Pad the volume that a convolution reads."""
        if any(layer.padding):
            rows, columns = layer.padding
            padding = ((rows, rows), (columns, columns))
            self._reindex(configured(ZeroPadding2D, {"padding": padding}, layer.name))

    def _add_dense(self, layer: LavaLayer) -> None:
        """Add the neurons of a dense layer, with the weights that Lava stores."""
        weight = layer.weight
        assert weight is not None
        if not self._is_flat and self._layout[1:] != (1, 1):
            raise layer.refuse("follows an image without flatten")
        units, inputs = weight.shape
        if inputs != self._volume.size:
            raise layer.refuse(
                f"has weights for {inputs} inputs, and reads {self._volume.size}"
            )
        arrays = [weight]
        if layer.recurrent_weight is not None:
            arrays.append(layer.recurrent_weight)
        stored = store_weights(arrays)
        if stored is None:
            lowest = min(array.min() for array in arrays)
            highest = max(array.max() for array in arrays)
            raise layer.refuse(
                f"has weights from {lowest} to {highest}, which Lava cannot store in 8 "
                "bits"
            )
        sums = sum(np.abs(array).sum(axis=1) for array in stored.arrays)
        if np.max(sums) >= SUM_LIMIT:
            raise layer.refuse("has sums of weights beyond 24 bits")
        self._exponents[layer.name] = stored.exponent
        if stored.changed_values:
            count = sum(array.size for array in arrays)
            self._notes.append(
                f"{layer.name}: {stored.changed_values:,} of {count:,} weights are "
                f"stored as other numbers (8 bits, exponent {stored.exponent})"
            )
        if len(self._volume.shape) > 1:
            self._reindex(Flatten())
        columns = list_places(self._layout)
        weights = stored.arrays[0][:, columns]
        delays = np.broadcast_to(layer.delay, weight.shape)[:, columns]
        projections = self._dense_projections(layer, weights, delays)
        if layer.recurrent_weight is not None:
            source = Volume(layer.name, (units,))
            recurrent = _dense_projection(source, layer, stored.arrays[1], delay=1)
            projections.append(recurrent)
        self._layout = (units, 1, 1)
        self._is_flat = True
        self._add_population(layer, (units,), projections)

    def _dense_projections(
        self,
        layer: LavaLayer,
        weights: np.ndarray,
        delays: np.ndarray,
    ) -> List[Projection]:
        """Return the projections from the volume before, one for each delay.

        `weights` and `delays` are (units, inputs), the inputs in the order of the
        volume. A projection has the weights with its delay, and 0 in place of the
        others.
        """
        if delays.max() > LONGEST_DELAY:
            self._notes.append(
                f"{layer.name}: delays beyond {LONGEST_DELAY} time steps, the longest "
                f"of Lava, are {LONGEST_DELAY}"
            )
            delays = np.minimum(delays, LONGEST_DELAY)
        projections = []
        for delay in np.unique(delays[weights != 0]).tolist():
            delayed_weights = np.where(delays == delay, weights, 0)
            projection = _dense_projection(self._volume, layer, delayed_weights, delay)
            projections.append(projection)
        if not projections:  # Lava stores all weights as 0, see `store_weights`
            projections.append(_dense_projection(self._volume, layer, weights, 0))
        return projections

    def _add_population(
        self,
        layer: LavaLayer,
        shape: Shape,
        projections: List[Projection],
        bias: Optional[np.ndarray] = None,
    ) -> None:
        """Add the neurons of a layer; the next layer reads them.

        `bias`, float32 (channels,), is that of an input, which is added to the pixels.
        The bias of another layer is the offset of its neurons.
        """
        neuron = self._neuron(layer, shape)
        if bias is not None:  # pixels are no synaptic current, and do not decay
            neuron = replace(
                neuron, current_decay_factor=np.zeros(()), offset=np.zeros(())
            )
        population = Population(
            layer.name,
            shape,
            projections[0].layer.kind if len(projections) == 1 else "Add",
            tuple(projections),
            np.zeros(shape[-1], np.float32) if bias is None else bias,
            "linear",
            neuron=neuron,
        )
        try:
            neuron.check(shape)
        except ValueError as error:
            raise layer.refuse(f"has parameters that do not fit: {error}") from None
        self._volumes.append(population)
        self._volume = population

    def _neuron(self, layer: LavaLayer, shape: Shape) -> Neuron:
        """Return the neurons of a layer, whose population has a shape.

        A layer without neurons in the file has some that do not spike: their potential,
        the sum of all currents so far and the bias, is read.
        """
        offset = self._reorder(layer.bias, shape)
        if layer.neuron is None:
            return Neuron(
                threshold=1.0,
                decay_factor=0.0,
                offset=offset,
                current_decay_factor=1.0,
                reset_potential=0.0,
                is_spiking=False,
                fixed_point=True,
            )
        kept_voltage = FULL_DECAY - layer.neuron.v_decay
        kept_current = FULL_DECAY - layer.neuron.i_decay
        threshold = self._reorder(layer.neuron.threshold, shape)
        return Neuron(
            # Lava's neurons spike above the threshold: from the next number on
            threshold=threshold + 1 / FRACTION,
            decay_factor=self._reorder(kept_voltage, shape) / FULL_DECAY,
            offset=offset,
            current_decay_factor=self._reorder(kept_current, shape) / FULL_DECAY,
            reset_potential=0.0,
            fixed_point=True,
        )

    def _reorder(self, values: np.ndarray, shape: Shape) -> np.ndarray:
        """Return numbers of a layer, (channels,) or (neurons,), for its population.

        Numbers of the neurons of a population with rows and columns are put into its
        order and shape. Others are returned as they are, so that `Neuron.check` finds
        those that do not fit.
        """
        if values.size == math.prod(shape) and len(shape) > 1:
            return rows_first(values.reshape(self._layout)).reshape(shape)
        return values

    def _reindex(self, layer: Reindexing) -> None:
        """Add the volume of a layer without neurons; the next layer reads it."""
        shape = layer.output_shape([self._volume.shape])
        name = f"{self._volume.name}:{layer.kind}"
        self._volume = Reindexed(name, shape, layer, (self._volume.name,))
        self._volumes.append(self._volume)

    def _note_truncation(self, layer: LavaLayer) -> None:
        """Note how many numbers of a layer in the file are not whole."""
        if layer.truncated_values:
            self._notes.append(
                f"{layer.name}: {layer.truncated_values:,} weights, biases and delays "
                "are not whole numbers; they are rounded towards 0, as in Lava"
            )


def _fill_channels(
    layer: LavaLayer,
    name: str,
    values: np.ndarray,
    channels: int,
) -> np.ndarray:
    """Return one number, or one for each channel, of an input as float32 (channels,).

    `name` is what a refusal calls the numbers.
    """
    if values.size not in (1, channels):
        raise layer.refuse(
            f"has {values.size} numbers as {name}: one, or one for each channel, is "
            "read"
        )
    return np.resize(values, channels).astype(np.float32)


def _convolution_config(
    layer: LavaLayer,
    channels: int,
) -> Tuple[Type[Convolution2D], Dict[str, object]]:
    """Return the class and the configuration of a convolution that reads `channels`.

    A group for each channel is a depthwise convolution.
    """
    assert layer.weight is not None
    filters = layer.weight.shape[0]
    config: Dict[str, object] = {
        "kernel_size": layer.weight.shape[2:],
        "strides": layer.stride,
        "dilation_rate": layer.dilation,
    }
    if layer.groups == channels > 1:
        config["depth_multiplier"] = filters // channels
        return DepthwiseConv2D, config
    config["filters"] = filters
    if layer.groups > 1:
        config["groups"] = layer.groups
    return Conv2D, config


def _dense_projection(
    source: Volume,
    layer: LavaLayer,
    weights: np.ndarray,
    delay: int,
) -> Projection:
    """Return the projection from `source` of weights (units, inputs) of a layer.

    The inputs are in the order of `source`; `delay` is in time steps.
    """
    dense = configured(Dense, {"units": len(weights)}, layer.name)
    geometry = dense.geometry(source.shape)
    kernel = np.ascontiguousarray(weights.T, np.float32)
    return Projection(source.name, dense, geometry, kernel, delay)
