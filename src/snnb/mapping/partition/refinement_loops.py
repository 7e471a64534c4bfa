"""Compiled loops of the refinement: moves of groups between cores with exact changes of the cost.

A move changes two terms of the cost. The spikes of a set that reaches the group count for each core that holds a target
of the set, except spikes of sources on that core. The spikes of the group count for each core that holds a target of
its sets, except the core of the group. Importing this module imports numba.

The loops take few arrays: numba passes each as seven numbers or more to each function, which LLVM compiles slowly. So
numbers that are read together are a record.
"""

from typing import NamedTuple, Tuple

import numpy as np

from snnb.core.compiled import compiled, inlined
from snnb.mapping.partition.contraction import Contracted


@inlined
def draw_below(state: np.ndarray, limit: int) -> int:
    """Draw an integer from 0 to limit − 1 and update the state: uint64, shape (1,), not 0.

    The generator is xorshift64* (Vigna, ACM TOMS 42, 2016).
    """
    value = state[0]
    value ^= value >> np.uint64(12)
    value ^= value << np.uint64(25)
    value ^= value >> np.uint64(27)
    state[0] = value
    drawn = (value * np.uint64(2685821657736338717)) >> np.uint64(33)
    return np.int64(drawn % np.uint64(limit))  # type: ignore[return-value]


# The sets that reach a group g before h are `into[g.into : h.into]`, those of its neurons `from_set[g.out : h.out]`.
GROUP = np.dtype(
    [("neurons", "i8"), ("synapses", "i8"), ("into", "i8"), ("out", "i8"), ("core", "i4"), ("slot", "i4")], align=True
)
# The cores of the targets of a set s are `target_cores[s.first_target_core :][: s.n_target_cores]`; sources likewise.
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
CORE = np.dtype([("neurons", "i8"), ("axons", "i8"), ("synapses", "i8"), ("size", "i8")])
TARGET_CORE = np.dtype([("core", "i4"), ("count", "i4")], align=True)
SOURCE_CORE = np.dtype([("core", "i4"), ("count", "i4"), ("weight", "i8")], align=True)
LARGEST = np.iinfo(np.int64).max
# Trials of an annealing, of which one draws any core, not one of a neighbour. It is no setting, since a division by a
# variable takes 20 % of the time of an annealing (lenet_t100)
TRIALS_PER_RANDOM_CORE = np.int64(64)


class Annealing(NamedTuple):
    """Parameters of an annealing; costs are spikes over all samples."""

    hottest: float  # temperature at the first trial
    coldest: float  # and at the last
    penalty: float  # an exceeded limit costs penalty × (load / limit − 1)
    max_increase_to_exchange: float  # see `SearchSettings`


class State(NamedTuple):
    """A mapping of groups, and the counts from which changes of its cost are computed."""

    groups: np.ndarray  # GROUP (groups + 1,): see `Contracted`, the core, and the position in the list of its groups
    sets: np.ndarray  # SET (sets,): see `Contracted`
    cores: np.ndarray  # CORE (cores,): load, and number of groups
    # See `Contracted`
    into: np.ndarray
    from_set: np.ndarray
    from_weight: np.ndarray
    from_is_target: np.ndarray
    target_cores: np.ndarray  # TARGET_CORE: cores that hold targets of a set, and their number of targets
    source_cores: np.ndarray  # SOURCE_CORE: cores of the sources of a set, with their number of groups and their spikes
    member: np.ndarray  # (cores, groups_per_core) int32: the groups on each core

    @classmethod
    def empty(cls, net: Contracted, cores: int, groups_per_core: int) -> "State":
        """Return the state without groups on the cores, which have room for `groups_per_core` groups each."""
        groups, sets = np.zeros(net.groups + 1, GROUP), np.zeros(net.axons.size, SET)
        groups["neurons"][:-1], groups["synapses"][:-1] = net.neurons, net.synapses
        groups["into"], groups["out"] = net.into_start, net.from_start
        sets["axons"], sets["total"] = net.axons, net.total
        targets, sources = (np.minimum(np.diff(start), cores) for start in (net.target_start, net.source_start))
        sets["first_target_core"] = np.cumsum(targets) - targets
        sets["first_source_core"] = np.cumsum(sources) - sources
        return cls(
            groups=groups,
            sets=sets,
            cores=np.zeros(cores, CORE),
            into=net.into,
            from_set=net.from_set,
            from_weight=net.from_weight,
            from_is_target=net.from_is_target,
            target_cores=np.empty(targets.sum(), TARGET_CORE),
            source_cores=np.empty(sources.sum(), SOURCE_CORE),
            member=np.empty((cores, groups_per_core), np.int32),
        )


