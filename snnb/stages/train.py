"""`train`: the Keras network learns the data set; one that comes trained is only judged."""

import shutil
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional

import numpy as np

from snnb.architectures import checked_settings
from snnb.errors import InputError, UsageError
from snnb.progress import Progress, silent
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.external import file_record
from snnb.rundir.params import ParseParams, TrainParams, typed
from snnb.rundir.records import TrainDetails
from snnb.stages.dataset import dataset_array, prepared_details
from snnb.stages.model import Model, class_count, model_of
from snnb.stages.result import StageResult, merge, recorded_params, result_of
from snnb.training.recipe import Recipe

if TYPE_CHECKING:
    from snnb.training.fit import TrainingResult

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
RENAMED = {"patience": "early_stopping"}


def resolve(run: RunDirectory, given: Mapping[str, Any], say: Callable[[str], None] = lambda _: None) -> TrainParams:
    """Parameters in force: by default those of the model's recipe, whose momentum another optimizer drops."""
    given = typed(TrainParams, given)
    model, record = model_of(run), run.manifest.stages.train
    recorded = recorded_params(record)
    recipe = _recipe(model.recipe, recorded).override(**{n: given.get(RENAMED.get(n, n)) for n in asdict(model.recipe)})
    in_force = {RENAMED.get(name, name): value for name, value in asdict(recipe).items()}
    chosen = checked_settings(given.get("settings", {}), model.settings, own=model.file is not None)
    try:
        kept = checked_settings(recorded.get("settings", {}), model.settings, own=model.file is not None)
    except UsageError as error:
        raise InputError(f"recorded in {run.path / manifest.NAME}: {error}; start a new run directory") from None
    settings = {**model.settings, **kept, **chosen}
    defaults = {"validation_split": 0.1}
    return merge(TrainParams, defaults, record, {**given, **in_force, "settings": settings}, say)


def _recipe(default: Recipe, values: Mapping[str, Any]) -> Recipe:
    return Recipe(**{name: values.get(RENAMED.get(name, name), value) for name, value in asdict(default).items()})


def inputs(run: RunDirectory, params: TrainParams) -> List[str]:
    """The arrays of the data set."""
    return [f"dataset/{name}.npy" for name in ARRAYS]


def run(run: RunDirectory, params: TrainParams, progress: Progress = silent) -> StageResult:
    """Train and write `train/`.

    A training that was interrupted goes on from its last complete epoch: always with `params.resume`, never when that
    is false, and when it is None, if its checkpoint was made with these parameters. The result is the same.
    """
    model, details = model_of(run), prepared_details(run)
    classes = class_count(run.manifest.run, details)
    build = _builder(run, model, params)
    with run.stage("train", params, inputs=inputs(run, params)) as output:
        arrays = {name: dataset_array(run, name) for name in ARRAYS}
        common: Dict[str, Any] = {
            "scale": details.scale,
            "num_classes": classes,
            "target": output.directory,
            "name": run.model,
            "progress": progress,
        }
        if model.file is not None:
            output.external = [file_record(model.file)]
        result = (
            _judge(build, arrays, params, common) if model.trained else _fit(run, model, build, arrays, params, common)
        )
        output.metrics = dict(result.metrics)
        output.warnings += result.warnings
        output.details = TrainDetails(epochs_run=result.epochs_run)
    shutil.rmtree(run.path / ".checkpoint", ignore_errors=True)
    return result_of(run, "train")


def _builder(run: RunDirectory, model: Model, params: TrainParams) -> Callable[..., Any]:
    details = prepared_details(run)
    return partial(
        model.build,
        input_shape=tuple(details.splits["train"].shape[1:]),
        num_classes=class_count(run.manifest.run, details),
        **params.settings,
    )


def refuse_unconvertible(
    run: RunDirectory, params: TrainParams, parsing: ParseParams, *, will_parse: bool, say: Callable[[str], None]
) -> None:
    """Refuse a model that cannot be converted before it is trained.

    Parameters
    ----------
    params, parsing
        Parameters in force of this stage and of `parse`.
    will_parse
        Whether `parse` runs next with these parameters; if not, it is only said that it will need others.

    Raises
    ------
    InputError
        No option of `parse` helps; or with `will_parse`, these do not.
    """
    from snnb.conversion.checks import check_convertible

    model = _builder(run, model_of(run), params)()
    check_convertible(model, max_pool="spiking", rectify_linear=True)
    try:
        check_convertible(model, max_pool=parsing.max_pool, rectify_linear=parsing.rectify_linear)
    except InputError as error:
        if will_parse:
            raise
        say(f"parse will need an option: {error}")


def _judge(
    load: Callable[..., Any], arrays: Mapping[str, np.ndarray], params: TrainParams, common: Mapping[str, Any]
) -> "TrainingResult":
    from snnb.training.evaluate import adopt

    return adopt(load, x_test=arrays["x_test"], y_test=arrays["y_test"], batch_size=params.batch_size, **common)


def _fit(
    run: RunDirectory,
    model: Model,
    build: Callable[..., Any],
    arrays: Mapping[str, np.ndarray],
    params: TrainParams,
    common: Mapping[str, Any],
) -> "TrainingResult":
    from snnb.training.fit import train

    checkpoint = run.path / ".checkpoint"

    def fit(resume: bool) -> "TrainingResult":
        return train(
            build,
            x_train=arrays["x_train"],
            y_train=arrays["y_train"],
            x_test=arrays["x_test"],
            y_test=arrays["y_test"],
            recipe=_recipe(model.recipe, params.model_dump()),
            validation_split=params.validation_split,
            steps_per_epoch=params.steps_per_epoch,
            seed=params.seed,
            checkpoint=checkpoint,
            resume=resume,
            **common,
        )

    resume: Optional[bool] = params.resume
    if resume is not None:
        return fit(resume)
    try:
        return fit(checkpoint.exists())
    except UsageError:
        if not checkpoint.exists():
            raise
        return fit(False)
