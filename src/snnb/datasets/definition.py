"""What a data set is: its description, where its files are, and how they are read.

Neither this file nor the top level of a data set's own file imports numpy, so that all data sets can be listed within
milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Protocol, Tuple

from snnb.errors import InputError
from snnb.progress import Progress
from snnb.text import printable

if TYPE_CHECKING:
    import numpy as np

ImageShape = Tuple[int, int, int]


@dataclass(frozen=True)
class DatasetSpec:
    """Description of a data set that can be read without opening its files.

    Attributes
    ----------
    name : str
        The name that `--dataset` takes.
    title : str
        What a person calls it.
    shape : tuple of three int, or None
        (height, width, channels) of the prepared images unless another shape is asked for; None if the images have
        no common size.
    num_classes : int or None
        None if the files on disk determine the classes.
    class_names : tuple of str, or None
        Names of the classes in the order of their numbers; None if they are read from the files on disk.
    scale : float
        The stored value that means 1.0: a pixel is `value / scale`.
    samples : tuple of two int, or None
        Numbers of training and test samples in the official release; None if there is no official release.
    version, licence, source : str
        Which release it is, under which licence, and where it comes from (address and publication).
    layout : str
        The files that are expected in its folder; empty if it is part of an installed package.
    download : bool
        Whether it is downloaded when it is not on this machine.
    how_to_get : str
        One sentence for a person who does not have it.
    """

    name: str
    title: str
    shape: Optional[ImageShape]
    num_classes: Optional[int]
    class_names: Optional[Tuple[str, ...]]
    scale: float
    samples: Optional[Tuple[int, int]]
    version: str
    licence: str
    source: str
    layout: str
    download: bool
    how_to_get: str


class Samples(Protocol):
    """The training or the test samples of a data set. Images are read when they are needed."""

    @property
    def labels(self) -> np.ndarray:
        """Class numbers, int64 (n,)."""

    def check(self, shape: ImageShape, fit: str) -> None:
        """Raise `InputError` if the images cannot be brought to `shape` by `fit`: "exact", "pad" or "resize"."""

    def read(self, positions: np.ndarray, shape: ImageShape, fit: str) -> Tuple[np.ndarray, Dict[int, str]]:
        """Read the images at some positions.

        Parameters
        ----------
        positions : np.ndarray
            int64 (k,), in the order in which the images are returned.
        shape : tuple of three int
            (height, width, channels) of the images returned.
        fit : str
            How images of another shape are brought to it: "exact", "pad" or "resize".

        Returns
        -------
        images : np.ndarray
            The images that can be read, uint8 (at most k, height, width, channels).
        unreadable : dict of int to str
            For each other image, its index in `positions` and the reason.
        """

    def read_below(self, folder: Path) -> Dict[str, str]:
        """Return the files in `folder` that `read` has read, by relative path, with the SHA-256 of their bytes."""


@dataclass(frozen=True)
class LoadedDataset:
    """A data set on disk. Its labels have been read, its images perhaps not yet.

    Attributes
    ----------
    class_names : list of str
        Names of the classes in the order of their numbers.
    train, test : Samples
        The two parts of the data set.
    official_order : bool
        Whether the order on disk is the published one; if so, it is not changed.
    version : str
        Which release the files are.
    inputs : mapping of Path to str
        Files that were read, with the SHA-256 of the bytes that were used.
    listings : mapping of Path to str
        Folders of pictures, with their `snnb.files.listing_of` from before any picture was read.
    warnings : list of str
        What the user should know about the files.
    """

    class_names: List[str]
    train: Samples
    test: Samples
    official_order: bool
    version: str
    inputs: Mapping[Path, str] = field(default_factory=dict)
    listings: Mapping[Path, str] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """A data set that can be prepared.

    Attributes
    ----------
    spec : DatasetSpec
        Its description.
    locate : callable
        `locate(folder)` returns the place of the files in a folder, or raises `InputError` that names missing files.
    load : callable
        `load(place)` opens the files at the place that `locate` returned.
    fetch : callable or None
        `fetch(folder, progress)` downloads the files into a folder; None if they cannot be downloaded.
    no_source : str
        Why `--source` cannot be given; empty if it can.
    place : Path or None
        Where the files are, for a data set whose name says it.
    """

    spec: DatasetSpec
    locate: Callable[[Path], Path]
    load: Callable[[Path], LoadedDataset]
    fetch: Optional[Callable[[Path, Progress], None]] = None
    no_source: str = ""
    place: Optional[Path] = None


def require_utf8(name: str, what: str) -> None:
    """Refuse a name that the run's manifest, a UTF-8 file, cannot hold.

    Parameters
    ----------
    name : str
        Name of a class or a path.
    what : str
        How the message calls it.

    Raises
    ------
    InputError
        `name` cannot be written in UTF-8.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{printable(what)}: the name is not UTF-8; rename it.") from None
