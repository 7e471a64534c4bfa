"""Guesses, rates and accuracies against chance by hand, intervals by their definition, errors by numpy."""

import functools
import itertools

import numpy as np
import pytest

from snnb.simulation.accuracy import chance_warning, wilson_interval
from snnb.simulation.engines.engine import late_quarters
from snnb.simulation.scorers import Classification, Reconstruction
from snnb.simulation.statistics import rate_statistics
from snnb.simulation.totals import QualitySums, Totals, add_sums


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
    assert add_sums(quality, quality).confusion.tolist() == [
        [0, 2, 0, 2],
        [0, 0, 0, 0],
        [0, 2, 0, 0],
    ]


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
    readout[:, 0, 7] = 1
    readout[0, 1, 90:96] = np.arange(6, 0, -1)
    readout[1, 1, 99] = 1
    judge = Classification(np.array([94, 99]), 100, membrane=True)
    judge.observe(np.zeros((2, 2, 100), bool), readout)
    quality = judge.quality(np.eye(100)[[0, 99]], readout[:, -1])
    # First: 7, then 90, and 94 is the fifth of the best. Second: 7, then 99.
    assert quality.by_step.tolist() == quality.readout_by_step.tolist() == [0, 1]
    assert (quality.snn_top, quality.ann_top, quality.differ) == (2, 1, 1)


@pytest.mark.parametrize(
    ("right", "samples"), [(97, 100), (1, 7), (0, 20), (1000, 1000)]
)
def test_the_interval_is_where_the_share_is_one_quantile_away(right, samples):
    low, high = wilson_interval(right, samples)
    share = right / samples
    for bound in (low, high):
        if bound not in (0, 1):
            assert (share - bound) ** 2 == pytest.approx(
                1.959963984540054**2 * bound * (1 - bound) / samples
            )
    assert low <= share <= high


def test_a_reconstruction_is_the_rate_in_the_outputs_unit_whatever_the_blocks():
    random = np.random.default_rng(1)
    x, spikes = (
        random.random((37, 5, 5, 1), np.float32),
        random.random((37, 30, 25)) < 0.3,
    )
    ann, readout = (
        random.random((37, 25), np.float32),
        30 * random.normal(size=(37, 25)),
    )

    def quality(*blocks):
        found_blocks = []
        for block in blocks:
            judge = Reconstruction(x[block], scale=0.5 * 3, analogue_scale=3)
            judge.observe(spikes[block, :12])
            judge.observe(spikes[block, 12:])
            found_blocks.append(judge.quality(ann[block], readout[block]))
        return functools.reduce(add_sums, found_blocks)

    whole_quality, flat = quality(slice(0, 37)), x.reshape(37, 25).astype(float)
    for step in range(30):
        rate = spikes[:, : step + 1].mean(axis=1)
        assert whole_quality.by_step[step] == pytest.approx(
            ((1.5 * rate - flat) ** 2).mean(axis=1).sum()
        )
    assert whole_quality.ann == pytest.approx(
        ((3 * ann - flat) ** 2).mean(axis=1).sum()
    )
    assert whole_quality.readout == pytest.approx(
        ((3 * np.maximum(readout, 0) / 30 - flat) ** 2).mean(axis=1).sum()
    )
    for blocks in ([slice(0, 20), slice(20, 37)], [slice(i, i + 1) for i in range(37)]):
        parts = quality(*blocks)
        assert (parts.ann, parts.readout) == (whole_quality.ann, whole_quality.readout)
        assert parts.by_step.tolist() == whole_quality.by_step.tolist()


def _statistics(network, spikes_per_step):
    """Statistics of populations that all have the given number of spikes in each step."""
    counts = {
        layer.name: np.ones(layer.shape, np.int64) for layer in network.populations
    }
    before, last = late_quarters(len(spikes_per_step))
    late = [int(spikes_per_step[before:last].sum()), int(spikes_per_step[last:].sum())]
    quality = QualitySums(np.zeros(len(spikes_per_step)), 0, None)
    return rate_statistics(
        network,
        Totals(1, counts, quality, np.tile(late, (len(counts), 1)), {}, []),
        len(spikes_per_step),
    )


@pytest.mark.parametrize(
    ("spikes_per_step", "rises"),
    [
        (np.linspace(0, 1000, 80), True),
        (np.full(80, 1000), False),
        (np.linspace(1000, 0, 80), False),
        (np.repeat([0, 500, 1000, 1000], 20), False),  # it did rise, early on
        (np.repeat([0, 0, 1000, 1040], 20), False),  # by less than 5 %
        (np.repeat([0, 0, 1000, 1060], 20), True),
        (
            np.repeat([0, 0, 1, 1.5], 20).astype(int) + np.eye(80)[70].astype(int) * 3,
            False,
        ),  # 23 after 20 spikes
        (np.arange(3), False),  # too short to say
    ],
)
def test_rising(branched_case, spikes_per_step, rises):
    found_rise = _statistics(branched_case.network, spikes_per_step)
    assert found_rise["rising_populations"] == (
        [layer.name for layer in branched_case.network.populations] if rises else []
    )


