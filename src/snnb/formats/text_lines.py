"""Compiled writers of numbers and lines for the text formats. Importing this module imports numba."""

import math
from typing import Iterable, List, Optional, Sequence, Tuple

import numpy as np

from snnb.core.compiled import compiled

NUMBER = 24  # bytes of the longest number with a sign and a separator
_POWERS = 10.0 ** np.arange(-60, 61)
_TEN = 60  # index of 10⁰ in _POWERS
_HALF_ULPS = np.concatenate([np.full(1, 2.0**-150), 2.0 ** np.arange(-150, 105)])  # by float32's biased exponent
_NAN, _INF = (np.frombuffer(word, np.uint8).copy() for word in (b"nan", b"inf"))


@compiled
def put_bytes(out: np.ndarray, at: int, text: np.ndarray) -> int:
    """Write bytes; return the index after them."""
    part = out[at : at + text.size]
    for i in range(text.size):
        part[i] = text[i]
    return at + text.size


@compiled
def put_digits(out: np.ndarray, at: int, value: int, digits: int) -> int:
    """Write an integer with a number of digits, padded with zeros; return the index after it."""
    rest = np.uint64(value)
    for i in range(at + digits - 1, at - 1, -1):
        out[i] = 48 + rest % np.uint64(10)
        rest //= np.uint64(10)
    return at + digits


@compiled
def put_integer(out: np.ndarray, at: int, value: int) -> int:
    """Write an integer that is not negative; return the index after it."""
    digits, limit = 1, 10
    while digits < 19 and value >= limit:
        digits += 1
        limit *= 10
    return put_digits(out, at, value, digits)


@compiled
def put_float32(out: np.ndarray, at: int, value: np.float32) -> int:
    """Write the shortest decimal that reads back as the same float32 (nine digits at most).

    The number is scaled to nine digits before the point, in float64, and rounded to fewer digits while the error is
    below half a unit in the last place, with a margin for the rounding of this computation.
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
    return _put_decimal(out, at, mantissa, digits, ten)


@compiled
def _put_decimal(out: np.ndarray, at: int, mantissa: int, digits: int, ten: int) -> int:
    """Write a decimal whose first digit has the value 10 ** ten; without exponent from 10 ** -5 to 10 ** 8."""
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
    """Write digits with a decimal point after the first `before`, if others follow."""
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


Texts = Tuple[np.ndarray, np.ndarray]  # bytes (uint8) of consecutive texts, and the index of the first byte of each
SPACE, NEWLINE = 32, 10
LARGEST_ID = 1 << 62  # larger than any


@compiled
def edge_lines(
    out: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    edge: np.ndarray,
    before: Texts,
    between: Texts,
    after: Texts,
) -> int:
    """Write a line for each edge: before[source], between[target], weight, after[source], and `edge` if there is any.

    Parameters
    ----------
    out : uint8 array that receives the lines
    source, target : (edges,) int array of indices of texts
    weight : (edges,) float32 array
    edge : (edges,) or (0,) float32 array
    before, between, after : Texts
    """
    at = 0
    for i in range(source.size):
        s, t = source[i], target[i]
        at = put_bytes(out, at, before[0][before[1][s] : before[1][s + 1]])
        at = put_bytes(out, at, between[0][between[1][t] : between[1][t + 1]])
        at = put_float32(out, at, weight[i])
        at = put_bytes(out, at, after[0][after[1][s] : after[1][s + 1]])
        if edge.size:
            at = put_float32(out, at, edge[i])
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def integer_rows(indptr: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return a line for each row of integers, `numbers[indptr[i]:indptr[i + 1]]`, as uint8."""
    out, at = np.empty((numbers.size + indptr.size) * NUMBER, np.uint8), 0
    for i in range(indptr.size - 1):
        for e in range(indptr[i], indptr[i + 1]):
            at = put_integer(out, at, numbers[e])
            out[at] = SPACE
            at += 1
        if indptr[i] < indptr[i + 1]:
            at -= 1
        out[at] = NEWLINE
        at += 1
    return out[:at]


