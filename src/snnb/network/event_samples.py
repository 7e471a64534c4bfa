"""Input that changes from step to step: currents, or counts of events, without the zeros, in memory and on disk."""

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Optional, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.io.hdf5 import read_rows, reading, text_of, whole, write_array, writing
from snnb.network.geometry import Shape


@dataclass(frozen=True, eq=False)
class InputSteps:
    """Entries of consecutive samples, sorted by sample, time step, and neuron of the input.

    A sample has no end: after its last entry it is silent. A slice `steps[first:stop]` has some of the samples.
    """

    shape: Shape  # of the input
    bounds: np.ndarray  # int64 (samples + 1,): sample i has the entries bounds[i] to before bounds[i + 1]
    step: np.ndarray  # int32 (entries,)
    neuron: np.ndarray  # int32 (entries,): index into the flattened input
    value: np.ndarray  # float32 (entries,): current of the neuron's projections, before weighting

    @classmethod
    def dense(cls, x: np.ndarray) -> "InputSteps":
        """Take the entries other than 0 of an array of shape (samples, steps, *shape)."""
        flat = x.reshape(*x.shape[:2], -1)
        sample, step, neuron = np.nonzero(flat)
        bounds = np.searchsorted(sample, np.arange(len(x) + 1))
        value = flat[sample, step, neuron].astype(np.float32)
        return cls(x.shape[2:], bounds, step.astype(np.int32), neuron.astype(np.int32), value)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, samples: slice) -> "InputSteps":
        first, stop, _ = samples.indices(len(self))
        bounds = self.bounds[first : max(first, stop) + 1]
        part = slice(bounds[0], bounds[-1])
        return InputSteps(self.shape, bounds - bounds[0], self.step[part], self.neuron[part], self.value[part])

    @property
    def sample(self) -> np.ndarray:
        """Index of the sample of each entry: int64."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def starts(self, steps: int) -> np.ndarray:
        """Return the index of the first entry of each step, and the end of the last: int64 (samples, steps + 1)."""
        bounds, numbers = self.bounds, np.arange(steps + 1)
        indices = [a + np.searchsorted(self.step[a:b], numbers) for a, b in zip(bounds[:-1], bounds[1:])]
        return np.array(indices, np.int64).reshape(len(self), steps + 1)

    def between(self, first: int, stop: int) -> np.ndarray:
        """Return the indices of the entries in the steps from `first` to before `stop`."""
        return np.flatnonzero((self.step >= first) & (self.step < stop))

    def frames(self, first: int, stop: int) -> np.ndarray:
        """Return the input in the steps from `first` to before `stop`: float32 (samples, steps, *shape)."""
        chosen = self.between(first, stop)
        frames = np.zeros((len(self), stop - first, math.prod(self.shape)), np.float32)
        frames[self.sample[chosen], self.step[chosen] - first, self.neuron[chosen]] = self.value[chosen]
        return frames.reshape(len(self), stop - first, *self.shape)

    def sums(self, first: int, stop: int) -> np.ndarray:
        """Sum the steps from `first` to before `stop`: float64 (samples, *shape)."""
        chosen, size = self.between(first, stop), math.prod(self.shape)
        place = self.sample[chosen] * size + self.neuron[chosen]
        return np.bincount(place, self.value[chosen], minlength=len(self) * size).reshape(len(self), *self.shape)


FORMAT, VERSION = "snnb event samples", 1
ELEMENTS = ("step", "neuron", "value")
_CHUNK = 1 << 16  # elements that are compressed together
_BUFFER = 1 << 20  # elements in memory before they are written


@dataclass(frozen=True)
class Steps:
    """Input of a sample in each time step: the elements other than 0, sorted by step and neuron."""

    step: np.ndarray  # int64, as `neuron`, and of its length, as `value`
    neuron: np.ndarray  # index into the flattened input, (height, width, channels)
    value: np.ndarray  # number of events, or current
    length: int  # number of time steps
    outside: int = 0  # number of events outside the sensor, which are ignored
    late: int = 0  # number of events of the sensor after the last complete bin, which are ignored
    first_us: Optional[int] = 0  # time of the first event in its recording; None without events
    short: bool = False  # whether the recording is shorter than a time step


class EventSamples:
    """Samples in a file, or consecutive ones of them; a slice reads some of them.

    `shape` is that of the input; `lengths`, int32 (samples,), has the number of time steps after which each sample is
    silent.
    """

    def __init__(self, path: Path) -> None:
        """Open a file that `write_samples` wrote; raise `DamagedError` if it is not one."""
        with reading(path) as file:
            if text_of(file.attrs.get("format")) != FORMAT or file.attrs["version"] != VERSION:
                raise DamagedError(path, f"not a file of {FORMAT}, version {VERSION}")
            self.shape = tuple(int(size) for size in file.attrs["shape"])
            self.lengths, self._bounds = whole(file["length"]), whole(file["bounds"])
        self._path = path

    def __len__(self) -> int:
        return len(self.lengths)

    def part(self, rows: slice) -> "EventSamples":
        """Return consecutive samples, without reading them."""
        first, stop, _ = rows.indices(len(self))
        part = copy.copy(self)
        part.lengths, part._bounds = self.lengths[first:stop], self._bounds[first : max(first, stop) + 1]
        return part

    def __getitem__(self, rows: slice) -> InputSteps:
        bounds = self.part(rows)._bounds
        with reading(self._path) as file:
            step, neuron, value = (read_rows(file[name], int(bounds[0]), int(bounds[-1])) for name in ELEMENTS)
        return InputSteps(self.shape, bounds - bounds[0], step, neuron, value.astype(np.float32))


def write_samples(path: Path, samples: Iterable[Steps], shape: Tuple[int, ...], dtype: str) -> List[int]:
    """Write samples, read one at a time, to a compressed HDF5 file; return the number of time steps of each.

    The datasets `step`, `neuron` (int32), `value` (`dtype`) and `bounds` (int64) are fields of `InputSteps`; `length`
    (int32) has the number of time steps of each sample. The attribute `shape` is (height, width, channels).
    """
    bounds, length = [0], []
    waiting: List[Steps] = []
    with writing(path) as file:
        file.attrs.update(format=FORMAT, version=VERSION, shape=shape)
        for name, kind in zip(ELEMENTS, ("<i4", "<i4", dtype)):
            file.create_dataset(
                name, (0,), kind, maxshape=(None,), chunks=(_CHUNK,), compression=4, shuffle=True, track_times=False
            )

        def flush() -> None:
            for name in ELEMENTS:
                written = file[name].shape[0]
                file[name].resize((bounds[-1],))
                if bounds[-1] > written:
                    file[name][written:] = np.concatenate([getattr(sample, name) for sample in waiting])
            waiting.clear()

        for sample in samples:
            waiting.append(sample)
            bounds.append(bounds[-1] + sample.step.size)
            length.append(sample.length)
            if bounds[-1] - file["step"].shape[0] >= _BUFFER:
                flush()
        flush()
        write_array(file, "bounds", np.array(bounds, "<i8"))
        write_array(file, "length", np.array(length, "<i4"))
    return length
