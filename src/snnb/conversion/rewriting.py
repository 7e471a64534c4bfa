"""Rewrite a network to an equivalent, or nearly equivalent, network of spiking neurons.

Average pooling is composed into the Dense layer that reads it; weights are scaled by one factor for each channel, so
that all thresholds are 1; a softmax is replaced by integrate-and-fire neurons on logits minus their mean over the
classes; a network trained with quantised activations becomes a spiking one.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import List, Mapping

import numpy as np

from snnb.core.errors import InputError
from snnb.forward.analogue import Analogue
from snnb.network.layers import AveragePooling2D, Dense, DepthwiseConv2D, Flatten, MaxPooling2D, Reshape, configured
from snnb.network.network import Network, Population, Projection, Reindexed, Volume, refuse_maximum_of_input

POOLING = ("AveragePooling2D", "MaxPooling2D")  # of values that are not negative
LARGEST_KERNEL = 1 << 24  # weights of a Dense layer, beyond which a pooling keeps its neurons


def compose_pooling(network: Network) -> Network:
    """Return the network without the average poolings that only a Dense layer reads.

    Averages are linear: the Dense kernel takes the mean over each window. Without neurons, they are not rounded to
    spikes, and the longest path of the network has a population less. Raise `InputError` if the network has max
    pooling by the toolbox's rule, whose output depends on the order of arrival, or max pooling of the input.
    """
    refuse_maximum_of_input(network)
    for population in network.populations:
        if isinstance(population.projections[0].layer, MaxPooling2D) and not population.counts_largest:
            raise InputError(
                f"layer {population.name}: max pooling by the toolbox's rule is not supported with --calibrate and "
                "qcfs: use --max-pool exact"
            )
        if len(population.projections) == 1 and isinstance(population.only.layer, Dense) and len(population.shape) == 1:
            network = _composed(network, population)
    return network


def _composed(network: Network, population: Population) -> Network:
    """Compose a Dense layer with the average pooling before it, if only layers that keep the order are between."""
    readers = Counter(read for volume in network.volumes for read in getattr(volume, "inputs", ()))
    name, dense = population.only.input, population.only.layer
    chain: List[Volume] = []
    while True:
        volume = network.volume(name)
        chain.append(volume)
        if readers[name] > 1:
            return network
        if isinstance(volume, Population) and isinstance(volume.projections[0].layer, AveragePooling2D):
            break
        if not (isinstance(volume, Reindexed) and isinstance(volume.layer, (Flatten, Reshape))):
            return network
        (name,) = volume.inputs
    source, pooling = network.volume(volume.only.input), volume
    if source.size * population.size > LARGEST_KERNEL:
        return network
    geometry, units = pooling.only.geometry, population.size
    rows, columns, channels = geometry.output_volume
    shares = population.only.weights().reshape(rows, columns, channels, units)
    shares = shares / geometry.taps()[:, :, np.newaxis, np.newaxis]
    kernel = np.zeros((*geometry.input_volume, units), np.float32)
    for row_in, row_out in zip(geometry.rows.input, geometry.rows.output):
        for column_in, column_out in zip(geometry.columns.input, geometry.columns.output):
            kernel[row_in, column_in] += shares[row_out, column_out]
    flat = Reindexed(chain[0].name, (source.size,), configured(Flatten, {}, population.name), (source.name,))
    projection = Projection(flat.name, dense, dense.geometry((source.size,)), kernel.reshape(-1, units))
    volumes: List[Volume] = []
    for volume in network.volumes:
        if volume is population:
            volumes += [flat, replace(population, projections=(projection,))]
        elif volume not in chain:
            volumes.append(volume)
    return replace(network, volumes=tuple(volumes))


def refuse_pooled_input(network: Network) -> None:
    """Raise `InputError` if a pooling reads the input, whose pixels are not all in [0, 1], the range of its rates."""
    for population in network.populations:
        if population.kind in POOLING and network.input.name in network.senders(population):
            raise InputError(
                f"layer {population.name} pools pixels outside [0, 1], which firing rates cannot represent: begin "
                "with a convolution or a dense layer, or write arrays with pixels in [0, 1]"
            )


@dataclass(frozen=True)
class Channels:
    """Parameters of the neurons of a population: float32 arrays of shape (channels,)."""

    scale: np.ndarray  # the activation that a rate of 1 stands for
    bias: np.ndarray  # in the unit of the activations
    start: np.ndarray  # initial potential as a fraction of the threshold

    def __post_init__(self) -> None:
        assert (self.scale > 0).all(), f"scale factors {self.scale}"


def with_scales(network: Network, channels: Mapping[str, Channels]) -> Network:
    """Return the network whose populations have these scale factors, biases and initial potentials.

    Biases of positions keep their differences from those of channels.

    Each weight is multiplied by the scale factor of its presynaptic channel and divided by the scale factor of its
    postsynaptic one. An average pooling with another factor than the population that it reads becomes a depthwise
    convolution. Raise `InputError` if a layer reads values of different scale factors in one channel.
    """
    populations = []
    for population in network.populations:
        parameters, sources = channels[population.name], presynaptic_scales(network, channels, population)
        projections = [_rescaled(p, source, parameters.scale) for p, source in zip(population.projections, sources)]
        bias, by_position = None, population.position_bias
        if projections[0].kernel is not None:
            bias = parameters.bias if by_position is None else parameters.bias + by_position
            bias = (bias / parameters.scale).astype(np.float32)
        populations.append(
            replace(
                population,
                projections=tuple(projections),
                bias=bias,
                max_value=None,
                initial_potential=parameters.start,
            )
        )
    return network.with_populations(populations)


def source_scales(network: Network, channels: Mapping[str, Channels], name: str) -> np.ndarray:
    """Return the scale factor of each element of a volume: float32, in its shape; padding is negative."""
    volume = network.volume(name)
    if isinstance(volume, Reindexed):
        return volume.layer.apply([source_scales(network, channels, read) for read in volume.inputs])
    scale = channels[name].scale if name in channels else np.float32(1)
    return np.broadcast_to(np.asarray(scale, np.float32), volume.shape)


def pruned(population: Population, share: float) -> Population:
    """Return the population with a fraction of the weights of each projection, the smallest, set to zero."""
    if population.kind == "AveragePooling2D":
        return population
    projections = []
    for projection in population.projections:
        if projection.kernel is not None:
            kernel = np.array(projection.kernel)
            number = int(share * kernel.size + 1e-6)  # 0.29 * 100 is 28.999…
            smallest = np.argsort(np.abs(kernel), axis=None, kind="stable")[:number]
            kernel.ravel()[smallest] = 0
            projection = replace(projection, kernel=kernel)
        projections.append(projection)
    return replace(population, projections=tuple(projections))


def rectified(network: Network) -> Network:
    """Return the network with a ReLU in hidden layers without activation, as spikes have it; itself if it has none."""
    hidden = [p for p in network.populations[:-1] if p.activation == "linear" and p.kind not in POOLING]
    return network.with_populations(replace(p, activation="relu") for p in hidden) if hidden else network


def is_separable(population: Population) -> bool:
    """Whether a population can have any scale factors: it has a kernel, or is an average pooling of full windows."""
    layer = population.projections[0].layer
    if not isinstance(layer, AveragePooling2D):
        return not population.counts_largest
    return bool((population.only.geometry.taps() == layer.pool_size[0] * layer.pool_size[1]).all())


def of_channels(name: str, values: np.ndarray, channels: int) -> np.ndarray:
    """Return the value of each channel, shape (channels,), given positive values of elements, or others in padding.

    Raise `InputError`, with the `name` of the layer that reads them, if a channel has several values.
    """
    by_position = values.reshape(-1, channels)
    highest: np.ndarray = by_position.max(axis=0)
    if not ((by_position == highest) | (by_position <= 0)).all():
        raise InputError(
            f"layer {name} reads values of different scale factors in one channel: concatenate along the channels"
        )
    return highest


def presynaptic_scales(network: Network, channels: Mapping[str, Channels], population: Population) -> List[np.ndarray]:
    """Return for each projection of a population the scale factor of each presynaptic channel."""
    return [
        of_channels(population.name, source_scales(network, channels, p.input), p.geometry.channels)
        for p in population.projections
    ]


def averaging(projection: Projection) -> Projection:
    """Return a depthwise convolution of equal weights, float64, in place of an average pooling of full windows."""
    layer = projection.layer
    assert isinstance(layer, AveragePooling2D)
    kernel = np.full((*layer.pool_size, projection.geometry.channels, 1), 1 / np.prod(layer.pool_size))
    config = {**layer.model_dump(), "kernel_size": layer.pool_size}
    return replace(projection, layer=configured(DepthwiseConv2D, config, layer.kind), kernel=kernel)


def _rescaled(projection: Projection, source: np.ndarray, scale: np.ndarray) -> Projection:
    if isinstance(projection.layer, MaxPooling2D):
        return projection
    if isinstance(projection.layer, AveragePooling2D):
        if np.array_equal(source, scale):
            return projection
        projection = averaging(projection)
    kernel = np.asarray(projection.kernel, np.float64) * source[:, np.newaxis]
    kernel = kernel / (scale.reshape(kernel.shape[-2:]) if projection.geometry.pairing == "diagonal" else scale)
    return replace(projection, kernel=kernel.astype(np.float32))


SHARES = np.linspace(0.2, 1.2, 21).astype(np.float32)  # candidates of the scale factor, as shares of the largest logit


def quantised_network(network: Network, x: np.ndarray, firing: str) -> Network:
    """Return the spiking network of one trained with quantised activations, for as many time steps as levels.

    Its neurons start at half their threshold, and its scale factors are the values at which activations clip. With
    separated firing its rates are the quantised activations. `x` has training images, on which the scale factor of
    a softmax output is chosen. Source: Bu et al. 2022, ICLR (arXiv 2303.04347).
    """
    assert network.levels is not None
    steps = network.levels
    network = compose_pooling(network)
    if network.output.activation == "softmax":
        network = spiking_output(network, x, steps)
    network = network.with_populations(
        replace(population, max_value=None, initial_potential=np.full(population.shape[-1], 0.5, np.float32))
        for population in network.populations
    )
    network = replace(network, steps=steps, levels=None)
    return network.separated(steps) if firing == "separated" else network


def spiking_output(network: Network, x: np.ndarray, steps: int) -> Network:
    """Return the network whose softmax output fires instead; its neurons start at half their threshold.

    The scale factor of the logits is chosen on the training images `x`, float32 (samples, ...), for `steps` time steps.
    """
    network = centred_output(network)
    logits = Analogue(network).outputs(x)
    scale = output_scale(logits, logits.argmax(axis=-1), steps)
    output = network.output
    projections = tuple(replace(p, kernel=np.asarray(p.kernel) / scale) for p in output.projections)
    assert output.bias is not None
    start = np.full(output.shape[-1], 0.5, np.float32)
    fires = replace(output, projections=projections, bias=output.bias / scale, initial_potential=start)
    return network.with_populations([fires])


def centred_output(network: Network) -> Network:
    """Return the network with a linear output of logits minus their mean over the classes, in place of a softmax.

    Raise `InputError` if the softmax reads a layer that has no kernel for each class.
    """
    output = network.output
    projections = []
    for projection in output.projections:
        if projection.kernel is None or projection.geometry.pairing != "dense":
            raise InputError(f"layer {output.name}: spikes instead of a softmax need a Dense or Conv2D layer")
        kernel = np.asarray(projection.kernel, np.float64)
        centred = (kernel - kernel.mean(axis=-1, keepdims=True)).astype(np.float32)
        projections.append(replace(projection, kernel=centred))
    assert output.bias is not None  # it has a kernel
    bias = output.bias - output.bias.mean()
    linear = replace(output, projections=tuple(projections), bias=bias, activation="linear")
    return network.with_populations([linear])


def output_scale(logits: np.ndarray, classes: np.ndarray, steps: int) -> np.float32:
    """Return the scale factor with which the largest rounded logit is most often that of the trained network's class.

    `logits`, float32 (..., classes), have a mean of 0; they are rounded to `steps` levels.
    """
    top = np.float32(logits.max())
    scales = SHARES * (top if top > 0 else np.float32(1))
    levels = (np.clip(np.floor(logits / scale * np.float32(steps) + np.float32(0.5)), 0, steps) for scale in scales)
    agreeing = [np.count_nonzero(level.argmax(axis=-1) == classes) for level in levels]
    best: np.float32 = scales[int(np.argmax(agreeing))]
    return best
