"""CIFAR-100: 60,000 colour images of 32×32 of 100 classes (their fine labels)."""

from pathlib import Path
from typing import List, Tuple

from snnb.core.errors import InputError
from snnb.core.progress import Progress
from snnb.datasets.cifar import fetch_batches, locate_batches, read_images
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset

FOLDER = "cifar-100-python"
FILES = ("train", "test", "meta")
ARCHIVE_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"

SPEC = DatasetSpec(
    name="cifar100",
    title="CIFAR-100",
    shape=(32, 32, 3),
    num_classes=100,
    class_names=None,
    scale=255.0,
    samples=(50_000, 10_000),
    version="the Python version",
    licence="unknown (none is stated)",
    source="https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009)",
    layout=f"{FOLDER}/ with train, test and meta",
    download=True,
    how_to_get="Leave out --source to download it.",
)


def locate(folder: Path) -> Path:
    """Return the folder of the batch files: `folder`, or the one that the archive makes in it."""
    return locate_batches(folder, FOLDER, FILES)


def fetch(folder: Path, progress: Progress) -> None:
    """Download and unpack the official archive (169 MB)."""
    fetch_batches(folder, "cifar-100-python.tar.gz", ARCHIVE_SHA256, 169_001_437, FOLDER, FILES, progress)


def load(where: Path) -> LoadedDataset:
    """Read all images into memory (180 MB)."""
    from snnb.datasets.array_samples import ArraySamples

    names, meta_sha256 = _class_names(where / "meta")
    train_images, train_ids, train_sha256 = read_images(where / "train", "fine_labels", 100)
    test_images, test_ids, test_sha256 = read_images(where / "test", "fine_labels", 100)
    return LoadedDataset(
        class_names=names,
        train=ArraySamples(train_ids, train_images),
        test=ArraySamples(test_ids, test_images),
        official_order=True,
        version=SPEC.version,
        inputs={where / "train": train_sha256, where / "test": test_sha256, where / "meta": meta_sha256},
    )


def _class_names(path: Path) -> Tuple[List[str], str]:
    from snnb.datasets.cifar_pickle import read_batch

    meta, sha256 = read_batch(path)
    names = meta.get("fine_label_names")
    if not isinstance(names, list) or len(names) != 100 or not all(isinstance(name, (bytes, str)) for name in names):
        raise InputError(f"{path}: `fine_label_names` is not a list of 100 names; download it again.")
    return [name.decode("ascii", "replace") if isinstance(name, bytes) else name for name in names], sha256


DATASET = Dataset(SPEC, locate, load, fetch)
