"""What CIFAR-10 and CIFAR-100 share: archives of pickled batches with one image a row."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Sequence, Tuple

from snnb.errors import InputError
from snnb.progress import Progress

if TYPE_CHECKING:
    import numpy as np

SITE = "https://www.cs.toronto.edu/~kriz/"


def locate_batches(folder: Path, name: str, files: Sequence[str]) -> Path:
    """The folder `name` in `folder`, or `folder` itself, that holds all `files`; `InputError` names those missing."""
    for place in (folder / name, folder):
        missing = [file for file in files if not (place / file).is_file()]
        if not missing:
            return place
        if len(missing) < len(files):
            raise InputError(f"{place} lacks {', '.join(missing)}.")
    raise InputError(f"{folder} holds no {name}/ with {', '.join(files)}.")


def fetch_batches(
    folder: Path, archive: str, sha256: str, size: int, top: str, files: Sequence[str], progress: Progress
) -> None:
    """Download the official archive into `folder` and unpack ``top/<files>`` from it; each file appears whole.

    `archive` is its file name, `sha256` and `size` (bytes) are its own.
    """
    from snnb.datasets.download import download

    path = folder / archive
    put_by_hand = path.exists()
    # Unpacked, the batches take a little more than the archive, which is removed afterwards.
    download([SITE + archive], path, sha256=sha256, size=3 * size, unpacked=False, progress=progress)
    with tarfile.open(path) as tar:
        for member in tar:
            place, _, file = member.name.rpartition("/")
            if place == top and file in files and member.isfile():
                content = tar.extractfile(member)
                assert content is not None  # it is a regular file
                (folder / top).mkdir(exist_ok=True)
                part = folder / top / f"{file}.{os.getpid()}.part"  # another process may be unpacking too
                with content, part.open("wb") as out:
                    shutil.copyfileobj(content, out)
                part.replace(folder / top / file)
    if not put_by_hand:
        path.unlink(missing_ok=True)


def read_images(path: Path, label_key: str, num_classes: int) -> Tuple[np.ndarray, np.ndarray, str]:
    """Images uint8 (n, 32, 32, 3) and class ids int64 (n,) of one batch file, and the file's SHA-256."""
    import numpy as np

    from snnb.datasets.arrays import check_labels
    from snnb.datasets.cifar_pickle import read_batch

    batch, sha256 = read_batch(path)
    data, labels = batch.get("data"), batch.get(label_key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072 or data.dtype != np.uint8:
        raise InputError(f"{path}: `data` is no array of bytes with 3072 columns; download it again.")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(isinstance(label, int) for label in labels):
        raise InputError(f"{path}: `{label_key}` is no list of {len(data)} class ids; download it again.")
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # each row: all red values, all green, all blue
    # As Python's numbers: a damaged file may hold one that no integer of numpy's does.
    return images, check_labels(np.array(labels, dtype=object), num_classes, path), sha256
