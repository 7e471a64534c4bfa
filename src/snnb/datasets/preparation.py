"""Convert the files of a data set to the arrays that the other stages read."""

import math
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.progress import Progress, silent
from snnb.datasets.catalogue import find_dataset
from snnb.datasets.definition import Dataset, DatasetSpec, ImageShape, LoadedDataset
from snnb.datasets.order import balanced_order, proportional_order
from snnb.datasets.prepared import PreparedDataset, PreparedSplit, write_images, write_scaled
from snnb.io.files import require_disk
from snnb.io.text import printable

UNREADABLE_NAMED = 20  # most unreadable pictures that a warning names


def prepare(
    name: str,
    target: Path,
    *,
    data_dir: Path,
    norm_samples: int,
    seed: int,
    source: Optional[Path] = None,
    shape: Optional[ImageShape] = None,
    fit: str = "exact",
    num_classes: Optional[int] = None,
    limit: Optional[int] = None,
    progress: Progress = silent,
) -> PreparedDataset:
    """Write a data set as arrays to an empty folder.

    The files are x_train.npy and x_test.npy (uint8, (n, height, width, channels)), y_train.npy and y_test.npy (int64,
    (n,)), and those that snntoolbox reads: x_norm.npz and x_test.npz (float32 in [0, 1]) and y_test.npz (one-hot,
    float32). A published order of samples is kept. Otherwise every prefix of the training and the test set contains
    the classes in proportion. `x_norm` is a class-balanced subset of the training set.

    Parameters
    ----------
    name : str
        Name of a data set, `folder:DIR` or `arrays:FILE.npz`.
    target : Path
        An existing, empty folder.
    data_dir : Path
        Folder of all data sets, each in a folder of its name. Downloads are stored there.
    norm_samples : int
        Number of samples in `x_norm`; at most the size of the training set.
    seed : int
        Seed of the order of the samples and of the selection for `x_norm`.
    source : Path, optional
        Folder (or file) to read instead of `data_dir/name`.
    shape : tuple of three int, optional
        (height, width, channels) of the model's input; by default the data set's own.
    fit : {"exact", "pad", "resize"}
        How images of another shape are converted: refused, surrounded by zeros, or resized. Picture files are always
        resized.
    num_classes : int, optional
        Classes of the model; a data set with another number of classes is refused.
    limit : int, optional
        Largest number of training samples and of test samples; the classes stay in proportion.
    progress : Progress
        Called with the numbers of processed and of all samples; during a download, with numbers of bytes.

    Raises
    ------
    UsageError
        There is no such data set, or an option is missing or not for this data set.
    InputError
        Files are missing or damaged, or the model does not take such images or classes.
    ResourceError
        The disk has too little free space.
    """
    dataset = find_dataset(name)
    wanted = shape or dataset.spec.shape
    if wanted is None:
        raise UsageError(f"the pictures of {name} have no common size: name a model, or give the shape.")
    place = _find_or_fetch(dataset, data_dir, source, progress)
    loaded = dataset.load(place)
    _check_loaded(dataset.spec, loaded, wanted, fit, num_classes)
    positions = {
        "train": _positions(loaded.train.labels, loaded.official_order, limit, np.random.default_rng([seed, 0])),
        "test": _positions(loaded.test.labels, loaded.official_order, limit, np.random.default_rng([seed, 1])),
    }
    norm_samples = min(norm_samples, len(positions["train"]))
    train, test = len(positions["train"]), len(positions["test"])
    # A byte a pixel, and four in the copies for the toolbox.
    require_disk(target, math.prod(wanted) * (train + test + 4 * (test + norm_samples)), "prepare")
    advance = _counted(progress, train + 2 * test + norm_samples)
    labels, unreadable = _write_splits(target, loaded, positions, wanted, fit, advance)
    norm = balanced_order(labels["train"], np.random.default_rng([seed, 2]))[:norm_samples]
    labels["norm"] = labels["train"][norm]
    scale = dataset.spec.scale
    write_scaled(target / "x_norm.npz", target / "x_train.npy", norm, scale, partial(advance, "norm"))
    all_of_test = np.arange(len(labels["test"]))
    write_scaled(target / "x_test.npz", target / "x_test.npy", all_of_test, scale, partial(advance, "test"))
    np.savez(target / "y_test.npz", np.eye(len(loaded.class_names), dtype=np.float32)[labels["test"]])
    return _described(dataset.spec, loaded, labels, wanted, unreadable)


