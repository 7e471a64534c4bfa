"""Data sets that are arrays in memory.

Conversion of images to the shape of a model, class numbers, and orders.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Tuple, Union

import numpy as np

from snnb.core.errors import InputError
from snnb.core.formatting import format_shape
from snnb.datasets.definition import ImageShape

MOST_CLASSES = 1 << 16  # of a data set whose number of classes follows from its labels


@dataclass(frozen=True)
class ArraySamples:
    """Images in memory: `labels`, int64 (n,), and `images`, uint8 or floats (n, height, width, channels)."""

    labels: np.ndarray
    images: np.ndarray

    def check(self, shape: ImageShape, fit: str) -> None:
        """Raise `InputError` if the images cannot be brought to `shape` by `fit`.

        "exact", "pad" or "resize".
        """
        image_shape = (self.images.shape[1], self.images.shape[2], self.images.shape[3])
        if shape == image_shape:
            return
        have, want = format_shape(image_shape), format_shape(shape)
        if image_shape[2] != shape[2] == image_shape[0]:
            raise InputError(
                f"the images are {have}, the model takes {want}: of channels first, "
                "write x.transpose(0, 2, 3, 1).",
            )
        if shape[2] != image_shape[2]:
            raise InputError(
                f"the images have {image_shape[2]} channels, the model takes "
                f"{shape[2]}: choose a model for {image_shape[2]} channels, or a data "
                f"set of {shape[2]}.",
            )
        if fit != "pad" and self.images.dtype.kind == "f":
            raise InputError(
                f"the images are {have}, the model takes {want}: write images of that "
                "size, because floats are not resized.",
            )
        if fit == "exact":
            raise InputError(
                f"the images are {have}, the model takes {want}: prepare them with "
                f"--shape {want.replace('×', 'x')}, which resizes them, or choose "
                "another data set or model.",
            )
        if fit == "resize" and image_shape[2] not in (1, 3):
            raise InputError(
                f"images of {image_shape[2]} channels cannot be resized to {want}: "
                "give images of that size.",
            )
        if fit == "pad" and (shape[0] < image_shape[0] or shape[1] < image_shape[1]):
            raise InputError(
                f"images of {have} cannot be padded to the smaller {want}: choose "
                "another shape or model.",
            )

    def read(
        self,
        positions: np.ndarray,
        shape: ImageShape,
        fit: str,
    ) -> Tuple[np.ndarray, Dict[int, str]]:
        """Return the images at `positions` in `shape`.

        Uint8 or float32 (k, height, width, channels).
        """
        images = self.images[positions]
        if images.dtype.kind == "f":
            images = images.astype(np.float32, copy=False)
        if shape == images.shape[1:]:
            return images, {}
        if fit == "pad":  # an odd extra row or column is at the bottom or right
            rows, columns = shape[0] - images.shape[1], shape[1] - images.shape[2]
            around = [
                (rows // 2, rows - rows // 2),
                (columns // 2, columns - columns // 2),
            ]
            return np.pad(images, [(0, 0), *around, (0, 0)]), {}
        from PIL import Image

        resized_images = np.empty((len(images), *shape), dtype=np.uint8)
        for image, out in zip(images, resized_images):
            # Pillow accepts a grey image only without a channel axis. Its filter also
            # averages if it makes one smaller.
            picture = Image.fromarray(image[..., 0] if shape[2] == 1 else image)
            out[...] = np.asarray(
                picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR),
            ).reshape(shape)
        return resized_images, {}


def class_numbers(
    labels: np.ndarray,
    num_classes: int,
    path: Union[Path, str],
    remedy: str = "download it again",
) -> np.ndarray:
    """Return labels (n,) as int64.

    Raise `InputError`, with the path of their file, unless each is a class number.
    """
    if labels.dtype.kind not in "iu":
        raise InputError(
            f"{path}: the labels are {labels.dtype}, not integers; {remedy}.",
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        where = int(wrong[0])
        raise InputError(
            f"{path}: label {labels[where]} of sample {where} is not a class number "
            f"from 0 to {num_classes - 1:,}; {remedy}.",
        )
    return labels.astype(np.int64)


def proportional_order(
    labels: np.ndarray,
    rng: Optional[np.random.Generator] = None,
) -> np.ndarray:
    """Return an order of samples, by their class numbers.

    In it, every prefix contains the classes in proportion.

    The j-th of a class's n samples is placed at the fraction (j + 1/2) / n of the
    order. A prefix that ends at the fraction t then contains n·t samples of each class,
    rounded. `rng` shuffles the samples of a class and samples at the same fraction;
    without it they keep the given order.
    """
    rank, counts = _rank_in_class(labels, rng)
    return np.lexsort(
        (labels if rng is None else rng.random(len(labels)), (rank + 0.5) / counts),
    )


def balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an order in which every prefix contains the same number of each class (±1) until a class is exhausted.

    `rng` shuffles the samples of a class, and samples of the same rank.
    """
    rank, _ = _rank_in_class(labels, rng)
    return np.lexsort((rng.random(len(labels)), rank))


def _rank_in_class(
    labels: np.ndarray,
    rng: Optional[np.random.Generator],
) -> Tuple[np.ndarray, np.ndarray]:
    """Return for each sample its rank in its class, random if `rng` is given, and the size of its class."""
    shuffle = rng.random(len(labels)) if rng is not None else np.arange(len(labels))
    by_class = np.lexsort((shuffle, labels))
    _, first_in_class, size = np.unique(
        labels[by_class], return_index=True, return_counts=True
    )
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - np.repeat(first_in_class, size)
    counts = np.empty(len(labels), dtype=np.int64)
    counts[by_class] = np.repeat(size, size)
    return rank, counts
