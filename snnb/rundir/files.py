"""Files that are written whole or not at all, copied cheaply, hashed, and refused when the disk cannot hold them."""

import errno
import fcntl
import hashlib
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterable, Iterator, List

from snnb.errors import ResourceError
from snnb.rundir.records import FileRecord

BLOCK = 1 << 20
PARTIAL = ".partial"
FULL = (errno.ENOSPC, errno.EDQUOT)
ADVICE = {
    errno.ENOSPC: "the disk is full; make room or choose another --run-dir, then run the same command again",
    errno.EDQUOT: "the disk quota is used up; make room or choose another --run-dir",
    errno.EROFS: "the file system is read-only; choose a --run-dir that can be written",
    errno.EACCES: "permission denied; choose a --run-dir that you may write",
    errno.EPERM: "not permitted; choose a --run-dir that you may write",
}
FICLONE = 0x40049409  # linux/fs.h: share the extents of another file (btrfs, XFS)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits; memory stays flat."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def external_record(paths: Iterable[Path]) -> List[FileRecord]:
    """Records of files outside the run: each one of a few, or one of their common folder when there are many.

    The hash of a folder is that of its listing, lines of `sha256  relative/path` sorted by path.
    """
    files = sorted(path.resolve() for path in paths)
    if len(files) <= 20:
        return [FileRecord(path=str(f), sha256=sha256_of(f), size_bytes=f.stat().st_size, external=True) for f in files]
    folder = Path(os.path.commonpath([str(f) for f in files]))
    listing = "".join(f"{sha256_of(f)}  {f.relative_to(folder).as_posix()}\n" for f in files)
    digest = hashlib.sha256(listing.encode()).hexdigest()
    size = sum(f.stat().st_size for f in files)
    return [FileRecord(path=str(folder), sha256=digest, size_bytes=size, external=True)]


def write_text_atomically(path: Path, text: str) -> None:
    """Write a file so that at any moment either the old or the new content is there."""
    partial = path.with_name(f".{path.name}{PARTIAL}")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames inside `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Flush every file and directory below `path` to the disk."""
    for folder, _, names in os.walk(path):
        for name in names:
            descriptor = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(Path(folder))


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can; never a hard link: neither copy changes the other."""
    with source.open("rb") as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), FICLONE, read.fileno())
        except OSError:
            shutil.copyfileobj(read, write, BLOCK)


def require_disk(directory: Path, size_bytes: int, what: str) -> None:
    """Raise `ResourceError` when the disk of `directory` has not `size_bytes` free (and a margin of 1 %)."""
    free = shutil.disk_usage(directory).free
    if free < size_bytes * 1.01:
        raise ResourceError(
            f"{what} needs {size_bytes / 1e6:,.1f} MB, but the disk of {directory} has {free / 1e6:,.1f} MB free; "
            "make room or choose another --run-dir"
        )


@contextmanager
def disk_full_told(directory: Path) -> Iterator[None]:
    """Turn whatever a library makes of a full disk into a `ResourceError`.

    numpy and HDF5 report a short write without its error number, so the disk itself is asked.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if getattr(error, "errno", None) in FULL or shutil.disk_usage(directory).free < BLOCK:
            raise ResourceError(f"{directory.parent}: {ADVICE[errno.ENOSPC]}") from error
        raise


def describe_os_error(error: OSError) -> str:
    """One line for a failed file operation, with what to do about the common ones."""
    where = f"{error.filename}: " if error.filename else ""
    return where + ADVICE.get(error.errno or 0, f"{error.strerror or error}")
