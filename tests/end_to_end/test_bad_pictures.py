"""Bad pictures, labels, shapes and archives: one line that names what is wrong, exit code 3, nothing half-written."""

import shutil

import numpy as np
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
IDX = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}


@pytest.fixture
def place(tmp_path):
    """A net and a folder of 60 training and 6 test pictures of two classes."""
    (tmp_path / "net.py").write_text(NET)
    for part, count in (("train", 60), ("test", 3)):
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


def test_broken_pictures_are_counted_and_the_first_is_named(place, refused, snnb):
    path = place / "pictures" / "train" / "ant" / "5.png"
    path.write_bytes(path.read_bytes()[:40])
    result = snnb("prepare", *own(place), "--run-dir", place / "one")
    assert result.returncode == 0
    assert f"1 of 120 train pictures cannot be read and are left out: {path}" in result.stderr
    (path.parent / "6.png").write_text("no picture")
    line = refused("prepare", *own(place))
    assert f"2 of 120 pictures cannot be read, more than 1 %: the first is {path.parent}/" in line


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


@pytest.mark.parametrize("label", [10, 255])
def test_labels_out_of_range(place, refused, label):
    for name, axes in IDX.items():
        array = np.zeros((4, 28, 28)[:axes], np.uint8)
        if name == "t10k-labels-idx1-ubyte":
            array[2] = label
        header = bytes([0, 0, 8, axes]) + np.array(array.shape, ">u4").tobytes()
        (place / name).write_bytes(header + array.tobytes())
    line = refused("prepare", "--model", "mlp_mnist", "--source", place)
    assert f"{place}/t10k-labels-idx1-ubyte" in line
    assert str(label) in line


def test_archives_that_are_still_packed(place, refused):
    pictures = place / "pictures"
    for part in ("train", "test"):
        shutil.make_archive(str(pictures / part), "zip", pictures, part)
        shutil.rmtree(pictures / part)
    assert f"{pictures}/test.zip is still packed: unpack it" in refused("prepare", *own(place))
    kaggle = ["prepare", "--model", "cnn_catsvsdogs", "--source"]
    assert f"{pictures}/test.zip is still packed: unpack it" in refused(*kaggle, pictures)
    assert f"{pictures}/train.zip is still packed: unpack it" in refused(*kaggle, pictures / "train.zip")
    own_zip = [*own(place)[:3], f"folder:{pictures}/train.zip", "--shape", "8x8x3"]
    assert f"{pictures}/train.zip is still packed: unpack it" in refused("prepare", *own_zip)
