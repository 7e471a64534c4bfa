"""A prepared data set: its description, and its files, which are written in pieces so that memory does not grow."""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Callable, Dict, List, Mapping, Tuple

import numpy as np

from snnb.datasets.definition import ImageShape, Samples
from snnb.errors import InputError

CHUNK_BYTES = 16 * 2**20
MOST_UNREADABLE = 0.01  # share of the images; with more of them, nothing is prepared


@dataclass(frozen=True)
class PreparedSplit:
    """One array of prepared images.

    Attributes
    ----------
    shape : tuple of four int
        (n, height, width, channels).
    dtype : str
        "uint8" or "float32".
    class_counts : dict of str to int
        Number of samples of each class, by name.
    """

    shape: Tuple[int, int, int, int]
    dtype: str
    class_counts: Dict[str, int]


@dataclass(frozen=True)
class PreparedDataset:
    """What `prepare` wrote and read, for the manifest.

    Attributes
    ----------
    dataset, version, licence, source : str
        As in `DatasetSpec`; the version is that of the files that were read.
    scale : float
        The stored value that means 1.0: a pixel is `value / scale`.
    class_names : list of str
        Names of the classes in the order of their numbers.
    splits : dict of str to PreparedSplit
        By "train", "test" and "norm".
    inputs : mapping of Path to str
        Files that were read, with the SHA-256 of the bytes that were used.
    folders : mapping of Path to mapping of str to str
        Folders whose pictures were read: by relative path of a picture, the SHA-256 of the bytes that were decoded.
    listings : mapping of Path to str
        The same folders, with their `snnb.files.listing_of` from before any picture was read.
    warnings : list of str
        What the user should know.
    """

    dataset: str
    version: str
    licence: str
    source: str
    scale: float
    class_names: List[str]
    splits: Dict[str, PreparedSplit]
    inputs: Mapping[Path, str] = field(default_factory=dict)
    folders: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)
    listings: Mapping[Path, str] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)


def write_images(
    path: Path, samples: Samples, positions: np.ndarray, shape: ImageShape, fit: str, advance: Callable[[int], None]
) -> Tuple[np.ndarray, List[str]]:
    """Write the images at some positions as a .npy file, uint8 (k, height, width, channels).

    The file is not mapped into memory, since mapped pages count as memory of the process.

    Parameters
    ----------
    path : Path
        The file to write.
    samples : Samples
        Where the images come from.
    positions : np.ndarray
        int64, in the order in which the images are written.
    shape : tuple of three int
        (height, width, channels) that the images get.
    fit : str
        How images of another shape are brought to it: "exact", "pad" or "resize".
    advance : callable
        Called with the number of samples done since the last call.

    Returns
    -------
    written : np.ndarray
        The positions that were written, int64 (k,).
    unreadable : list of str
        The reason for each image that cannot be read, which is left out.

    Raises
    ------
    InputError
        More than 1 % of the images cannot be read.
    """
    total = len(positions)
    written: List[np.ndarray] = []
    unreadable: List[str] = []
    with path.open("wb") as stream:
        _write_header(stream, np.dtype(np.uint8), (total, *shape))
        for batch in _chunks(positions, int(np.prod(shape))):
            images, reasons = samples.read(batch, shape, fit)
            stream.write(np.ascontiguousarray(images).data)
            unreadable += reasons.values()
            if len(unreadable) > MOST_UNREADABLE * total:
                raise InputError(
                    f"{len(unreadable)} of {total} pictures cannot be read, more than 1 %: "
                    f"the first is {unreadable[0]}; replace or remove these files."
                )
            written.append(np.delete(batch, list(reasons)))
            advance(len(batch))
        if unreadable:
            # The header is padded to 128 bytes for any number of images, so the true number fits in its place.
            stream.seek(0)
            _write_header(stream, np.dtype(np.uint8), (total - len(unreadable), *shape))
    return np.concatenate(written), unreadable


def write_scaled(path: Path, images: Path, positions: np.ndarray, scale: float, advance: Callable[[int], None]) -> None:
    """Write `images[positions] / scale` as an npz file for snntoolbox: one float32 array `arr_0`, in [0, 1].

    Parameters
    ----------
    path : Path
        The file to write.
    images : Path
        A .npy file of uint8 (n, height, width, channels).
    positions : np.ndarray
        int64 (k,).
    scale : float
        The stored value that means 1.0.
    advance : callable
        Called with the number of samples done since the last call.
    """
    shape = np.load(images, mmap_mode="r").shape[1:]
    with zipfile.ZipFile(path, "w") as archive, archive.open("arr_0.npy", "w", force_zip64=True) as stream:
        _write_header(stream, np.dtype(np.float32), (len(positions), *shape))
        for batch in _chunks(positions, 4 * int(np.prod(shape))):
            # Mapped again for each piece, so that the pages of earlier pieces leave the memory of this process.
            pixels = np.load(images, mmap_mode="r")[batch].astype(np.float32) / np.float32(scale)
            stream.write(pixels.data.cast("B"))  # zipfile takes len() for the number of bytes
            advance(len(batch))


def size_on_disk(shape: ImageShape, train: int, test: int, norm: int) -> int:
    """Return the bytes of the prepared images: of `train` and `test` as uint8, of `test` and `norm` as float32."""
    return int(np.prod(shape)) * (train + test + 4 * (test + norm))


def class_counts(labels: np.ndarray, class_names: List[str]) -> Dict[str, int]:
    """Return the number of samples of each class by name; classes without samples are included."""
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
