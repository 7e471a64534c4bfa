"""Compiled writers of numbers as text. Importing this module imports numba."""

import math

import numpy as np

from snnb.synapses.compiled import jit

SPACE, COMMA, NEWLINE = 32, 44, 10
NUMBER = 24  # bytes that the longest number takes, and a sign behind it
_POWERS = 10.0 ** np.arange(-60, 61)
_TEN = 60  # index of 10⁰ in _POWERS
_HALF_ULPS = np.concatenate([np.full(1, 2.0**-150), 2.0 ** np.arange(-150, 105)])  # by float32's biased exponent
_PAIRS = np.frombuffer("".join(f"{n:02d}" for n in range(100)).encode(), np.uint8).copy()


@jit
def put_bytes(out: np.ndarray, at: int, text: np.ndarray) -> int:
    """Write bytes; return where the next ones go."""
    part = out[at : at + text.size]
    for i in range(text.size):
        part[i] = text[i]
    return at + text.size


@jit
def put_digits(out: np.ndarray, at: int, value: int, digits: int) -> int:
    """Write an integer with so many digits, zeros in front; return where the next byte goes."""
    rest = np.uint64(value)
    end = at + digits
    while digits >= 2:
        pair = rest % np.uint64(100)
        rest //= np.uint64(100)
        digits -= 2
        out[at + digits] = _PAIRS[2 * pair]
        out[at + digits + 1] = _PAIRS[2 * pair + np.uint64(1)]
    if digits:
        out[at] = 48 + rest % np.uint64(10)
    return end


@jit
def put_integer(out: np.ndarray, at: int, value: int) -> int:
    """Write an integer that is not negative; return where the next byte goes."""
    digits, limit = 1, 10
    while digits < 19 and value >= limit:
        digits += 1
        limit *= 10
    return put_digits(out, at, value, digits)


@jit
def put_float32(out: np.ndarray, at: int, value: np.float32) -> int:
    """Write a decimal that reads back as the same float32, with as few digits as that takes (nine at most).

    The number is scaled to nine digits before the point, in float64, and rounded to fewer digits as long as it stays
    nearer than half a unit in the last place, with a margin for the rounding of this computation.
    """
    if value == 0:
        out[at] = 48
        return at + 1
    if value < 0:
        out[at] = 45
        at += 1
    x = abs(np.float64(value))
    bits = np.float32(value).view(np.int32)
    exponent = (bits >> 23) & 255
    half_ulp = _HALF_ULPS[exponent] * (1 - 1e-6)
    if bits & 0x7FFFFF == 0:
        half_ulp *= 0.5  # below a power of two the next number is half as far
    ten = math.floor((exponent - 127) * 0.30102999566398120) if exponent else -45
    while x >= _POWERS[_TEN + ten + 1]:
        ten += 1
    scale = _POWERS[_TEN + 8 - ten]
    nine, margin = x * scale, half_ulp * scale
    mantissa, digits = int(nine + 0.5), 9
    floor, unit = int(nine), 1
    while digits > 1:
        floor, unit = floor // 10, unit * 10
        above = nine - floor * unit
        below = unit - above
        if above >= margin and below >= margin:
            break
        mantissa = floor if above <= below else floor + 1
        digits -= 1
    if mantissa == 10 and digits == 1:  # rounded up to the next power of ten
        mantissa = 1
        ten += 1
    if -5 <= ten < 0:
        out[at], out[at + 1] = 48, 46
        at += 2
        for _ in range(-ten - 1):
            out[at] = 48
            at += 1
        return put_digits(out, at, mantissa, digits)
    if 0 <= ten < 9:
        return _put_point(out, at, mantissa, digits, ten + 1)
    at = _put_point(out, at, mantissa, digits, 1)
    out[at], out[at + 1] = 101, 45 if ten < 0 else 43
    return put_digits(out, at + 2, abs(ten), 2)


@jit
def _put_point(out: np.ndarray, at: int, mantissa: int, digits: int, before: int) -> int:
    """Write so many digits with a point behind the first `before`, if that is not the end."""
    if digits <= before:
        at = put_digits(out, at, mantissa, digits)
        for _ in range(before - digits):
            out[at] = 48
            at += 1
        return at
    at = put_digits(out, at, mantissa, digits)
    for i in range(digits - before):
        out[at - i] = out[at - i - 1]
    out[at - digits + before] = 46
    return at + 1
