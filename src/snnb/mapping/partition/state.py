"""A mapping of groups to cores, with counts by which the change of a move is exact.

Spikes of a *set* (see `Contracted`) count once for each core that holds a target group
of the set, except those of its sources on that core. So a move of a group changes two
terms of the cost:

- the spikes of each set that reaches the group: the set reaches the old core no longer
  if the group is its last target there, and the new core if it is the first;
- the spikes of the group itself: they count for each core that its sets reach, except
  the core of the group.

Let set 0 have the groups 0 and 1 as sources, with 8 and 2 spikes, and reach the groups
1, 2 and 3. If the groups 0 to 3 are on the cores 0, 1, 1 and 2, then the state holds

    cores of the targets    core 1 with 2 targets, core 2 with 1 target
    cores of the sources    core 0 with 1 group and 8 spikes, core 1 with 1 and 2

and the cost is 10 spikes × 2 cores − 2 spikes that stay on core 1 = 18. If group 3
moves to core 1, core 2 drops out of the first list, and the cost is 10 − 2 = 8.

The loops take few arrays: numba passes each as seven numbers or more to each function,
which LLVM compiles slowly. So numbers that are read together are a record. Importing
this module imports numba.
"""

from typing import NamedTuple

import numpy as np

from snnb.core.compiled import compiled, inlined
from snnb.mapping.partition.contraction import Contracted

# The sets that reach a group g before group h are `into[g.into : h.into]`, those that
# its neurons are sources of `from_set[g.out : h.out]`. `slot` is the position of the
# group in the list of the groups on its core.
GROUP = np.dtype(
    [
        ("neurons", "i8"),
        ("synapses", "i8"),
        ("into", "i8"),
        ("out", "i8"),
        ("core", "i4"),
        ("slot", "i4"),
    ],
    align=True,
)
# The cores of the targets of a set s are `n_target_cores` records of `target_cores`
# from `first_target_core`; sources likewise. `axons` and `total`: see `Contracted`.
SET = np.dtype(
    [
        ("axons", "i8"),
        ("total", "i8"),
        ("first_target_core", "i8"),
        ("first_source_core", "i8"),
        ("n_target_cores", "i4"),
        ("n_source_cores", "i4"),
    ],
    align=True,
)
# The load of a core, and the number of its groups
CORE = np.dtype(
    [("neurons", "i8"), ("axons", "i8"), ("synapses", "i8"), ("size", "i8")],
)
# A core that holds targets of a set, and their number
TARGET_CORE = np.dtype([("core", "i4"), ("count", "i4")], align=True)
# A core that holds sources of a set, the number of their groups, and their spikes
SOURCE_CORE = np.dtype([("core", "i4"), ("count", "i4"), ("weight", "i8")], align=True)


class State(NamedTuple):
    """A mapping of groups, and the counts from which changes of its cost follow."""

    groups: np.ndarray  # GROUP (groups + 1,); the last has only `into` and `out`
    sets: np.ndarray  # SET (sets,)
    cores: np.ndarray  # CORE (cores,)
    # The same as in `Contracted`
    into: np.ndarray
    from_set: np.ndarray
    from_weight: np.ndarray
    from_is_target: np.ndarray
    # TARGET_CORE and SOURCE_CORE: room for the cores of each set, in no order
    target_cores: np.ndarray
    source_cores: np.ndarray
    member: np.ndarray  # (cores, groups_per_core) int32: the groups on each core

    @classmethod
    def empty(cls, net: Contracted, cores: int, groups_per_core: int) -> "State":
        """Return the state without groups on the cores.

        Each core has room for `groups_per_core` groups.
        """
        groups = np.zeros(net.groups + 1, GROUP)
        groups["neurons"][:-1] = net.neurons
        groups["synapses"][:-1] = net.synapses
        groups["into"] = net.into_start
        groups["out"] = net.from_start
        sets = np.zeros(net.axons.size, SET)
        sets["axons"] = net.axons
        sets["total"] = net.total
        most_target_cores = np.minimum(np.diff(net.target_start), cores)
        most_source_cores = np.minimum(np.diff(net.source_start), cores)
        sets["first_target_core"] = np.cumsum(most_target_cores) - most_target_cores
        sets["first_source_core"] = np.cumsum(most_source_cores) - most_source_cores
        return cls(
            groups=groups,
            sets=sets,
            cores=np.zeros(cores, CORE),
            into=net.into,
            from_set=net.from_set,
            from_weight=net.from_weight,
            from_is_target=net.from_is_target,
            target_cores=np.empty(most_target_cores.sum(), TARGET_CORE),
            source_cores=np.empty(most_source_cores.sum(), SOURCE_CORE),
            member=np.empty((cores, groups_per_core), np.int32),
        )


@inlined
def find_target_core(
    target_cores: np.ndarray,
    target_set: np.record,
    core: int,
) -> int:
    """Return the index of a core in `target_cores`; −1 if the set has no target there.

    `target_set` is a record SET.
    """
    begin = target_set.first_target_core
    for index in range(begin, begin + target_set.n_target_cores):
        if target_cores[index].core == core:
            return index
    return -1


@inlined
def find_source_core(
    source_cores: np.ndarray,
    target_set: np.record,
    core: int,
) -> int:
    """Return the index of a core in `source_cores`; −1 if the set has no source there.

    `target_set` is a record SET.
    """
    begin = target_set.first_source_core
    for index in range(begin, begin + target_set.n_source_cores):
        if source_cores[index].core == core:
            return index
    return -1