@compiled
def weight_lines(node: np.ndarray, indptr: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return `node weight weight …` for each row of float32, as uint8."""
    out, at = np.empty((weight.size + indptr.size) * NUMBER, np.uint8), 0
    for i in range(node.size):
        at = put_integer(out, at, node[i])
        for e in range(indptr[i], indptr[i + 1]):
            out[at] = SPACE
            at = put_float32(out, at + 1, weight[e])
        out[at] = NEWLINE
        at += 1
    return out[:at]


@compiled
def weighted_neighbours(
    first: int,
    in_indptr: np.ndarray,
    source: np.ndarray,
    out_indptr: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray,
) -> Tuple[np.ndarray, int]:
    """Return a line `neighbour weight neighbour weight …` for each node, ids from 1.

    The weight of an edge is that of its source, the sum of both for synapses in both directions; a synapse of a node
    with itself is left out. `source` and `target` ascend for each node, and count from 0, as `first` and `weights` do.
    The lines are uint8; the number of neighbours follows them.
    """
    out, at, neighbours = np.empty((2 * (source.size + target.size) + in_indptr.size) * NUMBER, np.uint8), 0, 0
    for i in range(in_indptr.size - 1):
        begin, e, o, node = at, in_indptr[i], out_indptr[i], first + i
        while e < in_indptr[i + 1] or o < out_indptr[i + 1]:
            before = source[e] if e < in_indptr[i + 1] else LARGEST_ID
            after = target[o] if o < out_indptr[i + 1] else LARGEST_ID
            neighbour, weight = min(before, after), 0
            if before == neighbour:
                weight += weights[neighbour]
                e += 1
            if after == neighbour:
                weight += weights[node]
                o += 1
            if neighbour != node:
                for number in (neighbour + 1, weight):
                    at = put_integer(out, at, number)
                    out[at] = SPACE
                    at += 1
                neighbours += 1
        at = max(begin, at - 1)
        out[at] = NEWLINE
        at += 1
    return out[:at], neighbours


def number_texts(values: np.ndarray, exact: bool) -> List[str]:
    """Return float32 values as texts, with `exact` of up to 17 digits, which read back as the same float64."""
    if exact:
        return [f"{value:.17g}" for value in (values + 0.0).tolist()]  # not -0
    out = np.empty(NUMBER, np.uint8)
    return [bytes(out[: put_float32(out, 0, value)]).decode() for value in values]


def weight_rows(node: np.ndarray, indptr: np.ndarray, weight: np.ndarray, exact: bool) -> memoryview:
    """Return the lines of `weight_lines`."""
    if exact:
        texts, ends = number_texts(weight, exact), indptr.tolist()
        rows = zip(node.tolist(), ends, ends[1:])
        return memoryview("".join(" ".join([str(n), *texts[i:j]]) + "\n" for n, i, j in rows).encode())
    return weight_lines(node, indptr, weight).data


class EdgeWriter:
    """Format edges of a projection as lines; see `edge_lines` and `number_texts` for the parameters."""

    def __init__(self, before: Iterable[str], between: Iterable[str], after: Iterable[str], exact: bool) -> None:
        self._exact = exact
        self._texts = [list(texts) for texts in (before, between, after)]
        self._encoded = [_encoded(texts) for texts in self._texts]
        self._longest = sum(int(np.diff(start).max()) for _, start in self._encoded) + 2 * NUMBER
        self._out = np.empty(0, np.uint8)

    def lines(
        self, source: np.ndarray, target: np.ndarray, weight: np.ndarray, edge: Optional[np.ndarray] = None
    ) -> memoryview:
        """Return the lines, in a buffer that the next call overwrites."""
        if self._exact:
            before, between, after = self._texts
            numbers = number_texts(weight, True), [""] * weight.size if edge is None else number_texts(edge, True)
            rows = zip(source.tolist(), target.tolist(), *numbers)
            return memoryview("".join(f"{before[s]}{between[t]}{w}{after[s]}{e}\n" for s, t, w, e in rows).encode())
        if self._out.size < source.size * self._longest:
            self._out = np.empty(source.size * self._longest, np.uint8)
        values = weight, np.empty(0, np.float32) if edge is None else edge
        return self._out[: edge_lines(self._out, source, target, *values, *self._encoded)].data


def _encoded(lines: Sequence[str]) -> Texts:
    encoded = [line.encode() for line in lines]
    return np.frombuffer(b"".join(encoded) or b" ", np.uint8), np.cumsum([0, *map(len, encoded)])
