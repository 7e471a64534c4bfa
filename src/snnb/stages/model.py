"""The model of a run: a model of this package or a user's model, and its data set.

A run directory may come from somebody else, and its manifest may name any Python file
as the model. Such a file runs only if this user has given it, with its present content,
with --model before: the list of these files and the hashes of their content is in the
user's cache directory, like direnv's list of the settings that it may load.
"""

import fcntl
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Mapping, Optional, Set, Tuple

import platformdirs

from snnb.architectures import ModelSpec, OwnModel, find, is_own, own_model
from snnb.architectures.registry import Hyperparameter
from snnb.core.errors import InputError, UsageError
from snnb.core.formatting import format_shape
from snnb.datasets.catalogue import find_dataset
from snnb.io.files import sha256_of
from snnb.model_files.kinds import READ, is_model_file, is_spiking_file
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import RunInfo
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from snnb.model_files.keras import keras

Shape = Tuple[int, int, int]
_this_process: Set[str] = set()  # lines that this process has added to the list


@dataclass(frozen=True)
class Model:
    """The model of a run."""

    # Keywords: `input_shape`, `num_classes` and the keys of `settings`. None for a
    # trained model
    build: Optional[Callable[..., "keras.Model"]]
    recipe: Recipe  # default hyper-parameters of the training
    # hyper-parameters of its architecture with their defaults
    settings: Mapping[str, Hyperparameter]
    # The user's file, or a trained network of this package; None for its other models
    file: Optional[Path]
    trained: bool  # whether the file has weights, so that there is nothing to train
    num_classes: Optional[int]  # None if the model does not fix it


def identify_model(
    model: str,
    dataset: Optional[str],
) -> Tuple[str, str, Optional[str]]:
    """Return name, data set and source of the model that --model and --dataset name; None as source of a built-in."""
    if not is_own(model):
        # No name of a model of this package has either
        if "/" in model or Path(model).suffix:
            raise UsageError(
                f"--model {model} is not a model file; give FILE.py:FUNCTION, or a "
                f"{', '.join(READ)} file",
            )
        spec = find(model)
        return spec.name, _dataset_for(model, dataset or spec.dataset), None
    if dataset is None:
        raise UsageError(
            f"--model {model}: give --dataset NAME too (`snnb datasets` lists them)",
        )
    # The name of a folder's data set has the absolute path
    on = _dataset_for(model, dataset)
    own_file = own_model(model)
    if own_file.function is not None:
        trust(own_file.path)
    return (
        own_file.name,
        on,
        f"{own_file.path}:{own_file.function}"
        if own_file.function
        else str(own_file.path),
    )


def _dataset_for(model: str, dataset: str) -> str:
    """Return the name of a data set; raise `UsageError` for events if the model is not a spiking network."""
    dataset_spec = find_dataset(dataset).spec
    file = model if is_own(model) else str(find(model).file or "")
    if dataset_spec.content != "pictures" and not is_spiking_file(file):
        raise UsageError(
            f"--dataset {dataset}: {model} takes images and not "
            f"{dataset_spec.content}; give a spiking network with --model FILE.nir or "
            "FILE.net, "
            "or a data set of images",
        )
    return dataset_spec.name


def model_of(run: RunDirectory) -> Model:
    """Return the model of a run. A user's Python file is executed."""
    info = run.manifest.run
    if info.model_source is None:
        spec = find(info.model)
        return Model(
            spec.build,
            spec.recipe,
            spec.settings,
            spec.file,
            spec.file is not None,
            spec.num_classes,
        )
    model = _recorded_own_model(info.model_source)
    return Model(
        model.build,
        Recipe(),
        model.settings,
        model.path,
        model.function is None,
        None,
    )


def packaged(info: RunInfo) -> Optional[ModelSpec]:
    """Return the specification of the run's model if the package contains it."""
    return None if info.imported or info.model_source is not None else find(info.model)


