"""Spiking Heidelberg Digits: spoken digits in English and German, as spikes of 700 cochlear channels.

Each file has `spikes/times` in seconds and `spikes/units`, an array for each sample,
`labels`, and the names of the classes in `extra/keys` (Cramer et al. 2020, The
Heidelberg spiking data sets for the systematic evaluation of spiking neural networks,
IEEE TNNLS).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

import h5py
import numpy as np

from snnb.core.errors import InputError
from snnb.datasets.array_samples import class_numbers
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset
from snnb.datasets.events import EventRecordings, Events
from snnb.io.hdf5 import read_rows, reading, whole

UNITS = 700
SPEC = DatasetSpec(
    name="shd",
    title="Spiking Heidelberg Digits (events)",
    shape=(1, 1, UNITS),
    num_classes=20,
    class_names=None,
    scale=1.0,
    samples=(8156, 2264),
    version="the official files",
    licence="CC BY 4.0",
    source=(
        "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/ (Cramer et "
        "al. 2020)"
    ),
    layout="shd_train.h5 and shd_test.h5",
    how_to_get=(
        "Download shd_train.h5.gz and shd_test.h5.gz from the page of the data set and "
        "unpack them."
    ),
    content="events",
)


def locate(folder: Path) -> Path:
    """Return `folder` if it holds the test set."""
    if not (folder / "shd_test.h5").is_file():
        raise InputError(f"{folder} lacks shd_test.h5.")
    return folder


def load(where: Path) -> LoadedDataset:
    """Read the labels; the training set may be missing."""
    train_file, test_file = where / "shd_train.h5", where / "shd_test.h5"
    test, classes = _open_file(test_file)
    if not train_file.is_file():
        return LoadedDataset(classes, None, test, SPEC.version, [test_file])
    return LoadedDataset(
        classes,
        _open_file(train_file)[0],
        test,
        SPEC.version,
        [train_file, test_file],
    )


def _open_file(path: Path) -> Tuple[EventRecordings, List[str]]:
    """Return the samples of a file, and the names of the classes."""
    with reading(path) as file:
        classes = [
            name.decode() if isinstance(name, bytes) else str(name)
            for name in whole(file["extra/keys"])
        ]
        labels = whole(file["labels"])
        if len({len(labels), len(file["spikes/times"]), len(file["spikes/units"])}) > 1:
            raise InputError(
                f"{path} has other numbers of labels, times and units: download it "
                "again.",
            )
    names = [f"{path}: sample {position}" for position in range(len(labels))]

    numbers = class_numbers(labels, len(classes), path)
    spikes = _SpikeFile(path, names)
    recordings = EventRecordings(numbers, names, spikes.read, sensor=(1, UNITS, 1))
    return recordings, classes


@dataclass(frozen=True)
class _SpikeFile:
    """A file of spikes, and the names of its samples."""

    path: Path
    names: List[str]

    def read(self, position: int) -> Events:
        """Return the events of a sample."""
        with reading(self.path) as file:
            seconds = _read_row(file["spikes/times"], position).astype(np.float64)
            units = _read_row(file["spikes/units"], position).astype(np.int64)
        if seconds.size != units.size or not np.isfinite(seconds).all():
            raise InputError(
                f"{self.names[position]} has {units.size} units and {seconds.size} "
                "finite times."
            )
        zeros = np.zeros_like(units)
        time = np.floor(seconds * 1e6).astype(np.int64)
        return Events(time, x=units, y=zeros, polarity=zeros)


def _read_row(rows: h5py.Dataset, position: int) -> np.ndarray:
    """Return the array of one sample."""
    return read_rows(rows, position, position + 1)[0]


DATASET = Dataset(SPEC, locate, load, official_order=True)
