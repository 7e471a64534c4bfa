"""Confidence interval of an accuracy, and its comparison with chance."""

import math
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

# Fraction of the way from the accuracy of guessing the most frequent class to 1; a
# smaller one is close to chance.
GUESSING_SHARE = 0.1
# Largest probability that a permutation of the classes is found for random predictions
RANDOM = 0.01
MOST_PAIRS = 20  # pairs of class numbers in a message


def wilson_interval(correct: float, samples: int) -> Tuple[float, float]:
    """Return the 95 % confidence interval of the proportion `correct` / `samples`.

    Wilson 1927, Probable inference, the law of succession.
    """
    z = 1.959963984540054
    share = correct / samples
    spread = z * z / samples
    centre = (share + spread / 2) / (1 + spread)
    variance = share * (1 - share) / samples + spread / (4 * samples)
    half_width = z / (1 + spread) * math.sqrt(variance)
    low = max(0.0, centre - half_width)
    high = min(1.0, centre + half_width)
    return low, high


def chance_warning(
    confusion: np.ndarray,
    names: Sequence[str],
    remedy: Optional[str] = None,
) -> Optional[str]:
    """Return a sentence about labels that may be wrong; None if nothing suggests it.

    Either the accuracy is far below chance, or other class numbers would raise it.
    Chance is the accuracy of guesses with the frequencies of the predictions.

    `confusion` has the number of samples by class and prediction, in the last column
    those without a prediction: int64 (classes, predictions + 1). `names` are those of
    the classes. With a `remedy`, an accuracy of little more than the accuracy of
    guessing the most frequent class is reported too.
    """
    predictions = confusion[:, :-1]
    samples = int(confusion.sum())
    correct = int(np.trace(predictions))
    accuracy = correct / samples
    class_counts = confusion.sum(axis=1)
    guess_counts = np.resize(predictions.sum(axis=0), len(confusion))
    chance = float(class_counts @ guess_counts) / samples**2
    highest_accuracy = wilson_interval(correct, samples)[1]
    is_far_below = accuracy < chance / 2 and highest_accuracy < chance
    guessing = int(class_counts.max()) / samples
    order = "check the order of the classes and the labels"
    best = _best_permutation(predictions)
    if _explains_errors(best, correct, samples, guessing):
        below = f", far below chance ({chance:.1%})," if is_far_below else ""
        return (
            f"the accuracy of {accuracy:.1%}{below} would be "
            f"{best.correct / samples:.1%} with other class numbers "
            f"(prediction→label: {best.describe(names)}): {order}"
        )
    if is_far_below:
        return (
            f"the accuracy of {accuracy:.1%} is far below chance ({chance:.1%}): "
            f"{order}"
        )
    if remedy is None or guessing == 1 or not is_close_to_chance(accuracy, guessing):
        return None
    return (
        f"the accuracy of {accuracy:.1%} is close to chance ({guessing:.1%}): "
        f"{remedy}; else {order}"
    )


def is_close_to_chance(accuracy: float, guessing: float) -> bool:
    """Whether an accuracy is little more than that of guessing the most frequent class.

    `guessing` is the accuracy of that guess.
    """
    return accuracy <= guessing + GUESSING_SHARE * (1 - guessing)


@dataclass(frozen=True)
class Permutation:
    """Other numbers of the classes, with which most predictions are correct."""

    correct: int  # number of correct predictions
    # Prediction and its class, of each class number that occurs and changes; sorted
    changes: List[Tuple[int, int]]
    classes: int

    def describe(self, names: Sequence[str]) -> str:
        """Return the changes by the `names` of the classes: `3→dog, cat→horse`."""
        pairs: List[str] = []
        for guess, label in self.changes:
            guess_name = names[guess] if guess < len(names) else str(guess)
            pairs.append(f"{guess_name}→{names[label]}")
        text = ", ".join(pairs[:MOST_PAIRS])
        if len(pairs) > MOST_PAIRS:
            text += f" and {len(pairs) - MOST_PAIRS} more"
        shifts = {(label - guess) % self.classes for guess, label in self.changes}
        if len(shifts) == 1 and len(self.changes) > 2:
            text += f", a shift by {shifts.pop()}"
        return text


def _best_permutation(predictions: np.ndarray) -> Permutation:
    """Return the permutation of the classes with most correct predictions.

    `predictions` has the number of samples by class and prediction: int64 (classes,
    predictions). It is the assignment problem: Kuhn 1955, The Hungarian method.
    """
    correct = int(np.trace(predictions))
    if correct == predictions.max(axis=1).sum():
        # No permutation has more; scipy.optimize takes 0.2 s to import.
        return Permutation(correct, [], len(predictions))
    from scipy.optimize import linear_sum_assignment

    labels, guesses = linear_sum_assignment(predictions, maximize=True)
    samples = predictions[labels, guesses]
    is_change = (labels != guesses) & (samples > 0)
    pairs = zip(guesses[is_change].tolist(), labels[is_change].tolist())
    return Permutation(int(samples.sum()), sorted(pairs), len(predictions))


def _explains_errors(
    best: Permutation,
    correct: int,
    samples: int,
    guessing: float,
) -> bool:
    """Whether a permutation explains more than half of the errors, and not by chance.

    `correct` is the number of correct predictions without it, `guessing` the accuracy
    of guessing the most frequent class.
    """
    errors = samples - correct
    if 2 * (best.correct - correct) <= errors:
        return False
    if _is_random(best.correct / samples, guessing, samples, best.classes):
        return False
    lowest_permuted = wilson_interval(best.correct, samples)[0]
    highest_accuracy = wilson_interval(correct, samples)[1]
    return lowest_permuted > highest_accuracy


def _is_random(share: float, guessing: float, samples: int, classes: int) -> bool:
    """Whether the best of all permutations may have this accuracy for random guesses.

    `share` is its accuracy, `guessing` that of the guesses. The probability of one
    permutation is bounded by exp(-n D), where n is the number of samples and D is the
    divergence of the two (Chernoff 1952).
    """
    if share <= guessing:
        return True
    divergence = share * math.log(share / guessing)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - guessing))
    log_permutations = math.lgamma(classes + 1)
    return samples * divergence < log_permutations - math.log(RANDOM)