def model_file(info: RunInfo) -> Optional[Path]:
    """Return the file of a model that is trained already; None for a model that `train` trains."""
    if info.model_source is not None:
        return Path(info.model_source) if is_model_file(info.model_source) else None
    spec = packaged(info)
    return None if spec is None else spec.file


def _recorded_own_model(source: str) -> OwnModel:
    """Open the model file that a manifest names; a Python file must be in the list of trusted files."""
    if is_model_file(source):
        return own_model(source)
    file = Path(source.rpartition(":")[0])
    known_contents = _known_contents(file)
    option = f"--model {shlex.quote(source)}"
    if not known_contents:
        raise InputError(
            f"the run names {source} as its model, which would be executed as Python; "
            f"review it, then give {option} once",
        )
    if file.exists() and sha256_of(file) not in known_contents:
        raise InputError(
            f"{file}, the model of the run, has changed since it was given with "
            f"--model, and would be executed as Python; review it, then give {option} "
            "again",
        )
    return own_model(source)


def input_shape(info: RunInfo, given_shape: Optional[Shape]) -> Tuple[Shape, str]:
    """Return the shape of the prepared pictures, and how they are fitted to it (`fit` of `prepare`).

    A user's function with a parameter `input_shape` takes pictures of any size; other
    models fix it. Shapes are (height, width, channels).
    """
    if info.model_source is None:
        spec = find(info.model)
        if given_shape is None or (
            given_shape == spec.input_shape and spec.fit != "exact"
        ):
            return spec.input_shape, spec.fit
        if spec.file is not None and given_shape != spec.input_shape:
            raise _other_shape(spec.input_shape, given_shape)
        return given_shape, "resize"
    dataset = find_dataset(info.dataset)
    dataset_spec = dataset.spec
    model = _recorded_own_model(info.model_source)
    pictures = given_shape or dataset_spec.shape
    if pictures is None and model.takes_shape:
        if dataset.place is not None:
            dataset.locate(dataset.place)  # raises for a folder that does not exist
        raise UsageError(
            f"the images of {info.dataset} have no fixed size; prepare them with "
            "--shape, as in 64x64x3",
        )
    shape = model.input_shape(pictures or (1, 1, 1), dataset_spec.num_classes or 2)
    if given_shape and given_shape != shape:
        raise _other_shape(shape, given_shape)
    return shape, "resize" if given_shape else "exact"


def _other_shape(shape: Shape, given_shape: Shape) -> InputError:
    return InputError(
        f"the model takes images of {format_shape(shape)}, "
        f"not {format_shape(given_shape)}: omit --shape",
    )


def _list_file() -> Path:
    return Path(platformdirs.user_cache_dir("snnb")) / "models-of-ones-own"


def trust(file: Path) -> None:
    """Add a file that the user gave with --model; only for this process if the list cannot be written."""
    line = f"{sha256_of(file)}  {file.absolute()}"
    _this_process.add(line)
    if len(line.splitlines()) > 1:
        return
    with suppress(OSError):
        _list_file().parent.mkdir(parents=True, exist_ok=True)
        with _list_file().open(
            "a+",
            encoding="utf-8",
            errors="surrogateescape",
        ) as trusted_file:
            fcntl.flock(trusted_file, fcntl.LOCK_EX)  # jobs of an array start at once
            trusted_file.seek(0)
            if line not in trusted_file.read().splitlines():
                trusted_file.write(line + "\n")


def _known_contents(file: Path) -> Set[str]:
    """Return the hashes of the contents with which the user has given exactly this path with --model."""
    contents: Set[str] = set()
    with suppress(OSError):
        contents = set(
            _list_file()
            .read_text(encoding="utf-8", errors="surrogateescape")
            .splitlines(),
        )
    entries = [line.partition("  ") for line in _this_process | contents]
    return {sha256 for sha256, _, name in entries if name == str(file.absolute())}
