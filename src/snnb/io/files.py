"""Hash, copy, list and remove files, and describe errors of the file system."""

import errno
import fcntl
import hashlib
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Tuple

from snnb.core.errors import ResourceError

BLOCK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
MAKE_SPACE = "make space or choose another disk, then run the same command again"
ADVICE = {
    errno.ENOSPC: f"the disk is full; {MAKE_SPACE}",
    errno.EDQUOT: f"the disk quota is used up; {MAKE_SPACE}",
    errno.EROFS: "the file system is read-only; give a place that can be written",
    errno.EACCES: "permission denied; `ls -l` on it and on its folder shows the owner",
    errno.EPERM: "not permitted; `ls -l` on it and on its folder shows the owner",
    errno.ELOOP: "is a symbolic link, which is not followed here; put the file itself in its place",
    errno.EISDIR: "is a directory where a file is expected; move it away",
    errno.ENOENT: "no such file or directory, nor can it be made; check the path, or give another one",
    errno.EEXIST: "exists already; move it away, or give another path",
    errno.ENOTDIR: "a part of this path is a file where a directory is expected; move it away or give another path",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
}
FICLONE = 0x40049409  # linux/fs.h: share the extents of another file (btrfs, XFS)


def _files_below(folder: Path) -> Iterator[Tuple[str, os.stat_result]]:
    """Yield path (with `/`) and status of the files below a folder, without hidden ones and broken links."""
    for parent, folders, names in os.walk(str(folder), followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(folder).as_posix(), path.stat()


def sizes_below(folder: Path) -> Dict[str, int]:
    """Return the sizes in bytes of the files below a folder by path, without hidden ones; links are followed."""
    return {name: status.st_size for name, status in _files_below(folder)}


def listing_of(folder: Path) -> str:
    """Return the SHA-256 of the names, sizes and modification times of all files below a folder."""
    digest = hashlib.sha256()
    for name, status in _files_below(folder):
        digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(name) + b"\0")
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
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


def copy_file(source: Path, target: Path) -> None:
    """Copy the content of a file; the copies share blocks where the file system supports reflinks."""
    with source.open("rb") as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), FICLONE, read.fileno())
        except OSError:
            shutil.copyfileobj(read, write, BLOCK)


def require_disk(directory: Path, size_bytes: int, subject: str) -> None:
    """Raise `ResourceError` if the disk of a directory has less than `size_bytes` and 1 % free for `subject`."""
    free = shutil.disk_usage(directory).free
    if free < size_bytes * 1.01:
        raise ResourceError(
            f"{subject} needs {size_bytes / 1e6:,.1f} MB, but the disk of {directory} has {free / 1e6:,.1f} MB free; "
            f"{MAKE_SPACE}"
        )


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
