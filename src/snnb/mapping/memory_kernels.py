"""Compiled loops that find distinct lists of synapses. Importing this module imports numba.

A list is known by its core, its length and two 64-bit hashes in the manner of FNV-1a. A hash table has the hashes of
each list, and its core · 2^32 + its length: (elements, 3) int64 array, a power of two of elements. Elements whose first
hash is 0 are empty.
"""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled

ONE, OTHER = -7046029254386353131, -4417276706812531889  # odd numbers of 64 bits


@compiled
def add_lists(
    source: int,
    indptr: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    neurons: np.ndarray,
    counted: np.ndarray,
    buffers: np.ndarray,
    table: np.ndarray,
    filled: int,
) -> Tuple[int, int]:
    """Add the lists of sources that are not in the table, until half of it is full.

    Return the next source, and the number of lists in the table.

    Parameters
    ----------
    source : the first source
    indptr, target, weight : targets of each source, ascending, and the bits of the weights, in CSR form
    neurons : (neurons, 2) int32 array; core of each, and its rank by id among the neurons of the core
    counted : (cores,) bool array; lists of other cores are left out
    buffers : (cores, 4) int64 array: hashes, local index of the first target and length of a list, which is 0
    """
    touched = np.empty(len(buffers), np.int64)
    while source < indptr.size - 1 and 2 * filled <= len(table):
        cores, last = 0, np.int64(-1)
        one, other, first, length = np.int64(0), np.int64(0), np.int64(0), np.int64(0)  # of the core `last`
        for edge in range(indptr[source], indptr[source + 1]):
            this, index = np.int64(neurons[target[edge], 0]), np.int64(neurons[target[edge], 1])
            if not counted[this]:
                continue
            if this != last:
                if last >= 0:
                    buffers[last, 0], buffers[last, 1], buffers[last, 2], buffers[last, 3] = one, other, first, length
                last = this
                one, other, first, length = buffers[this, 0], buffers[this, 1], buffers[this, 2], buffers[this, 3]
                if length == 0:
                    touched[cores] = this
                    cores += 1
                    one, other, first = this, ~this, index
            value = ((index - first) << 32) ^ weight[edge]
            one, other = (one ^ value) * ONE, (other ^ value) * OTHER
            one, other = one ^ (one >> 32), other ^ (other >> 29)
            length += 1
        if last >= 0:
            buffers[last, 0], buffers[last, 1], buffers[last, 2], buffers[last, 3] = one, other, first, length
        for this in touched[:cores]:
            filled += _insert(table, buffers[this, 0] | 1, buffers[this, 1], (this << 32) | buffers[this, 3])
            buffers[this, 3] = 0
        source += 1
    return source, filled


@compiled
def _insert(table: np.ndarray, one: int, other: int, content: int) -> bool:
    """Insert a list by its hashes, core and length; return whether it is new."""
    mask = len(table) - 1
    at = (one >> 20) & mask
    while table[at, 0] != 0:
        if table[at, 0] == one and table[at, 1] == other and table[at, 2] == content:
            return False
        at = (at + 1) & mask
    table[at, 0], table[at, 1], table[at, 2] = one, other, content
    return True


@compiled
def insert_all(table: np.ndarray, into: np.ndarray) -> None:
    """Insert the lists of a table into another one."""
    for one, other, content in table:
        if one != 0:
            _insert(into, one, other, content)
