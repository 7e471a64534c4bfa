"""Arrays of the user: both layouts give the same pictures, and what is not such an array is named."""

import tracemalloc

import numpy as np
import pytest

from snnb.cli.main import main
from snnb.datasets.catalogue import find_dataset


@pytest.fixture
def mine():
    rng = np.random.default_rng(5)
    return {
        "x_train": rng.integers(0, 256, (12, 5, 4, 3), dtype=np.uint8),
        "y_train": np.repeat([2, 0, 1], 4).astype(np.uint8)[
            :, np.newaxis
        ],  # (samples, 1), as Keras's CIFAR-10
        "x_test": rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8),
        "y_test": np.array([0, 1, 2, 0, 1, 2]),
    }


def written(folder, arrays, layout="file"):
    if layout == "file":
        np.savez_compressed(folder / "mine.npz", **arrays)
        return f"arrays:{folder / 'mine.npz'}"
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return f"arrays:{folder}"


@pytest.mark.parametrize("layout", ["file", "folder"])
@pytest.mark.parametrize("grey", [False, True])
def test_every_sample_keeps_its_pixels_and_class(
    run_prepare, tmp_path, mine, layout, grey
):
    if grey:
        mine.update({name: mine[name][..., 0] for name in ("x_train", "x_test")})
    name = written(tmp_path, mine, layout)
    shape = (5, 4, 1 if grey else 3)
    assert find_dataset(name).spec.shape == shape
    target, preparation = run_prepare(name)
    assert preparation.class_names == ["0", "1", "2"]
    for part in ("train", "test"):
        x, y = (np.load(target / f"{kind}_{part}.npy") for kind in "xy")
        assert x.shape == (len(y), *shape)
        pairs = zip(mine[f"x_{part}"], mine[f"y_{part}"].ravel())
        assert sorted((p.tobytes(), c) for p, c in zip(x, y)) == sorted(
            (p.tobytes(), c) for p, c in pairs
        )
    assert sorted(np.load(target / "y_test.npy")[:3]) == [0, 1, 2]  # in proportion


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_test": np.zeros((6, 5, 4, 3), np.float32)},
            "x_train is uint8 and x_test is float32: write uint8",
        ),
        (
            {"x_test": np.zeros((6, 5, 4, 3), np.int64)},
            "x_train is uint8 and x_test is int64: write uint8, where",
        ),
        (
            {"x_test": np.zeros((6, 4, 4, 3), np.uint8)},
            r"x_test has the shape \(6, 4, 4, 3\)",
        ),
        (
            {"x_train": np.zeros((12, 60), np.uint8)},
            r"x_train has the shape \(12, 60\)",
        ),
        (
            {"y_test": np.eye(6)},
            r"y_test is float64 of shape \(6, 6\); write one integer for each of the 6",
        ),
        ({"y_test": np.arange(5)}, r"y_test is int64 of shape \(5,\)"),
        (
            {"y_test": np.array([0, 1, 2, 3, 0, 0])},
            "y_test: label 3 of sample 3 is not a class number from 0 to 2",
        ),
        (
            {"y_train": np.repeat([1, 2, 3], 4)},
            "y_train: label 3 of sample 8 is not .* 0 to 2; y_train has 3 classes",
        ),
    ],
)
def test_arrays_of_another_kind_are_named(
    assert_refused, tmp_path, mine, changes, message
):
    assert_refused(message, written(tmp_path, {**mine, **changes}), shape=(5, 4, 3))


def test_one_hot_labels_of_many_classes_are_written_in_chunks(run_prepare, tmp_path):
    labels = np.arange(500)
    labels[7] = 19_999  # 40 MB as one-hot rows of float32
    name = written(
        tmp_path, {"x_test": np.zeros((500, 2, 2, 1), np.uint8), "y_test": labels}
    )
    tracemalloc.start()
    target, _ = run_prepare(name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6
    with np.load(target / "y_test.npz") as archive:
        rows = archive["arr_0"]
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows.argmax(axis=1), np.load(target / "y_test.npy"))
    assert (rows.sum(axis=1), rows.max()) == (pytest.approx(np.ones(500)), 1)


def test_missing_arrays_are_named(assert_refused, tmp_path, mine):
    shape = (5, 4, 3)
    assert_refused("lacks x_test.npy, y_test.npy", f"arrays:{tmp_path}", shape=shape)
    assert_refused("does not exist", f"arrays:{tmp_path / 'none.npz'}", shape=shape)
    for name in ("y_test", "x_train"):
        remaining_arrays = {key: array for key, array in mine.items() if key != name}
        assert_refused(
            f"has no array {name}", written(tmp_path, remaining_arrays), shape=shape
        )
        (folder := tmp_path / f"without {name}").mkdir()
        assert_refused(
            f"lacks {name}.npy",
            written(folder, remaining_arrays, "folder"),
            shape=shape,
        )


@pytest.mark.parametrize("layout", ["file", "folder"])
def test_the_training_set_may_be_missing(
    run_prepare, assert_refused, tmp_path, mine, layout
):
    test = {"x_test": mine["x_test"], "y_test": np.array([0, 3, 2, 0, 3, 3])}
    name = written(tmp_path, test, layout)
    target, preparation = run_prepare(name)
    assert preparation.class_names == ["0", "1", "2", "3"]
    assert list(preparation.splits) == ["test"]
    x, y = (np.load(target / f"{kind}_test.npy") for kind in "xy")
    assert sorted((p.tobytes(), c) for p, c in zip(x, y)) == sorted(
        (p.tobytes(), c) for p, c in zip(test["x_test"], test["y_test"])
    )
    toolbox = ["x_test.npz", "y_test.npz"]
    assert sorted(path.name for path in target.iterdir()) == sorted(
        ["x_test.npy", "y_test.npy", *toolbox]
    )
    for wrong in (-1, 10**12):
        written(
            tmp_path, {**test, "y_test": np.where(np.arange(6) == 3, wrong, 0)}, layout
        )
        assert_refused(
            f"y_test: label {wrong} of sample 3 is not a class number from 0 to",
            name,
            shape=(5, 4, 3),
        )


