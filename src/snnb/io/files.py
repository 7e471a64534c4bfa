"""Hash and remove files, describe errors of the file system, and write files atomically.

A target of `atomic_path` appears under its name only when it is complete. It is written in a hidden directory next to
it, `.NAME.<random>.partial`, and renamed at the end. Each process has its own directory and holds flock(2) on the file
`.owner` in it, so that several may write next to each other. A directory that is not locked was left by a killed
process. The next process that writes the target removes it.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Collection, Iterator, Optional, Sequence, Type

from snnb.core.errors import FULL, DamagedError, ResourceError, SnnbError, UsageError

BLOCK = 1 << 20
MAKE_SPACE = "free space or choose another disk, then run the command again"
ADVICE = {
    errno.ENOSPC: f"the disk is full; {MAKE_SPACE}",
    errno.EDQUOT: f"the disk quota is exceeded; {MAKE_SPACE}",
    errno.EROFS: "the file system is read-only; give a writable path",
    errno.EACCES: "permission denied; `ls -l` on it and on its folder shows the owner",
    errno.EPERM: "not permitted; `ls -l` on it and on its folder shows the owner",
    errno.ELOOP: "is a symbolic link, which is not followed; replace it by the file",
    errno.EISDIR: "is a directory where a file is expected; move it away",
    errno.ENOENT: "no such file or directory; check the path, or give another one",
    errno.EEXIST: "already exists; move it away, or give another path",
    errno.ENOTDIR: "a part of this path is a file where a directory is expected; move it away or give another path",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
}


def refuse_special(path: Path) -> None:
    """Raise `DamagedError` for a pipe, socket or device, which would be read without end."""
    if not path.is_file() and not path.is_dir() and path.exists():
        raise DamagedError(path, "neither a regular file nor a directory; write its content to a file and give that")


def read_bytes(path: Path) -> bytes:
    """Read a file; raise `DamagedError` for a pipe, socket or device."""
    refuse_special(path)
    return path.read_bytes()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits; raise `DamagedError` for a pipe, socket or device."""
    refuse_special(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def remove(path: Path) -> None:
    """Remove a file, a link (not its target) or a directory with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Flush a directory to the disk, so that renames in it survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Flush a file, or a directory with every file and directory below it, to the disk."""
    for entry in [*path.rglob("*"), path] if path.is_dir() else [path]:
        sync_directory(entry)


@contextmanager
def raise_on_full_disk(directory: Path) -> Iterator[None]:
    """Raise `ResourceError` instead of any error that a full disk causes in a library.

    numpy and HDF5 report an incomplete write without an error number, so the free space is examined too.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        reported = getattr(error, "errno", None) in FULL or any(f"errno = {number}," in str(error) for number in FULL)
        if reported or shutil.disk_usage(directory).free < BLOCK:
            raise ResourceError(f"{directory.parent}: {ADVICE[errno.ENOSPC]}") from error
        raise


def describe_os_error(error: OSError) -> str:
    """Return one line for a failed file operation, with advice for common failures."""
    where = f"{error.filename}: " if error.filename else ""
    advice = "; check this path, or give another one" if where else ""
    return where + ADVICE.get(error.errno or 0, f"{error.strerror or error}{advice}")


PARTIAL = ".partial"
OWNER, REPLACED = ".owner", ".replaced"  # in the temporary directory: lock file, and the former content of the target
_PARTIAL_NAME = re.compile(rf"\.(.+?)(\.[a-z0-9_]{{8}})?{re.escape(PARTIAL)}", re.DOTALL)


@contextmanager
def atomic_path(
    target: Path, *, force: bool, companions: Sequence[Path] = (), outdated: Sequence[Path] = ()
) -> Iterator[Path]:
    """Yield a temporary path for a file or directory that is renamed to `target` on success.

    `companions` are further files in the directory of `target`, which the block writes next to the temporary path.
    `outdated` are files that describe the former target; they are removed on success. Raise `UsageError` if `target`
    exists and `force` is false, or its directory does not exist.
    """
    refuse_existing(target, force=True)
    with _own_directory(target) as scratch:
        for path in (target, *companions):
            refuse_existing(path, force=force)
        temporary = scratch / target.name
        yield temporary
        sync_tree(scratch)
        with _locked(target.parent):
            for path in (target, *companions):
                refuse_existing(path, force=force)  # another process may have written it meanwhile
            # Before the data, so that no old description is ever next to new data. The description, which lets the next
            # export replace the others, is the last to go.
            for path in reversed((*companions, *outdated)):
                path.unlink(missing_ok=True)
            if os.path.lexists(target) and (temporary.is_dir() or target.is_dir()):
                target.replace(scratch / REPLACED)  # rename(2) replaces no directory by a file, nor one with content
            for path in (target, *companions):
                temporary.with_name(path.name).replace(path)
            sync_directory(target.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Write a file so that at any moment it has either the old or the new content; a link at `path` is replaced."""
    with _own_directory(path) as scratch:
        temporary = scratch / path.name
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)  # fails for a directory, which `atomic_path` would replace
        sync_directory(path.parent)


