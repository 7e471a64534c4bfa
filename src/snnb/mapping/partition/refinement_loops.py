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


class State(NamedTuple):
    """A mapping of groups, and the counts from which changes of its cost are computed."""

    groups: np.ndarray  # GROUP (groups + 1,): see `Contracted`, the core, and the position in the list of its groups
    sets: np.ndarray  # SET (sets,): see `Contracted`
    cores: np.ndarray  # CORE (cores,): load, and number of groups
    # See `Contracted`
    into: np.ndarray
    from_set: np.ndarray
    from_weight: np.ndarray
    from_own: np.ndarray
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
            from_own=net.from_own,
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
    here, this_group = state.cores[core], state.groups[group]
    this_group.core = core
    here.neurons += this_group.neurons
    here.synapses += this_group.synapses
    this_group.slot = here.size
    state.member[core, here.size] = group
    here.size += 1
    for k in range(this_group.into, state.groups[group + 1].into):
        this = state.sets[state.into[k]]
        at = _index(state.target_cores, this.first_target_core, this.n_target_cores, core)
        if at < 0:
            at = this.first_target_core + this.n_target_cores
            this.n_target_cores += 1
            state.target_cores[at].core, state.target_cores[at].count = core, 0
            here.axons += this.axons
        state.target_cores[at].count += 1
    for k in range(this_group.out, state.groups[group + 1].out):
        this = state.sets[state.from_set[k]]
        at = _index(state.source_cores, this.first_source_core, this.n_source_cores, core)
        if at < 0:
            at = this.first_source_core + this.n_source_cores
            this.n_source_cores += 1
            state.source_cores[at].core, state.source_cores[at].count, state.source_cores[at].weight = core, 0, 0
        state.source_cores[at].count += 1
        state.source_cores[at].weight += state.from_weight[k]


@inlined
def _take(state: State, group: int) -> None:
    this_group = state.groups[group]
    core = np.int64(this_group.core)
    here = state.cores[core]
    here.neurons -= this_group.neurons
    here.synapses -= this_group.synapses
    here.size -= 1
    last = state.member[core, here.size]
    state.member[core, this_group.slot] = last
    state.groups[last].slot = this_group.slot
    for k in range(this_group.into, state.groups[group + 1].into):
        this = state.sets[state.into[k]]
        at = _index(state.target_cores, this.first_target_core, this.n_target_cores, core)
        state.target_cores[at].count -= 1
        if state.target_cores[at].count == 0:
            this.n_target_cores -= 1
            moved = state.target_cores[this.first_target_core + this.n_target_cores]
            state.target_cores[at].core, state.target_cores[at].count = moved.core, moved.count
            here.axons -= this.axons
    for k in range(this_group.out, state.groups[group + 1].out):
        this = state.sets[state.from_set[k]]
        at = _index(state.source_cores, this.first_source_core, this.n_source_cores, core)
        state.source_cores[at].count -= 1
        state.source_cores[at].weight -= state.from_weight[k]
        if state.source_cores[at].count == 0:
            this.n_source_cores -= 1
            moved = state.source_cores[this.first_source_core + this.n_source_cores]
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
    for this in range(state.sets.size):
        one = state.sets[this]
        cost += one.total * one.n_target_cores
        for k in range(one.first_target_core, one.first_target_core + one.n_target_cores):
            at = _index(
                state.source_cores, one.first_source_core, one.n_source_cores, np.int64(state.target_cores[k].core)
            )
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
    here, cost, left, found = np.int64(state.groups[group].core), 0, 0, 0
    for k in range(state.groups[group].into, state.groups[group + 1].into):
        this = state.sets[state.into[k]]
        alone = met = False  # it is the only target of the set on its core; there is one on the new core
        for at in range(this.first_target_core, this.first_target_core + this.n_target_cores):
            if state.target_cores[at].core == here:
                alone = state.target_cores[at].count == 1
            elif state.target_cores[at].core == core:
                met = True
        if alone:
            cost -= this.total
            left -= this.axons
        if not met:
            cost += this.total
            found += this.axons
        if met and not alone:
            continue
        for at in range(this.first_source_core, this.first_source_core + this.n_source_cores):
            if alone and state.source_cores[at].core == here:
                cost += state.source_cores[at].weight
            elif not met and state.source_cores[at].core == core:
                cost -= state.source_cores[at].weight
    for k in range(state.groups[group].out, state.groups[group + 1].out):
        this, weight = state.sets[state.from_set[k]], state.from_weight[k]
        if state.from_own[k]:  # its own targets move too
            if (
                state.target_cores[_index(state.target_cores, this.first_target_core, this.n_target_cores, here)].count
                == 1
            ):
                cost -= weight
            continue
        for at in range(this.first_target_core, this.first_target_core + this.n_target_cores):
            if state.target_cores[at].core == here:
                cost += weight
            elif state.target_cores[at].core == core:
                cost -= weight
    return cost, left, found


