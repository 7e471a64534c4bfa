"""Write files and directories that appear whole or not at all.

A target of `atomic_path` appears under its name only when it is complete. It is written
in a hidden directory next to it, `.NAME.<random>.partial`, and renamed at the end.
Several processes may write next to each other: each has its own directory.

The file `.owner` in the directory is the record that `snnb` made it, with its inode,
which a copy does not have. The process holds flock(2) on it. A directory with this
record that is not locked was left by a killed process, and the next process that writes
the target removes it. A directory without the record is never removed, whatever its
name, unless it is empty: then nothing can be lost, and a process may have been killed
before it wrote the record, or after it removed it.

One file is replaced by one rename. The former directory, or the former files of a
group, are first moved to `.former` in the hidden directory. A process that is killed
before the new target is in its place leaves them there. They are named and kept until
the target exists again.
"""

import fcntl
import os
import re
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Optional, Sequence

from snnb.core.progress import Say, say_nothing
from snnb.io.files import (
    naming,
    noted,
    refuse_existing,
    remove,
    sync_directory,
    sync_tree,
)

PARTIAL = ".partial"
# In the temporary directory: the record, and the directory of what is replaced
OWNER, FORMER = ".owner", ".former"
_PARTIAL_NAME = re.compile(rf"\.(.+)\.[a-z0-9_]{{8}}{re.escape(PARTIAL)}", re.DOTALL)


@contextmanager
def atomic_path(
    target: Path,
    *,
    force: bool,
    companions: Sequence[Path] = (),
    outdated: Sequence[Path] = (),
    say: Say = say_nothing,
) -> Iterator[Path]:
    """Yield a temporary path for a file or directory that is renamed to `target` on success.

    `companions` are further files in the directory of `target`, which the block writes
    next to the temporary path. `outdated` are files there that describe the former
    target; they are removed on success. After an error all are as before. Former files
    that a killed process left are named by `say`. Raise `UsageError` if `target` exists
    and `force` is false, if its directory does not exist, or if a pipe, socket or device
    is in its place.
    """
    refuse_existing(target, force=True)
    is_complete = False
    try:
        with _own_directory(target, say) as scratch:
            for path in (target, *companions):
                refuse_existing(path, force=force)
            temporary = scratch / target.name
            yield temporary
            sync_tree(scratch)
            with _locked(target.parent):
                for path in (target, *companions):
                    refuse_existing(
                        path, force=force
                    )  # another process may have written it meanwhile
                if (
                    temporary.is_dir()
                    or target.is_dir()
                    or companions
                    or any(map(os.path.lexists, outdated))
                ):
                    _replace_group(scratch, target, companions, outdated)
                else:
                    temporary.replace(target)
                is_complete = True
                sync_directory(target.parent)
    except OSError as error:
        if is_complete:
            raise noted(error, f"{target} is complete nevertheless") from error
        raise


def write_text_atomically(path: Path, text: str) -> None:
    """Write a file so that at any moment it has either the old or the new content.

    A link at `path` is replaced. An error may also be raised after the new content is
    in place, if its directory cannot be flushed to the disk.
    """
    with _own_directory(path, say_nothing) as scratch:
        temporary = scratch / path.name
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(
            path
        )  # fails for a directory, which `atomic_path` would replace
        sync_directory(path.parent)


def remove_partial(folder: Path, say: Say) -> None:
    """Remove temporary directories of killed processes; `say` names former files that remain."""
    if any(folder.glob(f".*{PARTIAL}")):
        with _locked(folder):
            _remove_partial(folder, None, say)


def target_of(name: str) -> Optional[str]:
    """Return the name of the target of a temporary directory; None for any other name."""
    match = _PARTIAL_NAME.fullmatch(name)
    return None if match is None else match.group(1)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time make, rename or remove temporary directories in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _own_directory(target: Path, say: Say) -> Iterator[Path]:
    """Yield a temporary directory of this process next to `target`.

    Directories of killed processes are removed first. What cannot be removed after an
    error is removed by the next process.
    """
    with _locked(target.parent):
        _remove_partial(target.parent, target.name, say)
        with naming(target, hidden=target.with_name(f".{target.name}.")):
            scratch = Path(
                tempfile.mkdtemp(PARTIAL, f".{target.name}.", str(target.parent))
            )
        try:
            owner = (scratch / OWNER).open("xb")
            owner.write(_record(scratch, target.name))
            owner.flush()
            fcntl.flock(owner, fcntl.LOCK_EX)
        except OSError:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    try:
        with naming(target, hidden=scratch):
            yield scratch
    except BaseException:
        with owner, suppress(OSError), _locked(target.parent):
            _discard(scratch)
        raise
    with owner, _locked(target.parent):
        _discard(scratch)


def _record(scratch: Path, target: str) -> bytes:
    """Return the content of `.owner` in the temporary directory of a target."""
    text = f"snnb writes {target} in this directory, inode {scratch.stat().st_ino}\n"
    return text.encode("utf-8", "surrogateescape")


def _remove_partial(folder: Path, target: Optional[str], say: Say) -> None:
    for scratch in folder.glob(f".*{PARTIAL}"):
        scratch_target = target_of(scratch.name)
        if (
            scratch_target is None
            or target not in (None, scratch_target)
            or scratch.is_symlink()
        ):
            continue
        if _is_leftover(scratch, scratch_target):
            _discard(scratch)
            if _holds_only_copy(scratch):
                say(
                    f"{folder / scratch_target} is missing, since a command was stopped "
                    f"while it was replaced; {scratch / FORMER} has the former files: "
                    "move them back, or write it again"
                )
        else:
            with suppress(OSError):  # it is not an empty directory
                scratch.rmdir()


def _is_leftover(scratch: Path, target: str) -> bool:
    """Whether a process of this user has made a temporary directory, by its record, and has ended."""
    try:
        descriptor = os.open(scratch / OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb", buffering=0) as owner:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return False
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a process holds it
            return False
        return owner.read(LONGEST_RECORD) == _record(scratch, target)


LONGEST_RECORD = 4096  # bytes of `.owner`


def _replace_group(
    scratch: Path, target: Path, companions: Sequence[Path], outdated: Sequence[Path]
) -> None:
    """Move the former files to `.former`, and the new ones of the temporary directory to their places.

    The target is the first to go and the last to come, so that it never has a
    description of other content beside it. After an error all are as before.
    """
    former = scratch / FORMER
    former.mkdir()
    leaving = [target, *outdated, *reversed(companions)]
    arriving = [*companions, target]
    try:
        for place in filter(os.path.lexists, leaving):
            place.replace(former / place.name)
        for place in arriving:
            (scratch / place.name).replace(place)
    except BaseException:
        for place in reversed(arriving):
            if not os.path.lexists(scratch / place.name):
                place.replace(scratch / place.name)
        for place in reversed(leaving):
            if os.path.lexists(former / place.name):
                (former / place.name).replace(place)
        raise


def _holds_only_copy(scratch: Path) -> bool:
    """Whether a temporary directory has former files of a target that does not exist."""
    former = scratch / FORMER
    target = target_of(scratch.name)
    return (
        target is not None
        and not os.path.lexists(scratch.with_name(target))
        and former.is_dir()
        and any(former.iterdir())
    )


def _discard(scratch: Path) -> None:
    """Remove a temporary directory, its record last, unless it holds the only copy of former files."""
    if _holds_only_copy(scratch):
        return
    for entry in scratch.iterdir():
        if entry.name != OWNER:
            remove(entry)
    (scratch / OWNER).unlink(missing_ok=True)
    scratch.rmdir()
