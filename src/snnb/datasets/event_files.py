"""Events of the user, a file for each recording.

`DIR/test/<class>/*.npy`, and optionally `DIR/train/`.

A file is a structured array with the fields t (µs), x, y and p, as tonic and
Prophesee's tools write them, or an .npz file with one such array or with four arrays of
these names.
"""

from pathlib import Path
from typing import List

import numpy as np

from snnb.core.errors import InputError
from snnb.datasets.definition import Dataset, LoadedDataset, OwnSpec
from snnb.datasets.events import EventRecordings, Events
from snnb.datasets.pictures import locate
from snnb.io.npy import load_archive, load_array

SUFFIXES = (".npy", ".npz")
FIELDS = ("t", "x", "y", "p")

SPEC = OwnSpec(
    name="events:DIR",
    title="events in a user folder",
    layout="train/<class>/ and test/<class>/ with .npy or .npz files of events",
    how_to_get="Make DIR/test/ with one folder of recordings per class.",
    content="events",
)


def load(where: Path) -> LoadedDataset:
    """List the recordings.

    The classes are the folders in train/ and test/, in alphabetical order.
    """
    folders = [where / part for part in ("train", "test") if (where / part).is_dir()]
    names = {path.name for part in folders for path in part.iterdir() if path.is_dir()}
    classes = sorted(name for name in names if not name.startswith("."))
    if not classes:
        raise InputError(
            f"{where / 'test'} holds no class folders: put the recordings of each "
            "class into a folder.",
        )
    *train, test = [_recordings(part, classes) for part in folders]
    return LoadedDataset(
        classes,
        train[0] if train else None,
        test,
        SPEC.version,
        folders,
    )


def _recordings(part: Path, classes: List[str]) -> EventRecordings:
    labels: List[int] = []
    names: List[str] = []
    for number, name in enumerate(classes):
        folder = part / name
        files = sorted(
            path
            for path in folder.glob("*")
            if path.suffix in SUFFIXES and not path.name.startswith(".")
        )
        if folder.is_dir() and not files:
            raise InputError(
                f"{folder} holds no .npy or .npz file: add recordings or remove the "
                "folder.",
            )
        labels += [number] * len(files)
        names += map(str, files)
    return EventRecordings(
        np.array(labels, np.int64),
        names,
        lambda position: read_events(Path(names[position])),
    )


def read_events(path: Path) -> Events:
    """Read a recording.

    Raise `InputError` if it does not have the four fields, whole numbers of one length.
    """
    arrays = load_archive(path) if path.suffix == ".npz" else {"": load_array(path)}
    if len(arrays) == 1:
        (array,) = arrays.values()
        arrays = {field: array[field] for field in array.dtype.names or ()}
    missing_fields = [field for field in FIELDS if field not in arrays]
    if missing_fields:
        raise InputError(
            f"{path} has no field {missing_fields[0]}: write a structured array with "
            "the fields t (µs), x, y, p.",
        )
    for field in FIELDS:
        if arrays[field].dtype.kind not in "iub" or arrays[field].shape != (
            arrays["t"].size,
        ):
            raise InputError(
                f"{path}: {field} is {arrays[field].dtype} of shape "
                f"{arrays[field].shape}: write one whole number for each event, times "
                "in µs.",
            )
    return Events(*(arrays[field].astype("int64") for field in FIELDS))


DATASET = Dataset(SPEC, locate, load)
