"""From a data set's own files to the arrays that the other stages read."""

import shutil
from functools import partial
from pathlib import Path
from typing import List, Optional

import numpy as np

from snnb.datasets.catalogue import find
from snnb.datasets.order import balanced_order, proportional_order
from snnb.datasets.registry import Dataset
from snnb.datasets.spec import Prepared, Shape, Split, refuse_no_text
from snnb.datasets.store import class_counts, size_on_disk, write_images, write_scaled
from snnb.errors import InputError, ResourceError, UsageError
from snnb.progress import Progress, silent
from snnb.text import printable

FITS = ("exact", "pad", "resize")
NAMED_BROKEN = 20


def prepare(
    name: str,
    target: Path,
    *,
    data_dir: Path,
    norm_samples: int,
    seed: int,
    source: Optional[Path] = None,
    shape: Optional[Shape] = None,
    fit: str = "exact",
    num_classes: Optional[int] = None,
    limit: Optional[int] = None,
    progress: Progress = silent,
) -> Prepared:
    """Write a data set as arrays into an empty folder.

    Written are ``x_train.npy x_test.npy`` (uint8, (n, height, width, channels)), ``y_train.npy y_test.npy`` (int64,
    (n,)), and snntoolbox's own ``x_norm.npz x_test.npz`` (float32 in [0, 1]) and ``y_test.npz`` (one-hot float32).
    Every prefix of the test set holds the classes in proportion, unless the data set has an official order, which
    stays. `x_norm` is a class-balanced part of the training set.

    Parameters
    ----------
    name : a data set's name.
    target : folder that exists and is empty.
    data_dir : where data sets are kept, each in a folder of its name; what can be downloaded is put there.
    norm_samples : size of `x_norm`; the whole training set when that is smaller.
    seed : of the order of the samples and the choice of `x_norm`.
    source : folder (or file) to read instead of ``data_dir/name``.
    shape : (height, width, channels) that the model takes; the data set's own without it.
    fit : how images of another shape are brought to it: `exact` (not at all), `pad` (zeros around), `resize`.
        Data sets of picture files are decoded to `shape` in any case.
    num_classes : classes that the model has; checked before any work.
    limit : keep at most so many training samples and so many test samples, classes in proportion.
    progress : called with the samples done and in all; while downloading with bytes.

    Raises
    ------
    UsageError : unknown data set, impossible number.
    InputError : files missing, broken, or not what the model takes.
    ResourceError : not enough disk.
    """
    dataset = find(name)
    spec = dataset.spec
    if fit not in FITS:
        raise UsageError(f"fit {fit} is none of {', '.join(FITS)}.")
    if norm_samples < 1:
        raise UsageError(f"{norm_samples} samples for normalisation: at least 1 is needed.")
    if limit is not None and limit < 1:
        raise UsageError(f"a limit of {limit} samples leaves none: give at least 1.")
    wanted = shape or spec.shape
    if wanted is None:
        raise UsageError(f"{spec.name} has no picture size of its own: name a model, or give the shape.")

    where = _find_or_fetch(dataset, data_dir, source, progress)
    refuse_no_text(str(where), str(where))
    loaded = dataset.load(where)
    names = loaded.class_names
    for class_name in names:
        refuse_no_text(class_name, f"the class {class_name} of {spec.name}")
    if num_classes is not None and num_classes != len(names):
        raise InputError(
            f"{spec.name} has {len(names)} classes, the model has {num_classes}: "
            "choose another data set, or set the model's number of classes."
        )
    for part, samples in (("training", loaded.train), ("test", loaded.test)):
        if len(samples.labels) == 0:
            raise InputError(f"{spec.name} has no {part} samples: {spec.layout} is expected.")
        samples.check(wanted, fit)

    chosen = {
        "train": _chosen(loaded.train.labels, loaded.official_order, limit, np.random.default_rng([seed, 0])),
        "test": _chosen(loaded.test.labels, loaded.official_order, limit, np.random.default_rng([seed, 1])),
    }
    norm_samples = min(norm_samples, len(chosen["train"]))
    _check_disk(target, size_on_disk(wanted, len(chosen["train"]), len(chosen["test"]), norm_samples))

    total, done = len(chosen["train"]) + 2 * len(chosen["test"]) + norm_samples, 0

    def advance(note: str, samples: int) -> None:
        nonlocal done
        done += samples
        progress(done, total, note)

    warnings, labels = list(loaded.warnings), {}
    found = (len(loaded.train.labels), len(loaded.test.labels))
    if spec.samples is not None and found != spec.samples:
        warnings.append(
            "{:,} training and {:,} test samples; {:,} and {:,} are published".format(*found, *spec.samples)
        )
    for part, samples in (("train", loaded.train), ("test", loaded.test)):
        images = target / f"x_{part}.npy"
        kept, broken = write_images(images, samples, chosen[part], wanted, fit, partial(advance, part))
        labels[part] = samples.labels[kept]
        np.save(target / f"y_{part}.npy", labels[part])
        if broken:
            warnings.append(_broken_line(broken, len(chosen[part]), part))

    norm = balanced_order(labels["train"], np.random.default_rng([seed, 2]))[:norm_samples]
    labels["norm"] = labels["train"][norm]
    write_scaled(target / "x_norm.npz", target / "x_train.npy", norm, spec.scale, partial(advance, "norm"))
    whole_test = np.arange(len(labels["test"]))
    write_scaled(target / "x_test.npz", target / "x_test.npy", whole_test, spec.scale, partial(advance, "test"))
    np.savez(target / "y_test.npz", np.eye(len(names), dtype=np.float32)[labels["test"]])
    return Prepared(
        dataset=spec.name,
        title=spec.title,
        version=loaded.version,
        licence=spec.licence,
        source=spec.source,
        scale=spec.scale,
        class_names=names,
        splits={
            part: Split((len(ids), *wanted), "float32" if part == "norm" else "uint8", class_counts(ids, names))
            for part, ids in labels.items()
        },
        inputs=loaded.inputs,
        folders={
            folder: {**loaded.train.read_below(folder), **loaded.test.read_below(folder)} for folder in loaded.listings
        },
        listings=loaded.listings,
        warnings=warnings,
    )


