from types import SimpleNamespace

import numpy as np
import pytest

from snnb.model_files.keras import keras
from snnb.stages.train import TrainParams
from snnb.training.batches import LabelledPictures
from snnb.training.fit import train
from snnb.training.recipe import Recipe


def small_model():
    """A network with dropout and batch normalisation, which have a state besides their weights."""
    layers = keras.layers
    stack = [keras.Input((6, 5, 1), name="input"), layers.Conv2D(4, 3, name="conv")]
    stack += [
        layers.BatchNormalization(name="bn"),
        layers.Activation("relu"),
        layers.Flatten(),
        layers.Dropout(0.5),
    ]
    return keras.Sequential(
        [*stack, layers.Dense(3, activation="softmax", name="output")]
    )


def plain_model(units=7):
    """A network without randomness and batch statistics, which an independent loop can reproduce."""
    layers = keras.layers
    hidden, output = (
        layers.Dense(units, activation="relu"),
        layers.Dense(3, activation="softmax"),
    )
    return keras.Sequential(
        [keras.Input((6, 5, 1), name="input"), layers.Flatten(), hidden, output]
    )


@pytest.fixture(scope="session")
def data():
    """Three patterns under noise, as uint8 pictures of 6×5 pixels."""
    rng = np.random.default_rng(7)
    patterns = rng.integers(0, 256, size=(3, 6, 5, 1))

    def pictures(count):
        y = rng.integers(0, 3, size=count)
        return (
            0.6 * patterns[y] + 0.4 * rng.integers(0, 256, size=(count, 6, 5, 1))
        ).astype(np.uint8), y

    (x_train, y_train), (x_test, y_test) = pictures(120), pictures(40)
    return SimpleNamespace(
        x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test
    )


@pytest.fixture
def training(data, tmp_path):
    """`train` with defaults for what a test does not name; `training(seed=6)` changes one."""

    def run(recipe=None, build=small_model, folder="train", **changes):
        (tmp_path / folder).mkdir(exist_ok=True)
        options_given = {
            **vars(data),
            "num_classes": 3,
            "checkpoint": tmp_path / "checkpoint",
            **changes,
        }
        classes = options_given.pop("num_classes")
        sets = [
            LabelledPictures(
                options_given.pop(f"x_{p}"), options_given.pop(f"y_{p}"), 255.0, classes
            )
            for p in ("train", "test")
        ]
        recipe = recipe or Recipe(epochs=2, batch_size=16, learning_rate=0.01)
        other_options = {
            name: options_given.pop(name)
            for name in TrainParams.model_fields
            if name in options_given and name != "resume"
        }
        options = TrainParams(
            **{
                **recipe.model_dump(),
                "validation_split": 0.25,
                "seed": 5,
                **other_options,
            }
        )
        return train(
            build,
            *sets,
            options,
            model_file=tmp_path / folder / "small.h5",
            **options_given,
        )

    return run
