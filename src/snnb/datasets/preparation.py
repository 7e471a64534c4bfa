"""Convert the files of a data set to the arrays that the other stages read; written in chunks to bound memory use."""

import math
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Union, cast

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.formatting import times
from snnb.core.progress import Progress, silent
from snnb.datasets.array_samples import balanced_order, proportional_order
from snnb.datasets.catalogue import data_directory, find_dataset
from snnb.datasets.definition import Dataset, LoadedDataset, PreparedSplit, Recordings, Samples
from snnb.datasets.preparation_settings import PreparationSettings
from snnb.io.files import refuse_special
from snnb.io.npy import one_hot, write_header
from snnb.io.text import printable
from snnb.network.event_samples import Steps, write_samples

CHUNK_BYTES = 16 * 2**20
MOST_UNREADABLE = 0.01  # largest fraction of the images that are ignored
UNREADABLE_NAMED = 20  # largest number of unreadable pictures that a warning names
DARK = 0.5  # a largest pixel below it suggests values of another scale
MAY_BE_SPIKES = (
    "the currents are integers; if they are spike counts, use an integer dtype or simulate with "
    "--input events: mappings do not count currents"
)

Range = Tuple[float, float]  # smallest and largest value


@dataclass(frozen=True)
class PreparedArrays:
    """Description of the arrays that were written, for the manifest."""

    splits: Dict[str, PreparedSplit]  # by "train", "test" and "norm"
    warnings: List[str]  # messages for the user
    scale: float  # a pixel is value / scale
    outside: Optional[int]  # number of events outside the sensor, which are ignored; None for other contents
    whole: bool = False  # whether the test samples are currents that are whole numbers from 0 on, and may be spikes


def open_dataset(
    settings: PreparationSettings, *, num_classes: Optional[int] = None, progress: Progress = silent
) -> LoadedDataset:
    """Open the files of a data set, after a download if need be.

    A data set with another number of classes than `num_classes` is refused. During a download, `progress` is called
    with numbers of bytes.

    Raise `UsageError` if there is no such data set or an option is not for it, `InputError` if files are missing or
    damaged or the model does not take such images or classes.
    """
    dataset = find_dataset(settings.dataset)
    spec = dataset.spec
    loaded = dataset.load(_find_or_fetch(dataset, settings.data_dir or data_directory(), settings.source, progress))
    classes = loaded.class_names
    not_utf8 = [name for name in classes if name.encode(errors="replace").decode() != name]
    if not_utf8:
        raise InputError(f"the class name {printable(not_utf8[0])} is not UTF-8: rename its folder.")
    if num_classes is not None and num_classes != len(classes):
        raise InputError(
            f"{spec.name} has {len(classes)} classes, the model has {num_classes}: choose another data set or model."
        )
    for part, samples in (("training", loaded.train), ("test", loaded.test)):
        if samples is not None:
            if len(samples.labels) == 0:
                raise InputError(f"{spec.name} has no {part} samples: {spec.layout} is expected.")
            samples.check(settings.shape, settings.fit)
    return loaded