def _find_or_fetch(dataset: Dataset, data_dir: Path, source: Optional[Path], progress: Progress) -> Path:
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
        packed = _archives(folder)
        if packed:
            raise InputError(f"{packed[0]} is still packed: unpack it there and try again.") from None
        put = (
            ""
            if source is not None or dataset.no_source
            else f" Put it into {folder}, or name its folder with --source."
        )
        raise InputError(f"{missing} {spec.how_to_get}{put}") from None


def _archives(folder: Path) -> List[Path]:
    """Archives in a folder, or the one that is named as if it were a folder."""
    files = [folder] if folder.is_file() else sorted(folder.glob("*"))
    return [path for path in files if path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz"))]


def _chosen(labels: np.ndarray, official_order: bool, limit: Optional[int], rng: np.random.Generator) -> np.ndarray:
    """Positions to write, in order; at most `limit` of them, with the classes in proportion."""
    if official_order:
        return np.sort(proportional_order(labels)[:limit])
    return proportional_order(labels, rng)[:limit]


def _check_disk(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target).free
    if free < needed:
        raise ResourceError(
            f"the prepared data take {needed / 1e9:.2f} GB, {target} has {free / 1e9:.2f} GB free: "
            "free some, take a --run-dir on another disk, or fewer samples with --limit."
        )


def _broken_line(broken: List[str], total: int, part: str) -> str:
    more = f"; and {len(broken) - NAMED_BROKEN} more" if len(broken) > NAMED_BROKEN else ""
    named = "; ".join(broken[:NAMED_BROKEN])
    return printable(f"{len(broken)} of {total} {part} pictures cannot be read and are left out: {named}{more}")
