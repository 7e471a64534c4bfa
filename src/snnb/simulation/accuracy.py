"""Accuracy or error of the spiking and the analogue network, as sums over samples."""

import math
from dataclasses import dataclass, fields
from typing import Any, Dict, List, Optional, Protocol, Tuple

import numpy as np

TOP = 5
TOP_FROM_CLASSES = 100
# Errors are rounded to multiples of it, so that their sums are exact up to 130,000, in any order and any blocks.
UNIT = 2.0**-36


@dataclass(frozen=True)
class Quality:
    """Sums over samples: of right guesses for a classifier, of mean squared errors for a reconstruction."""

    by_step: np.ndarray  # of the spiking network after each step
    ann: Optional[float]  # None if there is no analogue network
    readout: Optional[float]  # of the output layer's accumulated input; None if the engine does not provide it
    readout_by_step: Optional[np.ndarray] = None  # likewise, after each step; None for a reconstruction
    differ: Optional[int] = 0  # samples for which the two networks guess differently
    ann_top: Optional[int] = 0  # samples whose class is among the five best
    snn_top: int = 0
    # Samples by class and by the spiking network's guess after the last step, int64 (classes, classes + 1); the last
    # column has the samples without any spike. None for a reconstruction.
    confusion: Optional[np.ndarray] = None

    def __add__(self, other: "Quality") -> "Quality":
        sums: Dict[str, Any] = {}
        for name in (field.name for field in fields(self)):
            one, two = getattr(self, name), getattr(other, name)
            sums[name] = None if one is None or two is None else one + two
        return Quality(**sums)

    def confusions(self) -> List[Tuple[int, int, int]]:
        """Return class, guess and number of samples where there are any; a guess of -1 is a sample without spikes."""
        assert self.confusion is not None
        undecided = self.confusion.shape[1] - 1
        classes, guesses = (indices.tolist() for indices in np.nonzero(self.confusion))
        return [
            (of, -1 if guess == undecided else guess, int(self.confusion[of, guess]))
            for of, guess in zip(classes, guesses)
        ]


class Scorer(Protocol):
    """Computes the quality of a block of samples from the spikes of the output layer."""

    def observe(self, spikes: np.ndarray, readout: Optional[np.ndarray] = None) -> None:
        """Take spikes and accumulated input of the output layer in the next steps; see `engine.Observe`."""

    def quality(self, ann: Optional[np.ndarray], readout: Optional[np.ndarray]) -> Quality:
        """Return the quality after the last step, given the analogue outputs, if there are any, and the read-out."""


class Classification:
    """The guess is the class with most spikes so far; without any spike there is none, which counts as wrong.

    With `membrane`, the guess is the class with the largest read-out instead.
    """

    def __init__(self, y: np.ndarray, units: int, membrane: bool = False) -> None:
        self._y, self._membrane = y, membrane
        self._read: List[np.ndarray] = []
        self._counts = np.zeros((len(y), units), np.int64)
        self._guess = np.full(len(y), -1)
        self._right: List[np.ndarray] = []

    def observe(self, spikes: np.ndarray, readout: Optional[np.ndarray] = None) -> None:
        """See `Scorer`."""
        cumulative = self._counts[:, np.newaxis] + np.cumsum(spikes, axis=1)
        guesses = np.where(cumulative.any(axis=2), cumulative.argmax(axis=2), -1)
        if readout is not None:
            best = readout.argmax(axis=2)
            self._read.append((best == self._y[:, np.newaxis]).sum(axis=0))
            guesses = best if self._membrane else guesses
        self._right.append((guesses == self._y[:, np.newaxis]).sum(axis=0))
        self._counts, self._guess = cumulative[:, -1], guesses[:, -1]

    def quality(self, ann: Optional[np.ndarray], readout: Optional[np.ndarray]) -> Quality:
        """See `Scorer`."""
        guess = None if ann is None else ann.argmax(axis=1)
        scores = readout if self._membrane and readout is not None else self._counts
        units = self._counts.shape[1]
        confusion = np.zeros((units, units + 1), np.int64)
        np.add.at(confusion, (self._y, self._guess), 1)  # a guess of -1 is the last column
        return Quality(
            by_step=np.concatenate(self._right),
            ann=None if guess is None else int((guess == self._y).sum()),
            readout=None if readout is None else int((readout.argmax(axis=1) == self._y).sum()),
            readout_by_step=np.concatenate(self._read) if self._read else None,
            differ=None if guess is None else int((guess != self._guess).sum()),
            ann_top=None if ann is None else int(_among_best(ann, self._y).sum()),
            snn_top=int((_among_best(scores, self._y) & (self._guess >= 0)).sum()),
            confusion=confusion,
        )


class Reconstruction:
    """Mean squared error over pixels of the output's spike rate, in the unit of the image."""

    def __init__(self, x: np.ndarray, scale: float, analogue_scale: float) -> None:
        self._x = x.reshape(len(x), -1).astype(np.float64)
        self._scale, self._analogue_scale = scale, analogue_scale
        self._counts = np.zeros(self._x.shape, np.int64)
        self._errors: List[float] = []

    def observe(self, spikes: np.ndarray, readout: Optional[np.ndarray] = None) -> None:
        """See `Scorer`."""
        for step in range(spikes.shape[1]):
            self._counts += spikes[:, step]
            self._errors.append(self._error(self._counts * (self._scale / (len(self._errors) + 1))))

    def quality(self, ann: Optional[np.ndarray], readout: Optional[np.ndarray]) -> Quality:
        """See `Scorer`."""
        assert ann is not None
        mean = None if readout is None else np.maximum(readout, 0) * (self._analogue_scale / len(self._errors))
        return Quality(
            by_step=np.array(self._errors),
            ann=self._error(ann * self._analogue_scale),
            readout=None if mean is None else self._error(mean),
        )

    def _error(self, reconstruction: np.ndarray) -> float:
        errors = ((reconstruction - self._x) ** 2).mean(axis=1)
        return float(np.rint(errors / UNIT).sum() * UNIT)


def _among_best(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether fewer than five classes precede the true one; of equal scores, the lower class comes first."""
    own = scores[np.arange(len(y)), y][:, np.newaxis]
    earlier = np.arange(scores.shape[1]) < y[:, np.newaxis]
    before: np.ndarray = ((scores > own) | ((scores == own) & earlier)).sum(axis=1)
    return before < TOP


def wilson_interval(right: float, samples: int) -> Tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson 1927, Probable inference, the law of succession)."""
    z = 1.959963984540054
    share, spread = right / samples, z * z / samples
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / samples + spread / (4 * samples))
    return max(0.0, centre - half), min(1.0, centre + half)
