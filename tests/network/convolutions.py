"""Matrices of convolutions, by their definition with plain loops."""

import numpy as np


def convolution_matrix(
    kernel, shape, groups=1, strides=(1, 1), rates=(1, 1), same=True
):
    """Return the weights (inputs, outputs), and the shape of the output.

    `kernel` is (rows, columns, channels of a group, filters), as in Keras; zeros around
    the input are those of TensorFlow's `same` or `valid`.
    """
    height, width, channels = shape
    row_taps, column_taps, channels_read, filters = kernel.shape
    assert channels_read * groups == channels
    top, rows = _places(height, row_taps, strides[0], rates[0], same)
    left, columns = _places(width, column_taps, strides[1], rates[1], same)
    matrix = np.zeros((*shape, rows, columns, filters))
    for row, column, f in np.ndindex(rows, columns, filters):
        group = f // (filters // groups)
        for i, j, k in np.ndindex(row_taps, column_taps, channels_read):
            y = row * strides[0] + i * rates[0] - top
            x = column * strides[1] + j * rates[1] - left
            if 0 <= y < height and 0 <= x < width:
                channel = group * channels_read + k
                matrix[y, x, channel, row, column, f] = kernel[i, j, k, f]
    output_shape = (rows, columns, filters)
    return matrix.reshape(np.prod(shape), np.prod(output_shape)), output_shape


def _places(length, taps, stride, rate, same):
    """Return the zeros before an axis, and the number of outputs."""
    reach = (taps - 1) * rate + 1
    if not same:
        return 0, (length - reach) // stride + 1
    outputs = -(-length // stride)
    return max((outputs - 1) * stride + reach - length, 0) // 2, outputs


def transposed_matrix(kernel, shape, groups, strides, rates, before, output_size):
    """Return the weights (inputs, outputs) of a transposed convolution.

    `kernel` is (rows, columns, filters of a group, channels), as in Keras. Tap 0 of the
    first input meets the position -`before`.
    """
    height, width, channels = shape
    row_taps, column_taps, multiplier, _ = kernel.shape
    matrix = np.zeros((*shape, *output_size, multiplier * groups))
    for y, x, k in np.ndindex(height, width, channels):
        group = k // (channels // groups)
        for i, j, m in np.ndindex(row_taps, column_taps, multiplier):
            row = y * strides[0] + i * rates[0] - before[0]
            column = x * strides[1] + j * rates[1] - before[1]
            if 0 <= row < output_size[0] and 0 <= column < output_size[1]:
                f = group * multiplier + m
                matrix[y, x, k, row, column, f] = kernel[i, j, m, k]
    output_shape = (*output_size, multiplier * groups)
    return matrix.reshape(np.prod(shape), np.prod(output_shape)), output_shape
