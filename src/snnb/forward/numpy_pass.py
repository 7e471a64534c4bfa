"""The forward pass of the trained network without TensorFlow: currents and activations of populations, with numpy.

The results differ by rounding errors from `snnb.forward.currents`, which computes the same with TensorFlow.
"""

from typing import Dict, Iterator, Tuple

import numpy as np

from snnb.core.progress import Progress, silent
from snnb.network.network import Network, Population, Projection, quantised


def activations(network: Network, pixels: np.ndarray) -> Iterator[Tuple[Population, np.ndarray]]:
    """Yield each population with its activations: float32, shape (samples, *population.shape).

    `pixels` are float32, shape (samples, size of the input). Activations of an integer network are in units of the
    threshold.
    """
    neurons = network.input.size + network.neurons
    held = np.zeros((len(pixels), neurons + 1), np.float32)  # the last column is the zero that padding reads
    held[:, : pixels.shape[1]] = pixels * np.float32(network.pixel)
    first = 0
    for volume, ids in network.ids():
        if isinstance(volume, Population):
            currents = sum(projection_current(p, held[:, read]) for p, read in zip(volume.projections, ids))
            current: np.ndarray = np.asarray(currents).reshape(len(pixels), *volume.shape)
            if volume.bias is not None:
                current = current + volume.bias
            if volume.integer_threshold is not None:
                current = current / volume.integer_threshold
            if volume.activation == "softmax":
                powers = np.exp(current - current.max(axis=-1, keepdims=True))
                current = powers / powers.sum(axis=-1, keepdims=True)
            elif volume.activation == "relu":
                current = np.clip(current, 0, volume.max_value)
                if network.levels is not None:
                    limit = np.float32(volume.max_value or 1)  # of a spiking network: a spike in every time step
                    current = limit * quantised(np.minimum(current / limit, 1), network.levels, np.floor)
            held[:, first : first + volume.size] = current.reshape(len(pixels), -1)
            yield volume, current
        first += volume.size


def projection_current(projection: Projection, values: np.ndarray) -> np.ndarray:
    """Return the current of a projection without the bias: shape (samples, *geometry.output_volume).

    `values` are the activations that it reads, shape (samples, *geometry.input_volume); the current has their dtype.
    """
    geometry, weighting = projection.geometry, projection.layer.WEIGHTING
    rows, columns = geometry.rows, geometry.columns
    kernel = projection.weights() if weighting == "kernel" else None
    start = -np.inf if weighting == "maximum" else 0.0
    current = np.full((len(values), *geometry.output_volume), start, values.dtype)
    for i in range(rows.taps):
        row = rows.tap == i
        row_in, row_out = rows.input[row][:, None], rows.output[row][:, None]
        for j in range(columns.taps):
            column = columns.tap == j
            tapped = values[:, row_in, columns.input[column]]
            where = (slice(None), row_out, columns.output[column])
            if weighting == "maximum":
                current[where] = np.maximum(current[where], tapped)
            elif kernel is None:
                current[where] += tapped
            elif geometry.pairing == "dense":
                current[where] += tapped @ kernel[i, j]
            else:
                current[where] += (tapped[..., None] * kernel[i, j]).reshape(*tapped.shape[:3], -1)
    if weighting == "average":
        current /= np.maximum(geometry.taps(), 1)[:, :, None]
    return current


BLOCK = 1 << 24  # activations in memory at a time
OPERATIONS = 20_000_000_000  # limit of multiplications over all samples


def samples_within(network: Network, samples: int, operations: int = OPERATIONS) -> int:
    """Return the number of samples, at least one, that need at most this number of multiplications."""
    each = sum(int(leaving.sum()) for leaving in network.fan_out().values())
    return max(1, min(samples, operations // max(1, each)))


def mean_activations(
    network: Network, x: np.ndarray, scale: float, progress: Progress = silent
) -> Dict[str, np.ndarray]:
    """Return the mean activation of each neuron over samples: by population, float64 in its shape.

    Weights are normalised: an activation of 1 is a spike in every time step. `x` has the shape (samples, height, width,
    channels); a pixel is value / `scale`.
    """
    nodes = network.input.size + network.neurons
    batch = max(1, BLOCK // nodes)
    sums: Dict[str, np.ndarray] = {population.name: np.zeros(population.shape) for population in network.populations}
    for first in range(0, len(x), batch):
        part = np.asarray(x[first : first + batch], np.float32) / np.float32(scale)
        for population, values in activations(network, part.reshape(len(part), -1)):
            sums[population.name] += values.sum(axis=0, dtype=np.float64)
        progress(min(first + batch, len(x)), len(x))
    return {name: total / max(1, len(x)) for name, total in sums.items()}
