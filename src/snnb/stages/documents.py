"""Results of stages as documents: the output of `snnb STAGE --json` and `snnb run --json`."""

from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Sequence, Union

from pydantic import create_model

from snnb.core.options import Options
from snnb.io.text import Document
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import Record, Timing
from snnb.stages.all import STAGES
from snnb.stages.stage import StageResult


class StageDocument(Document):
    """The result of a stage in the output of a command."""

    stage: str
    directory: Path
    ran: bool
    reason: Optional[str]
    params: Options
    timing: Timing
    warnings: List[str]
    details: Record


_OF_STAGE: Dict[str, Any] = {  # such as `TrainResult`
    name: create_model(
        f"{name.title()}Result",
        __base__=StageDocument,
        stage=(Literal.__getitem__(name), ...),
        params=(stage.kind.params, ...),
        details=(stage.kind.details, ...),
    )
    for name, stage in STAGES.items()
}
AnyStageDocument: Any = Union[tuple(_OF_STAGE.values())]


class StagesDocument(Document):
    """Output of the command of a stage with `--json`."""

    run_dir: Path
    model: str
    stages: List[AnyStageDocument]

    @classmethod
    def of(cls, run: RunDirectory, results: Sequence[StageResult], **more: object) -> "StagesDocument":
        """Return the results of stages."""
        recorded = ("params", "timing", "warnings", "details")
        stages = [
            _OF_STAGE[one.stage](
                stage=one.stage,
                directory=one.directory,
                ran=one.reason is not None,
                reason=one.reason,
                **{name: getattr(one.record, name) for name in recorded},
            )
            for one in results
        ]
        return cls(run_dir=run.path, model=run.model, stages=stages, **more)


class RunDocument(StagesDocument):
    """Output of `snnb run --json`."""

    report: Optional[Path]  # None if it could not be written