@inlined
def _excess(limits: np.ndarray, neurons: int, axons: int, synapses: int) -> float:
    """Return the sum of (load / limit − 1) over the limits that the load of a core exceeds."""
    over = max(neurons - limits[0], 0) / limits[0]
    over += max(axons - limits[1], 0) / limits[1]
    return over + max(synapses - limits[2], 0) / limits[2]


@inlined
def _excess_of(state: State, limits: np.ndarray, core: int) -> float:
    """Return the excess of a core."""
    load = state.cores[core]
    return _excess(limits, load.neurons, load.axons, load.synapses)


@inlined
def _excess_change(
    state: State, limits: np.ndarray, group: int, core: int, left: int, found: int, before: float
) -> float:
    """Return the excess of the core of a group and of a new core after a move, minus that `before`.

    `left` and `found` are the changes of their axons, see `_move_change`.
    """
    this_group, load = state.groups[group], state.cores[core]
    here = state.cores[np.int64(this_group.core)]
    neurons, synapses = this_group.neurons, this_group.synapses
    change = _excess(limits, load.neurons + neurons, load.axons + found, load.synapses + synapses) - before
    return change + _excess(limits, here.neurons - neurons, here.axons + left, here.synapses - synapses)


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
    here, stay, base, axons, freed = np.int64(state.groups[group].core), 0, 0, 0, 0
    for k in range(state.groups[group].into, state.groups[group + 1].into):
        this = state.sets[state.into[k]]
        base += this.total
        axons += this.axons
        alone = False
        for at in range(this.first_target_core, this.first_target_core + this.n_target_cores):
            core = np.int64(state.target_cores[at].core)
            count = _meet(buffers, count, core)
            gain[core] += this.total
            shared[core] += this.axons
            alone |= core == here and state.target_cores[at].count == 1
        if alone:
            stay += this.total
            freed += this.axons
        for at in range(this.first_source_core, this.first_source_core + this.n_source_cores):
            core, spikes = np.int64(state.source_cores[at].core), state.source_cores[at].weight
            if core == here:
                if alone:
                    stay -= spikes
                continue
            if _index(state.target_cores, this.first_target_core, this.n_target_cores, core) < 0:
                count = _meet(buffers, count, core)
                gain[core] += spikes
    for k in range(state.groups[group].out, state.groups[group + 1].out):
        this = state.sets[state.from_set[k]]
        if state.from_own[k]:  # its own targets move too
            if (
                state.target_cores[_index(state.target_cores, this.first_target_core, this.n_target_cores, here)].count
                == 1
            ):
                stay += state.from_weight[k]
            continue
        for at in range(this.first_target_core, this.first_target_core + this.n_target_cores):
            core = np.int64(state.target_cores[at].core)
            count = _meet(buffers, count, core)
            gain[core] += state.from_weight[k]
            if core == here:
                stay -= state.from_weight[k]
    return count, base, stay, axons, freed


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
    gain, shared, seen, touched = buffers[0], buffers[1], buffers[2], buffers[3]
    for group in order:
        here, count = np.int64(state.groups[group].core), np.int64(0)
        if mending > 0:
            if _excess_of(state, limits, here) == 0:
                continue
            least = 0
            for other in range(1, gain.size):
                if state.cores[other].neurons < state.cores[least].neurons:
                    least = other
            count = _meet(buffers, count, np.int64(least))
        count, base, stay, axons, freed = _gather(state, group, buffers, count)
        best, best_core = 0, np.int64(-1)
        if mending > 1 or (mending > 0 and (freed > 0 or state.cores[here].axons <= limits[1])):
            best = LARGEST
        for i in range(count):
            core = touched[i]
            if core != here:
                added = base - gain[core] - stay
                if added < best:
                    load, more = state.cores[core], state.groups[group]
                    needed = load.axons + axons - shared[core]
                    if _excess(limits, load.neurons + more.neurons, needed, load.synapses + more.synapses) == 0:
                        best, best_core = added, core
            gain[core] = shared[core] = seen[core] = 0
        if best_core >= 0:
            _move(state, group, best_core)
            total += best
    return total