def write_arrays(
    loaded: LoadedDataset, settings: PreparationSettings, target: Path, progress: Progress = silent
) -> PreparedArrays:
    """Write a data set that `open_dataset` has opened as arrays to `target`, an existing, empty folder.

    The files are x_train.npy and x_test.npy ((n, height, width, channels), uint8 or float32), y_train.npy and
    y_test.npy (int64, (n,)), and the files of snntoolbox: x_norm.npz and x_test.npz (pixels, float32) and
    y_test.npz (one-hot, float32). Without a training set, x_train, y_train and x_norm are missing. A published order of
    samples is kept. Otherwise every prefix of the training and the test set contains the classes in proportion.
    `x_norm` is a class-balanced subset of the training set.

    Of input that changes from step to step, the files are x_train.h5, y_train.npy, x_test.h5 and y_test.npy; see
    `snnb.network.event_samples`. `progress` is called with numbers of samples. Raise `InputError` if a sample is
    damaged.
    """
    dataset = find_dataset(settings.dataset)
    spec, classes, shape = dataset.spec, loaded.class_names, settings.shape
    parts: Dict[str, Tuple[Union[Samples, Recordings], np.ndarray]] = {}  # with the positions to write, in order
    for stream, (part, samples) in enumerate((("train", loaded.train), ("test", loaded.test))):
        if samples is not None:
            if dataset.official_order:
                positions = np.sort(proportional_order(samples.labels)[: settings.limit])
            else:
                random = np.random.default_rng([settings.seed, stream])
                positions = proportional_order(samples.labels, random)[: settings.limit]
            parts[part] = samples, positions
    sizes, warnings = tuple(len(samples.labels) for samples, _ in parts.values()), loaded.warnings
    if spec.samples is not None and len(sizes) == 2 and sizes != spec.samples:
        published = "{:,} training and {:,} test samples; {:,} and {:,} are published".format(*sizes, *spec.samples)
        warnings = [*warnings, published]

    def split(labels: np.ndarray, shape: Tuple[int, ...], dtype: str) -> PreparedSplit:
        counts = np.bincount(labels, minlength=len(classes)).tolist()
        return PreparedSplit(shape=(len(labels), *shape), dtype=dtype, class_counts=dict(zip(classes, counts)))

    outside, whole = None, False
    scale = spec.scale if loaded.dtype == "uint8" else 1.0
    if spec.content == "pictures":
        pictures = cast("Dict[str, Tuple[Samples, np.ndarray]]", parts)
        labels, values, unreadable = _write_pictures(target, pictures, settings, loaded.dtype, scale, progress)
        warnings = [*warnings, *unreadable, *_pixel_warnings(values, scale)]
        _write_one_hot(target / "y_test.npz", labels["test"], len(classes))
        splits = {part: split(of, shape, "float32" if part == "norm" else loaded.dtype) for part, of in labels.items()}
        splits.update({part: splits[part].model_copy(update={"values": values[part]}) for part in values})
    else:
        recordings = cast("Dict[str, Tuple[Recordings, np.ndarray]]", parts)
        longest, counted, whole, faults = _write_recordings(target, recordings, settings, progress)
        labels = {part: samples.labels[positions] for part, (samples, positions) in recordings.items()}
        splits = {
            part: split(labels[part], (longest[part], *shape), samples.dtype)
            for part, (samples, _) in recordings.items()
        }
        whole = whole and splits["test"].dtype == "float32"
        if spec.content == "events":
            outside = counted
        warnings = [*warnings, *faults, *([MAY_BE_SPIKES] if whole else [])]
    for part in parts:
        np.save(target / f"y_{part}.npy", labels[part])
    return PreparedArrays(splits, warnings, scale, outside, whole)


def _pixel_warnings(values: Mapping[str, Range], scale: float) -> List[str]:
    """Return a warning if the pixels of the training or the test images are not from 0 to about 1."""
    lowest, highest = min(low for low, _ in values.values()), max(high for _, high in values.values())
    if lowest < 0 or highest > scale:
        return [
            f"the pixels are {lowest:.4g} to {highest:.4g}, as in the arrays: --input poisson and --weight-bits need "
            "pixels in [0, 1]"
        ]
    return dark_pixels({part: high for part, (_, high) in values.items()}, scale)


def dark_pixels(highest: Mapping[str, float], scale: float) -> List[str]:
    """Return a warning if the largest value of the training or the test images is far below that of a pixel of 1."""
    dark = [part for part in highest if scale != 1 and highest[part] < DARK * scale]
    if not dark:
        return []
    largest = max(highest[part] for part in dark)
    remedy = f": if {largest:g} should be 1, multiply the values by {scale:g} / {largest:g}" if largest else ""
    return [
        f"the largest value of the {' and '.join(dark)} images is {largest:g} of {scale:g}, a pixel of "
        f"{largest / scale:.3g}{remedy}"
    ]


def _find_or_fetch(dataset: Dataset, data_dir: Path, source: Optional[Path], progress: Progress) -> Path:
    """Return the path of the files, after a download if they are missing and can be downloaded."""
    spec = dataset.spec
    if source is not None and (dataset.place is not None or not spec.layout):
        reason = "its name states the path" if spec.layout else "it is part of an installed package"
        raise UsageError(f"omit --source for {spec.name}: {reason}.")
    if source is not None and not source.exists():
        raise InputError(f"--source {source} does not exist: name the folder that holds {spec.layout}.")
    folder = source or dataset.place or data_dir / spec.name
    refuse_special(folder)
    try:
        return dataset.locate(folder)
    except InputError as missing:
        if source is None and dataset.fetch is not None:
            dataset.fetch(folder, progress)
            return dataset.locate(folder)
        for path in [folder] if folder.is_file() else sorted(folder.glob("*")):
            if path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".h5.gz")):
                raise InputError(f"{path} is an archive: unpack it and try again.") from None
        put = "" if source or dataset.place else f" Put it into {folder}, or name its folder with --source."
        raise InputError(f"{missing} {spec.how_to_get}{put}") from None


