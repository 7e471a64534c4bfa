"""Definition of a data set: description, location of its files, and how they are read.

Neither this module nor the top level of a data set's module imports numpy, so that listing all data sets is fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Literal, Optional, Protocol, Tuple, Union

from snnb.core.progress import Progress
from snnb.io.text import Document

if TYPE_CHECKING:
    import numpy as np

    from snnb.network.event_samples import Steps

ImageShape = Tuple[int, int, int]
Content = Literal["pictures", "events", "steps"]


class DatasetSpec(Document):
    """Description of a data set, available without opening its files.

    Attributes
    ----------
    name : str
        Name for `--dataset`.
    title : str
        Name in prose.
    shape : tuple of three int, or None
        (height, width, channels) of the prepared images unless another shape is requested; None if the images have
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
        Release, licence, and origin (URL and publication).
    layout : str
        Files that its folder must contain; empty if it is part of an installed package.
    download : bool
        Whether it can be downloaded.
    how_to_get : str
        Instructions for users who do not have it, one sentence.
    content : {"pictures", "events", "steps"}
        Kind of the samples: pictures, events with times, or the current of each time step.
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
    download: bool = False
    how_to_get: str
    content: Content = "pictures"


class OwnSpec(DatasetSpec):
    """Description of files of the user, whose classes are read when they are loaded.

    `name` is how a user names them, such as `folder:DIR`; the text before the colon is fixed.
    """

    shape: Optional[ImageShape] = None
    num_classes: Optional[int] = None
    class_names: Optional[Tuple[str, ...]] = None
    scale: float = 1.0
    samples: Optional[Tuple[int, int]] = None
    version: str = "as it is on disk"
    licence: str = "yours"
    source: str = "a folder of yours"


class ListedDataset(DatasetSpec):
    """A data set in the list of all data sets."""

    path: Optional[Path]  # None if it is not on this machine


class PreparedSplit(Document):
    """Shape and dtype of the prepared samples, and the number of samples of each class by name.

    The shape is (samples, height, width, channels), or (samples, steps of the longest, height, width, channels).
    """

    shape: Tuple[int, ...]
    dtype: str
    class_counts: Dict[str, int]


class Samples(Protocol):
    """Training or test samples of a data set. Images are read when they are needed."""

    @property
    def labels(self) -> np.ndarray:
        """Class numbers, int64 (n,)."""

    def check(self, shape: ImageShape, fit: str) -> None:
        """Raise `InputError` if the images cannot be brought to `shape` by `fit`: "exact", "pad" or "resize"."""

    def read(self, positions: np.ndarray, shape: ImageShape, fit: str) -> Tuple[np.ndarray, Dict[int, str]]:
        """Read images, in the given order.

        Parameters
        ----------
        positions : (k,) int64 array
        shape : tuple of three int
            (height, width, channels) of the images returned.
        fit : {"exact", "pad", "resize"}
            How images of another shape are brought to it.

        Returns
        -------
        images : np.ndarray
            The images that can be read, uint8 (at most k, height, width, channels).
        unreadable : dict of int to str
            For each other image, its index in `positions` and the reason.
        """


class Recordings(Protocol):
    """Training or test samples whose input changes from step to step, each read when it is needed."""

    @property
    def labels(self) -> np.ndarray:
        """Class numbers, int64 (n,)."""

    def check(self, shape: ImageShape, fit: str) -> None:
        """Raise `InputError` if the model's input, of that shape, does not take the samples."""

    def read(self, position: int, shape: ImageShape, bin_us: int) -> Steps:
        """Return a sample; raise `InputError` if it cannot be read.

        Parameters
        ----------
        position : int
        shape : tuple of three int
            (height, width, channels) of the sensor.
        bin_us : int
            Duration of a time step in µs.
        """


@dataclass(frozen=True)
class LoadedDataset:
    """A data set on disk. Its labels have been read; samples may be read later.

    Attributes
    ----------
    class_names : list of str
        In the order of the class numbers.
    train, test : Samples, or Recordings
        `Samples` of a data set of pictures. Recordings for training may be missing, since a spiking network that was
        trained elsewhere does not need them.
    official_order : bool
        Whether the order on disk is the published one, which is kept.
    version : str
        Release of the files.
    sources : list of Path
        Files that were read, and folders of pictures.
    warnings : list of str
        Messages for the user.
    """

    class_names: List[str]
    train: Union[Samples, Recordings, None]
    test: Union[Samples, Recordings]
    official_order: bool
    version: str
    sources: List[Path] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """A data set that can be prepared.

    Attributes
    ----------
    spec : DatasetSpec
    locate : callable
        `locate(folder)` returns the path of the files in a folder, or raises `InputError` that names missing files.
    load : callable
        `load(path)` opens the files at the path that `locate` returned.
    fetch : callable or None
        `fetch(folder, progress)` downloads the files into a folder; None if they cannot be downloaded.
    shape_of : callable or None
        `shape_of(path)` returns the shape of the samples of a user's files, None if it cannot be read.
    place : Path or None
        Path of the files, for a data set whose name contains it.
    """

    spec: DatasetSpec
    locate: Callable[[Path], Path]
    load: Callable[[Path], LoadedDataset]
    fetch: Optional[Callable[[Path, Progress], None]] = None
    shape_of: Optional[Callable[[Path], Optional[ImageShape]]] = None
    place: Optional[Path] = None
