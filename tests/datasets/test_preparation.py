import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from snnb.core.errors import InputError, UsageError
from snnb.datasets import digits


def test_the_toolbox_files_hold_the_same_pixels_between_0_and_1(run_prepare):
    target, preparation = run_prepare("digits", norm_samples=100)
    x_test, y_test = (
        np.load(target / f"{name}.npz")["arr_0"] for name in ("x_test", "y_test")
    )
    assert x_test.dtype == y_test.dtype == np.float32
    assert np.array_equal(
        x_test, np.load(target / "x_test.npy") / 16
    )  # sixteenths are exact
    assert np.array_equal(y_test.argmax(axis=1), np.load(target / "y_test.npy"))
    assert np.array_equal(y_test.sum(axis=1), np.ones(360))
    assert preparation.splits["test"].shape == (360, 8, 8, 1)
    expected_images = (
        "x_train.npy y_train.npy x_test.npy y_test.npy x_norm.npz x_test.npz y_test.npz"
    )
    assert sorted(path.name for path in target.iterdir()) == sorted(
        expected_images.split()
    )


def test_x_norm_is_a_balanced_part_of_the_training_set_or_all_of_a_smaller_one(
    run_prepare,
):
    target, preparation = run_prepare("digits", norm_samples=105)
    norm = (np.load(target / "x_norm.npz")["arr_0"] * 16).astype(np.uint8)
    train = [image.tobytes() for image in np.load(target / "x_train.npy")]
    labels = np.load(target / "y_train.npy")
    norm_labels = [labels[train.index(image.tobytes())] for image in norm]
    assert sorted(np.bincount(norm_labels)) == [10] * 5 + [11] * 5
    assert sum(preparation.splits["norm"].class_counts.values()) == 105
    target, preparation = run_prepare("digits", norm_samples=50, limit=20)
    assert preparation.splits["norm"].shape == (20, 8, 8, 1)
    assert np.load(target / "x_norm.npz")["arr_0"].shape == (20, 8, 8, 1)


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_order_of_the_same_test_set(
    run_prepare,
):
    first_preparation, again, other_preparation = (
        run_prepare("digits", seed=seed)[0] for seed in (1, 1, 2)
    )
    for path in first_preparation.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()
    images = [
        np.load(target / "x_test.npy").reshape(360, 64)
        for target in (first_preparation, other_preparation)
    ]
    assert not np.array_equal(*images)
    assert np.array_equal(*(rows[np.lexsort(rows.T)] for rows in images))


def test_a_limit_keeps_the_classes_in_proportion_and_the_official_order(
    run_prepare, mnist_folder, mnist_arrays
):
    target, preparation = run_prepare("mnist", source=mnist_folder, limit=20)
    assert preparation.splits["train"].class_counts == {
        str(digit): 2 for digit in range(10)
    }
    images = mnist_arrays["train-images-idx3-ubyte"]
    kept_counts = [
        int(np.flatnonzero((images == image[..., 0]).all(axis=(1, 2)))[0])
        for image in np.load(target / "x_train.npy")
    ]
    assert kept_counts == sorted(kept_counts)
    labels = mnist_arrays["train-labels-idx1-ubyte"]
    assert kept_counts == sorted(
        int(n) for digit in range(10) for n in np.flatnonzero(labels == digit)[:2]
    )
    assert preparation.splits["test"].shape == (20, 28, 28, 1)


def test_padding_puts_the_image_into_the_middle_of_zeros(
    run_prepare, mnist_folder, mnist_arrays
):
    target, preparation = run_prepare(
        "mnist", source=mnist_folder, shape=(32, 32, 1), fit="pad"
    )
    expected_images = np.pad(
        mnist_arrays["train-images-idx3-ubyte"], ((0, 0), (2, 2), (2, 2))
    )[..., np.newaxis]
    assert np.array_equal(np.load(target / "x_train.npy"), expected_images)
    assert preparation.splits["train"].shape == (40, 32, 32, 1)


def test_resizing_interpolates_between_pixel_centres(
    run_prepare, mnist_folder, mnist_arrays
):
    target, _ = run_prepare(
        "mnist", source=mnist_folder, shape=(224, 112, 1), fit="resize", limit=10
    )
    resized_image = np.load(target / "x_test.npy")[0, ..., 0]
    image = mnist_arrays["t10k-images-idx3-ubyte"]
    original = image[
        np.flatnonzero(
            mnist_arrays["t10k-labels-idx1-ubyte"] == np.load(target / "y_test.npy")[0]
        )[0]
    ]
    rows, columns = (np.arange(224) + 0.5) / 8 - 0.5, (np.arange(112) + 0.5) / 4 - 0.5
    widened_image = np.array(
        [np.interp(columns, np.arange(28), line) for line in original]
    )
    expected_image = np.array(
        [np.interp(rows, np.arange(28), line) for line in widened_image.T]
    ).T
    assert (
        np.abs(resized_image - expected_image).max() <= 1.01
    )  # Pillow rounds after each of the two directions


def test_colour_images_are_resized_with_their_channels_apart(
    run_prepare, cifar10_folder
):
    target, _ = run_prepare(
        "cifar10", source=cifar10_folder, shape=(8, 8, 3), fit="resize"
    )
    whole_preparation, _ = run_prepare("cifar10", source=cifar10_folder)
    small, large = (
        np.load(folder / "x_test.npy")[0] for folder in (target, whole_preparation)
    )
    for channel in range(3):
        alone = Image.fromarray(large[..., channel]).resize(
            (8, 8), Image.Resampling.BILINEAR
        )
        assert np.array_equal(small[..., channel], alone)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"shape": (28, 28, 1)},
            InputError,
            "the images are 8×8×1, the model takes 28×28×1",
        ),
        (
            {"shape": (8, 8, 3), "fit": "resize"},
            InputError,
            "1 channels, the model takes 3",
        ),
        (
            {"shape": (4, 8, 1), "fit": "pad"},
            InputError,
            "cannot be padded to the smaller 4×8×1",
        ),
        ({"num_classes": 11}, InputError, "digits has 10 classes, the model has 11"),
        ({"source": "."}, UsageError, "omit --source"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    run_prepare, tmp_path, settings, error, message
):
    with pytest.raises(error, match=message):
        run_prepare("digits", **settings)
    assert list((tmp_path / "dataset0").iterdir()) == []


def test_progress_ends_when_everything_is_done(run_prepare):
    seen = []
    run_prepare(
        "digits", progress=lambda done, total, note="": seen.append((done, total))
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (1437 + 360 + 360 + 10,) * 2


def test_digits_are_those_of_scikit_learn_each_in_one_of_the_two_sets(run_prepare):
    target, _ = run_prepare("digits")
    train, test = np.load(target / "x_train.npy"), np.load(target / "x_test.npy")
    assert train.shape == (1437, 8, 8, 1)
    assert test.shape == (360, 8, 8, 1)
    labels = np.concatenate(
        [np.load(target / "y_train.npy"), np.load(target / "y_test.npy")]
    )
    found_digits = sorted(
        (label, image.tobytes())
        for label, image in zip(labels, np.concatenate([train, test]))
    )
    official = load_digits()
    expected_pairs = zip(official.target, official.images.astype(np.uint8))
    assert found_digits == sorted(
        (label, image.tobytes()) for label, image in expected_pairs
    )
    assert digits.SPEC.scale == official.images.max()
