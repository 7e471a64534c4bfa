"""ImageNet (ILSVRC 2012): 1,000 classes, a folder a class named by its WordNet id (wnid)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List, Tuple

from snnb.datasets.registry import Dataset, Loaded
from snnb.datasets.spec import DatasetSpec
from snnb.errors import InputError

CLASS_INDEX = "imagenet_class_index.json"

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
    from snnb.datasets.pictures import class_folders, listing_version, samples_by_class

    index = where / CLASS_INDEX
    if index.is_file():
        wnids, names = _read_index(index)
        inputs, warnings = [index], []  # type: List[Path], List[str]
    else:
        wnids = names = class_folders(where / "train")
        inputs, warnings = [], [f"no {CLASS_INDEX}: classes are numbered in the order of their wnids"]
    train, test = samples_by_class(where / "train", wnids), samples_by_class(where / "val", wnids)
    return Loaded(
        names,
        train,
        test,
        official_order=False,
        version=f"{SPEC.version}: {listing_version((train, test))}",
        inputs=inputs,
        warnings=warnings,
    )


def _read_index(path: Path) -> Tuple[List[str], List[str]]:
    """wnids and names in the order of the class ids, from keras' form ``{"0": ["n01440764", "tench"], …}``.

    The names begin with the wnid, because a few words name two classes.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        ordered = [entries[str(number)] for number in range(len(entries))]
        pairs = [(str(wnid), f"{wnid} {word}") for wnid, word in ordered]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f'{path} is no class index of the form {{"0": ["n01440764", "tench"], "1": …}}; put keras\' file there.'
        ) from None
    return [wnid for wnid, _ in pairs], [name for _, name in pairs]


IMAGENET = Dataset(SPEC, locate, load)
