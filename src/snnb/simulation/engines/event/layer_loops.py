"""Which compiled loops simulate which layer kind, and on what tables.

To simulate a layer kind with the engine `event`, add a line to `LAYER_LOOPS`: a function that makes its tables for
`weighted_loops.weighted` or, if its currents are no sums over spikes, one that makes a separate loop, as in `pooling`.
"""

from typing import Any, Callable, Mapping, NamedTuple, Optional, Type

import numpy as np

from snnb.network.layers import AveragePooling2D, Conv2D, Dense, DepthwiseConv2D, Layer, MaxPooling2D
from snnb.network.network import Projection
from snnb.simulation.engines.event import pooling
from snnb.simulation.engines.event.loop_geometry import pooling_windows, reach_of, runs_of, windows_of
from snnb.simulation.engines.event.types import Neurons, Weighted

# Runs of windows are faster up to this number of filters of a convolution, and of units of a Dense layer (one window).
MOST_FILTERS, MOST_UNITS = 63, 96

# Takes the spikes that are read, the neurons, the output array of spikes, and a buffer for a list of spikes.
Loop = Callable[[np.ndarray, Neurons, np.ndarray, np.ndarray], None]


class LayerLoops(NamedTuple):
    """How a layer kind is simulated; a line of `LAYER_LOOPS`."""

    # From a projection and what a spike adds (float32) to its tables for `weighted_loops.weighted`; None for a layer
    # kind that always has a loop.
    tables: Optional[Callable[[Projection, "np.floating[Any]"], Weighted]]
    # From a projection, what a spike adds, and whether constant input arrives too, to a separate loop;
    # None where `weighted_loops.weighted` does it.
    loop: Callable[[Projection, "np.floating[Any]", bool], Optional[Loop]] = lambda projection, amplitude, constant: (
        None
    )
    divides: bool = False  # the sum of what arrives is divided by the number of inputs
    # The current depends on earlier steps, so that constant input does not make a constant current.
    remembers: bool = False

    @property
    def sums(self) -> bool:
        """Whether the current is what the constant input contributes, plus what spikes add to that.

        It is not where numbers are divided or compared after they were added.
        """
        return not (self.divides or self.remembers)


def _all_channels(projection: Projection, amplitude: "np.floating[Any]") -> Weighted:
    geometry, weights = projection.geometry, projection.weights().astype(type(amplitude)) * amplitude
    most = MOST_FILTERS if geometry.rows.outputs * geometry.columns.outputs > 1 else MOST_UNITS
    return runs_of(geometry, weights) if geometry.filters <= most else windows_of(geometry, weights)


def _depthwise(projection: Projection, amplitude: "np.floating[Any]") -> Weighted:
    weights = projection.weights().astype(type(amplitude)) * amplitude
    return reach_of(projection.geometry, weights.reshape(-1, projection.geometry.filters))


def _average(projection: Projection, amplitude: "np.floating[Any]") -> Weighted:
    return reach_of(projection.geometry, np.full((1, projection.geometry.filters), amplitude))


def _average_loop(projection: Projection, amplitude: "np.floating[Any]", constant: bool) -> Optional[Loop]:
    if not constant:
        return None
    windows, inputs = pooling_windows(projection.geometry)
    return lambda source, neurons, spikes, room: pooling.average_with_constant(
        source, neurons, spikes, room, windows, amplitude, inputs
    )


def _maximum_loop(projection: Projection, amplitude: "np.floating[Any]", constant: bool) -> Loop:
    windows, _ = pooling_windows(projection.geometry)
    loop = pooling.maximum_with_constant if constant else pooling.maximum
    return lambda source, neurons, spikes, room: loop(source, neurons, spikes, room, windows, amplitude)


LAYER_LOOPS: Mapping[Type[Layer], LayerLoops] = {
    Dense: LayerLoops(_all_channels),
    Conv2D: LayerLoops(_all_channels),
    DepthwiseConv2D: LayerLoops(_depthwise),
    AveragePooling2D: LayerLoops(_average, _average_loop, divides=True),
    MaxPooling2D: LayerLoops(None, _maximum_loop, remembers=True),
}
