"""The list of data sets, and look-up by name."""

import difflib
import os
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional

from snnb.core.errors import InputError, UsageError
from snnb.datasets import (
    array_files,
    catsvsdogs,
    cifar,
    digit_events,
    digits,
    event_files,
    folder,
    fruits360,
    imagenet,
    mnist,
    nmnist,
    shd,
    step_files,
)
from snnb.datasets.definition import Dataset, DatasetSpec

# In the order in which they are listed: pictures, then events; smallest first.
_ALL = (
    *(digits.DATASET, mnist.DATASET, *cifar.DATASETS, fruits360.DATASET, catsvsdogs.DATASET, imagenet.DATASET),
    *(digit_events.DATASET, shd.DATASET, nmnist.DATASET),
)
_OWN = {
    dataset.spec.name.partition(":")[0]: dataset
    for dataset in (folder.DATASET, array_files.DATASET, event_files.DATASET, step_files.DATASET)
}
_DATASETS: Dict[str, Dataset] = {dataset.spec.name: dataset for dataset in _ALL}


def dataset_names() -> List[str]:
    """Return the names of all data sets except the user's files, such as `folder:DIR`."""
    return list(_DATASETS)


def find_dataset(name: str) -> Dataset:
    """Return a data set by its name; of the user's files: `folder:DIR`, `arrays:FILE.npz`, `events:DIR`, `steps:DIR`.

    The name of the user's files becomes one with their absolute path. Raise `UsageError`, which suggests the nearest
    name, if there is no such data set.
    """
    kind, colon, text = name.partition(":")
    if colon and kind in _OWN:
        own = _OWN[kind]
        if not text.strip():
            raise UsageError(f"{name} names no folder or file: write {own.spec.name}. {own.spec.how_to_get}")
        place = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111  keeps the `~name` of an unknown user
        shape = own.shape_of(place) if own.shape_of is not None else None
        return replace(own, spec=own.spec.model_copy(update={"name": f"{kind}:{place}", "shape": shape}), place=place)
    if name in _DATASETS:
        return _DATASETS[name]
    near = difflib.get_close_matches(name.lower(), _DATASETS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    yours = ", ".join(f"{own.spec.name} for {own.spec.title}" for own in _OWN.values())
    raise UsageError(f"unknown data set {name}: {hint}there are {', '.join(sorted(_DATASETS))}; or write {yours}.")


def describe(name: str) -> DatasetSpec:
    """Return the description of a data set without opening its files; raise `UsageError` if it does not exist."""
    return find_dataset(name).spec


def available(name: str, data_dir: Path) -> Optional[Path]:
    """Return the path of a data set's files, or None if they are not on this machine.

    `data_dir` is the folder of all data sets: the files are in `data_dir/name`.
    """
    dataset = find_dataset(name)
    try:
        return dataset.locate(dataset.place or data_dir / name)
    except InputError:
        return None
