"""Operations of TensorFlow for each layer kind of a network.

The toolbox uses the same operations of Keras. Other operations would round differently
and shift some spikes.
"""

from typing import Callable, Mapping, Optional, Sequence, Type, Union

import numpy as np

from snnb.core.quiet_tensorflow import tensorflow as tf
from snnb.network.geometry import Shape
from snnb.network.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Layer,
    MaxPooling2D,
    Permute,
    Reindexing,
    Reshape,
    Scale,
    ZeroPadding2D,
)
from snnb.network.network import Projection, Reindexed


def multiply_dense(layer: Dense, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return the products with a matrix, over the last axis."""
    if x.shape.rank == 2:
        return tf.matmul(x, kernel)
    return tf.tensordot(x, kernel, 1)


def scale(layer: Scale, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return the products with a factor for each neuron, or for each channel."""
    positions = x.shape[1:-1] if layer.by_position else ()
    return x * tf.reshape(kernel, (*positions, -1))


# TensorFlow does not support all strides with dilations: such a convolution is computed
# with strides of 1 and subsampled.
def convolve(layer: Conv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return a convolution, of each group for itself."""
    if layer.groups > 1:
        return _convolve_groups(convolve, layer, x, kernel)
    rows, columns = layer.strides
    padding = layer.padding.upper()
    dilations = layer.dilation_rate
    if max(rows, columns) > 1 and max(dilations) > 1:
        sums = tf.nn.convolution(x, kernel, (1, 1), padding, dilations=dilations)
        return sums[:, ::rows, ::columns]
    return tf.nn.convolution(x, kernel, (rows, columns), padding, dilations=dilations)


def _convolve_groups(
    convolve_group: Callable[..., tf.Tensor],
    layer: Union[Conv2D, Conv2DTranspose],
    x: tf.Tensor,
    kernel: tf.Tensor,
) -> tf.Tensor:
    """Return the filters of all groups, each convolved by `convolve_group`."""
    images = tf.split(x, layer.groups, axis=-1)
    kernels = tf.split(kernel, layer.groups, axis=-1)
    filters = layer.filters // layer.groups
    group = layer.model_copy(update={"groups": 1, "filters": filters})
    sums = [convolve_group(group, *pair) for pair in zip(images, kernels)]
    return tf.concat(sums, axis=-1)


def convolve_transposed(
    layer: Conv2DTranspose,
    x: tf.Tensor,
    kernel: tf.Tensor,
) -> tf.Tensor:
    """Return a transposed convolution, of each group for itself.

    TensorFlow does not support dilations on processors: the kernel gets taps of 0.
    """
    if layer.groups > 1:
        return _convolve_groups(convolve_transposed, layer, x, kernel)
    shape = tuple(x.shape[1:])
    rows, columns = layer.kernel_size
    row_rate, column_rate = layer.dilation_rate
    taps = ((rows - 1) * row_rate + 1, (columns - 1) * column_rate + 1)
    tap_numbers = np.moveaxis(np.indices((rows, columns)), 0, -1)
    places = tap_numbers * layer.dilation_rate
    dilated_kernel = tf.scatter_nd(places, kernel, (*taps, *kernel.shape[2:]))
    height = (shape[0] - 1) * layer.strides[0] + taps[0]
    width = (shape[1] - 1) * layer.strides[1] + taps[1]
    output_shape = (tf.shape(x)[0], height, width, layer.filters)
    windows: tf.Tensor = tf.nn.conv2d_transpose(
        x,
        dilated_kernel,
        output_shape,
        layer.strides,
        "VALID",
    )
    (top, bottom), (left_columns, right_columns) = layer.cut_margins(shape)
    zeros = [(0, 0), (0, max(-bottom, 0)), (0, max(-right_columns, 0)), (0, 0)]
    end_row = height - max(bottom, 0)
    end_column = width - max(right_columns, 0)
    return tf.pad(windows[:, top:end_row, left_columns:end_column], zeros)


def convolve_depthwise(
    layer: DepthwiseConv2D,
    x: tf.Tensor,
    kernel: tf.Tensor,
) -> tf.Tensor:
    """Return a convolution of each channel."""
    rows, columns = layer.strides
    padding = layer.padding.upper()
    dilations = layer.dilation_rate
    if rows != columns or (rows > 1 and max(dilations) > 1):
        unit_strides = (1, 1, 1, 1)
        sums = tf.nn.depthwise_conv2d(
            x,
            kernel,
            unit_strides,
            padding,
            dilations=dilations,
        )
        return sums[:, ::rows, ::columns]
    strides = (1, rows, columns, 1)
    return tf.nn.depthwise_conv2d(x, kernel, strides, padding, dilations=dilations)


def average(layer: AveragePooling2D, x: tf.Tensor, kernel: None) -> tf.Tensor:
    """Return the mean of each window, over its taps that are not padding."""
    if isinstance(layer.padding, str):
        padding = layer.padding.upper()
        return tf.nn.avg_pool2d(x, layer.pool_size, layer.strides, padding)
    padded_x = tf.pad(x, [(0, 0), *layer.padding, (0, 0)])
    ones = tf.ones((*layer.pool_size, x.shape[-1], 1), x.dtype)
    window_sum = DepthwiseConv2D(
        kernel_size=layer.pool_size,
        strides=layer.strides,
        groups=1,
    )
    sums = convolve_depthwise(window_sum, padded_x, ones)
    counts = layer.geometry(tuple(x.shape[1:])).taps()
    # TensorFlow 2.20 replaces a quotient by a product with a reciprocal of its own,
    # that of 1 being 0.99999994.
    shares = 1 / counts[:, :, np.newaxis]
    return sums * tf.constant(shares, x.dtype)


# Functions of a layer, its input (samples, ...) and its kernel, if the layer has one.
# They return the current without bias: (samples, ...).
CURRENTS: Mapping[Type[Layer], Callable[..., tf.Tensor]] = {
    Dense: multiply_dense,
    Scale: scale,
    Conv2D: convolve,
    Conv2DTranspose: convolve_transposed,
    DepthwiseConv2D: convolve_depthwise,
    AveragePooling2D: average,
}


def project(
    projection: Projection,
    x: tf.Tensor,
    kernel: Optional[tf.Tensor],
) -> tf.Tensor:
    """Return the current of a projection without bias: (samples, *population.shape).

    `x` are the values that it reads, (samples, ...), of the type of `kernel`.
    """
    layer = projection.layer
    return CURRENTS[type(layer)](layer, x, kernel)


def largest(layer: MaxPooling2D, values: tf.Tensor) -> tf.Tensor:
    """Return the largest value in each window."""
    padding = layer.padding.upper()
    return tf.nn.max_pool2d(values, layer.pool_size, layer.strides, padding)


def leading_spikes(
    layer: MaxPooling2D,
    input_sums: tf.Tensor,
    spikes: tf.Tensor,
) -> tf.Tensor:
    """Return the present spike of the input of each window with the largest sum so far.

    The first of several inputs with the same sum counts.
    """
    _, leader = tf.nn.max_pool_with_argmax(
        input_sums,
        layer.pool_size,
        layer.strides,
        layer.padding.upper(),
    )
    samples = tf.shape(spikes)[0]
    flat_spikes = tf.reshape(spikes, (samples, -1))
    flat_leader = tf.reshape(leader, (samples, -1))
    leader_spikes = tf.gather(flat_spikes, flat_leader, batch_dims=1)
    return tf.reshape(leader_spikes, leader.shape)


Inputs = Sequence[tf.Tensor]


def reshape(layer: Reindexing, shape: Shape, inputs: Inputs) -> tf.Tensor:
    """Return the same values in another shape."""
    return tf.reshape(inputs[0], (-1, *shape))


def permute(layer: Permute, shape: Shape, inputs: Inputs) -> tf.Tensor:
    """Return the values with another order of axes."""
    return tf.transpose(inputs[0], (0, *layer.dims))


def concatenate(layer: Concatenate, shape: Shape, inputs: Inputs) -> tf.Tensor:
    """Return the values of several volumes, joined along an axis."""
    sample_axes = 1
    return tf.concat(inputs, layer.along(len(shape)) + sample_axes)


def pad(layer: ZeroPadding2D, shape: Shape, inputs: Inputs) -> tf.Tensor:
    """Return the values with zeros around them."""
    return tf.pad(inputs[0], [(0, 0), *layer.padding, (0, 0)])


def crop(layer: Cropping2D, shape: Shape, inputs: Inputs) -> tf.Tensor:
    """Return the values without some rows and columns at the borders."""
    (top, _), (left_column, _) = layer.cropping
    height, width, _ = shape
    rows = slice(top, top + height)
    columns = slice(left_column, left_column + width)
    return inputs[0][:, rows, columns]


# Functions of a layer without neurons, the shape of its output and its inputs
# (samples, ...). They return its output: (samples, *shape).
REINDEXINGS: Mapping[Type[Reindexing], Callable[..., tf.Tensor]] = {
    Flatten: reshape,
    Reshape: reshape,
    Permute: permute,
    Concatenate: concatenate,
    ZeroPadding2D: pad,
    Cropping2D: crop,
}


def reindex(volume: Reindexed, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return the values of a volume without neurons: (samples, *volume.shape).

    `values` has by name the values of the volumes that it reads: (samples, ...).
    """
    inputs = [values[name] for name in volume.inputs]
    return REINDEXINGS[type(volume.layer)](volume.layer, volume.shape, inputs)
