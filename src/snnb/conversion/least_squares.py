"""Fit the kernels of a population to calibrated rates.

They are the firing rates, times the scale factors, of the populations that it reads,
which are calibrated already. A ridge regression brings the sums on them as close as
possible to the trained pre-activations.
"""

from dataclasses import replace
from typing import Iterator, List, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from snnb.network.geometry import Axis, Geometry, weights_by_channel
from snnb.network.layers import Conv2D, Dense
from snnb.network.network import Population, Projection

# The penalty as a share of the mean variance of the inputs of the weights
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
# Limits of the number of rows (positions of images), of the inputs of all rows, and of
# multiplications for their covariances, rows × inputs × weights of a channel. They are
# exceeded by less than a factor of 2, since every n-th row is taken, n being odd
ROWS = 100_000
TABLE = 2**26
WORK = 3e10
ROWS_PER_WEIGHT = 10  # fewer equations for a weight would fit the images, not the rates
RECTIFICATIONS = 4
BLOCK = 1024  # rows in float64 at a time


def is_fitted(projection: Projection) -> bool:
    """Whether a regression changes the kernel: that of a Dense or Conv2D layer.

    Those of transposed convolutions stay. In two classifiers of MNIST with two of them,
    with 8 and 16 steps and both ways of firing, a regression changed the squared error
    of the logits by -5 to 4 %. In two with three convolutions in groups, which are
    fitted, it lowered it by 9 to 26 %.
    """
    return isinstance(projection.layer, (Conv2D, Dense))


def weights_of_channel(population: Population) -> int:
    """Return the number of weights of a channel that a regression changes."""
    count = 0
    for projection in filter(is_fitted, population.projections):
        count += projection.weights().size // population.shape[-1]
    return count


def window_size(population: Population) -> int:
    """Return the number of inputs that the fitted weights of a position read."""
    size = 0
    for projection in filter(is_fitted, population.projections):
        row_taps, column_taps, channels, _ = projection.geometry.kernel_shape
        size += row_taps * column_taps * channels
    return size


def fitted_rows(population: Population, samples: int) -> Optional[slice]:
    """Return the rows that the kernels are fitted to; None if the kernels stay.

    There is a row for each position of each image. The distance of the rows is odd, so
    that images whose width is even do not have them all in the same columns.
    """
    weights = weights_of_channel(population)
    if not weights:
        return None
    size = window_size(population)
    rows = samples * population.size // population.shape[-1]
    most_rows = min(ROWS, TABLE / size, WORK / (weights * size))
    distance = int(rows / most_rows) | 1
    rows_to_fit = slice(None, None, distance)
    count = len(range(rows)[rows_to_fit])
    return rows_to_fit if count >= ROWS_PER_WEIGHT * weights else None


