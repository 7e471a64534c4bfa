"""Scale the weights of a network by one factor for each channel, so that all thresholds are 1."""

from dataclasses import dataclass, replace
from typing import List, Mapping

import numpy as np

from snnb.core.errors import InputError
from snnb.network.layers import AveragePooling2D, DepthwiseConv2D, configured
from snnb.network.network import Network, Population, Projection, Reindexed, Volume


@dataclass(frozen=True)
class Channels:
    """Parameters of the neurons of a population: float32 arrays of shape (channels,)."""

    scale: np.ndarray  # the activation that a rate of 1 stands for
    bias: np.ndarray  # in the unit of the activations
    start: np.ndarray  # initial potential as a share of the threshold


def with_scales(network: Network, channels: Mapping[str, Channels]) -> Network:
    """Return the network whose populations have these scale factors, biases and initial potentials.

    Each weight is multiplied by the scale factor of its presynaptic channel and divided by the scale factor of its
    postsynaptic one. An average pooling with another factor than the population that it reads becomes a depthwise
    convolution. Raise `InputError` if a layer reads values of different scale factors in one channel.
    """
    volumes: List[Volume] = []
    for volume in network.volumes:
        if isinstance(volume, Population):
            read = [(p, source_scales(network, channels, p.input)) for p in volume.projections]
            volume = _scaled(volume, [of_channels(volume.name, *one) for one in read], channels[volume.name])
        volumes.append(volume)
    return replace(network, volumes=tuple(volumes))


def source_scales(network: Network, channels: Mapping[str, Channels], name: str) -> np.ndarray:
    """Return the scale factor of each element of a volume: float32, in its shape; padding is negative."""
    volume = network.volume(name)
    if isinstance(volume, Reindexed):
        return volume.layer.apply([source_scales(network, channels, read) for read in volume.inputs])
    scale = channels[name].scale if name in channels else np.float32(1)
    return np.broadcast_to(np.asarray(scale, np.float32), volume.shape)


def pruned(population: Population, share: float) -> Population:
    """Return the population with zeros in place of a share of the weights of each projection, the smallest."""
    if population.kind == "AveragePooling2D":
        return population
    projections = []
    for projection in population.projections:
        if projection.kernel is not None:
            kernel = np.array(projection.kernel)
            smallest = np.argsort(np.abs(kernel), axis=None, kind="stable")[: int(share * kernel.size)]
            kernel.ravel()[smallest] = 0
            projection = replace(projection, kernel=kernel)
        projections.append(projection)
    return replace(population, projections=tuple(projections))


def is_separable(population: Population) -> bool:
    """Whether a population can have any scale factors: it has a kernel, or is a pooling of full windows."""
    layer = population.projections[0].layer
    if not isinstance(layer, AveragePooling2D):
        return True
    return bool((population.only.geometry.taps() == layer.pool_size[0] * layer.pool_size[1]).all())


def of_channels(name: str, projection: Projection, scales: np.ndarray) -> np.ndarray:
    """Return the scale factor of each presynaptic channel, shape (channels,), given the scale factors of the volume."""
    by_position = scales.reshape(-1, projection.geometry.channels)
    highest: np.ndarray = by_position.max(axis=0)
    if not ((by_position == highest) | (by_position < 0)).all():
        raise InputError(
            f"layer {name} reads values of different scale factors in one channel: concatenate along the channels"
        )
    return highest


def _scaled(population: Population, sources: List[np.ndarray], own: Channels) -> Population:
    projections = tuple(_rescaled(p, source, own.scale) for p, source in zip(population.projections, sources))
    bias = None if projections[0].kernel is None else (own.bias / own.scale).astype(np.float32)
    return replace(population, projections=projections, bias=bias, max_value=None, initial_potential=own.start)


def _rescaled(projection: Projection, source: np.ndarray, own: np.ndarray) -> Projection:
    layer, geometry = projection.layer, projection.geometry
    if isinstance(layer, AveragePooling2D):
        if np.array_equal(source, own):
            return projection
        kernel = np.full((*layer.pool_size, len(own), 1), 1 / np.prod(layer.pool_size))
        layer = configured(DepthwiseConv2D, {**layer.model_dump(), "kernel_size": layer.pool_size}, layer.kind)
    else:
        assert projection.kernel is not None
        kernel = np.asarray(projection.kernel, np.float64)
    kernel = kernel * source[:, np.newaxis]
    kernel = kernel / (own.reshape(kernel.shape[-2:]) if geometry.pairing == "diagonal" else own)
    return replace(projection, layer=layer, kernel=kernel.astype(np.float32))
