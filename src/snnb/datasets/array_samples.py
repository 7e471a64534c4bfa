"""Data sets that are arrays in memory, and the conversion of their images to the shape that a model takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.datasets.definition import ImageShape


@dataclass(frozen=True)
class ArraySamples:
    """Images in memory: `labels`, int64 (n,), and `images`, uint8 (n, height, width, channels)."""

    labels: np.ndarray
    images: np.ndarray

    def check(self, shape: ImageShape, fit: str) -> None:
        """Raise `InputError` if the images cannot be brought to `shape` by `fit`: "exact", "pad" or "resize"."""
        own = (self.images.shape[1], self.images.shape[2], self.images.shape[3])
        if shape == own:
            return
        have, want = _by(own), _by(shape)
        if fit == "exact":
            raise InputError(
                f"the images are {have}, the model takes {want}: choose a data set of that shape, or another model."
            )
        if shape[2] != own[2]:
            raise InputError(
                f"the images have {own[2]} channels, the model takes {shape[2]}: "
                f"choose a model for {own[2]} channels, or give another --shape."
            )
        if fit == "resize" and own[2] not in (1, 3):
            raise InputError(f"images of {own[2]} channels cannot be resized to {want}: give images of that size.")
        if fit == "pad" and (shape[0] < own[0] or shape[1] < own[1]):
            raise InputError(f"images of {have} cannot be padded to the smaller {want}: choose another shape or model.")

    def read(self, positions: np.ndarray, shape: ImageShape, fit: str) -> Tuple[np.ndarray, Dict[int, str]]:
        """Return the images at `positions` in `shape`, uint8 (k, height, width, channels). All can be read."""
        images = self.images[positions]
        if shape == images.shape[1:]:
            return images, {}
        return (_padded if fit == "pad" else _resized)(images, shape), {}


def class_numbers(labels: np.ndarray, num_classes: int, path: Path) -> np.ndarray:
    """Return labels as int64; raise `InputError` unless each is a class number.

    Parameters
    ----------
    labels : (n,) array
    num_classes : int
        Class numbers are from 0 to `num_classes - 1`.
    path : Path
        File of the labels, for the message.
    """
    if labels.dtype.kind not in "iu":
        raise InputError(f"{path}: the labels are {labels.dtype}, not whole numbers; download it again.")
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        where = int(wrong[0])
        raise InputError(
            f"{path}: label {labels[where]} of sample {where} is not a class number from 0 to {num_classes - 1}; "
            "download it again."
        )
    return labels.astype(np.int64)


def _padded(images: np.ndarray, shape: ImageShape) -> np.ndarray:
    """Centre images in zeros; an odd extra row or column is at the bottom or right."""
    count, height, width, _ = images.shape
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    framed = np.zeros((count, *shape), dtype=images.dtype)
    framed[:, top : top + height, left : left + width] = images
    return framed


def _resized(images: np.ndarray, shape: ImageShape) -> np.ndarray:
    """Resize images with Pillow's bilinear filter, which also averages when it makes an image smaller."""
    from PIL import Image

    resized = np.empty((len(images), *shape), dtype=np.uint8)
    for image, out in zip(images, resized):
        # Pillow accepts a grey image only without a channel axis.
        picture = Image.fromarray(image[..., 0] if shape[2] == 1 else image)
        out[...] = np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)).reshape(shape)
    return resized


def _by(shape: ImageShape) -> str:
    return "×".join(str(side) for side in shape)
