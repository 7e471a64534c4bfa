"""Compiled loops of the refinement: moves of groups between cores.

Changes of the cost are exact, see state.py. Importing this module imports numba.
"""

from typing import NamedTuple

import numpy as np

from snnb.core.compiled import compiled, inlined
from snnb.mapping.partition.state import (
    MoveChange,
    State,
    find_move_change,
    find_target_core,
    move_group,
)
from snnb.mapping.xorshift import draw_below

LARGEST = np.iinfo(np.int64).max
# Trials of an annealing, of which one draws any core, not one of a neighbour. It is no
# setting, since a division by a variable takes 20 % of the time of an annealing
# (lenet_t100)
TRIALS_PER_RANDOM_CORE = np.int64(64)
# Which groups of overfull cores a pass moves even if that raises the cost
NO_MENDING = 0
MEND_USEFUL_GROUPS = 1  # if axons exceed their limit, groups whose move frees axons
MEND_ALL_GROUPS = 2
# What a group would save on a core with neighbours, and the axons that exist there; and
# record i has the i-th core of the list of cores with neighbours
SURVEY = np.dtype(
    [("saving", "i8"), ("axons", "i8"), ("is_listed", "i8"), ("core", "i8")],
)


def new_survey(cores: int) -> np.ndarray:
    """Return the buffer of `descend_moves`: SURVEY (cores,), zeros."""
    return np.zeros(cores, SURVEY)


class Annealing(NamedTuple):
    """Parameters of an annealing; costs are spikes over all samples."""

    hottest: float  # temperature at the first trial
    coldest: float  # and at the last
    penalty: float  # an exceeded limit costs penalty × (load / limit − 1)
    max_increase_to_exchange: float  # see `SearchSettings`


@inlined
def _excess(limits: np.ndarray, neurons: int, axons: int, synapses: int) -> float:
    """Return the sum of (load / limit − 1) over the limits that a load exceeds.

    `limits`, int64, are those of neurons, axons and synapses.
    """
    excess = max(neurons - limits[0], 0) / limits[0]
    excess += max(axons - limits[1], 0) / limits[1]
    return excess + max(synapses - limits[2], 0) / limits[2]


@inlined
def _core_excess(state: State, limits: np.ndarray, core: int) -> float:
    """Return the excess of a core."""
    load = state.cores[core]
    return _excess(limits, load.neurons, load.axons, load.synapses)


@inlined
def _excess_change(
    state: State,
    limits: np.ndarray,
    group: int,
    core: int,
    change: MoveChange,
    excess_before: float,
) -> float:
    """Return the excess of old and new core after a move, minus `excess_before`.

    `change` is what the move of the group to the new core changes.
    """
    record = state.groups[group]
    old_load = state.cores[np.int64(record.core)]
    new_load = state.cores[core]
    neurons = record.neurons
    synapses = record.synapses
    new_excess = _excess(
        limits,
        new_load.neurons + neurons,
        new_load.axons + change.new_axons,
        new_load.synapses + synapses,
    )
    old_excess = _excess(
        limits,
        old_load.neurons - neurons,
        old_load.axons + change.old_axons,
        old_load.synapses - synapses,
    )
    return new_excess - excess_before + old_excess


@inlined
def _list_core(survey: np.ndarray, count: int, core: int) -> int:
    """Append a core to the list unless it is there; return the new length."""
    if not survey[core].is_listed:
        survey[core].is_listed = True
        survey[count].core = core
        count += 1
    return count


class GroupCost(NamedTuple):
    """The cost of a group on cores, as far as it is the same for all of them."""

    n_listed: int  # length of the list of cores with neighbours
    new_cost: int  # cost on a core without neighbours
    old_cost: int  # cost on its core
    axons: int  # that it needs
    freed_axons: int  # of these, those that no other group of its core needs