def remove_partial(folder: Path) -> None:
    """Remove temporary directories of killed processes, and restore the directories that they were replacing."""
    if any(folder.glob(f".*{PARTIAL}")):
        with _locked(folder):
            _remove_partial(folder)


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
def _own_directory(target: Path) -> Iterator[Path]:
    """Yield a temporary directory of this process next to `target`; first remove directories of killed processes."""
    with _locked(target.parent):
        _remove_partial(target.parent, target.name)
        scratch = Path(tempfile.mkdtemp(PARTIAL, f".{target.name}.", str(target.parent)))
        owner = (scratch / OWNER).open("xb")
        fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        yield scratch
    finally:
        with owner, _locked(target.parent):
            _discard(scratch)


def _remove_partial(folder: Path, target: Optional[str] = None) -> None:
    for scratch in folder.glob(f".*{PARTIAL}"):
        own_target = target_of(scratch.name)
        if own_target is not None and target in (None, own_target) and not _owned(scratch):
            _discard(scratch)


def _owned(scratch: Path) -> bool:
    """Whether a temporary directory is of a running process, or of another user."""
    try:
        with os.fdopen(os.open(scratch / OWNER, os.O_RDWR | os.O_NOFOLLOW), "rb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False


def _discard(scratch: Path) -> None:
    """Remove a temporary directory, and restore the directory that was being replaced."""
    target, replaced = scratch.with_name(target_of(scratch.name) or ""), scratch / REPLACED
    if not scratch.is_symlink() and replaced.exists() and not os.path.lexists(target):
        replaced.replace(target)
    remove(scratch)


def refuse_link(path: Path, error: Type[SnnbError] = UsageError) -> None:
    """Raise `error` if `path` is a link, whose target may be anything."""
    if path.is_symlink():
        raise error(f"{path} is a link, which is not followed; move it away")


def refuse_foreign(
    path: Path, own: Collection[str] = (), *, mark: str = "", error: Type[SnnbError] = UsageError
) -> None:
    """Raise `error` if `path` is a link, or if replacing it would lose a file that `snnb` has not written.

    A file was written by `snnb` if `mark` is in its first 2 KiB, and a directory if it holds only the files `own`,
    paths relative to it.
    """
    refuse_link(path, error)
    if not path.exists():
        return
    known = {str(part) for name in own for part in (PurePosixPath(name), *PurePosixPath(name).parents)}
    for entry in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if entry == path and mark:
            with path.open("rb") as file:
                is_own = mark.encode() in file.read(2048)
        else:
            is_own = not entry.is_symlink() and entry != path and entry.relative_to(path).as_posix() in known
        if not is_own:
            raise error(f"{entry} was not written by `snnb` and would be lost; move it away first")


def refuse_existing(target: Path, *, force: bool) -> None:
    """Raise `UsageError` if `target` exists and `force` is false, or if its directory does not exist."""
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such directory; make it first")
    if os.path.lexists(target) and not force:
        raise UsageError(f"{target} exists; give another path, or --force to replace it")
