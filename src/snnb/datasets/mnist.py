"""MNIST: 70,000 handwritten digits in four IDX files, or in the file mnist.npz of Keras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from snnb.core.errors import InputError
from snnb.core.progress import Progress
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset

if TYPE_CHECKING:
    import numpy as np

SPEC = DatasetSpec(
    name="mnist",
    title="MNIST handwritten digits",
    shape=(28, 28, 1),
    num_classes=10,
    class_names=tuple("0123456789"),
    scale=255.0,
    samples=(60_000, 10_000),
    version="the official files",
    licence="unknown; CC BY-SA 3.0 according to third parties",
    source="http://yann.lecun.com/exdb/mnist/ (LeCun, Cortes & Burges)",
    layout="train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte "
    "(plain or .gz), or keras' mnist.npz",
    download=True,
    how_to_get="Leave out --source to download it.",
)

MIRRORS = ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/")

# SHA-256 of the decompressed content (mirrors compress differently), and number of bytes to download.
FILES: Dict[str, Tuple[str, int]] = {
    "train-images-idx3-ubyte": ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 9_912_422),
    "train-labels-idx1-ubyte": ("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 28_881),
    "t10k-images-idx3-ubyte": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 1_648_877),
    "t10k-labels-idx1-ubyte": ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 4_542),
}
NPZ = "mnist.npz"
REMEDY = "Keras' mnist.npz holds x_train, y_train, x_test and y_test: download it again."


def locate(folder: Path) -> Path:
    """Return `folder` if it holds the four IDX files, else its mnist.npz; `folder` may also be an npz file."""
    if folder.is_file() and folder.suffix == ".npz":
        return folder
    missing = [name for name in FILES if _on_disk(folder, name) is None]
    if not missing:
        return folder
    if (folder / NPZ).is_file():
        return folder / NPZ
    raise InputError(f"{folder} lacks {', '.join(missing)} (plain or .gz) and holds no {NPZ} either.")


def fetch(folder: Path, progress: Progress) -> None:
    """Download the missing ones of the four gzipped files."""
    from snnb.datasets.download import download

    for name, (sha256, size) in FILES.items():
        if _on_disk(folder, name) is None:
            urls = [f"{mirror}{name}.gz" for mirror in MIRRORS]
            download(urls, folder / f"{name}.gz", sha256=sha256, size=size, unpacked=True, progress=progress)


def load(where: Path) -> LoadedDataset:
    """Read all images into memory (55 MB)."""
    from snnb.datasets.array_samples import ArraySamples, class_numbers
    from snnb.datasets.idx import read_idx

    warnings: List[str] = []
    if where.is_file():
        arrays = _read_npz(where)
        read_from = dict.fromkeys(arrays, where)
    else:
        read_from = {name: path for name in FILES for path in [_on_disk(where, name)] if path is not None}
        read = {name: read_idx(path, 3 if "images" in name else 1) for name, path in read_from.items()}
        arrays = {name: array for name, (array, _) in read.items()}
        other = [read_from[name].name for name, (_, sha256) in read.items() if sha256 != FILES[name][0]]
        if other:
            warnings.append(f"not the official MNIST files, by their SHA-256: {', '.join(other)}")

    samples = []
    for images, labels in zip(("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"), list(FILES)[1::2]):
        _check_pair(arrays[images], arrays[labels], read_from[images], read_from[labels])
        ids = class_numbers(arrays[labels], 10, read_from[labels])
        samples.append(ArraySamples(ids, arrays[images][..., None]))
    return LoadedDataset(
        class_names=list(SPEC.class_names or ()),
        train=samples[0],
        test=samples[1],
        official_order=True,
        version="unofficial files" if warnings else (f"keras' {NPZ}" if where.is_file() else SPEC.version),
        sources=[*dict.fromkeys(read_from.values())],
        warnings=warnings,
    )


def _on_disk(folder: Path, name: str) -> Optional[Path]:
    """Return the file, gzipped or not; None if it is missing. Some tools replace the hyphen in its name by a dot."""
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / f"{stem}{suffix}" for stem in (name, dotted) for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _read_npz(path: Path) -> Dict[str, np.ndarray]:
    """Return the arrays of Keras's file under the names of the IDX files."""
    from snnb.io.npy import load_archive

    keys = ("x_train", "y_train", "x_test", "y_test")
    arrays = load_archive(path, REMEDY, must=keys)
    return {name: arrays[key] for name, key in zip(FILES, keys)}


def _check_pair(images: np.ndarray, labels: np.ndarray, images_path: Path, labels_path: Path) -> None:
    if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype.name != "uint8":
        raise InputError(
            f"{images_path}: {images.dtype} images of shape {images.shape[1:]}, not MNIST's uint8 of 28×28."
        )
    if labels.shape != (len(images),):
        raise InputError(
            f"{labels_path} holds {labels.size} labels for the {len(images)} images of {images_path.name}."
        )


DATASET = Dataset(SPEC, locate, load, fetch)