def _write_pictures(
    target: Path,
    parts: Mapping[str, Tuple[Samples, np.ndarray]],
    settings: PreparationSettings,
    dtype: str,
    scale: float,
    progress: Progress,
) -> Tuple[Dict[str, np.ndarray], Dict[str, Range], List[str]]:
    """Write the images at some positions of the training and the test set, and the copies for the toolbox.

    Return the labels of the images in each array, the range of the training and the test images before scaling, and
    warnings of unreadable images. More than `MOST_UNREADABLE` unreadable images of a part are an `InputError`, and so
    is a value that is not finite.
    """
    train, test = (len(parts[part][1]) if part in parts else 0 for part in ("train", "test"))
    norm_samples, shape = min(settings.norm_samples, train), settings.shape
    done, total = 0, train + 2 * test + norm_samples

    def advance(part: str, samples: int) -> None:
        nonlocal done
        done += samples
        progress(done, total, part)

    labels: Dict[str, np.ndarray] = {}
    values: Dict[str, Range] = {}
    warnings: List[str] = []
    for part, (samples, positions) in parts.items():
        written: List[np.ndarray] = []
        unreadable: List[str] = []
        # The file is not memory-mapped, since mapped pages count as memory of the process.
        with (target / f"x_{part}.npy").open("wb") as stream:
            write_header(stream, np.dtype(dtype), (len(positions), *shape))
            for batch in _chunks(positions, np.dtype(dtype).itemsize * math.prod(shape)):
                images, reasons = samples.read(batch, shape, settings.fit)
                if not np.isfinite(images).all():
                    sample = batch[int(np.argwhere(~np.isfinite(images))[0, 0])]
                    raise InputError(f"x_{part}: sample {sample} has a value that is not finite: replace it.")
                stream.write(np.ascontiguousarray(images).data)
                if len(images):
                    low, high = values.get(part, (math.inf, -math.inf))
                    values[part] = min(low, float(images.min())), max(high, float(images.max()))
                unreadable += reasons.values()
                if len(unreadable) > MOST_UNREADABLE * len(positions):
                    raise InputError(
                        f"{len(unreadable)} of {len(positions)} images cannot be read, more than 1 %: "
                        f"the first is {unreadable[0]}; replace or remove these files."
                    )
                written.append(np.delete(batch, list(reasons)))
                advance(part, len(batch))
            if unreadable:
                # The header is padded to 128 bytes for any number of images, so it can be overwritten.
                stream.seek(0)
                write_header(stream, np.dtype(dtype), (len(positions) - len(unreadable), *shape))
                named = "; ".join(unreadable[:UNREADABLE_NAMED])
                rest = f"; and {len(unreadable) - UNREADABLE_NAMED} more" if len(unreadable) > UNREADABLE_NAMED else ""
                ignored = f"{len(unreadable)} of {len(positions)} {part} images cannot be read and are ignored"
                warnings.append(printable(f"{ignored}: {named}{rest}"))
        labels[part] = samples.labels[np.concatenate(written)]
    if "train" in labels:
        norm = balanced_order(labels["train"], np.random.default_rng([settings.seed, 2]))[:norm_samples]
        labels["norm"] = labels["train"][norm]
        _write_scaled(target / "x_norm.npz", target / "x_train.npy", norm, scale, partial(advance, "norm"))
    all_of_test = np.arange(len(labels["test"]))
    _write_scaled(target / "x_test.npz", target / "x_test.npy", all_of_test, scale, partial(advance, "test"))
    return labels, values, warnings


