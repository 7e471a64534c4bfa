"""The compiled part of the event-driven engine: spikes as lists of indices, weights added only where there are spikes.

A `Train` lists the neurons that spike, step after step, in rising order. So a neuron's contributions arrive in the
order of its inputs, and its current is a sequential float32 sum. What makes it fast:

- what a window of a convolution reads of a row of the image are consecutive events, whose weights are summed in
  registers before they are stored (`_add_rows`); one kernel row after the other, so that its weights stay in the cache;
- the membrane update is a flat loop that the compiler vectorises, and spikes are found 64 at a time.
"""

from typing import Any, Callable

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from snnb.simulation.event_types import GROUP, Neurons, Reach, Segments, Train

# A Dense layer's rows are read so many at a time: each of them from its beginning to its end, as memory likes it.
DENSE_ROWS = 8


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile, and keep the result on disk where there is a place for it; a read-only installation may have none."""
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        compiled = numba.njit(**options)(function)
    return compiled


@intrinsic
def _add_rows(typing, target, at, weights, shift, events, begin, end, length):  # type: ignore[no-untyped-def]
    """target[at:at + length] += weights[shift + events[e] * length:][:length] for e in range(begin, end), in order.

    Up to 64 sums at a time stay in registers while the rows go by. LLVM does not find that by itself: it vectorises
    the inner loop only, and would load and store the sums for each row.
    """
    whole = types.int64
    signature = types.void(target, whole, weights, whole, events, whole, whole, whole)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        index = ir.IntType(64)
        _, at, _, shift, _, begin, end, length = args
        target, weights, events = (
            context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 2, 4)
        )
        done = cgutils.alloca_once_value(builder, index(0))

        def add_next(width):  # type: ignore[no-untyped-def]
            vector = ir.VectorType(ir.FloatType(), width)
            sums, offset = cgutils.alloca_once(builder, vector), builder.load(done)

            def vector_at(array, at):  # type: ignore[no-untyped-def]
                return builder.bitcast(builder.gep(array, [at]), vector.as_pointer())

            place = vector_at(target, builder.add(at, offset))
            builder.store(builder.load(place, align=4), sums)
            first = builder.add(shift, offset)
            with cgutils.for_range(builder, end, start=begin) as event:
                neuron = builder.sext(builder.load(builder.gep(events, [event.index])), index)
                row = vector_at(weights, builder.add(first, builder.mul(neuron, length)))
                builder.store(builder.fadd(builder.load(sums), builder.load(row, align=4)), sums)
            builder.store(builder.load(sums), place, align=4)
            builder.store(builder.add(offset, index(width)), done)

        with cgutils.for_range(builder, builder.lshr(length, index(6))):
            add_next(64)
        with builder.if_then(builder.icmp_signed("<", builder.load(done), length)):
            for width in (32, 16, 8, 4, 2, 1):
                with builder.if_then(cgutils.is_not_null(builder, builder.and_(length, index(width)))):
                    add_next(width)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _bits(typing, spikes, first):  # type: ignore[no-untyped-def]
    """As bits of a uint64, lowest first, which of the 64 uint8 from `first` on are not 0."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), GROUP)
        start = builder.gep(context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]])
        loaded = builder.load(builder.bitcast(start, vector.as_pointer()), align=1)
        return builder.bitcast(builder.icmp_unsigned("!=", loaded, ir.Constant(vector, None)), ir.IntType(64))

    return types.uint64(spikes, types.int64), generate


