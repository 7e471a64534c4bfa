"""`simulate`: the converted network is simulated on the first test samples, and its spikes are counted."""

from contextlib import suppress
from typing import ClassVar, Dict, List, Mapping, Optional

from pydantic import Field, field_validator
from typing_extensions import Annotated

from snnb.core.errors import UsageError
from snnb.core.options import FIGURE_ENDINGS, Figures, Flag
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.io.files import copy_file, require_disk
from snnb.io.text import LONGEST_NAME, is_name
from snnb.pipeline import parse, prepare, train
from snnb.pipeline.differences import differing
from snnb.pipeline.log_file import write_log
from snnb.pipeline.parse import ParseParams
from snnb.pipeline.simulation_files import network_lines, toolbox_batch, toolbox_parameters
from snnb.pipeline.stage import (
    PlannedRun,
    Stage,
    StageResult,
    figure_format,
    params_in_force,
    record_to_repair,
    recorded,
    recorded_details,
    result_of,
)
from snnb.pipeline.train import TrainParams
from snnb.rundir.directory import STAMP, RunDirectory
from snnb.rundir.records import D, FileRecord, Kind, P, Record, StageRecord
from snnb.rundir.staleness import stale_reason
from snnb.simulation.simulation_settings import (
    SimulationSettings,
    refuse_classes,
    refuse_missing_packages,
    refuse_missing_samples,
)

DEFAULT_SAMPLES = 1000


class SimulateParams(SimulationSettings):
    """What is simulated and how, and which simulation is made again."""

    defaults_elsewhere: ClassVar[Mapping[str, str]] = {"samples": f"{DEFAULT_SAMPLES}, or all there are"}

    repair: Annotated[Optional[str], Flag(metavar="STAMP")] = Field(
        default=None,
        exclude=True,
        description="Recompute this simulation with its options.",
    )
    label: Annotated[Optional[str], Flag(metavar="TEXT")] = Field(
        default=None, exclude=True, description="Name shown by `snnb status` and `snnb compare`."
    )
    figures: Figures = None
    spike_code: str = Field(
        default="temporal_mean_rate",
        exclude=True,
        description="Only temporal_mean_rate; the toolbox's other codes are refused.",
    )

    @field_validator("label")
    @classmethod
    def _is_a_name(cls, label: Optional[str]) -> Optional[str]:
        if label is not None and not is_name(label):
            raise ValueError(f"is no line of 1 to {LONGEST_NAME} characters that can be printed")
        return label

    @field_validator("spike_code")
    @classmethod
    def _is_a_rate(cls, spike_code: str) -> str:
        if spike_code != "temporal_mean_rate":
            raise ValueError(
                "only temporal_mean_rate is simulated; in the toolbox's other codes (ttfs, temporal_pattern ...) a "
                "spike stands for a time or a bit, while the graph is made of firing rates"
            )
        return spike_code


class SimulateDetails(Record):
    """The engine, why it was chosen, the mean firing rate of each population in spikes per neuron and step, the label.

    `training` and `conversion` are the parameters that the simulated network was made with, `sources` the files outside
    the run that the training has read, such as the model's: those of `train` and `parse` may be others by now. They are
    None in a record that was written before they were recorded. `swept`: a sweep made it, so its options are not kept.
    """

    engine: str
    engine_reason: str
    mean_rates: Dict[str, float]
    label: Optional[str] = Field(default=None, max_length=LONGEST_NAME)
    training: Optional[TrainParams] = None
    conversion: Optional[ParseParams] = None
    sources: Optional[List[FileRecord]] = None
    swept: bool = False


KIND = Kind("simulate", "simulations", SimulateParams, SimulateDetails, names=STAMP)
SimulationRecord = StageRecord[SimulateParams, SimulateDetails]


def in_force(run: RunDirectory) -> Optional[str]:
    """Return the stamp of the latest simulation that no sweep has made; None without one."""
    return max((s for s, record in run.records_of(KIND.name).items() if not record.details.swept), default=None)


