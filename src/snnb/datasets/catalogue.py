"""The list of data sets, and look-up by name."""

import difflib
import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import List, Optional

import platformdirs

from snnb.core.errors import InputError, UsageError
from snnb.datasets.definition import Dataset
from snnb.io.files import refuse_special

# Module of this package by name, in the order in which data sets are listed: pictures,
# then events; smallest first. A module has one `DATASET`, or others after a colon.
_LISTED = {
    "digits": "digits",
    "mnist": "mnist",
    "cifar10": "cifar:CIFAR10",
    "cifar100": "cifar:CIFAR100",
    "fruits360": "fruits360",
    "catsvsdogs": "catsvsdogs",
    "imagenet": "imagenet",
    "digit_events": "digit_events",
    "shd": "shd",
    "nmnist": "nmnist",
}
_OWN = {
    "folder": "pictures",
    "arrays": "array_files",
    "events": "event_files",
    "steps": "step_files",
}


def _imported(place: str) -> Dataset:
    module, _, name = place.partition(":")
    dataset: Dataset = getattr(
        import_module(f"snnb.datasets.{module}"),
        name or "DATASET",
    )
    return dataset


def dataset_names() -> List[str]:
    """Return the names of all data sets except the user's files, such as `folder:DIR`."""
    return list(_LISTED)


def find_dataset(name: str) -> Dataset:
    """Return a data set by its name.

    Of the user's files: `folder:DIR`, `arrays:FILE.npz`, `events:DIR`, `steps:DIR`.

    The name of the user's files becomes one with their absolute path. Raise
    `UsageError`, which suggests the nearest name, if there is no such data set.
    """
    kind, colon, text = name.partition(":")
    if colon and kind in _OWN:
        own_dataset = _imported(_OWN[kind])
        if not text.strip():
            raise UsageError(
                f"{name} names no folder or file: write {own_dataset.spec.name}. "
                f"{own_dataset.spec.how_to_get}",
            )
        place = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111  keeps the `~name` of an unknown user
        refuse_special(place)
        shape = (
            own_dataset.shape_of(place) if own_dataset.shape_of is not None else None
        )
        return replace(
            own_dataset,
            spec=own_dataset.spec.model_copy(
                update={"name": f"{kind}:{place}", "shape": shape},
            ),
            place=place,
        )
    if name in _LISTED:
        return _imported(_LISTED[name])
    near = difflib.get_close_matches(name.lower(), _LISTED, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    yours = ", ".join(
        f"{own_dataset.spec.name} for {own_dataset.spec.title}"
        for own_dataset in map(_imported, _OWN.values())
    )
    raise UsageError(
        f"unknown data set {name}: {hint}there are {', '.join(sorted(_LISTED))}; or "
        f"write {yours}.",
    )


def data_directory() -> Path:
    """Return the directory of the data sets.

    $SNNB_DATA, else the user's cache directory.
    """
    return Path(os.environ.get("SNNB_DATA") or platformdirs.user_cache_dir("snnb"))


def available(name: str, data_dir: Path) -> Optional[Path]:
    """Return the path of a data set's files, or None if they are not on this machine.

    `data_dir` is the folder of all data sets: the files are in `data_dir/name`.
    """
    dataset = find_dataset(name)
    try:
        return dataset.locate(dataset.place or data_dir / name)
    except InputError:
        return None