@intrinsic
def _lowest(typing, word):  # type: ignore[no-untyped-def]
    """Number of the lowest bit of a uint64 that is set; there must be one."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.uint64), generate


@_compiled
def _integrate(neurons: Neurons) -> None:
    """Add the current, spike at the threshold, reset."""
    potential, current, spikes = neurons.potential, neurons.current, neurons.spikes
    for i in range(potential.size):
        m = potential[i] + current[i]
        fires = m >= neurons.threshold
        spikes[i] = fires
        down = m if neurons.to_zero else neurons.threshold
        potential[i] = m - (down if fires else np.float32(0))


@_compiled
def _softmax(neurons: Neurons, step: int) -> None:
    """Spike where the random number is at most the softmax of the potential; such a neuron is reset to zero."""
    potential, current = neurons.potential, neurons.current
    for first in range(0, neurons.uniforms.shape[1], neurons.classes):
        highest, total = np.float32(-np.inf), np.float32(0)
        for i in range(first, first + neurons.classes):
            potential[i] += current[i]
            highest = max(highest, potential[i])
        for i in range(first, first + neurons.classes):
            total += np.exp(potential[i] - highest)
        for i in range(first, first + neurons.classes):
            fires = neurons.uniforms[step, i] <= np.exp(potential[i] - highest) / total
            neurons.spikes[i] = fires
            if fires:
                potential[i] = 0


@_compiled
def _fire(neurons: Neurons, step: int, train: Train, n: int) -> int:
    """One step of the neurons, given their current. Their spikes go to `train` from index n on; returns its new end."""
    for i in range(neurons.readout.size):
        neurons.readout[i] += neurons.current[i]
    if neurons.uniforms.size:
        _softmax(neurons, step)
    else:
        _integrate(neurons)
    for first in range(0, neurons.spikes.size, GROUP):
        left = _bits(neurons.spikes, first)
        while left:
            i = first + _lowest(left)
            train.events[n] = i
            neurons.counts[i] += 1
            n += 1
            left &= left - np.uint64(1)
    return n


@_compiled
def _position(neuron: int, channels: int) -> int:
    """Position of a neuron in the image; 32-bit unsigned division is the fast one."""
    return np.int64(np.uint32(neuron) // np.uint32(channels))  # type: ignore[return-value]


@_compiled
def _settle(neurons: Neurons) -> None:
    """The current returns to its base."""
    for i in range(neurons.current.size):
        neurons.current[i] = neurons.base[i]


@_compiled
def constant(steps: int, neurons: Neurons, train: Train) -> None:
    """A population whose current never changes."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        n = _fire(neurons, step, train, n)
    train.start[steps] = n


@_compiled
def dense(steps: int, source: Train, weights: np.ndarray, length: int, neurons: Neurons, train: Train) -> None:
    """weights: flat, a row of `length` for each input."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        end = source.start[step + 1]
        for e in range(source.start[step], end, DENSE_ROWS):
            _add_rows(neurons.current, 0, weights, 0, source.events, e, min(e + DENSE_ROWS, end), length)
        n = _fire(neurons, step, train, n)
        _settle(neurons)
    train.start[steps] = n


@_compiled
def _index_positions(source: Train, step: int, channels: int, begins: np.ndarray) -> None:
    """begins[p]: index of the first event of this step that is at position p of the image or behind it."""
    first, end = source.start[step], source.start[step + 1]
    for p in range(begins.size):
        begins[p] = first
    for e in range(first, end):  # the last event of each position remains; no integer division, which is slow
        begins[int((source.events[e] + 0.5) * (1 / channels)) + 1] = e + 1
    for p in range(1, begins.size):
        begins[p] = max(begins[p], begins[p - 1])


@_compiled
def convolution(
    steps: int,
    source: Train,
    channels: int,
    segments: Segments,
    weights: np.ndarray,
    filters: int,
    neurons: Neurons,
    train: Train,
) -> None:
    """weights: flat, by kernel row, kernel column, channel and filter."""
    begins = np.zeros(segments.positions + 1, np.int64)
    n = 0
    for step in range(steps):
        train.start[step] = n
        _index_positions(source, step, channels, begins)
        for k in range(segments.target.size):
            begin, end = begins[segments.first[k]], begins[segments.stop[k]]
            if begin < end:
                _add_rows(
                    neurons.current,
                    segments.target[k],
                    weights,
                    segments.shift[k],
                    source.events,
                    begin,
                    end,
                    filters,
                )
        n = _fire(neurons, step, train, n)
        _settle(neurons)
    train.start[steps] = n


@_compiled
def depthwise(
    steps: int,
    source: Train,
    channels: int,
    reach: Reach,
    weights: np.ndarray,
    multiplier: int,
    neurons: Neurons,
    train: Train,
) -> None:
    """weights: flat, by tap and input channel `multiplier` numbers."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        for e in range(source.start[step], source.start[step + 1]):
            position = _position(source.events[e], channels)
            first = (source.events[e] - position * channels) * multiplier
            for k in range(reach.start[position], reach.start[position + 1]):
                for m in range(first, first + multiplier):
                    neurons.current[reach.target[k] + m] += weights[reach.tap[k] + m]
        n = _fire(neurons, step, train, n)
        _settle(neurons)
    train.start[steps] = n


