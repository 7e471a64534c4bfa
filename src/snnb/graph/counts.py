"""Read and check the counts of a simulation, `spike_rate_sums.npz`; or of a class, `spike_counts_by_class.npz`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Mapping, Optional, Set, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.graph.classes import SampleClass
from snnb.graph.populations import CODINGS, Recording
from snnb.io.npy import load_archive
from snnb.network.geometry import Shape
from snnb.network.network import INPUT

REMEDY = "simulate again with `snnb simulate`"
LARGEST = 1 << 53  # integers up to here are exact in float64
SHORTEST_STEP, LONGEST_STEP = 1e-9, 1e9  # milliseconds
SCALARS = {"num_samples": 1, "num_timesteps": 1, "warm_up": 0, "dt_ms": SHORTEST_STEP}  # and the least each can be


@dataclass(frozen=True)
class Counts:
    """Checked spike counts.

    Attributes
    ----------
    recording : Recording
    coding : dict of str to str
        Coding of each population.
    arrays : dict of str to ndarray
        Summed spikes (int64), or summed current of the input (float64), in each population's shape.
    of_class : SampleClass or None
        Class whose samples the counts are of; None for all.
    """

    recording: Recording
    coding: Dict[str, str]
    arrays: Dict[str, np.ndarray]
    of_class: Optional[SampleClass] = None


def read_counts(
    path: Path, shapes: Mapping[str, Shape], coding: Mapping[str, str], of_class: Optional[SampleClass] = None
) -> Counts:
    """Read spike counts, and check them against the populations of the model.

    Parameters
    ----------
    path : Path
        spike_rate_sums.npz, or spike_counts_by_class.npz for a class.
    shapes : mapping of str to tuple of int
        Shape of each population of the model.
    coding : mapping of str to str
        Coding of populations; by default `current` for the input and `spikes` for others.
    of_class : SampleClass, optional
        The class whose counts are read.

    Raises
    ------
    InputError
        Counts of a population are missing, of another shape, negative, not finite or not integers.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; write it with `snnb simulate`")
    arrays = load_archive(path, REMEDY) if of_class is None else _of_class(path, shapes, of_class.number)
    recording = _recording(path, arrays)
    if of_class is not None:
        recording = replace(recording, num_samples=of_class.samples)
    _compare_names(path, set(arrays) - set(SCALARS), set(shapes))
    unknown = sorted(set(coding) - set(shapes))
    if unknown:
        raise InputError(
            f"coding is given for {unknown[0]}, which is no population of the model; they are {', '.join(shapes)}"
        )
    codes = {name: coding.get(name, "current" if name == INPUT else "spikes") for name in shapes}
    for name, code in codes.items():
        if code not in CODINGS:
            raise InputError(f"coding of {name} is {code!r}; it must be one of {', '.join(CODINGS)}")
        _check(path, name, arrays[name], shapes[name], code)
    checked = {name: arrays[name].astype(np.float64 if name == INPUT else np.int64, copy=False) for name in shapes}
    return Counts(recording, codes, checked, of_class)


def _of_class(path: Path, shapes: Mapping[str, Shape], number: int) -> Dict[str, np.ndarray]:
    """Read the scalars and the row of a class, one population at a time in memory."""
    rows = load_archive(path, REMEDY, names=list(SCALARS))
    for name in shapes:
        for by_class in load_archive(path, REMEDY, names=[name]).values():
            if by_class.ndim < 1 or len(by_class) <= number:
                raise InputError(f"{path}: {name} has no counts of class {number}; {REMEDY}")
            rows[name] = by_class[number].copy()
    return rows


def _recording(path: Path, arrays: Dict[str, np.ndarray]) -> Recording:
    values = {}
    for name, least in SCALARS.items():
        value = arrays.get(name)
        if value is None or value.shape != () or value.dtype.kind not in "iuf" or not np.isfinite(value):
            raise InputError(f"{path}: no number {name}; {REMEDY}")
        values[name] = value.item()
        whole = name == "dt_ms" or values[name] == int(values[name])
        if not whole or not least <= values[name] <= (LONGEST_STEP if name == "dt_ms" else LARGEST):
            raise InputError(f"{path}: {name} is {values[name]}, which cannot be; {REMEDY}")
    samples, timesteps, warm_up = (int(values[name]) for name in ("num_samples", "num_timesteps", "warm_up"))
    return Recording(samples, timesteps, warm_up, float(values["dt_ms"]))


def _compare_names(path: Path, found: Set[str], expected: Set[str]) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing:
        raise InputError(
            f"{path}: no counts of {', '.join(missing)}; take the counts of a simulation of this parsed model"
        )
    if extra:
        raise InputError(
            f"{path}: counts of {', '.join(extra)}, which the parsed model does not have; "
            "take the counts of a simulation of this parsed model"
        )


def _check(path: Path, name: str, values: np.ndarray, shape: Tuple[int, ...], code: str) -> None:
    if values.shape != shape:
        raise InputError(
            f"{path}: counts of {name} have shape {values.shape}, the parsed model has {shape}; "
            "take the counts of a simulation of this parsed model"
        )
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise InputError(f"{path}: counts of {name} hold something that is not a finite number; {REMEDY}")
    if code != "current" and (values < 0).any():
        raise InputError(f"{path}: counts of {name} are negative in places; {REMEDY}")
    if name != INPUT and values.dtype.kind == "f" and (values != np.rint(values)).any():
        raise InputError(f"{path}: counts of {name} are not whole numbers; {REMEDY}")
    if (values > LARGEST).any() or (values < -LARGEST).any():
        raise InputError(f"{path}: counts of {name} are larger than counts can be; {REMEDY}")
