"""Events of a recording, summed into the time steps of a simulation."""

from dataclasses import dataclass
from typing import Callable, ClassVar, Optional, Sequence

import numpy as np

from snnb.core.errors import InputError
from snnb.core.formatting import format_shape
from snnb.datasets.definition import ImageShape
from snnb.network.event_samples import Steps

LONGEST_SAMPLE = 100_000  # time steps
# Largest fraction of a recording's events that may be outside the sensor
MOST_OUTSIDE = 0.5


@dataclass(frozen=True)
class Events:
    """Events of a recording, in any order: int64 arrays of one length.

    `time` is in µs, `x` is the column, `y` the row; a `polarity` above 0 is an on
    event.
    """

    time: np.ndarray
    x: np.ndarray
    y: np.ndarray
    polarity: np.ndarray


@dataclass(frozen=True)
class EventRecordings:
    """Recordings of events, each read when it is needed.

    `names` are for messages, `events` returns the events of a position. The sensor's
    shape (height, width, channels) is that of the model's input, axes of length 1
    apart; without it, any sensor fits, with one channel for each polarity, or one for
    both.
    """

    dtype: ClassVar[str] = "uint32"  # see `Recordings`
    labels: np.ndarray  # int64 (n,)
    names: Sequence[str]
    events: Callable[[int], Events]
    sensor: Optional[ImageShape] = None

    def check(self, shape: ImageShape, fit: str) -> None:
        """See `Recordings`."""
        if self.sensor is None and shape[2] not in (1, 2):
            raise InputError(
                f"events have 2 polarities, the model takes {shape[2]} channels: "
                "choose another model.",
            )
        if self.sensor is not None and [n for n in self.sensor if n > 1] != [
            n for n in shape if n > 1
        ]:
            raise InputError(
                f"the events are of a sensor of {format_shape(self.sensor)}, the model "
                f"takes {format_shape(shape)}: choose another model.",
            )

    def read(self, position: int, shape: ImageShape, bin_us: int) -> Steps:
        """See `Recordings`."""
        return binned(
            self.events(position),
            self.sensor or shape,
            bin_us,
            self.names[position],
        )


def binned(events: Events, shape: ImageShape, bin_us: int, name: str) -> Steps:
    """Sum the events of the recording `name` into bins of `bin_us` µs.

    The first bin begins with the first event, whose time may be negative. Events after
    the last complete bin are omitted, as in `ToFrame` of tonic (Lenz et al. 2021), so
    that every time step has seen `bin_us` of the recording. A recording shorter than a
    bin, or without events, is one time step. The sensor's shape is (height, width,
    channels): off and on events, or with one channel both.

    Raise `InputError` if times span too many bins, or most events are outside the
    sensor.
    """
    height, width, channels = shape
    if not events.time.size:
        nothing = np.zeros(0, np.int64)
        return Steps(nothing, nothing, nothing, length=1, first_us=None)
    first_us, last_us = int(events.time.min()), int(events.time.max())
    length = max(1, (last_us - first_us) // bin_us)
    if length > LONGEST_SAMPLE:
        raise InputError(
            f"{name} spans {length:,} bins of {bin_us} µs, more than "
            f"{LONGEST_SAMPLE:,}: its times must be in µs; or give a larger --bin-us.",
        )
    inside = _are_inside(events, shape, name)
    outside = int((~inside).sum())
    step = (events.time - first_us) // bin_us
    is_counted = inside & (step < length)
    channel = (events.polarity[is_counted] > 0).astype(np.int64) if channels == 2 else 0
    pixel = events.y[is_counted] * width + events.x[is_counted]
    neuron = pixel * channels + channel
    size = height * width * channels
    keys, counts = np.unique(step[is_counted] * size + neuron, return_counts=True)
    late = int((inside & (step >= length)).sum())
    return Steps(
        keys // size,
        keys % size,
        counts,
        length,
        outside,
        late,
        first_us,
        last_us - first_us < bin_us,
    )


def _are_inside(events: Events, shape: ImageShape, name: str) -> np.ndarray:
    """Return which events of the recording `name` are in the sensor, bool (events,).

    Raise `InputError` if most are outside.
    """
    height, width, _ = shape
    x = events.x
    y = events.y
    are_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    outside = np.flatnonzero(~are_inside)
    if outside.size > MOST_OUTSIDE * are_inside.size:
        raise InputError(
            f"{name}: {outside.size:,} of {are_inside.size:,} events are outside the "
            f"sensor of {height}×{width} (the first at row {y[outside[0]]}, column "
            f"{x[outside[0]]}): it is of another sensor.",
        )
    return are_inside
