"""Hash and remove files, describe errors of the file system, and write files atomically.

A target of `atomic_path` appears under its name only when it is complete. It is written
in a hidden directory next to it, `.NAME.<random>.partial`, and renamed at the end.
Several processes may write next to each other: each has its own directory.

The file `.owner` in the directory is the record that `snnb` made it, with its inode,
which a copy does not have. The process holds flock(2) on it. A directory with this
record that is not locked was left by a killed process, and the next process that writes
the target removes it. A directory without the record is never removed, whatever its
name, unless it is empty: then nothing can be lost, and a process may have been killed
before it wrote the record, or after it removed it.

Several files are replaced as one. `.journal.json` lists the names, and the former files
are moved aside; its removal is the commit. While it exists, the former files are
restored.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Collection, Dict, Iterator, Optional, Sequence, Type

from snnb.core.errors import (
    FULL,
    TOO_MANY_FILES,
    DamagedError,
    InputError,
    ResourceError,
    SnnbError,
    UsageError,
)

BLOCK = 1 << 20
# Of files that are read as text: manifests, documents, descriptions
MAX_TEXT_BYTES = 64_000_000
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
    errno.ENOTDIR: (
        "a part of this path is a file where a directory is expected; move it away or "
        "give another path"
    ),
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
    errno.EFBIG: "the file is larger than the limit of this process (`ulimit -f`); raise it",
    errno.EMFILE: TOO_MANY_FILES,
}


def refuse_special(path: Path) -> None:
    """Raise `DamagedError` for a pipe, socket or device, which would be read without end."""
    if not path.is_file() and not path.is_dir() and path.exists():
        raise DamagedError(
            path,
            "neither a regular file nor a directory; write its content to a file and "
            "give that",
        )


@contextmanager
def raise_when_out_of_memory(path: Path) -> Iterator[None]:
    """Raise `ResourceError` with the path of the file that the block reads."""
    try:
        yield
    except MemoryError as error:
        raise ResourceError(
            f"{path}: out of memory; use a machine with more memory, or a smaller file"
        ) from error


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raise `DamagedError` for a pipe, socket or device, and `ResourceError` if it does
    not fit into memory.
    """
    refuse_special(path)
    with raise_when_out_of_memory(path):
        return path.read_bytes()


