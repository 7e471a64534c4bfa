"""The files and folders that `prepare` reports as read."""

import numpy as np
import pytest


def test_files_of_mnist_and_cifar(run_prepare, tmp_path, mnist_folder, mnist_arrays, cifar10_folder):
    assert sorted(run_prepare("mnist", source=mnist_folder)[1].sources) == sorted(mnist_folder.iterdir())
    path = tmp_path / "mnist.npz"
    np.savez(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), mnist_arrays.values())))
    assert run_prepare("mnist", source=path)[1].sources == [path]
    batches = cifar10_folder / "cifar-10-batches-py"
    assert sorted(run_prepare("cifar10", source=cifar10_folder)[1].sources) == sorted(batches.iterdir())


PETS = [f"{name}/{number}.png" for name in ("ant", "bee") for number in range(3)]
CASES = [
    ("folder:", ("train", "test"), PETS),
    ("fruits360", ("Training", "Test"), PETS),
    ("imagenet", ("train", "val"), PETS),
    ("catsvsdogs", ("cat", "dog"), [f"{number}.png" for number in range(5)]),
    ("catsvsdogs", ("train",), [f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(5)]),
]


@pytest.mark.parametrize(("name", "parts", "files"), CASES, ids=range(len(CASES)))
def test_folders_of_pictures_and_a_class_index(run_prepare, picture, tmp_path, name, parts, files):
    folder = tmp_path / "pictures"
    for number, file in enumerate(f"{part}/{file}" for part in parts for file in files):
        picture(f"pictures/{file}", (number, 0, 0))
    expected = [folder / part for part in parts]
    if name == "imagenet":
        expected.append(folder / "imagenet_class_index.json")
        expected[-1].write_text('{"0": ["ant", "Ant"], "1": ["bee", "Bee"]}')
    (folder / "notes.txt").write_text("not a picture")
    where = {} if name == "folder:" else {"source": folder}
    name = f"folder:{folder}" if name == "folder:" else name
    assert run_prepare(name, shape=(4, 4, 3), **where)[1].sources == expected
