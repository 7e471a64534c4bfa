"""Pooling before calibration: average pooling is composed into a Dense layer that reads it, max pooling refused."""

from dataclasses import replace
from typing import Any, Dict, List, Optional

import numpy as np

from snnb.core.errors import InputError
from snnb.network.layers import AveragePooling2D, Dense, Flatten, MaxPooling2D, Reshape, configured
from snnb.network.network import Network, Population, Projection, Reindexed, Volume

LARGEST_KERNEL = 1 << 24  # weights of a Dense layer, beyond which a pooling keeps its neurons


def compose_pooling(network: Network) -> Network:
    """Return the network without the average poolings that only a Dense layer reads.

    Averages are linear: the Dense kernel takes the mean over each window. Without neurons, they are not rounded to
    spikes, and the longest path of the network has a population less.
    """
    for population in network.populations:
        if len(population.projections) == 1 and isinstance(population.only.layer, Dense) and len(population.shape) == 1:
            network = _composed(network, population)
    return network


def _composed(network: Network, population: Population) -> Network:
    chain = _chain_to_pooling(network, population.only.input)
    if chain is None:
        return network
    *moved, pooling = chain
    source, dense = network.volume(pooling.only.input), population.only.layer
    if source.size * population.size > LARGEST_KERNEL:
        return network
    name = moved[0].name if moved else pooling.name
    flat = Reindexed(name, (source.size,), configured(Flatten, {}, population.name), (source.name,))
    kernel = _expanded(pooling, population.only.weights().reshape(pooling.size, population.size))
    projection = Projection(name, dense, dense.geometry((source.size,)), kernel.astype(np.float32))
    gone = {volume.name for volume in chain}
    volumes: List[Volume] = []
    for volume in network.volumes:
        if volume is population:
            volumes += [flat, replace(population, projections=(projection,))]
        elif volume.name not in gone:
            volumes.append(volume)
    return replace(network, volumes=tuple(volumes))


def refuse_max_pooling(network: Network) -> None:
    """Raise `InputError` if the network has a spiking max pooling, whose output depends on the order of arrival."""
    for population in network.populations:
        if isinstance(population.projections[0].layer, MaxPooling2D):
            raise InputError(
                f"layer {population.name}: spiking max pooling passes on the input that has fired most so far, which "
                "a calibration cannot predict: use --max-pool average with --calibrate"
            )


def _chain_to_pooling(network: Network, name: str) -> Optional[List[Any]]:
    """Return the volumes from `name` back to an average pooling, if each has one reader and keeps the order."""
    readers: Dict[str, int] = {}
    for volume in network.volumes:
        for read in getattr(volume, "inputs", ()):
            readers[read] = readers.get(read, 0) + 1
    chain: List[Volume] = []
    while readers[name] == 1:
        volume = network.volume(name)
        chain.append(volume)
        if isinstance(volume, Population) and isinstance(volume.projections[0].layer, AveragePooling2D):
            return chain
        if not (isinstance(volume, Reindexed) and isinstance(volume.layer, (Flatten, Reshape))):
            return None
        (name,) = volume.inputs
    return None


def _expanded(pooling: Population, kernel: np.ndarray) -> np.ndarray:
    """Return the kernel (inputs of the pooling, units) that takes the mean over the windows first."""
    geometry = pooling.only.geometry
    rows, columns, channels = geometry.output_volume
    shares = kernel.reshape(rows, columns, channels, -1) / geometry.taps()[:, :, np.newaxis, np.newaxis]
    expanded = np.zeros((*geometry.input_volume, kernel.shape[1]), np.float32)
    for row_in, row_out in zip(geometry.rows.input, geometry.rows.output):
        for column_in, column_out in zip(geometry.columns.input, geometry.columns.output):
            expanded[row_in, column_in] += shares[row_out, column_out]
    return expanded.reshape(-1, kernel.shape[1])
