"""Options of a training, and the identity by which a checkpoint is recognised."""

import json
import zlib
from dataclasses import dataclass
from typing import Dict, Optional

import numpy as np

from snnb.io.keras import description_of, keras
from snnb.training.batches import LabelledPictures
from snnb.training.recipe import Recipe


@dataclass(frozen=True)
class TrainingSetup:
    """Options that, with model and pictures, determine the result of a training.

    Attributes
    ----------
    recipe : Recipe
        Optimizer, learning rate, epochs, batch size and augmentation.
    validation_split : float
        Fraction of the training pictures, in [0, 1), used for validation after each epoch.
    seed : int
        Seed of the initial weights, split and order of the pictures, dropout and augmentation.
    steps_per_epoch : int or None
        Largest number of batches per epoch; None for all batches.
    """

    recipe: Recipe
    validation_split: float
    seed: int
    steps_per_epoch: Optional[int] = None


def identity_of(model: keras.Model, pictures: LabelledPictures, setup: TrainingSetup) -> Dict[str, str]:
    """Return what a resumed training must have in common with the interrupted one, by a name for messages.

    The number of epochs may differ, unless the learning rate depends on it.

    Parameters
    ----------
    model : keras.Model
    pictures : LabelledPictures
        Training set; 200 pictures and all labels are compared.
    setup : TrainingSetup
    """
    some = np.linspace(0, len(pictures.x) - 1, 200).astype(int)
    content = zlib.crc32(pictures.y.tobytes(), zlib.crc32(pictures.x[some].tobytes()))
    fields = {name: getattr(setup.recipe, name) for name in Recipe.model_fields}
    if setup.recipe.schedule != "cosine":
        del fields["epochs"]
    return {
        **{name.replace("_", " "): repr(value) for name, value in fields.items()},
        "validation split": repr(setup.validation_split),
        "seed": repr(setup.seed),
        "steps per epoch": repr(setup.steps_per_epoch),
        "model": f"{zlib.crc32(json.dumps(description_of(model)).encode()):08x}",
        "data set": f"{pictures.x.shape} {pictures.x.dtype} {pictures.scale} {content:08x}",
    }
