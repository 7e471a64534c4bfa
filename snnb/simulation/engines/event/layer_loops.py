"""Which compiled loops simulate which layer kind, and on what tables.

To simulate a layer kind with the engine `event`, write its loop in `kernels` or `pooling`, and a line in `LAYER_LOOPS`.
"""

from typing import Callable, Mapping, NamedTuple, Optional, Type

import numpy as np

from snnb.network.layers import AveragePooling2D, Conv2D, Dense, DepthwiseConv2D, Layer, MaxPooling2D
from snnb.network.network import Projection
from snnb.simulation.engines.event import kernels, pooling
from snnb.simulation.engines.event.arrays import aligned
from snnb.simulation.engines.event.geometry import pooling_windows, reach_of, segments_of
from snnb.simulation.engines.event.types import Neurons, SpikeTrain

# Steps, the spikes that are read, the neurons, and where their spikes go.
Loop = Callable[[int, SpikeTrain, Neurons, SpikeTrain], None]
# The first step, the spikes that are read, and the currents of some steps, `(steps, neurons)`, which they are added to.
Deposit = Callable[[int, SpikeTrain, np.ndarray], None]


class ProjectionLoops(NamedTuple):
    """The compiled loops of a projection.

    Attributes
    ----------
    alone : Loop
        Simulates a population that has no other.
    deposit : Deposit or None
        Adds its part to the currents of a population that sums several; None for a kind that is never summed.
    """

    alone: Loop
    deposit: Optional[Deposit]


class LayerLoops(NamedTuple):
    """How a layer kind is simulated; a line of `LAYER_LOOPS`.

    Attributes
    ----------
    loops : callable
        From a projection, what a spike adds (float32), and whether constant input arrives beside the spikes.
    sums : bool
        Whether the current is what the constant input contributes, plus what spikes add to that. It is not where
        numbers are divided or compared after they were added.
    remembers : bool
        Whether the current depends on earlier steps, so that constant input does not make a constant current.
    """

    loops: Callable[[Projection, np.float32, bool], ProjectionLoops]
    sums: bool = True
    remembers: bool = False


def _with(alone: Callable[..., None], deposit: Optional[Callable[..., None]], *tables: object) -> ProjectionLoops:
    return ProjectionLoops(
        lambda steps, source, neurons, train: alone(steps, source, neurons, train, *tables),
        None if deposit is None else lambda start, source, currents: deposit(start, source, currents, *tables),
    )


def _weights(projection: Projection, amplitude: np.float32) -> np.ndarray:
    return aligned((projection.weights() * amplitude).ravel())


def _dense(projection: Projection, amplitude: np.float32, constant: bool) -> ProjectionLoops:
    geometry = projection.geometry
    if geometry.input_volume[:2] != (1, 1):  # at each of several positions
        return _convolution(projection, amplitude, constant)
    return _with(kernels.dense, kernels.deposit_dense, _weights(projection, amplitude), geometry.filters)


def _convolution(projection: Projection, amplitude: np.float32, constant: bool) -> ProjectionLoops:
    geometry = projection.geometry
    tables = _weights(projection, amplitude), geometry.filters, geometry.channels, segments_of(geometry)
    return _with(kernels.convolution, kernels.deposit_convolution, *tables)


def _depthwise(projection: Projection, amplitude: np.float32, constant: bool) -> ProjectionLoops:
    geometry, reach = projection.geometry, reach_of(projection.geometry)
    places = np.arange(len(reach.target))
    alone = np.array_equal(reach.start[:-1], places) and np.array_equal(reach.target, places * geometry.filters)
    if alone and geometry.multiplier == 1:
        # A shortcut: one weight for each neuron saves the way over position and channel.
        weights = (projection.weights() * amplitude).reshape(-1, geometry.filters)[reach.tap]
        return _with(kernels.one_to_one, kernels.deposit_one_to_one, aligned(weights.ravel()))
    placed = reach._replace(tap=reach.tap * np.int32(geometry.filters))
    tables = _weights(projection, amplitude), geometry.multiplier, geometry.channels, placed
    return _with(kernels.depthwise, kernels.deposit_depthwise, *tables)


def _average(projection: Projection, amplitude: np.float32, constant: bool) -> ProjectionLoops:
    windows, inputs = pooling_windows(projection.geometry)
    return _with(pooling.average_with_constant if constant else pooling.average, None, windows, amplitude, inputs)


def _maximum(projection: Projection, amplitude: np.float32, constant: bool) -> ProjectionLoops:
    windows, _ = pooling_windows(projection.geometry)
    return _with(pooling.maximum_with_constant if constant else pooling.maximum, None, windows, amplitude)


LAYER_LOOPS: Mapping[Type[Layer], LayerLoops] = {
    Dense: LayerLoops(_dense),
    Conv2D: LayerLoops(_convolution),
    DepthwiseConv2D: LayerLoops(_depthwise),
    AveragePooling2D: LayerLoops(_average, sums=False),
    MaxPooling2D: LayerLoops(_maximum, sums=False, remembers=True),
}
