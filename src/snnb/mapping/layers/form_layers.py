"""The populations of a network in the form of a core, see `CoreLayer`.

A core has one kernel, which reads the maps of all its sources one after the other along
the channels, pads on both sides alike, and is square. What a network has in another
form is filled up with weights of 0: a kernel padded on one side, the other channels of
a depthwise or a grouped convolution, a smaller kernel of a sum.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.chips.hardware import LayerLimits
from snnb.mapping.layers.core_layer import CoreLayer, Fault, Pair, Term
from snnb.mapping.layers.core_layer_faults import (
    find_kind_faults,
    find_limit_faults,
    find_neuron_faults,
)
from snnb.network.geometry import window_padding
from snnb.network.layers import (
    AveragePooling2D,
    Concatenate,
    Convolution2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Pooling2D,
    Reshape,
    ZeroPadding2D,
)
from snnb.network.network import Network, Population, Projection, Reindexed

PoolingSides = Mapping[str, int]  # by the name of a folded pooling, its windows' side


def fold_poolings(network: Network, limits: LayerLimits) -> Dict[str, int]:
    """Return the average poolings that the path between two cores can sum.

    They have no neurons on the chip. By their names, the sides of their windows.
    """
    sides: Dict[str, int] = {}
    for population in network.populations:
        side = _window_side(population)
        if side is None or side not in limits.pooling or population is network.output:
            continue
        with suppress(_NoFormError):
            terms = _list_terms(network, sides, population.only.input)
            if all(term.pooling == 1 and term.before == (0, 0) for term in terms):
                sides[population.name] = side
    return sides


def _window_side(population: Population) -> Optional[int]:
    """Return the side of the windows of an average pooling.

    They are square, adjacent and full; None for any other layer. An integer network has
    depthwise convolutions of equal weights instead of average poolings.
    """
    if len(population.projections) > 1:
        return None
    layer = population.projections[0].layer
    if not isinstance(layer, (AveragePooling2D, DepthwiseConv2D)):
        return None
    if isinstance(layer, AveragePooling2D):
        size = layer.pool_size
    else:
        size = layer.kernel_size
        if size == (1, 1) or not _has_equal_weights(population.only):
            return None
    if size[0] != size[1] or layer.strides != size:
        return None
    taps = population.only.geometry.taps()
    return size[0] if (taps == size[0] * size[1]).all() else None


def _has_equal_weights(projection: Projection) -> bool:
    """Whether a channel has one filter, whose weights are equal and positive."""
    weights = projection.weights()
    if weights.shape[-1] > 1 or (weights <= 0).any():
        return False
    return not np.ptp(weights, axis=(0, 1)).any()


class _NoFormError(ValueError):
    """A network moves spikes as no core does."""


def _list_terms(network: Network, sides: PoolingSides, name: str) -> List[Term]:
    """Return the spikes that are read from a volume, in the order of the channels.

    `sides` are the folded poolings. Raise `_NoFormError` if a core cannot read them.
    """
    volume = network.volume(name)
    if name in sides:
        assert isinstance(volume, Population)
        rows, columns, _ = volume.shape
        terms = _list_terms(network, sides, volume.only.input)
        for index, term in enumerate(terms):
            shape = (rows, columns, term.shape[2])
            terms[index] = replace(term, shape=shape, pooling=sides[name])
        return terms
    if not isinstance(volume, Reindexed):
        return [Term(name, _volume_shape(volume.shape))]
    terms = []
    for input_name in volume.inputs:
        terms += _list_terms(network, sides, input_name)
    layer = volume.layer
    if isinstance(layer, (Flatten, Reshape)) and len(volume.shape) == 1:
        return terms
    if isinstance(layer, ZeroPadding2D):
        (top, _), (left_padding, _) = layer.padding
        for index, term in enumerate(terms):
            before = (term.before[0] + top, term.before[1] + left_padding)
            terms[index] = replace(term, before=before)
        return terms
    if isinstance(layer, Concatenate):
        axes = len(volume.shape)
        if layer.along(axes) == axes - 1:
            return terms
    raise _NoFormError(
        f"a {layer.kind} before it, which moves values between positions; omit it"
    )


def _volume_shape(shape: Sequence[int]) -> Tuple[int, int, int]:
    """Return rows, columns and channels of a shape of one to three axes."""
    rows, columns, channels = (*(1,) * (3 - len(shape)), *shape)
    return rows, columns, channels


def _restore_pooling(projection: Projection, term: Term, limits: LayerLimits) -> Term:
    """Return the spikes that a Dense layer reads, pooled if its weights allow it.

    They do if they are equal in each window. That is a pooling that `parse --calibrate`
    has composed with the layer: the path sums the windows again.
    """
    rows, columns, channels = term.shape
    if term.before != (0, 0):
        return term
    for side in sorted(limits.pooling, reverse=True):
        if side == 1 or rows % side or columns % side:
            continue
        window_rows = rows // side
        window_columns = columns // side
        axes = (window_rows, side, window_columns, side, -1)
        windows = projection.weights().reshape(axes)
        if (windows == windows[:, :1, :, :1]).all():
            shape = (window_rows, window_columns, channels)
            return replace(term, shape=shape, pooling=side)
    return term


class _Side(NamedTuple):
    """Rows, or columns, of a projection."""

    size: int  # of the input
    outputs: int
    taps: int
    stride: int
    before: int  # padding

    @property
    def after(self) -> int:
        """Padding that the last window needs."""
        end = (self.outputs - 1) * self.stride + self.taps
        return max(0, end - self.before - self.size)


def form_layer(
    network: Network,
    sides: PoolingSides,
    population: Population,
    limits: LayerLimits,
) -> CoreLayer:
    """Return a population in the form of a core.

    Its faults are the limits that it exceeds, apart from memories and targets. `sides`
    are the folded poolings.
    """
    faults: List[Fault] = []
    terms: List[Term] = []
    row_sides: List[_Side] = []
    column_sides: List[_Side] = []
    rows, columns, filters = _volume_shape(population.shape)
    for projection in population.projections:
        if projection.delay:
            text = f"input from {projection.input} with a delay, which closes a cycle"
            faults.append(Fault("recurrence", f"{text}; remove it"))
            continue
        try:
            new_terms = _read_terms(network, sides, population, projection, limits)
        except _NoFormError as error:
            faults.append(Fault("order", str(error)))
            continue
        faults += find_kind_faults(network, population, projection.layer, limits)
        terms += new_terms
        reads_all = len(population.shape) == 1
        for term in new_terms:
            row_sides.append(_form_side(projection, term, 0, rows, reads_all))
            column_sides.append(_form_side(projection, term, 1, columns, reads_all))
    bias = population.bias
    layer = CoreLayer(
        name=population.name,
        terms=tuple(terms),
        input=(1, 1),
        channels=sum(term.shape[2] for term in terms),
        filters=filters,
        output=(rows, columns),
        biases=filters if bias is not None and bias.any() else 0,
    )
    if terms:
        kernel_rows, row_padding = _fill_up_kernel(row_sides)
        kernel_columns, column_padding = _fill_up_kernel(column_sides)
        layer = replace(
            layer,
            input=(row_sides[0].size, column_sides[0].size),
            kernel_size=(kernel_rows, kernel_columns),
            strides=(row_sides[0].stride, column_sides[0].stride),
            padding=(row_padding, column_padding),
        )
    if not (_are_alike(row_sides) and _are_alike(column_sides)):
        text = "a sum of sources that differ in size or stride; a core has one kernel"
        faults.append(Fault("sum", text))
    if not faults:
        faults += find_limit_faults(layer, limits)
    faults += find_neuron_faults(network, population, limits)
    return replace(layer, faults=tuple(faults))


def _read_terms(
    network: Network,
    sides: PoolingSides,
    population: Population,
    projection: Projection,
    limits: LayerLimits,
) -> List[Term]:
    """Return the spikes that a projection reads, or raise `_NoFormError`."""
    terms = _list_terms(network, sides, projection.input)
    is_dense = isinstance(projection.layer, Dense) and len(population.shape) == 1
    if is_dense and len(terms) == 1 and terms[0].pooling == 1:
        return [_restore_pooling(projection, terms[0], limits)]
    return terms


def _form_side(
    projection: Projection,
    term: Term,
    axis: int,
    outputs: int,
    reads_all: bool,
) -> _Side:
    """Return the rows (axis 0) or columns (axis 1) by which a layer reads a term.

    A Dense layer reads all positions if `reads_all`, otherwise each alone.
    """
    layer = projection.layer
    size = term.shape[axis]
    if isinstance(layer, Convolution2D):
        taps = layer.kernel_size[axis]
        stride = layer.strides[axis]
        padding_before, _ = window_padding(
            projection.geometry.input_volume[axis],
            taps,
            stride,
            layer.dilation_rate[axis],
            layer.padding,
        )
        return _Side(size, outputs, taps, stride, padding_before + term.before[axis])
    if isinstance(layer, Pooling2D):
        return _Side(size, outputs, layer.pool_size[axis], layer.strides[axis], 0)
    return _Side(size, outputs, taps=size if reads_all else 1, stride=1, before=0)


def _fill_up_kernel(sides: Sequence[_Side]) -> Pair:
    """Return side and padding of the kernel that all sources of a core have.

    A kernel that is padded on one side only, or is smaller than others, has zeros.
    """
    padding = max(max(side.before, side.after) for side in sides)
    sizes: List[int] = []
    for side in sides:
        size_before = side.taps + padding - side.before
        padded_size = side.size + 2 * padding
        size_after = padded_size - side.outputs * side.stride + 1
        sizes.append(max(size_before, size_after))
    return max(sizes), padding


def _are_alike(sides: Sequence[_Side]) -> bool:
    """Whether all sources of a core have the same size and stride."""
    return len({(side.size, side.stride) for side in sides}) <= 1
