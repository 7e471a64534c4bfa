"""What later stages need to know of the prepared data set."""

from typing import Optional

from snnb.architectures import ModelSpec
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import PrepareDetails


def prepared_details(run: RunDirectory) -> PrepareDetails:
    """What `prepare` recorded; it has run, or the plan would have run it."""
    record = run.manifest.stages.prepare
    if record is None:
        raise KeyError("prepare is not complete")
    return record.details


def class_count(spec: ModelSpec, details: PrepareDetails) -> Optional[int]:
    """Number of classes to tell apart; None for a model that reconstructs its input."""
    return None if spec.task == "reconstruction" else len(details.class_names)
