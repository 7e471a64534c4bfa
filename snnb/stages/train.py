"""`train`: the Keras network learns the data set."""

import shutil
from functools import partial
from typing import Any, List, Mapping

import numpy as np

from snnb.architectures import find
from snnb.errors import UsageError
from snnb.progress import Progress, silent
from snnb.rundir.directory import RunDirectory
from snnb.rundir.params import TrainParams
from snnb.rundir.records import TrainDetails
from snnb.stages.dataset import class_count, prepared_details
from snnb.stages.result import StageResult, merge, result_of

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def resolve(run: RunDirectory, given: Mapping[str, Any]) -> TrainParams:
    """Parameters in force: by default those of the model's recipe."""
    spec = find(run.model).spec
    defaults = {
        "settings": dict(spec.settings),
        "epochs": spec.recipe.epochs,
        "batch_size": spec.recipe.batch_size,
        "optimizer": spec.recipe.optimizer,
        "learning_rate": spec.recipe.learning_rate,
        "validation_split": 0.1,
        "early_stopping": spec.recipe.patience,
    }
    return merge(TrainParams, defaults, run.manifest.stages.train, given)


def inputs(run: RunDirectory, params: TrainParams) -> List[str]:
    """The arrays of the data set."""
    return [f"dataset/{name}.npy" for name in ARRAYS]


def run(run: RunDirectory, params: TrainParams, progress: Progress = silent) -> StageResult:
    """Train and write `train/`.

    A training that was interrupted goes on from its last complete epoch: always with `params.resume`, never when that
    is false, and when it is None, if its checkpoint was made with these parameters. The result is the same.
    """
    from snnb.training.fit import train

    architecture = find(run.model)
    details = prepared_details(run)
    checkpoint = run.path / ".checkpoint"
    with run.stage("train", params, inputs=inputs(run, params)) as output:
        classes = class_count(architecture.spec, details)
        shape = tuple(details.splits["train"].shape[1:])
        fit = partial(
            train,
            partial(architecture.build, input_shape=shape, num_classes=classes, **params.settings),
            **{name: np.load(run.path / "dataset" / f"{name}.npy", mmap_mode="r") for name in ARRAYS},
            scale=details.scale,
            num_classes=classes,
            recipe=architecture.spec.recipe.override(
                epochs=params.epochs,
                batch_size=params.batch_size,
                optimizer=params.optimizer,
                learning_rate=params.learning_rate,
                patience=params.early_stopping,
            ),
            validation_split=params.validation_split,
            steps_per_epoch=params.steps_per_epoch,
            seed=params.seed,
            target=output.directory,
            name=run.model,
            checkpoint=checkpoint,
            progress=progress,
        )
        try:
            result = fit(resume=checkpoint.exists() if params.resume is None else params.resume)
        except UsageError:
            if params.resume is not None or not checkpoint.exists():
                raise
            result = fit(resume=False)
        output.metrics = dict(result.metrics)
        output.warnings = list(result.warnings)
        output.details = TrainDetails(epochs_run=result.epochs_run)
    shutil.rmtree(checkpoint)
    return result_of(run, "train")
