"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32×32, in pickled batches with one image per row.

Format: https://www.cs.toronto.edu/~kriz/cifar.html, section "Dataset layout". The
pickles are read without running code in them.
"""

import io
import os
import pickle
import pickletools
import shutil
import tarfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import numpy as np

from snnb.core.errors import InputError, first_line
from snnb.core.progress import Progress
from snnb.datasets.array_samples import ArraySamples, class_numbers
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset
from snnb.io.files import read_bytes

SITE = "https://www.cs.toronto.edu/~kriz/"
# Operations of the pickles that Python 2 and 3 make of a batch. Others build larger
# objects from fewer bytes.
_OPERATIONS = """
APPEND APPENDS BINBYTES BINGET BININT BININT1 BININT2 BINPUT BINSTRING BINUNICODE BUILD DICT EMPTY_DICT EMPTY_LIST
EMPTY_TUPLE FRAME GET GLOBAL INT LIST LONG LONG1 LONG_BINGET LONG_BINPUT MARK MEMOIZE NEWFALSE NEWTRUE NONE PROTO PUT
REDUCE SETITEM SETITEMS SHORT_BINBYTES SHORT_BINSTRING SHORT_BINUNICODE STACK_GLOBAL STOP STRING TUPLE TUPLE1 TUPLE2
TUPLE3 UNICODE
"""
OPERATIONS = frozenset(_OPERATIONS.split())
_BYTES = ("u1", b"u1", "uint8", b"uint8")  # numpy's name of the type of the images


@dataclass(frozen=True)
class Release:
    """The official archive of a data set, the batch files in it, and the key of the labels in a batch."""

    archive: str
    sha256: str
    folder: str
    train: Tuple[str, ...]
    test: str
    labels: str
    names: Tuple[str, ...] = ()  # file of the class names

    @property
    def files(self) -> Tuple[str, ...]:
        """Names of all files."""
        return (*self.train, self.test, *self.names)


RELEASES = {
    "cifar10": Release(
        "cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        "cifar-10-batches-py",
        tuple(f"data_batch_{number}" for number in range(1, 6)),
        "test_batch",
        "labels",
    ),
    "cifar100": Release(
        "cifar-100-python.tar.gz",
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        "cifar-100-python",
        ("train",),
        "test",
        "fine_labels",
        ("meta",),
    ),
}
SPEC_10 = DatasetSpec(
    name="cifar10",
    title="CIFAR-10",
    shape=(32, 32, 3),
    num_classes=10,
    class_names=(
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
    ),
    scale=255.0,
    samples=(50_000, 10_000),
    version="the Python version",
    licence="unknown (none is stated)",
    source="https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009)",
    layout="cifar-10-batches-py/ with data_batch_1 to data_batch_5 and test_batch",
    download=True,
    how_to_get="Omit --source to download it.",
)
SPEC_100 = SPEC_10.model_copy(
    update={
        "name": "cifar100",
        "title": "CIFAR-100",
        "num_classes": 100,
        "class_names": None,
        "layout": "cifar-100-python/ with train, test and meta",
    },
)


def _locate(name: str, folder: Path) -> Path:
    """Return the folder of the batch files.

    `folder`, or the one that the archive makes in it.
    """
    release = RELEASES[name]
    for place in (folder / release.folder, folder):
        missing_files = [file for file in release.files if not (place / file).is_file()]
        if not missing_files:
            return place
        if len(missing_files) < len(release.files):
            raise InputError(f"{place} lacks {', '.join(missing_files)}.")
    raise InputError(
        f"{folder} holds no {release.folder}/ with {', '.join(release.files)}.",
    )


def _fetch(name: str, folder: Path, progress: Progress) -> None:
    """Download the official archive and unpack its batch files.

    Each appears only when it is complete.
    """
    from snnb.datasets.download import download  # which imports much

    release = RELEASES[name]
    path = folder / release.archive
    was_there = path.exists()
    download([SITE + release.archive], path, sha256=release.sha256, progress=progress)
    members = {
        f"{release.folder}/{file}": folder / release.folder / file
        for file in release.files
    }
    (folder / release.folder).mkdir(exist_ok=True)
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name in members else None
            if content is not None:
                target = members[member.name]
                # Another process may be unpacking too
                part = target.with_name(f"{target.name}.{os.getpid()}.part")
                with content, part.open("wb") as out:
                    shutil.copyfileobj(content, out)
                part.replace(target)
    if not was_there:
        path.unlink(missing_ok=True)


def _load(spec: DatasetSpec, where: Path) -> LoadedDataset:
    """Read all images into memory (180 MB)."""
    release = RELEASES[spec.name]
    batches = [
        _read_images(where / file, release.labels, spec)
        for file in (*release.train, release.test)
    ]
    names = list(spec.class_names or ())
    for file in release.names:
        class_names = _read_batch(where / file).get("fine_label_names")
        if (
            not isinstance(class_names, list)
            or len(class_names) != 100
            or not all(isinstance(name, (bytes, str)) for name in class_names)
        ):
            raise InputError(
                f"{where / file}: `fine_label_names` is not a list of 100 names; "
                "download it again.",
            )
        names = [
            name.decode("ascii", "replace") if isinstance(name, bytes) else name
            for name in class_names
        ]
    images, labels = zip(*batches[:-1])
    train = ArraySamples(np.concatenate(labels), np.concatenate(images))
    test = ArraySamples(batches[-1][1], batches[-1][0])
    return LoadedDataset(
        names,
        train,
        test,
        spec.version,
        [where / file for file in release.files],
    )


def _read_images(
    path: Path,
    label_key: str,
    spec: DatasetSpec,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return the images of a batch file, uint8 (n, 32, 32, 3), and their class numbers, int64 (n,)."""
    batch = _read_batch(path)
    data, labels = _as_array(batch.get("data")), batch.get(label_key)
    if data is None:
        raise InputError(
            f"{path}: `data` is not an array of bytes with 3072 columns; download it "
            "again.",
        )
    if (
        not isinstance(labels, list)
        or len(labels) != len(data)
        or not all(isinstance(label, int) for label in labels)
    ):
        raise InputError(
            f"{path}: `{label_key}` is not a list of {len(data)} class numbers; "
            "download it again.",
        )
    # Each row: all red values, all green, all blue
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, class_numbers(np.array(labels), spec.num_classes or 0, path)