@inlined
def _neighbour(state: State, random: np.ndarray, group: int) -> int:
    """Draw a core that holds a target or a source of a set of the group; one time in 64 any core."""
    this_group, following = state.groups[group], state.groups[group + 1]
    into, out = following.into - this_group.into, following.out - this_group.out
    if into + out == 0 or draw_below(random, np.int64(64)) == 0:
        return draw_below(random, state.cores.size)
    if out == 0 or (into > 0 and draw_below(random, np.int64(2)) == 0):
        this = state.sets[state.into[this_group.into + draw_below(random, into)]]
        if this.n_source_cores and draw_below(random, np.int64(2)) == 0:
            return state.source_cores[this.first_source_core + draw_below(random, np.int64(this.n_source_cores))].core
    else:
        this = state.sets[state.from_set[this_group.out + draw_below(random, out)]]
    return state.target_cores[this.first_target_core + draw_below(random, np.int64(this.n_target_cores))].core


@inlined
def _accepts(added: float, temperature: float, random: np.ndarray) -> bool:
    if added <= 0:
        return True
    if temperature <= 0 or added > 30 * temperature:
        return False
    return draw_below(random, np.int64(1 << 30)) < np.exp(-added / temperature) * (1 << 30)


@compiled
def anneal_moves(
    state: State,
    limits: np.ndarray,
    random: np.ndarray,
    trials: int,
    hot: float,
    cold: float,
    penalty: float,
) -> int:
    """Try moves and exchanges; accept an increase of the cost with probability exp(−increase / temperature).

    The temperature falls from `hot` to `cold`, in spikes over all samples. An exceeded limit costs penalty × (load /
    limit − 1). `random` is the state of the random numbers. Return the change of the cost.
    """
    total, temperature = 0, hot
    cooling = (cold / hot) ** (1.0 / max(trials, 1)) if hot > 0 else 1.0
    for _ in range(trials):
        temperature *= cooling
        group = draw_below(random, state.groups.size - 1)
        here, core = np.int64(state.groups[group].core), _neighbour(state, random, group)
        load = state.cores[core]
        if core == here or load.size == state.member.shape[1]:
            continue
        added, left, found = _move_change(state, group, core)
        before = _excess_of(state, limits, core) + _excess_of(state, limits, here)
        over = _excess_change(state, limits, group, core, left, found, before)
        if _accepts(added + penalty * over, temperature, random):
            _move(state, group, core)
            total += added
        elif over > 0 and added < 8 * temperature and load.size > 0 and load.size + state.cores[here].size > 2:
            # not between cores of one group each, which would only exchange their numbers
            other = np.int64(state.member[core, draw_below(random, load.size)])
            _move(state, group, core)
            back, left, found = _move_change(state, other, here)
            over = _excess_change(state, limits, other, here, left, found, before)
            if _accepts(added + back + penalty * over, temperature, random):
                _move(state, other, here)
                total += added + back
            else:
                _move(state, group, here)
    return total
