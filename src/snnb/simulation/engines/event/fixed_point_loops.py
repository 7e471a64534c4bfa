"""The compiled loop of a population of fixed-point neurons (Lava, Loihi 2).

Their arithmetic is that of `snnb.network.neuron.Neuron`. Weights are summed as in
`compiled_loops.simulate_weighted`. All numbers are float64, which holds them exactly.
"""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled, inner
from snnb.network.neuron import CURRENT_LIMIT, FRACTION, SUM_LIMIT
from snnb.simulation.engines.event.compiled_loops import (
    add_spike_counts,
    add_spikes,
    count_differences,
    set_currents,
)
from snnb.simulation.engines.event.loop_arrays import (
    WORD_SIZE,
    WORD_VECTORS,
    Neurons,
    ProjectionTable,
)
from snnb.simulation.engines.event.vectors import (
    clip,
    find_reached,
    load,
    round_down,
    select,
    store,
    truncate,
    wrap,
    wrap_once,
)

POTENTIAL_LIMIT = CURRENT_LIMIT - 1 / FRACTION  # in magnitude


@compiled
def simulate_fixed_point(
    sources: Tuple[np.ndarray, ...],
    tables: Tuple[ProjectionTable, ...],
    neurons: Neurons,
    bits: np.ndarray,
    rounds_sums: bool,
    currents: np.ndarray,
    spike_list: np.ndarray,
) -> None:
    """Simulate some steps of a population of fixed-point neurons.

    All `sources` are spikes: an input that changes from step to step is one too. The
    constant current of `neurons` is whole, and includes the bias, so that their
    parameter `bias` is not read. `rounds_sums` states whether the sum of each
    projection is rounded down before it is added; the sum of all is rounded down
    anyway. See `simulate_weighted` for the other arguments.
    """
    size = neurons.state.potential.shape[1]
    changes = currents.size > 0
    chunk_steps = (currents.size - WORD_SIZE) // size if changes else bits.shape[1]
    last_current = neurons.constant_current.shape[0] - 1
    for sample in range(bits.shape[0]):
        constant_current = neurons.constant_current[min(sample, last_current)]
        for start in range(0, bits.shape[1], chunk_steps):
            end = min(start + chunk_steps, bits.shape[1])
            steps = end - start
            if changes:
                set_currents(currents, constant_current, steps, size)
                for i in range(len(tables)):
                    spikes = sources[i][sample, start:end]
                    add_spikes(spikes, currents, size, tables[i], spike_list)
                    if rounds_sums:
                        _round_sums_down(currents, steps * size)
            total = currents if changes else constant_current
            stride = size if changes else 0
            _simulate_neurons(
                neurons, sample, total, stride, steps, start, bits[sample]
            )
        add_spike_counts(neurons.state.spike_counts[sample], bits[sample])


@inner
def _round_sums_down(currents: np.ndarray, size: int) -> None:
    """Round the first `size` currents down to whole numbers, in place.

    `size` is a multiple of `WORD_SIZE`.
    """
    for i in range(0, size, WORD_SIZE):
        store(currents, i, round_down(load(currents, i, WORD_VECTORS)))


@inner
def _simulate_neurons(
    neurons: Neurons,
    sample: int,
    currents: np.ndarray,
    stride: int,
    steps: int,
    start: int,
    bits: np.ndarray,
) -> None:
    """Simulate some steps of a sample; see `compiled_loops.simulate_neurons`.

    `currents` are the sums of a step before they are rounded down and wrap around. They
    include the bias. The trace is the potential after the reset.
    """
    parameters = neurons.parameters
    potential = neurons.state.potential[sample]
    synaptic_current = neurons.state.synaptic_current[sample]
    trace = neurons.trace[sample]
    traced_neurons = trace.shape[1]
    word_values = np.empty(WORD_SIZE, potential.dtype)
    # The engine counts the updates in the first step of a sample.
    counted_step = 1 if neurons.starts_samples and start == 0 else 0
    updates = 0
    for word in range(bits.shape[1]):
        first_neuron = word * WORD_SIZE
        thresholds = load(parameters.threshold, first_neuron, WORD_VECTORS)
        resets = load(parameters.reset, first_neuron, WORD_VECTORS)
        leak_rate = load(parameters.leak_rate, first_neuron, WORD_VECTORS)
        offset = load(parameters.offset, first_neuron, WORD_VECTORS)
        current_leak_rate = load(
            parameters.current_leak_rate, first_neuron, WORD_VECTORS
        )
        values = load(potential, first_neuron, WORD_VECTORS)
        synaptic = load(synaptic_current, first_neuron, WORD_VECTORS)
        for step in range(steps):
            current = load(currents, step * stride + first_neuron, WORD_VECTORS)
            current = wrap(round_down(current), SUM_LIMIT)
            synaptic = truncate(synaptic - current_leak_rate * synaptic, FRACTION)
            synaptic = wrap_once(synaptic + current, CURRENT_LIMIT)
            values_before = values
            values = truncate(values - leak_rate * values, FRACTION)
            values = clip(values + synaptic + offset, POTENTIAL_LIMIT)
            spikes = find_reached(values, thresholds)
            bits[start + step, word] = spikes
            values = select(spikes, resets, values)
            if step >= counted_step:
                updates += count_differences(values_before, values)
            if traced_neurons > first_neuron:
                store(word_values, 0, values)
                for i in range(min(WORD_SIZE, traced_neurons - first_neuron)):
                    trace[start + step, first_neuron + i] = word_values[i]
        store(potential, first_neuron, values)
        store(synaptic_current, first_neuron, synaptic)
    neurons.state.update_count[sample, 0] += updates
