"""The synapses that one layer makes between two populations, looked up in kernel and geometry."""

from functools import cached_property
from typing import Optional, Tuple

import h5py
import numpy as np

from snnb.graph.edges import Stream
from snnb.graph.fields import require_finite
from snnb.graph.populations import GraphPopulation
from snnb.graph.positions import InputVolume, Positions
from snnb.graph.store import map_array
from snnb.network.geometry import Geometry
from snnb.network.layers import Layer
from snnb.network.reindexing import PADDING

Neighbours = Tuple[np.ndarray, np.ndarray]  # ids and weights


class Connection:
    """All synapses from neurons of `source` that a layer of the population `target` reads.

    Where the source stands at several positions of the layer's input (`positions.parallel`), two neurons may meet
    several times; here each time counts, and `GraphProjection` makes one synapse of them.

    Attributes
    ----------
    source, target : GraphPopulation
    layer : Layer
    geometry : Geometry
        What the layer makes of its input's shape.
    weighting : {"kernel", "one", "mean"}
        The weight is kernel[i, j, k, f] (diagonal: kernel[i, j, k, f mod m]); or 1; or 1 / (taps in the window).
    positions : Positions
        Where the sources stand in the layer's input.
    """

    def __init__(
        self,
        source: GraphPopulation,
        target: GraphPopulation,
        layer: Layer,
        geometry: Geometry,
        weighting: str,
        volume: InputVolume,
        kernel: Optional[h5py.Dataset],
    ) -> None:
        self.source = source
        self.target = target
        self.layer = layer
        self.geometry = geometry
        self.weighting = weighting
        self.positions = Positions(volume, source)
        self._kernel = kernel

    @cached_property
    def kernel(self) -> Optional[np.ndarray]:
        """Weights, float32, shape (row taps, column taps, channels, filters a channel meets); None for poolings."""
        if self._kernel is None:
            return None
        kernel = map_array(self._kernel)
        require_finite(self._kernel, kernel)
        return kernel

    @cached_property
    def scale(self) -> np.ndarray:
        """Weight of every synapse of an output position, float32, shape (rows, columns); empty where a kernel tells."""
        if self.weighting == "kernel":
            return np.empty((0, 0), np.float32)
        if self.weighting == "one":
            return np.ones(self.geometry.output_volume[:2], np.float32)
        return (1 / np.maximum(self.geometry.taps(), 1)).astype(np.float32)

    def out_degrees(self) -> np.ndarray:
        """Count the connections of each source, where it stands at one position: int64, shape (sources,)."""
        where = self.positions.where
        return np.where(where == PADDING, 0, self.geometry.fan_out().ravel()[where // self.geometry.channels])

    def in_degrees(self) -> np.ndarray:
        """Count the connections to each target: int64, shape (targets,)."""
        return self.geometry.fan_in(self.positions.ids != PADDING).ravel()

    def targets_of(self, source: int) -> Neighbours:
        """Return ids and weights of the targets of a node; ascending where it stands at one position."""
        found = [self._targets_at(position) for position in self.positions.positions_of(source).tolist()]
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        targets, weights = (np.concatenate(parts) for parts in zip(*found))
        return targets, weights

    def _targets_at(self, position: int) -> Neighbours:
        """Return ids (ascending) and weights of the targets of a flat position of the layer's input."""
        geometry = self.geometry
        pixel, channel = divmod(position, geometry.channels)
        row, column = divmod(pixel, geometry.columns.size)
        i = slice(*np.searchsorted(geometry.rows.input, [row, row + 1]))
        j = slice(*np.searchsorted(geometry.columns.input, [column, column + 1]))
        outputs = geometry.rows.output[i][:, None] * geometry.columns.outputs + geometry.columns.output[j][None, :]
        first_filter = 0 if geometry.pairing == "dense" else channel * geometry.multiplier
        filters = np.arange(first_filter, first_filter + geometry.multiplier)
        targets = self.target.first + outputs[:, :, None] * geometry.filters + filters
        if self.kernel is not None:
            weights = self.kernel[geometry.rows.tap[i][:, None], geometry.columns.tap[j][None, :], channel]
        else:
            weights = np.broadcast_to(self.scale.ravel()[outputs][:, :, None], targets.shape)
        return targets.ravel(), weights.ravel()

    def sources_of(self, target: int) -> Neighbours:
        """Return ids and weights of the sources of a node: one for each tap, in the order of the taps."""
        geometry = self.geometry
        output, in_output = divmod(target - self.target.first, geometry.filters)
        row, column = divmod(output, geometry.columns.outputs)
        i = np.flatnonzero(geometry.rows.output == row)
        j = np.flatnonzero(geometry.columns.output == column)
        channels = slice(None)
        if geometry.pairing == "diagonal":
            channel, in_output = divmod(in_output, geometry.multiplier)
            channels = slice(channel, channel + 1)
        sources = self.positions.nodes_at(geometry.rows.input[i], geometry.columns.input[j], channels)
        if self.kernel is not None:
            taps = geometry.rows.tap[i][:, None], geometry.columns.tap[j][None, :]
            weights = self.kernel[(*taps, channels, in_output)]
        else:
            weights = np.full(sources.shape, self.scale[row, column])
        real = sources != PADDING
        return sources[real], weights[real]

    def sources_of_range(self, start: int, stop: int, found: np.ndarray, *, by_position: bool = False) -> None:
        """Write the ids of the sources of targets `start` to `stop`, by index in the population, target after target.

        Parameters
        ----------
        start, stop : int
        found : ndarray of int32 or int64
            As long as those targets have connections.
        by_position : bool
            Whether `start` and `stop` count positions, whose targets share all sources: of a dense pairing.
        """
        from snnb.graph.edge_loops import list_sources

        geometry = self.geometry
        row_order, row_start = geometry.rows.by_output()
        column_order, column_start = geometry.columns.by_output()
        list_sources(
            self.positions.ids,
            row_start,
            geometry.rows.input[row_order],
            column_start,
            geometry.columns.input[column_order],
            1 if by_position else geometry.filters,
            0 if geometry.pairing == "dense" else geometry.multiplier,
            start,
            stop,
            found,
        )

    @cached_property
    def stream(self) -> Stream:
        """What the loops that generate the edges need, where a source stands at one position."""
        geometry = self.geometry
        return Stream(
            first_source=self.source.first,
            first_target=self.target.first,
            width=geometry.columns.size,
            channels=geometry.channels,
            columns=geometry.columns.outputs,
            filters=geometry.filters,
            multiplier=geometry.multiplier,
            column_taps=geometry.columns.taps,
            position=self.positions.where,
            row_start=geometry.rows.starts(),
            row_output=geometry.rows.output,
            row_tap=geometry.rows.tap,
            column_start=geometry.columns.starts(),
            column_output=geometry.columns.output,
            column_tap=geometry.columns.tap,
            kernel=np.empty((0,) * 4, np.float32) if self.kernel is None else self.kernel,
            scale=self.scale,
        )
