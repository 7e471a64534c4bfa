"""Read and write the spikes of single samples, `spike_times.npz`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

import numpy as np

from snnb.io.npy import load_archive

SPIKE_TIMES = "spike_times.npz"
_SAMPLES = "num_samples"
_STEPS = "num_steps"
_FIRST_SAMPLE = "first_sample"  # written if it is not 0


@dataclass(frozen=True, eq=False)
class SpikeTimes:
    """Recorded spikes."""

    samples: range  # indices of the test samples
    steps: int  # number of time steps of a sample
    # By population integers (spikes, 3), with the columns sample, neuron, step, sorted
    # by sample and step
    spikes: Mapping[str, np.ndarray]

    def write(self, path: Path, *, with_compression: bool = False) -> None:
        """Write them to a file."""
        numbers = {_SAMPLES: len(self.samples), _STEPS: self.steps}
        if self.samples.start:
            numbers[_FIRST_SAMPLE] = self.samples.start
        save = np.savez_compressed if with_compression else np.savez
        save(path, **self.spikes, **numbers)


def read_spike_times(
    path: Path,
    populations: Optional[Sequence[str]] = None,
) -> SpikeTimes:
    """Read the spikes of all populations, or of some.

    Raise `DamagedError` if the file is damaged or lacks one.
    """
    required_names = [*(populations or ()), _SAMPLES, _STEPS]
    names = None
    if populations is not None:
        names = [*required_names, _FIRST_SAMPLE]
    arrays = load_archive(path, names=names, must=required_names)
    samples = int(arrays.pop(_SAMPLES, 0))
    steps = int(arrays.pop(_STEPS, 0))
    first_sample = int(arrays.pop(_FIRST_SAMPLE, 0))
    return SpikeTimes(range(first_sample, first_sample + samples), steps, arrays)
