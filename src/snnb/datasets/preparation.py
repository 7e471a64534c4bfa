"""Convert the files of a data set to the arrays that the other stages read.

Arrays are written in chunks to bound the memory.
"""

import math
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import (
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
    Union,
    cast,
)

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.formatting import format_shape
from snnb.core.progress import Progress, silent
from snnb.datasets.array_samples import balanced_order, proportional_order
from snnb.datasets.catalogue import data_directory, find_dataset
from snnb.datasets.definition import (
    Dataset,
    LoadedDataset,
    PreparedSplit,
    Recordings,
    Samples,
)
from snnb.datasets.preparation_settings import PreparationSettings
from snnb.io.files import refuse_special
from snnb.io.npy import one_hot, write_header
from snnb.io.text import printable
from snnb.network.event_samples import Steps, write_samples

CHUNK_BYTES = 16 * 2**20
MOST_UNREADABLE = 0.01  # largest fraction of the images that are ignored
UNREADABLE_NAMED = 20  # largest number of unreadable pictures that a warning names
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".h5.gz")
DARK = 0.5  # a largest pixel below it suggests values of another scale
MAY_BE_SPIKES = (
    "the currents are integers; if they are spike counts, "
    "use an integer dtype or simulate with --input events: "
    "mappings do not count currents"
)

Range = Tuple[float, float]  # smallest and largest value


@dataclass(frozen=True)
class PreparedArrays:
    """Description of the arrays that were written, for the manifest."""

    splits: Dict[str, PreparedSplit]  # by "train", "test" and "norm"
    warnings: List[str]  # messages for the user
    scale: float  # a pixel is value / scale
    # Number of events outside the sensor, which are ignored; None without events
    outside: Optional[int]
    # Whether the test samples are currents that are whole numbers from 0 on, and may be
    # spikes
    whole: bool = False


def open_dataset(
    settings: PreparationSettings,
    *,
    num_classes: Optional[int] = None,
    progress: Progress = silent,
) -> LoadedDataset:
    """Open the files of a data set, after a download if need be.

    A data set with another number of classes than `num_classes` is refused. During a
    download, `progress` is called with numbers of bytes.

    Raise `UsageError` if there is no such data set or an option is not for it,
    `InputError` if files are missing or damaged or the model does not take such images
    or classes.
    """
    dataset = find_dataset(settings.dataset)
    spec = dataset.spec
    data_dir = settings.data_dir or data_directory()
    path = _find_or_fetch(dataset, data_dir, settings.source, progress)
    data = dataset.load(path)
    classes = data.class_names
    for name in classes:
        if name.encode(errors="replace").decode() != name:
            raise InputError(
                f"the class name {printable(name)} is not UTF-8: rename its folder."
            )
    if num_classes is not None and num_classes != len(classes):
        raise InputError(
            f"{spec.name} has {len(classes)} classes, the model has {num_classes}: "
            "choose another data set or model."
        )
    parts = (("training", data.train), ("test", data.test))
    for part, samples in parts:
        if samples is not None:
            if len(samples.labels) == 0:
                raise InputError(
                    f"{spec.name} has no {part} samples: {spec.layout} is expected."
                )
            samples.check(settings.shape, settings.fit)
    return data


class Selection(NamedTuple):
    """Samples of a part of the data set, and the positions of samples to write."""

    # Of pictures, or of input that changes from step to step
    samples: Union[Samples, Recordings]
    positions: np.ndarray  # int64, shape (samples written,), in the order of the arrays


class Contents(NamedTuple):
    """Description of the arrays of samples that were written; see `PreparedArrays`."""

    # Class numbers by part: int64, in the order of the arrays
    labels: Dict[str, np.ndarray]
    splits: Dict[str, PreparedSplit]
    warnings: List[str]
    outside: Optional[int] = None
    whole: bool = False


