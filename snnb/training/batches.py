"""From memory-mapped pictures to the batches that Keras trains on, one batch at a time so that memory stays flat."""

from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

import numpy as np
import tensorflow as tf

from snnb.errors import UsageError
from snnb.training.recipe import Recipe


@dataclass(frozen=True)
class Pictures:
    """Pictures and what a model should say to them.

    Attributes
    ----------
    x
        (n, height, width, channels); the pixels are `x / scale`, computed in float32.
    y
        (n,) class numbers; not read for a reconstruction.
    scale
        What `x` is divided by: 255 for uint8 pictures.
    target_shape
        Shape of the model's output for one picture: (classes,), or that of the reconstruction.
    num_classes
        None when the model reproduces its input.
    """

    x: np.ndarray
    y: np.ndarray
    scale: float
    target_shape: Tuple[int, ...]
    num_classes: Optional[int]


def split_rows(count: int, share: float, seed: int) -> Tuple[np.ndarray, np.ndarray]:
    """Draw the pictures to train on and those to validate with.

    Parameters
    ----------
    count
        Pictures there are.
    share
        For validation: at least one picture, unless 0.
    seed
        Of the drawing.

    Returns
    -------
    training, validation
        Sorted indices, disjoint.
    """
    if not 0 <= share < 1:
        raise UsageError(f"the validation split must lie in [0, 1), not {share}")
    rows = np.random.default_rng([seed]).permutation(count)
    held_out = max(1, round(share * len(rows))) if share else 0
    if held_out >= len(rows):
        raise UsageError(f"{len(rows)} pictures leave none to train on beside {held_out} for validation")
    return np.sort(rows[held_out:]), np.sort(rows[:held_out])


def batches(
    pictures: Pictures,
    rows: np.ndarray,
    batch_size: int,
    augmentation: Optional[Tuple[Recipe, np.random.Generator]] = None,
) -> tf.data.Dataset:
    """Stream (pixels, target) pairs of float32.

    Parameters
    ----------
    pictures
        Where from.
    rows
        (m,) indices of the pictures, in the order in which they come.
    batch_size
        Pictures in a batch; the last one may hold fewer.
    augmentation
        The recipe that says how pictures are changed, and the source of chance. None leaves them as they are.

    Returns
    -------
    tf.data.Dataset
        Pixels of shape (batch, height, width, channels) in [0, 1]; targets one-hot, or the pixels in the shape of the
        output.
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
                yield pixels, pixels.reshape((len(pixels), *pictures.target_shape))
            else:
                yield pixels, np.eye(pictures.num_classes, dtype=np.float32)[pictures.y[chosen]]

    shapes = ((None, *pictures.x.shape[1:]), (None, *pictures.target_shape))
    return tf.data.Dataset.from_generator(generate, (tf.float32, tf.float32), shapes).prefetch(2)


def augment(raw: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """Mirror and move pictures by chance, as the recipe says; a moved picture repeats its border.

    Parameters
    ----------
    raw
        (batch, height, width, channels) of any type; not changed.
    recipe
        `flip` and `shift` count.
    rng
        Source of chance.
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
