import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from snnb.core.errors import InputError, UsageError
from snnb.datasets.catalogue import available

RED = (255, 0, 0)
GREEN = (0, 255, 0)
BLUE = (0, 0, 255)


@pytest.fixture
def pets(tmp_path, picture):
    """Three classes of unequal size, each of one colour: 8, 4 and 4 for training, 4, 2 and 2 for the test."""
    for name, colour, count in (("ant", RED, 8), ("bee", GREEN, 4), ("cow", BLUE, 4)):
        for part, number in (("train", count), ("test", count // 2)):
            for n in range(number):
                picture(f"pets/{part}/{name}/{n}.png", colour)
    return tmp_path / "pets"


def test_classes_are_the_folders_in_order_with_or_without_a_training_set(
    run_prepare, pets
):
    target, preparation = run_prepare(f"folder:{pets}", shape=(5, 7, 3))
    images, labels = np.load(target / "x_train.npy"), np.load(target / "y_train.npy")
    assert images.shape == (16, 5, 7, 3)
    assert np.array_equal(
        images,
        np.eye(3, dtype=np.uint8)[labels][:, None, None]
        * np.ones((5, 7, 1), np.uint8)
        * 255,
    )
    assert preparation.class_names == ["ant", "bee", "cow"]
    assert preparation.splits["test"].class_counts == {"ant": 4, "bee": 2, "cow": 2}
    assert np.bincount(np.load(target / "y_test.npy")[:4]).tolist() == [2, 1, 1]
    assert preparation.version.startswith("24 pictures")
    assert preparation.sources == [pets / "train", pets / "test"]
    shutil.rmtree(pets / "train")
    target, preparation = run_prepare(f"folder:{pets}", shape=(5, 7, 3))
    images, labels = np.load(target / "x_test.npy"), np.load(target / "y_test.npy")
    assert np.array_equal(
        images,
        np.eye(3, dtype=np.uint8)[labels][:, None, None]
        * np.ones((5, 7, 1), np.uint8)
        * 255,
    )
    assert (list(preparation.splits), preparation.sources) == (["test"], [pets])


@pytest.mark.parametrize(
    ("folders", "warned"),
    [
        (["5"], "the folder 5 is class 0"),
        (["0", "1", "10", "2"], "the folder 10 is class 2"),
        (["0", "1", "2"], None),
    ],
)
def test_folders_named_by_numbers_of_other_classes_are_warned_of(
    run_prepare, tmp_path, picture, folders, warned
):
    for folder in folders:
        picture(f"numbers/test/{folder}/0.png", RED)
    preparation = run_prepare(f"folder:{tmp_path}/numbers", shape=(5, 7, 3))[1]
    if warned is None:
        assert preparation.warnings == []
    else:
        assert preparation.warnings[0].startswith(warned)


def test_another_collection_has_another_version(run_prepare, pets, picture):
    first_version = run_prepare(f"folder:{pets}", shape=(5, 7, 3))[1].version
    assert (
        run_prepare(f"folder:{pets}", shape=(5, 7, 3), seed=9)[1].version
        == first_version
    )
    (pets / "test" / "cow" / "0.png").rename(pets / "test" / "cow" / "7.png")
    assert run_prepare(f"folder:{pets}", shape=(5, 7, 3))[1].version != first_version


@pytest.fixture
def decode(run_prepare, tmp_path, picture):
    """Write a picture into the folders of one class, and return the prepared pixels."""

    def pixels(shape, name, *content, **save):
        for part in ("train", "test"):
            picture(f"own/{part}/a/{name}", *content, **save)
        return np.load(
            run_prepare(f"folder:{tmp_path / 'own'}", shape=shape)[0] / "x_train.npy"
        )[0]

    return pixels


def test_a_picture_of_the_right_size_keeps_every_pixel(decode):
    array = np.random.default_rng(0).integers(0, 256, (9, 5, 3), dtype=np.uint8)
    assert np.array_equal(decode((9, 5, 3), "0.png", array), array)
    grey = decode((9, 5, 1), "0.png", array)[..., 0]
    assert np.abs(grey - array @ [0.299, 0.587, 0.114]).max() <= 1  # ITU-R 601-2 luma


# Where the stored pixel in row r and column c of a height × width picture belongs, by EXIF's definition of tag 274.
UPRIGHT = {
    2: lambda r, c, h, w: (r, w - 1 - c),
    3: lambda r, c, h, w: (h - 1 - r, w - 1 - c),
    6: lambda r, c, h, w: (c, h - 1 - r),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_taken_with_a_turned_camera_is_turned_upright(decode, orientation):
    stored_pixels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = decode(
        (5, 3, 1) if orientation > 4 else (3, 5, 1), "0.png", stored_pixels, exif=exif
    )[..., 0]
    for (r, c), value in np.ndenumerate(stored_pixels):
        assert upright[UPRIGHT[orientation](r, c, 3, 5)] == value


def test_a_grey_picture_serves_a_colour_model_and_other_files_are_passed_over(
    decode, picture, tmp_path
):
    picture("own/train/a/0.PNG")
    for other_name in ("Thumbs.db", ".hidden.png", "readme.txt"):
        (tmp_path / "own/train/a" / other_name).write_bytes(b"?")
    assert np.array_equal(
        decode((4, 4, 3), "0.PNG", np.full((4, 4), 77, np.uint8)),
        np.full((4, 4, 3), 77),
    )


@pytest.mark.parametrize("suffix", ["jpg", "tif", "webp", "bmp", "gif", "ppm"])
def test_all_formats_are_read(decode, suffix):
    assert (
        np.abs(decode((4, 6, 3), f"0.{suffix}").astype(int) - (200, 100, 50)).max() < 8
    )


def test_damaged_metadata_do_not_matter(decode):
    damaged_content = b"Exif\0\0II*\0" + b"\xff" * 40
    pixels = decode(
        (8, 8, 3), "0.jpg", (200, 100, 50), (8, 8), exif=damaged_content, quality=100
    )
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() < 4


BREAK = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "16 bits": lambda path: Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(
        path
    ),
    "a format that Pillow decodes by running a program": lambda path: Image.new(
        "RGB", (4, 4)
    ).save(path, "EPS"),
}


@pytest.mark.parametrize("damage", BREAK.values(), ids=BREAK)
def test_a_broken_picture_is_named_counted_and_left_out(
    run_prepare, assert_refused, tmp_path, picture, damage
):
    rng = np.random.default_rng(0)
    for n in range(100):
        picture(
            f"own/train/{'ab'[n % 2]}/{n}.png",
            rng.integers(0, 256, (8, 8, 3), dtype=np.uint8),
        )
    for name in "ab":
        picture(f"own/test/{name}/0.png")
    broken = tmp_path / "own" / "train" / "a" / "42.png"
    damage(broken)
    target, preparation = run_prepare(f"folder:{tmp_path / 'own'}", shape=(8, 8, 3))
    images, labels = np.load(target / "x_train.npy"), np.load(target / "y_train.npy")
    assert images.shape == (99, 8, 8, 3)
    assert preparation.splits["train"].class_counts == {"a": 49, "b": 50}
    on_disk = {}
    for path in (tmp_path / "own" / "train").glob("*/*.png"):
        if path != broken:
            on_disk[np.asarray(Image.open(path)).tobytes()] = "ab".index(
                path.parent.name
            )
    assert {image.tobytes(): label for image, label in zip(images, labels)} == on_disk
    assert preparation.warnings[0].startswith(
        f"1 of 100 train images cannot be read and are ignored: {broken}"
    )

    damage(tmp_path / "own" / "train" / "b" / "43.png")
    assert_refused(
        r"2 of 100 .*, more than 1 %: the first is .*4[23]\.png",
        f"folder:{tmp_path / 'own'}",
        shape=(8, 8, 3),
    )


def test_memory_stays_flat_however_many_pictures_there_are(
    run_prepare, tmp_path, picture
):
    for n in range(400):
        picture(f"own/train/a/{n}.png", (n % 256, 0, 0), size=(2, 2))
    picture("own/test/a/0.png")
    run_prepare(
        f"folder:{tmp_path / 'own'}", shape=(8, 8, 3)
    )  # imports are not what is measured
    tracemalloc.start()
    target, _ = run_prepare(
        f"folder:{tmp_path / 'own'}", shape=(224, 224, 3), norm_samples=100
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    written = [(target / name).stat().st_size for name in ("x_train.npy", "x_norm.npz")]
    shutil.rmtree(target)
    assert min(written) > 60e6
    assert peak < min(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda pets: [(pets / part / "dog").mkdir() for part in ("train", "test")],
            "train/dog holds no images",
        ),
        (
            lambda pets: shutil.rmtree(pets / "test/cow"),
            r"test lacks the class folder\(s\) cow: 3 classes are expec",
        ),
        (
            lambda pets: (pets / "test" / "elk").mkdir(),
            r"test also holds the class folder\(s\) elk",
        ),
        (
            lambda pets: [
                (pets / part / "cow").rename(pets / part / "caf\udce9")
                for part in ("train", "test")
            ],
            r"the class name caf\\xe9 is not UTF-8: rename its folder",
        ),
        (
            lambda pets: (pets / "test").rename(pets / "validation"),
            r"pets lacks test/\. Make DIR/train/",
        ),
        (
            lambda pets: pets.rename(pets.with_name("gone")),
            "pets is not a folder, or does not exist.*Make DIR/train/",
        ),
    ],
)
def test_a_folder_that_is_not_as_expected_is_told_before_any_work(
    assert_refused, pets, tmp_path, change, message
):
    change(pets)
    assert_refused(message, f"folder:{pets}", shape=(5, 7, 3))
    assert list((tmp_path / "dataset0").iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"shape": (5, 7, 4)}, InputError, "1 or 3 channels, the model takes 4"),
        ({"shape": (5, 7, 3), "source": "."}, UsageError, "omit --source for folder:"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    run_prepare, pets, settings, error, message
):
    with pytest.raises(error, match=message):
        run_prepare(f"folder:{pets}", **settings)


def test_a_folder_is_found_by_its_name(pets, tmp_path):
    assert available(f"folder:{pets}", tmp_path) == pets
    assert available(f"folder:{pets}-not", tmp_path) is None