def write_arrays(
    data: LoadedDataset,
    settings: PreparationSettings,
    target: Path,
    progress: Progress = silent,
) -> PreparedArrays:
    """Write a data set that `open_dataset` has opened as arrays to `target`.

    `target` is an existing, empty folder. The files are x_train.npy and x_test.npy ((n,
    height, width, channels), uint8 or float32), y_train.npy and y_test.npy (int64,
    (n,)), and the files of snntoolbox: x_norm.npz and x_test.npz (pixels, float32) and
    y_test.npz (one-hot, float32). Without a training set, x_train, y_train and x_norm
    are missing. A published order of samples is kept. Otherwise every prefix of the
    training and the test set contains the classes in proportion. `x_norm` is a
    class-balanced subset of the training set.

    Of input that changes from step to step, the files are x_train.h5, y_train.npy,
    x_test.h5 and y_test.npy; see `snnb.network.event_samples`. `progress` is called
    with numbers of samples. Raise `InputError` if a sample is damaged.
    """
    dataset = find_dataset(settings.dataset)
    spec = dataset.spec
    selections = _select_samples(data, settings, dataset.official_order)
    warnings = [*data.warnings, *_size_warnings(dataset, data)]
    scale = spec.scale if data.dtype == "uint8" else 1.0
    if spec.content == "pictures":
        contents = _write_pictures(
            target,
            selections,
            data,
            settings,
            scale,
            progress,
        )
    else:
        contents = _write_recordings(target, selections, data, settings, progress)
    for part in selections:
        np.save(target / f"y_{part}.npy", contents.labels[part])
    return PreparedArrays(
        splits=contents.splits,
        warnings=[*warnings, *contents.warnings],
        scale=scale,
        outside=contents.outside if spec.content == "events" else None,
        whole=contents.whole,
    )


def _select_samples(
    data: LoadedDataset,
    settings: PreparationSettings,
    keep_order: bool,
) -> Dict[str, Selection]:
    """Return the samples to write of the training and the test set.

    `keep_order`: the samples are written in the order of the data set.
    """
    selections = {}
    for stream, part in enumerate(("train", "test")):
        samples = data.train if part == "train" else data.test
        if samples is None:
            continue
        if keep_order:
            positions = proportional_order(samples.labels)[: settings.limit]
            positions = np.sort(positions)
        else:
            random = np.random.default_rng([settings.seed, stream])
            positions = proportional_order(samples.labels, random)[: settings.limit]
        selections[part] = Selection(samples, positions)
    return selections


def _size_warnings(dataset: Dataset, data: LoadedDataset) -> List[str]:
    """Return a warning if the numbers of samples are not the published numbers."""
    published_samples = dataset.spec.samples
    if published_samples is None or data.train is None:
        return []
    sizes = len(data.train.labels), len(data.test.labels)
    if sizes == published_samples:
        return []
    return [
        f"{sizes[0]:,} training and {sizes[1]:,} test samples; "
        f"{published_samples[0]:,} and {published_samples[1]:,} are published"
    ]


def _describe_split(
    labels: np.ndarray,
    class_names: List[str],
    shape: Tuple[int, ...],
    dtype: str,
) -> PreparedSplit:
    """Return the description of samples with these labels, each of a shape."""
    counts = np.bincount(labels, minlength=len(class_names)).tolist()
    return PreparedSplit(
        shape=(len(labels), *shape),
        dtype=dtype,
        class_counts=dict(zip(class_names, counts)),
    )


