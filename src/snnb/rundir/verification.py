"""Hash all files that the manifest records, and compare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

from snnb.core.progress import Progress, silent
from snnb.io.files import sha256_of
from snnb.rundir.directory import RunDirectory
from snnb.rundir.external import changed
from snnb.rundir.records import FileRecord


@dataclass(frozen=True)
class Verification:
    """The result of a verification.

    Attributes
    ----------
    files, size_bytes : int
        Number of the files that were compared, and their size.
    problems : list of str
        Files that are missing or changed, one line each.
    damaged : list of str
        Stages that these files belong to, in order; one of many by its directory.
    notes : list of str
        Differences that are no damage, one line each.
    """

    files: int
    size_bytes: int
    problems: List[str]
    damaged: List[str]
    notes: List[str]


def verify_run(run: RunDirectory, progress: Progress = silent) -> Verification:
    """Hash all recorded files and compare.

    Outputs must be as recorded. A file outside the run may have changed or be on another machine, which is a note.

    Parameters
    ----------
    run : RunDirectory
        The run.
    progress : Progress
        Called with the number of bytes compared.
    """
    problems: List[str] = []
    notes: List[str] = []
    hashes: Dict[str, str] = {}
    damaged: Dict[str, None] = {}  # in order
    single = {kind.directory: kind.name for kind in run.kinds if kind.names is None}
    records = {single.get(directory, directory): record for directory, record in run.records().items()}
    total = sum(file.size_bytes for record in records.values() for file in record.outputs)
    done = 0
    for stage, record in records.items():
        for file in record.outputs:
            problem = _compare(run.path / file.path, file)
            if problem:
                problems.append(f"{stage}: {file.path} {problem}")
                damaged.setdefault(stage)
            hashes[file.path] = file.sha256
            done += file.size_bytes
            progress(done, total, file.path)
    for stage, record in records.items():
        for file in record.inputs:
            if not file.external:
                continue
            if not Path(file.path).exists():
                notes.append(f"{stage}: {file.path} (outside the run) is not on this machine")
            else:
                difference = _outside(file)
                if difference:
                    notes.append(f"{stage}: {file.path} (outside the run) {difference} since it was read")
    return Verification(len(hashes), total, problems, list(damaged), notes)


def _compare(path: Path, record: FileRecord) -> str:
    try:
        if not path.is_file():
            return "is not a regular file" if path.exists() else "is missing"
        size = path.stat().st_size
        if size != record.size_bytes:
            return f"has {size} bytes, recorded are {record.size_bytes}"
        return "" if sha256_of(path) == record.sha256 else "has another hash than recorded"
    except OSError as error:
        return _unreadable(error)


def _outside(record: FileRecord) -> str:
    try:
        return changed(record, read_all=True) or ""
    except OSError as error:
        return _unreadable(error)


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror})"