@inlined
def _index(listed: np.ndarray, start: int, length: int, core: int) -> int:
    """Return the index in `listed` of a core that is in `listed[start:start + length]`; −1 if it is not there."""
    for k in range(start, start + length):
        if listed[k].core == core:
            return k
    return -1


@inlined
def _put(state: State, group: int, core: int) -> None:
    load, record = state.cores[core], state.groups[group]
    record.core = core
    load.neurons += record.neurons
    load.synapses += record.synapses
    record.slot = load.size
    state.member[core, load.size] = group
    load.size += 1
    for k in range(record.into, state.groups[group + 1].into):
        target_set = state.sets[state.into[k]]
        at = _index(state.target_cores, target_set.first_target_core, target_set.n_target_cores, core)
        if at < 0:
            at = target_set.first_target_core + target_set.n_target_cores
            target_set.n_target_cores += 1
            state.target_cores[at].core, state.target_cores[at].count = core, 0
            load.axons += target_set.axons
        state.target_cores[at].count += 1
    for k in range(record.out, state.groups[group + 1].out):
        target_set = state.sets[state.from_set[k]]
        at = _index(state.source_cores, target_set.first_source_core, target_set.n_source_cores, core)
        if at < 0:
            at = target_set.first_source_core + target_set.n_source_cores
            target_set.n_source_cores += 1
            state.source_cores[at].core, state.source_cores[at].count, state.source_cores[at].weight = core, 0, 0
        state.source_cores[at].count += 1
        state.source_cores[at].weight += state.from_weight[k]


@inlined
def _take(state: State, group: int) -> None:
    record = state.groups[group]
    core = np.int64(record.core)
    load = state.cores[core]
    load.neurons -= record.neurons
    load.synapses -= record.synapses
    load.size -= 1
    last = state.member[core, load.size]
    state.member[core, record.slot] = last
    state.groups[last].slot = record.slot
    for k in range(record.into, state.groups[group + 1].into):
        target_set = state.sets[state.into[k]]
        at = _index(state.target_cores, target_set.first_target_core, target_set.n_target_cores, core)
        state.target_cores[at].count -= 1
        if state.target_cores[at].count == 0:
            target_set.n_target_cores -= 1
            moved = state.target_cores[target_set.first_target_core + target_set.n_target_cores]
            state.target_cores[at].core, state.target_cores[at].count = moved.core, moved.count
            load.axons -= target_set.axons
    for k in range(record.out, state.groups[group + 1].out):
        target_set = state.sets[state.from_set[k]]
        at = _index(state.source_cores, target_set.first_source_core, target_set.n_source_cores, core)
        state.source_cores[at].count -= 1
        state.source_cores[at].weight -= state.from_weight[k]
        if state.source_cores[at].count == 0:
            target_set.n_source_cores -= 1
            moved = state.source_cores[target_set.first_source_core + target_set.n_source_cores]
            state.source_cores[at].core, state.source_cores[at].count, state.source_cores[at].weight = (
                moved.core,
                moved.count,
                moved.weight,
            )


