"""N-MNIST: MNIST's digits on a screen, recorded by an event camera that moves along three saccades.

A file holds one recording. An event has 5 bytes: column, row, and a number of 24 bits,
most significant byte first, whose first bit is the polarity and whose other bits are
the time in µs (Orchard et al. 2015, Converting static image datasets to spiking
neuromorphic datasets using saccades, Frontiers in Neuroscience).
"""

import re
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List

import numpy as np

from snnb.core.errors import InputError
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset
from snnb.datasets.events import EventRecordings, Events
from snnb.io.budget import Budget
from snnb.io.files import read_bytes
from snnb.io.npy import RAISED_BY_ZIP, read_member

SPEC = DatasetSpec(
    name="nmnist",
    title="N-MNIST handwritten digits (events)",
    shape=(34, 34, 2),
    num_classes=10,
    class_names=tuple("0123456789"),
    scale=1.0,
    samples=(60_000, 10_000),
    version="the official files",
    licence="CC BY-SA 4.0",
    source="https://www.garrickorchard.com/datasets/n-mnist (Orchard et al. 2015)",
    layout="Train/0/*.bin … and Test/0/*.bin …, or Train.zip and Test.zip",
    how_to_get="Download Train.zip and Test.zip from the page of the data set.",
    content="events",
)
EVENT_BYTES = 5


def locate(folder: Path) -> Path:
    """Return `folder` if it holds the test set."""
    if not _has_part(folder, "Test"):
        raise InputError(f"{folder} holds neither Test/ nor Test.zip.")
    return folder


def _has_part(folder: Path, part: str) -> bool:
    return (folder / part).is_dir() or (folder / f"{part}.zip").is_file()


def load(where: Path) -> LoadedDataset:
    """List the recordings in the order of MNIST, which their names give.

    The training set may be missing_digits.
    """
    parts = {
        part: _recordings(where, part)
        for part in ("Train", "Test")
        if _has_part(where, part)
    }
    sources = [
        where / part if (where / part).is_dir() else where / f"{part}.zip"
        for part in parts
    ]
    return LoadedDataset(
        list(SPEC.class_names or ()),
        parts.get("Train"),
        parts["Test"],
        SPEC.version,
        sources,
    )


def _recordings(where: Path, part: str) -> EventRecordings:
    archive_path = where / f"{part}.zip"
    readers_by_name: Dict[str, Callable[[], bytes]]
    if (where / part).is_dir():
        readers_by_name = {
            str(path): partial(read_bytes, path)
            for path in (where / part).glob("*/*.bin")
        }
    else:
        try:
            archive = zipfile.ZipFile(archive_path)
        except zipfile.BadZipFile:
            raise InputError(
                f"{archive_path} is not a complete zip file: download it again.",
            ) from None
        budget = Budget(archive_path)
        readers_by_name = {
            f"{archive_path}/{name}": partial(read_member, budget, archive, name)
            for name in archive.namelist()
        }
    matches = {
        name: re.search(r"/([0-9])/([^/]+)\.bin$", name) for name in readers_by_name
    }
    order = sorted(
        (match[2], match[1], name) for name, match in matches.items() if match
    )
    missing_digits = sorted(set("0123456789") - {digit for _, digit, _ in order})
    if missing_digits:
        raise InputError(
            f"{where / part}/{missing_digits[0]} holds no .bin file: copy the data "
            "set again.",
        )
    names = [name for *_, name in order]

    labels = np.array([int(digit) for _, digit, _ in order], np.int64)
    readers = [readers_by_name[name] for name in names]
    return EventRecordings(
        labels,
        names,
        _RecordingFiles(names, readers).read,
        SPEC.shape,
    )


@dataclass(frozen=True)
class _RecordingFiles:
    """Files of recordings: their names, and functions that return their content."""

    names: List[str]
    readers: List[Callable[[], bytes]]

    def read(self, position: int) -> Events:
        """Return the events of a recording."""
        name = self.names[position]
        try:
            data = self.readers[position]()
        except RAISED_BY_ZIP:
            raise InputError(
                f"{name} is damaged: download the archive again.",
            ) from None
        if len(data) % EVENT_BYTES:
            raise InputError(
                f"{name} has {len(data):,} bytes, not a multiple of {EVENT_BYTES}: it "
                "is truncated."
            )
        rows = np.frombuffer(data, np.uint8).reshape(-1, EVENT_BYTES)
        x, y, high, middle, low = rows.T.astype(np.int64)
        time = (high & 127) << 16 | middle << 8 | low
        return Events(time, x, y, polarity=high >> 7)


DATASET = Dataset(SPEC, locate, load, official_order=True)
