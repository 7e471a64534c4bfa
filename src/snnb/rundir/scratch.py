"""Use a second run directory inside a run for stages that must not change the results of the run."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Optional, Sequence

from snnb.core.errors import InputError
from snnb.io.files import copy_file, remove, sync_tree
from snnb.rundir import manifest, replacing
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import AnyRecord


def open_scratch(run: RunDirectory, name: str, shared: str, own: Sequence[str]) -> RunDirectory:
    """Open or create a run directory inside a run.

    Parameters
    ----------
    run : RunDirectory
        The run, locked.
    name : str
        Name of the directory, relative to the run.
    shared : str
        Stage whose directory is a link to that of the run.
    own : sequence of str
        Stages whose records may differ from those of the run.
    """
    path, target = run.path / name, os.path.join(os.pardir, run.directory_of(shared))  # noqa: PTH118 - a link's text
    link = path / run.directory_of(shared)
    existing: Optional[RunDirectory] = None
    if not path.is_symlink() and link.is_symlink() and os.readlink(link) == target:
        with suppress(InputError):
            existing = RunDirectory.open(path, run.kinds)
    if existing is None or existing.manifest.run.difference(run.manifest.run) is not None:
        remove(path)
        path.mkdir()
        link.symlink_to(target, target_is_directory=True)
        existing = None
    own_records = {run.kind(stage).key: None if existing is None else existing.record_of(stage) for stage in own}
    stages = run.manifest.stages.model_copy(update=own_records)
    manifest.save_manifest(run.manifest.model_copy(update={"stages": stages}), path / manifest.NAME)
    return RunDirectory.open(path, run.kinds)


def adopt(
    run: RunDirectory, stage: str, record: AnyRecord, source: Path, *, name: Optional[str] = None, move: bool = False
) -> None:
    """Replace a result of the run by one of another run; after an error nothing has changed.

    Parameters
    ----------
    run : RunDirectory
        The run, locked.
    stage : str
        Name of the stage.
    record : StageRecord
        The record of the result.
    source : Path
        The directory of the result.
    name : str, optional
        Name of the result, for a stage that can have many.
    move : bool
        Move the directory instead of copying its files.
    """
    relative = run.directory_of(stage, name)
    place = replacing.place_of(run.path / relative)
    replacing.refuse_foreign_files(run.path, relative, run.records(), run.hashes)
    incomplete = place.with_name(replacing.INCOMPLETE + place.name)
    incomplete.parent.mkdir(parents=True, exist_ok=True)
    try:
        if move:
            shutil.move(str(source), str(incomplete))
        else:
            shutil.copytree(source, incomplete, copy_function=lambda read, write: copy_file(Path(read), Path(write)))
            sync_tree(incomplete)
        replacing.replace(incomplete, place)
        run.save_record(stage, name, record)
    finally:
        run.recover()
    run.hashes.save()
