"""Fit the kernels of a population to calibrated rates.

It is a ridge regression towards the trained pre-activations.
"""

from dataclasses import replace
from typing import List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from snnb.network.geometry import window_zeros
from snnb.network.layers import Conv2D, Dense
from snnb.network.network import Population, Projection

# The penalty as a share of the mean variance of the inputs of the weights
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
# Largest number of rows (positions of images), and of rows × weights²
ROWS = 100_000
WORK = 3e10
ROWS_PER_WEIGHT = 10  # fewer equations for a weight would fit the images, not the rates
RECTIFICATIONS = 4
BLOCK = 1024  # rows in float64 at a time


def is_fitted(projection: Projection) -> bool:
    """Whether a regression changes the kernel: that of a Dense or Conv2D layer.

    All channels of the population read the same inputs, unlike those of groups.
    """
    is_weighted = isinstance(projection.layer, (Conv2D, Dense))
    return is_weighted and projection.geometry.pairing == "dense"


def weights_of_channel(population: Population) -> int:
    """Return the number of weights of a channel that a regression changes."""
    count = 0
    for projection in population.projections:
        if is_fitted(projection):
            count += projection.weights().size // population.shape[-1]
    return count


def fitted_rows(population: Population, samples: int) -> Optional[slice]:
    """Return the rows that the kernels are fitted to; None if the kernels stay.

    There is a row for each position of each image.

    The distance of the rows is odd, so that they are not in the same column of the
    images.
    """
    weights = weights_of_channel(population)
    if not weights:
        return None
    rows = samples * population.size // population.shape[-1]
    distance = int(rows / min(ROWS, WORK / weights**2)) | 1
    rows_to_fit = slice(None, None, distance)
    count = len(range(rows)[rows_to_fit])
    return rows_to_fit if count >= ROWS_PER_WEIGHT * weights else None


def windows(population: Population, read: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the inputs of the fitted weights of a channel.

    The result is float32 (samples × positions, weights).

    `read` has the values of each volume that the population reads, float32 (samples,
    ...).
    """
    parts: List[np.ndarray] = []
    for projection in filter(is_fitted, population.projections):
        layer = projection.layer
        x = read[projection.input]
        if isinstance(layer, Conv2D):
            parts.append(_patches(layer, x))
        else:
            parts.append(x.reshape(-1, x.shape[-1]))
    return np.concatenate(parts, axis=1)


def _patches(layer: Conv2D, x: np.ndarray) -> np.ndarray:
    """Return the windows of a convolution over images: (windows, weights).

    The images are (samples, height, width, channels).
    """
    strides = layer.strides
    rates = layer.dilation_rate
    rows, columns = window_zeros(
        x.shape[1:3],
        layer.kernel_size,
        strides,
        rates,
        layer.padding,
    )
    x = np.pad(x, [(0, 0), rows, columns, (0, 0)])
    reach = [rate * (size - 1) + 1 for rate, size in zip(rates, layer.kernel_size)]
    # numpy 1.23 names one axis
    patches = sliding_window_view(x, reach, (1, 2))  # type: ignore[call-overload]
    patches = patches[:, :: strides[0], :: strides[1], :, :: rates[0], :: rates[1]]
    weights = x.shape[-1] * patches.shape[-1] * patches.shape[-2]
    return patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, weights)


def add_change(population: Population, change: np.ndarray) -> Population:
    """Return the population with a change added to its fitted kernels.

    The change has the shape (weights, channels).
    """
    projections: List[Projection] = []
    for projection in population.projections:
        if is_fitted(projection):
            kernel = np.asarray(projection.kernel)  # in the layout of Keras
            part, change = np.split(change, [kernel.size // population.shape[-1]])
            kernel = kernel + part.reshape(kernel.shape).astype(np.float32)
            projection = replace(projection, kernel=kernel)
        projections.append(projection)
    return replace(population, projections=tuple(projections))


def fit_change(
    x: np.ndarray,
    missing: np.ndarray,
    pre_activations: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Return the change of the weights that brings sums closest to the trained ones.

    The result is float64 (weights, channels).

    `x` has the inputs of the weights, float32 (rows, weights), `missing` the trained
    sums minus the sums on these inputs, float32 (rows, channels). The means are left to
    the bias: the change minimises the variance of missing - x · change, plus ridge ×
    trace(C) / weights × its square, C being the covariance of x. Of `RIDGES` the one is
    chosen with which each half of the rows, which are of other images, is predicted
    best from the other half.

    `pre_activations` has the trained pre-activations if a ReLU follows. Where one is
    negative, any negative sum is right. As Zhang et al. 2016 (Accelerating very deep
    convolutional networks, TPAMI 38:1943), the regression is repeated with min(0,
    current sum) instead of these pre-activations; a repetition does not increase the
    squared error of the rectified sums plus the penalty.
    """
    middle = len(x) // 2
    halves = [
        _half_covariances(x[:middle], missing[:middle]),
        _half_covariances(x[middle:], missing[middle:]),
    ]
    errors = [_prediction_error(halves, ridge) for ridge in RIDGES]
    ridge = RIDGES[int(np.argmin(errors))]
    inputs = np.mean([half.inputs for half in halves], axis=0)
    cross = np.mean([half.cross for half in halves], axis=0)
    change = _solution(inputs, cross, ridge)
    if pre_activations is None:
        return change
    spiking_sums = pre_activations - missing
    target_change = missing
    for _ in range(RECTIFICATIONS):
        sum_change: np.ndarray = x @ change.astype(np.float32)
        mean = (target_change - sum_change).mean(axis=0)
        sums = spiking_sums + sum_change + mean
        target_change = np.where(
            pre_activations > 0,
            missing,
            np.minimum(sums, 0) - spiking_sums,
        )
        change = _solution(inputs, _covariance(x, target_change), ridge)
    return change


class Covariances(NamedTuple):
    """Covariances of half of the rows, float64."""

    inputs: np.ndarray  # of the inputs of weights, (weights, weights)
    cross: np.ndarray  # of these and the sums, (weights, channels)


def _half_covariances(x: np.ndarray, sums: np.ndarray) -> Covariances:
    return Covariances(_covariance(x, x), _covariance(x, sums))


def _prediction_error(halves: Sequence[Covariances], ridge: float) -> float:
    """Return the squared error of each half of the rows, predicted from the other.

    A constant is left out of it.
    """
    error = 0.0
    for half, predicted_half in zip(halves, halves[::-1]):
        change = _solution(half.inputs, half.cross, ridge)
        products = predicted_half.inputs @ change - 2 * predicted_half.cross
        error += float((change * products).sum())
    return error


def _covariance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the covariances of the columns of x and y: float64.

    In float32 they would depend on the processor.
    """
    mean = y.mean(axis=0, dtype=np.float64)
    total = np.zeros((x.shape[1], y.shape[1]))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        deviations = y[rows] - mean
        # The covariance of one array takes half the time
        inputs = deviations if x is y else x[rows].astype(np.float64)
        total += inputs.T @ deviations
    return total / len(x)


def _solution(inputs: np.ndarray, cross: np.ndarray, ridge: float) -> np.ndarray:
    penalty = ridge * inputs.trace() / len(inputs) or 1.0  # 1: all inputs are constant
    matrix = inputs + penalty * np.eye(len(inputs))
    solution: np.ndarray = np.linalg.solve(matrix, cross)
    return solution
