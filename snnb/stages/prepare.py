"""`prepare`: a data set becomes memory-mapped arrays and the toolbox's three npz files."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping

import platformdirs

from snnb import datasets
from snnb.progress import Progress, silent
from snnb.rundir.directory import RunDirectory
from snnb.rundir.external import external_records
from snnb.rundir.params import PrepareParams, typed
from snnb.rundir.records import PrepareDetails, Split
from snnb.stages.model import input_shape, model_of
from snnb.stages.result import StageResult, merge, result_of

NORM_SAMPLES = 1000


def data_directory() -> Path:
    """Where data sets are kept: $SNNB_DATA, else the user's cache directory."""
    return Path(os.environ.get("SNNB_DATA") or platformdirs.user_cache_dir("snnb"))


def resolve(run: RunDirectory, given: Mapping[str, Any], say: Callable[[str], None] = lambda _: None) -> PrepareParams:
    """Parameters in force: the shape is the model's unless asked for."""
    given = typed(PrepareParams, given)
    info, record = run.manifest.run, run.manifest.stages.prepare
    defaults: Dict[str, Any] = {"dataset": info.dataset, "norm_samples": NORM_SAMPLES}
    if record is None or "shape" in given:
        shape, fit = input_shape(info, given.get("shape"))
        given = {**given, "shape": shape, "fit": fit}
    return merge(PrepareParams, defaults, record, given, say)


def inputs(run: RunDirectory, params: PrepareParams) -> List[str]:
    """Nothing of the run: the data come from outside."""
    return []


def run(run: RunDirectory, params: PrepareParams, progress: Progress = silent) -> StageResult:
    """Read the data set and write `dataset/`."""
    with run.stage("prepare", params, inputs=[]) as output:
        prepared = datasets.prepare(
            params.dataset,
            output.directory,
            data_dir=params.data_dir or data_directory(),
            source=params.source,
            shape=params.shape,
            fit=params.fit,
            seed=params.seed,
            norm_samples=params.norm_samples,
            limit=params.limit,
            num_classes=model_of(run).num_classes if datasets.describe(params.dataset).num_classes else None,
            progress=progress,
        )
        output.external = external_records(prepared.inputs, prepared.folders, prepared.listings, progress)
        output.warnings = prepared.warnings
        output.details = PrepareDetails(
            dataset=prepared.dataset,
            version=prepared.version,
            licence=prepared.licence,
            source=prepared.source,
            scale=prepared.scale,
            class_names=prepared.class_names,
            splits={name: Split(**asdict(split)) for name, split in prepared.splits.items()},
        )
        output.metrics = {f"{name}_samples": split.shape[0] for name, split in prepared.splits.items()}
    return result_of(run, "prepare")
