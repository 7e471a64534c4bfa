"""Coarsening: the hypergraph of groups of neurons, and the problem to assign them to cores."""

from dataclasses import dataclass
from typing import Dict, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from snnb.chips.hardware import Limits
from snnb.core.compiled import compiled
from snnb.core.progress import Say
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork, joined_sets, take_sets, target_sets


class Contracted(NamedTuple):
    """A network of groups of neurons. Its cost equals that of the neurons if a mapping does not divide a group.

    Sources that reach the same groups form a *set*: with target groups, a number of sources (the axons that it needs on
    each core that it reaches), and for each group the spikes of those sources that are its members.
    """

    neurons: np.ndarray  # (groups,) int64: neurons of each group
    synapses: np.ndarray  # (groups,) int64: synapses onto them, or their entries of a limited memory
    axons: np.ndarray  # (sets,) int64: number of sources of each set
    total: np.ndarray  # (sets,) int64: spikes of the placed sources of a set, over all samples
    # int64, int32: the groups that each set reaches
    target_start: np.ndarray
    target: np.ndarray
    # int64, int32, int64: the groups of the sources of each set, and their spikes; without groups that do not spike
    source_start: np.ndarray
    source: np.ndarray
    source_weight: np.ndarray
    source_is_target: np.ndarray  # bool: whether the set reaches that group too
    # int64, int32: the sets that reach each group
    into_start: np.ndarray
    into: np.ndarray
    # int64, int32, int64, bool: the sets that the neurons of each group are sources of, and their spikes, as above
    from_start: np.ndarray
    from_set: np.ndarray
    from_weight: np.ndarray
    from_is_target: np.ndarray

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.neurons.size

    @property
    def pins(self) -> int:
        """Number of pairs of a set and a group that it reaches."""
        return self.target.size


@dataclass(frozen=True, eq=False)
class Problem:
    """Groups to assign to at most `max_cores` cores within the limits of a core."""

    net: Contracted
    limits: Limits
    max_cores: int
    seed: int
    settings: SearchSettings
    warn: Say  # called with a message for each run of Mt-KaHyPar that fails


@compiled
def mark_targets(
    source_start: np.ndarray,
    source: np.ndarray,
    target_start: np.ndarray,
    target: np.ndarray,
    mark: np.ndarray,
    is_target: np.ndarray,
) -> None:
    """Write into `is_target` whether each source of a set is a target of the set; `mark` has −1 for each group."""
    for number in range(source_start.size - 1):
        for k in range(target_start[number], target_start[number + 1]):
            mark[target[k]] = number
        for k in range(source_start[number], source_start[number + 1]):
            is_target[k] = mark[source[k]] == number


def contract(network: MappableNetwork, group: np.ndarray, groups: int, loads: np.ndarray) -> Contracted:
    """Contract neurons into groups; `group` (int32, shape (neurons,)) is the group of each placed neuron.

    `loads` (int64, shape (neurons,)) are the synapse loads, see `limits.synapse_loads`.
    """
    sets, axons, members = 0, [np.empty(0, np.int64)], [np.empty((3, 0), np.int64)]
    targets = [(np.zeros(1, np.int64), np.empty(0, np.int32))]
    for population in network.sources:
        projections = network.projections_from(population)
        if not projections:
            continue
        # Equal sets are one, and empty ones are dropped. Sets are compared with their order: neighbouring positions
        # reach the same groups in the same order.
        by_source = target_sets(projections, group, groups, network.first)
        numbers: Dict[bytes, int] = {}
        content, bounds = by_source.label.tobytes(), (by_source.label.itemsize * by_source.start).tolist()
        number = [numbers.setdefault(content[i:j], len(numbers)) if i < j else -1 for i, j in zip(bounds, bounds[1:])]
        first = np.flatnonzero(np.diff(np.maximum.accumulate(number), prepend=-1))
        targets.append(take_sets(by_source.start, by_source.label, first))
        set_of = np.array(number, np.int64)[by_source.set_of]
        axons.append(np.bincount(set_of[set_of >= 0], minlength=len(numbers)))
        if population.first >= network.first:
            part = network.part(population)
            spiking = (set_of >= 0) & (network.counts[part] > 0)
            members.append(np.stack([sets + set_of, group[part], network.counts[part]])[:, spiking])
        sets += len(numbers)
    target_start, target = joined_sets(targets)
    set_of, source, spikes = np.concatenate(members, axis=1)
    sources = csr_matrix((spikes, (set_of, source)), shape=(sets, groups))
    start = sources.indptr.astype(np.int64)
    is_target = np.empty(sources.indices.size, np.bool_)
    mark_targets(start, sources.indices, target_start, target, np.full(groups, -1, np.int32), is_target)
    into = csr_matrix((np.ones(target.size, bool), target, target_start), shape=(sets, groups)).tocsc()
    by_group = sources.tocsc()
    return Contracted(
        neurons=np.bincount(group, minlength=groups),
        synapses=np.bincount(group, loads, minlength=groups).astype(np.int64),
        axons=np.concatenate(axons),
        total=np.asarray(sources.sum(axis=1)).ravel(),
        target_start=target_start,
        target=target,
        source_start=start,
        source=sources.indices,
        source_weight=sources.data,
        source_is_target=is_target,
        into_start=into.indptr.astype(np.int64),
        into=into.indices,
        from_start=by_group.indptr.astype(np.int64),
        from_set=by_group.indices,
        from_weight=by_group.data,
        from_is_target=csr_matrix((is_target, sources.indices, sources.indptr), shape=sources.shape).tocsc().data,
    )
