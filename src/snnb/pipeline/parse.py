"""Stage `parse`: parse the trained network with the toolbox or our own parser, verify and normalise it."""

from typing import Dict, Mapping

from pydantic import Field

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.core.errors import InputError
from snnb.core.options import option_name
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.io.files import require_disk
from snnb.pipeline import prepare, train
from snnb.pipeline.stage import (
    Given,
    PlannedRun,
    Stage,
    StageResult,
    params_in_force,
    recorded_details,
    result_of,
    value_in_force,
)
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import Kind, Record

VERIFIED_SAMPLES = 100
# By option: another option without which it has no effect
NEEDED = {
    "calibration_samples": "calibrate",
    "firing": "calibrate",
    "starts": "calibrate",
    "least_squares": "calibrate",
    "threshold_bits": "weight_bits",
    "bias_bits": "weight_bits",
    "scale_per": "weight_bits",
    "rounding": "weight_bits",
    "keep_zeros": "prune",
}


class ParseParams(ConversionSettings):
    """Options of `snnb parse`."""


class ParseDetails(Record):
    """Result of the conversion: scale factors λ by layer, largest difference between parsed and trained network."""

    verified_samples: int
    largest_difference: float
    scale_factors: Dict[str, float]
    negative_shares: Dict[str, float] = Field(default_factory=dict)
    parser: str = "toolbox"


KIND = Kind("parse", "parse", ParseParams, ParseDetails)


def resolve(run: RunDirectory, given: Mapping[str, object], say: Say = say_nothing) -> ParseParams:
    """Return the parameters in force."""
    return params_in_force(run, KIND, given, say)


def is_calibrated(run: RunDirectory, given: Given) -> bool:
    """Whether the network is calibrated, with the given options of all stages."""
    return bool(value_in_force(run, KIND, given, "calibrate"))


def _without_effect(run: RunDirectory, given: Given) -> Mapping[str, str]:
    reasons = {
        name: f"only with {option_name(ParseParams, needed)}"
        for name, needed in NEEDED.items()
        if not value_in_force(run, KIND, given, needed)
    }
    if train.is_quantised(run, given):
        reasons.pop("firing", None)
    if value_in_force(run, KIND, given, "firing") != "free":
        reasons.setdefault("starts", "only with --firing free")
    return reasons


def run(run: RunDirectory, params: ParseParams, progress: Progress = silent) -> StageResult:
    """Convert the trained network and write `parse/`; `resolve` returns `params`."""
    from snnb.conversion.toolbox_config import require_toolbox

    if params.parser == "toolbox":
        require_toolbox("--parser toolbox", "--parser own")
    from snnb.conversion.convert import convert

    progress(0, 1)
    trained = run.path / "train" / f"{run.model}.h5"
    if trained.exists():
        require_disk(run.path, 2 * trained.stat().st_size, "parse")
    read = [f"train/{run.model}.h5", "dataset/x_norm.npz"]
    with run.stage("parse", params, inputs=read) as output:
        x_norm = prepare.normalisation_set(run)
        result = convert(
            trained,
            output.directory,
            name=run.model,
            x_norm=x_norm,
            x_check=x_norm[:VERIFIED_SAMPLES],
            settings=params,
            progress=progress,
            pixel_scale=recorded_details(run, prepare.KIND).scale,
        )
        output.metrics = {"largest_difference": result.largest_difference}
        if result.changed_classes is not None:
            done = [word for word, on in (("pruning", params.prune), ("rounding", params.weight_bits)) if on]
            output.metrics[f"classes_changed_by_{'_and_'.join(done)}"] = result.changed_classes
        output.metrics.update(result.timing)
        output.warnings = list(result.warnings)
        output.details = ParseDetails(
            verified_samples=result.samples_verified,
            largest_difference=result.largest_difference,
            scale_factors=dict(result.scale_factors),
            negative_shares=dict(result.negative_shares),
            parser=result.parser,
        )
    return result_of(run, "parse")


def _check(run: RunDirectory, planned: PlannedRun) -> None:
    """Refuse a network that cannot be converted before it is trained.

    If this stage is not part of the planned run, only a message says that it will need other options.
    """
    params = resolve(run, planned.given.get("parse", {}))
    if planned.next != "train":
        return
    from snnb.conversion.checks import check_convertible
    from snnb.conversion.toolbox_config import require_toolbox
    from snnb.pipeline.model import model_of
    from snnb.training.qcfs import plain

    training = train.resolve(run, planned.given.get("train", {}))
    model = plain(train.builder(run, model_of(run), training)())
    if params.parser == "toolbox":
        require_toolbox("--parser toolbox", "--parser own")
    check_convertible(model, max_pool="spiking", rectify_linear=True, parser=params.parser)
    try:
        check_convertible(model, max_pool=params.max_pool, rectify_linear=params.rectify_linear, parser=params.parser)
    except InputError as error:
        if "parse" in planned.stages:
            raise
        planned.say(f"parse will need an option: {error}")


_TEXT = "Convert and normalise the trained network: parse/."
STAGE = Stage(KIND, _TEXT, resolve, run, needs="train", check=_check, without_effect=_without_effect)