@_compiled
def average(
    steps: int,
    source: Train,
    windows: np.ndarray,
    amplitude: np.float32,
    taps: np.ndarray,
    neurons: Neurons,
    train: Train,
) -> None:
    """windows: int32 `(number, inputs)`, the neurons whose windows an input is in, -1 where there are fewer.

    taps: float32, the number of inputs of each neuron. Adding before dividing rounds as TensorFlow does.
    """
    n = 0
    for step in range(steps):
        train.start[step] = n
        for e in range(source.start[step], source.start[step + 1]):
            for k in range(windows.shape[0]):
                o = windows[k, source.events[e]]
                if o >= 0:
                    neurons.current[o] += amplitude
        for i in range(taps.size):
            neurons.current[i] /= taps[i]
        n = _fire(neurons, step, train, n)
        _settle(neurons)
    train.start[steps] = n


@_compiled
def maximum(
    steps: int, source: Train, windows: np.ndarray, amplitude: np.float32, neurons: Neurons, train: Train
) -> None:
    """A window's leader is the input with most spikes so far, the first of several; its present spike is passed on.

    windows: as for `average`.
    """
    accumulated, leader = neurons.accumulated, neurons.leader
    n = 0
    for step in range(steps):
        train.start[step] = n
        begin, end = source.start[step], source.start[step + 1]
        for e in range(begin, end):
            accumulated[source.events[e]] += 1
        for e in range(begin, end):
            i = source.events[e]
            for k in range(windows.shape[0]):
                o = windows[k, i]
                if o >= 0:
                    best = leader[o]
                    lead = -1 if best < 0 else accumulated[best]
                    if accumulated[i] > lead or (accumulated[i] == lead and i < best):
                        leader[o] = i
        for e in range(begin, end):
            for k in range(windows.shape[0]):
                o = windows[k, source.events[e]]
                if o >= 0 and leader[o] == source.events[e]:
                    neurons.current[o] = amplitude
        n = _fire(neurons, step, train, n)
        _settle(neurons)
    train.start[steps] = n


@_compiled
def renumbered(steps: int, source: Train, table: np.ndarray, train: Train) -> None:
    """The same spikes where neuron i is called `table[i]`, which rises with i."""
    end = source.start[steps]
    for e in range(end):
        train.events[e] = table[source.events[e]]
    train.start[: steps + 1] = source.start[: steps + 1]


@_compiled
def merged(steps: int, one: Train, two: Train, train: Train) -> None:
    """The spikes of two populations in rising order."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        a, b = one.start[step], two.start[step]
        while a < one.start[step + 1] or b < two.start[step + 1]:
            if b == two.start[step + 1] or (a < one.start[step + 1] and one.events[a] <= two.events[b]):
                train.events[n] = one.events[a]
                a += 1
            else:
                train.events[n] = two.events[b]
                b += 1
            n += 1
    train.start[steps] = n
