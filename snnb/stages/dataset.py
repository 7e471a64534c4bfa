"""What later stages need to know of the prepared data set."""

from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import PrepareDetails


def prepared_details(run: RunDirectory) -> PrepareDetails:
    """What `prepare` recorded; it has run, or the plan would have run it."""
    record = run.manifest.stages.prepare
    if record is None:
        raise KeyError("prepare is not complete")
    return record.details