def windows(population: Population, read: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the inputs of the fitted weights of each position.

    The result is float32 (samples × positions, `window_size`): of each projection, the
    inputs by row tap, column tap and channel.

    `read` has the values of each volume that the population reads, by the name in
    `Projection.input`: float32 (samples, ...).
    """
    parts: List[np.ndarray] = []
    for projection in filter(is_fitted, population.projections):
        parts.append(_patches(projection.geometry, read[projection.input]))
    return np.concatenate(parts, axis=1)


def _patches(geometry: Geometry, x: np.ndarray) -> np.ndarray:
    """Return the inputs of each position: (samples × positions, taps × channels).

    The images are (samples, height, width, channels). A tap that reads no input of a
    position, such as one in a padding, has 0.
    """
    images = x.reshape(-1, *geometry.input_volume)
    rows = geometry.rows
    columns = geometry.columns
    positions = (len(images), rows.outputs, columns.outputs)
    patches = np.zeros((*positions, *geometry.kernel_shape[:3]), np.float32)
    for row_tap in range(rows.taps):
        row_ends = _ends_of_tap(rows, row_tap)
        for column_tap in range(columns.taps):
            column_ends = _ends_of_tap(columns, column_tap)
            values = images[:, row_ends.inputs, column_ends.inputs]
            patches[
                :,
                row_ends.outputs,
                column_ends.outputs,
                row_tap,
                column_tap,
            ] = values
    return patches.reshape(np.prod(positions), -1)


class TapEnds(NamedTuple):
    """The inputs and the outputs, along an axis, that a tap of the kernel connects.

    They have the same number, and are in the same order.
    """

    inputs: slice
    outputs: slice


def _ends_of_tap(axis: Axis, tap: int) -> TapEnds:
    """Return what a tap connects: its inputs, and its outputs, have equal distances."""
    triples = axis.tap == tap
    return TapEnds(_as_slice(axis.input[triples]), _as_slice(axis.output[triples]))


def _as_slice(numbers: np.ndarray) -> slice:
    """Return the slice of int64 numbers that ascend by equal distances, or of none."""
    if not numbers.size:
        return slice(0, 0)
    distance = 1 if numbers.size == 1 else int(numbers[1] - numbers[0])
    return slice(int(numbers[0]), int(numbers[-1]) + 1, distance)


def fit_population(
    population: Population,
    inputs: np.ndarray,
    errors: np.ndarray,
    pre_activations: Optional[np.ndarray] = None,
) -> Population:
    """Return the population with kernels of which `fit_change` computes the change.

    `inputs` are rows of `windows`. `errors` are the trained sums minus the sums on these
    inputs, and `pre_activations` the trained sums with their bias: float32 (rows,
    channels). Channels that read the same inputs are fitted together, as those of a
    group are. At least one projection is fitted.
    """
    channels = population.shape[-1]
    change = np.zeros((weights_of_channel(population), channels))
    for block in channel_blocks(population):
        block_activations = None
        if pre_activations is not None:
            block_activations = pre_activations[:, block.channels]
        change[:, block.channels] = fit_change(
            inputs[:, block.columns],
            errors[:, block.channels],
            block_activations,
        )
    return add_change(population, change)


class ChannelBlock(NamedTuple):
    """Channels of a population that read the same inputs."""

    channels: slice
    # Their inputs among those of `windows`: int64, or all of them
    columns: Union[slice, np.ndarray]


def channel_blocks(population: Population) -> Iterator[ChannelBlock]:
    """Yield the channels of a population in blocks.

    Of a convolution in two groups and a dense one, which are summed, the block

        filters 0 to n/2 - 1   reads group 0 of the first and all of the second,
        filters n/2 to n - 1   reads group 1 of the first and all of the second.
    """
    fitted_projections = list(filter(is_fitted, population.projections))
    parts = [projection.geometry.parts for projection in fitted_projections]
    block_count = int(np.lcm.reduce(parts))
    if block_count == 1:
        yield ChannelBlock(slice(None), slice(None))
        return
    width = population.shape[-1] // block_count
    for number in range(block_count):
        columns = []
        first_column = 0
        for projection in fitted_projections:
            geometry = projection.geometry
            shape = geometry.kernel_shape[:3]
            size = int(np.prod(shape))
            numbers = np.arange(first_column, first_column + size).reshape(shape)
            part = number * geometry.parts // block_count
            first_channel = part * geometry.channels_read
            read_channels = slice(first_channel, first_channel + geometry.channels_read)
            columns.append(numbers[:, :, read_channels].ravel())
            first_column += size
        channels = slice(number * width, (number + 1) * width)
        yield ChannelBlock(channels, np.concatenate(columns))


def add_change(population: Population, change: np.ndarray) -> Population:
    """Return the population with a change added to its fitted kernels.

    The change has the shape (weights of a channel, channels). The weights are those of
    the fitted projections, one after the other, each by row tap, column tap and channel.
    """
    projections: List[Projection] = []
    for projection in population.projections:
        if is_fitted(projection):
            geometry = projection.geometry
            weights = projection.weights()
            size = weights.size // population.shape[-1]
            part, change = np.split(change, [size])
            kernel_shape = (
                *weights.shape[:2],
                geometry.channels_read,
                geometry.filters,
            )
            part_change = part.reshape(kernel_shape).astype(np.float32)
            weights = weights + weights_by_channel(part_change, geometry.parts)
            projection = projection.replace_weights(weights)
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
    trace(C) / weights × the square of the change, C being the covariance of x. Of
    `RIDGES` the one is chosen with which each half of the rows is predicted best from
    the other half; the halves are of different images, except for the one in the middle.

    `pre_activations` has the trained pre-activations if a ReLU follows. Where one is
    not positive, any negative sum is right. As Zhang et al. 2016 (Accelerating very deep
    convolutional networks, TPAMI 38:1943), the regression is repeated with min(0,
    current sum) instead of these pre-activations. A repetition does not increase the
    penalty plus the squared error, which counts a negative sum as 0 there.
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
    """Return the squared errors of the halves, each predicted from the other.

    They are summed over both halves and the channels, without a constant.
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
