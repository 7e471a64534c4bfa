"""Confidence interval of an accuracy, and its comparison with chance."""

import math
from typing import List, Optional, Sequence, Tuple

import numpy as np

# Fraction of the way from the accuracy of guessing the most frequent class to 1; a smaller one is close to chance.
GUESSING_SHARE = 0.1
RANDOM = 0.01  # largest probability that a permutation of the classes is found for random predictions
LISTED = 20  # class numbers in a message


def wilson_interval(right: float, samples: int) -> Tuple[float, float]:
    """Return the 95 % confidence interval of a proportion (Wilson 1927, Probable inference, the law of succession)."""
    z = 1.959963984540054
    share, spread = right / samples, z * z / samples
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / samples + spread / (4 * samples))
    return max(0.0, centre - half), min(1.0, centre + half)


def chance_warning(confusion: np.ndarray, names: Sequence[str], remedy: Optional[str] = None) -> Optional[str]:
    """Return a sentence about an accuracy far below chance, or that other class numbers would raise; else None.

    `confusion` has the number of samples by class and prediction, in the last column without a prediction: int64
    (classes, predictions + 1). Chance is the accuracy of guesses with the frequencies of the predictions. With a
    `remedy`, an accuracy of little more than that of guessing the most frequent class is reported too.
    """
    classes, samples, right = len(confusion), int(confusion.sum()), int(np.trace(confusion[:, :-1]))
    by_class, accuracy = confusion.sum(axis=1), right / samples
    chance = float(by_class @ np.resize(confusion[:, :-1].sum(axis=0), classes)) / samples**2
    far_below = accuracy < chance / 2 and wilson_interval(right, samples)[1] < chance
    order = "check the order of the classes and the labels"
    permuted, moved = _permutation(confusion[:, :-1])
    guessing = int(by_class.max()) / samples
    explained = 2 * (permuted - right) > samples - right and not _is_random(permuted / samples, guessing, confusion)
    if explained and wilson_interval(permuted, samples)[0] > wilson_interval(right, samples)[1]:
        pairs = [f"{names[guess] if guess < len(names) else guess}→{names[true]}" for guess, true in moved]
        listed = ", ".join(pairs[:LISTED]) + (f" and {len(pairs) - LISTED} more" if len(pairs) > LISTED else "")
        shifts = {(true - guess) % classes for guess, true in moved}
        shift = f", a shift by {shifts.pop()}" if len(shifts) == 1 and len(moved) > 2 else ""
        below = f", far below chance ({chance:.1%})," if far_below else ""
        return (
            f"the accuracy of {accuracy:.1%}{below} would be {permuted / samples:.1%} with other class numbers "
            f"(prediction→label: {listed}{shift}): {order}"
        )
    if far_below:
        return f"the accuracy of {accuracy:.1%} is far below chance ({chance:.1%}): {order}"
    if remedy is None or guessing == 1 or not is_close_to_chance(accuracy, guessing):
        return None
    return f"the accuracy of {accuracy:.1%} is close to chance ({guessing:.1%}): {remedy}; else {order}"


def is_close_to_chance(accuracy: float, guessing: float) -> bool:
    """Whether an accuracy is little more than that of guessing the most frequent class."""
    return accuracy <= guessing + GUESSING_SHARE * (1 - guessing)


def _is_random(share: float, guessing: float, confusion: np.ndarray) -> bool:
    """Whether the best of all permutations may have this accuracy for guesses of the accuracy `guessing`.

    The probability of one permutation is bounded by exp(-n D), where D is the divergence of the two (Chernoff 1952).
    """
    if share <= guessing:
        return True
    wrong = (1 - share) * math.log((1 - share) / (1 - guessing)) if share < 1 else 0.0
    divergence = share * math.log(share / guessing) + wrong
    return int(confusion.sum()) * divergence < math.lgamma(len(confusion) + 1) - math.log(RANDOM)


def _permutation(confusion: np.ndarray) -> Tuple[int, List[Tuple[int, int]]]:
    """Return the largest number of right predictions with other class numbers, and each that changes, with its class.

    The assignment problem: Kuhn 1955, The Hungarian method.
    """
    right = int(np.trace(confusion))
    if right == confusion.max(axis=1).sum():  # no permutation has more; scipy.optimize takes 0.2 s to import
        return right, []
    from scipy.optimize import linear_sum_assignment

    true, guess = linear_sum_assignment(confusion, maximize=True)
    found = confusion[true, guess]
    changed = (true != guess) & (found > 0)
    return int(found.sum()), sorted(zip(guess[changed].tolist(), true[changed].tolist()))
