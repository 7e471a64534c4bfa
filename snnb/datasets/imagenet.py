"""ImageNet (ILSVRC 2012): 1,000 classes, a folder a class named by its WordNet id (wnid)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, List, Tuple, Type, TypeVar

from snnb.datasets.registry import Dataset, Loaded
from snnb.datasets.spec import DatasetSpec
from snnb.errors import InputError
from snnb.files import read_regular
from snnb.text import decoded, parse_json

CLASS_INDEX = "imagenet_class_index.json"
LONGEST_INDEX = 1 << 20  # bytes; keras' own has 35 kB
PUT_KERAS = "put keras' file there."
T = TypeVar("T")

SPEC = DatasetSpec(
    name="imagenet",
    title="ImageNet (ILSVRC 2012)",
    shape=(224, 224, 3),
    num_classes=1000,
    class_names=None,
    scale=255.0,
    samples=(1_281_167, 50_000),
    version="ILSVRC 2012",
    licence="ImageNet's terms of access: research and teaching, not commercial",
    source="https://www.image-net.org/ (Russakovsky et al. 2015)",
    layout=f"train/<wnid>/*.JPEG, val/<wnid>/*.JPEG and {CLASS_INDEX}",
    download=False,
    how_to_get="Register at image-net.org, download the training and validation images of ILSVRC 2012 and unpack them "
    "into train/<wnid>/ and val/<wnid>/.",
)


def locate(folder: Path) -> Path:
    """The folder with train/ and val/: `folder`, or where Kaggle's archive has them."""
    for place in (folder, folder / "ILSVRC" / "Data" / "CLS-LOC"):
        missing = [f"{part}/" for part in ("train", "val") if not (place / part).is_dir()]
        if not missing:
            return place
        if len(missing) == 1:
            raise InputError(f"{place} lacks {missing[0]}.")
    raise InputError(f"{folder} lacks train/ and val/.")


def load(where: Path) -> Loaded:
    """List the pictures; the class ids are those of the class index, or else the order of the wnids, as is usual."""
    from snnb.datasets.pictures import class_folders, listing_version, listings, samples_by_class

    index = where / CLASS_INDEX
    inputs: Dict[Path, str] = {}
    warnings: List[str] = []
    if index.exists():
        wnids, names, inputs[index] = _read_index(index)
    else:
        wnids = names = class_folders(where / "train")
        warnings = [f"no {CLASS_INDEX}: classes are numbered in the order of their wnids"]
    train, test = samples_by_class(where / "train", wnids), samples_by_class(where / "val", wnids)
    return Loaded(
        names,
        train,
        test,
        official_order=False,
        version=f"{SPEC.version}: {listing_version((train, test))}",
        inputs=inputs,
        listings=listings(train.folder, test.folder),
        warnings=warnings,
    )


def _read_index(path: Path) -> Tuple[List[str], List[str], str]:
    """wnids and names in the order of the class ids, from keras' form ``{"0": ["n01440764", "tench"], …}``.

    The names begin with the wnid, because a few words name two classes. The third is the SHA-256 of the file.
    """
    content = read_regular(path, LONGEST_INDEX, PUT_KERAS)
    entries = parse_json(decoded(content, str(path), PUT_KERAS), str(path), PUT_KERAS)
    try:
        ordered = [entries[str(number)] for number in range(len(entries))]
        pairs = [
            (_checked(str, wnid), f"{wnid} {_checked(str, word)}")
            for wnid, word in (_checked(list, entry) for entry in ordered)
        ]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f'{path} is no class index of the form {{"0": ["n01440764", "tench"], "1": …}}; {PUT_KERAS}'
        ) from None
    wnids = [wnid for wnid, _ in pairs]
    twice = next((wnid for number, wnid in enumerate(wnids) if wnid in wnids[:number]), None)
    if twice is not None:
        raise InputError(f"{path} has the class {twice} twice; {PUT_KERAS}")
    return wnids, [name for _, name in pairs], hashlib.sha256(content).hexdigest()


def _checked(kind: Type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise TypeError
    return value


IMAGENET = Dataset(SPEC, locate, load)
