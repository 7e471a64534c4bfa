"""Kernels: the linear operation of a layer without its bias, and their composition.

Two kernels in sequence are composed if the result is exact at every position, borders
included.
"""

from dataclasses import dataclass, replace
from typing import List, Optional

import numpy as np

from snnb.network.geometry import Shape, weights_by_channel, weights_by_filter
from snnb.network.layers import Conv2DTranspose
from snnb.network.window_kernels import (
    Pair,
    WindowKernel,
    compose_kernels,
    is_exact_at_borders,
    place_taps,
)

IDENTITY = "identity"
ADVICE = "insert a relu between them"


class NotComposableError(Exception):
    """Two layers in sequence have no exact common kernel; the message is the reason."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A linear operation without its bias."""

    # A Keras class, or `identity`, which multiplies each channel by a number
    kind: str
    # float32, in Keras's shape; of `identity`, `(channels,)`; of a `Conv2DTranspose` in
    # that of a `Conv2D`
    weights: np.ndarray
    # Index of its layer in the trained model, for the order and the names of the parsed
    # layers
    position: int
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    # Rows of zeros above its input, and columns left of it; the sizes give the others
    before: Pair = (0, 0)
    padding: str = "valid"
    groups: int = 1  # of a `Conv2D` or `Conv2DTranspose`
    # The layer of a `Conv2DTranspose`, which has its other settings
    transposed: Optional[Conv2DTranspose] = None

    @property
    def is_diagonal(self) -> bool:
        """Whether each channel has its own filters."""
        return self.kind == "DepthwiseConv2D"

    @property
    def window(self) -> WindowKernel:
        """The kernel of a convolution as a window that slides over images.

        That of another kind has one tap.
        """
        leading_axes = (1,) * (4 - self.weights.ndim)
        weights = self.weights.reshape(leading_axes + self.weights.shape)
        return WindowKernel(
            weights_by_channel(weights, self.groups),
            self.is_diagonal,
            self.strides,
            self.dilation,
            self.before,
            self.groups,
        )

    @property
    def size(self) -> Pair:
        """Height and width."""
        return self.window.size

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return self.window.filters

    def zeros_around(self, source: Shape, target: Shape) -> List[Pair]:
        """Return the zeros before and after rows and columns of its input.

        `source` and `target` are the shapes of its input and its output.
        """
        window = self.window
        zeros = []
        for axis in (0, 1):
            after = max(window.read_end(axis, target[axis]) - source[axis], 0)
            zeros.append((self.before[axis], after))
        return zeros

    def pads(self, source: Shape, target: Shape) -> bool:
        """Return whether it reads zeros around an input of the shape `source`.

        `target` is the shape of its output. A transposed convolution does: windows at
        its borders are incomplete, and with strides others may be too.
        """
        if self.transposed is not None:
            return True
        return len(target) == 3 and any(map(any, self.zeros_around(source, target)))

    def scale(self, factors: np.ndarray) -> "Kernel":
        """Multiply the output channels by factors of shape `(channels,)`."""
        if self.is_diagonal:
            factors = factors.reshape(self.weights.shape[-2:])
        return replace(self, weights=(self.weights * factors).astype(np.float32))

    def scale_inputs(self, factors: np.ndarray) -> "Kernel":
        """Multiply the input channels by factors of shape `(channels,)`."""
        # The axis before the last one is that of the input's channels, for all kinds
        weights = weights_by_channel(self.weights, self.groups) * factors[:, np.newaxis]
        weights = weights_by_filter(weights, self.groups)
        return replace(self, weights=weights.astype(np.float32))

    def apply_to_constant(self, values: np.ndarray) -> np.ndarray:
        """Apply it to an image of equal pixels.

        `values` is float64 `(channels,)`, the result float64 `(filters,)`.
        """
        weights = self.weights.astype(np.float64)
        if self.kind == IDENTITY:
            return np.asarray(weights * values)
        if self.kind == "Dense":
            return np.asarray(values @ weights)
        tap_sums = weights.sum(axis=(0, 1))
        if self.is_diagonal:
            return np.asarray((tap_sums * values[:, np.newaxis]).ravel())
        return _multiply_groups(values, tap_sums, self.groups)

    def apply_to_image(self, values: np.ndarray, target: Shape) -> np.ndarray:
        """Apply a convolution, or an identity, with its padding to an image.

        `values` is float64 `(rows, columns, channels)`, the result float64 of the shape
        `target`.
        """
        if self.kind == IDENTITY:
            return np.asarray(self.weights * values)
        if self.transposed is not None:
            return self._apply_transposed(values, self.transposed)
        values = np.pad(values, [*self.zeros_around(values.shape, target), (0, 0)])
        result = np.zeros(target)
        rows, columns = target[:2]
        row_stride, column_stride = self.strides
        for row, column in np.ndindex(*self.size):
            first_row = row * self.dilation[0]
            first_column = column * self.dilation[1]
            pixels = values[first_row::row_stride, first_column::column_stride]
            pixels = pixels[:rows, :columns]
            weights = self.weights[row, column].astype(np.float64)
            if self.is_diagonal:
                result += (pixels[..., np.newaxis] * weights).reshape(target)
            else:
                result += _multiply_groups(pixels, weights, self.groups)
        return result

    def _apply_transposed(
        self,
        values: np.ndarray,
        layer: Conv2DTranspose,
    ) -> np.ndarray:
        """See `apply_to_image`."""
        geometry = layer.geometry(values.shape)
        result = np.zeros(geometry.shape)
        for row, output_row, row_tap in geometry.rows.triples():
            for column, output_column, column_tap in geometry.columns.triples():
                weights = self.weights[row_tap, column_tap].astype(np.float64)
                pixel = values[row, column]
                sums = _multiply_groups(pixel, weights, self.groups)
                result[output_row, output_column] += sums
        return result


