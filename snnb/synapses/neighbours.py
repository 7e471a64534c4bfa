"""The synapses of one neuron, looked up in kernel and geometry without generating the others."""

from typing import TYPE_CHECKING, Tuple

import numpy as np

from snnb.synapses.rules import PADDING

if TYPE_CHECKING:
    from snnb.synapses.projection import Projection


def targets_of(projection: "Projection", position: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return ids (ascending) and weights of the targets that a flat position of the layer's input is connected to."""
    connection = projection.connection
    pixel, channel = divmod(position, connection.channels)
    row, column = divmod(pixel, connection.columns.size)
    i = slice(*np.searchsorted(connection.rows.input, [row, row + 1]))
    j = slice(*np.searchsorted(connection.columns.input, [column, column + 1]))
    outputs = connection.rows.output[i][:, None] * connection.columns.outputs + connection.columns.output[j][None, :]
    first_filter = 0 if connection.pairing == "dense" else channel * connection.multiplier
    filters = np.arange(first_filter, first_filter + connection.multiplier)
    targets = projection.target.first + outputs[:, :, None] * connection.filters + filters
    if projection.kernel is not None:
        weights = projection.kernel[connection.rows.tap[i][:, None], connection.columns.tap[j][None, :], channel]
    else:
        weights = np.broadcast_to(projection.scale.ravel()[outputs][:, :, None], targets.shape)
    return targets.ravel(), weights.ravel()


def sources_of(projection: "Projection", target: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return ids and weights of the sources of a target, given by its index in the population: one for each tap."""
    connection = projection.connection
    output, in_output = divmod(target, connection.filters)
    row, column = divmod(output, connection.columns.outputs)
    i = np.flatnonzero(connection.rows.output == row)
    j = np.flatnonzero(connection.columns.output == column)
    channels = slice(None)
    if connection.pairing == "diagonal":
        channel, in_output = divmod(in_output, connection.multiplier)
        channels = slice(channel, channel + 1)
    sources = projection.reindexing.nodes_at(connection.rows.input[i], connection.columns.input[j], channels)
    if projection.kernel is not None:
        taps = connection.rows.tap[i][:, None], connection.columns.tap[j][None, :]
        weights = projection.kernel[(*taps, channels, in_output)]
    else:
        weights = np.full(sources.shape, projection.scale[row, column])
    real = sources != PADDING
    return sources[real], weights[real]