def _find_or_fetch(dataset: Dataset, data_dir: Path, source: Optional[Path], progress: Progress) -> Path:
    """Return the path of the files, after a download if they are missing and can be downloaded."""
    spec = dataset.spec
    if source is not None and dataset.no_source:
        raise UsageError(f"leave out --source for {spec.name}: {dataset.no_source}.")
    if source is not None and not source.exists():
        raise InputError(f"--source {source} does not exist: name the folder that holds {spec.layout}.")
    folder = source or dataset.place or data_dir / spec.name
    try:
        return dataset.locate(folder)
    except InputError as missing:
        if source is None and dataset.fetch is not None:
            dataset.fetch(folder, progress)
            return dataset.locate(folder)
        for path in [folder] if folder.is_file() else sorted(folder.glob("*")):
            if path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz")):
                raise InputError(f"{path} is still packed: unpack it there and try again.") from None
        own_place = source is not None or dataset.no_source
        put = "" if own_place else f" Put it into {folder}, or name its folder with --source."
        raise InputError(f"{missing} {spec.how_to_get}{put}") from None


def _check_loaded(
    spec: DatasetSpec, loaded: LoadedDataset, shape: ImageShape, fit: str, num_classes: Optional[int]
) -> None:
    """Raise `InputError` if the data set is empty or does not fit the model."""
    names = loaded.class_names
    if num_classes is not None and num_classes != len(names):
        raise InputError(
            f"{spec.name} has {len(names)} classes, the model has {num_classes}: "
            "choose another data set, or set the model's number of classes."
        )
    for part, samples in (("training", loaded.train), ("test", loaded.test)):
        if len(samples.labels) == 0:
            raise InputError(f"{spec.name} has no {part} samples: {spec.layout} is expected.")
        samples.check(shape, fit)


def _positions(labels: np.ndarray, official_order: bool, limit: Optional[int], rng: np.random.Generator) -> np.ndarray:
    """Return the positions to write, in order: at most `limit`, with the classes in proportion."""
    if official_order:
        return np.sort(proportional_order(labels)[:limit])
    return proportional_order(labels, rng)[:limit]


def _counted(progress: Progress, total: int) -> Callable[[str, int], None]:
    """Return a function that adds to the number of processed samples and reports progress."""
    done = 0

    def advance(note: str, samples: int) -> None:
        nonlocal done
        done += samples
        progress(done, total, note)

    return advance


def _write_splits(
    target: Path,
    loaded: LoadedDataset,
    positions: Mapping[str, np.ndarray],
    shape: ImageShape,
    fit: str,
    advance: Callable[[str, int], None],
) -> Tuple[Dict[str, np.ndarray], List[str]]:
    """Write images and labels of both parts; return the labels by part, and warnings of unreadable pictures."""
    labels, warnings = {}, []
    for part, samples in (("train", loaded.train), ("test", loaded.test)):
        path = target / f"x_{part}.npy"
        written, unreadable = write_images(path, samples, positions[part], shape, fit, partial(advance, part))
        labels[part] = samples.labels[written]
        np.save(target / f"y_{part}.npy", labels[part])
        if unreadable:
            warnings.append(_unreadable_warning(unreadable, len(positions[part]), part))
    return labels, warnings


def _described(
    spec: DatasetSpec,
    loaded: LoadedDataset,
    labels: Mapping[str, np.ndarray],
    shape: ImageShape,
    unreadable: List[str],
) -> PreparedDataset:
    """Return what the manifest records; `labels` are those written, `unreadable` warnings of unreadable pictures."""
    warnings = list(loaded.warnings)
    found = (len(loaded.train.labels), len(loaded.test.labels))
    if spec.samples is not None and found != spec.samples:
        warnings.append(
            "{:,} training and {:,} test samples; {:,} and {:,} are published".format(*found, *spec.samples)
        )
    return PreparedDataset(
        dataset=spec.name,
        version=loaded.version,
        licence=spec.licence,
        source=spec.source,
        scale=spec.scale,
        class_names=loaded.class_names,
        splits={
            part: PreparedSplit(
                (len(of_part), *shape),
                "float32" if part == "norm" else "uint8",
                dict(zip(loaded.class_names, np.bincount(of_part, minlength=len(loaded.class_names)).tolist())),
            )
            for part, of_part in labels.items()
        },
        sources=loaded.sources,
        warnings=warnings + unreadable,
    )


def _unreadable_warning(unreadable: List[str], total: int, part: str) -> str:
    more = f"; and {len(unreadable) - UNREADABLE_NAMED} more" if len(unreadable) > UNREADABLE_NAMED else ""
    named = "; ".join(unreadable[:UNREADABLE_NAMED])
    return printable(f"{len(unreadable)} of {total} {part} pictures cannot be read and are left out: {named}{more}")
