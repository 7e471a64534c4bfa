"""The compiled loops of populations: lists of spikes, currents, and neurons.

`simulate_weighted` simulates a population whose current is a sum of weights. It
computes the currents of some steps, one projection after the other, and then the
neurons in these steps. `simulate_largest_count` and `simulate_leading_input` simulate
the two kinds of max pooling. Each does all samples of a call one after the other,
without Python between them. `loop_arrays` describes the arguments.

Weights are added only where there are spikes. The spikes of a step are listed in rising
order, so that a neuron's inputs arrive in their order. Its current is a sequential sum,
which stays in registers while weights are added (see `vectors`). The form of a table
(`ProjectionTable`) decides how they are added:

- `WindowTable`, for many filters: the rows of weights that a window reads are summed in
  registers before they are stored; a block of rows stays in the cache while all windows
  of some steps are computed.
- `RunTable`, for few filters: the weights of a position's spikes in all windows of a
  run are added together.
- `ArrivalTable`, where a filter reads one or few channels: the currents of 64 neurons
  are updated together, and the bits of a word select which of them change.

Constant input, and the spike counts of separated firing, are values of all neurons at
once: `add_dense_values` and `add_channel_values` multiply weights by them, window by
window, in the same order.

Currents of several steps are one flat array, in which those of step i begin at i ×
stride; `current_start` is this index of a step. Loads and stores are of whole vectors,
so that they also reach numbers behind the neurons that are meant: these are read and
written back unchanged, or are currents of neurons that do not exist.
"""

from typing import Optional, Tuple

import numpy as np

from snnb.core.compiled import compiled, inlined, inner
from snnb.simulation.engines.event.loop_arrays import (
    BY_NEURON,
    GROUP_WIDTHS,
    LANES,
    ONE_ARRIVAL,
    RUN_FORM,
    SAME_NEURON,
    SPARE_ENTRIES,
    VECTOR_SIZE,
    WINDOW_FORM,
    WORD_SIZE,
    WORD_VECTORS,
    ArrivalTable,
    ChannelTapTable,
    DenseTapTable,
    InputEntries,
    Neurons,
    PoolingState,
    ProjectionTable,
    RunTable,
    SeparatedParameters,
    WindowTable,
)
from snnb.simulation.engines.event.vectors import (
    add_scaled,
    count_bits,
    element,
    find_reached,
    increment,
    load,
    lowest_bit,
    multiply_add,
    select,
    store,
)

ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
WORD_SHIFT = 6  # neuron >> 6 is the word of a neuron; a division takes longer


# Spikes


@inner
def list_spikes(bits: np.ndarray, spike_list: np.ndarray, begin: int) -> int:
    """Write the neurons that spike in a step to `spike_list`, in rising order.

    `bits` is uint64 (words,), and `spike_list` int32. The list begins at the index
    `begin`; return the index after its end. There must be room for all neurons and
    `SPARE_ENTRIES` more.
    """
    for word in range(bits.size):
        bits_left = bits[word]
        if bits_left:
            end = begin + count_bits(bits_left)
            first_neuron = word * WORD_SIZE
            # A processor predicts the end of this loop better than that of a loop that
            # ends after the last bit.
            for i in range(SPARE_ENTRIES):
                spike_list[begin + i] = first_neuron + lowest_bit(bits_left)
                bits_left &= bits_left - np.uint64(1)
            begin += SPARE_ENTRIES
            while bits_left:
                spike_list[begin] = first_neuron + lowest_bit(bits_left)
                bits_left &= bits_left - np.uint64(1)
                begin += 1
            begin = end
    return begin


@inner
def find_list_starts(
    bits: np.ndarray,
    bounds: np.ndarray,
    starts: np.ndarray,
    begin: int,
) -> None:
    """Find where units of neurons begin in the list of the spikes of a step.

    Unit u has the neurons bounds[u] to before bounds[u + 1]; its spikes are the entries
    starts[u] to before starts[u + 1] of the list, which begins at `begin`. Neurons 1, 2
    and 5 that spike, the bounds 0, 2, 4, 6, and `begin` 0 give the starts 0, 1, 2, 3.
    """
    word = 0
    for i in range(bounds.size):
        bound = bounds[i]
        while (word + 1) * WORD_SIZE <= bound:
            begin += count_bits(bits[word])
            word += 1
        rest = bound - word * WORD_SIZE
        starts[i] = begin
        if rest:
            bits_before = (np.uint64(1) << np.uint64(rest)) - np.uint64(1)
            starts[i] = begin + count_bits(bits[word] & bits_before)


