"""Compiled writers of numbers as text. Importing this module imports numba."""

import math

import numpy as np

from snnb.synapses.compiled import jit

SPACE, COMMA, NEWLINE = 32, 44, 10
NUMBER = 24  # bytes that the longest number takes
_POWERS = 10.0 ** np.arange(-60, 61)
_TEN = 60  # index of 10⁰ in _POWERS


@jit
def put_bytes(out: np.ndarray, at: int, text: np.ndarray) -> int:
    """Write bytes; return where the next ones go."""
    part = out[at : at + text.size]
    for i in range(text.size):
        part[i] = text[i]
    return at + text.size


@jit
def put_integer(out: np.ndarray, at: int, value: int) -> int:
    """Write an integer that is not negative; return where the next byte goes."""
    digits = 1
    rest = value
    while rest >= 10:
        rest //= 10
        digits += 1
    end = at + digits
    for i in range(digits):
        out[end - 1 - i] = 48 + value % 10
        value //= 10
    return end


@jit
def put_float32(out: np.ndarray, at: int, value: np.float32) -> int:
    """Write the shortest decimal of at least six digits that reads back as the same float32 (final zeros cut).

    Six to nine digits are tried, in float64. Nine always suffice; fewer are taken only where the decimal lies within
    half a unit in the last place, with a margin for the rounding of this computation.
    """
    if value == 0:
        out[at] = 48
        return at + 1
    if value < 0:
        out[at] = 45
        at += 1
    x = abs(float(value))
    _, exponent = math.frexp(x)
    half_ulp = math.ldexp(1.0, max(exponent - 25, -150)) * (1 - 1e-6)
    if math.ldexp(1.0, exponent - 1) == x:
        half_ulp /= 2  # below a power of two the next number is half as far
    ten = math.floor((exponent - 1) * 0.30102999566398120)
    if x >= _POWERS[_TEN + ten + 1]:
        ten += 1
    mantissa, digits = 0, 6
    for digits in range(6, 10):
        mantissa = int(x * _POWERS[_TEN + digits - 1 - ten] + 0.5)
        if digits == 9 or abs(mantissa * _POWERS[_TEN + ten - digits + 1] - x) < half_ulp:
            break
    while mantissa % 10 == 0:
        mantissa //= 10
        digits -= 1
    if mantissa == 1 and digits <= 0:  # rounded up to the next power of ten
        ten += 1
        digits = 1
    if -5 <= ten < 0:
        out[at], out[at + 1] = 48, 46
        at += 2
        for _ in range(-ten - 1):
            out[at] = 48
            at += 1
        return put_integer(out, at, mantissa)
    if 0 <= ten < 9:
        if digits <= ten + 1:
            return put_integer(out, at, mantissa * 10 ** (ten + 1 - digits))
        unit = 10 ** (digits - ten - 1)
        at = put_integer(out, at, mantissa // unit)
        return _put_fraction(out, at, mantissa % unit, digits - ten - 1)
    unit = 10 ** (digits - 1)
    at = put_integer(out, at, mantissa // unit)
    if digits > 1:
        at = _put_fraction(out, at, mantissa % unit, digits - 1)
    out[at], out[at + 1] = 101, 45 if ten < 0 else 43
    out[at + 2] = 48 + abs(ten) // 10
    out[at + 3] = 48 + abs(ten) % 10
    return at + 4


@jit
def _put_fraction(out: np.ndarray, at: int, fraction: int, digits: int) -> int:
    out[at] = 46
    for i in range(digits):
        out[at + digits - i] = 48 + fraction % 10
        fraction //= 10
    return at + 1 + digits