@inlined
def _put_group(state: State, group: int, core: int) -> None:
    """Put a group that is on no core on this one."""
    load = state.cores[core]
    record = state.groups[group]
    record.core = core
    load.neurons += record.neurons
    load.synapses += record.synapses
    record.slot = load.size
    state.member[core, load.size] = group
    load.size += 1
    for k in range(record.into, state.groups[group + 1].into):
        target_set = state.sets[state.into[k]]
        index = find_target_core(state.target_cores, target_set, core)
        if index < 0:
            index = target_set.first_target_core + target_set.n_target_cores
            target_set.n_target_cores += 1
            state.target_cores[index].core = core
            state.target_cores[index].count = 0
            load.axons += target_set.axons
        state.target_cores[index].count += 1
    for k in range(record.out, state.groups[group + 1].out):
        target_set = state.sets[state.from_set[k]]
        index = find_source_core(state.source_cores, target_set, core)
        if index < 0:
            index = target_set.first_source_core + target_set.n_source_cores
            target_set.n_source_cores += 1
            state.source_cores[index].core = core
            state.source_cores[index].count = 0
            state.source_cores[index].weight = 0
        state.source_cores[index].count += 1
        state.source_cores[index].weight += state.from_weight[k]


@inlined
def _take_group(state: State, group: int) -> None:
    """Take a group from its core. The last record of a list fills a gap in it."""
    record = state.groups[group]
    core = np.int64(record.core)
    load = state.cores[core]
    load.neurons -= record.neurons
    load.synapses -= record.synapses
    load.size -= 1
    last_group = state.member[core, load.size]
    state.member[core, record.slot] = last_group
    state.groups[last_group].slot = record.slot
    for k in range(record.into, state.groups[group + 1].into):
        target_set = state.sets[state.into[k]]
        index = find_target_core(state.target_cores, target_set, core)
        state.target_cores[index].count -= 1
        if state.target_cores[index].count == 0:
            target_set.n_target_cores -= 1
            last = target_set.first_target_core + target_set.n_target_cores
            state.target_cores[index].core = state.target_cores[last].core
            state.target_cores[index].count = state.target_cores[last].count
            load.axons -= target_set.axons
    for k in range(record.out, state.groups[group + 1].out):
        target_set = state.sets[state.from_set[k]]
        index = find_source_core(state.source_cores, target_set, core)
        state.source_cores[index].count -= 1
        state.source_cores[index].weight -= state.from_weight[k]
        if state.source_cores[index].count == 0:
            target_set.n_source_cores -= 1
            last = target_set.first_source_core + target_set.n_source_cores
            state.source_cores[index].core = state.source_cores[last].core
            state.source_cores[index].count = state.source_cores[last].count
            state.source_cores[index].weight = state.source_cores[last].weight


@inlined
def move_group(state: State, group: int, core: int) -> None:
    """Move a group to a core."""
    _take_group(state, group)
    _put_group(state, group, core)


@compiled
def put_all(state: State, core: np.ndarray) -> int:
    """Put every group on its core; return the cost: spikes over all samples.

    `state` is empty; `core` is int32, shape (groups,).
    """
    for group in range(core.size):
        _put_group(state, group, np.int64(core[group]))
    cost = 0
    for number in range(state.sets.size):
        target_set = state.sets[number]
        cost += target_set.total * target_set.n_target_cores
        begin = target_set.first_target_core
        for k in range(begin, begin + target_set.n_target_cores):
            target_core = np.int64(state.target_cores[k].core)
            index = find_source_core(state.source_cores, target_set, target_core)
            if index >= 0:
                cost -= state.source_cores[index].weight
    return cost


class MoveChange(NamedTuple):
    """What a move changes."""

    cost: int
    old_axons: int  # axons of the old core
    new_axons: int  # axons of the new core


@inlined
def find_move_change(state: State, group: int, core: int) -> MoveChange:
    """Return what a move of a group to another core would change."""
    old_core = np.int64(state.groups[group].core)
    cost = 0
    old_axons = 0
    new_axons = 0
    for k in range(state.groups[group].into, state.groups[group + 1].into):
        target_set = state.sets[state.into[k]]
        is_last = False  # whether the group is the last target on the old core
        has_target = False  # whether there is a target on the new core
        begin = target_set.first_target_core
        for index in range(begin, begin + target_set.n_target_cores):
            if state.target_cores[index].core == old_core:
                is_last = state.target_cores[index].count == 1
            elif state.target_cores[index].core == core:
                has_target = True
        if is_last:
            cost -= target_set.total
            old_axons -= target_set.axons
        if not has_target:
            cost += target_set.total
            new_axons += target_set.axons
        if has_target and not is_last:
            continue
        begin = target_set.first_source_core
        for index in range(begin, begin + target_set.n_source_cores):
            source_core = state.source_cores[index]
            if is_last and source_core.core == old_core:
                cost += source_core.weight
            elif not has_target and source_core.core == core:
                cost -= source_core.weight
    for k in range(state.groups[group].out, state.groups[group + 1].out):
        target_set = state.sets[state.from_set[k]]
        weight = state.from_weight[k]
        if state.from_is_target[k]:  # its own targets move too
            index = find_target_core(state.target_cores, target_set, old_core)
            if state.target_cores[index].count == 1:
                cost -= weight
            continue
        begin = target_set.first_target_core
        for index in range(begin, begin + target_set.n_target_cores):
            if state.target_cores[index].core == old_core:
                cost += weight
            elif state.target_cores[index].core == core:
                cost -= weight
    return MoveChange(cost, old_axons, new_axons)
