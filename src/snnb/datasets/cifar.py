"""The common format of CIFAR-10 and CIFAR-100: archives of pickled batches with one image per row."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Sequence, Tuple

from snnb.core.errors import InputError
from snnb.core.progress import Progress

if TYPE_CHECKING:
    import numpy as np

SITE = "https://www.cs.toronto.edu/~kriz/"


def locate_batches(folder: Path, name: str, files: Sequence[str]) -> Path:
    """Return the folder that holds all batch files: `folder/name` or `folder`.

    Parameters
    ----------
    folder : Path
        Folder to search.
    name : str
        Folder that the official archive contains.
    files : sequence of str
        Names of the batch files.

    Raises
    ------
    InputError
        Files are missing; the message names them.
    """
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
    """Download the official archive and unpack its batch files.

    Parameters
    ----------
    folder : Path
        Folder for the archive; created if it is missing.
    archive, sha256, size : str, str, int
        File name, SHA-256 and size in bytes of the archive.
    top, files : str, sequence of str
        The files `top/file` of the archive are unpacked to `folder/top/file`; each appears only when it is complete.
    progress : Progress
        Called with numbers of bytes.

    Raises
    ------
    InputError
        The archive cannot be downloaded, or it is not the official one.
    ResourceError
        The disk has too little free space.
    """
    from snnb.datasets.download import download

    path = folder / archive
    was_there = path.exists()
    # The unpacked batches take slightly more space than the archive, which is removed afterwards.
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
    if not was_there:
        path.unlink(missing_ok=True)


def read_images(path: Path, label_key: str, num_classes: int) -> Tuple[np.ndarray, np.ndarray, str]:
    """Read one batch file.

    Parameters
    ----------
    path : Path
        The file.
    label_key : str
        Key of the labels in the pickled dictionary.
    num_classes : int
        Class numbers go from 0 to `num_classes - 1`.

    Returns
    -------
    images : np.ndarray
        uint8 (n, 32, 32, 3).
    labels : np.ndarray
        Class numbers, int64 (n,).
    sha256 : str
        SHA-256 of the file.

    Raises
    ------
    InputError
        The file is damaged, or could run code.
    """
    import numpy as np

    from snnb.datasets.array_samples import class_numbers
    from snnb.datasets.cifar_pickle import read_batch

    batch, sha256 = read_batch(path)
    data, labels = batch.get("data"), batch.get(label_key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072 or data.dtype != np.uint8:
        raise InputError(f"{path}: `data` is not an array of bytes with 3072 columns; download it again.")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(isinstance(label, int) for label in labels):
        raise InputError(f"{path}: `{label_key}` is not a list of {len(data)} class numbers; download it again.")
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # each row: all red values, all green, all blue
    return images, class_numbers(np.array(labels), num_classes, path), sha256
