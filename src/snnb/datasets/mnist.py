"""MNIST: 70,000 handwritten digits in four IDX files, or in the file mnist.npz of Keras.

An IDX file is a big-endian header with the lengths of the axes, then the bytes (LeCun,
Cortes & Burges, "The IDX file format", http://yann.lecun.com/exdb/mnist/).
"""

import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from snnb.core.errors import InputError, advising
from snnb.core.progress import Progress
from snnb.datasets.array_samples import ArraySamples, class_numbers
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset
from snnb.io.budget import Budget
from snnb.io.npy import load_archive
from snnb.io.text import unzipped

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
    layout=(
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
        "t10k-labels-idx1-ubyte (plain or .gz), or keras' mnist.npz"
    ),
    download=True,
    how_to_get="Omit --source to download it.",
)

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)


class PublishedFile(NamedTuple):
    """SHA-256 of the decompressed content and of the gzipped file."""

    sha256: str
    sha256_gz: str


FILES: Dict[str, PublishedFile] = {
    "train-images-idx3-ubyte": PublishedFile(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels-idx1-ubyte": PublishedFile(
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte": PublishedFile(
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte": PublishedFile(
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}
NPZ = "mnist.npz"
ADVICE = (
    "Keras' mnist.npz holds x_train, y_train, x_test and y_test: download it again."
)


def locate(folder: Path) -> Path:
    """Return `folder` if it holds the four IDX files, else its mnist.npz.

    `folder` may also be an npz file.
    """
    if folder.is_file() and folder.suffix == ".npz":
        return folder
    missing_files = [name for name in FILES if _on_disk(folder, name) is None]
    if not missing_files:
        return folder
    if (folder / NPZ).is_file():
        return folder / NPZ
    raise InputError(
        f"{folder} lacks {', '.join(missing_files)} (plain or .gz) and holds no {NPZ} "
        "either.",
    )


def fetch(folder: Path, progress: Progress) -> None:
    """Download the gzipped files that are missing."""
    from snnb.datasets.download import download  # which imports much

    for name, file in FILES.items():
        if _on_disk(folder, name) is None:
            urls = [f"{mirror}{name}.gz" for mirror in MIRRORS]
            download(
                urls,
                folder / f"{name}.gz",
                sha256=file.sha256_gz,
                progress=progress,
            )


def load(where: Path) -> LoadedDataset:
    """Read all images into memory (55 MB)."""
    if where.is_file():
        arrays = _read_npz(where)
        paths = dict.fromkeys(arrays, where)
        warnings: List[str] = []
        version = f"keras' {NPZ}"
    else:
        paths = _find_files(where)
        arrays, warnings = _read_files(paths)
        version = "unofficial files" if warnings else SPEC.version
    return LoadedDataset(
        list(SPEC.class_names or ()),
        _samples("train", arrays, paths),
        _samples("t10k", arrays, paths),
        version,
        [*dict.fromkeys(paths.values())],
        warnings,
    )


def _read_npz(path: Path) -> Dict[str, np.ndarray]:
    """Read the archive of Keras: arrays by the names of the original files."""
    keys = ("x_train", "y_train", "x_test", "y_test")
    with advising(ADVICE):
        archive = load_archive(path, must=keys)
    return {name: archive[key] for name, key in zip(FILES, keys)}


def _find_files(folder: Path) -> Dict[str, Path]:
    """Return the original files that a folder has, by name."""
    paths: Dict[str, Path] = {}
    for name in FILES:
        path = _on_disk(folder, name)
        if path is not None:
            paths[name] = path
    return paths


def _read_files(paths: Mapping[str, Path]) -> Tuple[Dict[str, np.ndarray], List[str]]:
    """Read the original files; return arrays by name, and warnings about other content."""
    arrays: Dict[str, np.ndarray] = {}
    other_files: List[str] = []
    for name, path in paths.items():
        arrays[name], sha256 = read_idx(path)
        if sha256 != FILES[name].sha256:
            other_files.append(path.name)
    if not other_files:
        return arrays, []
    names = ", ".join(other_files)
    return arrays, [f"not the official MNIST files, by their SHA-256: {names}"]


def _samples(
    part: str,
    arrays: Mapping[str, np.ndarray],
    paths: Mapping[str, Path],
) -> ArraySamples:
    """Return the samples of `train` or `t10k`; check shapes and types."""
    image_file = f"{part}-images-idx3-ubyte"
    label_file = f"{part}-labels-idx1-ubyte"
    images = arrays[image_file]
    labels = arrays[label_file]
    has_shape = images.ndim == 3 and images.shape[1:] == (28, 28)
    if not has_shape or images.dtype.name != "uint8":
        raise InputError(
            f"{paths[image_file]}: {images.dtype} images of shape {images.shape[1:]}, "
            "not MNIST's uint8 of 28×28.",
        )
    if labels.shape != (len(images),):
        raise InputError(
            f"{paths[label_file]} holds {labels.size} labels for the {len(images)} "
            f"images of {paths[image_file].name}.",
        )
    classes = class_numbers(labels, 10, paths[label_file])
    return ArraySamples(classes, images[..., None])


def read_idx(path: Path) -> Tuple[np.ndarray, str]:
    """Read an IDX file of unsigned bytes.

    Return the array, and the SHA-256 of its decompressed content.

    Whether it is gzipped is not taken from its name: some tools decompress a file
    without renaming it. Raise `InputError` if it is not such a file, or it is damaged,
    or shorter or longer than its header declares.
    """
    try:
        with unzipped(path) as file:
            head = file.read(4)
            if head[:3] != b"\0\0\x08":  # 8 stands for unsigned bytes
                raise ValueError("does not begin with 000008")
            head += file.read(4 * head[3])
            shape = struct.unpack(f">{head[3]}I", head[4:])
            size = math.prod(shape)
            Budget(path).draw(size, "values")
            content = head + file.read(size + 1)  # not more of a longer file
        array = np.frombuffer(content, np.uint8, offset=len(head)).reshape(shape)
    except (
        EOFError,
        OSError,
        ValueError,
        IndexError,
        struct.error,
        zlib.error,
    ) as error:
        raise InputError(
            f"{path} is not a complete IDX file of bytes ({error}); download it again.",
        ) from None
    return array, hashlib.sha256(content).hexdigest()


def _on_disk(folder: Path, name: str) -> Optional[Path]:
    """Return the file, gzipped or not.

    None if it is missing. Some tools replace the hyphen in its name by a dot.
    """
    dotted_name = name.replace("-idx", ".idx")
    candidates = (
        folder / f"{stem}{suffix}"
        for stem in (name, dotted_name)
        for suffix in ("", ".gz")
    )
    return next((path for path in candidates if path.is_file()), None)


DATASET = Dataset(SPEC, locate, load, fetch, official_order=True)