def record_in_force(run: RunDirectory) -> Optional[SimulationRecord]:
    """Return the record of the simulation whose options are kept for the next; None without one."""
    stamp = in_force(run)
    return None if stamp is None else recorded(run, KIND, stamp)


def resolve(run: RunDirectory, given: Mapping[str, object], say: Say = say_nothing) -> SimulateParams:
    """Return the parameters in force: those of `in_force`, or of the repaired simulation, unless others are given.

    Raises
    ------
    UsageError
        Samples are asked for that are not there, classes of a network that has none, or a repair of no simulation.
    """
    from snnb.pipeline.model import class_count

    record = record_in_force(run)
    if given.get("repair") is not None:
        record = _to_repair(run, given, say)
    details = recorded_details(run, prepare.KIND)
    available = details.splits["test"].shape[0]
    first = params_in_force(KIND, {}, record, given).first
    if first >= available and "first" not in given:
        say(f"--first {first} was recorded, but the test set has {available}; 0 is used")
        given, first = {**given, "first": 0}, 0
    defaults = {"samples": max(1, min(DEFAULT_SAMPLES, available - first))}
    params = params_in_force(KIND, defaults, record, given, say)
    if params.samples > available - first and "samples" not in given and first < available:
        there = f"{available - first}" + (f" from --first {first} on" if first else "")
        say(f"--samples {params.samples} was recorded, but the test set has {there}; {defaults['samples']} are used")
        params = params_in_force(KIND, {}, record, {**given, **defaults}, say)
    refuse_missing_samples(params, available)
    refuse_classes(params, class_count(run.manifest.run, details.class_names))
    return params


def _to_repair(run: RunDirectory, given: Mapping[str, object], say: Say) -> SimulationRecord:
    stamp = given["repair"]
    record = record_to_repair(run, KIND, given, "a simulation", ["workers", "scheduler", "label", "figures"])
    if not all(run.hashes.matches(file) for file in record.inputs):
        if all(run.hashes.matches(file) for file in record.outputs):
            raise UsageError(
                f"--repair {stamp}: this simulation is whole, but its network has changed since; leave out --repair "
                "for a new simulation"
            )
        say(f"{stamp} was a simulation of another network; it becomes a simulation of the present one")
    return record


def inputs(run: RunDirectory, params: SimulateParams) -> List[str]:
    """Return the paths of the converted and the trained network with its history, and of the test set."""
    plots = (f"training_plot{ending}" for ending in FIGURE_ENDINGS)
    history = ("training_history.csv", "training_metrics.json", *plots)
    return [
        f"train/{run.model}.h5",
        *(f"train/{name}" for name in history if (run.path / "train" / name).exists()),
        f"parse/{run.model}_parsed.h5",
        "parse/scale_factors.json",
        "dataset/x_test.npy",
        "dataset/y_test.npy",
    ]


def latest_matching(run: RunDirectory, given: Mapping[str, object]) -> Optional[str]:
    """Return the stamp of the latest simulation that is up to date with the given options; None without one.

    One that a sweep has made must have all of the parameters in force.
    """
    records = run.records_of(KIND.name)
    for stamp in sorted(records, key=lambda stamp: (not records[stamp].details.swept, stamp), reverse=True):
        record = records[stamp]
        with suppress(UsageError):  # not valid together with what this one was made with, so another one
            if record.details.swept and record.params.model_dump() != resolve(run, given).model_dump():
                continue
            if stale_reason(run, record, given) is None:
                return stamp
    return None


def _why_run(run: RunDirectory, options: Mapping[str, object]) -> Optional[str]:
    if options.get("repair") is not None:
        return f"repairs {resolve(run, options).repair}"
    if latest_matching(run, options) is not None:
        return None
    return stale_reason(run, record_in_force(run), options)


def _check(run: RunDirectory, planned: PlannedRun) -> None:
    """Check the options before a network is trained or converted: the test set, and what is installed."""
    if planned.next in (train.KIND.name, parse.KIND.name) and KIND.name in planned.stages:
        refuse_missing_packages(resolve(run, planned.given.get(KIND.name, {})))


