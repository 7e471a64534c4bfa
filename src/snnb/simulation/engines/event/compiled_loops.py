"""The compiled loops of populations: spikes as bits, currents of populations with weights, and neurons.

Weights are added only where there are spikes. The spikes of a step are listed in rising order. So a neuron's
contributions arrive in the order of its inputs, and its current is a sequential float32 sum, which stays in registers
while rows are added (see `vectors`). The form of a projection's table decides how weights are added:

- `Windows`, for many filters: the rows of weights that a window of a convolution reads are summed in registers before
  they are stored; a block of rows stays in the cache while all windows of some steps are computed;
- `Runs`, for few filters: the contributions of a position's spikes to all windows of a row are one run;
- `Reach`, if a neuron reads few others: 64 neurons are updated at once, and bits select which of them change.

A population is simulated some steps at a time: first the currents of all of them, one projection after the other, then
the neurons. All samples of a call are done one after the other, without Python between them.

A constant input, and the counts of separated firing, are values of all neurons at once: the weights are multiplied by
them, window by window (`add_values`), in the same order.
"""

from typing import Callable, Optional, Tuple

import numpy as np

from snnb.core.compiled import compiled, inlined, inner
from snnb.simulation.engines.event.loop_arrays import (
    AFTER,
    BELOW,
    BIAS,
    CURRENT_DECAY,
    CURRENT_GAIN,
    DECAY,
    GAIN,
    GROUP,
    LANES,
    OFFSET,
    RUNS,
    SLACK,
    THRESHOLD,
    WIDTH,
    WIDTHS,
    WINDOWS,
    Entries,
    Neurons,
    Reach,
    Runs,
    Table,
    Taps,
    Windows,
)
from snnb.simulation.engines.event.vectors import (
    add_bits,
    add_scaled,
    bits_set,
    element,
    fused,
    load,
    lowest_bit,
    reached,
    store,
    where,
)


@inner
def bit_indices(bits: np.ndarray, lists: np.ndarray, n: int) -> int:
    """Write the neurons that spike in a step to `lists` from index `n` on, and return the index after them.

    There must be room for all neurons and `SLACK` more.
    """
    for word in range(bits.size):
        left = bits[word]
        if left:
            end, first = n + bits_set(left), word * GROUP
            for i in range(SLACK):  # a branch predictor knows the end of this loop, not of one that ends with the bits
                lists[n + i] = first + lowest_bit(left)
                left &= left - np.uint64(1)
            n += SLACK
            while left:
                lists[n] = first + lowest_bit(left)
                left &= left - np.uint64(1)
                n += 1
            n = end
    return n


@inner
def counted_below(bits: np.ndarray, bounds: np.ndarray, begins: np.ndarray, n: int) -> None:
    """Set begins[i] to n and the number of spikes of the neurons before bounds[i], which rises."""
    word = 0
    for i in range(bounds.size):
        bound = bounds[i]
        while (word + 1) * GROUP <= bound:
            n += bits_set(bits[word])
            word += 1
        rest = bound - word * GROUP
        begins[i] = n + (bits_set(bits[word] & ((np.uint64(1) << np.uint64(rest)) - np.uint64(1))) if rest else 0)