@compiled
def put_all(state: State, core: np.ndarray) -> int:
    """Put every group on its core; `state` is empty. Return the spikes between cores, over all samples."""
    for group in range(core.size):
        _put(state, group, np.int64(core[group]))
    cost = 0
    for number in range(state.sets.size):
        target_set = state.sets[number]
        cost += target_set.total * target_set.n_target_cores
        for k in range(target_set.first_target_core, target_set.first_target_core + target_set.n_target_cores):
            target_core = np.int64(state.target_cores[k].core)
            at = _index(state.source_cores, target_set.first_source_core, target_set.n_source_cores, target_core)
            cost -= state.source_cores[at].weight if at >= 0 else 0
    return cost


@inlined
def _move(state: State, group: int, core: int) -> None:
    """Move a group to a core."""
    _take(state, group)
    _put(state, group, core)


@inlined
def _move_change(state: State, group: int, core: int) -> Tuple[int, int, int]:
    """Return the change of the cost, of the axons of the old core, and of the axons of the new core, by a move."""
    old_core, change, old_axons, new_axons = np.int64(state.groups[group].core), 0, 0, 0
    for k in range(state.groups[group].into, state.groups[group + 1].into):
        target_set = state.sets[state.into[k]]
        is_last = has_target = False  # it is the only target of the set on its core; there is one on the new core
        for at in range(target_set.first_target_core, target_set.first_target_core + target_set.n_target_cores):
            if state.target_cores[at].core == old_core:
                is_last = state.target_cores[at].count == 1
            elif state.target_cores[at].core == core:
                has_target = True
        if is_last:
            change -= target_set.total
            old_axons -= target_set.axons
        if not has_target:
            change += target_set.total
            new_axons += target_set.axons
        if has_target and not is_last:
            continue
        for at in range(target_set.first_source_core, target_set.first_source_core + target_set.n_source_cores):
            if is_last and state.source_cores[at].core == old_core:
                change += state.source_cores[at].weight
            elif not has_target and state.source_cores[at].core == core:
                change -= state.source_cores[at].weight
    for k in range(state.groups[group].out, state.groups[group + 1].out):
        target_set, weight = state.sets[state.from_set[k]], state.from_weight[k]
        if state.from_is_target[k]:  # its own targets move too
            at = _index(state.target_cores, target_set.first_target_core, target_set.n_target_cores, old_core)
            if state.target_cores[at].count == 1:
                change -= weight
            continue
        for at in range(target_set.first_target_core, target_set.first_target_core + target_set.n_target_cores):
            if state.target_cores[at].core == old_core:
                change += weight
            elif state.target_cores[at].core == core:
                change -= weight
    return change, old_axons, new_axons


@inlined
def _excess(limits: np.ndarray, neurons: int, axons: int, synapses: int) -> float:
    """Return the sum of (load / limit − 1) over the limits that the load of a core exceeds."""
    excess = max(neurons - limits[0], 0) / limits[0]
    excess += max(axons - limits[1], 0) / limits[1]
    return excess + max(synapses - limits[2], 0) / limits[2]


@inlined
def _excess_of(state: State, limits: np.ndarray, core: int) -> float:
    """Return the excess of a core."""
    load = state.cores[core]
    return _excess(limits, load.neurons, load.axons, load.synapses)


@inlined
def _excess_change(
    state: State, limits: np.ndarray, group: int, core: int, old_axons: int, new_axons: int, excess_before: float
) -> float:
    """Return the excess of the core of a group and of a new core after a move, minus that `excess_before`.

    `old_axons` and `new_axons` are the changes of their axons, see `_move_change`.
    """
    record, new_load = state.groups[group], state.cores[core]
    old_load = state.cores[np.int64(record.core)]
    neurons, synapses = record.neurons, record.synapses
    new = _excess(limits, new_load.neurons + neurons, new_load.axons + new_axons, new_load.synapses + synapses)
    old = _excess(limits, old_load.neurons - neurons, old_load.axons + old_axons, old_load.synapses - synapses)
    return new - excess_before + old


