"""Compiled loop that fills cores in order. Importing this module imports numba."""

import numpy as np

from snnb.core.compiled import compiled


@compiled
def _newly_seen(source: np.ndarray, seen: np.ndarray, core: int) -> int:
    """Count the sources without a mark of the core, and mark them."""
    new = 0
    for s in source:
        if seen[s] != core:
            seen[s] = core
            new += 1
    return new


@compiled
def fill_cores(
    state: np.ndarray,
    limits: np.ndarray,
    filters: int,
    position_start: np.ndarray,
    position_source: np.ndarray,
    neuron_start: np.ndarray,
    neuron_source: np.ndarray,
    synapses: np.ndarray,
    seen: np.ndarray,
    core: np.ndarray,
) -> None:
    """Place neurons one by one; start a new core when a limit would be exceeded.

    Parameters
    ----------
    state : (4,) int64 array; current core, and its neurons, axons and synapses; updated
    limits : (3,) int64 array; maximum of neurons, axons and synapses of a core
    filters : number of neurons at a position; the first neuron is the first of its position
    position_start, position_source : ndarray; offsets and sources shared by all neurons at a position
    neuron_start, neuron_source : ndarray; offsets and further sources of each neuron
    synapses : (neurons,) int64 array
    seen : (nodes,) int32 array; the last core with an axon for each source; updated
    core : (neurons,) int32 array; output
    """
    shared = -1  # the position whose sources are all seen
    for neuron in range(core.size):
        position = neuron // filters
        at_position = position_source[position_start[position] : position_start[position + 1]]
        own = neuron_source[neuron_start[neuron] : neuron_start[neuron + 1]]
        new = _newly_seen(own, seen, state[0])
        if position != shared:
            new += _newly_seen(at_position, seen, state[0])
        full = state[1] == limits[0] or state[2] + new > limits[1] or state[3] + synapses[neuron] > limits[2]
        if full and state[1]:
            state[0] += 1
            state[1:] = 0
            new = _newly_seen(own, seen, state[0]) + _newly_seen(at_position, seen, state[0])
        shared = position
        core[neuron] = state[0]
        state[1] += 1
        state[2] += new
        state[3] += synapses[neuron]
