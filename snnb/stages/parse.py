"""`parse`: the trained network goes through the toolbox's parser, is verified and normalised."""

from typing import Any, Callable, List, Mapping

from snnb.files import require_disk
from snnb.progress import Progress, silent
from snnb.rundir.directory import RunDirectory
from snnb.rundir.params import ParseParams
from snnb.rundir.records import ParseDetails
from snnb.stages.dataset import normalisation_set
from snnb.stages.result import StageResult, merge, result_of

VERIFIED_SAMPLES = 100


def resolve(run: RunDirectory, given: Mapping[str, Any], say: Callable[[str], None] = lambda _: None) -> ParseParams:
    """Parameters in force."""
    return merge(ParseParams, {}, run.manifest.stages.parse, given, say)


def inputs(run: RunDirectory, params: ParseParams) -> List[str]:
    """The trained network, and the pictures to normalise and to verify with."""
    return [f"train/{run.model}.h5", "dataset/x_norm.npz"]


def run(run: RunDirectory, params: ParseParams, progress: Progress = silent) -> StageResult:
    """Convert and write `parse/`."""
    from snnb.conversion.parse import parse

    progress(0, 1)
    trained = run.path / "train" / f"{run.model}.h5"
    if trained.exists():
        require_disk(run.path, 2 * trained.stat().st_size, "parse")
    with run.stage("parse", params, inputs=inputs(run, params)) as output:
        x_norm = normalisation_set(run)
        result = parse(
            trained,
            output.directory,
            name=run.model,
            x_norm=x_norm,
            x_check=x_norm[:VERIFIED_SAMPLES],
            percentile=params.percentile,
            schedule=params.normalization_schedule,
            batch_size=params.batch_size,
            max_pool=params.max_pool,
            rectify_linear=params.rectify_linear,
            progress=progress,
        )
        output.metrics = {"largest_difference": result.largest_difference}
        output.warnings = list(result.warnings)
        output.details = ParseDetails(
            verified_samples=result.samples_verified,
            largest_difference=result.largest_difference,
            scale_factors=dict(result.scale_factors),
            negative_shares=dict(result.negative_shares),
        )
    return result_of(run, "parse")
