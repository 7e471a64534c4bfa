"""Coarsening: the hypergraph of groups of neurons, and the problem to place them."""

from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Tuple

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from snnb.chips.hardware import Limits
from snnb.core.compiled import compiled
from snnb.core.progress import Say
from snnb.graph.populations import GraphPopulation
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import (
    MappableNetwork,
    Sets,
    TargetSets,
    joined_sets,
    nodes_of,
    take_sets,
    target_sets,
)


class Contracted(NamedTuple):
    """A network of groups of neurons.

    Its cost equals that of the neurons if a mapping does not divide a group.

    Sources of a population that reach the same groups form a *set*. A set has target
    groups, a number of sources (the axons that it needs on each core that it reaches),
    and for each group the spikes of those sources that are its members. Let group 0 be
    the neurons 0 and 1, which send 5 and 3 spikes to group 1, and group 1 be neuron 2,
    which sends 4 spikes to both groups:

        set   axons   total   target groups   source groups, spikes
        0         2       8   1               0, 8
        1         1       4   0 1             1, 4 (the source is a target)

    The same is stored by set and by group; rows of set or group i are start[i] to
    before start[i + 1].
    """

    neurons: np.ndarray  # (groups,) int64: neurons of each group
    # (groups,) int64: synapses onto them, or their entries of a limited memory
    synapses: np.ndarray
    axons: np.ndarray  # (sets,) int64: number of sources of each set
    # (sets,) int64: spikes of the sources of a set, over all samples: of placed ones,
    # see `MappableNetwork.counts`, and where the input counts of the input
    total: np.ndarray
    # The groups that each set reaches: int64 (sets + 1,), int32
    target_start: np.ndarray
    target: np.ndarray
    # The groups of the sources of each set, without groups that do not spike: int64
    # (sets + 1,), int32; their spikes: int64; whether the set reaches the group: bool
    source_start: np.ndarray
    source: np.ndarray
    source_weight: np.ndarray
    source_is_target: np.ndarray
    # The sets that reach each group: int64 (groups + 1,), int32
    into_start: np.ndarray
    into: np.ndarray
    # The sets that neurons of each group are sources of: int64 (groups + 1,), int32;
    # spikes and whether the set reaches the group as above
    from_start: np.ndarray
    from_set: np.ndarray
    from_weight: np.ndarray
    from_is_target: np.ndarray
    # (sets,) int64: the part of the input in `total`
    input_total: np.ndarray

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
    """Write into `is_target` whether each source of a set is a target of the set.

    `mark`, int32, shape (groups,), has −1 for each group. The other arrays are those of
    `Contracted`.
    """
    for number in range(source_start.size - 1):
        for k in range(target_start[number], target_start[number + 1]):
            mark[target[k]] = number
        for k in range(source_start[number], source_start[number + 1]):
            is_target[k] = mark[source[k]] == number


class _Members(NamedTuple):
    """Placed neurons that spike, with the sets that they are sources of.

    The columns are int64, shape (neurons that spike and reach a group,).
    """

    set: np.ndarray
    group: np.ndarray
    spikes: np.ndarray  # over all samples, see `MappableNetwork.counts`


def contract(
    network: MappableNetwork,
    group: np.ndarray,
    groups: int,
    loads: np.ndarray,
    *,
    input_counts: bool = False,
) -> Contracted:
    """Contract neurons into groups.

    Parameters
    ----------
    group : (neurons,) int32 array
        The group of each placed neuron, less than `groups`.
    loads : (neurons,) int64 array
        The synapse loads, see `limits.synapse_loads`.
    input_counts : bool
        Whether spikes of the input to each core are a part of the cost.
    """
    sets = _list_sets(network, group, groups)
    input_total = sets.input_total if input_counts else np.zeros_like(sets.input_total)
    members = sets.members
    by_set = csr_matrix(
        (members.spikes, (members.set, members.group)),
        shape=(sets.axons.size, groups),
    )
    source_start = by_set.indptr.astype(np.int64)
    source = by_set.indices
    is_target = np.empty(source.size, np.bool_)
    mark = np.full(groups, -1, np.int32)
    target_start, target = sets.targets
    mark_targets(source_start, source, target_start, target, mark, is_target)
    by_group = by_set.tocsc()
    target_by_group = _by_column(
        np.ones(target.size, bool),
        target,
        target_start,
        groups,
    )
    is_target_by_group = _by_column(is_target, source, source_start, groups)
    return Contracted(
        neurons=np.bincount(group, minlength=groups),
        synapses=np.bincount(group, loads, minlength=groups).astype(np.int64),
        axons=sets.axons,
        total=np.asarray(by_set.sum(axis=1)).ravel() + input_total,
        target_start=target_start,
        target=target,
        source_start=source_start,
        source=source,
        source_weight=by_set.data,
        source_is_target=is_target,
        into_start=target_by_group.indptr.astype(np.int64),
        into=target_by_group.indices,
        from_start=by_group.indptr.astype(np.int64),
        from_set=by_group.indices,
        from_weight=by_group.data,
        from_is_target=is_target_by_group.data,
        input_total=input_total,
    )


