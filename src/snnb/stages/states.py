"""The state of each stage of a run: up to date, or stale and why."""

from dataclasses import dataclass
from typing import Collection, Dict, List, Mapping, Optional

from snnb.core.errors import SnnbError
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord
from snnb.stages.all import OF_GRAPH, STAGES
from snnb.stages.missing_packages import extra_named
from snnb.stages.stage import NOT_RUN, AnyStage, recorded_options, stale_reason

UP_TO_DATE = "up to date"


@dataclass(frozen=True)
class StageState:
    """State of a stage, or of one of its results."""

    name: str  # the stage, or for one of many results its directory
    record: Optional[AnyRecord]  # None if the stage is not complete
    reason: Optional[str]  # why it is stale; None if it is up to date

    @property
    def in_words(self) -> str:
        """The state as text."""
        if self.record is None:
            return self.reason or ""
        if self.reason is not None:
            return f"stale: {self.reason}"
        return UP_TO_DATE


def state_of_stages(
    run: RunDirectory,
    only: Optional[Collection[str]] = None,
) -> List[StageState]:
    """Return the state of all results, and of stages of `snnb run` that have not run.

    `only` selects results of stages with many by their stamps; by default all.
    """
    states: List[StageState] = []
    # By directory of a stale result: why a result that was made of it is stale
    causes: Dict[str, str] = {}
    records = run.records()
    for name, stage in STAGES.items():
        if run.manifest.run.imported and name not in OF_GRAPH:
            continue
        kind = stage
        has_to_run = f"{name} has to run first"
        has_several_results = kind.names is not None
        paths = [path for path in records if path.split("/")[0] == kind.directory]
        for path in paths:
            is_selected = only is None or path.rpartition("/")[2] in only
            if has_several_results and not is_selected:
                continue
            record = records[path]
            own_reason = _reason_to_run_again(run, stage, record)
            inherited_reason = None
            if own_reason is None:
                inherited_reason = _inherited_reason(record, causes)
            reason = own_reason or inherited_reason
            states.append(
                StageState(path if has_several_results else name, record, reason),
            )
            if reason is not None and has_several_results:
                causes[path] = f"{path} is stale"
            elif reason is not None:
                causes[path] = inherited_reason or has_to_run
        if not paths and not stage.optional:
            states.append(StageState(name, None, NOT_RUN))
            causes[kind.directory] = has_to_run
    return states


def _inherited_reason(
    record: AnyRecord,
    causes: Mapping[str, str],
) -> Optional[str]:
    """Return why a result is stale because of the results that it was made of.

    `causes` has this reason by directory of a stale result. Return None if the result
    was made of none of these.
    """
    for directory, cause in causes.items():
        if any(file.path.startswith(f"{directory}/") for file in record.inputs):
            return cause
    return None


def _reason_to_run_again(
    run: RunDirectory,
    stage: AnyStage,
    record: AnyRecord,
) -> Optional[str]:
    """Return why a stage has to make a result again, or None.

    One of several results can have any parameters; those of a single result follow from
    its own options and the defaults of now.
    """
    reason = stale_reason(run, record, {})
    if reason is not None or stage.names is not None:
        return reason
    try:
        with extra_named(stage.name):  # a user's model may have to be opened
            params = stage.resolve(run, recorded_options(run, stage, record))
    except SnnbError as error:
        return str(error)
    return stale_reason(run, record, params.model_dump())
