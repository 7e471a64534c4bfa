"""Compiled loops of the search for a mapping of groups: moves between cores with exact changes of the cost.

A move changes two terms of the cost. The spikes of a set that reaches the group count for each core that holds a target
of the set, except spikes of sources on that core. The spikes of the group count for each core that holds a target of
its sets, except the core of the group. Importing this module imports numba.
"""

from typing import NamedTuple, Tuple

import numpy as np

from snnb.core.compiled import compiled


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
    source_own: np.ndarray  # bool: whether the set reaches that group too
    # int64, int32: the sets that reach each group
    into_start: np.ndarray
    into: np.ndarray
    # int64, int32, int64, bool: the sets that the neurons of each group are sources of, and their spikes, as above
    from_start: np.ndarray
    from_set: np.ndarray
    from_weight: np.ndarray
    from_own: np.ndarray

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.neurons.size

    @property
    def pins(self) -> int:
        """Number of pairs of a set and a group that it reaches."""
        return self.target.size


class State(NamedTuple):
    """A mapping of groups, and the counts from which changes of its cost are computed."""

    core: np.ndarray  # (groups,) int32
    load: np.ndarray  # (cores, 3) int64: neurons, axons and synapses of each core
    # For each set, the cores that hold targets of it, and their number of targets
    hit_start: np.ndarray
    hit_length: np.ndarray
    hit_core: np.ndarray
    hit_count: np.ndarray
    # For each set, the cores of its sources, with their number of groups and their spikes
    fed_start: np.ndarray
    fed_length: np.ndarray
    fed_core: np.ndarray
    fed_count: np.ndarray
    fed_weight: np.ndarray
    # The groups on each core, and the position of each group in that list
    member_start: np.ndarray
    member: np.ndarray
    slot: np.ndarray
    size: np.ndarray  # (cores,) int64: number of groups on each core


@compiled
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


@compiled
def own_sources(
    source_start: np.ndarray, source: np.ndarray, target_start: np.ndarray, target: np.ndarray, mark: np.ndarray
) -> np.ndarray:
    """Return which sources of each set are targets of it, too; `mark` has −1 for each group."""
    own = np.zeros(source.size, np.bool_)
    for this in range(source_start.size - 1):
        for k in range(target_start[this], target_start[this + 1]):
            mark[target[k]] = this
        for k in range(source_start[this], source_start[this + 1]):
            own[k] = mark[source[k]] == this
    return own


@compiled
def index_of_core(cores: np.ndarray, start: int, length: int, core: int) -> int:
    """Return the index of a core in `cores[start:start + length]`, counted from 0 of `cores`; −1 if it is not there."""
    for k in range(start, start + length):
        if cores[k] == core:
            return k
    return -1


@compiled
def _hit(state: State, this: int, core: int) -> int:
    """Return the index of a core in the list of those that hold targets of a set, or −1."""
    return index_of_core(state.hit_core, state.hit_start[this], state.hit_length[this], core)


@compiled
def _fed(state: State, this: int, core: int) -> int:
    """Return the spikes of the sources of a set that are on a core."""
    at = index_of_core(state.fed_core, state.fed_start[this], state.fed_length[this], core)
    return 0 if at < 0 else state.fed_weight[at]


@compiled
def _hit_more(net: Contracted, state: State, this: int, core: int) -> None:
    at = _hit(state, this, core)
    if at < 0:
        at = state.hit_start[this] + state.hit_length[this]
        state.hit_length[this] += 1
        state.hit_core[at], state.hit_count[at] = core, 0
        state.load[core, 1] += net.axons[this]
    state.hit_count[at] += 1


@compiled
def _hit_less(net: Contracted, state: State, this: int, core: int) -> None:
    at = _hit(state, this, core)
    state.hit_count[at] -= 1
    if state.hit_count[at] == 0:
        state.hit_length[this] -= 1
        last = state.hit_start[this] + state.hit_length[this]
        state.hit_core[at], state.hit_count[at] = state.hit_core[last], state.hit_count[last]
        state.load[core, 1] -= net.axons[this]


@compiled
def _feed_more(state: State, this: int, core: int, weight: int) -> None:
    at = index_of_core(state.fed_core, state.fed_start[this], state.fed_length[this], core)
    if at < 0:
        at = state.fed_start[this] + state.fed_length[this]
        state.fed_length[this] += 1
        state.fed_core[at], state.fed_count[at], state.fed_weight[at] = core, 0, 0
    state.fed_count[at] += 1
    state.fed_weight[at] += weight


@compiled
def _feed_less(state: State, this: int, core: int, weight: int) -> None:
    at = index_of_core(state.fed_core, state.fed_start[this], state.fed_length[this], core)
    state.fed_count[at] -= 1
    state.fed_weight[at] -= weight
    if state.fed_count[at] == 0:
        state.fed_length[this] -= 1
        last = state.fed_start[this] + state.fed_length[this]
        state.fed_core[at], state.fed_count[at] = state.fed_core[last], state.fed_count[last]
        state.fed_weight[at] = state.fed_weight[last]


