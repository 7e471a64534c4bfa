import gzip
import hashlib

import numpy as np
import pytest
from official_files import MNIST_NAMES, idx_bytes

from snnb.datasets import mnist
from snnb.datasets.catalogue import available

KEYS = ("x_train", "y_train", "x_test", "y_test")


def check_arrays(target, arrays):
    for key, name in zip(KEYS, MNIST_NAMES):
        assert np.array_equal(np.load(target / f"{key}.npy").squeeze(), arrays[name])
    assert np.load(target / "y_test.npy").dtype == np.int64


def test_idx_files_plain_or_gzipped_become_the_arrays_in_their_own_order(
    run_prepare, mnist_folder, mnist_arrays
):
    target, preparation = run_prepare("mnist", source=mnist_folder)
    check_arrays(target, mnist_arrays)
    assert preparation.splits["train"].class_counts == {
        str(digit): 4 for digit in range(10)
    }
    assert sorted(preparation.sources) == sorted(mnist_folder.iterdir())


def test_files_under_the_names_of_other_tools_are_found(
    run_prepare, mnist_folder, mnist_arrays
):
    name = "train-images-idx3-ubyte"
    (mnist_folder / name).rename(
        mnist_folder / "train-images.idx3-ubyte"
    )  # as unpacked by some programs
    gzipped_path = mnist_folder / "t10k-images-idx3-ubyte.gz"
    gzipped_path.write_bytes(
        gzip.decompress(gzipped_path.read_bytes())
    )  # as browsers unpack without renaming
    check_arrays(run_prepare("mnist", source=mnist_folder)[0], mnist_arrays)


def test_the_npz_of_keras_is_read(run_prepare, tmp_path, mnist_arrays):
    np.savez(tmp_path / "mnist.npz", **dict(zip(KEYS, mnist_arrays.values())))
    check_arrays(run_prepare("mnist", source=tmp_path)[0], mnist_arrays)
    target, preparation = run_prepare("mnist", source=tmp_path / "mnist.npz")
    check_arrays(target, mnist_arrays)
    assert preparation.sources == [tmp_path / "mnist.npz"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x_train": None},
            "has no array x_train; .*holds x_train, y_train, x_test and y_test",
        ),
        (
            {"y_test": np.array(["7"] * 20)},
            r"mnist\.npz: the labels are <U1, not integers; download it again",
        ),
        ({"y_test": np.zeros((20, 1), int)}, "20 labels for the 20 images"),
        ({"x_test": np.zeros((20, 28, 28))}, "float64 images of shape"),
        (
            {"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, int)},
            "mnist has no test samples",
        ),
    ],
)
def test_an_npz_of_another_kind_is_named_with_what_is_wrong(
    assert_refused, tmp_path, mnist_arrays, change, message
):
    arrays = {**dict(zip(KEYS, mnist_arrays.values())), **change}
    np.savez(
        tmp_path / "mnist.npz",
        **{name: array for name, array in arrays.items() if array is not None},
    )
    assert_refused(message, "mnist", source=tmp_path)


def test_files_other_than_the_official_ones_are_told(
    run_prepare, mnist_folder, monkeypatch, mnist_arrays
):
    _, preparation = run_prepare("mnist", source=mnist_folder)
    assert "t10k-images-idx3-ubyte.gz" in preparation.warnings[0]
    official = {
        name: mnist.PublishedFile(hashlib.sha256(idx_bytes(array)).hexdigest(), "")
        for name, array in mnist_arrays.items()
    }
    monkeypatch.setattr(mnist, "FILES", official)
    warnings = run_prepare("mnist", source=mnist_folder)[1].warnings
    assert warnings == [
        "40 training and 20 test samples; 60,000 and 10,000 are published"
    ]


def test_a_missing_file_is_named(assert_refused, mnist_folder, tmp_path):
    (mnist_folder / "train-labels-idx1-ubyte").unlink()
    assert_refused(
        r"source/mnist lacks train-labels-idx1-ubyte \(plain or \.gz\)",
        "mnist",
        source=mnist_folder,
    )
    assert available("mnist", tmp_path / "source") is None


def test_a_damaged_gzip_stream_is_named(assert_refused, mnist_folder):
    path = mnist_folder / "t10k-images-idx3-ubyte.gz"
    content = path.read_bytes()
    for damaged_content in (
        content[:8000],
        content[:-8] + b"\0\0\0\0" + content[-4:],
    ):  # cut, and of another checksum
        path.write_bytes(damaged_content)
        assert_refused(
            r"t10k-images-idx3-ubyte\.gz is not a complete IDX file",
            "mnist",
            source=mnist_folder,
        )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "train-images-idx3-ubyte",
            b"<html>404</html>",
            "is not a complete IDX file .*does not begin with 000008",
        ),
        (
            "train-images-idx3-ubyte",
            idx_bytes(np.zeros((40, 28, 28)))[:1000],
            "is not a complete IDX file",
        ),
        (
            "train-labels-idx1-ubyte",
            idx_bytes(np.zeros(39)),
            "39 labels for the 40 images",
        ),
        (
            "train-labels-idx1-ubyte",
            idx_bytes(np.repeat([3, 10], 20)),
            "label 10 of sample 20 .* 0 to 9",
        ),
        (
            "train-images-idx3-ubyte",
            idx_bytes(np.zeros((40, 20, 20))),
            r"\(20, 20\), not MNIST's uint8 of 28×28",
        ),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(
    assert_refused, mnist_folder, name, content, message
):
    (mnist_folder / name).write_bytes(content)
    assert_refused(f"{name}.*{message}", "mnist", source=mnist_folder)


def test_without_a_source_the_missing_files_are_downloaded_once(
    run_prepare, server, monkeypatch, mnist_arrays, tmp_path
):
    plain_files = {name: idx_bytes(array) for name, array in mnist_arrays.items()}
    server.files = {
        f"/{name}.gz": gzip.compress(content) for name, content in plain_files.items()
    }
    monkeypatch.setattr(mnist, "MIRRORS", (server.url,))
    published_hashes = {
        name: mnist.PublishedFile(
            *(
                hashlib.sha256(one_content).hexdigest()
                for one_content in (content, server.files[f"/{name}.gz"])
            )
        )
        for name, content in plain_files.items()
    }
    monkeypatch.setattr(mnist, "FILES", published_hashes)
    there_path = tmp_path / "data" / "mnist"
    there_path.mkdir(parents=True)
    (there_path / MNIST_NAMES[1]).write_bytes(plain_files[MNIST_NAMES[1]])

    check_arrays(run_prepare("mnist")[0], mnist_arrays)
    assert sorted(server.requests) == sorted(
        f"/{n}.gz" for n in MNIST_NAMES if n != MNIST_NAMES[1]
    )
    assert available("mnist", tmp_path / "data") == there_path

    run_prepare("mnist")
    assert len(server.requests) == 3
