"""A folder of the user's pictures, of any size: `DIR/train/<class>/`, which may be missing, and `DIR/test/<class>/`."""

from pathlib import Path

from snnb.core.errors import InputError
from snnb.datasets.definition import Dataset, LoadedDataset, OwnSpec
from snnb.datasets.pictures import class_folders, listing_version, loaded_by_class, samples_by_class

SPEC = OwnSpec(
    name="folder:DIR",
    title="images in a user folder",
    layout="train/<class>/ and test/<class>/ with images",
    scale=255.0,
    how_to_get="Make DIR/train/ and DIR/test/, each with one folder of images per class.",
)


def locate(folder: Path) -> Path:
    """Return `folder`; raise `InputError` if it does not hold test/."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, or does not exist.")
    if not (folder / "test").is_dir():
        raise InputError(f"{folder} lacks test/.")
    return folder


def load(where: Path) -> LoadedDataset:
    """List the pictures; the classes are the folders in train/, or without it in test/, in alphabetical order."""
    if (where / "train").is_dir():
        return loaded_by_class(where / "train", where / "test")
    classes = class_folders(where / "test")
    test = samples_by_class(where / "test", classes)
    # The entire folder is a source, so that adding a training set makes the prepared arrays stale.
    return LoadedDataset(classes, None, test, listing_version([test]), [where])


DATASET = Dataset(SPEC, locate, load)
