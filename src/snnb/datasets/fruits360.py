"""Fruits-360: pictures of fruit, 100×100 pixels.

Each version has more classes than the one before.
"""

from pathlib import Path

from snnb.core.errors import InputError
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset
from snnb.datasets.pictures import loaded_by_class

SPEC = DatasetSpec(
    name="fruits360",
    title="Fruits-360 (100×100)",
    shape=(100, 100, 3),
    num_classes=None,
    class_names=None,
    scale=255.0,
    samples=(67_692, 22_688),  # version 2020.05.18.0, with 131 classes
    version="2020.05.18.0 has 131 classes",
    licence="MIT in the authors' repository; Kaggle's copy states its own",
    source="https://github.com/Horea94/Fruit-Images-Dataset (Mureşan & Oltean 2018)",
    layout="Training/<class>/ and Test/<class>/ (older copies: Validation/)",
    how_to_get=(
        "Download it from the authors' repository Horea94/Fruit-Images-Dataset or from "
        "Kaggle (moltean/fruits)."
    ),
)


def locate(folder: Path) -> Path:
    """Return the folder with Training/ in it.

    `folder`, or one of the folders that Kaggle's archive makes in it.
    """
    for place in (
        folder,
        *sorted(folder.glob("*fruits*360*")),
        *sorted(folder.glob("*fruits*/*fruits*360*")),
    ):
        if (place / "Training").is_dir():
            return place
    raise InputError(f"{folder} holds no Training/.")


def load(where: Path) -> LoadedDataset:
    """List the pictures.

    The classes are the folders in Training/, in alphabetical order.
    """
    test_folder = next(
        (where / name for name in ("Test", "Validation") if (where / name).is_dir()),
        None,
    )
    if test_folder is None:
        raise InputError(
            f"{where} holds neither Test/ nor Validation/ next to Training/.",
        )
    return loaded_by_class(where / "Training", test_folder)


DATASET = Dataset(SPEC, locate, load)
