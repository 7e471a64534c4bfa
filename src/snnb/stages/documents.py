"""Results of stages as documents: the output of stages and `snnb run` with `--json`."""

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


def _document_type(name: str, params: type, details: type) -> Any:
    """Return the type of the document of a stage, such as `TrainResult`."""
    return create_model(
        f"{name.title()}Result",
        __base__=StageDocument,
        stage=(Literal.__getitem__(name), ...),
        params=(params, ...),
        details=(details, ...),
    )


DOCUMENT_TYPES: Dict[str, Any] = {}  # by stage
for _stage in STAGES.values():
    DOCUMENT_TYPES[_stage.name] = _document_type(
        _stage.name,
        _stage.params,
        _stage.details,
    )
AnyStageDocument: Any = Union[tuple(DOCUMENT_TYPES.values())]


class StagesDocument(Document):
    """Output of the command of a stage with `--json`."""

    run_dir: Path
    model: str
    stages: List[AnyStageDocument]

    @classmethod
    def of(
        cls,
        run: RunDirectory,
        results: Sequence[StageResult],
        **fields: object,
    ) -> "StagesDocument":
        """Return the results of stages; `fields` are those of a derived class."""
        documents = []
        for result in results:
            record = result.record
            document = DOCUMENT_TYPES[result.stage](
                stage=result.stage,
                directory=result.directory,
                ran=result.reason is not None,
                reason=result.reason,
                params=record.params,
                timing=record.timing,
                warnings=record.warnings,
                details=record.details,
            )
            documents.append(document)
        return cls(run_dir=run.path, model=run.model, stages=documents, **fields)


class RunDocument(StagesDocument):
    """Output of `snnb run --json`."""

    report: Optional[Path]  # None if it could not be written
