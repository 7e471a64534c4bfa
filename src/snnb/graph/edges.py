"""Edges in arrays, and what the loops that write them need of a connection: plain arrays and integers."""

from typing import NamedTuple

import numpy as np


class EdgeBatch(NamedTuple):
    """Some edges, in arrays that the next batch overwrites: copy what must outlive it.

    Attributes
    ----------
    source, target : ndarray of int32 or int64, shape (edges,)
        Node ids.
    weight, edge : ndarray of float32, shape (edges,)
        The synapse's weight, and float32(rate of the source) × weight.
    """

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    edge: np.ndarray


class Stream(NamedTuple):
    """What the compiled loops need of a projection; plain arrays and integers.

    Attributes
    ----------
    first_source, first_target : int
    width, channels, columns, filters, multiplier, column_taps : int
        Lengths of the input volume's last two axes, of the output volume's, filters a channel meets, kernel columns.
    position : ndarray of int64, shape (sources,)
        Flat position of each source in the layer's input, -1 where it is not used.
    row_start, row_output, row_tap, column_start, column_output, column_tap : ndarray of int64
        The triples of both axes by input (`Axis`).
    kernel : ndarray of float32, shape (row taps, column taps, channels, multiplier), or empty
    scale : ndarray of float32, shape (rows, columns) of the output, or empty
        The weight of every edge into an output position where there is no kernel.
    """

    first_source: int
    first_target: int
    width: int
    channels: int
    columns: int
    filters: int
    multiplier: int
    column_taps: int
    position: np.ndarray
    row_start: np.ndarray
    row_output: np.ndarray
    row_tap: np.ndarray
    column_start: np.ndarray
    column_output: np.ndarray
    column_tap: np.ndarray
    kernel: np.ndarray
    scale: np.ndarray
