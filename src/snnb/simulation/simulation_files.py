"""Files of a simulation: spike counts, spike times, the simulated network; their names, writers and readers."""

import shutil
import zipfile
from pathlib import Path
from typing import Dict, Iterable, Iterator, Optional, Sequence, Tuple, Union

import h5py
import numpy as np

from snnb.core.errors import InputError, ResourceError
from snnb.core.machine import memory
from snnb.io.npy import load_archive, write_member
from snnb.network.event_samples import EventSamples
from snnb.network.network import Network
from snnb.network.read_network import write_network
from snnb.simulation.simulation_settings import SimulationSettings
from snnb.simulation.simulation_statistics import Job, Totals

SUMS = "spike_rate_sums.npz"
BY_CLASS = "spike_counts_by_class.npz"
SPIKE_TIMES = "spike_times.npz"
INI_FORMAT, INI_VERSION = "snnb converted network", 2
# Scalars of `spike_times.npz`; the index of the first sample is written where it is not 0.
_SPIKE_SCALARS, _FIRST = ("num_samples", "num_steps"), "first_sample"


def require_room(job: Job, classes: Optional[int], target: Path) -> None:
    """Raise `ResourceError` if memory or disk cannot hold the counts of the classes."""
    number, nodes = classes or 0 if job.settings.by == "class" else 0, job.network.neurons + job.network.input.size
    free, need = {"memory": memory().total, "free disk": shutil.disk_usage(str(target)).free}, 8 * number * nodes
    for where, there in free.items():
        if need > there:
            raise ResourceError(
                f"--by class: {number:,} counts of each of {nodes:,} neurons take {need / 1e9:,.1f} GB, there are "
                f"{there / 1e9:,.1f} GB of {where}; omit the option"
            )


def write_counts(
    target: Path,
    job: Job,
    totals: Totals,
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Write `spike_rate_sums.npz` and, if the settings ask for them, the counts of each class.

    The arrays are the spikes of each population, int64, and `input`, float64: its spikes, or its current. The class is
    their first axis in `spike_counts_by_class.npz`, which also has `class_names` and `samples_by_class`, int64, shape
    (classes,); the counts of a class without samples are zero.

    `x` has the samples, images before scaling, `y` their class ids.
    """
    settings, source = job.settings, job.network.input
    scalars = {
        "num_samples": totals.samples,
        "num_timesteps": settings.counted_steps,
        "warm_up": settings.warm_up,
        "dt_ms": job.dt_ms,
    }
    if source.name in totals.counts:
        inputs = totals.counts[source.name].astype(np.float64)
    else:
        (inputs,) = _currents(job, x, range(len(x)), [settings.warm_up, settings.duration])
    populations = {p.name: totals.counts[p.name] for p in job.network.populations}
    np.savez(target / SUMS, input=inputs, **populations, **scalars)
    if settings.by == "class":
        classes = len(class_names)
        names, samples = np.array(class_names, np.str_), np.bincount(y, minlength=classes)
        metadata = {**scalars, "class_names": names, "samples_by_class": samples}
        _write(target / BY_CLASS, _by_class(job, totals, x, y, classes), metadata)


def _by_class(
    job: Job, totals: Totals, x: Union[np.ndarray, EventSamples], y: np.ndarray, classes: int
) -> Iterator[Tuple[str, np.ndarray]]:
    for volume in (job.network.input, *job.network.populations):
        by_class = np.zeros((classes, *volume.shape), np.float64 if volume is job.network.input else np.int64)
        for of, counts in totals.by_class.items():
            if volume.name in counts:
                by_class[of] = counts[volume.name]
            else:
                counted = [job.settings.warm_up, job.settings.duration]
                (by_class[of],) = _currents(job, x, np.flatnonzero(y == of), counted)
        yield volume.name, by_class


def _currents(job: Job, x: Union[np.ndarray, EventSamples], samples: Iterable[int], edges: Sequence[int]) -> np.ndarray:
    """Sum the currents of the input neurons over samples, between time steps: float64 (len(edges) - 1, *shape)."""
    currents = np.zeros((len(edges) - 1, *job.network.input.shape))
    for number in samples:
        sample = x[number : number + 1]
        if isinstance(sample, np.ndarray):
            currents += np.multiply.outer(np.diff(edges), job.pixels(sample[0], 0).astype(np.float64))
        else:
            currents += [sample.sums(first, stop)[0] for first, stop in zip(edges, edges[1:])]
    return currents


def _write(path: Path, arrays: Iterator[Tuple[str, np.ndarray]], metadata: Dict[str, object]) -> None:
    """Write the format of `numpy.savez` with one array in memory at a time."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays:
            write_member(archive, name, values)
        for name, value in metadata.items():
            write_member(archive, name, np.asarray(value))


def write_spike_times(path: Path, job: Job, spikes: Dict[str, np.ndarray]) -> None:
    """Write `spike_times.npz`: by population int32 (spikes, 3) with the columns sample, neuron, step."""
    settings = job.settings
    np.savez(
        path,
        **spikes,
        num_samples=settings.record_spikes,
        num_steps=job.network.latency(settings.duration),
        **({"first_sample": settings.first} if settings.first else {}),
    )


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
    archive = load_archive(path, must=_SPIKE_SCALARS)
    recorded, first = int(archive["num_samples"]), int(archive.get(_FIRST, 0))
    populations = {name: spikes for name, spikes in archive.items() if name not in (*_SPIKE_SCALARS, _FIRST)}
    if sample is None:
        return populations
    if not first <= sample < first + recorded:
        raise InputError(f"sample {sample}: {path} holds the samples {first} to {first + recorded - 1}")
    return {name: spikes[spikes[:, 0] == sample] for name, spikes in populations.items()}


def write_ini(network: Network, path: Path, settings: SimulationSettings, dt_ms: float) -> None:
    """Write the simulated network, and the threshold, reset, initial potential and time step of the simulation.

    The initial potential is a fraction of the threshold, for populations without initial potentials in the network.
    """
    with h5py.File(path, "w") as file:
        file.attrs.update(format=INI_FORMAT, version=INI_VERSION, threshold=settings.threshold, reset=settings.reset)
        file.attrs.update(dt_ms=dt_ms, initial_potential=settings.initial_potential)
        write_network(network, file)