def run(run: RunDirectory, params: SimulateParams, progress: Progress = silent) -> StageResult:
    """Simulate and write a new directory in `simulations/`, with copies of all that belongs to it."""
    from snnb.conversion.h5 import copy_for_toolbox
    from snnb.conversion.toolbox_config import write_all, write_changes
    from snnb.pipeline.dataset import dataset_array
    from snnb.pipeline.model import class_count
    from snnb.simulation.simulate import simulate

    progress(0, params.samples)
    details = recorded_details(run, prepare.KIND)
    stamp = params.repair or run.new_stamp(KIND.name)
    before = recorded(run, KIND, params.repair) if params.repair is not None else None
    read = inputs(run, params)
    parsed = run.path / "parse" / f"{run.model}_parsed.h5"
    copied = [run.path / path for path in read if not path.startswith("dataset/")]
    require_disk(run.path, 2 * sum(path.stat().st_size for path in copied if path.exists()), "simulate")
    with run.stage("simulate", params, inputs=read, name=stamp) as output:
        for path in copied:
            if path == parsed:
                copy_for_toolbox(path, output.directory / path.name, toolbox_batch(params))
            else:
                copy_file(path, output.directory / path.name)
        result = simulate(
            parsed,
            output.directory,
            name=run.model,
            x=dataset_array(run, "x_test"),
            y=dataset_array(run, "y_test"),
            scale=details.scale,
            class_names=details.class_names,
            num_classes=class_count(run.manifest.run, details.class_names),
            output_scale=_output_scale(run),
            settings=params,
            figures=figure_format(params.figures, recorded(run, KIND, params.repair), "rate_histogram"),
            progress=progress,
        )
        parameters = toolbox_parameters(run, params)
        write_changes(parameters, output.directory / "config")
        write_all(parameters, output.directory / ".config")
        write_log(output.directory / "log.txt", run, params, [*network_lines(output.directory), "", *result.lines])
        output.metrics = dict(result.metrics)
        output.warnings = list(result.warnings)
        output.details = SimulateDetails(
            engine=result.engine,
            engine_reason=result.engine_reason,
            mean_rates=dict(result.mean_rates),
            label=_label(params, before),
            training=_params_of(run, train.KIND),
            conversion=_params_of(run, parse.KIND),
            sources=_sources(run),
            swept=before is not None and before.details.swept,
        )
    return result_of(run, "simulate", stamp)


def _label(params: SimulateParams, before: Optional[SimulationRecord]) -> Optional[str]:
    """Return the label that is given; a simulation that is repaired keeps its own."""
    return before.details.label if params.label is None and before is not None else params.label


def _sources(run: RunDirectory) -> Optional[List[FileRecord]]:
    record = recorded(run, train.KIND)
    return [file for file in record.inputs if file.external] if record is not None else None


def _params_of(run: RunDirectory, kind: Kind[P, D]) -> Optional[P]:
    record = recorded(run, kind)
    return record.params if record is not None else None


def _made_with(run: RunDirectory, record: SimulationRecord) -> Dict[str, Dict[str, object]]:
    """Return by stage the parameters of the simulated network where those of the present network are others."""
    pairs = {
        train.KIND.name: (record.details.training, _params_of(run, train.KIND)),
        parse.KIND.name: (record.details.conversion, _params_of(run, parse.KIND)),
    }
    made: Dict[str, Dict[str, object]] = {}
    for stage, (then, now) in pairs.items():
        if then is not None and now is not None:
            told = differing([{stage: train.shown_params(run, params)} for params in (then, now)])[0]
            made.update({stage: told} if told else {})
    return made


def _output_scale(run: RunDirectory) -> float:
    """Return the scale factor of the last layer: the activation that a firing rate of 1 stands for."""
    return list(recorded_details(run, parse.KIND).scale_factors.values())[-1]


STAGE = Stage(
    KIND,
    "Simulate the converted network and count its spikes: a new directory in simulations/.",
    lambda options: ("parse",),
    resolve,
    run,
    serves=latest_matching,
    why=_why_run,
    again=lambda run, stamp: ("--repair", stamp),
    made_with=_made_with,
    check=_check,
    always_new=True,
)
