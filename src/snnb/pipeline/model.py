"""The model of a run: a model of this package or a user's model, and its data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Mapping, Optional, Sequence, Tuple

from snnb import datasets
from snnb.architectures import OwnModel, find, is_own, own_model
from snnb.architectures.registry import Hyperparameter
from snnb.core.errors import InputError, UsageError
from snnb.datasets.catalogue import find_dataset
from snnb.model_files.kinds import READ, is_model_file
from snnb.pipeline.trust import trust, trusted
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import RunInfo
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow import keras

Shape = Tuple[int, int, int]


@dataclass(frozen=True)
class Model:
    """A model as the stages use it.

    Attributes
    ----------
    build : callable
        Returns the Keras model; keywords `input_shape`, `num_classes` and those of `settings`.
    recipe : Recipe
        Default hyper-parameters of the training.
    settings : mapping
        Hyper-parameters of its architecture with their defaults.
    file : Path or None
        The user's file; None for a model of this package.
    trained : bool
        Whether `build` loads weights, so that there is nothing to train.
    num_classes : int or None
        Number of classes, if the model fixes it.
    """

    build: Callable[..., "keras.Model"]
    recipe: Recipe
    settings: Mapping[str, Hyperparameter]
    file: Optional[Path]
    trained: bool
    num_classes: Optional[int]


def identify_model(model: str, dataset: Optional[str]) -> Tuple[str, str, Optional[str]]:
    """Return name, data set and source of a model; the source of a model of this package is None.

    Parameters
    ----------
    model : str
        Value of --model.
    dataset : str or None
        Value of --dataset.

    Raises
    ------
    UsageError
        There is no such model or data set, or a user's model is given without a data set.
    """
    if not is_own(model):
        if "/" in model or Path(model).suffix:  # no name of a model of this package has either
            raise UsageError(f"--model {model} is not a model file; give FILE.py:FUNCTION, or a {', '.join(READ)} file")
        spec = find(model).spec
        return spec.name, _named(dataset or spec.dataset), None
    if dataset is None:
        raise UsageError(f"--model {model}: give --dataset NAME too (`snnb datasets` lists them)")
    own = own_model(model)
    if own.function is not None:
        trust(own.path)
    return own.name, _named(dataset), f"{own.path}:{own.function}" if own.function else str(own.path)


def _named(dataset: str) -> str:
    """Return the name of a data set; that of a folder has its absolute path."""
    return datasets.describe(dataset).name


def model_of(run: RunDirectory) -> Model:
    """Return the model of a run. A user's Python file is executed."""
    info = run.manifest.run
    if info.model_source is None:
        found = find(info.model)
        return Model(found.build, found.spec.recipe, found.spec.settings, None, False, found.spec.num_classes)
    own = _recorded_own_model(info.model_source)
    return Model(own.build, own.recipe, own.settings, own.path, own.function is None, None)


def _recorded_own_model(source: str) -> OwnModel:
    """Open the model file that a manifest names; a Python file must be in the list of trusted files."""
    path, colon, _ = source.rpartition(":")
    if is_model_file(source) or (colon and trusted(Path(path))):
        return own_model(source)
    raise InputError(
        f"the run names {source} as its model, which would be run as Python; read it, then give --model {source} once"
    )


def input_shape(info: RunInfo, given: Optional[Shape]) -> Tuple[Shape, str]:
    """Return the shape of the prepared pictures, and how they are fitted to it (`fit` of `datasets.prepare`).

    A user's function with a parameter `input_shape` takes pictures of any size; other models fix it.

    Parameters
    ----------
    info : RunInfo
    given : tuple of int, optional
        Given shape (height, width, channels).

    Raises
    ------
    UsageError
        A shape is needed and not given.
    InputError
        The model takes another shape.
    """
    if info.model_source is None:
        spec = find(info.model).spec
        return given or spec.input_shape, "resize" if given else spec.fit
    dataset = find_dataset(info.dataset)
    described = dataset.spec
    own = _recorded_own_model(info.model_source)
    pictures = given or described.shape
    if pictures is None and own.takes_shape:
        if dataset.place is not None:
            dataset.locate(dataset.place)  # raises for a folder that does not exist
        raise UsageError(f"the pictures of {info.dataset} have no fixed size; give --shape, as in 64x64x3")
    shape = own.input_shape(pictures or (1, 1, 1), described.num_classes or 2)
    if given and given != shape:
        raise InputError(f"the model takes pictures of {_times(shape)}, not {_times(given)}: leave out --shape")
    return shape, "resize" if given else "exact"


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape))


def class_count(info: RunInfo, class_names: Sequence[str]) -> Optional[int]:
    """Return the number of classes; None for a model that reconstructs its input.

    Parameters
    ----------
    info : RunInfo
    class_names : sequence of str
        Classes of the data set.
    """
    reconstructs = info.model_source is None and find(info.model).spec.task == "reconstruction"
    return None if reconstructs else len(class_names)
