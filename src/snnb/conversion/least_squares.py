"""Ridge regression of kernels on the firing rates that a population reads."""

from dataclasses import replace
from typing import Iterable, List, Mapping, Tuple

import numpy as np
import tensorflow as tf

from snnb.network.layers import Conv2D, Dense
from snnb.network.network import Population, Projection

RIDGE = 1e-3  # as a share of the mean variance of the inputs of the weights
ROWS_PER_WEIGHT = 10  # fewer equations for a weight would fit the images, not the rates


def weights_of_channel(population: Population) -> int:
    """Return the number of weights of a channel that a regression changes: the weights of Dense and Conv2D kernels."""
    return sum(p.weights().size // population.shape[-1] for p in population.projections if _is_fitted(p))


def can_be_fitted(population: Population, samples: int) -> bool:
    """Whether there are enough rows, one for each position of each image, to fit the kernels."""
    rows = samples * population.size // population.shape[-1]
    return 0 < weights_of_channel(population) * ROWS_PER_WEIGHT <= rows


def with_fitted_kernels(
    population: Population, blocks: Iterable[Tuple[Mapping[str, tf.Tensor], np.ndarray]]
) -> Population:
    """Return the population with the kernels whose sums are closest to the sums in the trained network.

    Kernels of depthwise convolutions stay. The mean of each channel is left to the bias.

    Parameters
    ----------
    population : Population
    blocks : iterable of (dict of tf.Tensor, ndarray)
        For blocks of images: the values of each volume that the population reads, float32 (samples, ...), and the
        trained sums minus its own, float32 (samples, *population.shape).
    """
    weights, channels, rows = weights_of_channel(population), population.shape[-1], 0
    gram, cross = np.zeros((weights, weights)), np.zeros((weights, channels))
    read_sum, missing_sum = np.zeros(weights), np.zeros(channels)
    for read, missing in blocks:
        # In float64: subtracting the means below cancels digits; results in float32 would depend on the processor.
        windows = [_windows(p, read[p.input]) for p in population.projections if _is_fitted(p)]
        x = np.concatenate(windows, axis=1).astype(np.float64)
        y = missing.reshape(-1, channels).astype(np.float64)
        rows += len(x)
        gram += x.T @ x
        cross += x.T @ y
        read_sum += x.sum(axis=0)
        missing_sum += y.sum(axis=0)
    gram -= np.outer(read_sum, read_sum) / rows
    cross -= np.outer(read_sum, missing_sum) / rows
    gram[np.diag_indices(weights)] += RIDGE * gram.trace() / weights or 1.0
    change = np.linalg.solve(gram, cross).astype(np.float32)
    projections: List[Projection] = []
    for projection in population.projections:
        if _is_fitted(projection):
            kernel = projection.weights()
            part, change = np.split(change, [kernel.size // channels])
            projection = replace(projection, kernel=kernel + part.reshape(kernel.shape))
        projections.append(projection)
    return replace(population, projections=tuple(projections))


def _is_fitted(projection: Projection) -> bool:
    return isinstance(projection.layer, (Conv2D, Dense))


def _windows(projection: Projection, x: tf.Tensor) -> np.ndarray:
    """Return the inputs of the weights of a channel: float32 (samples × positions, weights)."""
    layer = projection.layer
    if isinstance(layer, Conv2D):
        sizes, strides, rates = ((1, *pair, 1) for pair in (layer.kernel_size, layer.strides, layer.dilation_rate))
        x = tf.image.extract_patches(x, sizes, strides, rates, layer.padding.upper())
    windows: np.ndarray = x.numpy()
    return windows.reshape(-1, windows.shape[-1])
