"""Bad pictures, labels and shapes: one line that names what is wrong, exit code 3, nothing half-written."""

import shutil

import pytest
from PIL import Image

NET = """
from tensorflow import keras
from tensorflow.keras import layers

def any_size(input_shape, num_classes):
    return keras.Sequential([
        layers.Flatten(input_shape=input_shape),
        layers.Dense(num_classes, activation="softmax"),
    ])

def ten_classes(input_shape):
    return any_size(input_shape, 10)
"""


@pytest.fixture
def place(tmp_path):
    """A net and a folder of 12 training and 6 test pictures of two classes."""
    (tmp_path / "net.py").write_text(NET)
    for part, count in (("train", 6), ("test", 3)):
        for name in ("ant", "bee"):
            (tmp_path / "pictures" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (9, 7), (number, 0, 0)).save(tmp_path / f"pictures/{part}/{name}/{number}.png")
    return tmp_path


@pytest.fixture
def refused(place, snnb):
    """Return the line that a refused command ends with."""

    def call(*arguments):
        run = place / "run"
        shutil.rmtree(run, ignore_errors=True)
        result = snnb(*arguments, "--run-dir", run, "--quiet")
        assert result.returncode == 3, result.stderr
        [line] = result.stderr.strip().splitlines()
        assert not list(run.glob("train"))
        return line

    return call


def own(place, function="any_size"):
    return ["--model", f"{place}/net.py:{function}", "--dataset", f"folder:{place}/pictures", "--shape", "8x8x3"]


def test_a_class_without_pictures(place, refused):
    for part in ("train", "test"):
        (place / "pictures" / part / "cow").mkdir()
    (place / "pictures" / "train" / "cow" / "notes.txt").write_text("none yet")
    assert f"{place}/pictures/train/cow holds no pictures" in refused("prepare", *own(place))


def test_another_number_of_classes_than_the_model_has(place, refused):
    assert "the data set has 2 classes" in refused("run", *own(place, "ten_classes"))


def test_pictures_of_another_size_than_a_trained_model_takes(place, refused):
    from tensorflow import keras

    trained = keras.Sequential([keras.layers.Flatten(input_shape=(16, 16, 3)), keras.layers.Dense(10, "softmax")])
    trained.save(str(place / "trained.h5"))
    line = refused("prepare", "--model", place / "trained.h5", "--dataset", "digits")
    assert "the images are 8×8×1, the model takes 16×16×3" in line
    line = refused("prepare", "--model", place / "trained.h5", *own(place)[2:])
    assert "16×16×3" in line
    assert "8×8×3" in line
