from types import SimpleNamespace

import numpy as np
import pytest

from snnb.training.recipe import Recipe


def _small_model():
    """A network with dropout and batch normalisation, which have a state besides their weights."""
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten

    return Sequential(
        [
            Input((6, 5, 1), name="input"),
            Conv2D(4, 3, name="conv"),
            BatchNormalization(name="bn"),
            Activation("relu", name="relu"),
            Flatten(name="flatten"),
            Dropout(0.5, name="dropout"),
            Dense(3, activation="softmax", name="output"),
        ]
    )


def _plain_model(units=7):
    """A network without randomness and batch statistics, which an independent loop can reproduce."""
    from tensorflow.keras import Input, Sequential
    from tensorflow.keras.layers import Dense, Flatten

    layers = [
        Input((6, 5, 1), name="input"),
        Flatten(),
        Dense(units, activation="relu"),
        Dense(3, activation="softmax"),
    ]
    return Sequential(layers)


@pytest.fixture(scope="session")
def small_model():
    return _small_model


@pytest.fixture(scope="session")
def plain_model():
    return _plain_model


@pytest.fixture(scope="session")
def data():
    """Three patterns under noise, as uint8 pictures of 6×5 pixels."""
    rng = np.random.default_rng(7)
    patterns = rng.integers(0, 256, size=(3, 6, 5, 1))

    def pictures(count):
        y = rng.integers(0, 3, size=count)
        return (0.6 * patterns[y] + 0.4 * rng.integers(0, 256, size=(count, 6, 5, 1))).astype(np.uint8), y

    (x_train, y_train), (x_test, y_test) = pictures(120), pictures(40)
    return SimpleNamespace(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


@pytest.fixture(scope="session")
def arguments(data):
    """Arguments of `train`, from what a test wants other than usual: `arguments(tmp_path, seed=6)`."""
    from snnb.training.batches import LabelledPictures
    from snnb.training.training_setup import TrainingSetup

    def make(folder, target="train", **changes):
        wanted = {
            **vars(data),
            "num_classes": 3,
            "recipe": Recipe(epochs=2, batch_size=16, learning_rate=0.01),
            "validation_split": 0.25,
            "seed": 5,
            "steps_per_epoch": None,
            "checkpoint": folder / "checkpoint",
            **changes,
        }
        (folder / target).mkdir(exist_ok=True)
        training_set, test_set = (
            LabelledPictures(wanted.pop(f"x_{part}"), wanted.pop(f"y_{part}"), 255.0, wanted["num_classes"])
            for part in ("train", "test")
        )
        setup = TrainingSetup(*map(wanted.pop, ("recipe", "validation_split", "seed", "steps_per_epoch")))
        del wanted["num_classes"]
        named = {"training_set": training_set, "test_set": test_set, "setup": setup}
        return {**named, "model_file": folder / target / "small.h5", **wanted}

    return make


@pytest.fixture
def training(arguments, tmp_path):
    """`train` with all that a test does not care for; `training(seed=6)` changes what it does."""
    from snnb.training.fit import train

    def run(recipe=None, build=_small_model, folder="train", **changes):
        if recipe is not None:
            changes["recipe"] = recipe
        return train(build, **arguments(tmp_path, folder, **changes))

    return run