@pytest.mark.parametrize("layout", ["file", "folder"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_of_any_range_are_kept(run_prepare, tmp_path, mine, layout, dtype):
    for part in ("x_train", "x_test"):
        mine[part] = (mine[part].astype(dtype) - 100) / 7
    target, preparation = run_prepare(written(tmp_path, mine, layout))
    assert preparation.scale == 1
    for part in ("train", "test"):
        x, y = (np.load(target / f"{kind}_{part}.npy") for kind in "xy")
        given_images = mine[f"x_{part}"].astype("float32")
        pairs = zip(given_images, mine[f"y_{part}"].ravel())
        assert x.dtype == np.float32
        assert sorted((p.tobytes(), c) for p, c in zip(x, y)) == sorted(
            (p.tobytes(), c) for p, c in pairs
        )
        assert preparation.splits[part].values == (
            given_images.min(),
            given_images.max(),
        )
    np.testing.assert_array_equal(
        np.load(target / "x_test.npz")["arr_0"], np.load(target / "x_test.npy")
    )
    (warning,) = preparation.warnings
    assert (
        "the pixels are -14.29 to 22.14, as in the arrays: --input poisson and --weight-bits need"
        in warning
    )


def test_floats_that_are_not_finite_or_of_another_size_are_refused(
    assert_refused, tmp_path, mine
):
    floats = {name: mine[name] / np.float32(255) for name in ("x_train", "x_test")}
    name = written(tmp_path, {**mine, **floats})
    assert_refused(
        "the images are 5×4×3, the model takes 8×8×3: write images",
        name,
        shape=(8, 8, 3),
        fit="resize",
    )
    for wrong in (np.nan, np.inf):
        floats["x_test"][4, 1, 2, 0] = wrong
        written(tmp_path, {**mine, **floats})
        assert_refused("x_test: sample 4 has a value that is not finite", name)


@pytest.mark.parametrize("largest", [0, 16, 127, 128, 255])
def test_a_largest_value_far_below_255_is_named(run_prepare, tmp_path, mine, largest):
    mine.update(
        {
            part: (mine[part] % max(largest, 1)).astype(np.uint8)
            for part in ("x_train", "x_test")
        }
    )
    for part in ("x_train", "x_test"):
        mine[part][0] = largest
    _, preparation = run_prepare(written(tmp_path, mine))
    if largest > 127:
        assert preparation.warnings == []
        return
    (warning,) = preparation.warnings
    assert (
        f"the largest value of the train and test images is {largest} of 255" in warning
    )
    assert (
        f"if {largest} should be 1, multiply the values by 255 / {largest}" in warning
    ) == (largest > 0)
    mine["x_train"][0] = 255
    _, preparation = run_prepare(written(tmp_path, mine))
    assert [
        f"of the test images is {largest} of 255" in line
        for line in preparation.warnings
    ] == [True]


def test_channels_first_are_told_how_to_be_last(assert_refused, tmp_path, mine):
    channels_first = {
        name: mine[name].transpose(0, 3, 1, 2) for name in ("x_train", "x_test")
    }
    name = written(tmp_path, {**mine, **channels_first})
    for fit in ("exact", "resize"):  # also with --shape
        remedy = r"the images are 3×5×4, the model takes 5×4×3: of channels first, write x.transpose\(0, 2, 3, 1\)"
        assert_refused(remedy, name, shape=(5, 4, 3), fit=fit)
        assert_refused(
            "choose a model for 4 channels, or a data set of 1",
            name,
            shape=(5, 4, 1),
            fit=fit,
        )


def test_without_a_training_set_samples_for_the_normalisation_have_no_effect(
    tmp_path, mine, capsys
):
    (tmp_path / "net.py").write_text("def net(input_shape, num_classes): return None")
    name = written(
        tmp_path, {key: array for key, array in mine.items() if key.endswith("test")}
    )
    model = ["--model", f"{tmp_path / 'net.py'}:net", "--dataset", name]
    command = ["prepare", *model, "--run-dir", f"{tmp_path / 'run'}"]
    assert main(command) == 0
    assert "--norm-samples" not in capsys.readouterr().err
    assert main([*command, "--norm-samples", "5"]) == 0
    assert (
        "--norm-samples: ignored, because the data set has no training images"
        in capsys.readouterr().err
    )


def test_a_model_takes_the_shape_of_the_arrays(tmp_path, mine, capsys):
    (tmp_path / "net.py").write_text("def net(input_shape, num_classes): return None")
    model = [
        "--model",
        f"{tmp_path / 'net.py'}:net",
        "--dataset",
        written(tmp_path, mine),
    ]
    assert main(["prepare", *model, "--run-dir", str(tmp_path / "run")]) == 0
    assert np.load(tmp_path / "run" / "dataset" / "x_test.npy").shape == (6, 5, 4, 3)
    assert main(["prepare", *model, "--run-dir", str(tmp_path / "run"), "--quiet"]) == 0
    mine["x_test"][0] = 0
    written(tmp_path, mine)
    capsys.readouterr()
    assert main(["prepare", *model, "--run-dir", str(tmp_path / "run")]) == 0
    assert "mine.npz has changed" in capsys.readouterr().err
