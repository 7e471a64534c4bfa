"""An accuracy against chance: what is said of confusion matrices with a known cause."""

import itertools

import numpy as np
import pytest

from snnb.simulation.accuracy import chance_warning

NAMES = list("abcde")


def confusion(true, guess, classes=5):
    """Count pairs; a guess of -1 is none."""
    matrix = np.zeros((classes, classes + 1), np.int64)
    np.add.at(matrix, (true, guess), 1)
    return matrix


def noisy(true, share, random, classes=5):
    return np.where(random.random(len(true)) < share, true, random.integers(0, classes, len(true)))


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 0), (1, 0, 2, 3, 4), (4, 3, 2, 1, 0)])
def test_an_order_of_the_classes_is_found_as_by_trying_all(order):
    random = np.random.default_rng(1)
    true = np.repeat(np.arange(5), 40)
    guess = np.array(order)[noisy(true, 0.9, random)]
    line = chance_warning(confusion(true, guess), NAMES)
    best = max(itertools.permutations(range(5)), key=lambda one: (np.array(one)[guess] == true).sum())
    pairs = [f"{NAMES[guess]}→{NAMES[true]}" for guess, true in enumerate(best) if guess != true]
    assert f"(prediction→label: {', '.join(pairs)}" in line
    assert f"would be {np.mean(np.array(best)[guess] == true):.1%}" in line
    assert (", a shift by 4)" in line) == (order == (1, 2, 3, 4, 0))
    assert ("far below chance" in line) == (np.mean(guess == true) < 0.1)


def test_errors_without_an_order_are_far_below_chance_or_nothing():
    random = np.random.default_rng(2)
    true = np.repeat(np.arange(5), 200)
    away = (true + random.integers(1, 5, len(true))) % 5  # never right, in no order
    line = chance_warning(confusion(true, away), NAMES)
    assert line.startswith("the accuracy of 0.0% is far below chance (20.0%): check the order")
    for guess in (random.integers(0, 5, 1000), np.full(1000, 3), np.full(1000, -1), noisy(true, 0.3, random), true):
        assert chance_warning(confusion(true, guess), NAMES) is None


def test_guesses_of_few_samples_are_not_explained_by_an_order():
    """Of random guesses, the best of all permutations is often right; at most 1 % may be reported."""
    lines = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        classes = int(random.integers(2, 11))
        samples = int(random.integers(1, 8)) * classes
        true, guess = np.arange(samples) % classes, random.integers(0, classes, samples)
        lines.append(chance_warning(confusion(true, guess, classes), list(map(str, range(classes)))))
    assert sum(line is not None and "other class numbers" in line for line in lines) <= 3


def test_close_to_chance_is_said_with_a_remedy_only():
    true = np.repeat([0, 1, 2], [60, 30, 10])
    guess = np.zeros(100, int)
    assert chance_warning(confusion(true, guess), NAMES) is None
    line = chance_warning(confusion(true, guess), NAMES, "give --pixels")
    assert line.startswith("the accuracy of 60.0% is close to chance (60.0%): give --pixels; else check the order")
    assert chance_warning(confusion(true[:60], guess[:60]), NAMES, "give --pixels") is None  # one class
    assert chance_warning(confusion(true, true), NAMES, "give --pixels") is None


def test_outputs_without_a_class_are_numbered():
    true = np.repeat([0, 1], 50)
    matrix = np.zeros((2, 5), np.int64)  # 4 outputs
    np.add.at(matrix, (true, true + 2), 1)
    line = chance_warning(matrix, ["a", "b"])
    assert "0.0% would be 100.0%" in line.replace("the accuracy of ", "")
    assert "(prediction→label: 2→a, 3→b)" in line
