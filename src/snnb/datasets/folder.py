"""A folder of the user's pictures, of any size: `DIR/train/<class>/` and `DIR/test/<class>/`."""

from pathlib import Path

from snnb.core.errors import InputError
from snnb.datasets.definition import Dataset, LoadedDataset, OwnSpec
from snnb.datasets.pictures import loaded_by_class

SPEC = OwnSpec(
    name="folder:DIR",
    title="pictures in a folder of yours",
    layout="train/<class>/ and test/<class>/ with pictures",
    scale=255.0,
    how_to_get="Make DIR/train/ and DIR/test/, each with one folder of pictures per class.",
)


def locate(folder: Path) -> Path:
    """Return `folder`; raise `InputError` if it does not hold train/ and test/."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, or does not exist.")
    missing = [f"{part}/" for part in ("train", "test") if not (folder / part).is_dir()]
    if missing:
        raise InputError(f"{folder} lacks {' and '.join(missing)}.")
    return folder


def load(where: Path) -> LoadedDataset:
    """List the pictures; the classes are the folders in train/, in alphabetical order."""
    return loaded_by_class(where / "train", where / "test")


DATASET = Dataset(SPEC, locate, load)
