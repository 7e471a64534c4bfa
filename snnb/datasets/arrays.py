"""Data sets that are arrays already: fitting their images to the shape a model asks for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Tuple

import numpy as np

from snnb.datasets.spec import Shape
from snnb.errors import InputError


@dataclass(frozen=True)
class ArraySamples:
    """Images in memory, uint8 (n, height, width, channels), and their class ids, int64 (n,)."""

    labels: np.ndarray
    images: np.ndarray

    def check(self, shape: Shape, fit: str) -> None:
        """Raise `InputError` when the images cannot be brought to `shape` by `fit`: exact, pad or resize."""
        own = (self.images.shape[1], self.images.shape[2], self.images.shape[3])
        if shape == own:
            return
        have, want = _by(own), _by(shape)
        if fit == "exact":
            raise InputError(
                f"the images are {have}, the model takes {want}: choose the data set the model is made for."
            )
        if shape[2] != own[2]:
            raise InputError(
                f"the images have {own[2]} channels, the model takes {shape[2]}: neither padding nor resizing helps."
            )
        if fit == "pad" and (shape[0] < own[0] or shape[1] < own[1]):
            raise InputError(f"images of {have} cannot be padded to the smaller {want}: resize them.")

    def read(self, positions: np.ndarray, shape: Shape, fit: str) -> Tuple[np.ndarray, Dict[int, str]]:
        """Images at `positions` in `shape`, uint8 (k, height, width, channels); none is ever unreadable."""
        images = self.images[positions]
        if shape == images.shape[1:]:
            return images, {}
        return (_padded if fit == "pad" else _resized)(images, shape), {}

    def read_below(self, folder: Path) -> Dict[str, str]:
        """Nothing: the arrays are in memory."""
        return {}


def check_labels(labels: np.ndarray, num_classes: int, path: Path) -> np.ndarray:
    """`labels`, of integers, as int64; `InputError` names the first one that is no class id below `num_classes`."""
    if labels.dtype.kind not in "iuO":
        raise InputError(f"{path}: the labels are {labels.dtype}, not whole numbers; download it again.")
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        where = int(wrong[0])
        raise InputError(
            f"{path}: label {labels[where]} of sample {where} is no class id from 0 to {num_classes - 1}; "
            "download it again."
        )
    return labels.astype(np.int64)


def _padded(images: np.ndarray, shape: Shape) -> np.ndarray:
    """Images in the middle of a frame of zeros; an odd row or column goes to the bottom and the right."""
    count, height, width, _ = images.shape
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    framed = np.zeros((count, *shape), dtype=images.dtype)
    framed[:, top : top + height, left : left + width] = images
    return framed


def _resized(images: np.ndarray, shape: Shape) -> np.ndarray:
    """Images resampled bilinearly by Pillow, whose filter also averages when it shrinks."""
    from PIL import Image

    resized = np.empty((len(images), *shape), dtype=np.uint8)
    for image, out in zip(images, resized):
        # Pillow knows a grey image only without its channel axis.
        picture = Image.fromarray(image[..., 0] if shape[2] == 1 else image)
        out[...] = np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)).reshape(shape)
    return resized


def _by(shape: Shape) -> str:
    return "×".join(str(side) for side in shape)