@compiled
def _put(net: Contracted, state: State, group: int, core: int) -> None:
    state.core[group] = core
    state.load[core, 0] += net.neurons[group]
    state.load[core, 2] += net.synapses[group]
    state.slot[group] = state.size[core]
    state.member[state.member_start[core] + state.size[core]] = group
    state.size[core] += 1
    for k in range(net.into_start[group], net.into_start[group + 1]):
        _hit_more(net, state, net.into[k], core)
    for k in range(net.from_start[group], net.from_start[group + 1]):
        _feed_more(state, net.from_set[k], core, net.from_weight[k])


@compiled
def _take(net: Contracted, state: State, group: int) -> None:
    core = state.core[group]
    state.load[core, 0] -= net.neurons[group]
    state.load[core, 2] -= net.synapses[group]
    state.size[core] -= 1
    last = state.member[state.member_start[core] + state.size[core]]
    state.member[state.member_start[core] + state.slot[group]] = last
    state.slot[last] = state.slot[group]
    for k in range(net.into_start[group], net.into_start[group + 1]):
        _hit_less(net, state, net.into[k], core)
    for k in range(net.from_start[group], net.from_start[group + 1]):
        _feed_less(state, net.from_set[k], core, net.from_weight[k])


@compiled
def put_all(net: Contracted, state: State, core: np.ndarray) -> None:
    """Put every group on its core; `state` is empty."""
    for group in range(core.size):
        _put(net, state, group, core[group])


@compiled
def move(net: Contracted, state: State, group: int, core: int) -> None:
    """Move a group to a core."""
    _take(net, state, group)
    _put(net, state, group, core)


@compiled
def cost_of(net: Contracted, state: State) -> int:
    """Return the spikes between cores, over all samples."""
    cost = 0
    for this in range(net.total.size):
        cost += net.total[this] * state.hit_length[this]
        for k in range(state.hit_start[this], state.hit_start[this] + state.hit_length[this]):
            cost -= _fed(state, this, state.hit_core[k])
    return cost


@compiled
def move_change(net: Contracted, state: State, group: int, core: int) -> Tuple[int, int, int]:
    """Return the change of the cost, of the axons of the old core, and of the axons of the new core, by a move."""
    here, cost, left, found = state.core[group], 0, 0, 0
    for k in range(net.into_start[group], net.into_start[group + 1]):
        this = net.into[k]
        if state.hit_count[_hit(state, this, here)] == 1:
            cost -= net.total[this] - _fed(state, this, here)
            left -= net.axons[this]
        if _hit(state, this, core) < 0:
            cost += net.total[this] - _fed(state, this, core)
            found += net.axons[this]
    for k in range(net.from_start[group], net.from_start[group + 1]):
        this, weight = net.from_set[k], net.from_weight[k]
        if net.from_own[k]:  # its own targets move too
            if state.hit_count[_hit(state, this, here)] == 1:
                cost -= weight
            continue
        if _hit(state, this, here) >= 0:
            cost += weight
        if _hit(state, this, core) >= 0:
            cost -= weight
    return cost, left, found


@compiled
def _excess(load: np.ndarray, limits: np.ndarray, core: int, neurons: int, axons: int, synapses: int) -> float:
    """Return the sum of (load / limit − 1) over the limits that a core exceeds, with the given load added to it."""
    over = max(load[core, 0] + neurons - limits[0], 0) / limits[0]
    over += max(load[core, 1] + axons - limits[1], 0) / limits[1]
    return over + max(load[core, 2] + synapses - limits[2], 0) / limits[2]


@compiled
def _meet(seen: np.ndarray, touched: np.ndarray, count: int, core: int) -> int:
    """Append a core to a list unless it is there; return the new length."""
    if not seen[core]:
        seen[core] = True
        touched[count] = core
        count += 1
    return count


@compiled
def _gather(
    net: Contracted,
    state: State,
    group: int,
    gain: np.ndarray,
    shared: np.ndarray,
    seen: np.ndarray,
    touched: np.ndarray,
    count: int,
) -> Tuple[int, int, int, int, int]:
    """Sum up what a group would save on each core that holds a neighbour of it, and the axons that exist there.

    Return the number of cores in `touched`; the cost of the group on a core without neighbours, and on its core; and
    the axons that it needs, and those of them that no other group of its core needs.
    """
    here, stay, base, axons, freed = state.core[group], 0, 0, 0, 0
    for k in range(net.into_start[group], net.into_start[group + 1]):
        this = net.into[k]
        weight = net.total[this]
        base += weight
        axons += net.axons[this]
        alone = False
        for at in range(state.hit_start[this], state.hit_start[this] + state.hit_length[this]):
            core = state.hit_core[at]
            count = _meet(seen, touched, count, core)
            gain[core] += weight
            shared[core] += net.axons[this]
            alone |= core == here and state.hit_count[at] == 1
        if alone:
            stay += weight
            freed += net.axons[this]
        for at in range(state.fed_start[this], state.fed_start[this] + state.fed_length[this]):
            core, spikes = state.fed_core[at], state.fed_weight[at]
            if core == here:
                if alone:
                    stay -= spikes
                continue
            if index_of_core(state.hit_core, state.hit_start[this], state.hit_length[this], core) < 0:
                count = _meet(seen, touched, count, core)
                gain[core] += spikes
    for k in range(net.from_start[group], net.from_start[group + 1]):
        this = net.from_set[k]
        if net.from_own[k]:  # its own targets move too
            if state.hit_count[index_of_core(state.hit_core, state.hit_start[this], state.hit_length[this], here)] == 1:
                stay += net.from_weight[k]
            continue
        for at in range(state.hit_start[this], state.hit_start[this] + state.hit_length[this]):
            core = state.hit_core[at]
            count = _meet(seen, touched, count, core)
            gain[core] += net.from_weight[k]
            if core == here:
                stay -= net.from_weight[k]
    return count, base, stay, axons, freed


