"""A second run directory inside a run, in which stages run that must leave the results of the run as they are."""

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
    """Open a run directory inside a run, or make it.

    Parameters
    ----------
    run : RunDirectory
        The run, locked.
    name : str
        Name of the directory, relative to the run.
    shared : str
        Stage whose directory is that of the run: a link to it.
    own : sequence of str
        Stages that may have another result than in the run. The records of all others are those of the run.
    """
    path, target = run.path / name, os.path.join(os.pardir, run.directory_of(shared))  # noqa: PTH118 - a link's text
    link = path / run.directory_of(shared)
    before: Optional[RunDirectory] = None
    if not path.is_symlink() and link.is_symlink() and os.readlink(link) == target:
        with suppress(InputError):
            before = RunDirectory.open(path, run.kinds)
    if before is None or before.manifest.run.difference(run.manifest.run) is not None:
        remove(path)
        path.mkdir()
        link.symlink_to(target, target_is_directory=True)
        before = None
    kept = {run.kind(stage).key: None if before is None else before.record_of(stage) for stage in own}
    stages = run.manifest.stages.model_copy(update=kept)
    manifest.save_manifest(run.manifest.model_copy(update={"stages": stages}), path / manifest.NAME)
    return RunDirectory.open(path, run.kinds)


def adopt(
    run: RunDirectory, stage: str, record: AnyRecord, source: Path, *, name: Optional[str] = None, move: bool = False
) -> None:
    """Put a result of another run in the place of the run's own; after an error nothing has changed.

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
