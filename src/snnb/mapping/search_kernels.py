"""Compiled loops that improve a mapping of groups: descent and annealing. Importing this module imports numba."""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled
from snnb.mapping.moves import State, index_of_core, move, move_change
from snnb.mapping.random_numbers import draw_below
from snnb.mapping.reach import Contracted


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
