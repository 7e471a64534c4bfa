"""Read, hash and remove files, describe errors of the file system, and refuse to replace files of others."""

import errno
import hashlib
import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Collection, Iterator, Optional, Type

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
