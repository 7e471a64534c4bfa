"""Values of files whose first axis is the channels, as those of NIR and lava-dl.

Populations and samples of this package are (row, column, channel).
"""

import math
from typing import Optional, Tuple

import numpy as np

from snnb.network.geometry import Shape

ChannelsFirst = Tuple[int, int, int]  # shape of a volume: channels, height, width


def volume_of(shape: Shape) -> ChannelsFirst:
    """Return a shape of one to three axes in a file as that of a volume.

    (units,) is (units, 1, 1), (channels, steps) is (channels, 1, steps), and (channels,
    height, width) stays as it is; () is one unit.
    """
    channels, *lengths = shape or (1,)
    if len(lengths) == 2:
        return channels, lengths[0], lengths[1]
    return channels, 1, lengths[0] if lengths else 1


def rows_first(values: np.ndarray) -> np.ndarray:
    """Return a view (rows, columns, channels) of an array (channels, rows, columns)."""
    return values.transpose(1, 2, 0)


def list_places(volume: ChannelsFirst) -> np.ndarray:
    """Return the index in the file of each element of a volume: int (elements,).

    The elements are in the order (row, column, channel), the file is channels first.
    The volume of 2 channels, 1 row and 3 columns has the indices 0, 3, 1, 4, 2, 5.
    """
    places = np.arange(math.prod(volume)).reshape(volume)
    return rows_first(places).ravel()


def fit_samples(shape: Shape, samples: Optional[Shape]) -> Tuple[int, int, int]:
    """Return the shape (height, width, channels) of the samples of a network.

    `shape` is that of its input in the file. `samples` is the shape of the samples of a
    data set, or None: it is returned if the input is a vector with as many elements.
    """
    channels, height, width = volume_of(shape)
    if len(shape) > 1 or samples is None or len(samples) != 3:
        return height, width, channels
    if math.prod(samples) != channels:
        return height, width, channels
    height, width, channels = samples
    return height, width, channels
