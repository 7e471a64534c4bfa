"""Data sets that are folders of picture files: listing them by class, and decoding each once, when it is needed."""

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from snnb.datasets.spec import Shape
from snnb.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_MODES = {1: "L", 3: "RGB"}
_ORIENTATION_TAG = 0x0112
# How a camera's orientation (EXIF 2.3, tag 274) is undone.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class PictureSamples:
    """Picture files below `folder`, by their names relative to it, and their class ids, int64 (n,)."""

    labels: np.ndarray
    folder: Path
    files: List[str]

    def check(self, shape: Shape, fit: str) -> None:
        """Raise `InputError` unless `shape` is grey or colour; pictures are resized to any height and width."""
        if shape[2] not in _MODES:
            raise InputError(f"pictures have 1 or 3 channels, the model takes {shape[2]}.")

    def read(self, positions: np.ndarray, shape: Shape, fit: str) -> Tuple[np.ndarray, Dict[int, str]]:
        """Decode the pictures at `positions`: uint8 (k, height, width, channels), and those that cannot be, and why."""
        images = np.empty((len(positions), *shape), dtype=np.uint8)
        paths = [self.folder / self.files[position] for position in positions]

        def decode(index: int) -> Optional[str]:
            try:
                images[index] = _decode(paths[index], shape)
            except MemoryError:
                raise
            except UnidentifiedImageError:
                return f"{paths[index]}: not a picture"
            except Exception as error:  # a damaged picture can fail in any way
                return f"{paths[index]}: {error}"
            return None

        # Pillow decodes and resizes without holding the interpreter's lock.
        with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which are not used
            reasons = pool.map(decode, range(len(paths)))
            broken = {index: reason for index, reason in enumerate(reasons) if reason is not None}
        return np.delete(images, list(broken), axis=0) if broken else images, broken


def _decode(path: Path, shape: Shape) -> np.ndarray:
    """One picture, upright, resized bilinearly to `shape` without keeping its proportions; uint8."""
    with Image.open(path) as picture:
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"more than 8 bits a channel (Pillow's mode {picture.mode}); convert it to 8 bits")
        upright = _UPRIGHT.get(_orientation(picture))
        picture = picture.convert(_MODES[shape[2]])
    if upright is not None:
        picture = picture.transpose(upright)
    resized = picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8).reshape(shape)


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # metadata may be nonsense in any way while the picture is sound
        return 1


def picture_names(folder: Path) -> List[str]:
    """Names of the picture files in `folder`, in order; hidden files and other kinds are passed over."""
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.name.lower().endswith(SUFFIXES) and not e.name.startswith(".")]
    return sorted(found)


def class_folders(folder: Path) -> List[str]:
    """Names of the folders in `folder`, in order: one a class. Raises `InputError` when there are none."""
    if not folder.is_dir():
        raise InputError(f"{folder} is missing: it should hold a folder of pictures for each class.")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        loose = len(picture_names(folder))
        held = f"{loose} pictures but no class folders" if loose else "no class folders"
        raise InputError(f"{folder} holds {held}: put the pictures of each class into a folder of their own.")
    return names


def labelled(folder: Path, files: Sequence[List[str]]) -> PictureSamples:
    """Samples of which ``files[i]``, names relative to `folder`, have the class id i."""
    labels = np.repeat(np.arange(len(files), dtype=np.int64), [len(names) for names in files])
    return PictureSamples(labels, folder, [name for names in files for name in names])


def samples_by_class(folder: Path, classes: Sequence[str]) -> PictureSamples:
    """The pictures of the class folders `classes` in `folder`; the class id is the position in `classes`.

    Raises
    ------
    InputError : a class folder is missing, or there is one too many, or one holds no pictures.
    """
    there, expected = set(class_folders(folder)), set(classes)
    for held, names in (("lacks", expected - there), ("also holds", there - expected)):
        if names:
            first = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise InputError(
                f"{folder} {held} the class folder(s) {first}: {len(classes)} classes are expected, "
                "the same for training and test."
            )
    files = [[f"{name}/{picture}" for picture in picture_names(folder / name)] for name in classes]
    empty = [name for name, pictures in zip(classes, files) if not pictures]
    if empty:
        raise InputError(
            f"{folder / empty[0]} holds no pictures ({', '.join(SUFFIXES)}): add some or remove the folder."
        )
    return labelled(folder, files)


def listing_version(samples: Iterable[PictureSamples]) -> str:
    """What tells one collection of pictures from another: how many, and a hash of their names and sizes in bytes."""
    digest, count = hashlib.sha256(), 0
    for part in samples:
        count += len(part.files)
        for name in part.files:
            digest.update(f"{name}\0{(part.folder / name).stat().st_size}\n".encode())
    return f"{count:,} pictures, SHA-256 of their names and sizes {digest.hexdigest()[:16]}"
