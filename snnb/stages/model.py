"""The model of a run: one of this package, or the user's own; and the data set it is trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple

from snnb import datasets
from snnb.architectures import OwnModel, find, is_own, own_model
from snnb.errors import InputError, UsageError
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import RunInfo
from snnb.stages.trust import trust, trusted
from snnb.training.recipe import Recipe

Shape = Tuple[int, int, int]


@dataclass(frozen=True)
class Model:
    """What the stages need to know of a model.

    Attributes
    ----------
    build
        Returns the Keras model; keywords `input_shape`, `num_classes` and those of `settings`.
    recipe, settings
        How it is trained by default, and its own hyper-parameters with their defaults.
    file
        The user's file, None for a model of this package.
    trained
        Whether `build` loads weights, so that there is nothing to train.
    num_classes
        Classes it tells apart where that is fixed beforehand, else None.
    """

    build: Callable[..., Any]
    recipe: Recipe
    settings: Mapping[str, Any]
    file: Optional[Path]
    trained: bool
    num_classes: Optional[int]


def identify_model(model: str, dataset: Optional[str]) -> Tuple[str, str, Optional[str]]:
    """Name, data set and source (of a user's own model, else None) for what was given as --model and --dataset."""
    if not is_own(model):
        spec = find(model).spec
        return spec.name, _named(dataset or spec.dataset), None
    if dataset is None:
        raise UsageError(f"--model {model}: give --dataset NAME too (`snnb datasets` lists them)")
    own = own_model(model)
    if own.function is not None:
        trust(own.path)
    return own.name, _named(dataset), f"{own.path}:{own.function}" if own.function else str(own.path)


def _named(dataset: str) -> str:
    """The data set's name; a folder's with its absolute path, so that the run can be continued from anywhere."""
    return datasets.describe(dataset).name


def model_of(run: RunDirectory) -> Model:
    """The run's model, ready to be built. A user's Python file is run for it."""
    info = run.manifest.run
    if info.model_source is None:
        known = find(info.model)
        return Model(known.build, known.spec.recipe, known.spec.settings, None, False, known.spec.num_classes)
    own = _recorded_own_model(info.model_source)
    return Model(own.build, own.recipe, own.settings, own.path, own.function is None, None)


def _recorded_own_model(source: str) -> OwnModel:
    """Open the file that a manifest names; a Python file, which would run, only if the user has named it before."""
    path, colon, _ = source.rpartition(":")
    if source.endswith((".h5", ".hdf5")) or (colon and trusted(Path(path))):
        return own_model(source)
    raise InputError(
        f"the run names {source} as its model, which would be run as Python; read it, then give --model {source} once"
    )


def input_shape(info: RunInfo, asked: Optional[Shape]) -> Tuple[Shape, str]:
    """Shape that the pictures get, and how they come to it (`fit` of `datasets.prepare`).

    A model of this package says so itself. A user's function that takes `input_shape` gets the pictures as they are, or
    as --shape asks; otherwise they get the shape of the model's input.
    """
    if info.model_source is None:
        spec = find(info.model).spec
        return asked or spec.input_shape, "resize" if asked else spec.fit
    described = datasets.describe(info.dataset)
    own = _recorded_own_model(info.model_source)
    pictures = asked or described.shape
    if pictures is None and own.takes_shape:
        raise UsageError(f"the pictures of {info.dataset} have no size of their own; give --shape, as in 64x64x3")
    shape = own.input_shape(pictures or (1, 1, 1), described.num_classes or 2)
    if asked and asked != shape:
        raise InputError(f"the model takes pictures of {_times(shape)}, not {_times(asked)}: leave out --shape")
    return shape, "resize" if asked else "exact"


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape))


def class_count(info: RunInfo, class_names: Sequence[str]) -> Optional[int]:
    """Number of classes to tell apart; None for a model that reconstructs its input."""
    reconstructs = info.model_source is None and find(info.model).spec.task == "reconstruction"
    return None if reconstructs else len(class_names)
