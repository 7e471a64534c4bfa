"""`train`: the Keras network learns the data set; a model that is already trained is only evaluated."""

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Callable, ClassVar, Dict, List, Mapping, Optional, Tuple, Union, cast

from pydantic import Field, field_validator
from typing_extensions import Annotated

from snnb.core.errors import InputError, UsageError
from snnb.core.options import Count, FigureFormat, Figures, Flag, Options, Seed, drop_invalid, from_pairs, typed
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.io.text import JsonValue
from snnb.model_files.expected_pixels import AS_THEY_ARE, parse_pixels
from snnb.model_files.kinds import is_model_file
from snnb.pipeline import prepare
from snnb.pipeline.stage import (
    PlannedRun,
    Stage,
    StageResult,
    figure_format,
    params_in_force,
    recorded,
    recorded_details,
    recorded_params,
    result_of,
)
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.external import file_record
from snnb.rundir.records import Kind, Record
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from tensorflow import keras

    from snnb.pipeline.model import Model
    from snnb.training.batches import LabelledPictures
    from snnb.training.fit import TrainingResult

DATASET_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
ELSEWHERE = {"pixels"}  # the parameters that change a network which was trained elsewhere
Setting = Union[bool, int, float, str, Tuple[Union[int, float], ...]]


class TrainParams(Recipe):
    """Options of `snnb train`: the recipe, and what else decides the result of a training."""

    defaults_elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(Recipe.model_fields, "the model's")

    settings: Annotated[
        Dict[str, Setting], Flag(name="--set", metavar="KEY=VALUE", parse=from_pairs, repeated=True)
    ] = Field(default_factory=dict, description="A hyper-parameter of the model; can be given several times.")
    validation_split: float = Field(
        default=0.1, gt=0, lt=1, description="Fraction of the training set used for validation instead of training."
    )
    steps_per_epoch: Optional[Count] = Field(default=None, description="Batches per epoch; by default all.")
    resume: Optional[bool] = Field(
        default=None,
        exclude=True,
        description="Continue an interrupted training after its last complete epoch; "
        "by default, if that training had the same options.",
    )
    pixels: Annotated[Optional[str], Flag(metavar="PIXELS")] = Field(
        default=None,
        description="Pixels that the model in a file expects: caffe, torch, tf, 0-1, 0-255 or mean=0.5,std=0.25; "
        "by default 0-1, or what its Rescaling layer takes.",
    )
    figures: Figures = None
    seed: Seed = Field(default=0, description="Seed of all random numbers.")

    @field_validator("pixels")
    @classmethod
    def _can_be_read(cls, pixels: Optional[str]) -> Optional[str]:
        if pixels is not None:
            parse_pixels(pixels)
        return pixels


class TrainDetails(Record):
    """What was trained."""

    epochs_run: int


KIND = Kind("train", "train", TrainParams, TrainDetails)


def resolve(run: RunDirectory, given: Mapping[str, object], say: Say = say_nothing) -> TrainParams:
    """Return the parameters in force; the defaults are those of the model's recipe, as far as they fit together."""
    from snnb.architectures import checked_hyperparameters
    from snnb.pipeline.model import model_of

    given = typed(TrainParams, given)
    model, record = model_of(run), recorded(run, KIND)
    chosen = checked_hyperparameters(_settings(given), model.settings, own=model.file is not None)
    try:
        before = _settings(recorded_params(record))
        recorded_settings = checked_hyperparameters(before, model.settings, own=model.file is not None)
    except UsageError as error:
        raise InputError(f"recorded in {run.path / manifest.NAME}: {error}; start a new run directory") from None
    given = {**given, "settings": {**model.settings, **recorded_settings, **chosen}}
    if model.file is None and given.get("pixels") not in (None, AS_THEY_ARE):
        raise UsageError("--pixels is for a model in a file; the built-in models take pixels in [0, 1]")
    defaults, _ = drop_invalid(TrainParams, model.recipe.model_dump(), given)
    return params_in_force(KIND, defaults, record, given, say)


def is_trained_elsewhere(run: RunDirectory) -> bool:
    """Return whether the model is from a file that holds its weights, so that `train` only evaluates it."""
    source = run.manifest.run.model_source
    return source is not None and is_model_file(source)


def shown_params(run: RunDirectory, params: Options) -> Dict[str, JsonValue]:
    """Return the parameters of a stage to show; of a model trained elsewhere, `train` has only those in `ELSEWHERE`."""
    only = ELSEWHERE if isinstance(params, TrainParams) and is_trained_elsewhere(run) else None
    return params.model_dump(mode="json", include=only)


