"""Load a data set as arrays, in memory."""

import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Union

import numpy as np

from snnb.core.errors import UsageError
from snnb.core.progress import Progress, silent
from snnb.datasets.array_samples import ArraySamples
from snnb.datasets.catalogue import find_dataset
from snnb.datasets.definition import ImageShape, Recordings, Samples
from snnb.datasets.preparation import open_dataset
from snnb.datasets.preparation_settings import PreparationSettings
from snnb.network.event_samples import EventSamples, write_samples


class LabelledSamples(NamedTuple):
    """Training or test samples with their classes.

    Attributes
    ----------
    images : ndarray or EventSamples
        uint8 or float32, shape (samples, height, width, channels); or samples that
        change from step to step.
    labels : ndarray of int64, shape (samples,)
        Class ids.
    """

    images: Union[np.ndarray, EventSamples]
    labels: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class DatasetArrays:
    """A data set in memory.

    Attributes
    ----------
    name : str
    train : LabelledSamples or None
        None if the data set has no training samples.
    test : LabelledSamples
    class_names : list of str
        In the order of the class ids.
    scale : float
        Stored value that means 1: a pixel is value / `scale`.
    """

    name: str
    train: Optional[LabelledSamples]
    test: LabelledSamples
    class_names: List[str]
    scale: float

    def __repr__(self) -> str:
        train = 0 if self.train is None else len(self.train.labels)
        return (
            f"<DatasetArrays {self.name}: {train:,} training and "
            f"{len(self.test.labels):,} test samples, {len(self.class_names)} classes>"
        )


def load_arrays(
    name: str,
    *,
    source: Optional[Path] = None,
    shape: Optional[ImageShape] = None,
    bin_us: int = 1000,
    warn: Callable[[str], None],
    progress: Progress = silent,
) -> DatasetArrays:
    """Load a data set, after a download if need be; see `snnb.load_dataset`."""
    spec = find_dataset(name).spec
    size = shape or spec.shape
    if size is None:
        raise UsageError(f"{name} has no common size of images; give shape")
    settings = PreparationSettings(
        dataset=spec.name,
        shape=size,
        source=source,
        fit="resize",
        bin_us=bin_us,
    )
    data = open_dataset(settings, progress=progress)
    for message in data.warnings:
        warn(message)
    parts: List[Optional[LabelledSamples]] = []
    for samples in (data.train, data.test):
        if samples is None:
            parts.append(None)
        elif spec.content == "pictures":
            parts.append(_read_images(samples, size, warn))  # type: ignore[arg-type]
        else:
            parts.append(_read_events(samples, size, bin_us))  # type: ignore[arg-type]
    train, test = parts
    assert test is not None
    scale = spec.scale if data.dtype == "uint8" else 1.0
    return DatasetArrays(spec.name, train, test, data.class_names, scale)


def _read_images(
    samples: Samples, shape: ImageShape, warn: Callable[[str], None]
) -> LabelledSamples:
    """Read all images; those that cannot be read are left out, with a warning."""
    labels = samples.labels
    if isinstance(samples, ArraySamples) and samples.images.shape[1:] == shape:
        return LabelledSamples(samples.images, labels)
    images, unreadable = samples.read(np.arange(len(labels)), shape, "resize")
    for reason in unreadable.values():
        warn(reason)
    return LabelledSamples(images, np.delete(labels, list(unreadable)))


def _read_events(
    recordings: Recordings, shape: ImageShape, bin_us: int
) -> LabelledSamples:
    """Read all recordings into a temporary file, which is removed with the samples."""
    folder = Path(tempfile.mkdtemp())
    numbers = range(len(recordings.labels))
    steps = (recordings.read(number, shape, bin_us) for number in numbers)
    write_samples(folder / "samples.h5", steps, shape, recordings.dtype)
    samples = EventSamples(folder / "samples.h5")
    # Held by parts of the samples too
    weakref.finalize(samples.lifetime, shutil.rmtree, folder, ignore_errors=True)
    return LabelledSamples(samples, recordings.labels)
