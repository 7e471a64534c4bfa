"""A folder of one's own: ``DIR/train/<class>/`` and ``DIR/test/<class>/`` with pictures of any size."""

from __future__ import annotations

from pathlib import Path

from snnb.datasets.registry import Dataset, Loaded
from snnb.datasets.spec import DatasetSpec, refuse_no_text
from snnb.errors import InputError, UsageError

PREFIX = "folder:"


def folder_dataset(name: str) -> Dataset:
    """The data set that a name ``folder:DIR`` stands for; its own name has the absolute path.

    Raises
    ------
    UsageError
        DIR is missing from it, or begins with the ``~`` of nobody.
    InputError
        DIR is no UTF-8.
    """
    folder = name[len(PREFIX) :]
    if not folder.strip():
        raise UsageError("folder: names no folder: write folder:DIR with the folder that holds train/ and test/.")
    try:
        place = (Path(folder).expanduser() if folder.startswith("~") else Path(folder)).absolute()
    except RuntimeError:  # what pathlib makes of a home that is not known
        raise UsageError(f"{name}: there is no such home directory; write the path in full.") from None
    refuse_no_text(str(place), f"{PREFIX}{place}")
    spec = spec_of(f"{PREFIX}{place}")
    return Dataset(spec, locate, load, no_source="its name says where the pictures are", place=place)


def locate(folder: Path) -> Path:
    """`folder`, which has to hold train/ and test/."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder.")
    missing = [f"{part}/" for part in ("train", "test") if not (folder / part).is_dir()]
    if missing:
        raise InputError(f"{folder} lacks {' and '.join(missing)}.")
    return folder


def spec_of(name: str) -> DatasetSpec:
    """The specification of a folder of pictures; its shape is the model's, its classes are on disk."""
    return DatasetSpec(
        name=name,
        title="pictures in a folder of yours",
        shape=None,
        num_classes=None,
        class_names=None,
        scale=255.0,
        samples=None,
        version="as it is on disk",
        licence="yours",
        source="a folder of yours",
        layout="train/<class>/ and test/<class>/ with pictures",
        download=False,
        how_to_get="Make DIR/train/ and DIR/test/, each with one folder of pictures a class.",
    )


def load(where: Path) -> Loaded:
    """List the pictures; the classes are the folders in train/, in alphabetical order."""
    from snnb.datasets.pictures import loaded_by_class

    return loaded_by_class(where / "train", where / "test")
