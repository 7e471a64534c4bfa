"""Read and write the spikes of single samples, `spike_times.npz`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

import numpy as np

from snnb.io.npy import load_archive

SPIKE_TIMES = "spike_times.npz"
_LENGTHS, _FIRST = ("num_samples", "num_steps"), "first_sample"  # `first_sample` is written if it is not 0


@dataclass(frozen=True, eq=False)
class SpikeTimes:
    """Recorded spikes."""

    samples: range  # indices of the test samples
    steps: int  # number of time steps of a sample
    # By population integers (spikes, 3), with the columns sample, neuron, step, sorted by sample and step
    spikes: Mapping[str, np.ndarray]

    def write(self, path: Path, *, compressed: bool = False) -> None:
        """Write them to a file."""
        lengths = dict(zip(_LENGTHS, (len(self.samples), self.steps)))
        first = {_FIRST: self.samples.start} if self.samples.start else {}
        (np.savez_compressed if compressed else np.savez)(path, **self.spikes, **lengths, **first)


def read_spike_times(path: Path, populations: Optional[Sequence[str]] = None) -> SpikeTimes:
    """Read the spikes of all populations, or of some; raise `DamagedError` if the file is damaged or lacks one."""
    names = None if populations is None else [*populations, *_LENGTHS, _FIRST]
    arrays = load_archive(path, names=names, must=[*(populations or ()), *_LENGTHS])
    samples, steps, first = (int(arrays.pop(name, 0)) for name in (*_LENGTHS, _FIRST))
    return SpikeTimes(range(first, first + samples), steps, arrays)
