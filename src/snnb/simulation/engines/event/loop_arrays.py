"""Arguments of the compiled loops: spikes, neurons, tables of projections, and buffers.

The arguments are named tuples of arrays, which numba supports. Numba passes an array as
seven numbers to each function that takes it, which LLVM compiles slowly, so that a
tuple has few arrays. An array that has nothing to hold is empty: it has a length of 0
on its last axis.

A *number* of a population is float32. In an integer network whose sums float32 does not
hold exactly, and in one of fixed-point neurons, all numbers are float64.

Spikes are bits, 64 neurons in a *word*: uint64, shape (samples, steps, words), where
bit i of word w belongs to neuron 64 w + i. They take at most 1/32 of the memory of a
list, and are written and counted 64 at a time. All arrays of neurons are filled up to a
multiple of 64 neurons. Where a shape below has the axis `neurons`, it is this multiple.

Arrays are aligned to cache lines.
"""

import math
import threading
from typing import Dict, NamedTuple, Tuple, Type

import numpy as np

from snnb.simulation.engines.engine import Real

CACHE_LINE = 64  # bytes
WORD_SIZE = 64  # neurons in a word of spikes
VECTOR_SIZE = 16  # numbers in a vector, see `vectors`
WORD_VECTORS = WORD_SIZE // VECTOR_SIZE
SPARE_ENTRIES = 8  # entries of a buffer behind each list of spikes, see `list_spikes`

# Numbers of filters whose currents are summed together, in registers; see `WindowTable`
GROUP_WIDTHS = (64, 32, 16)
RUN_VECTORS = 6  # most vectors of weights of a run, see `RunTable`
# Windows whose values are multiplied together by the weights of 32 or 16 filters
LANES = 4


class Parameters(NamedTuple):
    """Constants of the neurons of a population: numbers, shape (neurons,).

    Populations without a neuron model have only `bias`, `threshold` and `reset`; their
    other arrays are empty. `engine.Dynamics` describes the last five.
    """

    # Added to the current after all projections, as in TensorFlow; see also
    # `Neurons.constant_current`
    bias: np.ndarray
    threshold: np.ndarray  # infinite where neurons do not spike
    reset: np.ndarray  # see `Neurons.resets_to_value`
    below_threshold: np.ndarray  # largest number that is less than the threshold
    leak_rate: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    current_leak_rate: np.ndarray
    current_gain: np.ndarray


class SeparatedParameters(NamedTuple):
    """Constants of neurons that fire after all their input: numbers, (neurons,).

    They are not filled up.
    """

    bias: np.ndarray  # of all steps together
    initial_potential: np.ndarray
    threshold: np.ndarray
    subtrahend: np.ndarray


class NeuronState(NamedTuple):
    """What the steps change in neurons: arrays whose first axis is the sample."""

    potential: np.ndarray  # numbers (samples, neurons)
    synaptic_current: np.ndarray  # numbers (samples, neurons), or empty
    spike_counts: np.ndarray  # int32 (samples, neurons)
    # int64 (samples, 1): number of changes of a potential from one step to the next
    update_count: np.ndarray
    # int64 (samples, 1): number of potentials that were equal to `below_threshold`;
    # empty without a neuron model
    tie_count: np.ndarray


class PoolingState(NamedTuple):
    """What the steps change in a max pooling, beside its neurons, by sample.

    `simulate_largest_count` has no `leaders`, and `simulate_leading_input` has no
    `largest_counts`.
    """

    # numbers (samples, inputs): amplitudes of the spikes of each input so far
    input_totals: np.ndarray
    # int32 (samples, windows), or empty: largest spike count of the inputs of a window
    largest_counts: np.ndarray
    # int32 (samples, windows), or empty: input that a window follows; -1 before the
    # first spike
    leaders: np.ndarray


class Neurons(NamedTuple):
    """A population in some samples."""

    parameters: Parameters
    state: NeuronState
    resets_to_value: bool  # a spike sets the potential to `reset`, or else subtracts it
    softmax_size: int  # number of neurons that a softmax is computed over
    # Current of the constant input: numbers (samples, neurons or more), or zeros of the
    # shape (1, neurons). Of fixed-point neurons it is whole, and includes the bias
    constant_current: np.ndarray
    starts_samples: bool  # whether the call begins with the first step of the samples
    # Of a softmax, numbers from 0 to 1: float32 (samples, steps, neurons), or empty.
    # They are not filled up.
    random_numbers: np.ndarray
    # Output: the current of each step, or the potential of neurons with a neuron model:
    # numbers (samples, steps, neurons), or empty. They are not filled up.
    trace: np.ndarray


