"""Cats and dogs: Kaggle's pictures from Microsoft's Asirra, all in one folder or in one folder for each class."""

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Optional

from snnb.core.errors import InputError
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset
from snnb.datasets.pictures import labelled, listing_version, picture_names

CLASSES = ("cat", "dog")
TEST_SHARE = 0.2
_KAGGLE_NAME = re.compile(r"(cat|dog)\.\d+\.jpg")

SPEC = DatasetSpec(
    name="catsvsdogs",
    title="Cats and dogs (Kaggle)",
    shape=(224, 224, 3),
    num_classes=2,
    class_names=CLASSES,
    scale=255.0,
    samples=(20_000, 5_000),
    version="Kaggle's training set, a fifth of it for the test",
    licence="unknown (Kaggle's competition rules)",
    source="https://www.kaggle.com/c/dogs-vs-cats (Elson et al. 2007)",
    layout="train/cat.0.jpg, train/dog.0.jpg …, or a folder cat/ and a folder dog/",
    how_to_get=(
        "Download train.zip of Kaggle's competition dogs-vs-cats (an account is "
        "needed) and unpack it."
    ),
)


def locate(folder: Path) -> Path:
    """Return the folder with Kaggle's files or the two class folders.

    Train/, PetImages/ or `folder`.
    """
    for place in (folder / "train", folder, folder / "PetImages"):
        if place.is_dir() and (
            _has_kaggle_files(place)
            or all(_class_folder(place, name) for name in CLASSES)
        ):
            return place
    raise InputError(
        f"{folder} holds neither cat.0.jpg, dog.0.jpg … (in train/) nor the folders "
        "cat/ and dog/.",
    )


def load(where: Path) -> LoadedDataset:
    """List the pictures. The test set is a fifth of each class, chosen by file name.

    All copies have the same.
    """
    if _has_kaggle_files(where):
        matches = [_KAGGLE_NAME.fullmatch(picture) for picture in picture_names(where)]
        files = [
            [match.string for match in matches if match and match[1] == name]
            for name in CLASSES
        ]
        read_from = [where]
    else:
        folders = [str(_class_folder(where, name)) for name in CLASSES]
        files = [
            [f"{folder}/{picture}" for picture in picture_names(where / folder)]
            for folder in folders
        ]
        read_from = [where / folder for folder in folders]
    for name, pictures in zip(CLASSES, files):
        if len(pictures) < 2:
            raise InputError(
                f"{where} holds {len(pictures)} image(s) of a {name}: at least 2 are "
                "needed.",
            )

    # So that the test set stays nearly the same when pictures are added
    for_test = [
        sorted(pictures, key=_hash_name)[: max(1, round(TEST_SHARE * len(pictures)))]
        for pictures in files
    ]
    train = labelled(
        where,
        [sorted(set(pictures) - set(test)) for pictures, test in zip(files, for_test)],
    )
    test = labelled(where, for_test)
    return LoadedDataset(
        list(CLASSES),
        train,
        test,
        listing_version((train, test)),
        read_from,
    )


def _hash_name(name: str) -> bytes:
    """Return the SHA-256 of a file name.

    In its order, the test set stays nearly the same when pictures are added.
    """
    return sha256(os.fsencode(name.split("/")[-1])).digest()


def _has_kaggle_files(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_KAGGLE_NAME.fullmatch(entry.name) for entry in entries)


def _class_folder(folder: Path, name: str) -> Optional[str]:
    """Return the folder of a class, whose name may be capitalised or in the plural.

    None if there is none.
    """
    return next(
        (
            path.name
            for path in folder.iterdir()
            if path.is_dir() and path.name.lower() in (name, name + "s")
        ),
        None,
    )


DATASET = Dataset(SPEC, locate, load)