def test_shares_of_silent_and_saturated_neurons(branched_case):
    counts = {
        layer.name: np.full(layer.shape, 5)
        for layer in branched_case.network.populations
    }
    first_population = branched_case.network.populations[0]
    flat = counts[first_population.name].reshape(-1)
    flat[: first_population.size // 4], flat[first_population.size // 2 :] = 0, 20
    found_statistics = rate_statistics(
        branched_case.network,
        Totals(2, counts, QualitySums(np.zeros(1), 0, None), None, {}, []),
        10,
    )
    assert found_statistics["silent_neurons"][first_population.name] == 0.25
    assert found_statistics["saturated_neurons"][first_population.name] == 0.5
    assert found_statistics["mean_rates"][first_population.name] == pytest.approx(
        (5 / 4 + 20 / 2) / 20
    )


NAMES = list("abcde")


def confusion(true, guess, classes=5):
    """Count pairs; a guess of -1 is none."""
    matrix = np.zeros((classes, classes + 1), np.int64)
    np.add.at(matrix, (true, guess), 1)
    return matrix


def noisy(true, share, random, classes=5):
    return np.where(
        random.random(len(true)) < share, true, random.integers(0, classes, len(true))
    )


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 0), (1, 0, 2, 3, 4), (4, 3, 2, 1, 0)])
def test_an_order_of_the_classes_is_found_as_by_trying_all(order):
    random = np.random.default_rng(1)
    true = np.repeat(np.arange(5), 40)
    guess = np.array(order)[noisy(true, 0.9, random)]
    line = chance_warning(confusion(true, guess), NAMES)
    best = max(
        itertools.permutations(range(5)),
        key=lambda one: (np.array(one)[guess] == true).sum(),
    )
    pairs = [
        f"{NAMES[guess]}→{NAMES[true]}"
        for guess, true in enumerate(best)
        if guess != true
    ]
    assert f"(prediction→label: {', '.join(pairs)}" in line
    assert f"would be {np.mean(np.array(best)[guess] == true):.1%}" in line
    assert (", a shift by 4)" in line) == (order == (1, 2, 3, 4, 0))
    assert ("far below chance" in line) == (np.mean(guess == true) < 0.1)


def test_errors_without_an_order_are_far_below_chance_or_nothing():
    random = np.random.default_rng(2)
    true = np.repeat(np.arange(5), 200)
    away = (true + random.integers(1, 5, len(true))) % 5  # never right, in no order
    line = chance_warning(confusion(true, away), NAMES)
    assert line.startswith(
        "the accuracy of 0.0% is far below chance (20.0%): check the order"
    )
    for guess in (
        random.integers(0, 5, 1000),
        np.full(1000, 3),
        np.full(1000, -1),
        noisy(true, 0.3, random),
        true,
    ):
        assert chance_warning(confusion(true, guess), NAMES) is None


def test_guesses_of_few_samples_are_not_explained_by_an_order():
    """Of random guesses, the best of all permutations is often right; at most 1 % may be reported."""
    lines = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        classes = int(random.integers(2, 11))
        samples = int(random.integers(1, 8)) * classes
        true, guess = np.arange(samples) % classes, random.integers(0, classes, samples)
        lines.append(
            chance_warning(
                confusion(true, guess, classes), list(map(str, range(classes)))
            )
        )
    assert (
        sum(line is not None and "other class numbers" in line for line in lines) <= 3
    )


def test_close_to_chance_is_said_with_a_remedy_only():
    true = np.repeat([0, 1, 2], [60, 30, 10])
    guess = np.zeros(100, int)
    assert chance_warning(confusion(true, guess), NAMES) is None
    line = chance_warning(confusion(true, guess), NAMES, "give --pixels")
    assert line.startswith(
        "the accuracy of 60.0% is close to chance (60.0%): give --pixels; else check the order"
    )
    assert (
        chance_warning(confusion(true[:60], guess[:60]), NAMES, "give --pixels") is None
    )  # one class
    assert chance_warning(confusion(true, true), NAMES, "give --pixels") is None


def test_outputs_without_a_class_are_numbered():
    true = np.repeat([0, 1], 50)
    matrix = np.zeros((2, 5), np.int64)  # 4 outputs
    np.add.at(matrix, (true, true + 2), 1)
    line = chance_warning(matrix, ["a", "b"])
    assert "0.0% would be 100.0%" in line.replace("the accuracy of ", "")
    assert "(prediction→label: 2→a, 3→b)" in line