def _settings(options: Mapping[str, object]) -> Mapping[str, object]:
    return cast("Mapping[str, object]", options.get("settings", {}))


def inputs(run: RunDirectory, params: TrainParams) -> List[str]:
    """Return the paths of the data set's arrays."""
    return [f"dataset/{name}.npy" for name in DATASET_ARRAYS]


def run(run: RunDirectory, params: TrainParams, progress: Progress = silent) -> StageResult:
    """Train and write `train/`.

    An interrupted training is continued from its last complete epoch: always if `params.resume` is true, never if it is
    false, and if it is None, only when the checkpoint was made with these parameters.
    """
    from snnb.model_files.read_model import files_of
    from snnb.pipeline.model import model_of

    model = model_of(run)
    told: Dict[str, None] = {}  # in order; a model may be built more than once
    build = builder(run, model, params, tell=told.setdefault)
    with run.stage("train", params, inputs=inputs(run, params)) as output:
        training_set, test_set = (_labelled_pictures(run, part) for part in ("train", "test"))
        model_file = output.directory / f"{run.model}.h5"
        if model.file is not None:
            output.external = [file_record(file) for file in files_of(model.file)]
        if model.trained:
            result = _evaluate(build, test_set, params, model_file, progress)
        else:
            figures = figure_format(params.figures, recorded(run, KIND), "training_plot")
            checkpoint = run.path / ".checkpoint"
            result = _fit(build, training_set, test_set, params, model_file, checkpoint, figures, progress)
        output.metrics = dict(result.metrics)
        output.warnings += [*told, *result.warnings]
        output.details = TrainDetails(epochs_run=result.epochs_run)
    shutil.rmtree(run.path / ".checkpoint", ignore_errors=True)
    return result_of(run, "train")


def builder(
    run: RunDirectory, model: "Model", params: TrainParams, tell: Say = say_nothing
) -> Callable[[], "keras.Model"]:
    """Return a function without arguments that builds the run's model for its data set.

    `tell` is called with what a trained model has here that it has not in its file.
    """
    from snnb.pipeline.model import class_count

    details = recorded_details(run, prepare.KIND)
    own = partial(
        model.build,
        input_shape=tuple(details.splits["train"].shape[1:]),
        num_classes=class_count(run.manifest.run, details.class_names),
        **params.settings,
        **({"tell": tell, "pixels": params.pixels} if model.trained else {}),
    )
    if model.trained:
        return own

    def build() -> "keras.Model":
        from snnb.model_files.pixels import fold_pixels

        return fold_pixels(own(), params.pixels, tell)

    return build


def _labelled_pictures(run: RunDirectory, part: str) -> "LabelledPictures":
    """Return the prepared pictures of "train" or "test", mapped into memory."""
    from snnb.pipeline.dataset import dataset_array
    from snnb.pipeline.model import class_count
    from snnb.training.batches import LabelledPictures

    details = recorded_details(run, prepare.KIND)
    classes = class_count(run.manifest.run, details.class_names)
    return LabelledPictures(dataset_array(run, f"x_{part}"), dataset_array(run, f"y_{part}"), details.scale, classes)


def _evaluate(
    load: Callable[[], "Model"], test_set: "LabelledPictures", params: TrainParams, model_file: Path, progress: Progress
) -> "TrainingResult":
    from snnb.training.pretrained import evaluate_pretrained

    return evaluate_pretrained(load, test_set, batch_size=params.batch_size, model_file=model_file, progress=progress)


def _fit(
    build: Callable[[], "Model"],
    training_set: "LabelledPictures",
    test_set: "LabelledPictures",
    params: TrainParams,
    model_file: Path,
    checkpoint: Path,
    figures: FigureFormat,
    progress: Progress,
) -> "TrainingResult":
    """Train, from the checkpoint if `params.resume` allows it."""
    from snnb.training.fit import train
    from snnb.training.training_setup import TrainingSetup

    setup = TrainingSetup(params, params.validation_split, params.seed, params.steps_per_epoch)
    return train(
        build,
        training_set,
        test_set,
        setup,
        model_file=model_file,
        checkpoint=checkpoint,
        resume=params.resume,
        figures=figures,
        progress=progress,
    )


def _check(run: RunDirectory, planned: PlannedRun) -> None:
    """Check the options together with the model's recipe before anything runs.

    That opens a user's own model, so it is not done when the training is up to date.
    """
    asked = planned.given.get("train")
    if planned.next is None and "train" in planned.stages and asked and STAGE.why_run(run, asked) is not None:
        resolve(run, asked)


STAGE = Stage(
    KIND,
    "Train the Keras network: train/.",
    lambda options: ("prepare",),
    resolve,
    run,
    check=_check,
)
