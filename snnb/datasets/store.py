"""The files of a prepared data set, written piece by piece: memory stays flat however many images there are."""

import io
import zipfile
from pathlib import Path
from typing import IO, Callable, Dict, List, Tuple

import numpy as np

from snnb.datasets.registry import Samples
from snnb.datasets.spec import Shape
from snnb.errors import InputError

CHUNK_BYTES = 16 * 2**20
BROKEN_SHARE = 0.01


def write_images(
    path: Path, samples: Samples, positions: np.ndarray, shape: Shape, fit: str, advance: Callable[[int], None]
) -> Tuple[np.ndarray, List[str]]:
    """Write the images at `positions` as a .npy file, uint8 (k, height, width, channels).

    Plain writes rather than a memory map: mapped pages count as the process's memory and would grow with the file.

    Returns
    -------
    The positions written, int64 (k,), and a line for each image left out because it cannot be read.

    Raises
    ------
    InputError : more than 1 % of the images cannot be read.
    """
    total, written, broken = len(positions), [], []  # type: int, List[np.ndarray], List[str]
    with path.open("wb") as stream:
        _write_header(stream, np.dtype(np.uint8), (total, *shape))
        for batch in _chunks(positions, int(np.prod(shape))):
            images, unreadable = samples.read(batch, shape, fit)
            stream.write(np.ascontiguousarray(images).data)
            broken += unreadable.values()
            if len(broken) > BROKEN_SHARE * total:
                raise InputError(
                    f"{len(broken)} of {total} pictures cannot be read, more than 1 %: the first is {broken[0]}; "
                    "replace or remove the broken files."
                )
            written.append(np.delete(batch, list(unreadable)))
            advance(len(batch))
        if broken:
            # The header is padded to 128 bytes for any number of images, so the true number fits in its place.
            stream.seek(0)
            _write_header(stream, np.dtype(np.uint8), (total - len(broken), *shape))
    return np.concatenate(written), broken


def write_scaled(path: Path, images: Path, positions: np.ndarray, scale: float, advance: Callable[[int], None]) -> None:
    """Write ``images[positions] / scale`` as the toolbox's npz: one float32 array `arr_0`, in [0, 1].

    Parameters
    ----------
    images : a .npy file of uint8 (n, height, width, channels)
    positions : int64 (k,)
    """
    shape = np.load(images, mmap_mode="r").shape[1:]
    with zipfile.ZipFile(path, "w") as archive, archive.open("arr_0.npy", "w", force_zip64=True) as stream:
        _write_header(stream, np.dtype(np.float32), (len(positions), *shape))
        for batch in _chunks(positions, 4 * int(np.prod(shape))):
            # Mapped anew for each piece, so that pages read before are not kept in this process.
            pixels = np.load(images, mmap_mode="r")[batch].astype(np.float32) / np.float32(scale)
            stream.write(pixels.data.cast("B"))  # a zip member counts len() as bytes
            advance(len(batch))


def size_on_disk(shape: Shape, train: int, test: int, norm: int) -> int:
    """Bytes of the prepared files: uint8 training and test images, float32 test and normalisation images."""
    return int(np.prod(shape)) * (train + test + 4 * (test + norm))


def class_counts(labels: np.ndarray, class_names: List[str]) -> Dict[str, int]:
    """Samples of each class, by name, classes without samples included."""
    counts = np.bincount(labels, minlength=len(class_names))
    return {name: int(count) for name, count in zip(class_names, counts)}


def _chunks(positions: np.ndarray, bytes_each: int) -> List[np.ndarray]:
    size = max(1, CHUNK_BYTES // bytes_each)
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def _write_header(stream: IO[bytes], dtype: np.dtype, shape: Tuple[int, ...]) -> None:
    header = io.BytesIO()
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, fields)
    stream.write(header.getvalue())
