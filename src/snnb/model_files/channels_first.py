"""Values of files whose first axis is the channels, as those of NIR and lava-dl.

Populations and samples of this package are (row, column, channel).
"""

import math
from typing import Optional, Tuple

import numpy as np

from snnb.network.geometry import Shape

ChannelsFirst = Tuple[int, int, int]  # shape of a volume: (channels, height, width)


def volume_of(shape: Shape) -> ChannelsFirst:
    """Return the volume of a shape in a file.

    It is (units,), (channels, steps), or (channels, height, width).
    """
    channels, *lengths = shape or (1,)
    if len(lengths) == 2:
        return channels, lengths[0], lengths[1]
    return channels, 1, lengths[0] if lengths else 1


def rows_first(values: np.ndarray) -> np.ndarray:
    """Move the channels of an array (channels, rows, columns) to the end."""
    return values.transpose(1, 2, 0)


def list_places(volume: ChannelsFirst) -> np.ndarray:
    """Return the place of each element in the order of the file: int (elements,).

    The elements of the volume are in the order (row, column, channel). Those of 2
    channels, 1 row and 3 columns have the places 0, 3, 1, 4, 2, 5.
    """
    places = np.arange(math.prod(volume)).reshape(volume)
    return rows_first(places).ravel()


def fit_samples(shape: Shape, samples: Optional[Shape]) -> Tuple[int, int, int]:
    """Return the shape (height, width, channels) of the samples of an input.

    `shape` is that of the input in the file, and `samples` that of the samples that
    there are. If the input is a vector of as many elements, it is returned.
    """
    channels, height, width = volume_of(shape)
    if len(shape) > 1 or samples is None or len(samples) != 3:
        return height, width, channels
    if math.prod(samples) != channels:
        return height, width, channels
    height, width, channels = samples
    return height, width, channels
