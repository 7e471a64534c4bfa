"""Reads the spike times that a simulation has recorded."""

from pathlib import Path
from typing import Dict, Optional, Union

import numpy as np

from snnb.core.errors import InputError
from snnb.io.npy import load_archive
from snnb.simulation.file_names import SPIKE_TIMES

_SCALARS = ("num_samples", "num_steps")
_FIRST = "first_sample"  # stated where it is not 0


def read_spikes(simulation: Union[str, Path], sample: Optional[int] = None) -> Dict[str, np.ndarray]:
    """Read `spike_times.npz`, which `simulate` writes with `record_spikes`.

    Parameters
    ----------
    simulation : str or Path
        Directory of a simulation, as in `run.simulate(record_spikes=3).directory`.
    sample : int, optional
        Number of one sample in the test set; by default all that were recorded.

    Returns
    -------
    dict of str to ndarray of int32, shape (spikes, 3)
        By population: rows of sample, neuron (its index in the layer, in C order) and step (from 0, warm-up included),
        sorted by sample, step, neuron.

    Raises
    ------
    InputError
        No spikes were recorded, or not of this sample, or the file is damaged.
    """
    path = Path(simulation) / SPIKE_TIMES
    if not path.exists():
        raise InputError(f"{path}: no such file; simulate with --record-spikes K, or record_spikes=K, to have it")
    found = load_archive(path, must=_SCALARS)
    recorded, first = int(found["num_samples"]), int(found.get(_FIRST, 0))
    populations = {name: spikes for name, spikes in found.items() if name not in (*_SCALARS, _FIRST)}
    if sample is None:
        return populations
    if not first <= sample < first + recorded:
        raise InputError(f"sample {sample}: {path} holds the samples {first} to {first + recorded - 1}")
    return {name: spikes[spikes[:, 0] == sample] for name, spikes in populations.items()}
