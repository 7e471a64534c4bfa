"""How Lava stores the weights of a dense layer: in 8 bits, with one exponent.

The rules are those of `lava.lib.dl.netx.utils.optimize_weight_bits` (lava-dl at
d825ac5) and of `lava.utils.weightutils` (lava 0.10).
"""

from typing import NamedTuple, Optional, Sequence

import numpy as np

STORED_BITS = 8
# Limits of weights that are of one sign, and of both; the sign takes a bit
ONE_SIGN_HIGHEST = 255
ONE_SIGN_LOWEST = -256
BOTH_SIGNS_HIGHEST = 127
BOTH_SIGNS_LOWEST = -128
LARGEST_SHIFT = 9  # tried for the exponent: 255 fits any weight but 0 up to 8
SMALLEST_SHIFT = -8


class StoredWeights(NamedTuple):
    """The weights of a layer as Lava stores them."""

    exponent: int  # a sum of stored numbers is divided by 2 ** exponent, rounded down
    # float64, in the shapes given: what a spike adds to the sum before it is rounded, a
    # stored number divided by 2 ** exponent
    arrays: Sequence[np.ndarray]
    changed_values: int  # number of weights that are not those given


def store_weights(arrays: Sequence[np.ndarray]) -> Optional[StoredWeights]:
    """Return the weights of a layer as Lava stores them: int64 arrays, one exponent.

    A `dense_rec` has two arrays, other layers have one. Return None for weights that
    Lava cannot store: all are 0, or those of one sign need more than 8 bits.
    """
    weights = np.concatenate([array.ravel() for array in arrays])
    clipped = _clip(weights)
    exponent = _find_exponent(clipped)
    if exponent is None:
        return None
    has_sign = clipped.min() < 0 <= clipped.max()
    trailing_zeros = _count_trailing_zeros(clipped)
    bits = STORED_BITS - exponent - (trailing_zeros - int(has_sign))
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
    """Return weights of both signs from -256 to 254, and other weights unchanged."""
    highest = weights.max()
    lowest = weights.min()
    is_clipped = (highest > 254 and lowest < 0) or (lowest < -256 and highest > 0)
    return np.clip(weights, -256, 254) if is_clipped else weights


def _find_exponent(weights: np.ndarray) -> Optional[int]:
    """Return the exponent with which the weights use the 8 bits; None without one."""
    highest = int(weights.max())
    lowest = int(weights.min())
    if highest == lowest == 0:
        return None
    has_sign = lowest < 0 <= highest
    upper_limit = BOTH_SIGNS_HIGHEST if has_sign else ONE_SIGN_HIGHEST
    lower_limit = BOTH_SIGNS_LOWEST if has_sign else ONE_SIGN_LOWEST
    for shift in range(LARGEST_SHIFT, SMALLEST_SHIFT - 1, -1):
        factor = 2.0**shift
        if highest * factor <= upper_limit and lowest * factor >= lower_limit:
            exponent = shift + int(has_sign)
            return exponent if exponent >= 0 else None
    return None


def _count_trailing_zeros(weights: np.ndarray) -> int:
    """Return the number of lowest bits that are 0 in all weights, at most 8."""
    for zeros in range(STORED_BITS, 0, -1):
        if not (weights % (1 << zeros)).any():
            return zeros
    return 0


def _truncate_bits(numbers: np.ndarray, bits: int) -> Optional[np.ndarray]:
    """Return numbers of `bits` bits at the top of the 8 stored ones, and their sign.

    The lower bits become 0. Numbers of one sign are stored without the sign: -256
    becomes -255. Return None if they need more bits than there are.
    """
    has_both_signs = bool(numbers.min() < 0 < numbers.max())
    sign = -1 if numbers.min() < 0 and not has_both_signs else 1
    lower_limit = ONE_SIGN_LOWEST if has_both_signs else 0
    magnitudes = np.clip(sign * numbers, lower_limit, ONE_SIGN_HIGHEST)
    dropped_bits = STORED_BITS - bits + int(has_both_signs)
    if dropped_bits < 0:
        return None
    return sign * (magnitudes >> dropped_bits << dropped_bits)
