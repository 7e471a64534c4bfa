"""Definition of a data set: description, location of its files, and how they are read.

This module does not import numpy, to keep the start of the program fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    List,
    Literal,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

from snnb.core.progress import Progress
from snnb.io.text import Document

if TYPE_CHECKING:
    import numpy as np

    from snnb.network.event_samples import Steps

ImageShape = Tuple[int, int, int]
Content = Literal["pictures", "events", "steps"]


class DatasetSpec(Document):
    """Description of a data set, available without opening its files."""

    name: str  # for `--dataset`
    title: str  # name in prose
    # (height, width, channels) of the prepared images unless another shape is
    # requested; None without a common size
    shape: Optional[ImageShape]
    num_classes: Optional[int]  # None if the files on disk determine the classes
    # In the order of the class numbers; None if they are read from the files
    class_names: Optional[Tuple[str, ...]]
    scale: float  # the stored value that means 1.0: a pixel is `value / scale`
    # Numbers of training and test samples in the official release; None without one
    samples: Optional[Tuple[int, int]]
    version: str
    licence: str
    source: str  # URL and publication
    # Files that its folder must contain; empty if it is part of an installed package
    layout: str
    download: bool = False  # whether it can be downloaded
    how_to_get: str  # instructions for users who do not have it, one sentence
    # Pictures, events with times, or the currents or spikes of each time step
    content: Content = "pictures"


class OwnSpec(DatasetSpec):
    """Description of files of the user, whose classes are read when they are loaded.

    `name` is how a user names them, such as `folder:DIR`; the text before the colon is
    fixed.
    """

    shape: Optional[ImageShape] = None
    num_classes: Optional[int] = None
    class_names: Optional[Tuple[str, ...]] = None
    scale: float = 1.0
    samples: Optional[Tuple[int, int]] = None
    version: str = "as it is on disk"
    licence: str = "yours"
    source: str = "a user folder"


class DatasetRow(DatasetSpec):
    """A data set in the list of all data sets."""

    path: Optional[Path]  # None if it is not available on this machine


class PreparedSplit(Document):
    """Shape and dtype of the prepared samples, and the number of samples of each class by name.

    The shape is (samples, height, width, channels), or (samples, steps of the longest,
    height, width, channels).
    """

    shape: Tuple[int, ...]
    dtype: str
    class_counts: Dict[str, int]
    # Smallest and largest, of training and test images
    values: Optional[Tuple[float, float]] = None


class Samples(Protocol):
    """Training or test samples of a data set. Images are read when they are needed."""

    @property
    def labels(self) -> np.ndarray:
        """Class numbers, int64 (n,)."""

    def check(self, shape: ImageShape, fit: str) -> None:
        """Raise `InputError` if the images cannot be brought to `shape` by `fit`.

        "exact", "pad" or "resize".
        """

    def read(
        self,
        positions: np.ndarray,
        shape: ImageShape,
        fit: str,
    ) -> Tuple[np.ndarray, Dict[int, str]]:
        """Read images at k positions, in the given order.

        Bring them to `shape` by `fit`.

        Return the images that can be read, of `LoadedDataset.dtype` (at most k, height,
        width, channels), and for each other image its index in `positions` and the
        reason.
        """


class Recordings(Protocol):
    """Training or test samples whose input changes from step to step, each read when it is needed."""

    @property
    def labels(self) -> np.ndarray:
        """Class numbers, int64 (n,)."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the samples for messages."""

    @property
    def dtype(self) -> str:
        """Type of the prepared values.

        "uint32" of numbers of events, or "float32" of currents.
        """

    def check(self, shape: ImageShape, fit: str) -> None:
        """Raise `InputError` if the model's input, of that shape, does not take the samples."""

    def read(self, position: int, shape: ImageShape, bin_us: int) -> Steps:
        """Return a sample of a sensor of that shape, with time steps of `bin_us` µs.

        Raise `InputError` if damaged.
        """


@dataclass(frozen=True)
class LoadedDataset:
    """A data set on disk. Its labels have been read; samples may be read later.

    A training set may be missing, since a trained spiking network does not need it.
    """

    class_names: List[str]  # in the order of the class numbers
    train: Union[Samples, Recordings, None]  # samples if it is a data set of pictures
    test: Union[Samples, Recordings]
    version: str  # release of the files
    # Files that were read, and folders of pictures
    sources: List[Path] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)  # messages for the user
    # Of images; float32 values are pixels as they are
    dtype: Literal["uint8", "float32"] = "uint8"


@dataclass(frozen=True)
class Dataset:
    """A data set that can be prepared."""

    spec: DatasetSpec
    # Return the path of the files in a folder; `InputError` names missing files
    locate: Callable[[Path], Path]
    # Open the files at the path that `locate` returned
    load: Callable[[Path], LoadedDataset]
    # Download the files into a folder
    fetch: Optional[Callable[[Path, Progress], None]] = None
    # Whether the order on disk is the published one, which is kept
    official_order: bool = False
    # Shape of a user's samples, if it can be read
    shape_of: Optional[Callable[[Path], Optional[ImageShape]]] = None
    # Path of the files, for a data set whose name contains it
    place: Optional[Path] = None
