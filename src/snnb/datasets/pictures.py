"""Data sets that are folders of picture files, listed by class. Each picture is decoded once, when it is needed.

`DATASET` is a folder of the user's pictures, of any size: `DIR/train/<class>/`, which
may be missing, and `DIR/test/<class>/`.
"""

import hashlib
import math
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from snnb.core.errors import InputError, SnnbError
from snnb.core.machine import processors
from snnb.datasets.definition import Dataset, ImageShape, LoadedDataset, OwnSpec
from snnb.io.budget import Budget
from snnb.io.files import refuse_special

SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
)
# Pillow runs programs for some others
PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_MODES = {1: "L", 3: "RGB"}

SPEC = OwnSpec(
    name="folder:DIR",
    title="images in a user folder",
    layout="train/<class>/ and test/<class>/ with images",
    scale=255.0,
    how_to_get="Make DIR/train/ and DIR/test/, each with one folder of images per class.",
)


@dataclass(frozen=True)
class PictureSamples:
    """Picture files, by their names relative to `folder`, and their classes."""

    labels: np.ndarray  # int64 (n,)
    folder: Path
    files: List[str]  # possibly in subfolders

    def check(self, shape: ImageShape, fit: str) -> None:
        """Raise `InputError` unless `shape` has 1 or 3 channels.

        Pictures are resized to any height and width.
        """
        if shape[2] not in _MODES:
            raise InputError(
                f"images have 1 or 3 channels, the model takes {shape[2]}: choose "
                "another model or --shape.",
            )

    def read(
        self,
        positions: np.ndarray,
        shape: ImageShape,
        fit: str,
    ) -> Tuple[np.ndarray, Dict[int, str]]:
        """Decode the pictures at some positions; see `Samples.read`."""
        images = np.empty((len(positions), *shape), dtype=np.uint8)
        paths = [self.folder / self.files[position] for position in positions]
        # Pillow releases the interpreter lock while it decodes and resizes.
        with warnings.catch_warnings(), ThreadPoolExecutor(processors()) as pool:
            # Pillow warns about unusual metadata, which are not used.
            warnings.simplefilter("ignore")
            reasons = pool.map(_decode_into, images, paths)
            unreadable = {}
            for index, reason in enumerate(reasons):
                if reason is not None:
                    unreadable[index] = reason
        if unreadable:
            images = np.delete(images, list(unreadable), axis=0)
        return images, unreadable


def _decode_into(image: np.ndarray, path: Path) -> Optional[str]:
    """Decode a picture into an array.

    Return the reason if the picture cannot be read.
    """
    try:
        image[...] = _decode(path, image.shape)
    except MemoryError:
        raise
    except SnnbError as error:
        return str(error)
    except UnidentifiedImageError:
        return f"{path}: not an image"
    except Exception as error:  # a damaged picture can fail in any way
        return f"{path}: {getattr(error, 'strerror', None) or error}"
    return None


def _decode(path: Path, shape: Tuple[int, ...]) -> np.ndarray:
    """Decode a picture, apply its EXIF orientation, and resize it bilinearly to `shape`; uint8."""
    refuse_special(path)
    with Image.open(path, formats=PILLOW_FORMATS) as picture:
        if picture.mode.startswith(("I", "F")):
            raise ValueError(
                f"more than 8 bits per channel (Pillow's mode {picture.mode}); "
                "convert it to 8 bits",
            )
        Budget(path).draw(
            math.prod(picture.size),
            "pixels",
            1 if len(picture.getbands()) == 1 else 4,
        )
        picture.load()
        with suppress(Exception):  # damaged metadata of a picture that can be decoded
            ImageOps.exif_transpose(picture, in_place=True)
        mode = _MODES[shape[2]]
        picture_in_mode = picture if picture.mode == mode else picture.convert(mode)
        picture_of_shape = picture_in_mode.resize(
            (shape[1], shape[0]), Image.Resampling.BILINEAR
        )
        return np.asarray(picture_of_shape, dtype=np.uint8).reshape(shape)


def picture_names(folder: Path) -> List[str]:
    """Return the sorted names of the picture files in a folder, without hidden files."""
    with os.scandir(folder) as entries:
        names = [
            e.name
            for e in entries
            if e.name.lower().endswith(SUFFIXES) and not e.name.startswith(".")
        ]
    return sorted(names)


