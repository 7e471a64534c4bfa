"""Records of files and folders outside the run, by their SHA-256 hashes."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, overload

from snnb.core.progress import Progress, silent
from snnb.io.files import refuse_special, sha256_of
from snnb.rundir.manifest import FileRecord


def file_record(path: Path, sha256: Optional[str] = None) -> FileRecord:
    """Return the record of a file outside the run; its hash is computed if it is not given."""
    size = path.stat().st_size
    return FileRecord(
        path=str(path.absolute()),
        sha256=sha256 or sha256_of(path),
        size_bytes=size,
        external=True,
    )


def external_records(
    paths: Iterable[Path],
    progress: Progress = silent,
) -> List[FileRecord]:
    """Return records of files and folders outside the run.

    What a link in a folder leads to has its own record, unless it is in the folder too.
    `progress` is called with the number of bytes hashed.
    """
    records: Dict[str, FileRecord] = {}
    pending = sorted(paths, reverse=True)
    while pending:
        path = pending.pop()
        if str(path.absolute()) in records:
            continue
        if not path.is_dir():
            records[str(path.absolute())] = file_record(path)
            continue
        listing = list_folder(path)
        records[str(path.absolute())] = FileRecord(
            path=str(path.absolute()),
            sha256=_content(path, listing, progress),
            size_bytes=sum(listing.sizes.values()),
            external=True,
            files=len(listing.sizes),
            listing=listing.sha256,
        )
        folder = path.resolve()
        targets = set()
        for link in sorted(listing.links):
            refuse_special(path / link)
            target = (path / link).resolve()
            if target.exists() and folder not in (target, *target.parents):
                targets.add(target)
        pending += sorted(targets)
    return list(records.values())


def changed(record: FileRecord, *, read_all: bool = False) -> Optional[str]:
    """Return how a file or folder outside the run differs from its record.

    Return None if it is equal, or if it does not exist or cannot be read on this
    machine. With `read_all`, compare the content of a folder even if its listing is the
    recorded one, and raise `OSError` for what cannot be read.
    """
    path = Path(record.path)
    try:
        if not is_on_this_machine(record):
            return None
        if path.is_dir():
            same = record.files is not None and _is_same_folder(path, record, read_all)
        else:
            same = (
                path.is_file()
                and path.stat().st_size == record.size_bytes
                and sha256_of(path) == record.sha256
            )
    except OSError as error:
        if read_all and not isinstance(error, PermissionError):
            raise
        return None
    return None if same else "has changed"


def is_on_this_machine(record: FileRecord) -> bool:
    """Whether a file or folder outside the run exists here, and this user may read it."""
    return os.access(record.path, os.R_OK)


def _is_same_folder(path: Path, record: FileRecord, read_all: bool) -> bool:
    listing = list_folder(path, record)
    if listing is None:
        return False
    if listing.sha256 == record.listing and not read_all:
        return True
    if sum(listing.sizes.values()) != record.size_bytes:
        return False
    # A copy has other modification times
    return _content(path, listing, silent) == record.sha256


class Listing(NamedTuple):
    """The files below a folder that are not hidden."""

    sha256: str  # of names, sizes and modification times
    # Bytes by path, which is relative and has `/`; of a link, the length of the path in
    # it
    sizes: Dict[str, int]
    links: Dict[str, str]  # paths in the links


@overload
def list_folder(folder: Path) -> Listing: ...


@overload
def list_folder(folder: Path, bounds: FileRecord) -> Optional[Listing]: ...


def list_folder(folder: Path, bounds: Optional[FileRecord] = None) -> Optional[Listing]:
    """List the files and links below a folder; links are not followed, and other entries are ignored.

    Return None as soon as there are more files or bytes than in the record `bounds`.
    """
    digest = hashlib.sha256()
    sizes: Dict[str, int] = {}
    links: Dict[str, str] = {}
    size_bytes = 0
    for parent, folders, names in os.walk(str(folder)):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in linked
        )
        for name in sorted([*names, *linked]):
            file = Path(parent, name)
            status = file.lstat()
            path = file.relative_to(folder).as_posix()
            if name.startswith(".") or not (
                stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
            ):
                continue
            digest.update(
                f"{status.st_size} {status.st_mtime_ns} ".encode()
                + os.fsencode(path)
                + b"\0",
            )
            sizes[path] = status.st_size
            size_bytes += status.st_size
            if stat.S_ISLNK(status.st_mode):
                links[path] = os.readlink(str(file))
            if bounds is not None and (
                len(sizes) > (bounds.files or 0) or size_bytes > bounds.size_bytes
            ):
                return None
    return Listing(digest.hexdigest(), sizes, links)


def _content(folder: Path, listing: Listing, progress: Progress) -> str:
    """Return the hash of a folder, see `FileRecord`."""
    digest = hashlib.sha256()
    total, done = sum(listing.sizes.values()), 0
    for path in sorted(listing.sizes, key=lambda path: path.split("/")):
        if path in listing.links:
            sha256 = hashlib.sha256(os.fsencode(listing.links[path])).hexdigest()
        else:
            sha256 = sha256_of(folder / path)
        digest.update(f"{sha256}  ".encode() + os.fsencode(path) + b"\n")
        done += listing.sizes[path]
        progress(done, total, "hashes")
    return digest.hexdigest()
