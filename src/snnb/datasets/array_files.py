"""Arrays of the user.

`x_train`, `y_train`, `x_test`, `y_test` in an .npz file, or as .npy files in a folder.

The training set may be missing.
"""

import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Set, Tuple

import numpy as np

from snnb.core.errors import DamagedError, InputError, advising
from snnb.datasets.array_samples import MOST_CLASSES, ArraySamples, class_numbers
from snnb.datasets.definition import Dataset, ImageShape, LoadedDataset, OwnSpec
from snnb.io.npy import load_archive, load_array, read_header

TRAIN, TEST = ("x_train", "y_train"), ("x_test", "y_test")
NAMES = (*TRAIN, *TEST)
ADVICE = "write it again with numpy.savez or numpy.save"

SPEC = OwnSpec(
    name="arrays:FILE.npz",
    title="arrays of the user",
    source="arrays of the user",
    layout=", ".join(NAMES),
    scale=255.0,
    how_to_get=(
        f"Write FILE.npz with the arrays {', '.join(NAMES)}, or a folder with each as "
        "an .npy file."
    ),
)


def locate(place: Path) -> Path:
    """Return `place`.

    Raise `InputError` if it is neither an .npz file nor a folder with the .npy files.
    """
    names = (
        {path.stem for path in _files(place) if path.is_file()}
        if place.is_dir()
        else set(NAMES)
    )
    missing_files = [f"{name}.npy" for name in _missing(names)]
    if missing_files or not place.exists():
        raise InputError(
            f"{place} lacks {', '.join(missing_files)}."
            if place.is_dir()
            else f"{place} does not exist.",
        )
    if place.is_file() and place.suffix != ".npz":
        raise InputError(f"{place} is not an .npz file.")
    return place


def load(place: Path) -> LoadedDataset:
    """Read the arrays of a folder, mapped into memory, or of an .npz file."""
    with advising(ADVICE):
        arrays: Dict[str, np.ndarray] = (
            {path.stem: load_array(path) for path in _files(place) if path.is_file()}
            if place.is_dir()
            else load_archive(place, names=NAMES)
        )
        missing_names = _missing(set(arrays))
        if missing_names:
            raise DamagedError(place, f"has no array {missing_names[0]}")
    has_training_set = "x_train" in arrays
    _check_types(place, arrays)
    image_shape = arrays["x_train" if has_training_set else "x_test"].shape[1:]
    parts: Dict[str, ArraySamples] = {}
    for part in ("train", "test") if has_training_set else ("test",):
        images = arrays[f"x_{part}"]
        labels = arrays[f"y_{part}"]
        _check_shapes(place, part, images, labels, image_shape)
        if has_training_set:
            classes = np.unique(arrays["y_train"]).size
            remedy = f"y_train has {classes} classes"
        else:
            classes = min(1 + int(labels.max(initial=0)), MOST_CLASSES)
            remedy = f"at most {MOST_CLASSES:,} classes are possible"
        numbers = class_numbers(labels.ravel(), classes, f"{place}: y_{part}", remedy)
        parts[part] = ArraySamples(
            numbers,
            images if images.ndim == 4 else images[..., np.newaxis],
        )
    # Without a training set the folder, so that one that is added makes the prepared
    # arrays stale.
    sources = _files(place) if has_training_set else [place]
    return LoadedDataset(
        [str(number) for number in range(classes)],
        parts.get("train"),
        parts["test"],
        SPEC.version,
        sources,
        dtype="float32" if arrays["x_test"].dtype.kind == "f" else "uint8",
    )


def _check_types(place: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `InputError` unless the images of both parts are uint8, or of floats."""
    names = [name for name in ("x_train", "x_test") if name in arrays]
    dtypes = [arrays[name].dtype for name in names]
    are_floats = all(dtype.kind == "f" for dtype in dtypes)
    are_bytes = all(dtype == np.uint8 for dtype in dtypes)
    if not are_floats and not are_bytes:
        types = [f"{name} is {dtype}" for name, dtype in zip(names, dtypes)]
        raise InputError(
            f"{place}: {' and '.join(types)}: write uint8, where 255 is a pixel of 1, "
            "or float32, which the model reads as it is.",
        )


def _check_shapes(
    place: Path,
    part: str,
    images: np.ndarray,
    labels: np.ndarray,
    image_shape: Tuple[int, ...],
) -> None:
    """Raise `InputError` unless a part has images of a shape, with a label for each."""
    if images.ndim not in (3, 4) or images.shape[1:] != image_shape:
        raise InputError(
            f"{place}: x_{part} has the shape {images.shape}; write (samples, "
            "height, width, channels), or without channels for grey images, with "
            "the same size in both parts.",
        )
    if (
        labels.dtype.kind not in "iu"
        or labels.size != len(images)
        or labels.shape[1:] not in ((), (1,))
    ):
        raise InputError(
            f"{place}: y_{part} is {labels.dtype} of shape {labels.shape}; write "
            f"one integer for each of the {len(images)} samples of x_{part}.",
        )


def _missing(names: Set[str]) -> List[str]:
    """Return the names of the arrays that are missing.

    The entire training set may be missing.
    """
    return [
        name
        for name in NAMES
        if name not in names and (name in TEST or names & set(TRAIN))
    ]


def _files(place: Path) -> List[Path]:
    return [place / f"{name}.npy" for name in NAMES] if place.is_dir() else [place]


def shape_of(place: Path) -> Optional[ImageShape]:
    """Return the shape of the pictures, from the header of `x_test`.

    None if it cannot be read.
    """
    with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile, DamagedError):
        if place.is_dir():
            shape = load_array(place / "x_test.npy").shape
        else:
            with zipfile.ZipFile(str(place)) as archive, archive.open(
                "x_test.npy",
            ) as file:
                shape = read_header(file)[0]
        _, height, width, *channels = shape
        return (height, width, channels[0] if channels else 1)
    return None


DATASET = Dataset(SPEC, locate, load, shape_of=shape_of)
