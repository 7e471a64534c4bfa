"""What a data set is, said without loading anything."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

Shape = Tuple[int, int, int]


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
    """What `prepare` wrote, for the manifest. `splits` has the keys train, test and norm; `inputs` are files read."""

    dataset: str
    title: str
    version: str
    licence: str
    source: str
    scale: float
    class_names: List[str]
    splits: Dict[str, Split]
    inputs: List[Path] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
