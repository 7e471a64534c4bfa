"""`RunDirectory`: where a run's files lie, and how a stage's results come to lie there whole or not at all.

A stage writes into a hidden sibling of its directory (`.incomplete-train`). When it is done, the sibling is flushed to
disk, what it replaces is renamed aside (`.replaced-train`), the sibling takes its place, and the manifest is written
last. Killed at any moment, `recover` finds from the hashes in the manifest which of the two is the recorded one. A
stage's directory may be a link to another disk: its target is what is replaced, and the siblings lie beside that.
"""

import os
import re
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Union

from snnb.errors import InputError, UpstreamError, UsageError
from snnb.files import PARTIAL, describe_os_error, disk_full_told, remove, sha256_of, sync_directory, sync_tree
from snnb.rundir import lock, manifest
from snnb.rundir.environment import current_environment, now_utc, peak_memory, reset_peak_memory
from snnb.rundir.hashes import NAME as HASHES
from snnb.rundir.hashes import HashMemory
from snnb.rundir.params import Params
from snnb.rundir.records import RECORD_TYPES, AnyStageRecord, FileRecord, Manifest, Record, RunInfo, Timing

INCOMPLETE, REPLACED = ".incomplete-", ".replaced-"
SINGLE = {"prepare": "dataset", "train": "train", "parse": "parse"}
MANY = {"simulate": "simulations", "graph": "graphs"}
NAME_OF_ONE = re.compile(r"[0-9]{8}T[0-9]{6}Z|weights")
NOBODYS = (lock.LOCK, lock.HOLDER, HASHES, "lost+found")  # what an empty run directory may hold


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
        if not os.path.lexists(path / manifest.NAME):
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
        if (path / manifest.NAME).exists():
            run = cls.open(path)
            for field in ("model", "dataset", "model_source"):
                there, wanted = getattr(run.manifest.run, field), getattr(info, field)
                if there != wanted:
                    raise UsageError(f"{path} is a run of {field} {there}, not {wanted}; give another --run-dir")
            return run
        others = sorted(entry.name for entry in path.iterdir() if entry.name not in NOBODYS) if path.is_dir() else []
        if others:
            raise UsageError(
                f"{path} holds {others[0]} but no {manifest.NAME}, so it is no run; "
                "give --run-dir a folder that is empty or not there yet"
            )
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
        place = self.place_of(relative)
        self._refuse_strangers(name, stamp)
        input_records = [self.hashes.read(path) for path in inputs]
        target = place.with_name(INCOMPLETE + place.name)
        target.mkdir(parents=True)
        started, clock = now_utc(), time.monotonic()
        reset_peak_memory()
        output = StageOutput(target, inputs)
        try:
            with disk_full_told(target):
                yield output
            self._refuse_changed(input_records)
            self._refuse_strangers(name, stamp)
            sync_tree(target)
            names = sorted(f.relative_to(target).as_posix() for f in target.rglob("*") if f.is_file())
            timing = Timing(
                started_utc=started.isoformat(timespec="seconds"),
                wall_s=round(time.monotonic() - clock, 3),
                peak_rss_bytes=peak_memory(),
            )
            self._replace(target, place)
            record = RECORD_TYPES[name](
                command=[argument.encode("utf-8", "backslashreplace").decode() for argument in self.command],
                params=params,
                inputs=[*input_records, *output.external],
                outputs=[self.hashes.read(f"{relative}/{file}") for file in names],
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

    def place_of(self, relative: str) -> Path:
        """Where a stage's directory lies: behind the link, where there is one in its place."""
        final = self.path / relative
        if not final.is_symlink():
            return final
        try:
            place = final.resolve()
        except RuntimeError:
            raise InputError(f"{final} is a link that leads to itself; remove it") from None
        if not place.name or not place.parent.is_dir():
            raise InputError(
                f"{final} is a link to {place}, and {place.parent} is not there; mount it or remove the link"
            )
        return place

    def _refuse_strangers(self, name: str, stamp: Optional[str]) -> None:
        """Raise `InputError` when the directory to be replaced holds what no stage has made."""
        relative = self.directory_of(name, stamp)
        place, record = self.place_of(relative), self.record_of(name, stamp)
        if not place.exists():
            return
        if record is None:
            raise InputError(
                f"{self.path / relative} is there but not in {manifest.NAME}; move it away, then run the command again"
            )
        recorded = {file.path: file for file in record.outputs}
        behind_a_link = (self.path / relative).is_symlink()  # whose files may be anybody's, whatever their names
        for entry in sorted(place.rglob("*")) if place.is_dir() else [place]:
            path = f"{relative}/{entry.relative_to(place).as_posix()}"
            if path not in recorded and (entry.is_symlink() or not entry.is_dir()):
                raise InputError(f"{self.path / path} is not the run's own and would be lost; move it away first")
            if behind_a_link and path in recorded and not self.hashes.matches(recorded[path]):
                raise InputError(
                    f"{self.path / path} is not as it was written, and lies behind the link {self.path / relative}; "
                    "remove the link"
                )

    def _refuse_changed(self, records: Sequence[FileRecord]) -> None:
        for record in records:
            if self.hashes.changed_since(record):
                raise InputError(
                    f"{self.path / record.path} was changed while the stage read it; run the command again"
                )

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

    def _replace(self, target: Path, place: Path) -> None:
        aside = place.with_name(REPLACED + place.name)
        if place.exists():
            place.rename(aside)
        else:
            aside.mkdir()  # says that what lies in place is not in the manifest yet
        target.rename(place)
        sync_directory(place.parent)

    def _left_behind(self) -> Iterator[Tuple[str, Path, Path]]:
        """What killed or running stages have left: directory, what it replaced, and what is incomplete."""
        for relative in self._directories():
            try:
                place = self.place_of(relative)
            except InputError:  # a link to a disk that is not there: no stage has begun behind it
                continue
            aside, incomplete = (place.with_name(prefix + place.name) for prefix in (REPLACED, INCOMPLETE))
            if any(path.exists() or path.is_symlink() for path in (aside, incomplete)):
                yield relative, aside, incomplete

    def _directories(self) -> List[str]:
        """Directories of all stages, recorded or begun, relative to the run."""
        found = list(SINGLE.values())
        for stage, folder in MANY.items():
            names: Set[str] = set(getattr(self.manifest.stages, MANY[stage]))
            for prefix in (REPLACED, INCOMPLETE):
                names.update(entry.name[len(prefix) :] for entry in (self.path / folder).glob(f"{prefix}*"))
            found += [f"{folder}/{name}" for name in sorted(names) if NAME_OF_ONE.fullmatch(name)]
        return found

    def recover(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Undo what a killed stage has left, so that the directories are those that the manifest names."""
        for relative, aside, incomplete in list(self._left_behind()):
            if aside.exists() or aside.is_symlink():
                self._put_right(relative, aside, say)
            if incomplete.exists() or incomplete.is_symlink():
                say(f"{incomplete.name}: removed, left by an interrupted stage")
                remove(incomplete)
        for name in (manifest.NAME, HASHES):
            remove(self.path / f".{name}{PARTIAL}")
        for folder in MANY.values():
            parent = self.path / folder
            if parent.is_dir() and not parent.is_symlink() and not any(parent.iterdir()):
                parent.rmdir()

    def _put_right(self, relative: str, aside: Path, say: Callable[[str], None]) -> None:
        """Keep what is recorded of what lies in place and what was renamed aside; then nothing lies aside.

        An empty `aside` says that nothing was in place before. Where the manifest has the stage, it is only left over.
        """
        place, record = self.place_of(relative), self._records().get(relative)
        holds = aside.is_dir() and not aside.is_symlink() and any(aside.iterdir())
        if record is None and not holds and aside.is_dir() and not aside.is_symlink():
            remove(place)
            say(f"{relative}: removed, left by an interrupted stage")
        elif record is not None and holds and self._as_recorded(aside, record) > self._as_recorded(place, record):
            remove(place)
            aside.rename(place)
            say(f"{relative}: put back as it was before an interrupted stage")
        elif holds and not place.exists():
            aside.rename(place)
        remove(aside)

    def _as_recorded(self, directory: Path, record: AnyStageRecord) -> int:
        """How many of a record's outputs lie in a directory as they were written."""
        count = 0
        for file in record.outputs:
            path = directory.joinpath(*file.path.split("/")[self._depth(file.path) :])
            with suppress(OSError, InputError):
                count += path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256
        return count

    def _depth(self, path: str) -> int:
        """How many parts of a recorded path name its stage's directory."""
        return 1 if path.split("/")[0] in SINGLE.values() else 2

    def _records(self) -> Dict[str, AnyStageRecord]:
        """The record of everything that is complete, by its directory."""
        found: Dict[str, AnyStageRecord] = {}
        for stage, directory in SINGLE.items():
            record = self.record_of(stage)
            if record is not None:
                found[directory] = record
        for folder in MANY.values():
            records = getattr(self.manifest.stages, folder)
            found.update({f"{folder}/{stamp}": record for stamp, record in records.items()})
        return found

    def settle(self, say: Callable[[str], None]) -> None:
        """Before reading only: recover where that can be done at once, else say what is the case."""
        if not any(self._left_behind()):
            return
        try:
            with self.locked(wait=False):
                return
        except UpstreamError:
            say(f"{self.path} is in use by {lock.holder_of(self.path)}; what follows may be of a stage half done")
        except OSError as error:
            say(
                "a stage was interrupted; the next `snnb` command that may write here puts it back "
                f"({describe_os_error(error)})"
            )

    def interrupted(self) -> Dict[str, Path]:
        """Directories in whose place lies what is not recorded, and where the recorded content is meanwhile."""
        return {
            relative: aside
            for relative, aside, _ in self._left_behind()
            if aside.is_dir() and not aside.is_symlink() and not self._is_recorded(relative)
        }

    def _is_recorded(self, relative: str) -> bool:
        """Whether the directory in place is the one whose files the manifest names."""
        record = self._records().get(relative)
        return record is not None and all(self.hashes.matches(file) for file in record.outputs)


def describe(record: Any) -> str:
    """When and how long a stage ran, for people."""
    return f"{record.timing.started_utc}, {record.timing.wall_s:.1f} s, {record.timing.peak_rss_bytes / 2**20:,.0f} MiB"
