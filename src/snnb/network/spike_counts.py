"""Spikes of each neuron, summed over the samples of a simulation."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Dict, Mapping, Sequence

import numpy as np

from snnb.io.npy import load_archive

SUMS = "spike_rate_sums.npz"  # as a simulation writes them


@dataclass(frozen=True)
class Recording:
    """Samples and time steps in which spikes were counted."""

    num_samples: int
    num_timesteps: int  # counted in each sample
    warm_up: int  # time steps before them, in which no spikes were counted
    dt_ms: float  # time step in milliseconds

    @property
    def steps(self) -> int:
        """Time steps over all samples."""
        return self.num_samples * self.num_timesteps

    def rate_scale(self, unit: str) -> float:
        """Return the factor from spikes per time step to spikes per `unit`.

        `unit` is `step`, `hz` or `sample`.
        """
        scales = {
            "step": 1.0,
            "hz": 1000.0 / self.dt_ms,
            "sample": float(self.num_timesteps),
        }
        return scales[unit]


RECORDING = tuple(field.name for field in fields(Recording))  # names in files


@dataclass(frozen=True, eq=False)
class SpikeCounts:
    """Spikes of each neuron over all samples and counted time steps.

    Attributes
    ----------
    recording : Recording
        Samples and time steps in which they were counted.
    counts : mapping of str to ndarray
        By population, in its shape: int64. `input` is float64: its spikes, or the sum
        of its currents.
    coding : mapping of str to str
        By population `spikes`, `current`, `random` or `membrane`; `spikes`, and
        `current` of the input, where it is not given.
    """

    recording: Recording
    counts: Mapping[str, np.ndarray]
    coding: Mapping[str, str]

    @property
    def rates(self) -> Dict[str, np.ndarray]:
        """By population, spikes per time step and neuron: float64, in its shape."""
        steps = self.recording.steps
        return {name: counts / steps for name, counts in self.counts.items()}

    def write(self, path: Path) -> None:
        """Write the counts, but not their coding."""
        np.savez(path, **self.counts, **asdict(self.recording))

    @classmethod
    def read(
        cls,
        path: Path,
        populations: Sequence[str],
        coding: Mapping[str, str],
    ) -> "SpikeCounts":
        """Read the counts of some populations; raise `DamagedError` if one is missing."""
        names = [*RECORDING, *populations]
        arrays = load_archive(path, names=names, must=names)
        recording = Recording(
            num_samples=int(arrays["num_samples"].item()),
            num_timesteps=int(arrays["num_timesteps"].item()),
            warm_up=int(arrays["warm_up"].item()),
            dt_ms=float(arrays["dt_ms"].item()),
        )
        counts = {name: arrays[name] for name in populations}
        return cls(recording, counts, coding)
