"""Compiled loops that move groups between cores, with exact changes of the cost. Importing this module imports numba.

A move changes two terms of the cost. The spikes of a set that reaches the group count for each core that holds a target
of the set, except spikes of sources on that core. The spikes of the group count for each core that holds a target of
its sets, except the core of the group.
"""

from typing import NamedTuple, Tuple

import numpy as np

from snnb.core.compiled import compiled
from snnb.mapping.reach import Contracted


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
