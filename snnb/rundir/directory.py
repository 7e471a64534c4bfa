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
from snnb.options import Options
from snnb.rundir import lock, manifest
from snnb.rundir.environment import current_environment, now_utc, peak_memory, reset_peak_memory
from snnb.rundir.hashes import NAME as HASHES
from snnb.rundir.hashes import HashMemory
from snnb.rundir.records import AnyRecord, FileRecord, Kind, Manifest, Record, RunInfo, Timing, manifest_type

INCOMPLETE, REPLACED = ".incomplete-", ".replaced-"
STAMP = r"^[0-9]{8}T[0-9]{6}Z$"  # of those results that there are many of
Kinds = Tuple[Kind[Any, Any], ...]
NOBODYS = (lock.LOCK, lock.HOLDER, HASHES, "lost+found")  # what an empty run directory may hold


class StageOutput:
    """What a running stage fills: its `directory`, then metrics, details, warnings and what it has read outside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
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
    kinds : tuple of Kind
        What the run may hold.
    hashes : HashMemory
        Hashes of the run's files.
    """

    def __init__(self, path: Path, content: Manifest, kinds: Kinds) -> None:
        self.path = path
        self.manifest = content
        self.kinds = kinds
        self.hashes = HashMemory(path)
        self.command: List[str] = [Path(sys.argv[0]).name, *sys.argv[1:]]

    @classmethod
    def open(cls, path: Path, kinds: Kinds) -> "RunDirectory":
        """Open an existing run directory, for reading; nothing is written."""
        if not os.path.lexists(path / manifest.NAME):
            raise InputError(f"{path} is no run directory: it has no {manifest.NAME}; `snnb run --run-dir` makes one")
        return cls(path, manifest.load_manifest(path / manifest.NAME, kinds), kinds)

    @classmethod
    def create(cls, path: Path, info: RunInfo, kinds: Kinds) -> "RunDirectory":
        """Make a run directory with an empty manifest, or open the one that is there.

        Raises
        ------
        UsageError
            The run that is there is of another model or data set, or `path` holds files that are none of ours.
        """
        if os.path.lexists(path / manifest.NAME):
            run = cls.open(path, kinds)
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
        content = manifest_type(kinds)(run=info)
        manifest.save_manifest(content, path / manifest.NAME)
        return cls(path, content, kinds)

    @property
    def model(self) -> str:
        """Name of the model, which also names its files."""
        return self.manifest.run.model

    def kind(self, stage: str) -> Kind[Any, Any]:
        """The kind of result that a stage makes."""
        return next(kind for kind in self.kinds if kind.name == stage)

    def directory_of(self, stage: str, name: Optional[str] = None) -> str:
        """Path of a stage's directory, relative to the run: `train`, `simulations/20260101T120000Z`."""
        kind = self.kind(stage)
        return kind.directory if kind.names is None else f"{kind.directory}/{name}"

    def records(self) -> Dict[str, AnyRecord]:
        """The record of everything that is complete, by its directory."""
        return manifest.records(self.manifest, self.kinds)

    def records_of(self, stage: str) -> Dict[str, AnyRecord]:
        """The records of a stage that can have many, by name."""
        there: Dict[str, AnyRecord] = getattr(self.manifest.stages, self.kind(stage).key)
        return there

    def record_of(self, stage: str, name: Optional[str] = None) -> Optional[AnyRecord]:
        """The record of a stage, None when it is not complete. Of many without a name, the latest."""
        kind = self.kind(stage)
        if kind.names is None:
            record: Optional[AnyRecord] = getattr(self.manifest.stages, kind.key)
            return record
        records = self.records_of(stage)
        latest = max(records, key=lambda key: records[key].timing.started_utc, default="")
        return records.get(name or latest)

    def new_stamp(self, stage: str) -> str:
        """A UTC stamp for one of many directories of a stage that no other has."""
        while True:
            stamp = now_utc().strftime("%Y%m%dT%H%M%SZ")
            if stamp not in self.records_of(stage) and not (self.path / self.directory_of(stage, stamp)).exists():
                return stamp
            time.sleep(0.1)

    @contextmanager
    def locked(self, *, wait: bool = True, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """Hold the run for writing: wait for the lock, read the manifest again, clean up after a kill."""
        with lock.locked(self.path, wait=wait, say=say):
            self.manifest = manifest.load_manifest(self.path / manifest.NAME, self.kinds)
            self.recover(say)
            yield

    @contextmanager
    def stage(
        self, stage: str, params: Options, *, inputs: Sequence[str], name: Optional[str] = None
    ) -> Iterator[StageOutput]:
        """Run a stage's body and put its results in place when it ends well; on any error nothing has changed.

        Parameters
        ----------
        stage, name
            The stage, and the name of the result where there are many.
        params
            The parameters in force, for the manifest.
        inputs
            Paths of the run's files that are read, relative to the run directory.
        """
        relative = self.directory_of(stage, name)
        place = self.place_of(relative)
        self._refuse_strangers(stage, name)
        input_records = [self.hashes.read(path) for path in inputs]
        target = place.with_name(INCOMPLETE + place.name)
        target.mkdir(parents=True)
        started, clock = now_utc(), time.monotonic()
        reset_peak_memory()
        output = StageOutput(target)
        try:
            with disk_full_told(target):
                yield output
            self._refuse_changed(input_records)
            self._refuse_strangers(stage, name)
            sync_tree(target)
            files = sorted(f.relative_to(target).as_posix() for f in target.rglob("*") if f.is_file())
            timing = Timing(
                started_utc=started.isoformat(timespec="seconds"),
                wall_s=round(time.monotonic() - clock, 3),
                peak_rss_bytes=peak_memory(),
            )
            self._replace(target, place)
            record = self.kind(stage).record_type(
                command=[argument.encode("utf-8", "backslashreplace").decode() for argument in self.command],
                params=params,
                inputs=[*input_records, *output.external],
                outputs=[self.hashes.read(f"{relative}/{file}") for file in files],
                metrics=output.metrics,
                environment=current_environment(),
                timing=timing,
                warnings=output.warnings,
                details=output.details,
            )
            self._save(stage, name, record)
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

    def _refuse_strangers(self, stage: str, name: Optional[str]) -> None:
        """Raise `InputError` when the directory to be replaced holds what no stage has made."""
        relative = self.directory_of(stage, name)
        place, record = self.place_of(relative), self.records().get(relative)
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

    def _save(self, stage: str, name: Optional[str], record: AnyRecord) -> None:
        stages, kind = self.manifest.stages, self.kind(stage)
        changed = record if kind.names is None else dict(sorted({**self.records_of(stage), str(name): record}.items()))
        content = self.manifest.model_copy(update={"stages": stages.model_copy(update={kind.key: changed})})
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
            if os.path.lexists(aside) or os.path.lexists(incomplete):
                yield relative, aside, incomplete

    def _directories(self) -> List[str]:
        """Directories of all stages, recorded or begun, relative to the run."""
        found: List[str] = []
        for kind in self.kinds:
            if kind.names is None:
                found.append(kind.directory)
                continue
            names: Set[str] = set(self.records_of(kind.name))
            for prefix in (REPLACED, INCOMPLETE):
                names.update(entry.name[len(prefix) :] for entry in (self.path / kind.directory).glob(f"{prefix}*"))
            found += [f"{kind.directory}/{name}" for name in sorted(names) if re.fullmatch(kind.names, name)]
        return found

    def recover(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Undo what a killed stage has left, so that the directories are those that the manifest names."""
        for relative, aside, incomplete in list(self._left_behind()):
            if os.path.lexists(aside):
                self._put_right(relative, aside, say)
            if os.path.lexists(incomplete):
                say(f"{incomplete.name}: removed, left by an interrupted stage")
                remove(incomplete)
        for name in (manifest.NAME, HASHES):
            remove(self.path / f".{name}{PARTIAL}")
        for kind in self.kinds:
            parent = self.path / kind.directory
            if kind.names is not None and parent.is_dir() and not parent.is_symlink() and not any(parent.iterdir()):
                parent.rmdir()

    def _put_right(self, relative: str, aside: Path, say: Callable[[str], None]) -> None:
        """Keep what is recorded of what lies in place and what was renamed aside; then nothing lies aside.

        An empty `aside` says that nothing was in place before. Where the manifest has the stage, it is only left over.
        """
        place, record = self.place_of(relative), self.records().get(relative)
        ours = aside.is_dir() and not aside.is_symlink()
        holds = ours and any(aside.iterdir())
        if record is None and ours and not holds:
            remove(place)
            say(f"{relative}: removed, left by an interrupted stage")
        elif holds and self._belongs_in_place(relative, aside, place):
            remove(place)
            aside.rename(place)
            say(f"{relative}: put back as it was before an interrupted stage")
        remove(aside)

    def _belongs_in_place(self, relative: str, aside: Path, place: Path) -> bool:
        """Whether what lies aside is nearer to the record than what lies in place; files are read only then."""
        record = self.records().get(relative)
        if record is None or not place.exists():
            return not place.exists()
        if self._is_recorded(relative):
            return False
        return self._as_recorded(aside, relative, record) > self._as_recorded(place, relative, record)

    def _as_recorded(self, directory: Path, relative: str, record: AnyRecord) -> int:
        """How many outputs of the record of `relative` lie in a directory as they were written."""
        count = 0
        for file in record.outputs:
            path = directory / file.path[len(relative) + 1 :]
            with suppress(OSError, InputError):
                count += path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256
        return count

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
        record = self.records().get(relative)
        return record is not None and all(self.hashes.matches(file) for file in record.outputs)
