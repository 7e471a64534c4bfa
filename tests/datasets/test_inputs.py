"""The files and folders that `prepare` reports as read, with their hashes."""

import hashlib
import shutil

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


@pytest.fixture
def pets(tmp_path, picture):
    for part, count in (("train", 4), ("test", 2)):
        for number in range(count):
            for name in ("ant", "bee"):
                picture(f"pets/{part}/{name}/{number}.png", (number, 0, 0))
    return tmp_path / "pets"


def names_and_hashes(folder):
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*.*")}


def test_the_pictures_of_a_folder_are_named_with_the_hashes_of_what_was_decoded(run_prepare, pets):
    _, prepared = run_prepare(f"folder:{pets}", shape=(4, 4, 3))
    assert prepared.folders == {pets / part: names_and_hashes(pets / part) for part in ("train", "test")}
    assert prepared.listings == {pets / part: listing_of(pets / part) for part in ("train", "test")}
    assert prepared.inputs == {}


def test_with_a_limit_those_decoded_are_named_and_the_listing_is_of_all(run_prepare, pets):
    _, prepared = run_prepare(f"folder:{pets}", shape=(4, 4, 3), limit=2)
    assert {len(pictures) for pictures in prepared.folders.values()} == {2}
    assert prepared.listings[pets / "train"] == listing_of(pets / "train")


def test_the_other_picture_data_sets_name_theirs_too(run_prepare, pets, picture, tmp_path):
    (tmp_path / "fruits").mkdir()
    for old, new in (("train", "Training"), ("test", "Test")):
        shutil.copytree(pets / old, tmp_path / "fruits" / new)
    _, prepared = run_prepare("fruits360", source=tmp_path / "fruits", shape=(4, 4, 3))
    assert prepared.folders == {
        tmp_path / "fruits" / p: names_and_hashes(tmp_path / "fruits" / p) for p in ("Training", "Test")
    }

    for number in range(5):
        for name in ("cat", "dog"):
            picture(f"kaggle/train/{name}.{number}.jpg")
            picture(f"sorted/{name}/{number}.jpg")
    (tmp_path / "sorted" / "notes.txt").write_text("beside the pictures, and none of their business")
    kaggle = tmp_path / "kaggle" / "train"
    assert run_prepare("catsvsdogs", source=kaggle)[1].folders == {kaggle: names_and_hashes(kaggle)}
    cats, dogs = tmp_path / "sorted" / "cat", tmp_path / "sorted" / "dog"
    _, prepared = run_prepare("catsvsdogs", source=tmp_path / "sorted")
    assert prepared.folders == {cats: names_and_hashes(cats), dogs: names_and_hashes(dogs)}

    shutil.copytree(pets / "train", tmp_path / "imagenet" / "train")
    shutil.copytree(pets / "test", tmp_path / "imagenet" / "val")
    index = tmp_path / "imagenet" / "imagenet_class_index.json"
    index.write_text('{"0": ["ant", "Ant"], "1": ["bee", "Bee"]}')
    _, prepared = run_prepare("imagenet", source=tmp_path / "imagenet", shape=(4, 4, 3))
    assert prepared.inputs == {index: sha256(index)}
    assert prepared.folders == {
        tmp_path / "imagenet" / p: names_and_hashes(tmp_path / "imagenet" / p) for p in ("train", "val")
    }
