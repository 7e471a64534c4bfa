"""Measure the output of a block of samples, by its classes or by its error.

A scorer observes the spikes of the output layer, several steps at a time and in their
order, and computes `QualitySums` after the last step.
"""

from typing import List, Optional, Protocol

import numpy as np

from snnb.simulation.totals import QualitySums

# The class of a sample is to be among this number of best guesses.
TOP = 5
NO_GUESS = -1
# Errors are rounded to multiples of this number, so that sums up to 130,000 are exact
# in any order and any blocks.
ERROR_UNIT = 2.0**-36


class Scorer(Protocol):
    """Measures the output of a block of samples."""

    def observe(self, spikes: np.ndarray, readout: Optional[np.ndarray]) -> None:
        """Observe the output layer in the next steps.

        `spikes` are bool (samples, steps, units). `readout` is the accumulated input
        after each step, float32 of the same shape, or None; see `engine.Observe`.
        """

    def quality(
        self,
        ann: Optional[np.ndarray],
        readout: Optional[np.ndarray],
    ) -> QualitySums:
        """Return the sums over the samples after the last step.

        `ann` are the outputs of the analogue network and `readout` the read-out after
        the last step, both (samples, units), or None if there are none.
        """

    @property
    def counts(self) -> np.ndarray:
        """Spikes of the output layer so far: int64 (samples, units)."""


class Classification:
    """Measures guesses of classes; see `Scorer`.

    The guess is the class with most spikes so far, the lowest of several. A sample
    without a spike has no guess, which counts as wrong. With `membrane`, the guess is
    the class with the largest read-out instead.
    """

    def __init__(self, y: np.ndarray, units: int, membrane: bool = False) -> None:
        """Take the class ids, int64 (samples,), and the size of the output layer."""
        self._y = y
        self._membrane = membrane
        self._counts = np.zeros((len(y), units), np.int64)  # spikes so far
        self._guesses = np.full(len(y), NO_GUESS)
        # Numbers of correct guesses after each step, an array for each observation
        self._correct: List[np.ndarray] = []
        self._correct_readouts: List[np.ndarray] = []

    def observe(
        self,
        spikes: np.ndarray,
        readout: Optional[np.ndarray] = None,
    ) -> None:
        """See `Scorer`."""
        labels = self._y[:, np.newaxis]
        counts = self._counts[:, np.newaxis] + np.cumsum(spikes, axis=1)
        guesses = np.where(counts.any(axis=2), counts.argmax(axis=2), NO_GUESS)
        if readout is not None:
            readout_guesses = readout.argmax(axis=2)
            self._correct_readouts.append((readout_guesses == labels).sum(axis=0))
            if self._membrane:
                guesses = readout_guesses
        self._correct.append((guesses == labels).sum(axis=0))
        self._counts = counts[:, -1]
        self._guesses = guesses[:, -1]

    def quality(
        self,
        ann: Optional[np.ndarray],
        readout: Optional[np.ndarray],
    ) -> QualitySums:
        """See `Scorer`."""
        scores = self._counts
        if self._membrane and readout is not None:
            scores = readout
        has_guess = self._guesses != NO_GUESS
        sums = QualitySums(
            by_step=np.concatenate(self._correct),
            ann=None,
            readout=None,
            differ=None,
            ann_top=None,
            snn_top=int((_is_among_best(scores, self._y) & has_guess).sum()),
            confusion=self._confusion(self._guesses),
        )
        if self._correct_readouts:
            by_step = np.concatenate(self._correct_readouts)
            sums = sums._replace(readout_by_step=by_step)
        if ann is not None:
            ann_guesses = ann.argmax(axis=1)
            sums = sums._replace(
                ann=int((ann_guesses == self._y).sum()),
                differ=int((ann_guesses != self._guesses).sum()),
                ann_top=int(_is_among_best(ann, self._y).sum()),
            )
        if readout is not None:
            readout_guesses = readout.argmax(axis=1)
            sums = sums._replace(
                readout=int((readout_guesses == self._y).sum()),
                readout_confusion=self._confusion(readout_guesses),
            )
        return sums

    @property
    def counts(self) -> np.ndarray:
        """See `Scorer`."""
        return self._counts

    def _confusion(self, guesses: np.ndarray) -> np.ndarray:
        """Return the number of samples by class and guess: see `QualitySums`."""
        units = self._counts.shape[1]
        confusion = np.zeros((units, units + 1), np.int64)
        # `NO_GUESS`, -1, is the index of the last column.
        np.add.at(confusion, (self._y, guesses), 1)
        return confusion


class Reconstruction:
    """Measures how far spike rates of the output are from the image; see `Scorer`.

    The error of a sample is the mean of squared differences over the pixels, in the
    unit of the image.
    """

    def __init__(self, x: np.ndarray, scale: float, analogue_scale: float) -> None:
        """Take the images, float32 (samples, height, width, channels).

        `scale` is the value of a pixel at a rate of 1. `analogue_scale` is that value
        for an analogue output of 1, and for a read-out of 1 in a step.
        """
        self._x = x.reshape(len(x), -1).astype(np.float64)
        self._scale = scale
        self._analogue_scale = analogue_scale
        self._counts = np.zeros(self._x.shape, np.int64)  # spikes so far
        self._errors: List[float] = []  # sum over the samples after each step

    def observe(
        self,
        spikes: np.ndarray,
        readout: Optional[np.ndarray] = None,
    ) -> None:
        """See `Scorer`."""
        for step in range(spikes.shape[1]):
            self._counts += spikes[:, step]
            steps = len(self._errors) + 1
            self._errors.append(self._error(self._counts * (self._scale / steps)))

    def quality(
        self,
        ann: Optional[np.ndarray],
        readout: Optional[np.ndarray],
    ) -> QualitySums:
        """See `Scorer`."""
        ann_error = None if ann is None else self._error(ann * self._analogue_scale)
        readout_error = None
        if readout is not None:
            steps = len(self._errors)
            mean = np.maximum(readout, 0) * (self._analogue_scale / steps)
            readout_error = self._error(mean)
        return QualitySums(
            by_step=np.array(self._errors),
            ann=ann_error,
            readout=readout_error,
        )

    @property
    def counts(self) -> np.ndarray:
        """See `Scorer`."""
        return self._counts

    def _error(self, reconstruction: np.ndarray) -> float:
        """Return the sum of the rounded errors of the samples."""
        errors = ((reconstruction - self._x) ** 2).mean(axis=1)
        return float(np.rint(errors / ERROR_UNIT).sum() * ERROR_UNIT)


def _is_among_best(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether less than `TOP` classes precede that of a sample: bool (samples,).

    `scores` are (samples, classes). The lower of two classes with equal scores precedes
    the other.
    """
    labels = y[:, np.newaxis]
    true_score = scores[np.arange(len(y)), y][:, np.newaxis]
    is_lower_class = np.arange(scores.shape[1]) < labels
    is_better = (scores > true_score) | ((scores == true_score) & is_lower_class)
    n_better: np.ndarray = is_better.sum(axis=1)
    return n_better < TOP
