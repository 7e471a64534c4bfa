"""ImageNet (ILSVRC 2012): 1,000 classes, each in a folder that is named by its WordNet id (wnid)."""

from pathlib import Path
from typing import Dict, List, Tuple

from pydantic import TypeAdapter, ValidationError

from snnb.core.errors import InputError
from snnb.datasets.definition import Dataset, DatasetSpec, LoadedDataset
from snnb.datasets.pictures import class_folders, listing_version, samples_by_class
from snnb.io.files import read_bytes

CLASS_INDEX = "imagenet_class_index.json"
ADVICE = "put the file of Keras there."

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
    how_to_get=(
        "Register at image-net.org, download the training and validation images of "
        "ILSVRC 2012 and unpack them into train/<wnid>/ and val/<wnid>/."
    ),
)


def locate(folder: Path) -> Path:
    """Return the folder with train/ and val/.

    `folder`, or the one that Kaggle's archive makes in it.
    """
    for place in (folder, folder / "ILSVRC" / "Data" / "CLS-LOC"):
        missing_folders = [
            f"{part}/" for part in ("train", "val") if not (place / part).is_dir()
        ]
        if not missing_folders:
            return place
        if len(missing_folders) == 1:
            raise InputError(f"{place} lacks {missing_folders[0]}.")
    raise InputError(f"{folder} lacks train/ and val/.")


def load(where: Path) -> LoadedDataset:
    """List the pictures.

    The class index gives the numbers of the classes, or without it the order of the
    wnids.
    """
    index = where / CLASS_INDEX
    sources = [where / "train", where / "val"]
    warnings: List[str] = []
    if index.exists():
        wnids, names = _read_index(index)
        sources.append(index)
    else:
        wnids = names = class_folders(where / "train")
        warnings = [
            f"no {CLASS_INDEX}: classes are numbered in the order of their wnids",
        ]
    train, test = (
        samples_by_class(where / "train", wnids),
        samples_by_class(where / "val", wnids),
    )
    return LoadedDataset(
        names,
        train,
        test,
        f"{SPEC.version}: {listing_version((train, test))}",
        sources,
        warnings,
    )


def _read_index(path: Path) -> Tuple[List[str], List[str]]:
    """Read the class index of Keras, `{"0": ["n01440764", "tench"], …}`.

    Returns the wnids and the names in the order of the class numbers. A name begins
    with the wnid, since a few words name two classes.
    """
    try:
        entries = TypeAdapter(Dict[str, Tuple[str, str]]).validate_json(
            read_bytes(path),
        )
        pairs = [entries[str(number)] for number in range(len(entries))]
    except (ValidationError, KeyError):
        raise InputError(
            f'{path} is not a class index of the form {{"0": ["n01440764", "tench"], "1": …}}; {ADVICE}',
        ) from None
    names = {wnid: f"{wnid} {word}" for wnid, word in pairs}
    if len(names) < len(pairs):
        raise InputError(f"{path} has a class twice; {ADVICE}")
    return list(names), list(names.values())


DATASET = Dataset(SPEC, locate, load)
