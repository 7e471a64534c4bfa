"""`RunDirectory`: where a run's files lie, and how a stage's results come to lie there whole or not at all.

A stage writes into a hidden sibling of its directory (`.incomplete-train`). When it is done, the sibling is flushed to
disk, what it replaces is renamed aside (`.replaced-train`), the sibling takes its place, and the manifest is written
last. Killed at any moment, `recover` finds from the hashes in the manifest which of the two is the recorded one.
"""

import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Union

from snnb.errors import InputError, UsageError
from snnb.files import PARTIAL, disk_full_told, sync_directory, sync_tree
from snnb.rundir import lock, manifest
from snnb.rundir.environment import current_environment, now_utc, peak_memory, reset_peak_memory
from snnb.rundir.hashes import HashMemory
from snnb.rundir.params import Params
from snnb.rundir.records import RECORD_TYPES, AnyStageRecord, FileRecord, Manifest, Record, RunInfo, Timing

INCOMPLETE, REPLACED = ".incomplete-", ".replaced-"
SINGLE = {"prepare": "dataset", "train": "train", "parse": "parse"}
MANY = {"simulate": "simulations", "graph": "graphs"}


class StageOutput:
    """What a running stage fills: its `directory`, then metrics, details, warnings and the inputs it has read."""

    def __init__(self, directory: Path, inputs: Sequence[str]) -> None:
        self.directory = directory
        self.inputs: List[str] = list(inputs)
        self.external: List[FileRecord] = []
        self.metrics: Dict[str, Union[int, float, None]] = {}
        self.warnings: List[str] = []
        self.details: Optional[Record] = None


