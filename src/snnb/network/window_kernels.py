"""Kernels of windows that slide over images, and the composition of two in sequence.

A kernel is composed with a later one as a single kernel with more taps. Along an axis,
tap i of the first and tap j of the second read the input at i · dilation of the first
+ j · dilation of the second · stride of the first, counted from the first tap. With 3
and 2 taps without dilation and a stride of 2, these are 0 1 2 for j = 0 and 2 3 4 for
j = 1: the composed kernel has 5 taps, and tap 2 has the sum of two products.
"""

import math
from dataclasses import dataclass
from typing import List, NamedTuple, Tuple

import numpy as np

Pair = Tuple[int, int]  # of rows and columns


@dataclass(frozen=True, eq=False)
class WindowKernel:
    """The weights of a window, and how it slides over an image."""

    # (row taps, column taps, channels, filters that a channel meets)
    weights: np.ndarray
    is_diagonal: bool  # whether each channel has its own filters
    strides: Pair = (1, 1)
    dilations: Pair = (1, 1)
    before: Pair = (0, 0)  # zeros before the first row and the first column
    # Groups of channels, each with its own filters; 1 if `is_diagonal`
    groups: int = 1

    @property
    def size(self) -> Pair:
        """Number of taps of rows and columns."""
        rows, columns = self.weights.shape[:2]
        return rows, columns

    @property
    def parts(self) -> int:
        """Number of parts of the channels, each of which has its own filters."""
        channels: int = self.weights.shape[2]
        return channels if self.is_diagonal else self.groups

    @property
    def filters(self) -> int:
        """Number of channels of the output."""
        multiplier: int = self.weights.shape[3]
        return self.parts * multiplier

    def span(self, axis: int) -> int:
        """Return the number of positions from the first to the last tap."""
        return (self.size[axis] - 1) * self.dilations[axis] + 1

    def read_end(self, axis: int, outputs: int) -> int:
        """Return the position after the last one that the first `outputs` outputs read.

        It is beyond the image if the last window reads zeros there.
        """
        last_window = (outputs - 1) * self.strides[axis] - self.before[axis]
        return last_window + self.span(axis)


class TapPlaces(NamedTuple):
    """The taps along an axis of a composed kernel."""

    places: np.ndarray  # of pairs of taps, int (taps of the second, of the first)
    dilation: int

    @property
    def taps(self) -> int:
        """Number of taps of the composed kernel."""
        return int(self.places.max()) + 1

    @property
    def has_gaps(self) -> bool:
        """Whether a tap of the composed kernel is that of no pair."""
        return len(np.unique(self.places)) < self.taps


