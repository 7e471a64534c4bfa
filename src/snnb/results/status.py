"""`status`: the stages of a run, up to date or stale and why, its simulations, sweep, mappings and stale exports."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

from pydantic import Field

from snnb.io.text import Document, JsonValue
from snnb.results.compare import MappingSummary, Simulation, mappings_of
from snnb.results.export import stale_exports
from snnb.results.sweep import points_of_sweep
from snnb.results.sweep_table import SweepPoint
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord
from snnb.stages.all import STAGES
from snnb.stages.states import state_of_stages

Details: Any = Union[tuple(stage.details for stage in STAGES.values())]


class StageStatus(Document):
    """State of a stage, or of one of its results; a value that the stage does not have is None."""

    stage: str  # name; for one of several results, its directory
    up_to_date: bool
    reason: Optional[str]  # why it is stale
    started_utc: Optional[str]
    wall_s: Optional[float]
    options: Dict[str, JsonValue]  # given for this result
    differs: Dict[
        str, JsonValue
    ]  # parameters of a simulation that are not equal in all simulations
    details: Optional[Details]  # as the manifest has them
    in_words: str = Field(exclude=True)  # the state as text


class Status(Document):
    """Output of `snnb status --json`."""

    run_dir: Path
    model: str
    dataset: str
    stale_exports: List[str]
    stages: List[StageStatus]
    mappings: List[MappingSummary]
    sweep: List[SweepPoint]  # points of the last sweep, from its table


def options_of(record: AnyRecord) -> Dict[str, JsonValue]:
    """Return the options that were given for a result, as JSON values."""
    options: Dict[str, JsonValue] = record.model_dump(mode="json")["options"] or {}
    return options


def status_of(run: RunDirectory, simulations: Sequence[Simulation]) -> Status:
    """Return the state of every result of a run; `simulations` are those of the run."""
    simulation_by_directory = {
        run.directory_of("simulate", item.stamp): item for item in simulations
    }
    stages = []
    for state in state_of_stages(run):
        record = state.record
        simulation = simulation_by_directory.get(state.name)
        stages.append(
            StageStatus(
                stage=state.name,
                up_to_date=state.reason is None,
                reason=state.reason,
                started_utc=None if record is None else record.timing.started_utc,
                wall_s=None if record is None else record.timing.wall_s,
                options={} if record is None else options_of(record),
                differs={} if simulation is None else simulation.differs,
                details=None if record is None else record.details,
                in_words=state.in_words,
            )
        )
    return Status(
        run_dir=run.path,
        model=run.model,
        dataset=run.manifest.run.dataset,
        stale_exports=stale_exports(run),
        stages=stages,
        mappings=mappings_of(run),
        sweep=points_of_sweep(run),
    )