@compiled
def descend_moves(
    net: Contracted,
    state: State,
    limits: np.ndarray,
    order: np.ndarray,
    gain: np.ndarray,
    shared: np.ndarray,
    mending: int,
) -> int:
    """Move each group to the core that lowers the cost most within the limits. Return the change of the cost.

    When mending, only groups on overfull cores move, also if that raises the cost, and to the core with the fewest
    neurons if no core with a neighbour takes them.

    Parameters
    ----------
    gain, shared : (cores,) int64 array; zeros
    mending : 0: no mending. 1: if axons exceed their limit, only groups with axons that no other group of their core
        needs. 2: all groups.
    """
    total = 0
    touched = np.empty(gain.size, np.int64)
    seen = np.zeros(gain.size, np.bool_)
    for group in order:
        here, count = state.core[group], 0
        if mending > 0:
            if _excess(state.load, limits, here, 0, 0, 0) == 0:
                continue
            count = _meet(seen, touched, count, np.argmin(state.load[:, 0]))  # type: ignore[arg-type]
        count, base, stay, axons, freed = _gather(net, state, group, gain, shared, seen, touched, count)
        best, best_core = 0, -1
        if mending > 1 or (mending > 0 and (freed > 0 or state.load[here, 1] <= limits[1])):
            best = np.iinfo(np.int64).max
        for i in range(count):
            core = touched[i]
            if core != here:
                added = base - gain[core] - stay
                more = net.neurons[group], axons - shared[core], net.synapses[group]
                if added < best and _excess(state.load, limits, core, *more) == 0:
                    best, best_core = added, core
            gain[core] = shared[core] = 0
            seen[core] = False
        if best_core >= 0:
            move(net, state, group, best_core)
            total += best
    return total


@compiled
def _neighbour(net: Contracted, state: State, random: np.ndarray, group: int) -> int:
    """Draw a core that holds a target or a source of a set of the group; one time in 64 any core."""
    into = net.into_start[group + 1] - net.into_start[group]
    out = net.from_start[group + 1] - net.from_start[group]
    cores = state.size.size
    if into + out == 0 or draw_below(random, 64) == 0:
        return draw_below(random, cores)
    if out == 0 or (into > 0 and draw_below(random, 2) == 0):
        this = net.into[net.into_start[group] + draw_below(random, into)]
        if state.fed_length[this] and draw_below(random, 2) == 0:
            return state.fed_core[state.fed_start[this] + draw_below(random, state.fed_length[this])]
    else:
        this = net.from_set[net.from_start[group] + draw_below(random, out)]
    return state.hit_core[state.hit_start[this] + draw_below(random, state.hit_length[this])]


@compiled
def _accepts(added: float, temperature: float, random: np.ndarray) -> bool:
    if added <= 0:
        return True
    if temperature <= 0 or added > 30 * temperature:
        return False
    return draw_below(random, 1 << 30) < np.exp(-added / temperature) * (1 << 30)


@compiled
def anneal_moves(
    net: Contracted,
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
        group = draw_below(random, state.core.size)
        here, core = state.core[group], _neighbour(net, state, random, group)
        if core == here or state.size[core] == state.member_start[core + 1] - state.member_start[core]:
            continue
        neurons, synapses = net.neurons[group], net.synapses[group]
        added, left, found = move_change(net, state, group, core)
        before = _excess(state.load, limits, core, 0, 0, 0) + _excess(state.load, limits, here, 0, 0, 0)
        over = _excess(state.load, limits, core, neurons, found, synapses) - before
        over += _excess(state.load, limits, here, -neurons, left, -synapses)
        if _accepts(added + penalty * over, temperature, random):
            move(net, state, group, core)
            total += added
        elif over > 0 and added < 8 * temperature and state.size[core] > 0:
            other = state.member[state.member_start[core] + draw_below(random, state.size[core])]
            move(net, state, group, core)
            back, _, _ = move_change(net, state, other, here)
            move(net, state, other, here)
            over = _excess(state.load, limits, core, 0, 0, 0) + _excess(state.load, limits, here, 0, 0, 0) - before
            if _accepts(added + back + penalty * over, temperature, random):
                total += added + back
            else:
                move(net, state, other, core)
                move(net, state, group, here)
    return total