def _multiply_groups(
    values: np.ndarray,
    weights: np.ndarray,
    groups: int,
) -> np.ndarray:
    """Return the sums of values (..., channels) by each filter: (..., filters).

    `weights` is a tap, in Keras's shape (channels of a group, filters).
    """
    group_values = np.split(values, groups, axis=-1)
    group_weights = np.split(weights, groups, axis=-1)
    sums = [part @ weight for part, weight in zip(group_values, group_weights)]
    return np.concatenate(sums, axis=-1)


def compose(
    first_kernel: Kernel,
    second_kernel: Kernel,
    source: Shape,
    middle: Shape,
    target: Shape,
) -> Kernel:
    """Return the kernel that is equal to two in sequence.

    `source`, `middle` and `target` are the shapes of the input of the first, of its
    output, and of the output of the second. Raise `NotComposableError` if no supported
    kind of kernel is equal to them, or not at the borders.
    """
    position = second_kernel.position
    if second_kernel.kind == IDENTITY:
        scaled_kernel = first_kernel.scale(second_kernel.weights)
        return replace(scaled_kernel, position=position)
    if first_kernel.kind == IDENTITY:
        return second_kernel.scale_inputs(first_kernel.weights)
    for kernel in (first_kernel, second_kernel):
        if kernel.transposed is not None:
            fault = "follows a transposed convolution without activation"
            if kernel is second_kernel:
                fault = "is a transposed convolution after a layer without activation"
            raise NotComposableError(f"{fault}: {ADVICE}")
    kinds = {first_kernel.kind, second_kernel.kind}
    if kinds == {"Dense"}:
        weights = first_kernel.weights.astype(np.float64)
        weights = weights @ second_kernel.weights.astype(np.float64)
        return replace(second_kernel, weights=weights.astype(np.float32))
    if "Dense" in kinds:
        raise NotComposableError(
            f"is a Dense layer after a convolution without activation: {ADVICE}"
        )
    window = _compose_windows(
        first_kernel.window,
        second_kernel.window,
        source,
        middle,
        target,
    )
    return Kernel(
        "DepthwiseConv2D" if window.is_diagonal else "Conv2D",
        weights_by_filter(window.weights, window.groups).astype(np.float32),
        position,
        window.strides,
        window.dilations,
        window.before,
        groups=window.groups,
    )


def _compose_windows(
    first_window: WindowKernel,
    second_window: WindowKernel,
    source: Shape,
    middle: Shape,
    target: Shape,
) -> WindowKernel:
    """Return the window that is equal to two in sequence; see `compose`."""
    for axis in (0, 1):
        is_exact = is_exact_at_borders(
            first_window,
            second_window,
            axis,
            source_length=source[axis],
            middle_length=middle[axis],
            target_length=target[axis],
        )
        if not is_exact:
            raise NotComposableError(
                f"pads the output of a layer without activation with zeros: {ADVICE}, "
                "or use padding valid"
            )
    for axis in (0, 1):
        if place_taps(first_window, second_window, axis).has_gaps:
            raise NotComposableError(
                f"creates gaps in the kernel of a layer without activation: {ADVICE}"
            )
    window = compose_kernels(first_window, second_window)
    if max(window.strides) > 1 and max(window.dilations) > 1:
        raise NotComposableError(
            f"has strides over a dilated kernel of a layer without activation: {ADVICE}"
        )
    return window
