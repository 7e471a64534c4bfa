import zipfile

import numpy as np
import pytest

CAT, DOG = (250, 0, 0), (0, 0, 250)


@pytest.fixture
def kaggle(tmp_path, picture):
    """Kaggle's layout with 20 cats and 30 dogs of different sizes, and its pictures without labels beside them."""
    for n in range(20):
        picture(f"kaggle/train/cat.{n}.jpg", CAT, size=(30 + n, 20))
    for n in range(30):
        picture(f"kaggle/train/dog.{n}.jpg", DOG, size=(20, 30 + n))
    picture("kaggle/test1/1.jpg", CAT)
    return tmp_path / "kaggle"


def test_a_fifth_of_each_class_becomes_the_test_set(run_prepare, kaggle):
    target, preparation = run_prepare("catsvsdogs", source=kaggle, shape=(16, 16, 3))
    assert preparation.splits["train"].class_counts == {"cat": 16, "dog": 24}
    assert preparation.splits["test"].class_counts == {"cat": 4, "dog": 6}
    assert preparation.sources == [kaggle / "train"]
    for part in ("train", "test"):
        images, labels = (
            np.load(target / f"x_{part}.npy").astype(int),
            np.load(target / f"y_{part}.npy"),
        )
        assert np.array_equal(images[:, 8, 8, 2] > images[:, 8, 8, 0], labels == 1)
    assert run_prepare("catsvsdogs", source=kaggle, limit=3)[1].splits[
        "test"
    ].shape == (3, 224, 224, 3)


def test_the_split_depends_on_file_names_and_on_nothing_else(
    run_prepare, kaggle, picture
):
    rng = np.random.default_rng(0)

    def fingerprint(name):
        shade = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        picture(f"kaggle/train/{name}", shade, quality=100, subsampling=0)

    for n in range(20):
        fingerprint(f"cat.{n}.jpg")

    def test_set(**settings):
        target, _ = run_prepare(
            "catsvsdogs", source=kaggle, shape=(4, 4, 3), **settings
        )
        return {image.tobytes() for image in np.load(target / "x_test.npy")}

    first_names = test_set(seed=1)
    assert test_set(seed=2) == first_names
    for n in range(20, 25):
        fingerprint(
            f"cat.{n}.jpg"
        )  # a quarter more cats: one more is for the test, and few change sides
    assert len(test_set(seed=1) & first_names) >= len(first_names) - 2


@pytest.mark.parametrize(
    "names",
    [("cat", "dog"), ("train/cats", "train/dogs"), ("PetImages/Cat", "PetImages/Dog")],
)
def test_a_folder_a_class_serves_too(run_prepare, tmp_path, picture, names):
    for folder, colour in zip(names, (CAT, DOG)):
        for n in range(5):
            picture(f"pets/{folder}/{n}.jpg", colour)
    target, preparation = run_prepare(
        "catsvsdogs", source=tmp_path / "pets", shape=(8, 8, 3)
    )
    assert preparation.splits["test"].class_counts == {"cat": 1, "dog": 1}
    assert preparation.sources == [tmp_path / "pets" / name for name in names]
    images, labels = (
        np.load(target / "x_train.npy").astype(int),
        np.load(target / "y_train.npy"),
    )
    assert np.array_equal(images[:, 4, 4, 2] > images[:, 4, 4, 0], labels == 1)


def test_an_archive_still_zipped_is_told(assert_refused, tmp_path):
    folder = tmp_path / "data" / "catsvsdogs"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "train.zip", "w") as archive:
        archive.writestr("train/cat.0.jpg", b"")
    for settings in ({}, {"source": folder}, {"source": folder / "train.zip"}):
        assert_refused(
            r"catsvsdogs/train\.zip is an archive: unpack it", "catsvsdogs", **settings
        )


def test_one_class_alone_is_told(assert_refused, kaggle):
    for path in (kaggle / "train").glob("dog.*"):
        path.unlink()
    assert_refused(r"holds 0 image\(s\) of a dog", "catsvsdogs", source=kaggle)