def _write_scaled(
    path: Path, images: Path, positions: np.ndarray, scale: float, advance: Callable[[int], None]
) -> None:
    """Write `images[positions] / scale` as an npz file for snntoolbox: one float32 array `arr_0`.

    `images` is a .npy file of numbers (n, height, width, channels). `advance` is called with the number of samples
    processed since the last call.
    """
    shape = np.load(images, mmap_mode="r").shape[1:]
    with zipfile.ZipFile(path, "w") as archive, archive.open("arr_0.npy", "w", force_zip64=True) as stream:
        write_header(stream, np.dtype(np.float32), (len(positions), *shape))
        for batch in _chunks(positions, 4 * math.prod(shape)):
            # Mapped again for each chunk, so that the pages of earlier chunks are released.
            pixels = np.load(images, mmap_mode="r")[batch].astype(np.float32) / np.float32(scale)
            stream.write(pixels.data.cast("B"))  # zipfile takes len() for the number of bytes
            advance(len(batch))


def _write_one_hot(path: Path, labels: np.ndarray, classes: int) -> None:
    """Write class numbers (n,) as an npz file for snntoolbox: one-hot rows `arr_0`, float32 (n, classes)."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("arr_0.npy", "w", force_zip64=True) as stream:
        write_header(stream, np.dtype(np.float32), (len(labels), classes))
        for batch in _chunks(labels, 4 * classes):
            stream.write(one_hot(batch, classes).data.cast("B"))


def _chunks(positions: np.ndarray, bytes_each: int) -> List[np.ndarray]:
    size = max(1, CHUNK_BYTES // bytes_each)
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def _write_recordings(
    target: Path, parts: Mapping[str, Tuple[Recordings, np.ndarray]], settings: PreparationSettings, progress: Progress
) -> Tuple[Dict[str, int], int, bool, List[str]]:
    """Write the samples at some positions of each part.

    Return the number of time steps of the longest sample by part, the number of events outside the sensor, whether all
    values of the test samples are whole numbers from 0 on, and warnings.
    """
    total = sum(len(positions) for _, positions in parts.values())
    done, outside, inside, late, whole = 0, 0, 0, 0, True
    early: List[str] = []
    empty: List[str] = []
    short: List[str] = []

    def samples_of(part: Recordings, positions: np.ndarray, name: str) -> Iterator[Steps]:
        nonlocal done, outside, inside, late, whole
        for position in positions.tolist():
            sample = part.read(position, settings.shape, settings.bin_us)
            if settings.binary:
                sample = replace(sample, value=np.minimum(sample.value, 1))
            if sample.first_us is None:
                empty.append(part.names[position])
            elif sample.first_us < 0:
                early.append(f"{part.names[position]} at {sample.first_us} µs")
            if sample.short:
                short.append(part.names[position])
            if name == "test":
                whole = whole and bool((sample.value >= 0).all() and (sample.value == np.rint(sample.value)).all())
            outside, inside, done = outside + sample.outside, inside + int(sample.value.sum()), done + 1
            late += sample.late
            yield sample
            progress(done, total, name)

    longest = {}
    for name, (part, positions) in parts.items():
        samples = samples_of(part, positions, name)
        longest[name] = max(write_samples(target / f"x_{name}.h5", samples, settings.shape, part.dtype))
    warnings = []
    if short:
        shorter = f"shorter than a time step of {settings.bin_us:,} µs, the first {printable(short[0])}"
        if len(short) == total - len(empty):
            raise InputError(
                f"all recordings are {shorter}: times must be in µs (multiply ms by 1000); or give a smaller --bin-us."
            )
        warnings.append(
            f"{len(short):,} of {total:,} recordings are {shorter}: each becomes one time step; check that times are "
            "in µs"
        )
    if outside:
        sensor = times(settings.shape[:2])
        warnings.append(f"{outside:,} events are outside the sensor of {sensor} and ignored; {inside:,} are counted")
    if late:
        warnings.append(
            f"{late:,} events after the last complete bin of {settings.bin_us:,} µs of a sample are ignored"
        )
    if early:
        warnings.append(
            f"{len(early):,} of {total:,} recordings begin at a negative time, the first {printable(early[0])}: their "
            "times are shifted, so that the first event is at 0"
        )
    if empty:
        warnings.append(
            f"{len(empty):,} of {total:,} recordings hold no events, the first {printable(empty[0])}: each becomes "
            "one silent time step"
        )
    return longest, outside, whole, warnings
