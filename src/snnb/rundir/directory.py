"""`RunDirectory`: the results of a run, their records in the manifest, and how they are replaced.

A stage writes into a hidden sibling of its directory (`.incomplete-train`). When it is
complete, the directory that it replaces is renamed aside (`.replaced-train`), the
sibling is renamed to its place, and the manifest is written last:

    begin     .incomplete-train/ is made, empty        .journal.json names `train`
    write     .incomplete-train/                       train/ as before
    swap      train/ → .replaced-train/                .incomplete-train/ → train/
    commit    manifest.yaml is replaced
    clean     .replaced-train/ is removed              .journal.json is removed

An error or a kill before the commit undoes everything, one after it undoes nothing: see
`recover`. A removal deletes directories and then commits; if it is interrupted, the
next command completes it, since what was deleted cannot be restored. So it frees space
on a full disk before it writes. Links instead of directories are not followed.

Commands that only read a run recover nothing. A journal may be forged, so nothing is
deleted but directories whose inodes it has, and nothing is moved over another one.
"""

import os
import re
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from snnb.core.errors import DamagedError, InputError, UsageError
from snnb.core.options import Options, changes_result
from snnb.core.progress import Say, say_nothing
from snnb.io.atomic import remove_partial, target_of
from snnb.io.files import (
    naming,
    noted,
    noting,
    raise_on_full_disk,
    refuse_foreign,
    refuse_link,
    remove,
    sync_directory,
    sync_tree,
)
from snnb.rundir import journal, manifest
from snnb.rundir.environment import (
    current_environment,
    now_utc,
    peak_memory,
    reset_peak_memory,
)
from snnb.rundir.hashes import HASHES, HashCache
from snnb.rundir.journal import Journal
from snnb.rundir.lock import LOCK, holder_of, is_locked, locked
from snnb.rundir.manifest import (
    AnyKind,
    AnyRecord,
    FileRecord,
    Manifest,
    Record,
    RunInfo,
    Timing,
    manifest_type,
)

INCOMPLETE, REPLACED = ".incomplete-", ".replaced-"
Kinds = Tuple[AnyKind, ...]


STAMP = r"^[0-9]{8}T[0-9]{6}Z$"  # names of the results of a stage that can have several
# Allowed in an empty run directory
HOUSEKEEPING = (LOCK, HASHES, journal.NAME, "lost+found")
EXPORTS = "exports"  # in a run, with a folder for each graph


@dataclass
class StageOutput:
    """Output of a running stage: directory, warnings, details, and records of files read outside the run."""

    directory: Path
    external: List[FileRecord] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
    details: Optional[Record] = None


