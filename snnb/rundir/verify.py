"""Re-hash everything that the manifest records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from snnb.files import sha256_of
from snnb.progress import Progress, silent
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import AnyStageRecord, FileRecord


@dataclass(frozen=True)
class Verification:
    """Files compared and their size; what is missing or altered; and what is worth knowing but no damage."""

    files: int
    size_bytes: int
    problems: List[str]
    notes: List[str]


def records_of(run: RunDirectory) -> Iterator[Tuple[str, AnyStageRecord]]:
    """Every complete stage with its name, `simulations/…` and `graphs/…` for those."""
    stages = run.manifest.stages
    for name in ("prepare", "train", "parse"):
        record = getattr(stages, name)
        if record is not None:
            yield name, record
    for stamp, simulation in stages.simulations.items():
        yield f"simulations/{stamp}", simulation
    for stamp, graph in stages.graphs.items():
        yield f"graphs/{stamp}", graph


def verify(run: RunDirectory, progress: Progress = silent) -> Verification:
    """Hash every recorded file again and compare.

    Outputs must be there as recorded. An input that is another by now makes its stage stale, and
    a file outside the run may have changed or be on another machine: both are notes.
    """
    problems: List[str] = []
    notes: List[str] = []
    hashes: Dict[str, str] = {}
    total = sum(file.size_bytes for _, record in records_of(run) for file in record.outputs)
    done = 0
    for stage, record in records_of(run):
        for file in record.outputs:
            problem = _compare(run.path / file.path, file)
            if problem:
                problems.append(f"{stage}: {file.path} {problem}")
            hashes[file.path] = file.sha256
            done += file.size_bytes
            progress(done, total, file.path)
    for stage, record in records_of(run):
        for file in record.inputs:
            if not file.external:
                if hashes.get(file.path) != file.sha256:
                    notes.append(f"{stage}: stale, made from another {file.path}")
            elif not Path(file.path).exists():
                notes.append(f"{stage}: {file.path} (outside the run) is not on this machine")
            elif Path(file.path).is_file() and _compare(Path(file.path), file):
                notes.append(f"{stage}: {file.path} (outside the run) has changed since it was read")
    return Verification(len(hashes), total, problems, notes)


def _compare(path: Path, record: FileRecord) -> str:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != record.size_bytes:
        return f"has {size} bytes, recorded are {record.size_bytes}"
    return "" if sha256_of(path) == record.sha256 else "has another hash than recorded"
