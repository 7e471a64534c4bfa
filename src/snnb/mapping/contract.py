"""Contraction of a network to groups of neurons."""

from typing import NamedTuple, Tuple

import numpy as np

from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.reach import Contracted, Marks, Reached, reached, take_sets
from snnb.mapping.reach_kernels import number_distinct


class _Part(NamedTuple):
    """The sets of one source population."""

    axons: np.ndarray
    degrees: np.ndarray
    target: np.ndarray
    source_set: np.ndarray
    source: np.ndarray
    weight: np.ndarray


def contract(network: PlacedNetwork, group: np.ndarray, groups: int, loads: np.ndarray) -> Contracted:
    """Contract neurons into groups; `group` (int32, shape (neurons,)) is the group of each placed neuron.

    `loads` (int64, shape (neurons,)) are those of the synapses, see `split.synapse_loads`.
    """
    ids, numbers = np.empty(0, np.int32), np.empty(0, np.int64)
    parts, marks, sets = [_Part(numbers, numbers, ids, numbers, ids, numbers)], Marks(groups), 0
    for population in network.sources:
        projections = network.projections_from(population)
        if not projections:
            continue
        members = network.part(population) if population.first >= network.first else slice(0)
        found = reached(projections, group, network.first, marks)
        part = _merge_sets(found, group[members], network.counts[members], groups)
        parts.append(part._replace(source_set=part.source_set + sets))
        sets += part.axons.size
    axons, degrees, target, source_set, source, weight = (np.concatenate(values) for values in zip(*parts))
    target_set = np.repeat(np.arange(sets, dtype=np.int32), degrees)
    into_start, into_order = _sorted_by(target, groups)
    from_start, from_order = _sorted_by(source, groups)
    return Contracted(
        neurons=np.bincount(group, minlength=groups),
        synapses=np.bincount(group, loads, minlength=groups).astype(np.int64),
        axons=axons,
        total=np.bincount(source_set, weight, minlength=sets).astype(np.int64),
        target_start=np.concatenate([[0], np.cumsum(degrees)]),
        target=target,
        source_start=np.searchsorted(source_set, np.arange(sets + 1)),
        source=source,
        source_weight=weight,
        into_start=into_start,
        into=target_set[into_order],
        from_start=from_start,
        from_set=source_set[from_order].astype(np.int32),
        from_weight=weight[from_order],
    )


def _merge_sets(found: Reached, own: np.ndarray, counts: np.ndarray, groups: int) -> _Part:
    """Merge equal sets, leave out empty ones, and sum up the spikes of each group in each set."""
    number = np.empty(found.start.size - 1, np.int64)
    table = np.full(1 << int(2 * number.size).bit_length(), -1, np.int64)
    sets = number_distinct(found.start, found.label, table, number)
    first = np.flatnonzero(np.diff(np.maximum.accumulate(number), prepend=-1))
    start, target = take_sets(found.start, found.label, first)
    set_of = number[found.set_of]
    axons = np.bincount(set_of[set_of >= 0], minlength=sets)
    spiking = np.flatnonzero((set_of[: own.size] >= 0) & (counts > 0))
    key = set_of[spiking] * groups + own[spiking]
    order = np.argsort(key, kind="stable")
    key, begins = np.unique(key[order], return_index=True)
    weight = np.add.reduceat(counts[spiking][order], begins) if key.size else np.empty(0, np.int64)
    return _Part(axons, np.diff(start), target, key // groups, (key % groups).astype(np.int32), weight)


def _sorted_by(group: np.ndarray, groups: int) -> Tuple[np.ndarray, np.ndarray]:
    order = np.argsort(group, kind="stable")
    return np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))]), order
