"""The list of data sets, and look-up by name."""

import difflib
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
    folder.PREFIX: folder.folder_dataset,
    array_files.PREFIX: array_files.arrays_dataset,
    event_files.PREFIX: event_files.events_dataset,
    step_files.PREFIX: step_files.steps_dataset,
}
_DATASETS: Dict[str, Dataset] = {dataset.spec.name: dataset for dataset in _ALL}


def dataset_names() -> List[str]:
    """Return the names of all data sets, without those of the user's files, such as `folder:DIR`."""
    return list(_DATASETS)


def find_dataset(name: str) -> Dataset:
    """Return a data set by its name; of the user's files: `folder:DIR`, `arrays:FILE.npz`, `events:DIR`, `steps:DIR`.

    Raises
    ------
    UsageError
        There is no such data set. The message suggests the nearest name.
    """
    for prefix, own_dataset in _OWN.items():
        if name.startswith(prefix):
            return own_dataset(name)
    if name in _DATASETS:
        return _DATASETS[name]
    near = difflib.get_close_matches(name.lower(), _DATASETS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"unknown data set {name}: {hint}there are {', '.join(sorted(_DATASETS))}; "
        "write folder:DIR for a folder of your own pictures, arrays:FILE.npz for arrays, events:DIR for events, "
        "steps:DIR for the current of each time step."
    )


def describe(name: str) -> DatasetSpec:
    """Return the description of a data set without opening its files; raise `UsageError` if it does not exist."""
    return find_dataset(name).spec


def available(name: str, data_dir: Path) -> Optional[Path]:
    """Return the path of a data set's files, or None if they are not on this machine.

    Parameters
    ----------
    name : str
        As for `find_dataset`.
    data_dir : Path
        Folder of all data sets; the files are in `data_dir/name`.
    """
    dataset = find_dataset(name)
    try:
        return dataset.locate(dataset.place or data_dir / name)
    except InputError:
        return None
