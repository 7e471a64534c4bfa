"""A folder of the user's pictures, of any size: `DIR/train/<class>/` and `DIR/test/<class>/`."""

from __future__ import annotations

from pathlib import Path

from snnb.core.errors import InputError, UsageError
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset, own_spec, place_of

PREFIX = "folder:"


def folder_dataset(name: str) -> Dataset:
    """Return the data set for a name `folder:DIR`; its description contains the absolute path."""
    folder = name[len(PREFIX) :]
    if not folder.strip():
        raise UsageError("folder: names no folder: write folder:DIR with the folder that holds train/ and test/.")
    place = place_of(folder)
    spec = spec_of(f"{PREFIX}{place}")
    return Dataset(spec, locate, load, no_source="its name says where the pictures are", place=place)


def locate(folder: Path) -> Path:
    """Return `folder`; raise `InputError` if it does not hold train/ and test/."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, or does not exist.")
    missing = [f"{part}/" for part in ("train", "test") if not (folder / part).is_dir()]
    if missing:
        raise InputError(f"{folder} lacks {' and '.join(missing)}.")
    return folder


def spec_of(name: str) -> DatasetSpec:
    """Return the description of a folder of pictures: the model determines the shape, and its folders the classes."""
    return own_spec(
        name,
        "pictures in a folder of yours",
        layout="train/<class>/ and test/<class>/ with pictures",
        scale=255.0,
        how_to_get="Make DIR/train/ and DIR/test/, each with one folder of pictures per class.",
    )


def load(where: Path) -> LoadedDataset:
    """List the pictures; the classes are the folders in train/, in alphabetical order."""
    from snnb.datasets.pictures import loaded_by_class

    return loaded_by_class(where / "train", where / "test")
