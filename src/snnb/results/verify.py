"""`verify`: compare the hashes of all files with those in the manifest."""

from pathlib import Path
from typing import Dict, List, Mapping, Sequence

from snnb.core.progress import Progress, silent
from snnb.io.files import sha256_of
from snnb.io.text import Document
from snnb.rundir.directory import RunDirectory
from snnb.rundir.external_files import changed, is_on_this_machine
from snnb.rundir.manifest import AnyRecord, FileRecord
from snnb.stages.open_run import repair_command
from snnb.stages.states import state_of_stages


class Verification(Document):
    """The result of a verification."""

    run_dir: Path
    files: int  # number of files that were compared
    size_bytes: int
    problems: List[str]  # files that are missing or changed, one line each
    damaged: List[
        str
        # Stages that these files belong to, in order; for one of several results, its
        # directory
    ]
    notes: List[str]  # differences that are not damage, one line each


def verify_run(run: RunDirectory, progress: Progress = silent) -> Verification:
    """Hash all recorded files and compare.

    A changed or missing file outside the run is only a note, as is the state of a
    result that is not up to date. `progress` counts bytes.
    """
    problems: List[str] = []
    damaged_paths: Dict[str, None] = {}  # in order
    single = {kind.directory: kind.name for kind in run.kinds if kind.names is None}
    records = {
        single.get(directory, directory): record
        for directory, record in run.records().items()
    }
    outputs = []
    for stage, record in records.items():
        outputs += [(stage, file) for file in record.outputs]
    total, done = sum(file.size_bytes for _, file in outputs), 0
    for stage, file in outputs:
        problem = _compare(run.path / file.path, file)
        if problem:
            problems.append(f"{stage}: {file.path} {problem}")
            damaged_paths.setdefault(stage)
        done += file.size_bytes
        progress(done, total, file.path)
    notes = _notes_on_inputs(records)
    for state in state_of_stages(run):
        if (
            state.record is not None
            and state.reason is not None
            and state.name not in damaged_paths
        ):
            notes.append(f"{state.name}: {state.in_words}")
    return Verification(
        run_dir=run.path,
        files=len(outputs),
        size_bytes=total,
        problems=problems,
        damaged=list(damaged_paths),
        notes=notes,
    )


def _notes_on_inputs(records: Mapping[str, AnyRecord]) -> List[str]:
    """Return a note on each input outside the run that is changed or missing.

    `records` are by name of the result.
    """
    notes = []
    for stage, record in records.items():
        for file in record.inputs:
            difference = _outside(file) if file.external else ""
            if difference:
                notes.append(f"{stage}: {file.path} (outside the run) {difference}")
    return notes


def repairs(run: RunDirectory, damaged_paths: Sequence[str]) -> List[str]:
    """Return the commands that make damaged results again, as `Verification.damaged` names them."""
    by_key = {kind.key: kind for kind in run.kinds}
    parts = (damage.partition("/") for damage in damaged_paths)
    return [repair_command(run, by_key[key], name) for key, _, name in parts]


def _compare(path: Path, record: FileRecord) -> str:
    try:
        if not path.is_file():
            return "is not a regular file" if path.exists() else "is missing"
        size = path.stat().st_size
        if size != record.size_bytes:
            return f"has {size} bytes, recorded: {record.size_bytes}"
        return (
            ""
            if sha256_of(path) == record.sha256
            else "does not match the recorded hash"
        )
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _outside(record: FileRecord) -> str:
    try:
        if not is_on_this_machine(record):
            return "is not available on this machine"
        difference = changed(record, read_all=True)
        return f"{difference} since it was read" if difference else ""
    except OSError as error:
        return f"cannot be read ({error.strerror})"
