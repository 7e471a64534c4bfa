"""CIFAR-10: 60,000 colour images of 32×32 in six pickled batches."""

from pathlib import Path

from snnb.core.progress import Progress
from snnb.datasets.cifar import fetch_batches, locate_batches, read_images
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset

FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILE = "test_batch"
FILES = (*TRAIN_FILES, TEST_FILE)
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"

SPEC = DatasetSpec(
    name="cifar10",
    title="CIFAR-10",
    shape=(32, 32, 3),
    num_classes=10,
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    scale=255.0,
    samples=(50_000, 10_000),
    version="the Python version",
    licence="unknown (none is stated)",
    source="https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009)",
    layout=f"{FOLDER}/ with data_batch_1 to data_batch_5 and {TEST_FILE}",
    download=True,
    how_to_get="Leave out --source to download it.",
)


def locate(folder: Path) -> Path:
    """Return the folder of the batch files: `folder`, or the one that the archive makes in it."""
    return locate_batches(folder, FOLDER, FILES)


def fetch(folder: Path, progress: Progress) -> None:
    """Download and unpack the official archive (170 MB)."""
    fetch_batches(folder, "cifar-10-python.tar.gz", ARCHIVE_SHA256, 170_498_071, FOLDER, FILES, progress)


def load(where: Path) -> LoadedDataset:
    """Read all images into memory (180 MB)."""
    import numpy as np

    from snnb.datasets.array_samples import ArraySamples

    read = {where / file: read_images(where / file, "labels", 10) for file in FILES}
    images, ids, _ = zip(*(read[where / file] for file in TRAIN_FILES))
    test_images, test_ids, _ = read[where / TEST_FILE]
    return LoadedDataset(
        class_names=list(SPEC.class_names or ()),
        train=ArraySamples(np.concatenate(ids), np.concatenate(images)),
        test=ArraySamples(test_ids, test_images),
        official_order=True,
        version=SPEC.version,
        inputs={path: sha256 for path, (_, _, sha256) in read.items()},
    )


DATASET = Dataset(SPEC, locate, load, fetch)
