"""From memory-mapped pictures to the batches that Keras trains on, one batch at a time so that memory stays flat."""

from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

import numpy as np
import tensorflow as tf

from snnb.errors import UsageError
from snnb.training.recipe import Recipe


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures and the class of each.

    Attributes
    ----------
    x : np.ndarray
        (n, height, width, channels), any number type; the pixels are `x / scale`, computed in float32.
    y : np.ndarray
        (n,) class numbers from 0; not used by a model that reproduces its input.
    scale : float
        The stored value that means 1.0: 255 for uint8 pictures.
    num_classes : int or None
        Number of classes; None for a model that reproduces its input.
    """

    x: np.ndarray
    y: np.ndarray
    scale: float
    num_classes: Optional[int]


def split_rows(count: int, share: float, seed: int) -> Tuple[np.ndarray, np.ndarray]:
    """Draw at random which pictures are trained on and which are used for validation.

    Parameters
    ----------
    count : int
        Number of pictures.
    share : float
        Share of the pictures for validation, in [0, 1). A share above 0 gives at least one picture.
    seed : int
        Seed of the random choice.

    Returns
    -------
    training, validation : np.ndarray
        Sorted int64 indices; no index is in both.

    Raises
    ------
    UsageError
        The share is out of its range, or no picture is left to train on.
    """
    if not 0 <= share < 1:
        raise UsageError(f"the validation split must lie in [0, 1), not {share}")
    rows = np.random.default_rng([seed]).permutation(count)
    held_out = max(1, round(share * len(rows))) if share else 0
    if held_out >= len(rows):
        raise UsageError(
            f"with {held_out} of {len(rows)} pictures for validation, none is left to train on: "
            "prepare more pictures or give a smaller --validation-split"
        )
    return np.sort(rows[held_out:]), np.sort(rows[:held_out])


def batches(
    pictures: LabelledPictures,
    rows: np.ndarray,
    batch_size: int,
    target_shape: Tuple[int, ...],
    augmentation: Optional[Tuple[Recipe, np.random.Generator]] = None,
) -> tf.data.Dataset:
    """Stream (pixels, target) pairs of float32.

    Parameters
    ----------
    pictures : LabelledPictures
        Where the pictures come from.
    rows : np.ndarray
        (m,) indices of the pictures, in the order in which they come.
    batch_size : int
        Pictures in a batch; the last one may hold fewer.
    target_shape : tuple of int
        Shape of the model's output for one picture: (num_classes,), or that of the reproduced picture.
    augmentation : tuple of Recipe and np.random.Generator, optional
        How pictures are changed, and the source of the random numbers; without it they stay as they are.

    Returns
    -------
    tf.data.Dataset
        Pixels of shape (batch, height, width, channels) in [0, 1]; targets one-hot, (batch, num_classes), or the
        pixels in the shape of the output.
    """

    def generate() -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(rows), batch_size):
            chosen = rows[start : start + batch_size]
            raw = pictures.x[chosen]
            if augmentation is not None:
                raw = augment(raw, *augmentation)
            # In numpy, since TensorFlow's graph optimiser turns a division by a constant into a product, which rounds
            # differently from the pixels that the simulation sees.
            pixels = np.divide(raw, np.float32(pictures.scale), dtype=np.float32)
            if pictures.num_classes is None:
                yield pixels, pixels.reshape((len(pixels), *target_shape))
            else:
                yield pixels, np.eye(pictures.num_classes, dtype=np.float32)[pictures.y[chosen]]

    shapes = ((None, *pictures.x.shape[1:]), (None, *target_shape))
    return tf.data.Dataset.from_generator(generate, (tf.float32, tf.float32), shapes).prefetch(2)


def augment(raw: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """Mirror and move pictures at random, as the recipe says; a moved picture repeats its border.

    Parameters
    ----------
    raw : np.ndarray
        (batch, height, width, channels) of any type; it is not changed.
    recipe : Recipe
        Its `flip` and `shift` are used.
    rng : np.random.Generator
        Source of the random numbers.

    Returns
    -------
    np.ndarray
        The changed pictures, with the shape and type of `raw`.
    """
    _, height, width, _ = raw.shape
    flipped = rng.random(len(raw)) < 0.5 if recipe.flip else np.zeros(len(raw), bool)
    reach = (int(recipe.shift * height), int(recipe.shift * width))
    moves = rng.integers([-reach[0], -reach[1]], [reach[0] + 1, reach[1] + 1], size=(len(raw), 2))
    changed = np.empty_like(raw)
    for i, (flip, (down, right)) in enumerate(zip(flipped, moves)):
        rows = np.clip(np.arange(height) - down, 0, height - 1)
        columns = np.clip(np.arange(width) - right, 0, width - 1)
        changed[i] = raw[i][rows[:, np.newaxis], columns[::-1] if flip else columns]
    return changed
