"""Spike counts by class (`--by class`) and by time bin (`--bins`)."""

import shutil
import zipfile
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import ResourceError
from snnb.core.machine import memory
from snnb.io.npy import write_member
from snnb.simulation.job import Job
from snnb.simulation.results import scalars
from snnb.simulation.totals import Totals

Arrays = Iterator[Tuple[str, np.ndarray]]


def require_room(job: Job, classes: Optional[int], target: Path) -> None:
    """Raise `ResourceError` if memory or disk cannot hold the counts of the classes or bins."""
    settings, nodes = job.settings, job.network.neurons + job.network.input.size
    rows = {"--by class": classes or 0 if settings.by == "class" else 0, f"--bins {settings.bins}": settings.bins}
    free = {"memory": memory().total, "free disk": shutil.disk_usage(str(target)).free}
    for option, number in rows.items():
        need = 8 * number * nodes
        for where, there in free.items():
            if need > there:
                raise ResourceError(
                    f"{option}: {number:,} counts of each of {nodes:,} neurons take {need / 1e9:,.1f} GB, there are "
                    f"{there / 1e9:,.1f} GB of {where}; omit the option, or give a smaller number"
                )


def write_by_class(
    path: Path, job: Job, totals: Totals, x: np.ndarray, y: np.ndarray, class_names: Sequence[str]
) -> None:
    """Write `spike_counts_by_class.npz`: the arrays of `write_sums` with the class as first axis.

    The file also has `class_names` and `samples_by_class`, int64, shape (classes,). The counts of a class without
    samples are zero. `x` has the images before scaling, `y` their class ids.
    """
    classes, steps = len(class_names), job.settings.counted_steps

    def arrays() -> Arrays:
        for volume in (job.network.input, *job.network.populations):
            by_class = np.zeros((classes, *volume.shape), np.float64 if volume is job.network.input else np.int64)
            if volume is job.network.input and job.settings.input == "constant":
                for values, of in zip(x, y):
                    by_class[of] += job.pixels(values, 0).astype(np.float64) * steps
            else:
                for of, counts in totals.by_class.items():
                    by_class[of] = counts[volume.name]
            yield volume.name, by_class

    metadata = {"class_names": np.array(class_names, np.str_), "samples_by_class": np.bincount(y, minlength=classes)}
    _write(path, arrays(), {**scalars(job, totals), **metadata})


def write_by_bin(path: Path, job: Job, totals: Totals, x: np.ndarray) -> None:
    """Write `spike_counts_by_bin.npz`: the arrays of `write_sums` with the time bin as first axis.

    The file also has `bin_edges`, int64, shape (bins + 1,): bin i begins at time step bin_edges[i], and ends before
    bin_edges[i + 1]. `x` has the images before scaling.
    """
    settings = job.settings
    edges = np.array(settings.bin_edges_until(job.network.latency(settings.duration)))

    def arrays() -> Arrays:
        source = job.network.input
        if settings.input == "constant":
            current = np.zeros(source.shape)
            for values in x:
                current += job.pixels(values, 0)
            steps = np.diff(np.minimum(edges, settings.duration))  # with firing windows, the input has one too
            yield source.name, np.multiply.outer(steps.astype(np.float64), current)
        else:
            yield source.name, totals.by_bin[source.name].astype(np.float64)
        for population in job.network.populations:
            yield population.name, totals.by_bin[population.name]

    _write(path, arrays(), {**scalars(job, totals), "bin_edges": edges})


def _write(path: Path, arrays: Arrays, metadata: Dict[str, object]) -> None:
    """Write the format of `numpy.savez` with one array in memory at a time."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays:
            write_member(archive, name, values)
        for name, value in metadata.items():
            write_member(archive, name, np.asarray(value))