@compiled
def renumbered(source: np.ndarray, table: np.ndarray, target: np.ndarray, lists: np.ndarray) -> None:
    """Add to `target` the spikes of `source` with neuron i renumbered as `table[i]`; `lists` is a buffer.

    A neuron whose new number is negative is left out.
    """
    for sample in range(source.shape[0]):
        for step in range(source.shape[1]):
            for e in range(bit_indices(source[sample, step], lists, np.int64(0))):
                i = table[lists[e]]
                if i >= 0:
                    target[sample, step, i // GROUP] |= np.uint64(1) << np.uint64(i % GROUP)


@compiled
def number_of(bits: np.ndarray, begin: int, end: int) -> int:
    """Count the spikes of all samples and neurons in the steps from `begin` to before `end`."""
    n = 0
    for sample in range(bits.shape[0]):
        for step in range(begin, end):
            for word in range(bits.shape[2]):
                n += bits_set(bits[sample, step, word])
    return n


@inlined
def changed(before: np.ndarray, after: np.ndarray) -> int:
    """Count the positions at which two vectors differ."""
    return bits_set(~(reached(before, after) & reached(after, before)))


@inner
def _softmax(
    potential: np.ndarray,
    current: np.ndarray,
    bias: np.ndarray,
    uniforms: np.ndarray,
    powers: np.ndarray,
    bits: np.ndarray,
) -> None:
    """Spike where the random number is at most the softmax of the potential; reset neurons that spike to zero."""
    bits[:] = 0
    for first in range(0, uniforms.size, powers.size):  # groups of neurons of a softmax
        highest, total = np.float32(-np.inf), np.float32(0)
        for i in range(first, first + powers.size):
            potential[i] += current[i] + bias[i]
            highest = max(highest, potential[i])
        for i in range(powers.size):
            powers[i] = np.exp(potential[first + i] - highest)
            total += powers[i]
        for i in range(powers.size):
            if uniforms[first + i] <= powers[i] / total:
                bits[(first + i) // GROUP] |= np.uint64(1) << np.uint64((first + i) % GROUP)
                potential[first + i] = 0


@inner
def _fire_leaky(
    neurons: Neurons, sample: int, currents: np.ndarray, stride: int, steps: int, start: int, bits: np.ndarray
) -> None:
    """See `fire`: neurons with a neuron model, in the order of operations that `snnb.network.neuron` defines."""
    potential, received, numbers = neurons.potential[sample], neurons.received[sample], neurons.numbers
    held_current, size = neurons.synaptic[sample], neurons.numbers.shape[1]
    ties = updates = 0
    counted = 1 if neurons.updates[sample, 0] < 0 else 0
    synaptic, units = held_current.size > 0, received.shape[1]
    part = np.empty(GROUP, potential.dtype)
    for word in range(bits.shape[1]):
        at = word * GROUP
        values = load(potential, at, 4)
        bias, thresholds = load(numbers, BIAS * size + at, 4), load(numbers, THRESHOLD * size + at, 4)
        after, below = load(numbers, AFTER * size + at, 4), load(numbers, BELOW * size + at, 4)
        decay, gain = load(numbers, DECAY * size + at, 4), load(numbers, GAIN * size + at, 4)
        offset, current_decay = load(numbers, OFFSET * size + at, 4), load(numbers, CURRENT_DECAY * size + at, 4)
        current_gain = load(numbers, CURRENT_GAIN * size + at, 4)
        held = load(held_current, at, 4) if synaptic else values
        for step in range(steps):
            current = load(currents, step * stride + at, 4) + bias
            if synaptic:
                held = held + (current_gain * current - current_decay * held)
                current = held
            before = values
            values = values + ((gain * current + offset) - decay * values)
            fired = reached(values, thresholds)
            bits[start + step, word] = fired
            ties += bits_set(reached(values, below) & ~fired)
            values = where(fired, after if neurons.to_value else values - after, values)
            if step >= counted:
                updates += changed(before, values)
            if units > at:
                store(part, 0, values)
                for i in range(min(GROUP, units - at)):
                    received[start + step, at + i] = part[i]
        store(potential, at, values)
        if synaptic:
            store(held_current, at, held)
    neurons.ties[sample, 0] += ties
    neurons.updates[sample, 0] += updates + counted


@inner
def fire(
    neurons: Neurons, sample: int, currents: np.ndarray, stride: int, steps: int, start: int, bits: np.ndarray
) -> None:
    """Simulate consecutive steps of a sample from `start`, given the current of each; write the spikes to `bits`.

    The currents of the i-th step, without bias, begin at index i × stride.
    """
    numbers, size = neurons.numbers, neurons.numbers.shape[1]
    if numbers.shape[0] > BELOW:
        _fire_leaky(neurons, sample, currents, stride, steps, start, bits)
        return
    words, received, bias = bits.shape[1], neurons.received[sample], numbers[BIAS]
    for step in range(steps if received.shape[1] else 0):
        for i in range(received.shape[1]):
            received[start + step, i] = currents[step * stride + i] + bias[i]
    potential, updates = neurons.potential[sample], 0
    counted = 1 if neurons.updates[sample, 0] < 0 else 0  # first step whose updates are counted here
    if neurons.uniforms.shape[2]:
        powers, held = np.empty(neurons.classes, np.float32), np.empty_like(potential)
        for step in range(steps):
            current, uniforms = currents[step * stride :], neurons.uniforms[sample, start + step]
            held[:] = potential
            _softmax(potential, current, bias, uniforms, powers, bits[start + step])
            for i in range(held.size if step >= counted else 0):
                updates += 1 if held[i] != potential[i] else 0
        neurons.updates[sample, 0] += updates + counted
        return
    for word in range(words):
        at = word * GROUP
        values, thresholds = load(potential, at, 4), load(numbers, THRESHOLD * size + at, 4)
        added = load(numbers, BIAS * size + at, 4)
        after = load(numbers, AFTER * size + at, 4)
        for step in range(steps):
            before = values
            values = values + (load(currents, step * stride + at, 4) + added)
            fired = reached(values, thresholds)
            bits[start + step, word] = fired
            values = where(fired, after if neurons.to_value else values - after, values)
            if step >= counted:
                updates += changed(before, values)
        store(potential, at, values)
    neurons.updates[sample, 0] += updates + counted


@inner
def count(counts: np.ndarray, bits: np.ndarray) -> None:
    """Add the spikes of a sample, uint64 (steps, words), to counts, int32 (neurons,)."""
    for word in range(bits.shape[1]):
        for step in range(bits.shape[0]):
            add_bits(counts, word * GROUP, bits[step, word])


@inner
def base_of(base: np.ndarray, sample: int) -> np.ndarray:
    """Return the current of constant input alone: that of each sample, or zeros for all."""
    return base[min(sample, base.shape[0] - 1)]


def _windows_loop(parts: int) -> Callable[..., None]:
    width = parts * WIDTH

    @inner
    def add(
        currents: np.ndarray, at: int, windows: Windows, done: int, block: int, lists: np.ndarray, begins: np.ndarray
    ) -> None:
        """Add to the currents of a step, which begin at `at`, the contributions of a block of weights to all windows.

        The first of the filters that are added is `done`. `lists` has the neurons that spike, int32: the neurons of
        unit u are lists[begins[u] : begins[u + 1]].
        """
        origin, number = windows.rows * done, windows.target.size
        last = element(windows.range_start, block * number)
        for window in range(number):
            first, last = last, element(windows.range_start, block * number + window + 1)
            if first == last:
                continue
            place = at + element(windows.target, window) + done
            sums = load(currents, place, parts)
            for k in range(first, last):
                shift = element(windows.row_shift, k)
                begin = element(begins, element(windows.first_unit, k))
                end = element(begins, element(windows.end_unit, k))
                for e in range(begin, end):
                    sums = sums + load(windows.weights, origin + (element(lists, e) + shift) * width, parts)
            store(currents, place, sums)

    return add


_WINDOWS_16, _WINDOWS_32, _WINDOWS_64 = (_windows_loop(parts) for parts in (1, 2, 4))


def _run_loop(parts: int) -> Callable[..., None]:
    @inlined
    def add(
        target: np.ndarray,
        at: int,
        weights: np.ndarray,
        first: int,
        stride: int,
        lists: np.ndarray,
        begin: int,
        end: int,
    ) -> None:
        sums = load(target, at, parts)
        for e in range(begin, end):
            sums = sums + load(weights, first + element(lists, e) * stride, parts)
        store(target, at, sums)

    return add


_RUN_1, _RUN_2, _RUN_3, _RUN_4, _RUN_5, _RUN_6 = (_run_loop(parts) for parts in range(1, 7))


@inlined
def add_run(
    target: np.ndarray,
    at: int,
    weights: np.ndarray,
    first: int,
    stride: int,
    lists: np.ndarray,
    begin: int,
    end: int,
    parts: int,
) -> None:
    """Add weights[first + i * stride :][:n] to target[at : at + n] for i in lists[begin:end], n = WIDTH * parts."""
    if parts == 1:
        _RUN_1(target, at, weights, first, stride, lists, begin, end)
    elif parts == 2:
        _RUN_2(target, at, weights, first, stride, lists, begin, end)
    elif parts == 3:
        _RUN_3(target, at, weights, first, stride, lists, begin, end)
    elif parts == 4:
        _RUN_4(target, at, weights, first, stride, lists, begin, end)
    elif parts == 5:
        _RUN_5(target, at, weights, first, stride, lists, begin, end)
    else:
        _RUN_6(target, at, weights, first, stride, lists, begin, end)


@inlined
def add_where(bits: np.uint64, target: np.ndarray, at: int, weights: np.ndarray, first: int, parts: int) -> None:
    """Add weights[first + i] to target[at + i] for each i whose bit is set; `parts` is 2 or 4.

    All WIDTH * parts numbers are read and written.
    """
    if parts == 4:
        before = load(target, at, 4)
        store(target, at, where(bits, before + load(weights, first, 4), before))
    else:
        half = load(target, at, 2)
        store(target, at, where(bits, half + load(weights, first, 2), half))


# All bits of a word, and the shift from a neuron's number to its word's: numba's division is slow.
ALL, SHIFT = np.uint64(0xFFFFFFFFFFFFFFFF), 6


@inner
def _add_windows(bits: np.ndarray, currents: np.ndarray, stride: int, windows: Windows, room: np.ndarray) -> None:
    """Add the currents of windows that read all channels in some steps, uint64 (steps, words).

    `currents` is flat; the currents of step i begin at i × stride. `room` is a buffer for lists of spikes.
    """
    steps, number, bounds = bits.shape[0], windows.target.size, windows.unit_start.size
    begins = np.empty(steps * bounds, np.int32)
    end = np.int64(0)
    for step in range(steps):
        counted_below(bits[step], windows.unit_start, begins[step * bounds : (step + 1) * bounds], end)
        end = bit_indices(bits[step], room, end)
    blocks, done = (windows.range_start.size - 1) // number, np.int64(0)
    while done < windows.filters:
        width = WIDTHS[0]
        while width > windows.filters - done:
            width //= 2
        for block in range(blocks):
            for step in range(steps):
                at, of_step = step * stride, begins[step * bounds :]
                if width == 64:
                    _WINDOWS_64(currents, at, windows, done, block, room, of_step)
                elif width == 32:
                    _WINDOWS_32(currents, at, windows, done, block, room, of_step)
                else:
                    _WINDOWS_16(currents, at, windows, done, block, room, of_step)
        done += width


@inner
def _add_runs(bits: np.ndarray, currents: np.ndarray, stride: int, runs: Runs, room: np.ndarray) -> None:
    """Add the currents of windows that read all channels, in some steps; see `_add_windows`.

    `currents` has room for a group after the last.
    """
    positions, channels = runs.position_start.size - 1, runs.position_start[1]
    begins = np.empty(positions + 1, np.int32)
    for step in range(bits.shape[0]):
        at, number = step * stride, bit_indices(bits[step], room, np.int64(0))
        few = number < positions  # a division for each spike is faster than a loop over all positions
        if not few:
            counted_below(bits[step], runs.position_start, begins, np.int64(0))
        position, end = -1, np.int64(0)
        while end < number:
            begin = end
            if few:
                position = element(room, begin) // channels
                while end < number and element(room, end) < (position + 1) * channels:
                    end += 1
            else:
                position += 1
                end = element(begins, position + 1)
            if begin < end:
                for k in range(element(runs.run_start, position), element(runs.run_start, position + 1)):
                    add_run(
                        currents, at + element(runs.target, k), runs.weights, element(runs.weight_start, k),
                        element(runs.weight_stride, k), room, begin, end, element(runs.parts, k),
                    )  # fmt: skip


@inner
def _part_of(bits: np.ndarray, begin: int, end: int) -> np.uint64:
    """Return the bits from `begin` to before `end`, at most 64 of them, as the lowest bits of a number."""
    word, offset = begin >> SHIFT, np.uint64(begin & (GROUP - 1))
    part = element(bits, word) >> offset
    if offset and word + 1 < bits.size:
        part |= element(bits, word + 1) << (np.uint64(GROUP) - offset)
    return part & (ALL >> np.uint64(GROUP - (end - begin)))


@inner
def _add_reach(bits: np.ndarray, currents: np.ndarray, at: int, reach: Reach, room: np.ndarray) -> None:
    """Add the currents of windows that read one channel each, in a step whose currents begin at `at`."""
    channels = reach.channels
    if channels == 0:
        for word in range(bits.size):
            if bits[word]:
                add_where(bits[word], currents, at + word * GROUP, reach.weights, word * GROUP, GROUP // WIDTH)
    elif channels == 1:
        number = bit_indices(bits, room, np.int64(0))
        if reach.window_start.size == 0:
            for e in range(number):
                i = element(room, e)
                currents[at + element(reach.target, i)] += reach.weights[element(reach.weight_start, i)]
        else:
            for e in range(number):
                i = element(room, e)
                for k in range(element(reach.window_start, i), element(reach.window_start, i + 1)):
                    currents[at + element(reach.target, k)] += reach.weights[element(reach.weight_start, k)]
    else:
        for position in range(reach.window_start.size - 1):
            for first in range(0, channels, GROUP):
                begin, parts = position * channels + first, 2 if channels - first <= 2 * WIDTH else 4
                part = _part_of(bits, begin, begin + min(GROUP, channels - first))
                if part:
                    for k in range(element(reach.window_start, position), element(reach.window_start, position + 1)):
                        target, tap = at + element(reach.target, k) + first, element(reach.weight_start, k) + first
                        add_where(part, currents, target, reach.weights, tap, parts)


@inner
def _add_entries(currents: np.ndarray, stride: int, entries: Entries, begins: np.ndarray) -> None:
    """Add the currents of the input in some steps: of the entries begins[i] to before begins[i + 1] in the i-th."""
    runs, reach = entries.runs, entries.reach
    for step in range(begins.size - 1):
        at = step * stride
        for e in range(begins[step], begins[step + 1]):
            i, value = element(entries.neuron, e), entries.value[e]
            if i < 0:  # left out
                continue
            if runs.position_start.size:
                position = i // runs.position_start[1]
                for k in range(element(runs.run_start, position), element(runs.run_start, position + 1)):
                    target = at + element(runs.target, k)
                    begin = element(runs.weight_start, k) + i * element(runs.weight_stride, k)
                    for j in range(0, WIDTH * element(runs.parts, k), WIDTH):
                        sums = load(currents, target + j, 1)
                        store(currents, target + j, add_scaled(sums, load(runs.weights, begin + j, 1), value))
            else:
                for k in range(element(reach.window_start, i), element(reach.window_start, i + 1)):
                    target = at + element(reach.target, k)
                    currents[target] = fused(value, reach.weights[element(reach.weight_start, k)], currents[target])


def _products_loop(parts: int) -> Callable[..., None]:
    @inner
    def add(currents: np.ndarray, places: np.ndarray, read: np.ndarray, weights: np.ndarray, first: int) -> None:
        """Add to the currents of `LANES` windows, at `places`, the products of their values and rows of weights.

        The rows begin at `first`; `read` has the values of one window after the other, one for each row.
        """
        rows = read.size // LANES
        a, b = load(currents, places[0], parts), load(currents, places[1], parts)
        c, d = load(currents, places[2], parts), load(currents, places[3], parts)
        for k in range(rows):
            row = load(weights, first + k * WIDTH * parts, parts)
            a = add_scaled(a, row, element(read, k))
            b = add_scaled(b, row, element(read, k + rows))
            c = add_scaled(c, row, element(read, k + 2 * rows))
            d = add_scaled(d, row, element(read, k + 3 * rows))
        store(currents, places[0], a)
        store(currents, places[1], b)
        store(currents, places[2], c)
        store(currents, places[3], d)

    return add


_PRODUCTS_16, _PRODUCTS_32 = _products_loop(1), _products_loop(2)


@compiled
def add_values(values: np.ndarray, taps: Taps, currents: np.ndarray) -> None:
    """Add the currents of values, shape (samples, inputs or more), to `currents`, shape (samples, neurons or more).

    The weights of some filters stay in the cache while all windows pass. `currents` has room for a group after the
    neurons.
    """
    (windows, number), channels, filters = taps.position.shape, taps.channels, taps.filters
    sent, sums, size, stride = values.reshape(-1), currents.reshape(-1), values.shape[1], currents.shape[1]
    if taps.rows == 0:
        for sample in range(values.shape[0]):
            for window in range(windows):
                at = sample * stride + window * filters
                of_window = sums[at : at + filters]
                for tap in range(number):
                    if taps.position[window, tap] >= 0:
                        begin = sample * size + taps.position[window, tap]
                        read, weights = sent[begin : begin + filters], taps.weights[tap * filters :]
                        for i in range(filters):
                            of_window[i] = fused(read[i], weights[i], of_window[i])
        return
    places, lanes = np.zeros(LANES, np.int64), np.zeros(LANES * taps.rows, values.dtype)
    zero, done = values.dtype.type(0), 0
    while done < filters:
        width = 2 * WIDTH if filters - done > WIDTH else WIDTH
        for first in range(0, values.shape[0] * windows, LANES):
            for lane in range(LANES):  # of the last ones, some are the same window
                sample, window = divmod(min(first + lane, values.shape[0] * windows - 1), windows)
                places[lane] = sample * stride + window * filters + done
                at = lane * taps.rows
                for tap in range(window * number, (window + 1) * number):
                    position = element(taps.position, tap)
                    for i in range(channels):
                        lanes[at + i] = zero if position < 0 else element(sent, sample * size + position + i)
                    at += channels
            if width == WIDTH:
                _PRODUCTS_16(sums, places, lanes, taps.weights, done * taps.rows)
            else:
                _PRODUCTS_32(sums, places, lanes, taps.weights, done * taps.rows)
        done += width


@compiled
def fire_at_once(currents: np.ndarray, numbers: np.ndarray, steps: int) -> None:
    """Replace the input of all steps, shape (samples, neurons or more), by the number of spikes in a window of `steps`.

    The rows of `numbers`, shape (4, neurons), are bias of all steps, initial potential, threshold and subtrahend.
    """
    bias, initial, threshold, subtrahend = numbers
    zero, one, most = numbers.dtype.type(0), numbers.dtype.type(1), numbers.dtype.type(steps)
    for sample in range(currents.shape[0]):
        values = currents[sample]
        for i in range(bias.size):
            potential = (values[i] + bias[i]) + initial[i]
            count = np.floor(potential / subtrahend[i])
            if potential - (count - one) * subtrahend[i] < threshold[i]:
                count -= one
            values[i] = min(max(count, zero), most)


@compiled
def weighted(
    sources: Tuple[np.ndarray, ...],
    projections: Tuple[Table, ...],
    arrivals: Optional[Tuple[Entries, ...]],
    neurons: Neurons,
    spikes: np.ndarray,
    divisors: np.ndarray,
    currents: np.ndarray,
    room: np.ndarray,
) -> None:
    """Simulate a population that sums projections with weights; write its spikes, uint64 (samples, steps, words).

    Without `currents`, its current is `base` in every step.

    `sources` are the spikes that each of the projections reads. `arrivals` is the input of projections that read the
    input of each step: at least one, which may be empty, or None if no population of the network has one, which takes
    less time to compile. `divisors` of the sums are float32 (neurons,), or of length 0. `currents` is a flat buffer for
    the steps that are simulated at a time and `GROUP` more numbers, or empty. `room`, int32, is a buffer for lists of
    all neurons of a source: one list for each of these steps, and one more.
    """
    size, changes = neurons.potential.shape[1], currents.size > 0
    at_once = (currents.size - GROUP) // size if changes else spikes.shape[1]
    for sample in range(spikes.shape[0]):
        base = base_of(neurons.base, sample)
        for start in range(0, spikes.shape[1], at_once):
            steps = min(at_once, spikes.shape[1] - start)
            if changes:
                for step in range(steps):
                    for at in range(0, size, GROUP):
                        store(currents, step * size + at, load(base, at, 4))
                if arrivals is not None:
                    for i in range(len(arrivals)):
                        if arrivals[i].start.shape[1]:
                            begins = arrivals[i].start[sample, start : start + steps + 1]
                            _add_entries(currents, size, arrivals[i], begins)
                for i in range(len(projections)):
                    bits, table = sources[i][sample, start : start + steps], projections[i]
                    if table.form == WINDOWS:
                        _add_windows(bits, currents, size, table.windows, room)
                    elif table.form == RUNS:
                        _add_runs(bits, currents, size, table.runs, room)
                    else:
                        for step in range(steps):
                            _add_reach(bits[step], currents, step * size, table.reach, room)
                if divisors.size:
                    for step in range(steps):
                        for at in range(0, size, GROUP):
                            sums = load(currents, step * size + at, 4)
                            store(currents, step * size + at, sums / load(divisors, at, 4))
            current, stride = (currents, size) if changes else (base, 0)
            fire(neurons, sample, current, stride, steps, start, spikes[sample])
        count(neurons.counts[sample], spikes[sample])


@compiled
def largest_count(
    source: np.ndarray, neurons: Neurons, spikes: np.ndarray, room: np.ndarray, windows: np.ndarray
) -> None:
    """Simulate a max pooling: a window spikes in a step in which the largest spike count of its inputs rises.

    See `leading_input` for the arguments.
    """
    for sample in range(spikes.shape[0]):
        counts, highest = neurons.accumulated[sample], neurons.leader[sample]
        for step in range(spikes.shape[1]):
            bits = spikes[sample, step]
            bits[:] = 0
            for i in room[: bit_indices(source[sample, step], room, np.int64(0))]:
                counts[i] += 1
                for k in range(windows.shape[0]):
                    o = windows[k, i]
                    if o >= 0 and counts[i] > highest[o]:
                        highest[o] = np.int32(counts[i])
                        bits[o // GROUP] |= np.uint64(1) << np.uint64(o % GROUP)
        count(neurons.counts[sample], spikes[sample])


@compiled
def leading_input(
    source: np.ndarray,
    neurons: Neurons,
    spikes: np.ndarray,
    room: np.ndarray,
    windows: np.ndarray,
    amplitude: np.float32,
) -> None:
    """Simulate a max pooling: a window forwards the spike of its leader, the input that accumulated most so far.

    Of equal inputs, the first is the leader. `windows` is int32 (number, inputs): the neurons whose windows contain an
    input, filled up with -1. `amplitude` is the contribution of a spike. `room` is a buffer for a list of all inputs.
    See `weighted` for `source`, `neurons` and `spikes`.
    """
    current = np.empty_like(neurons.potential[0])
    for sample in range(spikes.shape[0]):
        accumulated, leader = neurons.accumulated[sample], neurons.leader[sample]
        for step in range(spikes.shape[1]):
            spiking = room[: bit_indices(source[sample, step], room, np.int64(0))]
            current[:] = base_of(neurons.base, sample)
            for i in spiking:
                accumulated[i] += amplitude
            for i in spiking:
                for k in range(windows.shape[0]):
                    o = windows[k, i]
                    if o >= 0:
                        best = leader[o]
                        lead = np.float32(-1) if best < 0 else accumulated[best]
                        if accumulated[i] > lead or (accumulated[i] == lead and i < best):
                            leader[o] = i
            for i in spiking:
                for k in range(windows.shape[0]):
                    o = windows[k, i]
                    if o >= 0 and leader[o] == i:
                        current[o] = amplitude
            fire(neurons, sample, current, np.int64(0), np.int64(1), step, spikes[sample])
        count(neurons.counts[sample], spikes[sample])
