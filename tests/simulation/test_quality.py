"""Guesses by hand, intervals by their definition, errors of a reconstruction by numpy."""

import numpy as np
import pytest

from snnb.simulation.quality import Classification, Reconstruction, wilson_interval


def _spikes(*samples):
    """Each sample is the class that spikes at each step, or None."""
    spikes = np.zeros((len(samples), len(samples[0]), 3), bool)
    for i, classes in enumerate(samples):
        for step, guess in enumerate(classes):
            if guess is not None:
                spikes[i, step, guess] = True
    return spikes


def test_the_guess_is_the_class_with_most_spikes_and_undecided_is_wrong():
    judge = Classification(np.array([0, 2, 0]), 3)
    spikes = _spikes([None, 0, 1, 1], [2, 1, 1, 2], [None, None, None, None])
    judge.observe(spikes[:, :1])
    judge.observe(spikes[:, 1:])
    ann = np.array([[0.1, 0.7, 0.2], [0.2, 0.2, 0.6], [0.6, 0.2, 0.2]])
    quality = judge.quality(ann, np.array([[3.0, 1, 1], [3, 1, 1], [3, 1, 1]]))
    # First: nothing, 0, 0 (the lower of two with a spike each), 1. Second: 2, 1 (the lower), 1, 1. Third: nothing.
    np.testing.assert_array_equal(quality.by_step, [1, 1, 1, 0])
    assert (quality.ann, quality.readout) == (2, 2)
    assert quality.differ == 2  # first: both say 1; second: 1 and 2; third: none and 0
    assert quality.confusion.tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert (quality + quality).confusion.tolist() == [[0, 2, 0, 2], [0, 0, 0, 0], [0, 2, 0, 0]]


def test_five_best():
    counts = np.zeros((3, 1, 100), bool)
    counts[:, 0, :5] = True  # five classes with a spike each
    judge = Classification(np.array([4, 5, 99]), 100)
    judge.observe(counts)
    ann = np.tile(np.arange(100.0), (3, 1))
    quality = judge.quality(ann, None)
    assert (quality.snn_top, quality.ann_top) == (1, 1)
    silent = Classification(np.array([0]), 100)
    silent.observe(np.zeros((1, 1, 100), bool))
    assert silent.quality(ann[:1], None).snn_top == 0


def test_the_membrane_is_read_in_place_of_spikes():
    readout = np.zeros((2, 2, 100), np.float32)
    readout[:, 0, 7], readout[0, 1, 90:96], readout[1, 1, 99] = 1, np.arange(6, 0, -1), 1
    judge = Classification(np.array([94, 99]), 100, membrane=True)
    judge.observe(np.zeros((2, 2, 100), bool), readout)
    quality = judge.quality(np.eye(100)[[0, 99]], readout[:, -1])
    # First: 7, then 90, and 94 is the fifth of the best. Second: 7, then 99.
    assert quality.by_step.tolist() == quality.readout_by_step.tolist() == [0, 1]
    assert (quality.snn_top, quality.ann_top, quality.differ) == (2, 1, 1)


@pytest.mark.parametrize(("right", "samples"), [(97, 100), (1, 7), (0, 20), (20, 20)])
def test_the_interval_is_where_the_share_is_one_quantile_away(right, samples):
    low, high = wilson_interval(right, samples)
    share = right / samples
    for bound in (low, high):
        if bound not in (0, 1):
            assert (share - bound) ** 2 == pytest.approx(1.959963984540054**2 * bound * (1 - bound) / samples)
    assert low <= share <= high


def test_a_reconstruction_is_the_rate_in_the_outputs_unit():
    random = np.random.default_rng(1)
    x, spikes = random.random((3, 2, 2, 1)).astype(np.float32), random.random((3, 5, 4)) < 0.5
    judge = Reconstruction(x, scale=0.5 * 3, analogue_scale=3)
    judge.observe(spikes[:, :2])
    judge.observe(spikes[:, 2:])
    ann, readout = random.random((3, 4)), random.normal(size=(3, 4))
    quality = judge.quality(ann, readout)
    flat = x.reshape(3, 4).astype(float)
    for step in range(5):
        rate = spikes[:, : step + 1].mean(axis=1)
        assert quality.by_step[step] == pytest.approx(((1.5 * rate - flat) ** 2).mean(axis=1).sum())
    assert quality.ann == pytest.approx(((3 * ann - flat) ** 2).mean(axis=1).sum())
    assert quality.readout == pytest.approx(((3 * np.maximum(readout, 0) / 5 - flat) ** 2).mean(axis=1).sum())