@inlined
def _meet(buffers: np.ndarray, count: int, core: int) -> int:
    """Append a core to the list of touched ones unless it is there; return the new length."""
    if not buffers[2, core]:
        buffers[2, core] = True
        buffers[3, count] = core
        count += 1
    return count


@inlined
def _gather(
    state: State,
    group: int,
    buffers: np.ndarray,
    count: int,
) -> Tuple[int, int, int, int, int]:
    """Sum up what a group would save on each core that holds a neighbour of it, and the axons that exist there.

    Return the number of touched cores; the cost of the group on a core without neighbours, and on its core; and the
    axons that it needs, and those of them that no other group of its core needs.
    """
    gain, shared = buffers[0], buffers[1]
    old_core, old_cost, new_cost, axons, freed_axons = np.int64(state.groups[group].core), 0, 0, 0, 0
    for k in range(state.groups[group].into, state.groups[group + 1].into):
        target_set = state.sets[state.into[k]]
        new_cost += target_set.total
        axons += target_set.axons
        is_last = False
        for at in range(target_set.first_target_core, target_set.first_target_core + target_set.n_target_cores):
            core = np.int64(state.target_cores[at].core)
            count = _meet(buffers, count, core)
            gain[core] += target_set.total
            shared[core] += target_set.axons
            is_last |= core == old_core and state.target_cores[at].count == 1
        if is_last:
            old_cost += target_set.total
            freed_axons += target_set.axons
        for at in range(target_set.first_source_core, target_set.first_source_core + target_set.n_source_cores):
            core, spikes = np.int64(state.source_cores[at].core), state.source_cores[at].weight
            if core == old_core:
                if is_last:
                    old_cost -= spikes
                continue
            if _index(state.target_cores, target_set.first_target_core, target_set.n_target_cores, core) < 0:
                count = _meet(buffers, count, core)
                gain[core] += spikes
    for k in range(state.groups[group].out, state.groups[group + 1].out):
        target_set = state.sets[state.from_set[k]]
        if state.from_is_target[k]:  # its own targets move too
            at = _index(state.target_cores, target_set.first_target_core, target_set.n_target_cores, old_core)
            if state.target_cores[at].count == 1:
                old_cost += state.from_weight[k]
            continue
        for at in range(target_set.first_target_core, target_set.first_target_core + target_set.n_target_cores):
            core = np.int64(state.target_cores[at].core)
            count = _meet(buffers, count, core)
            gain[core] += state.from_weight[k]
            if core == old_core:
                old_cost -= state.from_weight[k]
    return count, new_cost, old_cost, axons, freed_axons


@compiled
def descend_moves(
    state: State,
    limits: np.ndarray,
    order: np.ndarray,
    buffers: np.ndarray,
    mending: int,
) -> int:
    """Move each group to the core that lowers the cost most within the limits. Return the change of the cost.

    When mending, only groups on overfull cores move, also if that raises the cost, and to the core with the fewest
    neurons if no core with a neighbour takes them.

    Parameters
    ----------
    buffers : (4, cores) int64 array; zeros: what a group would save on each core, the axons that exist there, whether
        the core is touched; and the list of the touched ones
    mending : 0: no mending. 1: if axons exceed their limit, only groups with axons that no other group of their core
        needs. 2: all groups.
    """
    total = 0
    gain, shared, is_touched, touched = buffers[0], buffers[1], buffers[2], buffers[3]
    for group in order:
        old_core, count = np.int64(state.groups[group].core), np.int64(0)
        if mending > 0:
            if _excess_of(state, limits, old_core) == 0:
                continue
            emptiest = 0
            for number in range(1, gain.size):
                if state.cores[number].neurons < state.cores[emptiest].neurons:
                    emptiest = number
            count = _meet(buffers, count, np.int64(emptiest))
        count, new_cost, old_cost, axons, freed_axons = _gather(state, group, buffers, count)
        best_change, best_core = 0, np.int64(-1)
        if mending > 1 or (mending > 0 and (freed_axons > 0 or state.cores[old_core].axons <= limits[1])):
            best_change = LARGEST
        for i in range(count):
            core = touched[i]
            if core != old_core:
                change = new_cost - gain[core] - old_cost
                if change < best_change:
                    load, record = state.cores[core], state.groups[group]
                    needed = load.axons + axons - shared[core]
                    if _excess(limits, load.neurons + record.neurons, needed, load.synapses + record.synapses) == 0:
                        best_change, best_core = change, core
            gain[core] = shared[core] = is_touched[core] = 0
        if best_core >= 0:
            _move(state, group, best_core)
            total += best_change
    return total