def class_folders(folder: Path) -> List[str]:
    """Return the sorted names of the class folders in a folder.

    Raise `InputError` if there are none.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is missing: it should hold a folder of images for each class.",
        )
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )
    if not names:
        loose = len(picture_names(folder))
        held = f"{loose} images but no class folders" if loose else "no class folders"
        raise InputError(
            f"{folder} holds {held}: put the images of each class into a folder of "
            "that class.",
        )
    return names


def labelled(folder: Path, files: Sequence[List[str]]) -> PictureSamples:
    """Return samples with class numbers, given the names of the files of each class relative to `folder`."""
    labels = np.repeat(
        np.arange(len(files), dtype=np.int64),
        [len(names) for names in files],
    )
    return PictureSamples(labels, folder, [name for names in files for name in names])


def samples_by_class(folder: Path, classes: Sequence[str]) -> PictureSamples:
    """List the pictures of all class folders in a folder.

    `classes` has their names in the order of the class numbers.

    Raise `InputError` if a class folder is missing, is not in `classes`, or has no
    pictures.
    """
    folders, class_names = set(class_folders(folder)), set(classes)
    for held, names in (
        ("lacks", class_names - folders),
        ("also holds", folders - class_names),
    ):
        if names:
            first_names = ", ".join(sorted(names)[:5]) + (
                f" and {len(names) - 5} more" if len(names) > 5 else ""
            )
            raise InputError(
                f"{folder} {held} the class folder(s) {first_names}: {len(classes)} "
                "classes are expected, the same for training and test.",
            )
    files = [
        [f"{name}/{picture}" for picture in picture_names(folder / name)]
        for name in classes
    ]
    empty = [name for name, pictures in zip(classes, files) if not pictures]
    if empty:
        raise InputError(
            f"{folder / empty[0]} holds no images ({', '.join(SUFFIXES)}): add some "
            "or remove the folder.",
        )
    return labelled(folder, files)


def loaded_by_class(train_folder: Path, test_folder: Path) -> LoadedDataset:
    """List a data set whose classes are the folders in both folders, in alphabetical order."""
    classes = class_folders(train_folder)
    train, test = (
        samples_by_class(train_folder, classes),
        samples_by_class(test_folder, classes),
    )
    return LoadedDataset(
        classes,
        train,
        test,
        listing_version((train, test)),
        [train_folder, test_folder],
        _number_warnings(classes),
    )


def listing_version(samples: Iterable[PictureSamples]) -> str:
    """Describe a collection of pictures by their number and a hash of their names and sizes in bytes."""
    digest, count = hashlib.sha256(), 0
    for part in samples:
        count += len(part.files)
        for name in part.files:
            digest.update(
                os.fsencode(name)
                + f"\0{(part.folder / name).stat().st_size}\n".encode(),
            )
    return (
        f"{count:,} pictures, SHA-256 of their names and sizes "
        f"{digest.hexdigest()[:16]}"
    )


def locate(folder: Path) -> Path:
    """Return `folder`; raise `InputError` if it does not hold test/."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, or does not exist.")
    if not (folder / "test").is_dir():
        raise InputError(f"{folder} lacks test/.")
    return folder


def load(where: Path) -> LoadedDataset:
    """List the pictures.

    The classes are the folders in train/, or without it in test/, in alphabetical
    order.
    """
    if (where / "train").is_dir():
        return loaded_by_class(where / "train", where / "test")
    classes = class_folders(where / "test")
    test = samples_by_class(where / "test", classes)
    # The entire folder is a source, so that adding a training set makes the prepared
    # arrays stale.
    return LoadedDataset(
        classes,
        None,
        test,
        listing_version([test]),
        [where],
        _number_warnings(classes),
    )


def _number_warnings(classes: Sequence[str]) -> List[str]:
    """Return a warning if classes whose names are numbers get other numbers."""
    for number, name in enumerate(classes):
        if name.isdecimal() and int(name) != number:
            return [
                f"the folder {name} is class {number}: classes are numbered from 0 in "
                "the alphabetical order of all class folders; a trained model whose "
                "outputs have another order needs a folder for each output, in its "
                "order"
            ]
    return []


DATASET = Dataset(SPEC, locate, load)