@inlined
def set_spike(bits: np.ndarray, neuron: int) -> None:
    """Set the bit of a neuron in the spikes of a step, uint64 (words,)."""
    bits[neuron // WORD_SIZE] |= np.uint64(1) << np.uint64(neuron % WORD_SIZE)


@compiled
def renumber_spikes(
    bits: np.ndarray,
    numbers: np.ndarray,
    renumbered_bits: np.ndarray,
    spike_list: np.ndarray,
) -> None:
    """Add the spikes `bits` to `renumbered_bits`, those of neuron i to numbers[i].

    Both spikes are uint64 (samples, steps, words), with their own words, and `numbers`
    is int32 (neurons,). A neuron whose number is negative is left out. `spike_list` is
    a buffer for all neurons and `SPARE_ENTRIES` more.
    """
    for sample in range(bits.shape[0]):
        for step in range(bits.shape[1]):
            end = list_spikes(bits[sample, step], spike_list, np.int64(0))
            for i in range(end):
                number = numbers[spike_list[i]]
                if number >= 0:
                    set_spike(renumbered_bits[sample, step], number)


@compiled
def count_spikes(bits: np.ndarray, begin: int, end: int) -> int:
    """Count the spikes of all samples and neurons in steps `begin` to before `end`."""
    count = 0
    for sample in range(bits.shape[0]):
        for step in range(begin, end):
            for word in range(bits.shape[2]):
                count += count_bits(bits[sample, step, word])
    return count


@inner
def add_spike_counts(counts: np.ndarray, bits: np.ndarray) -> None:
    """Add the spikes of a sample to `counts`, int32 (neurons,).

    The spikes are uint64 (steps, words).
    """
    for word in range(bits.shape[1]):
        for step in range(bits.shape[0]):
            increment(counts, word * WORD_SIZE, bits[step, word])


# Neurons


@inner
def simulate_neurons(
    neurons: Neurons,
    sample: int,
    currents: np.ndarray,
    stride: int,
    steps: int,
    start: int,
    bits: np.ndarray,
) -> None:
    """Simulate some steps of a sample, given the current of each without the bias.

    The first of the `steps` is step `start` of the call. `bits`, uint64 (steps of the
    call, words), are the spikes of the sample, of which those of the steps are written.
    If all steps have the same currents, `stride` is 0.
    """
    if neurons.parameters.leak_rate.size:
        _simulate_leaky(neurons, sample, currents, stride, steps, start, bits)
        return
    trace = neurons.trace[sample]
    bias = neurons.parameters.bias
    for step in range(steps if trace.shape[1] else 0):
        for i in range(trace.shape[1]):
            trace[start + step, i] = currents[step * stride + i] + bias[i]
    potential = neurons.state.potential[sample]
    # The engine counts the updates in the first step of a sample.
    counted_step = 1 if neurons.starts_samples and start == 0 else 0
    if neurons.random_numbers.shape[2]:
        neurons.state.update_count[sample, 0] += _simulate_softmax(
            potential, bias, neurons.softmax_size, currents, stride,
            neurons.random_numbers[sample, start : start + steps], counted_step,
            bits[start : start + steps],
        )  # fmt: skip
        return
    updates = 0
    for word in range(bits.shape[1]):
        first_neuron = word * WORD_SIZE
        values = load(potential, first_neuron, WORD_VECTORS)
        thresholds = load(neurons.parameters.threshold, first_neuron, WORD_VECTORS)
        biases = load(bias, first_neuron, WORD_VECTORS)
        resets = load(neurons.parameters.reset, first_neuron, WORD_VECTORS)
        for step in range(steps):
            values_before = values
            current = load(currents, step * stride + first_neuron, WORD_VECTORS)
            values = values + (current + biases)
            spikes = find_reached(values, thresholds)
            bits[start + step, word] = spikes
            reset_values = resets if neurons.resets_to_value else values - resets
            values = select(spikes, reset_values, values)
            if step >= counted_step:
                updates += count_differences(values_before, values)
        store(potential, first_neuron, values)
    neurons.state.update_count[sample, 0] += updates


@inner
def _simulate_leaky(
    neurons: Neurons,
    sample: int,
    currents: np.ndarray,
    stride: int,
    steps: int,
    start: int,
    bits: np.ndarray,
) -> None:
    """Simulate neurons with a neuron model; see `simulate_neurons`.

    The order of the operations is that of `snnb.network.neuron`.
    """
    parameters = neurons.parameters
    potential = neurons.state.potential[sample]
    synaptic_current = neurons.state.synaptic_current[sample]
    has_synaptic_current = synaptic_current.size > 0
    trace = neurons.trace[sample]
    traced_neurons = trace.shape[1]
    word_values = np.empty(WORD_SIZE, potential.dtype)
    counted_step = 1 if neurons.starts_samples and start == 0 else 0
    updates = 0
    ties = 0
    for word in range(bits.shape[1]):
        first_neuron = word * WORD_SIZE
        biases = load(parameters.bias, first_neuron, WORD_VECTORS)
        thresholds = load(parameters.threshold, first_neuron, WORD_VECTORS)
        resets = load(parameters.reset, first_neuron, WORD_VECTORS)
        below_thresholds = load(parameters.below_threshold, first_neuron, WORD_VECTORS)
        leak_rate = load(parameters.leak_rate, first_neuron, WORD_VECTORS)
        gain = load(parameters.gain, first_neuron, WORD_VECTORS)
        offset = load(parameters.offset, first_neuron, WORD_VECTORS)
        current_leak_rate = load(
            parameters.current_leak_rate, first_neuron, WORD_VECTORS
        )
        current_gain = load(parameters.current_gain, first_neuron, WORD_VECTORS)
        values = load(potential, first_neuron, WORD_VECTORS)
        synaptic = values
        if has_synaptic_current:
            synaptic = load(synaptic_current, first_neuron, WORD_VECTORS)
        for step in range(steps):
            current = load(currents, step * stride + first_neuron, WORD_VECTORS)
            current = current + biases
            if has_synaptic_current:
                change = current_gain * current - current_leak_rate * synaptic
                synaptic = synaptic + change
                current = synaptic
            values_before = values
            values = values + ((gain * current + offset) - leak_rate * values)
            spikes = find_reached(values, thresholds)
            bits[start + step, word] = spikes
            ties += count_bits(find_reached(values, below_thresholds) & ~spikes)
            reset_values = resets if neurons.resets_to_value else values - resets
            values = select(spikes, reset_values, values)
            if step >= counted_step:
                updates += count_differences(values_before, values)
            if traced_neurons > first_neuron:
                store(word_values, 0, values)
                for i in range(min(WORD_SIZE, traced_neurons - first_neuron)):
                    trace[start + step, first_neuron + i] = word_values[i]
        store(potential, first_neuron, values)
        if has_synaptic_current:
            store(synaptic_current, first_neuron, synaptic)
    neurons.state.tie_count[sample, 0] += ties
    neurons.state.update_count[sample, 0] += updates


@inner
def _simulate_softmax(
    potential: np.ndarray,
    bias: np.ndarray,
    softmax_size: int,
    currents: np.ndarray,
    stride: int,
    random_numbers: np.ndarray,
    counted_step: int,
    bits: np.ndarray,
) -> int:
    """Simulate some steps of neurons that spike with the probability of a softmax.

    A neuron spikes if its random number, of float32 (steps, neurons), is at most its
    softmax. Its potential, (neurons or more,), becomes 0 then. `bits`, uint64 (steps,
    words), is the output. Return the number of changes of a potential from the step
    `counted_step` on. See `simulate_neurons` for the other arguments.
    """
    potential_before = np.empty_like(potential)
    powers = np.empty(softmax_size, np.float32)
    updates = 0
    for step in range(bits.shape[0]):
        current = currents[step * stride :]
        step_bits = bits[step]
        step_numbers = random_numbers[step]
        potential_before[:] = potential
        step_bits[:] = 0
        for first_neuron in range(0, step_numbers.size, softmax_size):
            largest = np.float32(-np.inf)
            total = np.float32(0)
            for i in range(first_neuron, first_neuron + softmax_size):
                potential[i] += current[i] + bias[i]
                largest = max(largest, potential[i])
            for i in range(softmax_size):
                powers[i] = np.exp(potential[first_neuron + i] - largest)
                total += powers[i]
            for i in range(softmax_size):
                if step_numbers[first_neuron + i] <= powers[i] / total:
                    set_spike(step_bits, first_neuron + i)
                    potential[first_neuron + i] = 0
        if step >= counted_step:
            for i in range(potential.size):
                updates += 1 if potential_before[i] != potential[i] else 0
    return updates


@inlined
def count_differences(before: np.ndarray, after: np.ndarray) -> int:
    """Count the numbers of a word, as `WORD_VECTORS` vectors, that differ."""
    is_equal = find_reached(before, after) & find_reached(after, before)
    return count_bits(~is_equal)


# Currents of spikes, by form of the table


@inner
def _add_windows(
    bits: np.ndarray,
    currents: np.ndarray,
    stride: int,
    windows: WindowTable,
    spike_list: np.ndarray,
) -> None:
    """Add the currents of the spikes of some steps, uint64 (steps, words).

    `spike_list` is a buffer for the spikes of all steps.
    """
    steps = bits.shape[0]
    bounds = windows.unit_start.size
    list_starts = np.empty(steps * bounds, np.int32)
    end = np.int64(0)
    for step in range(steps):
        step_starts = list_starts[step * bounds : (step + 1) * bounds]
        find_list_starts(bits[step], windows.unit_start, step_starts, end)
        end = list_spikes(bits[step], spike_list, end)
    blocks = (windows.range_start.size - 1) // windows.target.size
    first_filter = np.int64(0)
    while first_filter < windows.filters:
        width = GROUP_WIDTHS[0]
        while width > windows.filters - first_filter:
            width //= 2
        for block in range(blocks):
            for step in range(steps):
                target = step * stride + first_filter
                group = windows.rows * first_filter
                starts = list_starts[step * bounds :]
                if width == 64:
                    _add_block(
                        currents,
                        target,
                        windows,
                        group,
                        block,
                        spike_list,
                        starts,
                        4,
                    )
                elif width == 32:
                    _add_block(
                        currents,
                        target,
                        windows,
                        group,
                        block,
                        spike_list,
                        starts,
                        2,
                    )
                else:
                    _add_block(
                        currents,
                        target,
                        windows,
                        group,
                        block,
                        spike_list,
                        starts,
                        1,
                    )
        first_filter += width


@inner
def _add_block(
    currents: np.ndarray,
    current_start: int,
    windows: WindowTable,
    group_start: int,
    block: int,
    spikes: np.ndarray,
    list_starts: np.ndarray,
    vectors: int,
) -> None:
    """Add to the currents of a step what all windows read in a block.

    Only the currents of a group of `vectors` × `VECTOR_SIZE` filters are added. That of
    window 0 and the first filter is at `current_start`, and the weights of the group
    begin at `group_start`. The spikes of unit u are the neurons spikes[list_starts[u]]
    to before spikes[list_starts[u + 1]]. `vectors` is a constant.
    """
    width = vectors * VECTOR_SIZE
    first_range = block * windows.target.size
    end_range = element(windows.range_start, first_range)
    for window in range(windows.target.size):
        begin_range = end_range
        end_range = element(windows.range_start, first_range + window + 1)
        if begin_range == end_range:
            continue
        target = current_start + element(windows.target, window)
        sums = load(currents, target, vectors)
        for i in range(begin_range, end_range):
            row_shift = element(windows.row_shift, i)
            begin = element(list_starts, element(windows.first_unit, i))
            end = element(list_starts, element(windows.end_unit, i))
            for j in range(begin, end):
                row = element(spikes, j) + row_shift
                sums = sums + load(windows.weights, group_start + row * width, vectors)
        store(currents, target, sums)


@inner
def _add_runs(
    bits: np.ndarray,
    currents: np.ndarray,
    stride: int,
    runs: RunTable,
    spike_list: np.ndarray,
) -> None:
    """Add the currents of the spikes of some steps, uint64 (steps, words).

    `currents` has `WORD_SIZE` numbers after the last step, and `spike_list` is a buffer
    for the spikes of a step.
    """
    positions = runs.position_start.size - 1
    channels = runs.position_start[1]
    list_starts = np.empty(positions + 1, np.int32)
    for step in range(bits.shape[0]):
        current_start = step * stride
        spikes = list_spikes(bits[step], spike_list, np.int64(0))
        # A division for each of a few spikes is faster than a loop over all positions.
        is_sparse = spikes < positions
        if not is_sparse:
            find_list_starts(bits[step], runs.position_start, list_starts, np.int64(0))
        position = -1
        end = np.int64(0)
        while end < spikes:
            begin = end
            if is_sparse:
                position = element(spike_list, begin) // channels
                end_neuron = (position + 1) * channels
                while end < spikes and element(spike_list, end) < end_neuron:
                    end += 1
            else:
                position += 1
                end = element(list_starts, position + 1)
            if begin < end:
                begin_run = element(runs.run_start, position)
                end_run = element(runs.run_start, position + 1)
                for i in range(begin_run, end_run):
                    _add_run(
                        currents,
                        current_start + element(runs.target, i),
                        runs.weights,
                        element(runs.weight_start, i),
                        element(runs.weight_stride, i),
                        spike_list,
                        begin,
                        end,
                        element(runs.vectors, i),
                    )


@inlined
def _add_run(
    currents: np.ndarray,
    target: int,
    weights: np.ndarray,
    start: int,
    stride: int,
    spikes: np.ndarray,
    begin: int,
    end: int,
    vectors: int,
) -> None:
    """Add the weights of the neurons spikes[begin:end] to the currents of a run.

    The weights of neuron i begin at start + i × stride, and the currents at `target`;
    both are `vectors` × `VECTOR_SIZE` numbers.
    """
    if vectors == 1:
        _add_vectors(currents, target, weights, start, stride, spikes, begin, end, 1)
    elif vectors == 2:
        _add_vectors(currents, target, weights, start, stride, spikes, begin, end, 2)
    elif vectors == 3:
        _add_vectors(currents, target, weights, start, stride, spikes, begin, end, 3)
    elif vectors == 4:
        _add_vectors(currents, target, weights, start, stride, spikes, begin, end, 4)
    elif vectors == 5:
        _add_vectors(currents, target, weights, start, stride, spikes, begin, end, 5)
    else:
        _add_vectors(currents, target, weights, start, stride, spikes, begin, end, 6)


@inlined
def _add_vectors(
    currents: np.ndarray,
    target: int,
    weights: np.ndarray,
    start: int,
    stride: int,
    spikes: np.ndarray,
    begin: int,
    end: int,
    vectors: int,
) -> None:
    """Add the weights of a run, see `_add_run`; `vectors` is a constant."""
    sums = load(currents, target, vectors)
    for i in range(begin, end):
        neuron = element(spikes, i)
        sums = sums + load(weights, start + neuron * stride, vectors)
    store(currents, target, sums)


@inner
def _add_arrivals(
    bits: np.ndarray,
    currents: np.ndarray,
    stride: int,
    arrivals: ArrivalTable,
    spike_list: np.ndarray,
) -> None:
    """Add the currents of the spikes of some steps, uint64 (steps, words).

    `spike_list` is a buffer for the spikes of a step.
    """
    weights = arrivals.weights
    for step in range(bits.shape[0]):
        step_bits = bits[step]
        current_start = step * stride
        if arrivals.layout == SAME_NEURON:
            for word in range(step_bits.size):
                if step_bits[word]:
                    neuron = word * WORD_SIZE
                    target = current_start + neuron
                    before = load(currents, target, WORD_VECTORS)
                    after = before + load(weights, neuron, WORD_VECTORS)
                    store(currents, target, select(step_bits[word], after, before))
        elif arrivals.layout == ONE_ARRIVAL:
            for i in range(list_spikes(step_bits, spike_list, np.int64(0))):
                neuron = element(spike_list, i)
                weight = weights[element(arrivals.weight_start, neuron)]
                currents[current_start + element(arrivals.target, neuron)] += weight
        elif arrivals.layout == BY_NEURON:
            for i in range(list_spikes(step_bits, spike_list, np.int64(0))):
                neuron = element(spike_list, i)
                begin = element(arrivals.arrival_start, neuron)
                end = element(arrivals.arrival_start, neuron + 1)
                for j in range(begin, end):
                    weight = weights[element(arrivals.weight_start, j)]
                    currents[current_start + element(arrivals.target, j)] += weight
        else:
            _add_position_arrivals(step_bits, currents, current_start, arrivals)


@inner
def _add_position_arrivals(
    bits: np.ndarray,
    currents: np.ndarray,
    current_start: int,
    arrivals: ArrivalTable,
) -> None:
    """Add the currents of the spikes of a step by arrivals of positions.

    The filters of a position are added 64 at a time, or 32 if no more are left. The
    first channel of each group is added to all filters of its group, then the second.
    """
    channels = arrivals.channels
    group_size = arrivals.group_size
    first_of_groups = _mark_multiples(group_size)
    filters_of_group = ALL_BITS >> np.uint64(WORD_SIZE - group_size)
    for position in range(arrivals.arrival_start.size - 1):
        for channel in range(0, channels, WORD_SIZE):
            channels_left = channels - channel
            vectors = 2 if channels_left <= 2 * VECTOR_SIZE else 4
            first_neuron = position * channels + channel
            end_neuron = first_neuron + min(WORD_SIZE, channels_left)
            channel_bits = _cut_bits(bits, first_neuron, end_neuron)
            if not channel_bits:
                continue
            begin = element(arrivals.arrival_start, position)
            end = element(arrivals.arrival_start, position + 1)
            for k in range(group_size):
                filter_bits = channel_bits
                if group_size > 1:
                    spikes = (channel_bits >> np.uint64(k)) & first_of_groups
                    # Each of these bits is moved to all filters of its group
                    filter_bits = spikes * filters_of_group
                    if not filter_bits:
                        continue
                first_weight = k * channels + channel
                for i in range(begin, end):
                    target = current_start + element(arrivals.target, i) + channel
                    weight = element(arrivals.weight_start, i) + first_weight
                    _add_selected(
                        filter_bits,
                        currents,
                        target,
                        arrivals.weights,
                        weight,
                        vectors,
                    )


@inner
def _mark_multiples(divisor: int) -> np.uint64:
    """Return a word whose bits at the multiples of a number are 1: 32 gives 2³² + 1."""
    word = np.uint64(0)
    for bit in range(0, WORD_SIZE, divisor):
        word |= np.uint64(1) << np.uint64(bit)
    return word


@inner
def _cut_bits(bits: np.ndarray, begin: int, end: int) -> np.uint64:
    """Return the bits of neurons `begin` to before `end` as the lowest bits of a word.

    They are at most 64, of a step, uint64 (words,).
    """
    word = begin >> WORD_SHIFT
    offset = np.uint64(begin & (WORD_SIZE - 1))
    cut = element(bits, word) >> offset
    if offset and word + 1 < bits.size:
        cut |= element(bits, word + 1) << (np.uint64(WORD_SIZE) - offset)
    return cut & (ALL_BITS >> np.uint64(WORD_SIZE - (end - begin)))


@inlined
def _add_selected(
    word: np.uint64,
    currents: np.ndarray,
    target: int,
    weights: np.ndarray,
    weight_start: int,
    vectors: int,
) -> None:
    """Add weights[weight_start + i] to currents[target + i] for each bit i that is 1.

    `vectors` is 2 or 4: all of their numbers are read and written.
    """
    if vectors == 4:
        before = load(currents, target, 4)
        after = before + load(weights, weight_start, 4)
        store(currents, target, select(word, after, before))
    else:
        half_before = load(currents, target, 2)
        half_after = half_before + load(weights, weight_start, 2)
        store(currents, target, select(word, half_after, half_before))


# Currents of input


@inner
def add_entries(
    currents: np.ndarray,
    stride: int,
    entries: InputEntries,
    entry_start: np.ndarray,
) -> None:
    """Add the currents of the input in some steps.

    Step i has the entries entry_start[i] to before entry_start[i + 1], int64.
    """
    runs = entries.runs
    arrivals = entries.arrivals
    for step in range(entry_start.size - 1):
        current_start = step * stride
        for e in range(entry_start[step], entry_start[step + 1]):
            neuron = element(entries.neuron, e)
            value = entries.value[e]
            if neuron < 0:  # the projection does not read it
                continue
            if runs.position_start.size:
                position = neuron // runs.position_start[1]
                begin = element(runs.run_start, position)
                end = element(runs.run_start, position + 1)
                for i in range(begin, end):
                    target = current_start + element(runs.target, i)
                    neuron_offset = neuron * element(runs.weight_stride, i)
                    weight_start = element(runs.weight_start, i) + neuron_offset
                    size = VECTOR_SIZE * element(runs.vectors, i)
                    for j in range(0, size, VECTOR_SIZE):
                        sums = load(currents, target + j, 1)
                        weights = load(runs.weights, weight_start + j, 1)
                        store(currents, target + j, add_scaled(sums, weights, value))
            else:
                begin = element(arrivals.arrival_start, neuron)
                end = element(arrivals.arrival_start, neuron + 1)
                for i in range(begin, end):
                    target = current_start + element(arrivals.target, i)
                    weight = arrivals.weights[element(arrivals.weight_start, i)]
                    currents[target] = multiply_add(value, weight, currents[target])


@compiled
def add_channel_values(
    values: np.ndarray,
    taps: ChannelTapTable,
    currents: np.ndarray,
) -> None:
    """Add the currents of values of all neurons, of filters that read one channel.

    `values` are numbers (samples, inputs or more), where the channels of an input are
    those that the filters read. `currents` are numbers (samples, neurons or more).
    """
    windows, tap_count = taps.first_input.shape
    filters = taps.filters
    flat_values = values.reshape(-1)
    flat_currents = currents.reshape(-1)
    for sample in range(values.shape[0]):
        for window in range(windows):
            target = sample * currents.shape[1] + window * filters
            window_currents = flat_currents[target : target + filters]
            for tap in range(tap_count):
                first_input = taps.first_input[window, tap]
                if first_input >= 0:
                    begin = sample * values.shape[1] + first_input
                    tap_values = flat_values[begin : begin + filters]
                    weights = taps.weights[tap * filters :]
                    for i in range(filters):
                        sum_ = window_currents[i]
                        window_currents[i] = multiply_add(
                            tap_values[i],
                            weights[i],
                            sum_,
                        )


@compiled
def add_dense_values(
    values: np.ndarray,
    taps: DenseTapTable,
    currents: np.ndarray,
) -> None:
    """Add the currents of values of all neurons, of filters that read all channels.

    `values` are numbers (samples, inputs or more), and `currents` numbers (samples,
    neurons or more), with at least `WORD_SIZE` more than neurons.

    A group of 32 or 16 filters is computed in all samples and windows before the next
    one, so that its weights stay in the cache. `LANES` windows are computed together.
    """
    windows, tap_count = taps.first_input.shape
    rows = tap_count * taps.channels
    sample_windows = values.shape[0] * windows
    flat_values = values.reshape(-1)
    flat_currents = currents.reshape(-1)
    targets = np.zeros(LANES, np.int64)
    lane_values = np.zeros(LANES * rows, values.dtype)
    zero = values.dtype.type(0)
    first_filter = 0
    while first_filter < taps.filters:
        is_wide = taps.filters - first_filter > VECTOR_SIZE
        for first_window in range(0, sample_windows, LANES):
            for lane in range(LANES):
                # The last lanes may be the same window.
                sample_window = min(first_window + lane, sample_windows - 1)
                sample, window = divmod(sample_window, windows)
                current_start = sample * currents.shape[1]
                targets[lane] = current_start + window * taps.filters + first_filter
                lane_index = lane * rows
                for tap in range(window * tap_count, (window + 1) * tap_count):
                    first_input = element(taps.first_input, tap)
                    begin = sample * values.shape[1] + first_input
                    for i in range(taps.channels):
                        is_padding = first_input < 0
                        value = zero if is_padding else element(flat_values, begin + i)
                        lane_values[lane_index + i] = value
                    lane_index += taps.channels
            group = first_filter * rows
            weights = taps.weights
            if is_wide:
                _add_products(flat_currents, targets, lane_values, weights, group, 2)
            else:
                _add_products(flat_currents, targets, lane_values, weights, group, 1)
        first_filter += 2 * VECTOR_SIZE if is_wide else VECTOR_SIZE


@inner
def _add_products(
    currents: np.ndarray,
    targets: np.ndarray,
    lane_values: np.ndarray,
    weights: np.ndarray,
    group_start: int,
    vectors: int,
) -> None:
    """Add products of values and rows of weights to the currents of `LANES` windows.

    The currents of the windows begin at `targets`. `lane_values` has a value for each
    window and row, and the rows of `vectors` × `VECTOR_SIZE` weights begin at
    `group_start`. `vectors` is a constant.
    """
    rows = lane_values.size // LANES
    sums_0 = load(currents, targets[0], vectors)
    sums_1 = load(currents, targets[1], vectors)
    sums_2 = load(currents, targets[2], vectors)
    sums_3 = load(currents, targets[3], vectors)
    for i in range(rows):
        row = load(weights, group_start + i * VECTOR_SIZE * vectors, vectors)
        sums_0 = add_scaled(sums_0, row, element(lane_values, i))
        sums_1 = add_scaled(sums_1, row, element(lane_values, i + rows))
        sums_2 = add_scaled(sums_2, row, element(lane_values, i + 2 * rows))
        sums_3 = add_scaled(sums_3, row, element(lane_values, i + 3 * rows))
    store(currents, targets[0], sums_0)
    store(currents, targets[1], sums_1)
    store(currents, targets[2], sums_2)
    store(currents, targets[3], sums_3)


@inner
def set_currents(
    currents: np.ndarray,
    constant_current: np.ndarray,
    steps: int,
    stride: int,
) -> None:
    """Set the currents of some steps to the constant current of each neuron."""
    for step in range(steps):
        for neuron in range(0, stride, WORD_SIZE):
            constant = load(constant_current, neuron, WORD_VECTORS)
            store(currents, step * stride + neuron, constant)


@inner
def add_spikes(
    bits: np.ndarray,
    currents: np.ndarray,
    stride: int,
    table: ProjectionTable,
    spike_list: np.ndarray,
) -> None:
    """Add the currents of the spikes of some steps, uint64 (steps, words).

    `spike_list` is a buffer for the spikes of all steps.
    """
    if table.form == WINDOW_FORM:
        _add_windows(bits, currents, stride, table.windows, spike_list)
    elif table.form == RUN_FORM:
        _add_runs(bits, currents, stride, table.runs, spike_list)
    else:
        _add_arrivals(bits, currents, stride, table.arrivals, spike_list)


# Populations


@compiled
def simulate_weighted(
    sources: Tuple[np.ndarray, ...],
    tables: Tuple[ProjectionTable, ...],
    inputs: Optional[Tuple[InputEntries, ...]],
    neurons: Neurons,
    bits: np.ndarray,
    divisors: np.ndarray,
    currents: np.ndarray,
    spike_list: np.ndarray,
) -> None:
    """Simulate a population that sums projections with weights.

    Parameters
    ----------
    sources
        Spikes that the projections read, each uint64 (samples, steps, words).
    tables
        Tables of these projections, at least one.
    inputs
        Input of the projections that read an input that changes: at least one, which
        may be without entries. None if there are none in the network, which takes less
        time to compile.
    neurons
        The neurons, whose state is changed.
    bits
        Output, the spikes of the population: uint64 (samples, steps, words).
    divisors
        Numbers by which the sums are divided, (neurons,), or empty.
    currents
        Buffer for the currents of some steps, which are computed together, and
        `WORD_SIZE` more numbers. If it is empty, the population has the constant
        current in all steps, and reads nothing.
    spike_list
        Buffer for lists of spikes, int32: all neurons of a source and `SPARE_ENTRIES`
        for each of these steps, and once more.
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
                if inputs is not None:
                    for i in range(len(inputs)):
                        if inputs[i].step_start.shape[1]:
                            entry_start = inputs[i].step_start[sample, start : end + 1]
                            add_entries(currents, size, inputs[i], entry_start)
                for i in range(len(tables)):
                    spikes = sources[i][sample, start:end]
                    add_spikes(spikes, currents, size, tables[i], spike_list)
                if divisors.size:
                    for step in range(steps):
                        for neuron in range(0, size, WORD_SIZE):
                            current = step * size + neuron
                            sums = load(currents, current, WORD_VECTORS)
                            average = sums / load(divisors, neuron, WORD_VECTORS)
                            store(currents, current, average)
            total = currents if changes else constant_current
            stride = size if changes else 0
            simulate_neurons(neurons, sample, total, stride, steps, start, bits[sample])
        add_spike_counts(neurons.state.spike_counts[sample], bits[sample])


@compiled
def simulate_largest_count(
    source: np.ndarray,
    windows: np.ndarray,
    neurons: Neurons,
    pooling: PoolingState,
    bits: np.ndarray,
    spike_list: np.ndarray,
) -> None:
    """Simulate a max pooling that follows the largest spike count.

    A window spikes in a step in which the largest spike count of its inputs rises.

    Parameters
    ----------
    source
        Spikes that it reads: uint64 (samples, steps, words).
    windows
        Windows of each input: int32 (windows, inputs), see `list_pooling_windows`.
    neurons, pooling
        The state, which is changed.
    bits
        Output, the spikes of the population: uint64 (samples, steps, words).
    spike_list
        Buffer for a list of spikes, int32: all inputs and `SPARE_ENTRIES`.
    """
    for sample in range(bits.shape[0]):
        input_counts = pooling.input_totals[sample]
        largest_counts = pooling.largest_counts[sample]
        for step in range(bits.shape[1]):
            step_bits = bits[sample, step]
            step_bits[:] = 0
            end = list_spikes(source[sample, step], spike_list, np.int64(0))
            for neuron in spike_list[:end]:
                input_counts[neuron] += 1
                for i in range(windows.shape[0]):
                    window = windows[i, neuron]
                    if window >= 0 and input_counts[neuron] > largest_counts[window]:
                        largest_counts[window] = np.int32(input_counts[neuron])
                        set_spike(step_bits, window)
        add_spike_counts(neurons.state.spike_counts[sample], bits[sample])


@compiled
def simulate_leading_input(
    source: np.ndarray,
    windows: np.ndarray,
    neurons: Neurons,
    pooling: PoolingState,
    bits: np.ndarray,
    spike_list: np.ndarray,
    amplitude: np.float32,
) -> None:
    """Simulate a max pooling whose windows forward the spikes of their leading input.

    The leader of a window is the input with the largest total of spikes so far, the
    first of equal ones. `amplitude` is the current of a spike. See
    `simulate_largest_count` for the other arguments.
    """
    current = np.empty_like(neurons.state.potential[0])
    last_current = neurons.constant_current.shape[0] - 1
    for sample in range(bits.shape[0]):
        constant_current = neurons.constant_current[min(sample, last_current)]
        totals = pooling.input_totals[sample]
        leaders = pooling.leaders[sample]
        for step in range(bits.shape[1]):
            end = list_spikes(source[sample, step], spike_list, np.int64(0))
            spikes = spike_list[:end]
            current[:] = constant_current
            for neuron in spikes:
                totals[neuron] += amplitude
            for neuron in spikes:
                for i in range(windows.shape[0]):
                    window = windows[i, neuron]
                    if window >= 0:
                        leader = leaders[window]
                        largest = np.float32(-1) if leader < 0 else totals[leader]
                        is_first = totals[neuron] == largest and neuron < leader
                        if totals[neuron] > largest or is_first:
                            leaders[window] = neuron
            for neuron in spikes:
                for i in range(windows.shape[0]):
                    window = windows[i, neuron]
                    if window >= 0 and leaders[window] == neuron:
                        current[window] = amplitude
            simulate_neurons(
                neurons,
                sample,
                current,
                np.int64(0),
                np.int64(1),
                step,
                bits[sample],
            )
        add_spike_counts(neurons.state.spike_counts[sample], bits[sample])


@compiled
def fire_at_once(
    currents: np.ndarray,
    parameters: SeparatedParameters,
    steps: int,
) -> None:
    """Replace the summed currents of all steps by the number of spikes.

    `currents` are numbers (samples, neurons or more). The neurons fire in a window of
    `steps` steps, after all their input has arrived, and at most once in each.
    """
    zero = currents.dtype.type(0)
    one_spike = currents.dtype.type(1)
    max_spikes = currents.dtype.type(steps)
    for sample in range(currents.shape[0]):
        values = currents[sample]
        for i in range(parameters.bias.size):
            current = values[i] + parameters.bias[i]
            potential = current + parameters.initial_potential[i]
            subtrahend = parameters.subtrahend[i]
            spikes = np.floor(potential / subtrahend)
            potential_before_last = potential - (spikes - one_spike) * subtrahend
            if potential_before_last < parameters.threshold[i]:
                spikes -= one_spike
            values[i] = min(max(spikes, zero), max_spikes)