class RunDirectory:
    """A run directory that exists, with a manifest that has been read and checked.

    Attributes
    ----------
    path : Path
        The directory.
    manifest : Manifest
        As it was last read or written.
    hashes : HashMemory
        Hashes of the run's files.
    """

    def __init__(self, path: Path, content: Manifest) -> None:
        self.path = path
        self.manifest = content
        self.hashes = HashMemory(path)
        self.command: List[str] = [Path(sys.argv[0]).name, *sys.argv[1:]]

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Open an existing run directory, for reading; nothing is written."""
        if not (path / manifest.NAME).is_file():
            raise InputError(f"{path} is no run directory: it has no {manifest.NAME}; `snnb run --run-dir` makes one")
        return cls(path, manifest.load_manifest(path / manifest.NAME))

    @classmethod
    def create(cls, path: Path, info: RunInfo) -> "RunDirectory":
        """Make a run directory with an empty manifest, or open the one that is there.

        Raises
        ------
        UsageError
            The run that is there is of another model or data set, or `path` holds files that are none of ours.
        """
        if (path / manifest.NAME).is_file():
            run = cls.open(path)
            for field in ("model", "dataset", "model_source"):
                there, wanted = getattr(run.manifest.run, field), getattr(info, field)
                if there != wanted:
                    raise UsageError(f"{path} is a run of {field} {there}, not {wanted}; give another --run-dir")
            return run
        taken = [name for name in (*SINGLE.values(), *MANY.values()) if (path / name).exists()]
        if taken:
            raise UsageError(f"{path} has {taken[0]}/ but no {manifest.NAME}, so it is no run; give another --run-dir")
        path.mkdir(parents=True, exist_ok=True)
        content = Manifest(run=info)
        manifest.save_manifest(content, path / manifest.NAME)
        return cls(path, content)

    @property
    def model(self) -> str:
        """Name of the model, which also names its files."""
        return self.manifest.run.model

    def directory_of(self, stage: str, stamp: Optional[str] = None) -> str:
        """Path of a stage's directory, relative to the run: `train`, `simulations/20260101T120000Z`."""
        return SINGLE[stage] if stage in SINGLE else f"{MANY[stage]}/{stamp}"

    def record_of(self, stage: str, stamp: Optional[str] = None) -> Optional[AnyStageRecord]:
        """The record of a stage, None when it is not complete. Without a stamp, the latest simulation or graph."""
        if stage in SINGLE:
            record: Optional[AnyStageRecord] = getattr(self.manifest.stages, stage)
            return record
        records = getattr(self.manifest.stages, MANY[stage])
        if stamp is None:
            stamp = max(records, key=lambda key: records[key].timing.started_utc, default=None)
        return records.get(stamp)

    def new_stamp(self) -> str:
        """A UTC stamp for a simulation's directory that no other has."""
        while True:
            stamp = now_utc().strftime("%Y%m%dT%H%M%SZ")
            if stamp not in self.manifest.stages.simulations and not (self.path / "simulations" / stamp).exists():
                return stamp
            time.sleep(0.1)

    @contextmanager
    def locked(self, *, wait: bool = True, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """Hold the run for writing: wait for the lock, read the manifest again, clean up after a kill."""
        with lock.locked(self.path, wait=wait, say=say):
            self.manifest = manifest.load_manifest(self.path / manifest.NAME)
            self.recover(say)
            yield

    @contextmanager
    def stage(
        self, name: str, params: Params, *, inputs: Sequence[str], stamp: Optional[str] = None
    ) -> Iterator[StageOutput]:
        """Run a stage's body and put its results in place when it ends well; on any error nothing has changed.

        Parameters
        ----------
        name, stamp
            The stage, and which one of those that can be there several times.
        params
            The parameters in force, for the manifest.
        inputs
            Paths of the run's files that are read, relative to the run directory.
        """
        relative = self.directory_of(name, stamp)
        final = self.path / relative
        target = final.with_name(INCOMPLETE + final.name)
        if final.exists() and self.record_of(name, stamp) is None:
            raise InputError(f"{final} is there but not in {manifest.NAME}; move it away, then run the command again")
        input_records = [self.hashes.record(path) for path in inputs]
        target.mkdir(parents=True)
        started, clock = now_utc(), time.monotonic()
        reset_peak_memory()
        output = StageOutput(target, inputs)
        try:
            with disk_full_told(target):
                yield output
            sync_tree(target)
            names = sorted(f.relative_to(target).as_posix() for f in target.rglob("*") if f.is_file())
            timing = Timing(
                started_utc=started.isoformat(timespec="seconds"),
                wall_s=round(time.monotonic() - clock, 3),
                peak_rss_bytes=peak_memory(),
            )
            self._replace(target, final)
            record = RECORD_TYPES[name](
                command=self.command,
                params=params,
                inputs=[*input_records, *output.external],
                outputs=[self.hashes.record(f"{relative}/{file}") for file in names],
                metrics=output.metrics,
                environment=current_environment(),
                timing=timing,
                warnings=output.warnings,
                details=output.details,
            )
            self._save(name, stamp, record)
        finally:
            self.recover()
        self.hashes.save()

    def _save(self, name: str, stamp: Optional[str], record: AnyStageRecord) -> None:
        stages = self.manifest.stages
        if name in SINGLE:
            stages = stages.model_copy(update={name: record})
        else:
            records = {**getattr(stages, MANY[name]), stamp: record}
            stages = stages.model_copy(update={MANY[name]: dict(sorted(records.items()))})
        content = self.manifest.model_copy(update={"stages": stages})
        manifest.save_manifest(content, self.path / manifest.NAME)
        self.manifest = content

    def _replace(self, target: Path, final: Path) -> None:
        aside = final.with_name(REPLACED + final.name)
        if final.exists():
            final.rename(aside)
        else:
            aside.mkdir()  # says that what lies in place is not in the manifest yet
        target.rename(final)
        sync_directory(final.parent)

    def recover(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Undo what a killed stage has left, so that the directories are those that the manifest names."""
        parents = [self.path, *(self.path / name for name in MANY.values())]
        for aside in [entry for parent in parents for entry in parent.glob(f"{REPLACED}*")]:
            final = aside.with_name(aside.name[len(REPLACED) :])
            if not self._is_recorded(final):
                _remove(final)
                if any(aside.iterdir()):
                    aside.rename(final)
                say(f"{final.relative_to(self.path)}: put back as it was before an interrupted stage")
            _remove(aside)
        for leftover in [entry for parent in parents for entry in parent.glob(f"{INCOMPLETE}*")]:
            say(f"{leftover.relative_to(self.path)}: removed, left by an interrupted stage")
            _remove(leftover)
        for partial in self.path.glob(f".*{PARTIAL}"):
            partial.unlink()
        for parent in parents[1:]:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()

    def _is_recorded(self, final: Path) -> bool:
        """Whether the directory in place is the one whose files the manifest names."""
        relative = final.relative_to(self.path).as_posix()
        by_directory = {directory: stage for stage, directory in {**SINGLE, **MANY}.items()}
        stage = by_directory[relative.split("/")[0]]
        record = self.record_of(stage, final.name) if stage in MANY else self.record_of(stage)
        return record is not None and final.is_dir() and all(self.hashes.matches(file) for file in record.outputs)


def _remove(directory: Path) -> None:
    if directory.is_dir():
        shutil.rmtree(directory)


def describe(record: Any) -> str:
    """When and how long a stage ran, for people."""
    return f"{record.timing.started_utc}, {record.timing.wall_s:.1f} s, {record.timing.peak_rss_bytes / 2**20:,.0f} MiB"
