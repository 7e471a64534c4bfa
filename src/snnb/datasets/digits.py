"""The UCI digits that scikit-learn ships.

1,797 images of 8×8, values 0 to 16. Nothing is downloaded.
"""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from snnb.datasets.array_samples import ArraySamples, proportional_order
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset

TEST_SAMPLES = 360

SPEC = DatasetSpec(
    name="digits",
    title="UCI handwritten digits (8×8)",
    shape=(8, 8, 1),
    num_classes=10,
    class_names=tuple("0123456789"),
    scale=16.0,
    samples=(1437, TEST_SAMPLES),
    version="the copy of the UCI test set in scikit-learn",
    licence="CC BY 4.0",
    source=(
        "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits "
        "(Alpaydin & Kaynak 1998)"
    ),
    layout="",
    how_to_get="It comes with scikit-learn: install snnb's requirements.",
)


def locate(folder: Path) -> Path:
    """Return the folder in the installed package, which is not imported, since that takes a third of a second."""
    package = find_spec("sklearn")
    assert package is not None  # a requirement of this package
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / "data"


def load(where: Path) -> LoadedDataset:
    """Read 1,437 training and 360 test digits. They are the same for every seed, so that results can be compared."""
    rows = np.loadtxt(where / "digits.csv.gz", np.int64, delimiter=",")
    images, labels = rows[:, :-1].reshape(-1, 8, 8, 1).astype(np.uint8), rows[:, -1]
    order = proportional_order(labels, np.random.default_rng(0))
    parts = np.sort(order[TEST_SAMPLES:]), np.sort(order[:TEST_SAMPLES])
    train, test = (ArraySamples(labels[part], images[part]) for part in parts)
    return LoadedDataset(
        list(SPEC.class_names or ()),
        train,
        test,
        f"scikit-learn {version('scikit-learn')}",
    )


DATASET = Dataset(SPEC, locate, load)
