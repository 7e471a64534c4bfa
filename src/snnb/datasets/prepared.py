"""A prepared data set: its description, and its files, which are written in chunks to bound memory use."""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Callable, Dict, List, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.datasets.definition import ImageShape, Samples

CHUNK_BYTES = 16 * 2**20
MOST_UNREADABLE = 0.01  # fraction of the images; more of them are an error


@dataclass(frozen=True)
class PreparedSplit:
    """Description of an array of prepared images, with the number of samples of each class by name."""

    shape: Tuple[int, int, int, int]
    dtype: str
    class_counts: Dict[str, int]


@dataclass(frozen=True)
class PreparedDataset:
    """Description of what `prepare` wrote and read, for the manifest.

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
    sources : list of Path
        Files that were read, and folders of pictures.
    warnings : list of str
        Messages for the user.
    """

    dataset: str
    version: str
    licence: str
    source: str
    scale: float
    class_names: List[str]
    splits: Dict[str, PreparedSplit]
    sources: List[Path] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)


def write_images(
    path: Path, samples: Samples, positions: np.ndarray, shape: ImageShape, fit: str, advance: Callable[[int], None]
) -> Tuple[np.ndarray, List[str]]:
    """Write the images at some positions to a .npy file, uint8 (k, height, width, channels).

    The file is not memory-mapped, since mapped pages count as memory of the process.

    Parameters
    ----------
    path : Path
        File to write.
    samples, positions, shape, fit
        As for `Samples.read`.
    advance : callable
        Called with the number of samples processed since the last call.

    Returns
    -------
    written : np.ndarray
        The positions that were written, int64 (k,).
    unreadable : list of str
        Reason for each image that cannot be read and is left out.

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
            # The header is padded to 128 bytes for any number of images, so it can be overwritten.
            stream.seek(0)
            _write_header(stream, np.dtype(np.uint8), (total - len(unreadable), *shape))
    return np.concatenate(written), unreadable


def write_scaled(path: Path, images: Path, positions: np.ndarray, scale: float, advance: Callable[[int], None]) -> None:
    """Write `images[positions] / scale` as an npz file for snntoolbox: one float32 array `arr_0`, in [0, 1].

    Parameters
    ----------
    path, images : Path
        File to write, and a .npy file of uint8 (n, height, width, channels).
    positions : (k,) int64 array
    scale : float
        The stored value that means 1.0.
    advance : callable
        Called with the number of samples processed since the last call.
    """
    shape = np.load(images, mmap_mode="r").shape[1:]
    with zipfile.ZipFile(path, "w") as archive, archive.open("arr_0.npy", "w", force_zip64=True) as stream:
        _write_header(stream, np.dtype(np.float32), (len(positions), *shape))
        for batch in _chunks(positions, 4 * int(np.prod(shape))):
            # Mapped again for each chunk, so that the pages of earlier chunks are released.
            pixels = np.load(images, mmap_mode="r")[batch].astype(np.float32) / np.float32(scale)
            stream.write(pixels.data.cast("B"))  # zipfile takes len() for the number of bytes
            advance(len(batch))


def _chunks(positions: np.ndarray, bytes_each: int) -> List[np.ndarray]:
    size = max(1, CHUNK_BYTES // bytes_each)
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def _write_header(stream: IO[bytes], dtype: np.dtype, shape: Tuple[int, ...]) -> None:
    header = io.BytesIO()
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, fields)
    stream.write(header.getvalue())
