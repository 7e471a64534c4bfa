"""Input that changes from step to step, in memory and on disk.

It consists of currents, or of counts of events, without the zeros.
"""

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Mapping, Optional, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError
from snnb.io.hdf5 import read_rows, reading, text_of, whole, write_array, writing
from snnb.network.geometry import Shape


@dataclass(frozen=True, eq=False)
class InputSteps:
    """Entries of consecutive samples, sorted by sample, time step and neuron.

    A sample has no end: after its last entry it is silent. A slice `steps[first:stop]`
    has some of the samples.
    """

    shape: Shape  # of the input
    # int64 (samples + 1,): sample i has the entries bounds[i] to before bounds[i + 1]
    bounds: np.ndarray
    step: np.ndarray  # int32 (entries,)
    neuron: np.ndarray  # int32 (entries,): index into the flattened input
    # float32 (entries,): current of the neuron's projections, before weighting
    value: np.ndarray

    @classmethod
    def dense(cls, x: np.ndarray) -> "InputSteps":
        """Take the entries other than 0 of an array (samples, steps, *shape)."""
        flat = x.reshape(*x.shape[:2], -1)
        sample, step, neuron = np.nonzero(flat)
        return cls(
            x.shape[2:],
            np.searchsorted(sample, np.arange(len(x) + 1)),
            step.astype(np.int32),
            neuron.astype(np.int32),
            flat[sample, step, neuron].astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, samples: slice) -> "InputSteps":
        start, stop, _ = samples.indices(len(self))
        bounds = self.bounds[start : max(start, stop) + 1]
        part = slice(bounds[0], bounds[-1])
        return InputSteps(
            self.shape,
            bounds - bounds[0],
            self.step[part],
            self.neuron[part],
            self.value[part],
        )

    @property
    def sample(self) -> np.ndarray:
        """Index of the sample of each entry: int64."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def starts(self, steps: int) -> np.ndarray:
        """Return the index of the first entry of each step, and the end of the last.

        The result is int64 (samples, steps + 1).
        """
        steps_and_end = np.arange(steps + 1)
        starts = np.zeros((len(self), steps + 1), np.int64)
        for sample in range(len(self)):
            start = self.bounds[sample]
            sample_steps = self.step[start : self.bounds[sample + 1]]
            starts[sample] = start + np.searchsorted(sample_steps, steps_and_end)
        return starts

    def between(self, first_step: int, stop: int) -> np.ndarray:
        """Return the indices of the entries from `first_step` to `stop` - 1."""
        return np.flatnonzero((self.step >= first_step) & (self.step < stop))

    def frames(self, first_step: int, stop: int) -> np.ndarray:
        """Return the input in the steps from `first_step` to `stop` - 1.

        It is float32 (samples, steps, *shape).
        """
        entries = self.between(first_step, stop)
        steps = stop - first_step
        frames = np.zeros((len(self), steps, math.prod(self.shape)), np.float32)
        sample = self.sample[entries]
        step = self.step[entries] - first_step
        frames[sample, step, self.neuron[entries]] = self.value[entries]
        return frames.reshape(len(self), steps, *self.shape)

    def sums(self, first_step: int, stop: int) -> np.ndarray:
        """Sum the steps from `first_step` to `stop` - 1: float64 (samples, *shape)."""
        entries = self.between(first_step, stop)
        size = math.prod(self.shape)
        place = self.sample[entries] * size + self.neuron[entries]
        sums = np.bincount(place, self.value[entries], minlength=len(self) * size)
        return sums.reshape(len(self), *self.shape)


FORMAT = "snnb event samples"
VERSION = 1
_CHUNK = 1 << 16  # elements that are compressed together
_BUFFER = 1 << 20  # elements in memory before they are written


@dataclass(frozen=True)
class Steps:
    """Input of a sample in each time step.

    It has the elements other than 0, sorted by step and neuron.
    """

    step: np.ndarray  # int64, as `neuron`, and of its length, as `value`
    neuron: np.ndarray  # index into the flattened input, (height, width, channels)
    value: np.ndarray  # number of events, or current
    length: int  # number of time steps
    outside: int = 0  # number of events outside the sensor, which are ignored
    # Number of events of the sensor after the last complete bin, which are ignored
    late: int = 0
    # Time of the first event in its recording; None without events
    first_us: Optional[int] = 0
    short: bool = False  # whether the recording is shorter than a time step


class Lifetime:
    """Exists as long as samples of a file, or a part of them."""


class EventSamples:
    """Samples in a file, or consecutive ones of them; a slice reads some of them.

    `shape` is that of the input; `lengths`, int32 (samples,), has the number of time
    steps after which each sample is silent. `has_counts` is whether values are numbers
    of events, not currents.
    """

    def __init__(self, path: Path) -> None:
        """Open a file that `write_samples` wrote.

        Raise `DamagedError` if it is not one.
        """
        with reading(path) as file:
            format_name = text_of(file.attrs.get("format"))
            if format_name != FORMAT or file.attrs["version"] != VERSION:
                raise DamagedError(path, f"not a file of {FORMAT}, version {VERSION}")
            self.shape = tuple(int(size) for size in file.attrs["shape"])
            self.lengths = whole(file["length"])
            self.has_counts = file["value"].dtype.kind == "u"
            self._bounds = whole(file["bounds"])
        self._path = path
        self.lifetime = Lifetime()

    def __len__(self) -> int:
        return len(self.lengths)

    def part(self, rows: slice) -> "EventSamples":
        """Return consecutive samples, without reading them."""
        start, stop, _ = rows.indices(len(self))
        part = copy.copy(self)
        part.lengths = self.lengths[start:stop]
        part._bounds = self._bounds[start : max(start, stop) + 1]
        return part

    def __getitem__(self, rows: slice) -> InputSteps:
        bounds = self.part(rows)._bounds
        start = int(bounds[0])
        end = int(bounds[-1])
        with reading(self._path) as file:
            step = read_rows(file["step"], start, end)
            neuron = read_rows(file["neuron"], start, end)
            value = read_rows(file["value"], start, end).astype(np.float32)
        return InputSteps(self.shape, bounds - bounds[0], step, neuron, value)


def write_samples(
    path: Path,
    samples: Iterable[Steps],
    shape: Tuple[int, ...],
    dtype: str,
) -> List[int]:
    """Write samples, read one at a time, to a compressed HDF5 file.

    Return the number of time steps of each.

    The datasets `step`, `neuron` (int32), `value` (`dtype`) and `bounds` (int64) are
    fields of `InputSteps`; `length` (int32) has the number of time steps of each
    sample. The attribute `shape` is (height, width, channels).
    """
    bounds = [0]
    lengths = []
    with writing(path) as file:
        file.attrs.update(format=FORMAT, version=VERSION, shape=shape)
        buffer = _Buffer(file, {"step": "<i4", "neuron": "<i4", "value": dtype})
        for sample in samples:
            buffer.append(sample)
            bounds.append(bounds[-1] + sample.step.size)
            lengths.append(sample.length)
        buffer.flush()
        write_array(file, "bounds", np.array(bounds, "<i8"))
        write_array(file, "length", np.array(lengths, "<i4"))
    return lengths


class _Buffer:
    """Samples that are in memory before they are appended to the datasets of a file.

    `dtypes` are those of the datasets, by name of the field of `Steps`.
    """

    def __init__(self, file: h5py.Group, dtypes: Mapping[str, str]) -> None:
        self._samples: List[Steps] = []
        self._elements = 0  # of these samples
        self._file = file
        self._names = list(dtypes)
        for name, dtype in dtypes.items():
            file.create_dataset(
                name,
                (0,),
                dtype,
                maxshape=(None,),
                chunks=(_CHUNK,),
                compression=4,
                shuffle=True,
                track_times=False,
            )

    def append(self, sample: Steps) -> None:
        """Add a sample; write all if they are many."""
        self._samples.append(sample)
        self._elements += sample.step.size
        if self._elements >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write the samples to the file."""
        for name in self._names:
            dataset = self._file[name]
            end = dataset.shape[0]
            dataset.resize((end + self._elements,))
            if self._elements:
                arrays = [getattr(sample, name) for sample in self._samples]
                dataset[end:] = np.concatenate(arrays)
        self._samples.clear()
        self._elements = 0