class _ContractedSets(NamedTuple):
    """The sets of a network of groups, see `Contracted`, and their sources."""

    axons: np.ndarray  # (sets,) int64: number of sources of each set
    targets: Sets  # the groups that each set reaches
    members: _Members
    # (sets,) int64: spikes of the sources that are inputs, in the unit of `counts`
    input_total: np.ndarray


def _list_sets(
    network: MappableNetwork,
    group: np.ndarray,
    groups: int,
) -> _ContractedSets:
    """List the sets of all source populations; `group` and `groups`: see `contract`."""
    sets = 0
    axons = [np.empty(0, np.int64)]
    input_totals = [np.empty(0, np.int64)]
    targets: List[Sets] = [(np.zeros(1, np.int64), np.empty(0, np.int32))]
    empty = np.empty(0, np.int64)
    member_tables = [_Members(empty, empty, empty)]
    for population in network.sources:
        projections = network.projections_from(population)
        if not projections:
            continue
        by_source = target_sets(projections, group, groups, network.first)
        distinct_sets, set_of = _join_equal_sets(by_source)
        n_sets = distinct_sets[0].size - 1
        targets.append(distinct_sets)
        axons.append(np.bincount(set_of[set_of >= 0], minlength=n_sets))
        input_total = np.zeros(n_sets, np.int64)
        if population.first >= network.first:
            members = _list_members(network, population, set_of, group)
            member_tables.append(members._replace(set=sets + members.set))
        else:
            has_set = set_of >= 0
            spikes = network.spikes[nodes_of(population)][has_set]
            set_spikes = np.bincount(set_of[has_set], spikes, n_sets)
            counts = np.rint(set_spikes * network.counts_per_spike)
            input_total = counts.astype(np.int64)
        input_totals.append(input_total)
        sets += n_sets
    return _ContractedSets(
        axons=np.concatenate(axons),
        targets=joined_sets(targets),
        members=_Members(*map(np.concatenate, zip(*member_tables))),
        input_total=np.concatenate(input_totals),
    )


def _by_column(
    data: np.ndarray,
    column: np.ndarray,
    row_start: np.ndarray,
    columns: int,
) -> csc_matrix:
    """Return elements that are given by row (in CSR form) by column (in CSC form).

    Row r has the elements `row_start[r]` to before `row_start[r + 1]`.
    """
    rows = row_start.size - 1
    return csr_matrix((data, column, row_start), shape=(rows, columns)).tocsc()


def _join_equal_sets(sets: TargetSets) -> Tuple[Sets, np.ndarray]:
    """Join equal sets of a population to one, and drop empty ones.

    Return the distinct sets in the order in which they occur, and the new set of each
    neuron, int64, −1 if it reaches nothing. Sets are compared with their order:
    neighbouring positions reach the same groups in the same order. Sets that differ by
    their order only stay apart, which changes no cost. The sets (3, 4), (),
    (5,) and (3, 4) become (3, 4) and (5,), with the numbers 0, −1, 1 and 0.
    """
    numbers: Dict[bytes, int] = {}  # of the distinct sets, by their content
    content = sets.label.tobytes()
    bounds = (sets.label.itemsize * sets.start).tolist()
    number = np.array(
        [
            numbers.setdefault(content[begin:end], len(numbers)) if begin < end else -1
            for begin, end in zip(bounds, bounds[1:])
        ],
        np.int64,
    )
    largest_number = np.maximum.accumulate(number)  # so far: a new set has a larger one
    first_rows = np.flatnonzero(np.diff(largest_number, prepend=-1))
    return take_sets(sets.start, sets.label, first_rows), number[sets.set_of]


def _list_members(
    network: MappableNetwork,
    population: GraphPopulation,
    set_of: np.ndarray,
    group: np.ndarray,
) -> _Members:
    """List the neurons of a placed population that spike, with their sets.

    `set_of` (int64, shape (sources,)) is the set of each of its neurons, −1 for none.
    """
    part = network.part(population)
    spikes = network.counts[part]
    is_member = (set_of >= 0) & (spikes > 0)
    return _Members(
        set=set_of[is_member],
        group=group[part][is_member].astype(np.int64),
        spikes=spikes[is_member],
    )
