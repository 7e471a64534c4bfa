"""The data sets there are."""

from pathlib import Path
from typing import List, Optional

from snnb.datasets.catsvsdogs import CATSVSDOGS
from snnb.datasets.cifar10 import CIFAR10
from snnb.datasets.cifar100 import CIFAR100
from snnb.datasets.digits import DIGITS
from snnb.datasets.folder import PREFIX, folder_dataset
from snnb.datasets.fruits360 import FRUITS360
from snnb.datasets.imagenet import IMAGENET
from snnb.datasets.mnist import MNIST
from snnb.datasets.registry import Dataset, look_up, table
from snnb.datasets.spec import DatasetSpec
from snnb.errors import InputError

_DATASETS = table(DIGITS, MNIST, CIFAR10, CIFAR100, FRUITS360, CATSVSDOGS, IMAGENET)


def names() -> List[str]:
    """Names of all data sets, the smallest first; a folder of pictures, ``folder:DIR``, has no name of its own."""
    return list(_DATASETS)


def find(name: str) -> Dataset:
    """The data set of that name, or of a folder ``folder:DIR``; `UsageError` with a suggestion for an unknown one."""
    return folder_dataset(name) if name.startswith(PREFIX) else look_up(name, _DATASETS)


def describe(name: str) -> DatasetSpec:
    """What is known of a data set without opening it; raises `UsageError` for an unknown name."""
    return find(name).spec


def available(name: str, data_dir: Path) -> Optional[Path]:
    """Where the data set's files lie on this machine, in ``data_dir/name``; None when they are not there."""
    dataset = find(name)
    try:
        return dataset.locate(dataset.place or data_dir / name)
    except InputError:
        return None
