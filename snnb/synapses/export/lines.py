"""Compiled writers of numbers and lines for the text formats. Importing this module imports numba.

They stand in one file because numba's cache of machine code does not see changes of a function in another one.
"""

import math

import numpy as np

from snnb.compiled import compiled

SPACE, COMMA, NEWLINE = 32, 44, 10
NUMBER = 24  # bytes that the longest number takes, and a sign behind it
_POWERS = 10.0 ** np.arange(-60, 61)
_TEN = 60  # index of 10⁰ in _POWERS
_HALF_ULPS = np.concatenate([np.full(1, 2.0**-150), 2.0 ** np.arange(-150, 105)])  # by float32's biased exponent
_NAN, _INF = (np.frombuffer(word, np.uint8).copy() for word in (b"nan", b"inf"))
_PAIRS = np.frombuffer("".join(f"{n:02d}" for n in range(100)).encode(), np.uint8).copy()


@compiled
def put_bytes(out: np.ndarray, at: int, text: np.ndarray) -> int:
    """Write bytes; return where the next ones go."""
    part = out[at : at + text.size]
    for i in range(text.size):
        part[i] = text[i]
    return at + text.size


@compiled
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


@compiled
def put_integer(out: np.ndarray, at: int, value: int) -> int:
    """Write an integer that is not negative; return where the next byte goes."""
    digits, limit = 1, 10
    while digits < 19 and value >= limit:
        digits += 1
        limit *= 10
    return put_digits(out, at, value, digits)


@compiled
def put_float32(out: np.ndarray, at: int, value: np.float32) -> int:
    """Write a decimal that reads back as the same float32, with as few digits as that takes (nine at most).

    The number is scaled to nine digits before the point, in float64, and rounded to fewer digits as long as it stays
    nearer than half a unit in the last place, with a margin for the rounding of this computation. A product of finite
    numbers may be too large for float32: it is written as `inf`.
    """
    if value == 0:
        out[at] = 48
        return at + 1
    if np.isnan(value):
        return put_bytes(out, at, _NAN)
    if value < 0:
        out[at] = 45
        at += 1
    if np.isinf(value):
        return put_bytes(out, at, _INF)
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


@compiled
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


@compiled
def csv_lines(
    out: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    edge: np.ndarray,
    source_text: np.ndarray,
    source_start: np.ndarray,
    target_text: np.ndarray,
    target_start: np.ndarray,
    rate_text: np.ndarray,
    rate_start: np.ndarray,
) -> int:
    """Write a line an edge: `source,target,weight,rate,edge`; source and target index the tables of texts."""
    at = 0
    for i in range(source.size):
        s, t = source[i], target[i]
        at = put_bytes(out, at, source_text[source_start[s] : source_start[s + 1]])
        at = put_bytes(out, at, target_text[target_start[t] : target_start[t + 1]])
        at = put_float32(out, at, weight[i])
        at = put_bytes(out, at, rate_text[rate_start[s] : rate_start[s + 1]])
        at = put_float32(out, at, edge[i])
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def number_texts(out: np.ndarray, start: np.ndarray, values: np.ndarray, known: bool) -> int:
    """Write `,value,` for each value, `,,` where they are not known; note where each begins."""
    at = 0
    for i in range(values.size):
        start[i] = at
        out[at] = COMMA
        at = put_float32(out, at + 1, values[i]) if known else at + 1
        out[at] = COMMA
        at += 1
    start[values.size] = at
    return at


@compiled
def neighbour_lines(out: np.ndarray, first: int, indptr: np.ndarray, neighbour: np.ndarray, offset: int) -> int:
    """Write `node neighbour neighbour …` for each node that has any; ids less `offset`."""
    at = 0
    for i in range(indptr.size - 1):
        if indptr[i] == indptr[i + 1]:
            continue
        at = put_integer(out, at, first + i - offset)
        for e in range(indptr[i], indptr[i + 1]):
            out[at] = SPACE
            at = put_integer(out, at + 1, neighbour[e] - offset)
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def number_lines(out: np.ndarray, first: int, indptr: np.ndarray, numbers: np.ndarray) -> int:
    """Write `node number number …` for each node, also for one without numbers."""
    at = 0
    for i in range(indptr.size - 1):
        at = put_integer(out, at, first + i)
        for e in range(indptr[i], indptr[i + 1]):
            out[at] = SPACE
            at = put_integer(out, at + 1, numbers[e])
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def weight_lines(out: np.ndarray, first: int, indptr: np.ndarray, weight: np.ndarray, offset: int) -> int:
    """Write `node weight weight …` for each node that has neighbours."""
    at = 0
    for i in range(indptr.size - 1):
        if indptr[i] == indptr[i + 1]:
            continue
        at = put_integer(out, at, first + i - offset)
        for e in range(indptr[i], indptr[i + 1]):
            out[at] = SPACE
            at = put_float32(out, at + 1, weight[e])
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def hyperedge_lines(
    out: np.ndarray, first: int, indptr: np.ndarray, neighbour: np.ndarray, offset: int, weight: np.ndarray
) -> int:
    """Write `weight node neighbour neighbour …` for each node that has neighbours; ids less `offset`."""
    at = 0
    for i in range(indptr.size - 1):
        if indptr[i] == indptr[i + 1]:
            continue
        at = put_integer(out, at, weight[i])
        out[at] = SPACE
        at = put_integer(out, at + 1, first + i - offset)
        for e in range(indptr[i], indptr[i + 1]):
            out[at] = SPACE
            at = put_integer(out, at + 1, neighbour[e] - offset)
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def metis_lines(
    out: np.ndarray,
    first: int,
    in_indptr: np.ndarray,
    sources: np.ndarray,
    out_indptr: np.ndarray,
    targets: np.ndarray,
    offset: int,
    weights: np.ndarray,
) -> int:
    """Write `neighbour weight neighbour weight …` for each node, ids less `offset`.

    The weight of an edge is that of its source: `weights[node - first of all]`, so 1-based ids index it less 1.
    """
    at = 0
    for i in range(in_indptr.size - 1):
        begin = at
        for e in range(in_indptr[i], in_indptr[i + 1]):
            node = sources[e] - offset
            at = put_integer(out, at, node)
            out[at] = SPACE
            at = put_integer(out, at + 1, weights[node - 1])
            out[at] = SPACE
            at += 1
        own = weights[first + i - offset - 1]
        for e in range(out_indptr[i], out_indptr[i + 1]):
            at = put_integer(out, at, targets[e] - offset)
            out[at] = SPACE
            at = put_integer(out, at + 1, own)
            out[at] = SPACE
            at += 1
        if at > begin:
            at -= 1
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def connection_lines(
    out: np.ndarray, source: np.ndarray, target: np.ndarray, weight: np.ndarray, tail: np.ndarray
) -> int:
    """Write `source target weight tail` for each edge."""
    at = 0
    for i in range(source.size):
        at = put_integer(out, at, source[i])
        out[at] = SPACE
        at = put_integer(out, at + 1, target[i])
        out[at] = SPACE
        at = put_float32(out, at + 1, weight[i])
        at = put_bytes(out, at, tail)
    return at