def read_text_bytes(path: Path) -> bytes:
    """Read a file of text.

    Raise `DamagedError` for a pipe, socket or device, and before reading for a file of
    more than `MAX_TEXT_BYTES`.
    """
    refuse_special(path)
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise DamagedError(
            path,
            f"has {size:,} bytes; a file of text has at most {MAX_TEXT_BYTES:,}, so "
            "snnb did not write it: move it away",
        )
    with raise_when_out_of_memory(path):
        return path.read_bytes()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    At most the size of the file is read, since files of /proc have no end. Raise
    `DamagedError` for a pipe, socket or device, and an `OSError` with the path if the
    file cannot be read.
    """
    refuse_special(path)
    digest = hashlib.sha256()
    with naming(path), path.open("rb") as file:
        bytes_left = os.fstat(file.fileno()).st_size
        while bytes_left > 0:
            block = file.read(min(BLOCK, bytes_left))
            if not block:
                break
            digest.update(block)
            bytes_left -= len(block)
    return digest.hexdigest()


@contextmanager
def naming(path: Path, hidden: Optional[Path] = None) -> Iterator[None]:
    """Add `path` to an error of the file system that names no file, or one in the directory `hidden`."""
    try:
        yield
    except OSError as error:
        file_name = (
            error.filename2 or error.filename
        )  # of a copy, the former is the target
        is_hidden = (
            isinstance(file_name, (str, Path))
            and hidden is not None
            and str(file_name).startswith(str(hidden))
        )
        if error.errno is None or (file_name is not None and not is_hidden):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextmanager
def noting(note: str) -> Iterator[None]:
    """Add a note to an error of the file system, such as what stands nevertheless."""
    try:
        yield
    except OSError as error:
        raise noted(error, note) from error


def noted(error: OSError, note: str) -> SnnbError:
    """Return the error for the user, with a note."""
    return class_of(error)(f"{describe_os_error(error)}; {note}")


def class_of(error: OSError) -> Type[SnnbError]:
    """Return the class of error that has the exit code of a failed file operation."""
    return ResourceError if error.errno in FULL else InputError


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
        with naming(path):
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

    numpy and HDF5 report an incomplete write without an error number, so the free space
    is examined too.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        is_full = getattr(error, "errno", None) in FULL or any(
            f"errno = {number}," in str(error) for number in FULL
        )
        if is_full or shutil.disk_usage(directory).free < BLOCK:
            raise ResourceError(
                f"{directory.parent}: {ADVICE[errno.ENOSPC]}"
            ) from error
        raise


def describe_os_error(error: OSError) -> str:
    """Return one line for a failed file operation, with advice for common failures."""
    where = f"{error.filename}: " if error.filename else ""
    advice = "; check this path, or give another one" if where else ""
    return where + ADVICE.get(error.errno or 0, f"{error.strerror or error}{advice}")


PARTIAL = ".partial"
# In the temporary directory: the record, the names of files that are being replaced,
# and the directory of their former content
OWNER, JOURNAL, REPLACED = ".owner", ".journal.json", ".replaced"
_PARTIAL_NAME = re.compile(rf"\.(.+)\.[a-z0-9_]{{8}}{re.escape(PARTIAL)}", re.DOTALL)


@contextmanager
def atomic_path(
    target: Path,
    *,
    force: bool,
    companions: Sequence[Path] = (),
    outdated_names: Sequence[Path] = (),
) -> Iterator[Path]:
    """Yield a temporary path for a file or directory that is renamed to `target` on success.

    `companions` are further files in the directory of `target`, which the block writes
    next to the temporary path. `outdated_names` are files there that describe the
    former target; they are removed on success. After an error all are as before. Raise
    `UsageError` if `target` exists and `force` is false, if its directory does not
    exist, or if a pipe, socket or device is in its place.
    """
    refuse_existing(target, force=True)
    is_complete = False
    try:
        with _own_directory(target) as scratch:
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
                names = [path.name for path in (target, *companions)]
                is_directory = temporary.is_dir() or target.is_dir()
                if (
                    is_directory
                    or companions
                    or any(map(os.path.lexists, outdated_names))
                ):
                    _replace_all(scratch, names, [path.name for path in outdated_names])
                # Rename(2) replaces one file without a moment in which it does not
                # exist
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
    with _own_directory(path) as scratch:
        temporary = scratch / path.name
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(
            path
        )  # fails for a directory, which `atomic_path` would replace
        sync_directory(path.parent)


def remove_partial(folder: Path) -> None:
    """Remove temporary directories of killed processes, and restore what they were replacing."""
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
    """Yield a temporary directory of this process next to `target`.

    Directories of killed processes are removed first. What cannot be removed after an
    error is removed by the next process.
    """
    with _locked(target.parent):
        _remove_partial(target.parent, target.name)
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


def _remove_partial(folder: Path, target: Optional[str] = None) -> None:
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


def _replace_all(
    scratch: Path, names: Sequence[str], outdated_names: Sequence[str]
) -> None:
    """Move the entries `names` of the temporary directory to their places, and remove the files `outdated_names`.

    The first name is that of the data, and the others those of descriptions.
    """
    folder = scratch.parent
    existence = {
        name: os.path.lexists(folder / name) for name in (*names, *outdated_names)
    }
    aside = scratch / REPLACED
    aside.mkdir()
    journal = scratch / JOURNAL
    journal.write_text(json.dumps(existence), encoding="utf-8")
    sync_directory(journal)
    sync_directory(scratch)
    # A kill in between leaves the data, old or new, without a description until the
    # next command.
    for name in reversed(
        [name for name, file_existed in existence.items() if file_existed]
    ):
        is_file = name == names[0] and not (scratch / name).is_dir()
        _set_aside(folder / name, aside / name, stays=is_file)
    for name in names:
        (scratch / name).replace(folder / name)
    journal.unlink()


def _set_aside(place: Path, aside: Path, *, stays: bool) -> None:
    """Move a file or directory aside; a file that `stays` is linked, so that it exists until it is replaced."""
    if stays and not place.is_dir():
        with suppress(OSError):  # the file system has no links
            os.link(str(place), str(aside), follow_symlinks=False)
            return
    place.replace(aside)


def _discard(scratch: Path) -> None:
    """Restore files whose replacement is not complete, and remove a temporary directory, its record last."""
    aside = scratch / REPLACED
    for name, file_existed in _journal(scratch / JOURNAL).items():
        place = scratch.with_name(name)
        if not file_existed:
            remove(place)
        elif os.path.lexists(aside / name):
            remove(place)
            (aside / name).replace(place)
    for entry in scratch.iterdir():
        if entry.name != OWNER:
            remove(entry)
    (scratch / OWNER).unlink(missing_ok=True)
    scratch.rmdir()


def _journal(path: Path) -> Dict[str, bool]:
    """Return the names that are being replaced, and whether they existed; empty without a journal.

    One that is not complete was being written when nothing was replaced yet.
    """
    try:
        existence = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    names = existence if isinstance(existence, dict) else {}
    is_valid = all(PurePosixPath(name).name == name for name in names)
    return names if is_valid else {}


def refuse_link(path: Path, error: Type[SnnbError] = UsageError) -> None:
    """Raise `error` if `path` is a link, whose target may be anything."""
    if path.is_symlink():
        raise error(f"{path} is a link, which is not followed; move it away")


def refuse_foreign(
    path: Path,
    own_names: Collection[str] = (),
    *,
    mark: str = "",
    error: Type[SnnbError] = UsageError,
) -> None:
    """Raise `error` if `path` is a link, or if replacing it would lose a file that `snnb` has not written.

    A file was written by `snnb` if `mark` is in its first 2 KiB, and a directory if it
    holds only the files `own_names`, paths relative to it.
    """
    refuse_link(path, error)
    if not path.exists():
        return
    known_names = {
        str(part)
        for name in own_names
        for part in (PurePosixPath(name), *PurePosixPath(name).parents)
    }
    for entry in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if entry == path and mark:
            with path.open("rb") as file:
                is_own = mark.encode() in file.read(2048)
        else:
            is_own = (
                not entry.is_symlink()
                and entry != path
                and entry.relative_to(path).as_posix() in known_names
            )
        if not is_own:
            raise error(
                f"{entry} was not written by `snnb` and would be lost; move it away "
                "first"
            )


def refuse_existing(target: Path, *, force: bool) -> None:
    """Raise `UsageError` if `target` cannot be written.

    That is if it exists and `force` is false, if it is a pipe, socket or device, which
    is never replaced, or if its directory does not exist.
    """
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such directory; make it first")
    if not os.path.lexists(target):
        return
    mode = target.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        raise UsageError(
            f"{target} is a pipe, socket or device, which is not replaced; give "
            "another path"
        )
    if not force:
        raise UsageError(
            f"{target} exists; give another path, or --force to replace it"
        )
