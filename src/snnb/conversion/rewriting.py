"""Rewrite a network to an equivalent, or nearly equivalent, network of spiking neurons.

Average pooling is composed into the Dense layer that reads it. Weights are scaled by
one factor for each channel, so that all thresholds are 1. A softmax is replaced by
integrate-and-fire neurons on logits minus their mean over the classes. A network that
was trained with quantised activations becomes a spiking one.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Counter as CounterOf
from typing import List, Mapping, Optional

import numpy as np

from snnb.core.errors import InputError
from snnb.forward.analogue import Analogue
from snnb.network.layers import (
    AveragePooling2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    MaxPooling2D,
    Reshape,
    configured,
)
from snnb.network.network import (
    Network,
    Population,
    Projection,
    Reindexed,
    Volume,
    refuse_maximum_of_input,
)

POOLING = ("AveragePooling2D", "MaxPooling2D")  # of values that are not negative
# Number of weights of a Dense layer beyond which the pooling before keeps its neurons
LARGEST_KERNEL = 1 << 24
# Candidates of the scale factor of an output, as shares of the largest logit
OUTPUT_SHARES = np.linspace(0.2, 1.2, 21).astype(np.float32)


def compose_pooling(network: Network) -> Network:
    """Return the network without the average poolings that only a Dense layer reads.

    Averages are linear: the Dense kernel takes the mean over each window. Without
    neurons, they are not rounded to spikes, and the longest path of the network has a
    population less. Raise `InputError` if the network has max pooling by the toolbox's
    rule, whose output depends on the order of arrival, or max pooling of the input.
    """
    refuse_maximum_of_input(network)
    for population in network.populations:
        layer = population.projections[0].layer
        if isinstance(layer, MaxPooling2D) and not population.counts_largest:
            raise InputError(
                f"layer {population.name}: max pooling by the toolbox's rule is not "
                "supported with --calibrate and qcfs: use --max-pool exact"
            )
        is_vector = len(population.shape) == 1 and len(population.projections) == 1
        if is_vector and isinstance(layer, Dense):
            network = _compose_with_pooling(network, population)
    return network


def _compose_with_pooling(network: Network, population: Population) -> Network:
    """Return the network in which a Dense layer takes the means of the pooling before.

    Return it as it is if there is no such pooling, or its kernel would be large.
    """
    chain = _chain_to_pooling(network, population)
    if chain is None:
        return network
    pooling = chain[-1]
    assert isinstance(pooling, Population)
    source = network.volume(pooling.only.input)
    if source.size * population.size > LARGEST_KERNEL:
        return network
    kernel = _kernel_of_means(population, pooling)
    layer = population.only.layer
    flatten = configured(Flatten, {}, population.name)
    flat_shape = (source.size,)
    flat = Reindexed(chain[0].name, flat_shape, flatten, (source.name,))
    geometry = layer.geometry(flat_shape)
    projection = Projection(flat.name, layer, geometry, kernel)
    volumes: List[Volume] = []
    for volume in network.volumes:
        if volume is population:
            volumes.append(flat)
            volumes.append(replace(population, projections=(projection,)))
        elif volume not in chain:
            volumes.append(volume)
    return replace(network, volumes=tuple(volumes))


def _chain_to_pooling(
    network: Network,
    population: Population,
) -> Optional[List[Volume]]:
    """Return the volumes before a Dense layer up to an average pooling, the last one.

    Between them are only layers that keep the order of values, and nothing else reads
    any of them. Return None if there is no such chain.
    """
    readers: CounterOf[str] = Counter()
    for volume in network.volumes:
        readers.update(getattr(volume, "inputs", ()))
    chain: List[Volume] = []
    name = population.only.input
    while readers[name] == 1:
        volume = network.volume(name)
        chain.append(volume)
        if isinstance(volume, Population):
            is_average = isinstance(volume.projections[0].layer, AveragePooling2D)
            return chain if is_average else None
        if not isinstance(volume, Reindexed):
            return None
        if not isinstance(volume.layer, (Flatten, Reshape)):
            return None
        [name] = volume.inputs
    return None


def _kernel_of_means(population: Population, pooling: Population) -> np.ndarray:
    """Return the kernel of a Dense layer on the input of an average pooling.

    It is float32 (neurons of the pooling's input, units).
    """
    geometry = pooling.only.geometry
    units = population.size
    weights = population.only.weights().reshape(*geometry.output_volume, units)
    weights = weights / geometry.taps()[:, :, np.newaxis, np.newaxis]
    kernel = np.zeros((*geometry.input_volume, units), np.float32)
    rows = geometry.rows
    columns = geometry.columns
    for row, window_row in zip(rows.input, rows.output):
        for column, window_column in zip(columns.input, columns.output):
            kernel[row, column] += weights[window_row, window_column]
    return kernel.reshape(-1, units)


def refuse_pooled_input(network: Network) -> None:
    """Raise `InputError` if a pooling reads the input.

    Its pixels are not all in [0, 1], the range of firing rates.
    """
    for population in network.populations:
        reads_input = network.input.name in network.senders(population)
        if reads_input and population.kind in POOLING:
            fault = "pools pixels outside [0, 1], which firing rates cannot represent"
            start = "begin with a convolution or a dense layer"
            raise InputError(
                f"layer {population.name} {fault}: {start}, or write arrays with "
                "pixels in [0, 1]"
            )


@dataclass(frozen=True)
class Channels:
    """Parameters of the neurons of a population, each float32 (channels,)."""

    scale: np.ndarray  # the activation that a rate of 1 stands for
    bias: np.ndarray  # in the unit of the activations
    start: np.ndarray  # initial potential as a fraction of the threshold

    def __post_init__(self) -> None:
        assert (self.scale > 0).all(), f"scale factors {self.scale}"


def with_scales(network: Network, channels: Mapping[str, Channels]) -> Network:
    """Return the network whose populations have these parameters, by name.

    Biases of positions keep their differences from those of channels.

    Each weight is multiplied by the scale factor of its presynaptic channel and divided
    by the scale factor of its postsynaptic one. An average pooling with another factor
    than the population that it reads becomes a depthwise convolution. Raise
    `InputError` if a layer reads values of different scale factors in one channel.
    """
    populations: List[Population] = []
    for population in network.populations:
        parameters = channels[population.name]
        sender_scales = presynaptic_scales(network, channels, population)
        projections: List[Projection] = []
        for projection, sender_scale in zip(population.projections, sender_scales):
            projections.append(_rescale(projection, sender_scale, parameters.scale))
        bias = None
        if projections[0].kernel is not None:
            bias = parameters.bias
            if population.position_bias is not None:
                bias = bias + population.position_bias
            bias = (bias / parameters.scale).astype(np.float32)
        scaled_population = replace(
            population,
            projections=tuple(projections),
            bias=bias,
            max_value=None,
            initial_potential=parameters.start,
        )
        populations.append(scaled_population)
    return network.with_populations(populations)


def source_scales(
    network: Network,
    channels: Mapping[str, Channels],
    name: str,
) -> np.ndarray:
    """Return the scale factor of each element of a volume: float32, in its shape.

    That of padding is negative.
    """
    volume = network.volume(name)
    if isinstance(volume, Reindexed):
        inputs = [source_scales(network, channels, source) for source in volume.inputs]
        return volume.layer.apply(inputs)
    scale = channels[name].scale if name in channels else np.float32(1)
    return np.broadcast_to(np.asarray(scale, np.float32), volume.shape)


def prune(population: Population, share: float) -> Population:
    """Return the population with the smallest weights of each projection set to zero.

    `share` is the fraction of the weights. Average poolings are not pruned.
    """
    if population.kind == "AveragePooling2D":
        return population
    projections: List[Projection] = []
    for projection in population.projections:
        if projection.kernel is None:
            projections.append(projection)
            continue
        kernel = np.array(projection.kernel)
        zeros = int(share * kernel.size + 1e-6)  # 0.29 * 100 is 28.999…
        order = np.argsort(np.abs(kernel), axis=None, kind="stable")
        kernel.ravel()[order[:zeros]] = 0
        projections.append(replace(projection, kernel=kernel))
    return replace(population, projections=tuple(projections))


def rectify(network: Network) -> Network:
    """Return the network with a ReLU in hidden layers without activation.

    Spikes compute such a network. Return the network itself if it has no such layer.
    """
    populations: List[Population] = []
    for population in network.populations[:-1]:
        if population.activation == "linear" and population.kind not in POOLING:
            populations.append(replace(population, activation="relu"))
    return network.with_populations(populations) if populations else network


def is_separable(population: Population) -> bool:
    """Whether a population can have any scale factors.

    It has a kernel, or is an average pooling of full windows.
    """
    layer = population.projections[0].layer
    if not isinstance(layer, AveragePooling2D):
        return not population.counts_largest
    window_size = layer.pool_size[0] * layer.pool_size[1]
    return bool((population.only.geometry.taps() == window_size).all())


def channel_scales(name: str, values: np.ndarray, channels: int) -> np.ndarray:
    """Return the value of each channel, shape (channels,), given those of elements.

    The values are positive; those of padding are not, and do not count. Raise
    `InputError`, with the `name` of the layer that reads them, if a channel has several
    values.
    """
    by_position = values.reshape(-1, channels)
    highest: np.ndarray = by_position.max(axis=0)
    is_padding = by_position <= 0
    if not (is_padding | (by_position == highest)).all():
        raise InputError(
            f"layer {name} reads values of different scale factors in one channel: "
            "concatenate along the channels"
        )
    return highest


def presynaptic_scales(
    network: Network,
    channels: Mapping[str, Channels],
    population: Population,
) -> List[np.ndarray]:
    """Return for each projection the scale factor of each presynaptic channel."""
    scales: List[np.ndarray] = []
    for projection in population.projections:
        element_scales = source_scales(network, channels, projection.input)
        channel_count = projection.geometry.channels
        scales.append(channel_scales(population.name, element_scales, channel_count))
    return scales


def average_kernel(projection: Projection) -> Projection:
    """Return a depthwise convolution in place of an average pooling of full windows.

    Its weights, float64, are equal.
    """
    layer = projection.layer
    assert isinstance(layer, AveragePooling2D)
    kernel_shape = (*layer.pool_size, projection.geometry.channels, 1)
    kernel = np.full(kernel_shape, 1 / np.prod(layer.pool_size))
    config = {**layer.model_dump(), "kernel_size": layer.pool_size}
    convolution = configured(DepthwiseConv2D, config, layer.kind)
    return replace(projection, layer=convolution, kernel=kernel)


def _rescale(
    projection: Projection,
    sender_scale: np.ndarray,
    scale: np.ndarray,
) -> Projection:
    """Return a projection between channels with these scale factors."""
    layer = projection.layer
    if isinstance(layer, MaxPooling2D):
        return projection
    if isinstance(layer, AveragePooling2D):
        if np.array_equal(sender_scale, scale):
            return projection
        projection = average_kernel(projection)
    weights = projection.weights().astype(np.float64) * sender_scale[:, np.newaxis]
    filter_scale = projection.geometry.spread_filters(scale)
    return projection.replace_weights(weights / filter_scale)


def quantised_network(network: Network, x: np.ndarray, firing: str) -> Network:
    """Return the spiking network of one that was trained with quantised activations.

    It has as many time steps as there were levels. Its neurons start at half their
    threshold, and its scale factors are the values at which activations clip. With
    separated firing its rates are the quantised activations. `x` has training images,
    on which the scale factor of a softmax output is chosen. Source: Bu et al. 2022,
    ICLR (arXiv 2303.04347).
    """
    assert network.levels is not None
    steps = network.levels
    network = compose_pooling(network)
    if network.output.activation == "softmax":
        network = spiking_output(network, x, steps)
    populations: List[Population] = []
    for population in network.populations:
        start = _half_threshold(population)
        spiking = replace(population, max_value=None, initial_potential=start)
        populations.append(spiking)
    network = network.with_populations(populations)
    network = replace(network, steps=steps, levels=None)
    return network.separated(steps) if firing == "separated" else network


def spiking_output(network: Network, x: np.ndarray, steps: int) -> Network:
    """Return the network whose softmax output fires instead.

    Its neurons start at half their threshold. The scale factor of the logits is chosen
    on the training images `x`, float32 (samples, ...), for `steps` time steps.
    """
    network = centred_output(network)
    logits = Analogue(network).outputs(x)
    scale = output_scale(logits, logits.argmax(axis=-1), steps)
    output = network.output
    projections: List[Projection] = []
    for projection in output.projections:
        kernel = np.asarray(projection.kernel) / scale
        projections.append(replace(projection, kernel=kernel))
    assert output.bias is not None
    spiking = replace(
        output,
        projections=tuple(projections),
        bias=output.bias / scale,
        initial_potential=_half_threshold(output),
    )
    return network.with_populations([spiking])


def _half_threshold(population: Population) -> np.ndarray:
    """Return an initial potential of ½ for each channel: float32 (channels,)."""
    return np.full(population.shape[-1], 0.5, np.float32)


def centred_output(network: Network) -> Network:
    """Return the network with a linear output in place of a softmax.

    The output has the logits minus their mean over the classes. Raise `InputError` if
    the softmax reads a layer that has no kernel for each class.
    """
    output = network.output
    projections: List[Projection] = []
    for projection in output.projections:
        if projection.kernel is None or projection.geometry.pairing != "dense":
            raise InputError(
                f"layer {output.name}: spikes instead of a softmax need a Dense or "
                "Conv2D layer"
            )
        weights = projection.weights().astype(np.float64)
        weights = weights - weights.mean(axis=-1, keepdims=True)
        projections.append(projection.replace_weights(weights))
    assert output.bias is not None  # it has a kernel
    linear_output = replace(
        output,
        projections=tuple(projections),
        bias=output.bias - output.bias.mean(),
        activation="linear",
    )
    return network.with_populations([linear_output])


def output_scale(logits: np.ndarray, classes: np.ndarray, steps: int) -> np.float32:
    """Return the scale factor with which most samples keep their class.

    The class is that of the largest logit, rounded to `steps` levels; `classes`,
    int64 (...), are those of the trained network. `logits`, float32 (..., classes),
    have a mean of 0.
    """
    largest = np.float32(logits.max())
    scales = OUTPUT_SHARES * (largest if largest > 0 else np.float32(1))
    agreements: List[int] = []
    for scale in scales:
        rounded_logits = np.floor(logits / scale * np.float32(steps) + np.float32(0.5))
        spike_counts = np.clip(rounded_logits, 0, steps)
        is_same_class = spike_counts.argmax(axis=-1) == classes
        agreements.append(np.count_nonzero(is_same_class))
    best: np.float32 = scales[int(np.argmax(agreements))]
    return best
