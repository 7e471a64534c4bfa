"""Compiled writers of lines for the text formats. Importing this module imports numba."""

from typing import Iterable, List, Optional, Tuple

import numpy as np

from snnb.core.compiled import compiled
from snnb.graph.export.decimals import NUMBER, put_bytes, put_integer, put_number

Texts = Tuple[np.ndarray, np.ndarray]  # bytes (uint8) of consecutive texts, and the index of the first byte of each
SPACE, NEWLINE = 32, 10


@compiled
def edge_lines(
    out: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    edge: np.ndarray,
    before: Texts,
    between: Texts,
    behind: Texts,
    exact: bool,
) -> int:
    """Write a line for each edge: before[source], between[target], weight, behind[source], and `edge` if there is any.

    Parameters
    ----------
    out : uint8 array that receives the lines
    source, target : (edges,) int array of indices of texts
    weight : (edges,) float32 array
    edge : (edges,) or (0,) float32 array
    before, between, behind : Texts
    exact : bool
    """
    at = 0
    for i in range(source.size):
        s, t = source[i], target[i]
        at = put_bytes(out, at, before[0][before[1][s] : before[1][s + 1]])
        at = put_bytes(out, at, between[0][between[1][t] : between[1][t + 1]])
        at = put_number(out, at, weight[i], exact)
        at = put_bytes(out, at, behind[0][behind[1][s] : behind[1][s + 1]])
        if edge.size:
            at = put_number(out, at, edge[i], exact)
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def integer_lines(out: np.ndarray, indptr: np.ndarray, numbers: np.ndarray) -> int:
    """Write a line for each row of integers, `numbers[indptr[i]:indptr[i + 1]]`; return the number of bytes."""
    at = 0
    for i in range(indptr.size - 1):
        for e in range(indptr[i], indptr[i + 1]):
            at = put_integer(out, at, numbers[e])
            out[at] = SPACE
            at += 1
        if indptr[i] < indptr[i + 1]:
            at -= 1
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def weight_lines(out: np.ndarray, node: np.ndarray, indptr: np.ndarray, weight: np.ndarray, exact: bool) -> int:
    """Write `node weight weight …` for each row of float32; return the number of bytes."""
    at = 0
    for i in range(node.size):
        at = put_integer(out, at, node[i])
        for e in range(indptr[i], indptr[i + 1]):
            out[at] = SPACE
            at = put_number(out, at + 1, weight[e], exact)
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def weighted_neighbours(
    out: np.ndarray,
    first: int,
    in_indptr: np.ndarray,
    source: np.ndarray,
    out_indptr: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray,
) -> int:
    """Write a line `neighbour weight neighbour weight …` for each node, ids from 1; return the number of bytes.

    The weight of an edge is that of its source; `first`, `source` and `target` count from 0, as `weights` does.
    """
    at = 0
    for i in range(in_indptr.size - 1):
        begin = at
        for e in range(in_indptr[i], in_indptr[i + 1]):
            at = _put_pair(out, at, source[e] + 1, weights[source[e]])
        for e in range(out_indptr[i], out_indptr[i + 1]):
            at = _put_pair(out, at, target[e] + 1, weights[first + i])
        at = max(begin, at - 1)
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def _put_pair(out: np.ndarray, at: int, first: int, second: int) -> int:
    at = put_integer(out, at, first)
    out[at] = SPACE
    at = put_integer(out, at + 1, second)
    out[at] = SPACE
    return at + 1


def number_texts(values: np.ndarray, exact: bool) -> List[str]:
    """Return float32 values as texts."""
    rows = weight_rows(np.zeros(values.size, np.int64), np.arange(values.size + 1), values, exact)
    return [line[2:] for line in bytes(rows).decode().splitlines()]


def integer_rows(indptr: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the lines of `integer_lines` as uint8."""
    out = np.empty((numbers.size + indptr.size) * NUMBER, np.uint8)
    return out[: integer_lines(out, indptr, numbers)]


def weight_rows(node: np.ndarray, indptr: np.ndarray, weight: np.ndarray, exact: bool) -> np.ndarray:
    """Return the lines of `weight_lines` as uint8."""
    out = np.empty((weight.size + indptr.size) * NUMBER, np.uint8)
    return out[: weight_lines(out, node, indptr, weight, exact)]


class EdgeWriter:
    """Format edges of a projection as lines; see `edge_lines` for the parameters."""

    def __init__(self, before: Iterable[str], between: Iterable[str], behind: Iterable[str], exact: bool) -> None:
        self._texts = _encoded(before), _encoded(between), _encoded(behind)
        self._longest = sum(int(np.diff(start).max()) for _, start in self._texts) + 2 * NUMBER
        self._exact = exact
        self._out = np.empty(0, np.uint8)

    def lines(
        self, source: np.ndarray, target: np.ndarray, weight: np.ndarray, edge: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """Return the lines as uint8, in a buffer that the next call overwrites."""
        if self._out.size < source.size * self._longest:
            self._out = np.empty(source.size * self._longest, np.uint8)
        values = weight, np.empty(0, np.float32) if edge is None else edge
        return self._out[: edge_lines(self._out, source, target, *values, *self._texts, self._exact)]


def _encoded(lines: Iterable[str]) -> Texts:
    encoded = [line.encode() for line in lines]
    return np.frombuffer(b"".join(encoded) or b" ", np.uint8), np.cumsum([0, *map(len, encoded)])
