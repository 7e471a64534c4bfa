"""How Lava stores the weights of a dense layer: in 8 bits, with one exponent.

The rules are those of `lava.lib.dl.netx.utils.optimize_weight_bits` (lava-dl at
d825ac5) and of `lava.utils.weightutils` (lava 0.10).
"""

from typing import NamedTuple, Optional, Sequence

import numpy as np

STORED_BITS = 8
LARGEST_EXPONENT = 8  # with it, only -1 fits the limits, as -256
# Limits of stored numbers without the sign, which are not negative or not positive
ONE_SIGN_HIGHEST = 255
ONE_SIGN_LOWEST = -256
# Limits of stored numbers with the sign, divided by 2: the sign takes a bit
BOTH_SIGNS_HIGHEST = 127
BOTH_SIGNS_LOWEST = -128


class StoredWeights(NamedTuple):
    """The weights of a layer as Lava stores them: numbers of 8 bits, and an exponent.

    Lava sums the stored numbers of all spikes, divides the sum by 2 ** exponent, and
    rounds it down.
    """

    exponent: int  # from 0 to 8
    # float64, in the shapes of the weights: the stored numbers, divided by 2 **
    # exponent; the weights themselves, if the bits are sufficient
    arrays: Sequence[np.ndarray]
    changed_values: int  # number of values of `arrays` that are not the weights


def store_weights(arrays: Sequence[np.ndarray]) -> Optional[StoredWeights]:
    """Return weights, int64 arrays of any shapes, as Lava stores them together.

    A `dense_rec` has two arrays, a `dense` has one. Weights of both signs are clipped
    if they need more than 8 bits. Return None for weights that Lava cannot store: those
    that are all 0; those of one sign that need more than 8 bits; and those beyond -128
    to 127 with an odd one, if `_has_sign` holds for all of them, but an array does not
    have both signs: -129 and 0 are not stored, -130 and 0 are.
    """
    weights = np.concatenate([array.ravel() for array in arrays])
    clipped = _clip(weights)
    exponent = _find_exponent(clipped)
    if exponent is None:
        return None
    trailing_zeros = _count_trailing_zeros(clipped)
    bits = STORED_BITS - exponent - trailing_zeros + int(_has_sign(clipped))
    changed_values = 0
    stored_arrays = []
    for array in arrays:
        inside = np.clip(array, clipped.min(), clipped.max())
        numbers = _truncate_bits(inside << exponent, bits)
        if numbers is None:
            return None
        stored = numbers / 2.0**exponent
        changed_values += int((stored != array).sum())
        stored_arrays.append(stored)
    return StoredWeights(exponent, stored_arrays, changed_values)


def _clip(weights: np.ndarray) -> np.ndarray:
    """Return weights that both signs and 8 bits cannot hold clipped to -256 to 254.

    Others are returned unchanged, those of one sign too.
    """
    highest = weights.max()
    lowest = weights.min()
    is_clipped = (highest > 254 and lowest < 0) or (lowest < -256 and highest > 0)
    return np.clip(weights, -256, 254) if is_clipped else weights


def _has_sign(weights: np.ndarray) -> bool:
    """Whether a stored bit is the sign: some weights are negative, and some are not."""
    return bool(weights.min() < 0 <= weights.max())


def _find_exponent(weights: np.ndarray) -> Optional[int]:
    """Return the largest exponent whose stored numbers fit; None without one.

    All weights of 0, which fit with any exponent, have none.
    """
    highest = int(weights.max())
    lowest = int(weights.min())
    if highest == lowest == 0:
        return None
    has_sign = _has_sign(weights)
    upper_limit = BOTH_SIGNS_HIGHEST if has_sign else ONE_SIGN_HIGHEST
    lower_limit = BOTH_SIGNS_LOWEST if has_sign else ONE_SIGN_LOWEST
    for exponent in range(LARGEST_EXPONENT, -1, -1):
        factor = 2.0 ** (exponent - int(has_sign))
        if highest * factor <= upper_limit and lowest * factor >= lower_limit:
            return exponent
    return None


def _count_trailing_zeros(weights: np.ndarray) -> int:
    """Return the number of lowest bits that are 0 in all weights, at most 8."""
    for zeros in range(STORED_BITS, 0, -1):
        if not (weights % (1 << zeros)).any():
            return zeros
    return 0


def _truncate_bits(numbers: np.ndarray, bits: int) -> Optional[np.ndarray]:
    """Set all but the highest `bits` bits of numbers to 0, as Lava stores them.

    Numbers of both signs, from -256 to 255, have 9 bits. Other numbers have 8, as Lava
    stores the sign once for all: -256 becomes -255 first. Return None for more bits
    than there are.
    """
    has_both_signs = bool(numbers.min() < 0 < numbers.max())
    sign = -1 if numbers.min() < 0 and not has_both_signs else 1
    lower_limit = ONE_SIGN_LOWEST if has_both_signs else 0
    magnitudes = np.clip(sign * numbers, lower_limit, ONE_SIGN_HIGHEST)
    dropped_bits = STORED_BITS - bits + int(has_both_signs)
    if dropped_bits < 0:
        return None
    return sign * (magnitudes >> dropped_bits << dropped_bits)