@inlined
def _neighbour(state: State, random: np.ndarray, group: int) -> int:
    """Draw a core that holds a target or a source of a set of the group; sometimes any core."""
    record, next_record = state.groups[group], state.groups[group + 1]
    n_into, n_out = next_record.into - record.into, next_record.out - record.out
    if n_into + n_out == 0 or draw_below(random, TRIALS_PER_RANDOM_CORE) == 0:
        return draw_below(random, state.cores.size)
    if n_out == 0 or (n_into > 0 and draw_below(random, np.int64(2)) == 0):
        target_set = state.sets[state.into[record.into + draw_below(random, n_into)]]
        if target_set.n_source_cores and draw_below(random, np.int64(2)) == 0:
            at = target_set.first_source_core + draw_below(random, np.int64(target_set.n_source_cores))
            return state.source_cores[at].core
    else:
        target_set = state.sets[state.from_set[record.out + draw_below(random, n_out)]]
    at = target_set.first_target_core + draw_below(random, np.int64(target_set.n_target_cores))
    return state.target_cores[at].core


@inlined
def _accepts(increase: float, temperature: float, random: np.ndarray) -> bool:
    if increase <= 0:
        return True
    if temperature <= 0 or increase > 30 * temperature:  # exp(−30) is less than the resolution of the random numbers
        return False
    return draw_below(random, np.int64(1 << 30)) < np.exp(-increase / temperature) * (1 << 30)


@compiled
def anneal_moves(state: State, limits: np.ndarray, random: np.ndarray, trials: int, annealing: Annealing) -> int:
    """Try moves and exchanges; accept an increase of the cost with probability exp(−increase / temperature).

    `random` is the state of the random numbers. Return the change of the cost.
    """
    total, temperature, penalty = 0, annealing.hottest, annealing.penalty
    cooling = (annealing.coldest / temperature) ** (1.0 / max(trials, 1)) if temperature > 0 else 1.0
    for _ in range(trials):
        temperature *= cooling
        group = draw_below(random, state.groups.size - 1)
        old_core, core = np.int64(state.groups[group].core), _neighbour(state, random, group)
        load = state.cores[core]
        if core == old_core or load.size == state.member.shape[1]:
            continue
        change, old_axons, new_axons = _move_change(state, group, core)
        excess_before = _excess_of(state, limits, core) + _excess_of(state, limits, old_core)
        excess_change = _excess_change(state, limits, group, core, old_axons, new_axons, excess_before)
        if _accepts(change + penalty * excess_change, temperature, random):
            _move(state, group, core)
            total += change
        elif (
            excess_change > 0
            and change < annealing.max_increase_to_exchange * temperature
            and load.size > 0
            and load.size + state.cores[old_core].size > 2  # cores of one group each would only exchange their numbers
        ):
            other_group = np.int64(state.member[core, draw_below(random, load.size)])
            _move(state, group, core)
            change_back, old_axons, new_axons = _move_change(state, other_group, old_core)
            excess_change = _excess_change(state, limits, other_group, old_core, old_axons, new_axons, excess_before)
            if _accepts(change + change_back + penalty * excess_change, temperature, random):
                _move(state, other_group, old_core)
                total += change + change_back
            else:
                _move(state, group, old_core)
    return total