class RunDirectory:
    """An existing run directory with a valid manifest; `kinds` are the kinds of results that it may hold."""

    def __init__(self, path: Path, content: Manifest, kinds: Kinds) -> None:
        self.path = path
        self.manifest = content  # as last read or written
        self.kinds = kinds
        self.hashes = HashCache(path)

    @classmethod
    def open(cls, path: Path, kinds: Kinds) -> "RunDirectory":
        """Open an existing run directory; raise `InputError` if it has no valid manifest."""
        if not os.path.lexists(path / manifest.NAME):
            raise InputError(
                f"{path} is not a run directory: it has no {manifest.NAME}; `snnb run "
                "--run-dir` makes one",
            )
        return cls(path, manifest.load_manifest(path / manifest.NAME, kinds), kinds)

    @classmethod
    def create(
        cls,
        path: Path,
        info: RunInfo,
        kinds: Kinds,
        *,
        wait: bool = True,
        say: Say = say_nothing,
    ) -> "RunDirectory":
        """Create a run directory with an empty manifest, or open an existing one of the same model and data set.

        A run without a complete stage, which a failed first command leaves, is reused
        for any model and data set. For `wait` and `say` see `locked`.
        """
        if not os.path.lexists(path / manifest.NAME):
            path.mkdir(parents=True, exist_ok=True)
            expected_names = (*HOUSEKEEPING, manifest.NAME)
            foreign = [
                entry.name
                for entry in path.iterdir()
                if (target_of(entry.name) or entry.name) not in expected_names
            ]
            if foreign:
                raise UsageError(
                    f"{path} holds {min(foreign)} but no {manifest.NAME}, so it is "
                    "not a run; give --run-dir a folder that is empty or does not "
                    "exist",
                )
            with locked(path, wait=wait, say=say):
                # Another process may have written it first
                if not os.path.lexists(path / manifest.NAME):
                    manifest.save_manifest(
                        _without_results(info, kinds),
                        path / manifest.NAME,
                    )
        run = cls.open(path, kinds)
        different = run.manifest.run.difference(info)
        if different is None:
            return run
        if not run.records():
            with run.locked(wait=wait, say=say):  # reads the manifest again
                if not run.records():
                    run._write(_without_results(info, kinds))
                    return run
        raise UsageError(f"{path} is a run of {different}; give another --run-dir")

    @property
    def model(self) -> str:
        """Name of the model and prefix of its files."""
        return self.manifest.run.model

    @property
    def parsed_name(self) -> str:
        """Name of the file of the converted network, in `parse/` and in a simulation."""
        return f"{self.model}_parsed.h5"

    @property
    def graph_name(self) -> str:
        """Name of the file of a graph."""
        return f"{self.model}_graph.h5"

    def kind(self, stage: str) -> AnyKind:
        """Return the kind of result that a stage makes."""
        return next(kind for kind in self.kinds if kind.name == stage)

    def directory_of(self, stage: str, name: Optional[str] = None) -> str:
        """Return the directory of a result relative to the run: `train`, `simulations/20260101T120000Z`."""
        kind = self.kind(stage)
        return kind.directory if kind.names is None else f"{kind.directory}/{name}"

    def records(self) -> Dict[str, AnyRecord]:
        """Return the records of all results by directory."""
        return manifest.records(self.manifest, self.kinds)

    def outputs(self) -> Dict[str, FileRecord]:
        """Return the records of all files that stages have written, by path."""
        records = self.records().values()
        return {
            file.path: file
            for file in chain.from_iterable(record.outputs for record in records)
        }

    def records_of(self, stage: str) -> Dict[str, AnyRecord]:
        """Return the records of a stage that can have several results, by name."""
        records: Dict[str, AnyRecord] = getattr(
            self.manifest.stages,
            self.kind(stage).key,
        )
        return records

    def record_of(self, stage: str, name: Optional[str] = None) -> Optional[AnyRecord]:
        """Return the record of a result, or None. The default of several results is the latest."""
        kind = self.kind(stage)
        if kind.names is None:
            record: Optional[AnyRecord] = getattr(self.manifest.stages, kind.key)
            return record
        return self.records_of(stage).get(name or self.latest(stage) or "")

    def latest(self, stage: str) -> Optional[str]:
        """Return the name of the result of a stage, of several, that was started last; None without results."""
        return next(iter(self.latest_first(stage)), None)

    def latest_first(self, stage: str) -> List[str]:
        """Return the names of the results of a stage, the one that was started last first."""
        results = self.records_of(stage)
        return sorted(
            results,
            key=lambda name: (results[name].timing.started_utc, name),
            reverse=True,
        )

    def new_stamp(self, stage: str) -> str:
        """Return a UTC stamp that no other result of the stage has."""
        while True:
            stamp = now_utc().strftime("%Y%m%dT%H%M%SZ")
            if (
                stamp not in self.records_of(stage)
                and not (self.path / self.directory_of(stage, stamp)).exists()
            ):
                return stamp
            time.sleep(0.1)

    @contextmanager
    def locked(self, *, wait: bool = True, say: Say = say_nothing) -> Iterator[None]:
        """Hold the lock of the run; read the manifest again and remove leftovers of a killed stage."""
        with locked(self.path, wait=wait, say=say):
            content = manifest.load_manifest(self.path / manifest.NAME, self.kinds)
            if content.run.difference(self.manifest.run) is not None:
                raise UsageError(
                    f"{self.path} was assigned to another model; run the command again",
                )
            self.manifest = content
            self.recover(say)
            if content.run.options:
                say(
                    f"{self.path}: the options of the run, which an earlier version of "
                    "snnb wrote, are ignored: options hold for one command"
                )
                info = content.run.model_copy(update={"options": None})
                self._write(content.model_copy(update={"run": info}))
            yield

    @contextmanager
    def stage(
        self,
        stage: str,
        params: Options,
        options: Mapping[str, object] = MappingProxyType({}),
        *,
        inputs: Sequence[str],
        name: Optional[str] = None,
    ) -> Iterator[StageOutput]:
        """Run the block as a stage, whose result replaces the earlier one on success.

        After an error nothing changes. `options` were given for the result, `params`
        follow from them. `inputs` are paths relative to the run
        directory; `name` is the name of one of several results. Raise `DamagedError` if
        an input that a stage has written does not have its recorded hash.
        """
        relative = self.directory_of(stage, name)
        place = self.path / relative
        self._refuse_foreign_files(relative)
        input_records = self._read_inputs(inputs)
        start_time = now_utc()
        clock = time.monotonic()
        reset_peak_memory()
        with self._replacing(stage, name) as target:
            output = StageOutput(target)
            with raise_on_full_disk(target):
                yield output
            files = sorted(
                f.relative_to(target).as_posix()
                for f in target.rglob("*")
                if f.is_file()
            )
            timing = Timing(
                started_utc=start_time.isoformat(timespec="seconds"),
                wall_s=round(time.monotonic() - clock, 3),
                peak_rss_bytes=peak_memory(),
            )
            _swap(target, place)
            kind = self.kind(stage)
            record = kind.record_type(
                command=_command_of_process(),
                options={
                    option: value
                    for option, value in options.items()
                    if changes_result(kind.params, option)
                },
                params=params,
                inputs=[*input_records, *output.external],
                outputs=[self.hashes.read(f"{relative}/{file}") for file in files],
                environment=current_environment(),
                timing=timing,
                warnings=output.warnings,
                details=output.details,
            )
            self._save_record(stage, name, record)
        self.hashes.save()

    def _read_inputs(self, paths: Sequence[str]) -> List[FileRecord]:
        """Hash inputs of a stage; raise `DamagedError` if one is not as recorded."""
        input_records = [self.hashes.read(path) for path in paths]
        written = self.outputs()
        for record in input_records:
            if written.get(record.path, record) != record:
                raise DamagedError(self.path / record.path, "not as it was written")
        return input_records

    def take(self, stage: str, other: "RunDirectory") -> None:
        """Copy the single result of a stage of another run unless it is equal; after an error nothing has changed."""
        relative, record = self.directory_of(stage), other.record_of(stage)
        assert record is not None
        if record == self.record_of(stage):
            return
        self._refuse_foreign_files(relative)
        with self._replacing(stage, None) as incomplete:
            with raise_on_full_disk(self.path):
                source = str(other.path / relative)
                shutil.copytree(source, str(incomplete), dirs_exist_ok=True)
            _swap(incomplete, self.path / relative)
            self._save_record(stage, None, record)

    @contextmanager
    def _replacing(self, stage: str, name: Optional[str]) -> Iterator[Path]:
        """Replace the directory of a result in the block, whose last step is `_save_record`.

        Yield the empty directory for the new result. An error before the manifest is in
        place undoes everything. One after it undoes nothing, and says that the result
        stands.
        """
        relative = self.directory_of(stage, name)
        place = self.path / relative
        for prefix in (INCOMPLETE, REPLACED):
            sibling = place.with_name(prefix + place.name)
            if os.path.lexists(sibling):
                raise InputError(
                    f"{sibling} was not written by `snnb` and would be lost; move it "
                    "away",
                )
        incomplete = place.with_name(INCOMPLETE + place.name)
        incomplete.mkdir(parents=True)
        change = Journal(
            seal=self._seal(),
            replaced={relative: place.exists()},
            inodes=journal.inodes_of([incomplete, place]),
        )
        note = f"{relative} is complete and recorded nevertheless"
        try:
            self._begin(stage, change)
            with naming(place, hidden=incomplete):
                yield incomplete
        except BaseException as error:
            with suppress(OSError):  # otherwise the next command recovers
                self.recover()
                if self.is_committed(change):
                    self.manifest = manifest.load_manifest(
                        self.path / manifest.NAME,
                        self.kinds,
                    )
                    if isinstance(error, OSError):
                        raise noted(error, note) from error
            raise
        with noting(note):
            self.recover()

    def _begin(self, command: str, change: Journal) -> None:
        """Write the journal of a change, which `recover` removes."""
        global last_change
        journal.write_journal(self.path, change)
        last_change = Change(command, self, change)

    def rename(self, model: str) -> None:
        """Give the run, which begins with an external graph, another name; the next result is recorded with it."""
        info = self.manifest.run.model_copy(update={"model": model})
        self.manifest = self.manifest.model_copy(update={"run": info})

    def _save_record(self, stage: str, name: Optional[str], record: AnyRecord) -> None:
        stages, kind = self.manifest.stages, self.kind(stage)
        changed = (
            record
            if kind.names is None
            else dict(sorted({**self.records_of(stage), str(name): record}.items()))
        )
        self._write(
            self.manifest.model_copy(
                update={"stages": stages.model_copy(update={kind.key: changed})},
            ),
        )

    def _write(self, content: Manifest) -> None:
        """Write the manifest of the locked run."""
        manifest.save_manifest(content, self.path / manifest.NAME)
        self.manifest = content

    def remove(self, directories: Sequence[str], say: Say = say_nothing) -> None:
        """Remove results by their directories from the locked run.

        The directories are deleted before the manifest is written, since the disk may
        be full; the hashes in the cache are too. An error before the first is deleted
        changes nothing. After it, the next command completes the removal.
        """
        for relative in directories:
            self._refuse_foreign_files(relative)
        self.hashes.drop_file()
        change = Journal(
            seal=self._seal(),
            removed=list(directories),
            inodes=journal.inodes_of(self.path / name for name in directories),
        )
        self._begin("remove", change)
        with noting("the next command on this run completes the removal"):
            self.recover(say)
        self.hashes.save()

    def say_if_interrupted(self, say: Say) -> None:
        """Say that a command is changing the run, or was interrupted.

        Commands that only read the run call it, since they do not recover.
        """
        if not journal.is_journal(self.path / journal.NAME):
            return
        if is_locked(self.path):
            say(
                f"{self.path} is in use by {holder_of(self.path)}; the output may "
                "describe an incomplete stage"
            )
        else:
            say(
                f"{self.path}: a command was interrupted; the next `snnb` command that "
                "writes here restores the run"
            )

    def recover(self, say: Say = say_nothing) -> None:
        """Undo or complete what the journal names, and remove leftovers of killed exports.

        If the manifest is the one before the command, replaced directories are
        restored; otherwise those aside are removed. Removals are completed in both
        cases.
        """
        change = journal.read_journal(self.path)
        if change is not None:
            for relative, had_result in change.replaced.items():
                if self._is_result(relative):
                    self._settle(relative, had_result, change, say)
            self._complete_removal(change)
        journal.remove_journal(self.path)
        for folder in (self.path, *self._folders_of_exports()):
            remove_partial(folder, say)
        for kind in self.kinds:
            self._remove_empty(kind)

    def _settle(
        self, relative: str, had_result: bool, change: Journal, say: Say
    ) -> None:
        """Complete or undo the replacement of a directory, as far as the journal can be believed.

        `had_result` is whether a directory was in the place before the command. It can
        be interrupted, and be called again.
        """
        place = self.path / relative
        aside = place.with_name(REPLACED + place.name)
        incomplete = place.with_name(INCOMPLETE + place.name)
        if self.is_committed(change):
            if change.is_about(aside):
                remove(aside)
        elif not had_result:
            if change.is_about(place) and relative not in self.records():
                remove(place)
                say(f"{relative}: removed (left by an interrupted stage)")
        elif change.is_about(aside) or self._holds_recorded_files(aside, relative):
            # Two directories of the command: the one in the place is the new one
            if change.is_about(aside) and change.is_about(place):
                remove(place)
            if not os.path.lexists(place):
                aside.rename(place)
                say(f"{relative}: restored to its state before an interrupted command")
        if change.is_about(incomplete):
            remove(incomplete)
            say(f"{incomplete.name}: removed (left by an interrupted stage)")
        for path in (aside, incomplete):
            if os.path.lexists(path):
                say(f"{path} is kept, since this run's commands did not write it")

    def _holds_recorded_files(self, aside: Path, relative: str) -> bool:
        """Whether a directory has files of the recorded result, and no others."""
        record = self.records().get(relative)
        if record is None or aside.is_symlink() or not aside.is_dir():
            return False
        names = [file.path[len(relative) + 1 :] for file in record.outputs]
        try:
            refuse_foreign(aside, names, error=InputError)
        except InputError:
            return False
        return True

    def _folders_of_exports(self) -> List[Path]:
        """Return the folders of exports that this process can write; links are not followed."""
        folder = self.path / EXPORTS
        if folder.is_symlink():
            return []
        return [
            place
            for place in folder.glob("*")
            if place.is_dir() and not place.is_symlink() and os.access(place, os.W_OK)
        ]

    def _remove_empty(self, kind: AnyKind) -> None:
        """Remove the empty directories of a kind, which a killed stage leaves before it writes the journal."""
        directory = self.path / kind.directory
        if kind.names is None:
            empty_directories = [directory.with_name(INCOMPLETE + directory.name)]
        elif directory.is_symlink():
            empty_directories = []
        else:
            empty_directories = [*directory.glob(f"{INCOMPLETE}*"), directory]
        for path in empty_directories:
            with suppress(OSError):  # it is not there, or not an empty directory
                path.rmdir()

    def _complete_removal(self, change: Journal) -> None:
        """Delete directories of results, and then their records.

        `remove` takes out results of stages that can have several, and nothing else.
        """
        recorded_directories = []
        for relative in change.removed:
            place = self.path / relative
            if (
                "/" in relative
                and self._is_result(relative)
                and relative in self.records()
                and (change.is_about(place) or not os.path.lexists(place))
            ):
                self._refuse_foreign_files(relative)
                remove(place)
                recorded_directories.append(relative)
        if not recorded_directories:
            return
        remaining = {
            kind.key: {
                name: record
                for name, record in self.records_of(kind.name).items()
                if self.directory_of(kind.name, name) not in recorded_directories
            }
            for kind in self.kinds
            if kind.names is not None
        }
        stages = self.manifest.stages.model_copy(update=remaining)
        self._write(self.manifest.model_copy(update={"stages": stages}))

    def _seal(self) -> str:
        return manifest.seal_of(self.path / manifest.NAME).decode()

    def is_committed(self, change: Journal) -> bool:
        """Whether the manifest was replaced since the journal was written."""
        return self._seal() != change.seal

    def _is_result(self, relative: str) -> bool:
        """Whether a path, which may come from somebody else, is the directory of a result that is not behind a link."""
        parent, _, name = relative.rpartition("/")
        if parent and (self.path / parent).is_symlink():
            return False
        for kind in self.kinds:
            if kind.names is None and relative == kind.directory:
                return True
            if (
                kind.names is not None
                and parent == kind.directory
                and re.match(kind.names, name)
            ):
                return True
        return False

    def _refuse_foreign_files(self, relative: str) -> None:
        """Refuse to replace or remove a link, or a directory with files that are not in its record."""
        directory, record = self.path / relative, self.records().get(relative)
        if directory.parent != self.path:
            refuse_link(directory.parent, InputError)
        outputs = (
            []
            if record is None
            else [file.path[len(relative) + 1 :] for file in record.outputs]
        )
        refuse_foreign(directory, outputs, error=InputError)


def _without_results(info: RunInfo, kinds: Kinds) -> Manifest:
    """Return the manifest of a run without results and options."""
    return manifest_type(kinds).model_validate({"run": {**dict(info), "options": {}}})


def _command_of_process() -> List[str]:
    """Return the arguments of this process; bytes that are not UTF-8 are escaped."""
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return [
        argument.encode("utf-8", "backslashreplace").decode() for argument in command
    ]


def _swap(incomplete: Path, place: Path) -> None:
    """Rename the directory in a place aside, if there is one, and a complete directory to the place."""
    sync_tree(incomplete)
    if place.exists():
        place.rename(place.with_name(REPLACED + place.name))
    incomplete.rename(place)
    sync_directory(place.parent)


@dataclass(frozen=True)
class Change:
    """A change of a run by this process."""

    command: str  # the stage, or `remove`
    run: RunDirectory
    journal: Journal

    def state(self) -> Optional[str]:
        """Return the state of the run if the process ends now; None if it is that before the command."""
        with suppress(OSError):
            if self.run.is_committed(self.journal):
                return f"`{self.command}` is complete"
        return (
            "the next command on the run completes the removal"
            if self.journal.removed
            else None
        )


last_change: Optional[Change] = None