class WindowTable(NamedTuple):
    """What each window reads, of projections with many filters that read all channels.

    Of a grouped convolution, windows are the parts of windows: see `projection_tables`.
    A row of weights belongs to a tap and a channel; it has the weights of all filters.
    The rows are divided into blocks that fit into the cache. A range is what a window
    reads in a block: units next to each other, whose rows of weights are next to each
    other too. A unit is a position, or a slice of its channels. `projection_tables` has
    a picture.
    """

    # Numbers, flat: by group of filters, row, and filter of the group. A group has as
    # many filters as possible of `GROUP_WIDTHS`.
    weights: np.ndarray
    unit_start: np.ndarray  # int64 (units + 1,): neurons of unit u, see below
    # int32 (blocks × windows + 1,): ranges of window w in block b, at index
    # b × windows + w
    range_start: np.ndarray
    target: np.ndarray  # int32 (windows,): first neuron of the window
    first_unit: np.ndarray  # int32 (ranges,)
    end_unit: np.ndarray  # int32 (ranges,): the unit after the last
    row_shift: np.ndarray  # int32 (ranges,): row of weights of a neuron, minus neuron
    rows: int
    filters: int  # filled up to a multiple of `VECTOR_SIZE`


class RunTable(NamedTuple):
    """Where the spikes of each position arrive, of projections that read all channels.

    Of a grouped convolution, positions are the parts of positions.
    It is for few filters. A run is windows next to each other that have a position in
    common. `projection_tables` has a picture.
    """

    # Numbers, flat: by row of the kernel, pattern, channel, window of the run, and
    # filter; filled up to a multiple of `VECTOR_SIZE` for each channel
    weights: np.ndarray
    position_start: np.ndarray  # int64 (positions + 1,): neurons of each position
    run_start: np.ndarray  # int32 (positions + 1,): runs of each position
    target: np.ndarray  # int32 (runs,): first neuron of the first window
    # int64 (runs,): weights of neuron i begin at weight_start + i × weight_stride
    weight_start: np.ndarray
    weight_stride: np.ndarray  # int32 (runs,)
    vectors: np.ndarray  # int32 (runs,): vectors of weights, from 1 to `RUN_VECTORS`


# Layouts of an `ArrivalTable`
BY_POSITION = 0  # arrivals of each position, for all channels together
BY_NEURON = 1  # arrivals of each neuron
ONE_ARRIVAL = 2  # neuron i has only arrival i
SAME_NEURON = 3  # neuron i adds weight i to the current of neuron i


class ArrivalTable(NamedTuple):
    """Where the spikes of each position or neuron arrive; a filter reads few channels.

    An arrival is a window in which the position is, or one neuron of this window. In
    the layout `BY_POSITION`, there are as many filters as channels. Each group of
    `group_size` filters reads the channels of the same numbers. In the other layouts, a
    filter reads one channel.
    """

    layout: int  # see above; the other columns state what is empty then
    # Numbers, flat: by tap, channel of the group, and filter, and `WORD_SIZE` more
    weights: np.ndarray
    # int32 (positions or neurons, + 1): arrivals of each; of two layouts only
    arrival_start: np.ndarray
    target: np.ndarray  # int32 (arrivals,): neuron of the window
    weight_start: np.ndarray  # int32 (arrivals,): index of the weight of this neuron
    channels: int  # of a position
    group_size: int  # a divisor of `WORD_SIZE`


# Forms of a `ProjectionTable`
WINDOW_FORM = 0
RUN_FORM = 1
ARRIVAL_FORM = 2


class ProjectionTable(NamedTuple):
    """Geometry and weights of a projection in one of three forms; the others are empty.

    So all projections have one type, and the loops are compiled once.

    In each form, an array `..._start` divides rows of another array into groups: group
    g has the rows start[g] to before start[g + 1].
    """

    form: int
    windows: WindowTable
    runs: RunTable
    arrivals: ArrivalTable


