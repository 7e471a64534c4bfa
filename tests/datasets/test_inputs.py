"""The files and folders that `prepare` reports as read, with their hashes."""

import hashlib

import numpy as np
import pytest

from snnb.io.files import listing_of


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_each_file_of_mnist_is_named_with_the_hash_of_its_bytes(run_prepare, mnist_folder):
    _, prepared = run_prepare("mnist", source=mnist_folder)
    assert prepared.inputs == {path: sha256(path) for path in mnist_folder.iterdir()}  # also of the gzipped one
    assert prepared.folders == {}


def test_so_are_an_npz_and_the_files_of_cifar(run_prepare, tmp_path, mnist_arrays, cifar10_folder):
    path = tmp_path / "mnist.npz"
    np.savez(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), mnist_arrays.values())))
    assert run_prepare("mnist", source=path)[1].inputs == {path: sha256(path)}
    batches = cifar10_folder / "cifar-10-batches-py"
    assert run_prepare("cifar10", source=cifar10_folder)[1].inputs == {p: sha256(p) for p in batches.iterdir()}


PETS = [f"{name}/{number}.png" for name in ("ant", "bee") for number in range(3)]
CASES = [
    ("folder:", ("train", "test"), PETS),
    ("fruits360", ("Training", "Test"), PETS),
    ("imagenet", ("train", "val"), PETS),
    ("catsvsdogs", ("cat", "dog"), [f"{number}.png" for number in range(5)]),
    ("catsvsdogs", ("train",), [f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(5)]),
]


@pytest.mark.parametrize(("name", "parts", "files"), CASES, ids=range(len(CASES)))
def test_pictures_are_named_with_the_hashes_of_what_was_decoded(run_prepare, picture, tmp_path, name, parts, files):
    folder = tmp_path / "pictures"
    for number, file in enumerate(f"{part}/{file}" for part in parts for file in files):
        picture(f"pictures/{file}", (number, 0, 0))
    index, folders = folder / "imagenet_class_index.json", [folder / part for part in parts]
    if name == "imagenet":
        index.write_text('{"0": ["ant", "Ant"], "1": ["bee", "Bee"]}')
    (folder / "notes.txt").write_text("not a picture")
    where = {} if name == "folder:" else {"source": folder}
    name = f"folder:{folder}" if name == "folder:" else name
    _, prepared = run_prepare(name, shape=(4, 4, 3), **where)
    assert prepared.folders == {part: {file: sha256(part / file) for file in files} for part in folders}
    assert prepared.listings == {part: listing_of(part) for part in folders}
    assert prepared.inputs == ({index: sha256(index)} if index.exists() else {})

    _, limited = run_prepare(name, shape=(4, 4, 3), limit=1, **where)  # those decoded, and the listing of all
    assert sum(map(len, limited.folders.values())) == 2
    assert limited.listings == prepared.listings
