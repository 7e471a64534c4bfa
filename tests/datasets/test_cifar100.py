import numpy as np
import pytest
from official_files import python2_batch

from snnb.core.errors import InputError
from snnb.datasets import available


@pytest.fixture
def batches(tmp_path):
    """The three files of CIFAR-100, with twelve and seven images; fine and coarse labels differ."""
    rng = np.random.default_rng(5)

    def part(count):
        return {
            b"filenames": [b"picture.png"] * count,
            b"fine_labels": [int(label) for label in rng.integers(20, 100, count)],
            b"coarse_labels": [int(label) for label in rng.integers(0, 20, count)],
            b"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
        }

    folder = tmp_path / "source" / "cifar100" / "cifar-100-python"
    folder.mkdir(parents=True)
    names = [f"thing {number}".encode() for number in range(100)]
    contents = {"train": part(12), "test": part(7), "meta": {b"fine_label_names": names}}
    for name, content in contents.items():
        (folder / name).write_bytes(python2_batch(content))
    return folder, contents


def test_the_fine_labels_and_their_names_are_taken(run_prepare, batches):
    folder, contents = batches
    target, prepared = run_prepare("cifar100", source=folder.parent)
    assert np.load(target / "y_train.npy").tolist() == contents["train"][b"fine_labels"]
    rows = contents["test"][b"data"].reshape(7, 3, 32, 32)
    assert np.array_equal(np.load(target / "x_test.npy")[..., 2], rows[:, 2])
    assert prepared.class_names[42] == "thing 42"
    assert np.load(target / "y_test.npz")["arr_0"].shape == (7, 100)
    assert available("cifar100", folder.parent.parent) == folder


def test_a_meta_file_without_the_names_is_told(run_prepare, batches):
    folder, _ = batches
    (folder / "meta").write_bytes(python2_batch({b"fine_label_names": [b"one"]}))
    with pytest.raises(InputError, match="meta: `fine_label_names` is not a list of 100 names"):
        run_prepare("cifar100", source=folder)
