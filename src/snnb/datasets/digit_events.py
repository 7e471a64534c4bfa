"""Events of scikit-learn's digits, which move in front of a sensor along three saccades, as in N-MNIST.

A digit of 8×8 pixels moves over a sensor of 12×12 pixels along the sides of a triangle.
A pixel of the sensor emits an on event for each rise of its brightness by `CONTRAST`,
and an off event for each fall, as an event camera does (Lichtsteiner et al. 2008, A
128×128 120 dB 15 µs latency asynchronous temporal contrast vision sensor, IEEE JSSC).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Tuple, cast

import numpy as np

from snnb.datasets import digits
from snnb.datasets.array_samples import ArraySamples
from snnb.datasets.definition import Dataset, LoadedDataset
from snnb.datasets.events import EventRecordings, Events

SENSOR = (12, 12, 2)
# Positions of the digit's upper left pixel at the ends of the saccades
CORNERS = ((0, 0), (4, 2), (0, 4), (0, 0))
TICK_US = 1000  # time between two pictures
TICKS = (8, 12)  # shortest and longest saccade
# Parts of a pixel in which positions are rounded, so that all numbers are integers
UNIT = 16
CONTRAST = 4  # of 16, the brightest pixel

SPEC = digits.SPEC.model_copy(
    update={
        "name": "digit_events",
        "title": "moving UCI handwritten digits (events)",
        "shape": SENSOR,
        "scale": 1.0,
        "content": "events",
    },
)


@dataclass(frozen=True)
class MovingDigits:
    """Digits, uint8 (n, 8, 8), and the seed of their movements."""

    images: np.ndarray
    seed: int

    def pictures(self, position: int) -> np.ndarray:
        """Return the sensor's picture at the end of each tick, the first before it.

        Int64 (ticks + 1, 12, 12).

        The brightness is that of the digit, 0 to 16, times UNIT². Saccades last 8 to 12
        ticks, drawn for each digit.
        """
        place = self._path(position)
        row, column = (place // UNIT).T
        row_part, column_part = (place % UNIT).T
        margin = max(max(corner) for corner in CORNERS) + 1
        image = np.pad(self.images[position].astype(np.int64), margin)
        seen = np.zeros((len(row), *SENSOR[:2]), np.int64)
        for down, row_weight in ((0, UNIT - row_part), (1, row_part)):
            for right, column_weight in ((0, UNIT - column_part), (1, column_part)):
                rows = margin - down - row[:, np.newaxis] + np.arange(SENSOR[0])
                columns = margin - right - column[:, np.newaxis] + np.arange(SENSOR[1])
                weight = (row_weight * column_weight)[:, np.newaxis, np.newaxis]
                seen += weight * image[rows[:, :, np.newaxis], columns[:, np.newaxis]]
        return seen

    def _path(self, position: int) -> np.ndarray:
        """Return where the sensor looks at the end of each tick, in UNITs of a pixel.

        Row and column, int64 (ticks + 1, 2), the first before the first tick.
        """
        ticks = int(self._random(position).integers(TICKS[0], TICKS[1] + 1))
        tick = np.arange(1, ticks + 1)[:, np.newaxis]
        corners = np.array(CORNERS) * UNIT
        path = [corners[:1]]
        for start, end in zip(corners, corners[1:]):
            path.append(start + tick * (end - start) // ticks)
        return np.concatenate(path)

    def events(self, position: int) -> Events:
        """Return the events of a digit, each at a random time of the tick in which it arises."""
        seen, contrast = self.pictures(position), CONTRAST * UNIT**2
        level = seen[0].copy()
        changes = np.zeros((len(seen) - 1, *SENSOR[:2]), np.int64)
        for change, picture in zip(changes, seen[1:]):
            change[:] = np.sign(picture - level) * (np.abs(picture - level) // contrast)
            level += change * contrast
        tick, y, x = np.nonzero(changes)
        change = changes[tick, y, x]
        tick, y, x, sign = (
            np.repeat(values, np.abs(change))
            for values in (tick, y, x, np.sign(change))
        )
        within = self._random(position, 1).integers(0, TICK_US, tick.size)
        return Events(tick * TICK_US + within, x, y, sign)

    def _random(self, *use: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *use])


def _record(samples: ArraySamples, seed: int) -> EventRecordings:
    """Return the recordings of digits that move."""
    n_samples = len(samples.labels)
    names = [f"{SPEC.name}: sample {position}" for position in range(n_samples)]
    moving_digits = MovingDigits(samples.images[..., 0], seed)
    return EventRecordings(samples.labels, names, moving_digits.events, SENSOR)


def load(where: Path) -> LoadedDataset:
    """Move the digits. Digits and movements are the same for every seed, so that results can be compared."""
    digit_data = digits.load(where)
    train, test = cast(
        "Tuple[ArraySamples, ArraySamples]", (digit_data.train, digit_data.test)
    )
    return replace(digit_data, train=_record(train, 0), test=_record(test, 1))


DATASET = Dataset(SPEC, digits.locate, load)
