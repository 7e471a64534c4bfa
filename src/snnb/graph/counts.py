"""Read the counts of a simulation, `spike_rate_sums.npz`; or of a class, `spike_counts_by_class.npz`."""

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

import numpy as np

from snnb.core.errors import DamagedError, InputError, UsageError
from snnb.graph.populations import Recording
from snnb.io.npy import load_archive
from snnb.io.text import LONGEST_NAME, printable
from snnb.network.geometry import Shape
from snnb.network.network import INPUT

SCALARS = ("num_samples", "num_timesteps", "warm_up", "dt_ms")
NAMES, SAMPLES = "class_names", "samples_by_class"
MOST_LISTED = 12  # names of classes in a message


@dataclass(frozen=True)
class SampleClass:
    """A class of samples: its row in the counts, its name and the number of its simulated samples."""

    number: int
    name: str
    samples: int

    @property
    def printable_name(self) -> str:
        """Name in one line of printable characters."""
        return printable(self.name).replace("\n", "\\n")[:LONGEST_NAME]


def read_classes(path: Path) -> List[SampleClass]:
    """Read the classes."""
    arrays = load_archive(path, names=[NAMES, SAMPLES], must=[NAMES, SAMPLES])
    pairs = zip(arrays[NAMES].tolist(), arrays[SAMPLES].tolist())
    return [SampleClass(number, name, count) for number, (name, count) in enumerate(pairs)]


def choose_class(classes: Sequence[SampleClass], wanted: str) -> SampleClass:
    """Return a class of which samples were simulated, by name, or by number."""
    chosen = next((one for one in classes if wanted in (one.name, one.printable_name)), None)
    if chosen is None and wanted.isdecimal() and int(wanted) < len(classes):
        chosen = classes[int(wanted)]
    if chosen is None:
        names = [one.printable_name for one in classes]
        near = get_close_matches(wanted, names, n=1)
        listed = ", ".join(names[:MOST_LISTED]) + (", …" if len(names) > MOST_LISTED else "")
        raise UsageError(
            f"--class {wanted}: there is no such class; "
            + (f"did you mean {near[0]}? " if near else "")
            + f"there are {len(names)}, named or numbered from 0: {listed}"
        )
    if chosen.samples < 1:
        raise UsageError(
            f"--class {chosen.printable_name}: none of the simulated samples is of this class; "
            "simulate more --samples, or others with --first"
        )
    return chosen


@dataclass(frozen=True)
class Counts:
    """Spike counts.

    Attributes
    ----------
    recording : Recording
    coding : coding of each population
    arrays : summed spikes (int64), or summed current of the input (float64), in each population's shape
    of_class : class whose samples the counts are of; None for all
    """

    recording: Recording
    coding: Dict[str, str]
    arrays: Dict[str, np.ndarray]
    of_class: Optional[SampleClass] = None


def read_counts(
    path: Path, shapes: Mapping[str, Shape], coding: Mapping[str, str], of_class: Optional[SampleClass] = None
) -> Counts:
    """Read spike counts, and check that they are of this network.

    Parameters
    ----------
    path : Path
        spike_rate_sums.npz, or spike_counts_by_class.npz for a class.
    shapes : shape of each population of the model
    coding : coding of populations; by default `current` for the input and `spikes` for others
    of_class : SampleClass, optional
    """
    if not path.exists():
        raise DamagedError(path, "no such file")
    scalars = load_archive(path, names=SCALARS, must=SCALARS)
    samples, timesteps, warm_up, dt_ms = (scalars[name].item() for name in SCALARS)
    recording = Recording(int(samples), int(timesteps), int(warm_up), float(dt_ms))
    if of_class is not None:
        recording = replace(recording, num_samples=of_class.samples)
    arrays = {}
    for name, shape in shapes.items():
        values = load_archive(path, names=[name]).get(name)
        if values is not None and of_class is not None:
            values = values[of_class.number].copy() if of_class.number < len(values) else None
        if values is None or values.shape != shape:
            raise InputError(
                f"{path}: no counts of {name} of shape {shape}; take the counts of a simulation of this parsed model"
            )
        arrays[name] = values.astype(np.float64 if name == INPUT else np.int64, copy=False)
    codes = {name: coding.get(name, "current" if name == INPUT else "spikes") for name in shapes}
    return Counts(recording, codes, arrays, of_class)
