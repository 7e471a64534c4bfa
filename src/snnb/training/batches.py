"""Batches of memory-mapped pictures for Keras. One batch at a time is converted, so that memory use is constant."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Iterator, Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.io.npy import one_hot
from snnb.training.recipe import Recipe, TrainingOptions

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures and their class numbers; the pixels are `x / scale`, computed in float32."""

    x: np.ndarray  # (n, height, width, channels), of any number type
    y: np.ndarray  # (n,) class numbers from 0; not used by an autoencoder
    scale: float  # the stored value that means 1.0: 255 for uint8 pictures
    num_classes: Optional[int]  # None for an autoencoder


def split_rows(count: int, share: float, seed: int) -> Tuple[np.ndarray, np.ndarray]:
    """Split `count` pictures at random; return the sorted indices of the training and of the validation set.

    `share` is the fraction of the pictures for validation, in (0, 1); at least one
    picture is. Raise `UsageError` if none is left to train on.
    """
    rows = np.random.default_rng([seed]).permutation(count)
    held_out = max(1, round(share * len(rows)))
    if held_out >= len(rows):
        raise UsageError(
            f"with {held_out} of {len(rows)} images for validation, none remains for "
            "training: prepare more images or give a smaller --validation-split",
        )
    return np.sort(rows[held_out:]), np.sort(rows[:held_out])


def batches(
    pictures: LabelledPictures,
    rows: np.ndarray,
    batch_size: int,
    target_shape: Tuple[int, ...],
) -> "tf.data.Dataset":
    """Return a dataset of (pixels, target) batches, float32, of the pictures `rows` in this order.

    Pixels are in [0, 1] and have the shape (batch, height, width, channels). Targets
    are one-hot, (batch, classes), or the pixels in the shape of the output;
    `target_shape` is the output shape of the model for one picture.
    """
    return _dataset(
        pictures,
        lambda: _in_order(pictures, rows, batch_size, target_shape, None),
        target_shape,
    )


def training_batches(
    pictures: LabelledPictures,
    rows: np.ndarray,
    options: TrainingOptions,
    target_shape: Tuple[int, ...],
    *,
    steps: int,
    first_epoch: int = 0,
) -> "tf.data.Dataset":
    """Return a dataset whose iterations are the epochs of a training: shuffled and augmented.

    The other arguments are as in `batches`. The seed and the index of an epoch
    determine its order. `steps` is the number of batches per epoch, `first_epoch` the
    index, from 0, of the epoch that the first iteration yields.
    """
    epochs = itertools.count(first_epoch)

    def generate() -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([options.seed, next(epochs)])
        order = rng.permutation(rows)[: steps * options.batch_size]
        augmentation = (options, rng) if options.flip or options.shift else None
        return _in_order(
            pictures,
            order,
            options.batch_size,
            target_shape,
            augmentation,
        )

    return _dataset(pictures, generate, target_shape)


def _dataset(
    pictures: LabelledPictures,
    generate: Callable[[], Iterator[Tuple[np.ndarray, np.ndarray]]],
    target_shape: Tuple[int, ...],
) -> "tf.data.Dataset":
    from snnb.core.quiet_tensorflow import tensorflow as tf

    shapes = ((None, *pictures.x.shape[1:]), (None, *target_shape))
    return tf.data.Dataset.from_generator(
        generate,
        (tf.float32, tf.float32),
        shapes,
    ).prefetch(2)


def _in_order(
    pictures: LabelledPictures,
    rows: np.ndarray,
    batch_size: int,
    target_shape: Tuple[int, ...],
    augmentation: Optional[Tuple[Recipe, np.random.Generator]],
) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(rows), batch_size):
        batch_rows = rows[start : start + batch_size]
        raw = pictures.x[batch_rows]
        if augmentation is not None:
            raw = _augmented(raw, *augmentation)
        # In numpy, since TensorFlow's graph optimiser turns a division by a constant
        # into a product, which rounds differently from the pixels that the simulation
        # uses.
        pixels = np.divide(raw, np.float32(pictures.scale), dtype=np.float32)
        if pictures.num_classes is None:
            yield pixels, pixels.reshape((len(pixels), *target_shape))
        else:
            yield pixels, one_hot(pictures.y[batch_rows], pictures.num_classes)


def _augmented(raw: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """Flip pictures horizontally and shift them at random; the border pixels of a shifted picture are repeated."""
    _, height, width, _ = raw.shape
    is_flipped = rng.random(len(raw)) < 0.5 if recipe.flip else np.zeros(len(raw), bool)
    reach = (int(recipe.shift * height), int(recipe.shift * width))
    moves = rng.integers(
        [-reach[0], -reach[1]],
        [reach[0] + 1, reach[1] + 1],
        size=(len(raw), 2),
    )
    augmented_images = np.empty_like(raw)
    for i, (flip, (down, right)) in enumerate(zip(is_flipped, moves)):
        rows = np.clip(np.arange(height) - down, 0, height - 1)
        columns = np.clip(np.arange(width) - right, 0, width - 1)
        augmented_images[i] = raw[i][
            rows[:, np.newaxis], columns[::-1] if flip else columns
        ]
    return augmented_images
