"""Compiled writers of lines for the text formats. Importing this module imports numba."""

import numpy as np

from snnb.core.compiled import compiled
from snnb.graph.export.digits import put_bytes, put_integer, put_number

SPACE, COMMA, NEWLINE = 32, 44, 10


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
    exact: bool,
) -> int:
    """Write a line an edge: `source,target,weight,rate,edge`; source and target index the tables of texts."""
    at = 0
    for i in range(source.size):
        s, t = source[i], target[i]
        at = put_bytes(out, at, source_text[source_start[s] : source_start[s + 1]])
        at = put_bytes(out, at, target_text[target_start[t] : target_start[t + 1]])
        at = put_number(out, at, weight[i], exact)
        at = put_bytes(out, at, rate_text[rate_start[s] : rate_start[s + 1]])
        at = put_number(out, at, edge[i], exact)
        out[at] = NEWLINE
        at += 1
    return at


@compiled
def number_texts(out: np.ndarray, start: np.ndarray, values: np.ndarray, known: bool, exact: bool) -> int:
    """Write `,value,` for each value, `,,` where they are not known; note where each begins."""
    at = 0
    for i in range(values.size):
        start[i] = at
        out[at] = COMMA
        at = put_number(out, at + 1, values[i], exact) if known else at + 1
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
def weight_lines(out: np.ndarray, first: int, indptr: np.ndarray, weight: np.ndarray, offset: int, exact: bool) -> int:
    """Write `node weight weight …` for each node that has neighbours."""
    at = 0
    for i in range(indptr.size - 1):
        if indptr[i] == indptr[i + 1]:
            continue
        at = put_integer(out, at, first + i - offset)
        for e in range(indptr[i], indptr[i + 1]):
            out[at] = SPACE
            at = put_number(out, at + 1, weight[e], exact)
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
    out: np.ndarray, source: np.ndarray, target: np.ndarray, weight: np.ndarray, tail: np.ndarray, exact: bool
) -> int:
    """Write `source target weight tail` for each edge."""
    at = 0
    for i in range(source.size):
        at = put_integer(out, at, source[i])
        out[at] = SPACE
        at = put_integer(out, at + 1, target[i])
        out[at] = SPACE
        at = put_number(out, at + 1, weight[i], exact)
        at = put_bytes(out, at, tail)
    return at


@compiled
def arrow_lines(
    out: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    head: np.ndarray,
    arrow: np.ndarray,
    tail: np.ndarray,
) -> int:
    """Write `head`source`arrow`target`tail`weight for each edge; weights are the same number in float64."""
    at = 0
    for i in range(source.size):
        at = put_integer(out, put_bytes(out, at, head), source[i])
        at = put_integer(out, put_bytes(out, at, arrow), target[i])
        at = put_number(out, put_bytes(out, at, tail), weight[i], True)
        out[at] = NEWLINE
        at += 1
    return at