class _Counter:
    """Counts processed samples, and reports them to `progress`."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0

    def advance(self, part: str, samples: int) -> None:
        """Add to the number of processed samples."""
        self._done += samples
        self._progress(self._done, self._total, part)


def _pixel_warnings(values: Mapping[str, Range], scale: float) -> List[str]:
    """Return a warning if pixels of images are not from 0 to about 1.

    `values` has the range of the training and the test images by part, before scaling
    by `scale`.
    """
    lowest = min(low for low, _ in values.values())
    highest = max(high for _, high in values.values())
    if lowest < 0 or highest > scale:
        return [
            f"the pixels are {lowest:.4g} to {highest:.4g}, as in the arrays: --input "
            "poisson and --weight-bits need pixels in [0, 1]"
        ]
    return dark_pixels({part: high for part, (_, high) in values.items()}, scale)


def dark_pixels(highest: Mapping[str, float], scale: float) -> List[str]:
    """Return a warning if the largest value of the images is far below a pixel of 1.

    `highest` has the largest value of the training and the test images by part, before
    scaling. Values that are not scaled, of float32, are not warned of.
    """
    dark_parts = [part for part in highest if highest[part] < DARK * scale]
    if scale == 1 or not dark_parts:
        return []
    largest = max(highest[part] for part in dark_parts)
    remedy = ""
    if largest:
        factor = f"{scale:g} / {largest:g}"
        remedy = f": if {largest:g} should be 1, multiply the values by {factor}"
    return [
        f"the largest value of the {' and '.join(dark_parts)} images is {largest:g} of "
        f"{scale:g}, a pixel of {largest / scale:.3g}{remedy}"
    ]


def _find_or_fetch(
    dataset: Dataset,
    data_dir: Path,
    source: Optional[Path],
    progress: Progress,
) -> Path:
    """Return the path of the files, after a download if they are missing."""
    spec = dataset.spec
    if source is not None and (dataset.place is not None or not spec.layout):
        reason = "it is part of an installed package"
        if spec.layout:
            reason = "its name states the path"
        raise UsageError(f"omit --source for {spec.name}: {reason}.")
    if source is not None and not source.exists():
        raise InputError(
            f"--source {source} does not exist: name the folder that holds "
            f"{spec.layout}."
        )
    folder = source or dataset.place or data_dir / spec.name
    refuse_special(folder)
    try:
        return dataset.locate(folder)
    except InputError as error:
        if source is None and dataset.fetch is not None:
            dataset.fetch(folder, progress)
            return dataset.locate(folder)
        paths = [folder] if folder.is_file() else sorted(folder.glob("*"))
        for path in paths:
            if path.name.lower().endswith(ARCHIVES):
                raise InputError(
                    f"{path} is an archive: unpack it and try again."
                ) from None
        advice = spec.how_to_get
        if source is None and dataset.place is None:
            advice += f" Put it into {folder}, or name its folder with --source."
        raise InputError(f"{error} {advice}") from None


def _write_pictures(
    target: Path,
    selections: Mapping[str, Selection],
    data: LoadedDataset,
    settings: PreparationSettings,
    scale: float,
    progress: Progress,
) -> Contents:
    """Write the images of each part, and their copies for the toolbox.

    Unreadable images are left out. More than `MOST_UNREADABLE` unreadable images of a part are an `InputError`, and so
    is a value that is not finite.
    """
    sizes = {part: len(selection.positions) for part, selection in selections.items()}
    norm_size = min(settings.norm_samples, sizes.get("train", 0))
    total = sum(sizes.values()) + norm_size + sizes["test"]
    counter = _Counter(total, progress)
    labels: Dict[str, np.ndarray] = {}
    values: Dict[str, Range] = {}  # before scaling
    warnings: List[str] = []
    for part, selection in selections.items():
        path = target / f"x_{part}.npy"
        images = _write_images(path, part, selection, settings, data.dtype, counter)
        labels[part] = images.labels
        if images.values is not None:
            values[part] = images.values
        if images.unreadable:
            warnings.append(_unreadable_warning(part, sizes[part], images.unreadable))
    if "train" in labels:
        random = np.random.default_rng([settings.seed, 2])
        norm_positions = balanced_order(labels["train"], random)[:norm_size]
        labels["norm"] = labels["train"][norm_positions]
        images_path = target / "x_train.npy"
        norm_path = target / "x_norm.npz"
        _write_scaled(norm_path, images_path, norm_positions, scale, counter, "norm")
    test_positions = np.arange(len(labels["test"]))
    test_path = target / "x_test.npz"
    images_path = target / "x_test.npy"
    _write_scaled(test_path, images_path, test_positions, scale, counter, "test")
    _write_one_hot(target / "y_test.npz", labels["test"], len(data.class_names))
    splits = _describe_splits(labels, values, data, settings)
    return Contents(labels, splits, [*warnings, *_pixel_warnings(values, scale)])


def _describe_splits(
    labels: Mapping[str, np.ndarray],
    values: Mapping[str, Range],
    data: LoadedDataset,
    settings: PreparationSettings,
) -> Dict[str, PreparedSplit]:
    """Return the description of each part, with the range of its values if known."""
    splits = {}
    for part, part_labels in labels.items():
        dtype = "float32" if part == "norm" else data.dtype
        split = _describe_split(part_labels, data.class_names, settings.shape, dtype)
        if part in values:
            split = split.model_copy(update={"values": values[part]})
        splits[part] = split
    return splits


class Images(NamedTuple):
    """The images of a part that were written."""

    labels: np.ndarray  # int64, without unreadable images
    values: Optional[Range]  # None without images
    unreadable: List[str]  # the reason for each image that cannot be read


def _write_images(
    path: Path,
    part: str,
    selection: Selection,
    settings: PreparationSettings,
    dtype: str,
    counter: _Counter,
) -> Images:
    """Write the images of a part as an .npy file, except unreadable ones.

    They have the values of the data set, which are not scaled.
    """
    samples = cast(Samples, selection.samples)
    positions = selection.positions
    shape = settings.shape
    readable_positions: List[np.ndarray] = []
    unreadable: List[str] = []
    lowest = math.inf
    highest = -math.inf
    # The file is not memory-mapped, since mapped pages count as memory of the process.
    with path.open("wb") as stream:
        write_header(stream, np.dtype(dtype), (len(positions), *shape))
        for batch in _chunks(positions, np.dtype(dtype).itemsize * math.prod(shape)):
            images, reasons = samples.read(batch, shape, settings.fit)
            if not np.isfinite(images).all():
                index = int(np.argwhere(~np.isfinite(images))[0, 0])
                raise InputError(
                    f"x_{part}: sample {batch[index]} has a value that is not finite: "
                    "replace it."
                )
            stream.write(np.ascontiguousarray(images).data)
            if len(images):
                lowest = min(lowest, float(images.min()))
                highest = max(highest, float(images.max()))
            unreadable += reasons.values()
            if len(unreadable) > MOST_UNREADABLE * len(positions):
                raise InputError(
                    f"{len(unreadable)} of {len(positions)} images cannot be read, "
                    f"more than 1 %: the first is {unreadable[0]}; "
                    "replace or remove these files.",
                )
            readable_positions.append(np.delete(batch, list(reasons)))
            counter.advance(part, len(batch))
        if unreadable:
            # The header is padded to 128 bytes for any number of images, so it can be
            # overwritten.
            stream.seek(0)
            n_images = len(positions) - len(unreadable)
            write_header(stream, np.dtype(dtype), (n_images, *shape))
    values = None if lowest > highest else (lowest, highest)
    labels = samples.labels[np.concatenate(readable_positions)]
    return Images(labels, values, unreadable)


def _unreadable_warning(part: str, size: int, reasons: List[str]) -> str:
    """Return the warning about unreadable images of the `size` images of a part."""
    details = "; ".join(reasons[:UNREADABLE_NAMED])
    if len(reasons) > UNREADABLE_NAMED:
        details += f"; and {len(reasons) - UNREADABLE_NAMED} more"
    return printable(
        f"{len(reasons)} of {size} {part} images cannot be read and are ignored: "
        f"{details}"
    )


def _write_scaled(
    path: Path,
    images: Path,
    positions: np.ndarray,
    scale: float,
    counter: _Counter,
    part: str,
) -> None:
    """Write `images[positions] / scale` as an npz file for snntoolbox.

    The npz file has one float32 array `arr_0`; `images` is a .npy file of numbers (n,
    height, width, channels).
    """
    shape = np.load(images, mmap_mode="r").shape[1:]
    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path, "w"))
        stream = stack.enter_context(archive.open("arr_0.npy", "w", force_zip64=True))
        write_header(stream, np.dtype(np.float32), (len(positions), *shape))
        for batch in _chunks(positions, 4 * math.prod(shape)):
            # Mapped again for each chunk, so that the pages of earlier chunks are
            # released.
            values = np.load(images, mmap_mode="r")[batch]
            pixels = values.astype(np.float32) / np.float32(scale)
            # Zipfile takes len() for the number of bytes
            stream.write(pixels.data.cast("B"))
            counter.advance(part, len(batch))


def _write_one_hot(path: Path, labels: np.ndarray, classes: int) -> None:
    """Write class numbers (n,) as an npz file for snntoolbox.

    The npz file has one-hot rows `arr_0`, float32 (n, classes).
    """
    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path, "w"))
        stream = stack.enter_context(archive.open("arr_0.npy", "w", force_zip64=True))
        write_header(stream, np.dtype(np.float32), (len(labels), classes))
        for batch in _chunks(labels, 4 * classes):
            stream.write(one_hot(batch, classes).data.cast("B"))


def _chunks(values: np.ndarray, item_bytes: int) -> List[np.ndarray]:
    """Return parts of `values` whose items take at most `CHUNK_BYTES`."""
    size = max(1, CHUNK_BYTES // item_bytes)
    return [values[start : start + size] for start in range(0, len(values), size)]


def _write_recordings(
    target: Path,
    selections: Mapping[str, Selection],
    data: LoadedDataset,
    settings: PreparationSettings,
    progress: Progress,
) -> Contents:
    """Write the samples of each part, whose input changes from step to step.

    These are events, or currents or spikes by step.
    """
    total = sum(len(selection.positions) for selection in selections.values())
    counter = _Counter(total, progress)
    tally = _Tally(total)
    labels = {}
    splits = {}
    has_whole_numbers = True
    for part, selection in selections.items():
        recordings = cast(Recordings, selection.samples)
        samples = _RecordingReader(recordings, settings, tally)
        path = target / f"x_{part}.h5"
        stream = samples.read(selection.positions, part, counter)
        lengths = write_samples(path, stream, settings.shape, recordings.dtype)
        labels[part] = recordings.labels[selection.positions]
        shape = (max(lengths), *settings.shape)
        dtype = recordings.dtype
        splits[part] = _describe_split(labels[part], data.class_names, shape, dtype)
        if part == "test":
            has_whole_numbers = samples.has_whole_numbers
    warnings = tally.warnings(settings)
    is_whole = has_whole_numbers and splits["test"].dtype == "float32"
    if is_whole:
        warnings.append(MAY_BE_SPIKES)
    return Contents(labels, splits, warnings, tally.outside, is_whole)


class _RecordingReader:
    """Reads the samples of a part whose input changes from step to step."""

    def __init__(
        self,
        samples: Recordings,
        settings: PreparationSettings,
        tally: "_Tally",
    ) -> None:
        self._samples = samples
        self._settings = settings
        self._tally = tally
        # Whether all values read are whole numbers from 0 on
        self.has_whole_numbers = True

    def read(
        self,
        positions: np.ndarray,
        part: str,
        counter: _Counter,
    ) -> Iterator[Steps]:
        """Yield the samples at some positions, and count them."""
        settings = self._settings
        for position in positions.tolist():
            sample = self._samples.read(position, settings.shape, settings.bin_us)
            if settings.binary:
                sample = replace(sample, value=np.minimum(sample.value, 1))
            self._tally.add(sample, self._samples.names[position])
            if self.has_whole_numbers:
                value = sample.value
                is_whole = (value >= 0) & (value == np.rint(value))
                self.has_whole_numbers = bool(is_whole.all())
            yield sample
            counter.advance(part, 1)


@dataclass
class _Tally:
    """Counts what warnings of recordings are about, over all parts."""

    total: int  # number of recordings
    outside: int = 0  # events outside the sensor
    # Events that are counted; with `binary`, those of a pixel in a step count as one
    inside: int = 0
    late: int = 0  # events after the last complete bin
    # Names of recordings that begin at a negative time, with the time; without events;
    # shorter than a time step
    early_names: List[str] = field(default_factory=list)
    empty_names: List[str] = field(default_factory=list)
    short_names: List[str] = field(default_factory=list)

    def add(self, sample: Steps, name: str) -> None:
        """Count a recording."""
        if sample.first_us is None:
            self.empty_names.append(name)
        elif sample.first_us < 0:
            self.early_names.append(f"{name} at {sample.first_us} µs")
        if sample.short:
            self.short_names.append(name)
        self.outside += sample.outside
        self.inside += int(sample.value.sum())
        self.late += sample.late

    def warnings(self, settings: PreparationSettings) -> List[str]:
        """Return the warnings; raise `InputError` if all recordings are too short."""
        bin_us = f"{settings.bin_us:,} µs"
        warnings = []
        if self.short_names:
            example = printable(self.short_names[0])
            fault = f"shorter than a time step of {bin_us}, the first {example}"
            if len(self.short_names) == self.total - len(self.empty_names):
                raise InputError(
                    f"all recordings are {fault}: "
                    "times must be in µs (multiply ms by 1000); "
                    "or give a smaller --bin-us.",
                )
            share = f"{len(self.short_names):,} of {self.total:,} recordings"
            consequence = "each becomes one time step; check that times are in µs"
            warnings.append(f"{share} are {fault}: {consequence}")
        if self.outside:
            sensor = format_shape(settings.shape[:2])
            fault = f"{self.outside:,} events are outside the sensor of {sensor}"
            warnings.append(f"{fault} and ignored; {self.inside:,} are counted")
        if self.late:
            fault = f"{self.late:,} events after the last complete bin of {bin_us}"
            warnings.append(f"{fault} of a sample are ignored")
        if self.early_names:
            example = printable(self.early_names[0])
            share = f"{len(self.early_names):,} of {self.total:,} recordings"
            fault = f"begin at a negative time, the first {example}"
            consequence = "their times are shifted, so that the first event is at 0"
            warnings.append(f"{share} {fault}: {consequence}")
        if self.empty_names:
            example = printable(self.empty_names[0])
            share = f"{len(self.empty_names):,} of {self.total:,} recordings"
            consequence = "each becomes one silent time step"
            warnings.append(
                f"{share} hold no events, the first {example}: {consequence}",
            )
        return warnings