def place_taps(
    first_kernel: WindowKernel,
    second_kernel: WindowKernel,
    axis: int,
) -> TapPlaces:
    """Return the taps of the composed kernel along an axis; see the head of this file.

    The composed kernel has the largest dilation with which its taps meet all of them.
    """
    first_offsets = np.arange(first_kernel.size[axis]) * first_kernel.dilations[axis]
    second_step = second_kernel.dilations[axis] * first_kernel.strides[axis]
    second_offsets = np.arange(second_kernel.size[axis]) * second_step
    offsets = second_offsets[:, np.newaxis] + first_offsets
    dilation = int(np.gcd.reduce(offsets.ravel())) or 1
    return TapPlaces(offsets // dilation, dilation)


def composed_parts(first_kernel: WindowKernel, second_kernel: WindowKernel) -> int:
    """Return the number of parts of two kernels in sequence.

    Each part consists of parts of both kernels.
    """
    return math.gcd(first_kernel.parts, second_kernel.parts)


def composed_shape(
    first_kernel: WindowKernel,
    second_kernel: WindowKernel,
) -> Tuple[int, int, int, int]:
    """Return the shape of the weights of two kernels in sequence."""
    channels = first_kernel.weights.shape[2]
    outputs = second_kernel.filters // composed_parts(first_kernel, second_kernel)
    row_taps = place_taps(first_kernel, second_kernel, 0).taps
    column_taps = place_taps(first_kernel, second_kernel, 1).taps
    return row_taps, column_taps, channels, outputs


def is_exact_at_borders(
    first_kernel: WindowKernel,
    second_kernel: WindowKernel,
    axis: int,
    *,
    source_length: int,
    middle_length: int,
    target_length: int,
) -> bool:
    """Return whether a composed kernel is right at both ends of an axis.

    The lengths are those of the first kernel's input, of its output, and of the output
    of the second. Where the second sees zeros around its input, the first must see only
    zeros too: a composed kernel reads what the first would read there.
    """
    stride = first_kernel.strides[axis]
    offset = first_kernel.before[axis]
    pads_before = second_kernel.before[axis] > 0
    if pads_before and first_kernel.read_end(axis, 0) > 0:
        return False
    pads_after = second_kernel.read_end(axis, target_length) > middle_length
    return not (pads_after and middle_length * stride - offset < source_length)


def compose_kernels(
    first_kernel: WindowKernel,
    second_kernel: WindowKernel,
) -> WindowKernel:
    """Return the kernel that equals two in sequence, with float64 weights.

    It is diagonal if both are, or if the second one has as many groups as the first one
    has channels. `is_exact_at_borders` states whether the result also holds where the
    second kernel reads zeros around its input.
    """
    rows = place_taps(first_kernel, second_kernel, 0)
    columns = place_taps(first_kernel, second_kernel, 1)
    weights = np.zeros(composed_shape(first_kernel, second_kernel))
    for row, column in np.ndindex(*second_kernel.size):
        taps = np.ix_(rows.places[row], columns.places[column])
        weights[taps] += _compose_tap(first_kernel, second_kernel, row, column)
    row_stride, column_stride = first_kernel.strides
    parts = composed_parts(first_kernel, second_kernel)
    has_groups = second_kernel.is_diagonal or second_kernel.groups > 1
    has_own_filters = parts == first_kernel.weights.shape[2]
    is_diagonal = first_kernel.is_diagonal and has_groups and has_own_filters
    return WindowKernel(
        weights,
        is_diagonal,
        strides=(
            row_stride * second_kernel.strides[0],
            column_stride * second_kernel.strides[1],
        ),
        dilations=(rows.dilation, columns.dilation),
        before=(
            first_kernel.before[0] + second_kernel.before[0] * row_stride,
            first_kernel.before[1] + second_kernel.before[1] * column_stride,
        ),
        groups=1 if is_diagonal else parts,
    )


def _compose_tap(
    first_kernel: WindowKernel,
    second_kernel: WindowKernel,
    row: int,
    column: int,
) -> np.ndarray:
    """Return the weights of a kernel followed by one tap of the second.

    They are float64, (row taps, column taps, channels, outputs of a channel).
    """
    weights = first_kernel.weights.astype(np.float64, copy=False)
    tap = second_kernel.weights[row, column].astype(np.float64, copy=False)
    channels, filters = weights.shape[2:]
    if max(first_kernel.groups, second_kernel.groups) > 1:
        parts = composed_parts(first_kernel, second_kernel)
        first_parts = np.split(weights, parts, axis=2)
        second_parts = np.split(tap, parts, axis=0)
        part_products: List[np.ndarray] = []
        for first_part, second_part in zip(first_parts, second_parts):
            first_matrix = fill_between_parts(first_part, first_kernel.parts // parts)
            second_matrix = fill_between_parts(
                second_part,
                second_kernel.parts // parts,
            )
            part_products.append(first_matrix @ second_matrix)
        return np.concatenate(part_products, axis=2)
    if first_kernel.is_diagonal:
        tap = tap.reshape(channels, filters, -1)
    if second_kernel.is_diagonal:
        products = weights[..., np.newaxis] * tap
        return products.reshape(*weights.shape[:3], -1)
    if first_kernel.is_diagonal:
        return np.einsum("hwcm,cmg->hwcg", weights, tap)
    return np.asarray(weights @ tap)


def fill_between_parts(weights: np.ndarray, parts: int) -> np.ndarray:
    """Return weights between all channels and all filters, 0 between parts.

    `weights` has the shape (..., channels, filters that a channel meets), the result
    (..., channels, filters). The weights a, b of two channels in two parts give

        a 0
        0 b
    """
    *taps, channels, multiplier = weights.shape
    filled = np.zeros((*taps, channels, parts * multiplier), weights.dtype)
    channels_read = channels // parts
    for part in range(parts):
        rows = slice(part * channels_read, (part + 1) * channels_read)
        columns = slice(part * multiplier, (part + 1) * multiplier)
        filled[..., rows, columns] = weights[..., rows, :]
    return filled
