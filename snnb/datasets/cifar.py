"""What CIFAR-10 and CIFAR-100 share: archives of pickled batches with one image a row."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, List, Sequence, Tuple

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
    archive = next(iter(sorted(folder.glob("cifar-*.tar.gz"))), None) if folder.is_dir() else None
    if archive is not None:
        raise InputError(f"{archive} is still packed: unpack it there (tar -xzf) and try again.")
    raise InputError(f"{folder} holds no {name}/ with {', '.join(files)}.")


def fetch_batches(folder: Path, archive: str, sha256: str, size: int, files: Sequence[str], progress: Progress) -> None:
    """Download the official archive into `folder` and unpack `files` from it.

    `archive` is its file name, `sha256` and `size` (bytes) are its own. The folder in the archive appears whole.
    """
    from snnb.datasets.download import download

    path = folder / archive
    # Unpacked, the batches take a little more than the archive, which is removed afterwards.
    download([SITE + archive], path, sha256=sha256, size=3 * size, unpacked=False, progress=progress)
    with tarfile.open(path) as tar:
        top = tar.getmembers()[0].name.split("/")[0]
        unfinished = folder / f".{top}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        for file in files:
            member = tar.extractfile(f"{top}/{file}")
            if member is None:
                raise InputError(f"{path}: {top}/{file} is no file; download the archive again.")
            with member, (unfinished / file).open("wb") as out:
                shutil.copyfileobj(member, out)
    unfinished.replace(folder / top)
    path.unlink()


def read_images(path: Path, label_key: str, num_classes: int) -> Tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, 32, 32, 3) and class ids int64 (n,) of one batch file."""
    import numpy as np

    from snnb.datasets.arrays import check_labels
    from snnb.datasets.cifar_pickle import read_batch

    batch = read_batch(path)
    data, labels = batch.get("data"), batch.get(label_key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072 or data.dtype != np.uint8:
        raise InputError(f"{path}: `data` is no array of bytes with 3072 columns; download it again.")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(isinstance(label, int) for label in labels):
        raise InputError(f"{path}: `{label_key}` is no list of {len(data)} class ids; download it again.")
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # each row: all red values, all green, all blue
    return images, check_labels(np.array(labels, dtype=np.int64), num_classes, path)


def unusual_size(found: Tuple[int, int], official: Tuple[int, int]) -> List[str]:
    """A warning when the numbers of training and test images are not the published ones."""
    if found == official:
        return []
    return [
        f"{found[0]:,} training and {found[1]:,} test images; the official set has {official[0]:,} and {official[1]:,}"
    ]
