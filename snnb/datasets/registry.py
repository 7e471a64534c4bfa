"""The table of data sets, and what each has to offer.

Nothing here or at the top of a data set's own file imports numpy: listing the data sets takes milliseconds.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Protocol, Tuple

from snnb.datasets.spec import DatasetSpec, Shape
from snnb.errors import UsageError
from snnb.progress import Progress

if TYPE_CHECKING:
    import numpy as np


class Samples(Protocol):
    """One split of a data set, decoded on demand."""

    @property
    def labels(self) -> np.ndarray:
        """Class ids, int64 (n,)."""

    def check(self, shape: Shape, fit: str) -> None:
        """Raise `InputError` when the images cannot be brought to `shape` by `fit` (exact, pad or resize)."""

    def read(self, positions: np.ndarray, shape: Shape, fit: str) -> Tuple[np.ndarray, Dict[int, str]]:
        """Read the images at `positions`, in that order.

        Returns
        -------
        The readable ones, uint8 (k, height, width, channels); of the others the index in `positions` and why not.
        """

    def read_below(self, folder: Path) -> Dict[str, str]:
        """Files below `folder` that `read` has read, by relative path, with the SHA-256 of the bytes it used."""


@dataclass(frozen=True)
class Loaded:
    """A data set found on disk: its labels are known, its images not necessarily read yet.

    Attributes
    ----------
    official_order : the order on disk is the published one and stays.
    inputs : files that were read, with the SHA-256 of the bytes that were used.
    listings : folders that pictures are read from, with their `files.listing_of` from before any was read.
    """

    class_names: List[str]
    train: Samples
    test: Samples
    official_order: bool
    version: str
    inputs: Mapping[Path, str] = field(default_factory=dict)
    listings: Mapping[Path, str] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """A registered data set.

    `locate(folder)` finds the files at or below a folder and returns where they lie, or raises `InputError` that
    names what is missing. `load(where)` opens them. `fetch(folder, progress)` downloads them into a folder.
    `no_source` says why naming a source makes no sense, where it makes none; `place` is where the files lie when the
    name itself says it.
    """

    spec: DatasetSpec
    locate: Callable[[Path], Path]
    load: Callable[[Path], Loaded]
    fetch: Optional[Callable[[Path, Progress], None]] = None
    no_source: str = ""
    place: Optional[Path] = None


def table(*datasets: Dataset) -> Dict[str, Dataset]:
    """Data sets by name; two of the same name are a mistake in the program and raise `ValueError`."""
    by_name: Dict[str, Dataset] = {}
    for dataset in datasets:
        if dataset.spec.name in by_name:
            raise ValueError(f"two data sets are named {dataset.spec.name}")
        by_name[dataset.spec.name] = dataset
    return by_name


def look_up(name: str, by_name: Dict[str, Dataset]) -> Dataset:
    """The data set of that name; raises `UsageError` with the nearest names for an unknown one."""
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name.lower(), by_name, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(by_name))}."
    raise UsageError(f"unknown data set {name}: {hint} `snnb datasets` lists them; a folder of yours is folder:DIR.")