class _RefusedError(Exception):
    """The pickle has something that no CIFAR batch has."""


class _NumpyObject:
    """An array or a type of numpy in a pickle, which is not made.

    Its arguments, and its state as numpy stores it.
    """

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    """Makes no object but containers, numbers, texts and `_NumpyObject`.

    Raise `_RefusedError` for another one. The memory is at most 100 times the size of
    the content.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._encoded, self._size = 0, len(content)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        number_of_class = {
            "numpy": ("ndarray", "dtype"),
            "numpy.core.multiarray": ("_reconstruct",),
        }
        if name not in number_of_class.get(
            module.replace("numpy._core", "numpy.core"), ()
        ):
            raise _RefusedError(f"names {module}.{name}")
        return _NumpyObject

    def _encode(self, text: str, encoding: str) -> bytes:
        """Return the bytes that Python 3 stores as a text in protocols 0 to 2."""
        self._encoded += len(text)
        # More often than it is stored
        if encoding != "latin1" or self._encoded > self._size:
            raise _RefusedError(
                f"encodes {self._encoded:,} characters as {encoding!r:.20}",
            )
        return text.encode("latin1")


def _as_array(stored_value: object) -> Optional[np.ndarray]:
    """Return an array of a pickle, uint8 (n, 3072), as `numpy.ndarray.__setstate__` would; None for anything else."""
    if (
        not isinstance(stored_value, _NumpyObject)
        or not isinstance(stored_value.state, tuple)
        or len(stored_value.state) != 5
    ):
        return None
    _, shape, dtype, by_column, values = stored_value.state
    is_bytes = isinstance(dtype, _NumpyObject) and dtype.arguments[:1] in [
        (name,) for name in _BYTES
    ]
    if not is_bytes or not isinstance(values, bytes) or not isinstance(shape, tuple):
        return None
    if shape != (len(values) // 3072, 3072) or len(values) % 3072:
        return None
    return np.frombuffer(values, np.uint8).reshape(
        shape,
        order="F" if by_column else "C",
    )


def _read_batch(path: Path) -> Dict[str, object]:
    """Unpickle a file. Strings that Python 2 wrote are bytes, except the keys.

    For arrays see `_as_array`.
    """
    try:
        content = read_bytes(path)
        for number, (operation, argument, _) in enumerate(pickletools.genops(content)):
            if operation.name not in OPERATIONS:
                raise _RefusedError(f"has the operation {operation.name}")
            # Python allocates a list of this length
            if operation.name.endswith("PUT") and int(argument or 0) > number:
                raise _RefusedError(
                    f"stores object {argument:,} after {number:,} operations",
                )
        content_of_batch = _Unpickler(content).load()
        texts = {
            key: value
            for key, value in content_of_batch.items()
            if isinstance(key, (bytes, str))
        }
        return {
            key.decode() if isinstance(key, bytes) else key: value
            for key, value in texts.items()
        }
    except _RefusedError as error:
        raise InputError(
            f"{path} is refused: it {error}, which no CIFAR batch does and which may "
            "run code or fill the memory; download the official file.",
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(
            f"{path} is not a readable CIFAR batch ({first_line(error)}); download it "
            "again.",
        ) from None


CIFAR10, CIFAR100 = (
    Dataset(
        spec,
        partial(_locate, spec.name),
        partial(_load, spec),
        partial(_fetch, spec.name),
        official_order=True,
    )
    for spec in (SPEC_10, SPEC_100)
)