class InputEntries(NamedTuple):
    """Input that changes from step to step (`InputSteps`), as one projection reads it.

    An entry is the input of a neuron in a step. `runs` or `arrivals` is the table of
    the projection, and the other one is empty; `arrivals` has the layout `BY_NEURON`.
    """

    # int64 (samples, steps + 1): entries of each step; (1, 0) without any
    step_start: np.ndarray
    neuron: np.ndarray  # int32 (entries,); `PADDING` if the projection does not read it
    value: np.ndarray  # float32 (entries,)
    runs: RunTable
    arrivals: ArrivalTable


class DenseTapTable(NamedTuple):
    """Inputs of each window, of filters that read all channels of values.

    The projection reads values of all neurons at once: pixels, or spike counts.
    """

    # int32 (windows, taps): first neuron of the position under each tap; `PADDING` for
    # a tap outside the image
    first_input: np.ndarray
    # Numbers, flat: by group of filters, tap, channel, and filter of the group, as in
    # `WindowTable`, but in groups of 32 and 16 filters
    weights: np.ndarray
    channels: int
    filters: int


class ChannelTapTable(NamedTuple):
    """Inputs of each window, of filters that read the channel of the same number."""

    # int32 (windows, taps): as in `DenseTapTable`, of an image with a channel for each
    # filter
    first_input: np.ndarray
    weights: np.ndarray  # numbers, flat: by tap and filter
    filters: int


def zeros(shape: Tuple[int, ...], dtype: Type[np.generic]) -> np.ndarray:
    """Return zeros that are aligned, so that each vector lies in one cache line."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    # The operating system fills memory with zeros when it is first used.
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def align(values: np.ndarray) -> np.ndarray:
    """Copy an array, aligned."""
    copy = zeros(values.shape, values.dtype.type)
    copy[...] = values
    return copy


def round_up(number: int, multiple: int = WORD_SIZE) -> int:
    """Return the next multiple: the number 65 gives 128, and 64 gives 64."""
    return -(-number // multiple) * multiple


def count_words(neurons: int) -> int:
    """Return the number of words with the spikes of some neurons."""
    return round_up(neurons) // WORD_SIZE


def fill_up(values: np.ndarray) -> np.ndarray:
    """Copy an array of the shape (..., neurons), with zeros after the last neuron.

    The last axis of the copy is a multiple of `WORD_SIZE`. The copy is aligned.
    """
    neurons = values.shape[-1]
    copy = zeros((*values.shape[:-1], round_up(neurons)), values.dtype.type)
    copy[..., :neurons] = values
    return copy


def pack_bits(spikes: np.ndarray) -> np.ndarray:
    """Return spikes as words: bool (..., neurons) becomes uint64 (..., words)."""
    octets = np.packbits(fill_up(spikes), axis=-1, bitorder="little")
    return octets.view("<u8").astype(np.uint64, copy=False)


def unpack_bits(words: np.ndarray) -> np.ndarray:
    """Return spikes as booleans: uint64 (..., words) becomes (..., neurons), filled up."""
    octets = words.astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little").view(np.bool_)


class Buffers(threading.local):
    """Buffers of each thread.

    They are created or enlarged on demand, and used again for other samples. A call for
    the same buffer invalidates the array that the call before it returned.
    """

    def __init__(self, real: Real) -> None:
        self.real = real
        self._spikes: Dict[str, np.ndarray] = {}
        self._currents = np.zeros(0, real)
        self._spike_list = np.zeros(0, np.int32)

    def spikes(self, name: str, samples: int, steps: int, neurons: int) -> np.ndarray:
        """Return a buffer for spikes: uint64, shape (samples, steps, words).

        There is a buffer for each `name`.
        """
        words = count_words(neurons)
        size = samples * steps * words
        if name not in self._spikes or self._spikes[name].size < size:
            self._spikes[name] = np.empty(size, np.uint64)
        return self._spikes[name][:size].reshape(samples, steps, words)

    def currents(self, size: int) -> np.ndarray:
        """Return a buffer for currents: numbers, shape (size,)."""
        if self._currents.size < size:
            self._currents = zeros((size,), self._currents.dtype.type)
        return self._currents[:size]

    def spike_list(self, size: int) -> np.ndarray:
        """Return a buffer for lists of the neurons that spike: int32, shape (size,)."""
        if self._spike_list.size < size:
            self._spike_list = np.empty(size, np.int32)
        return self._spike_list[:size]