@inlined
def _survey_cores(
    state: State,
    group: int,
    survey: np.ndarray,
    count: int,
) -> GroupCost:
    """Sum up what a group would save on each core that holds a neighbour of it.

    Also sum up the axons that exist there. `survey` has `count` cores in its list, and
    receives both.
    """
    old_core = np.int64(state.groups[group].core)
    old_cost = 0
    new_cost = 0
    axons = 0
    freed_axons = 0
    for k in range(state.groups[group].into, state.groups[group + 1].into):
        target_set = state.sets[state.into[k]]
        new_cost += target_set.total
        axons += target_set.axons
        is_last = False  # whether the group is the last target on its core
        begin = target_set.first_target_core
        for index in range(begin, begin + target_set.n_target_cores):
            core = np.int64(state.target_cores[index].core)
            count = _list_core(survey, count, core)
            survey[core].saving += target_set.total
            survey[core].axons += target_set.axons
            is_last |= core == old_core and state.target_cores[index].count == 1
        if is_last:
            old_cost += target_set.total
            freed_axons += target_set.axons
        begin = target_set.first_source_core
        for index in range(begin, begin + target_set.n_source_cores):
            core = np.int64(state.source_cores[index].core)
            spikes = state.source_cores[index].weight
            if core == old_core:
                if is_last:
                    old_cost -= spikes
                continue
            if find_target_core(state.target_cores, target_set, core) < 0:
                count = _list_core(survey, count, core)
                survey[core].saving += spikes
    for k in range(state.groups[group].out, state.groups[group + 1].out):
        target_set = state.sets[state.from_set[k]]
        if state.from_is_target[k]:  # its own targets move too
            index = find_target_core(state.target_cores, target_set, old_core)
            if state.target_cores[index].count == 1:
                old_cost += state.from_weight[k]
            continue
        begin = target_set.first_target_core
        for index in range(begin, begin + target_set.n_target_cores):
            core = np.int64(state.target_cores[index].core)
            count = _list_core(survey, count, core)
            survey[core].saving += state.from_weight[k]
            if core == old_core:
                old_cost -= state.from_weight[k]
    return GroupCost(count, new_cost, old_cost, axons, freed_axons)


@inlined
def _find_emptiest_core(cores: np.ndarray) -> int:
    """Return the first of the cores (CORE records) with the fewest neurons."""
    emptiest = 0
    for core in range(1, cores.size):
        if cores[core].neurons < cores[emptiest].neurons:
            emptiest = core
    return emptiest


@compiled
def descend_moves(
    state: State,
    limits: np.ndarray,
    order: np.ndarray,
    survey: np.ndarray,
    mending: int,
) -> int:
    """Move each group to the core that lowers the cost most within the limits.

    When mending, only groups on overfull cores move, also if that raises the cost, and
    to the core with the fewest neurons if no core with a neighbour takes them. Return
    the change of the cost.

    Parameters
    ----------
    limits : (3,) int64 array
        Maximum of neurons, axons and synapses of a core.
    order : (groups,) int64 array
        The groups in the order in which they are tried.
    survey : (cores,) array of SURVEY
        A buffer of zeros, see `new_survey`; zeros again afterwards.
    mending : {NO_MENDING, MEND_USEFUL_GROUPS, MEND_ALL_GROUPS}
        Which groups of overfull cores move in any case.
    """
    total = 0
    for group in order:
        old_core = np.int64(state.groups[group].core)
        count = np.int64(0)
        if mending != NO_MENDING:
            if _core_excess(state, limits, old_core) == 0:
                continue
            emptiest = _find_emptiest_core(state.cores)
            count = _list_core(survey, count, np.int64(emptiest))
        cost = _survey_cores(state, group, survey, count)
        best_change = 0
        best_core = np.int64(-1)
        is_useful = cost.freed_axons > 0 or state.cores[old_core].axons <= limits[1]
        if mending == MEND_ALL_GROUPS or (mending == MEND_USEFUL_GROUPS and is_useful):
            best_change = LARGEST
        for i in range(cost.n_listed):
            core = survey[i].core
            if core != old_core:
                change = cost.new_cost - survey[core].saving - cost.old_cost
                if change < best_change:
                    load = state.cores[core]
                    record = state.groups[group]
                    excess = _excess(
                        limits,
                        load.neurons + record.neurons,
                        load.axons + cost.axons - survey[core].axons,
                        load.synapses + record.synapses,
                    )
                    if excess == 0:
                        best_change = change
                        best_core = core
            survey[core].saving = 0
            survey[core].axons = 0
            survey[core].is_listed = 0
        if best_core >= 0:
            move_group(state, group, best_core)
            total += best_change
    return total


