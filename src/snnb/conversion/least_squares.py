"""Fit the kernels of a population to calibrated rates: ridge regression towards the trained pre-activations."""

from dataclasses import replace
from typing import List, Mapping, Optional

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from snnb.network.geometry import window_zeros
from snnb.network.layers import Conv2D, Dense
from snnb.network.network import Population, Projection

# The penalty as a share of the mean variance of the inputs of the weights
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
ROWS, WORK = 100_000, 3e10  # largest number of rows (positions of images), and of rows × weights²
ROWS_PER_WEIGHT = 10  # fewer equations for a weight would fit the images, not the rates
RECTIFICATIONS = 4
BLOCK = 1024  # rows in float64 at a time


def is_fitted(projection: Projection) -> bool:
    """Whether a regression changes the kernel: that of a Dense or Conv2D layer."""
    return isinstance(projection.layer, (Conv2D, Dense))


def weights_of_channel(population: Population) -> int:
    """Return the number of weights of a channel that a regression changes."""
    return sum(p.weights().size // population.shape[-1] for p in population.projections if is_fitted(p))


def rows_taken(population: Population, samples: int) -> Optional[slice]:
    """Return the rows, one for each position of each image, that the kernels are fitted to; None if they stay.

    The distance of the rows is odd, so that they are not in the same column of the images.
    """
    weights = weights_of_channel(population)
    if not weights:
        return None
    rows = samples * population.size // population.shape[-1]
    taken = slice(None, None, int(rows / min(ROWS, WORK / weights**2)) | 1)
    return taken if len(range(rows)[taken]) >= ROWS_PER_WEIGHT * weights else None


def windows(population: Population, read: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the inputs of the fitted weights of a channel: float32 (samples × positions, weights).

    `read` has the values of each volume that the population reads, float32 (samples, ...).
    """
    parts: List[np.ndarray] = []
    for projection in filter(is_fitted, population.projections):
        layer, x = projection.layer, read[projection.input]
        parts.append(_patches(layer, x) if isinstance(layer, Conv2D) else x.reshape(-1, x.shape[-1]))
    return np.concatenate(parts, axis=1)


def _patches(layer: Conv2D, x: np.ndarray) -> np.ndarray:
    """Return the windows of a convolution over images (samples, height, width, channels): (windows, weights)."""
    strides, rates = layer.strides, layer.dilation_rate
    rows, columns = window_zeros(x.shape[1:3], layer.kernel_size, strides, rates, layer.padding)
    x = np.pad(x, [(0, 0), rows, columns, (0, 0)])
    reach = [rate * (size - 1) + 1 for rate, size in zip(rates, layer.kernel_size)]
    patches = sliding_window_view(x, reach, (1, 2))  # type: ignore[call-overload]  # numpy 1.23 names one axis
    patches = patches[:, :: strides[0], :: strides[1], :, :: rates[0], :: rates[1]]
    return patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, x.shape[-1] * patches.shape[-1] * patches.shape[-2])


def with_change(population: Population, change: np.ndarray) -> Population:
    """Return the population with a change, (weights, channels), added to its fitted kernels."""
    projections: List[Projection] = []
    for projection in population.projections:
        if is_fitted(projection):
            kernel = np.asarray(projection.kernel)  # in the layout of Keras
            part, change = np.split(change, [kernel.size // population.shape[-1]])
            projection = replace(projection, kernel=kernel + part.reshape(kernel.shape).astype(np.float32))
        projections.append(projection)
    return replace(population, projections=tuple(projections))


def fitted_change(x: np.ndarray, missing: np.ndarray, wanted: Optional[np.ndarray] = None) -> np.ndarray:
    """Return the change of the weights that brings sums closest to the trained ones: float64 (weights, channels).

    `x` has the inputs of the weights, float32 (rows, weights), `missing` the trained sums minus the sums on these
    inputs, float32 (rows, channels). The means are left to the bias: the change minimises the variance of missing -
    x · change, plus ridge × trace(C) / weights × its square, C being the covariance of x. Of `RIDGES` the one is chosen
    with which each half of the rows, which are of other images, is predicted best from the other half.

    `wanted` has the trained pre-activations if a ReLU follows. Where one is negative, any negative sum is right. As
    Zhang et al. 2016 (Accelerating very deep convolutional networks, TPAMI 38:1943), the regression is repeated with
    min(0, current sum) instead of these pre-activations; a repetition does not increase the squared error of the
    rectified sums plus the penalty.
    """
    halves = [(values[: len(x) // 2], values[len(x) // 2 :]) for values in (x, missing)]
    covariances = [(_covariance(half, half), _covariance(half, rest)) for half, rest in zip(*halves)]

    def error(ridge: float) -> float:
        """Return the squared error, less a constant, of each half predicted from the other."""
        changes = (_solution(*half, ridge) for half in covariances)
        others = covariances[::-1]
        return sum(float((c * (inputs @ c - 2 * cross)).sum()) for c, (inputs, cross) in zip(changes, others))

    ridge = min(RIDGES, key=error)
    inputs, cross = (np.mean([half[k] for half in covariances], axis=0) for k in (0, 1))
    change = _solution(inputs, cross, ridge)
    if wanted is None:
        return change
    aimed, spiking_sums = missing, wanted - missing
    for _ in range(RECTIFICATIONS):
        changed: np.ndarray = x @ change.astype(np.float32)
        sums = spiking_sums + changed + (aimed - changed).mean(axis=0)
        aimed = np.where(wanted > 0, missing, np.minimum(sums, 0) - spiking_sums)
        change = _solution(inputs, _covariance(x, aimed), ridge)
    return change


def _covariance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the covariances of the columns of x and y, float64: in float32 they would depend on the processor."""
    mean, total = y.mean(axis=0, dtype=np.float64), np.zeros((x.shape[1], y.shape[1]))
    for first in range(0, len(x), BLOCK):
        rows = slice(first, first + BLOCK)
        centred = y[rows] - mean
        total += (centred if x is y else x[rows].astype(np.float64)).T @ centred  # of one array in half the time
    return total / len(x)


def _solution(inputs: np.ndarray, cross: np.ndarray, ridge: float) -> np.ndarray:
    penalty = ridge * inputs.trace() / len(inputs) or 1.0  # 1: all inputs are constant
    solution: np.ndarray = np.linalg.solve(inputs + penalty * np.eye(len(inputs)), cross)
    return solution
