import numpy as np
import pytest

from snnb.datasets.catalogue import available


@pytest.fixture
def fruits(tmp_path, picture):
    colours = {"Apple Red 1": (250, 0, 0), "Kiwi": (0, 250, 0), "Plum": (0, 0, 250)}
    for name, colour in colours.items():
        for n in range(4):
            picture(f"fruits360/Training/{name}/{n}_100.jpg", colour, size=(100, 100))
        picture(f"fruits360/Test/{name}/r_4_100.jpg", colour, size=(100, 100))
    return tmp_path / "fruits360"


def check(target, preparation):
    assert preparation.class_names == ["Apple Red 1", "Kiwi", "Plum"]
    images, labels = np.load(target / "x_train.npy"), np.load(target / "y_train.npy")
    assert images.shape == (12, 100, 100, 3)
    assert np.array_equal(images[:, 50, 50].argmax(axis=1), labels)
    assert np.load(target / "y_test.npz")["arr_0"].shape == (3, 3)


def test_classes_are_read_from_disk_in_older_and_deeper_folders_too(
    run_prepare, fruits, tmp_path
):
    check(*run_prepare("fruits360", source=fruits))
    (fruits / "Test").rename(fruits / "Validation")
    deep = tmp_path / "data" / "fruits360" / "fruits-360_dataset" / "fruits-360"
    deep.parent.mkdir(parents=True)
    fruits.rename(deep)
    check(*run_prepare("fruits360"))
    assert available("fruits360", tmp_path / "data") == deep


def test_missing_folders_are_named(assert_refused, fruits, tmp_path):
    (fruits / "Test").rename(fruits / "Exam")
    assert_refused("neither Test/ nor Validation/", "fruits360", source=fruits)
    assert_refused(
        r"Exam holds no Training/\. Download it from the authors' repository",
        "fruits360",
        source=fruits / "Exam",
    )
