"""Files: read only if they are regular, hashed, copied, removed, and flushed to the disk."""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, FrozenSet, Iterator, List, Tuple

from snnb.core.errors import InputError, ResourceError

BLOCK = 1 << 20
PARTIAL = ".partial"
FULL = (errno.ENOSPC, errno.EDQUOT)
ROOM = "make room or choose another disk, then run the same command again"
ADVICE = {
    errno.ENOSPC: f"the disk is full; {ROOM}",
    errno.EDQUOT: f"the disk quota is used up; {ROOM}",
    errno.EROFS: "the file system is read-only; give a place that can be written",
    errno.EACCES: "permission denied; `ls -l` on it and on its folder says whose it is",
    errno.EPERM: "not permitted; `ls -l` on it and on its folder says whose it is",
    errno.ELOOP: "is a symbolic link, which is not followed here; put the file itself in its place",
    errno.EISDIR: "is a directory where a file is expected; move it away",
    errno.ENOTDIR: "a part of this path is a file where a directory is expected; move it away or give another path",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
}
Ancestors = FrozenSet[Tuple[int, int]]  # device and inode
FICLONE = 0x40049409  # linux/fs.h: share the extents of another file (btrfs, XFS)
KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path, *, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading; a FIFO, where opening would wait for a writer, is refused.

    Raises
    ------
    InputError
        `path` is a directory, FIFO, socket or device.
    OSError
        It cannot be opened; with `follow_links` false also (ELOOP) when it is a symbolic link.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(str(path), flags)
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        raise InputError(f"{path} is {KINDS.get(kind, 'no regular file')}, not a regular file; put a file in its place")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, longest: int, remedy: str) -> bytes:
    """Return all bytes of a regular file; raise `InputError` when there are more than `longest`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1) if size <= longest else b""  # one byte more, since the file may be growing
    if max(size, len(content)) > longest:
        raise InputError(f"{path} is longer than {longest / 2**20:,.0f} MiB; {remedy}")
    return content


def files_below(folder: Path) -> Iterator[Tuple[str, os.stat_result]]:
    """Yield every regular file below a folder: its path relative to the folder, with `/`, and its status.

    They come in the order of the parts of their paths. Hidden files and folders and broken links are left out. Other
    links are followed, but not to a folder that contains them.
    """
    waiting: List[Tuple[str, str, Ancestors]] = [("", str(folder), frozenset())]
    while waiting:
        name, path, above = waiting.pop()
        try:
            status = Path(path).stat()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):
                continue
            raise
        identity = (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode):
            yield name, status
        elif stat.S_ISDIR(status.st_mode) and identity not in above:
            with os.scandir(path) as entries:
                inside = sorted((e.name for e in entries if not e.name.startswith(".")), reverse=True)
            prefix, inner = f"{name}/" if name else "", above | {identity}
            waiting.extend((f"{prefix}{entry}", f"{path}/{entry}", inner) for entry in inside)


def listing_of(folder: Path) -> str:
    """Return the SHA-256 of the names, sizes and times of change of all files below a folder, without reading them."""
    digest = hashlib.sha256()
    for name, status in files_below(folder):
        digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(name) + b"\0")
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file as 64 hexadecimal digits, reading it block by block."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def write_text_atomically(path: Path, text: str) -> None:
    """Write a file so that at any moment it has either the old or the new content. A link at `path` is replaced."""
    partial = partial_of(path)
    partial.unlink(missing_ok=True)  # left by a killed process, or a link to another place
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(str(partial), flags, 0o666), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def partial_of(path: Path) -> Path:
    """Return where a file or directory is written before it is moved to `path`: beside it, hidden."""
    return path.with_name(f".{path.name}{PARTIAL}")


def remove(path: Path) -> None:
    """Remove a file, a link (but not its target) or a directory with its content; do nothing where there is none."""
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
    """Copy a file, sharing its blocks if the file system can. A later change of one copy does not change the other."""
    with open_regular(source) as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), FICLONE, read.fileno())
        except OSError:
            shutil.copyfileobj(read, write, BLOCK)


def require_disk(directory: Path, size_bytes: int, what: str) -> None:
    """Raise `ResourceError` when the disk of `directory` has less than `size_bytes` and 1 % free."""
    free = shutil.disk_usage(directory).free
    if free < size_bytes * 1.01:
        raise ResourceError(
            f"{what} needs {size_bytes / 1e6:,.1f} MB, but the disk of {directory} has {free / 1e6:,.1f} MB free; "
            "make room or choose another --run-dir"
        )


@contextmanager
def disk_full_told(directory: Path) -> Iterator[None]:
    """Turn any error that a full disk causes in a library into a `ResourceError`.

    numpy and HDF5 report an incomplete write without its error number, or in their text, so the free space of the disk
    is compared.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        told = getattr(error, "errno", None) in FULL or any(f"errno = {number}," in str(error) for number in FULL)
        if told or shutil.disk_usage(directory).free < BLOCK:
            raise ResourceError(f"{directory.parent}: {ADVICE[errno.ENOSPC]}") from error
        raise


def describe_os_error(error: OSError) -> str:
    """Return one line for a failed file operation, which says what to do about common failures."""
    where = f"{error.filename}: " if error.filename else ""
    return where + ADVICE.get(error.errno or 0, f"{error.strerror or error}")
