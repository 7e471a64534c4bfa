"""What a data set is, said without loading anything."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from snnb.errors import InputError
from snnb.text import printable

Shape = Tuple[int, int, int]


def refuse_no_text(name: str, what: str) -> None:
    """Raise `InputError` for a name, said to be `what`, that the run's manifest, which is UTF-8, cannot hold."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{printable(what)}: the name is no UTF-8; rename it.") from None


@dataclass(frozen=True)
class DatasetSpec:
    """A data set as it is described before any file is opened.

    Attributes
    ----------
    shape : (height, width, channels) that it is prepared to unless asked otherwise; None where only the model knows.
    num_classes, class_names : None where the files on disk decide.
    scale : the stored value that means 1.0, so that ``pixel = value / scale``.
    samples : (training, test) samples of the official release; None where there is no such number.
    layout : what the loader looks for below a folder; empty where nothing lies on disk.
    download : whether it is fetched when it is not on this machine.
    how_to_get : one sentence for a person who does not have it.
    """

    name: str
    title: str
    shape: Optional[Shape]
    num_classes: Optional[int]
    class_names: Optional[Tuple[str, ...]]
    scale: float
    samples: Optional[Tuple[int, int]]
    version: str
    licence: str
    source: str
    layout: str
    download: bool
    how_to_get: str


@dataclass(frozen=True)
class Split:
    """A prepared array of images: (n, height, width, channels), its dtype by name, the samples of each class."""

    shape: Tuple[int, int, int, int]
    dtype: str
    class_counts: Dict[str, int]


@dataclass(frozen=True)
class Prepared:
    """What `prepare` wrote and read, for the manifest.

    Attributes
    ----------
    splits : by train, test and norm.
    inputs : files that were read, with the SHA-256 of the bytes that were used.
    folders : folders whose pictures were read, with those by relative path and the SHA-256 of the bytes decoded.
    listings : the same folders with their `files.listing_of` from before any picture was read.
    """

    dataset: str
    title: str
    version: str
    licence: str
    source: str
    scale: float
    class_names: List[str]
    splits: Dict[str, Split]
    inputs: Mapping[Path, str] = field(default_factory=dict)
    folders: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)
    listings: Mapping[Path, str] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)