@inlined
def _draw_neighbour(state: State, random: np.ndarray, group: int) -> int:
    """Draw a core that holds a target or a source of a set of the group.

    Sometimes draw any core.
    """
    record = state.groups[group]
    next_record = state.groups[group + 1]
    n_into = next_record.into - record.into
    n_out = next_record.out - record.out
    if n_into + n_out == 0 or draw_below(random, TRIALS_PER_RANDOM_CORE) == 0:
        return draw_below(random, state.cores.size)
    if n_out == 0 or (n_into > 0 and draw_below(random, np.int64(2)) == 0):
        target_set = state.sets[state.into[record.into + draw_below(random, n_into)]]
        if target_set.n_source_cores and draw_below(random, np.int64(2)) == 0:
            n_cores = np.int64(target_set.n_source_cores)
            index = target_set.first_source_core + draw_below(random, n_cores)
            return state.source_cores[index].core
    else:
        target_set = state.sets[state.from_set[record.out + draw_below(random, n_out)]]
    n_cores = np.int64(target_set.n_target_cores)
    index = target_set.first_target_core + draw_below(random, n_cores)
    return state.target_cores[index].core


@inlined
def _accepts(increase: float, temperature: float, random: np.ndarray) -> bool:
    """Draw whether to accept an increase of the cost.

    Beyond 30 temperatures exp(−30) is less than the resolution of the random numbers.
    """
    if increase <= 0:
        return True
    if temperature <= 0 or increase > 30 * temperature:
        return False
    probability = np.exp(-increase / temperature)
    return draw_below(random, np.int64(1 << 30)) < probability * (1 << 30)


@compiled
def anneal_moves(
    state: State,
    limits: np.ndarray,
    random: np.ndarray,
    trials: int,
    annealing: Annealing,
) -> int:
    """Try moves and exchanges; return the change of the cost.

    An increase of the cost is accepted with probability exp(−increase / temperature).
    A move that exceeds a limit is tried as an exchange with a group of the new core.

    Parameters
    ----------
    limits : (3,) int64 array
        Maximum of neurons, axons and synapses of a core.
    random : (1,) uint64 array
        State of the random numbers, not 0; updated.
    trials : int
        Number of trials, during which the temperature falls.
    """
    total = 0
    temperature = annealing.hottest
    penalty = annealing.penalty
    cooling = 1.0
    if temperature > 0:
        cooling = (annealing.coldest / temperature) ** (1.0 / max(trials, 1))
    for _ in range(trials):
        temperature *= cooling
        group = draw_below(random, state.groups.size - 1)
        old_core = np.int64(state.groups[group].core)
        core = _draw_neighbour(state, random, group)
        load = state.cores[core]
        if core == old_core or load.size == state.member.shape[1]:
            continue
        move = find_move_change(state, group, core)
        excess_before = _core_excess(state, limits, core)
        excess_before += _core_excess(state, limits, old_core)
        excess = _excess_change(state, limits, group, core, move, excess_before)
        if _accepts(move.cost + penalty * excess, temperature, random):
            move_group(state, group, core)
            total += move.cost
        elif (
            excess > 0
            and move.cost < annealing.max_increase_to_exchange * temperature
            and load.size > 0
            # Cores of one group each would only exchange their numbers
            and load.size + state.cores[old_core].size > 2
        ):
            index = draw_below(random, load.size)
            other_group = np.int64(state.member[core, index])
            move_group(state, group, core)
            move_back = find_move_change(state, other_group, old_core)
            excess = _excess_change(
                state,
                limits,
                other_group,
                old_core,
                move_back,
                excess_before,
            )
            cost = move.cost + move_back.cost
            if _accepts(cost + penalty * excess, temperature, random):
                move_group(state, other_group, old_core)
                total += cost
            else:
                move_group(state, group, old_core)
    return total
