"""Files over HTTP: continued where the last attempt ended, and taken only when their SHA-256 is the published one."""

import logging
import shutil
from pathlib import Path
from typing import Sequence

import requests
from filelock import FileLock

from snnb.datasets.compressed import BROKEN_STREAM, sha256_of
from snnb.errors import InputError, ResourceError
from snnb.progress import Progress, Throttle

BLOCK = 2**16  # what a broken connection loses at most
TIMEOUT_S = (10, 60)

log = logging.getLogger(__name__)


def download(urls: Sequence[str], path: Path, *, sha256: str, size: int, unpacked: bool, progress: Progress) -> None:
    """Fetch a file from the first of several addresses that has it.

    What an interrupted attempt left (``path`` + ``.part``) is continued; `path` appears only once its hash is right.

    Parameters
    ----------
    sha256 : of the file, or with `unpacked` of what its gzip stream holds: archives of the same content differ.
    size : bytes that the file takes, for the check of the free disk.
    progress : called with bytes.

    Raises
    ------
    InputError : no address has the file, what came has another hash, or the folder cannot be written.
    ResourceError : not enough disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_disk(path, size)
        with FileLock(str(path.with_name(f".{path.name}.lock"))):
            if not path.exists():
                _download(urls, path, sha256, unpacked, progress)
            elif sha256_of(path, unpacked) != sha256:
                raise InputError(f"{path} is not the published file, by its SHA-256: remove it to download it again.")
    except PermissionError as error:
        raise InputError(f"{path.parent} cannot be written ({error.strerror}): give another --data-dir.") from None


def _download(urls: Sequence[str], path: Path, sha256: str, unpacked: bool, progress: Progress) -> None:
    part = path.with_name(path.name + ".part")
    failures = []
    for url in urls:
        try:
            _fetch(url, part, progress)
            found = sha256_of(part, unpacked)
        except requests.RequestException as error:
            failures.append(f"{url}: {_in_one_line(error)}")
            continue
        except BROKEN_STREAM:
            found = "of a broken gzip stream"
        if found == sha256:
            part.replace(path)
            return
        part.unlink()
        failures.append(f"{url}: the SHA-256 of what came is not the published one")
    for failure in failures:
        log.info(failure)
    raise InputError(
        f"{path.name} could not be downloaded: {failures[-1]}; try again, or put the file into {path.parent}."
    )


def _fetch(url: str, part: Path, progress: Progress) -> None:
    """Bring `part` to its full length; a connection that breaks is taken up again as long as it brings anything."""
    while True:
        have = part.stat().st_size if part.exists() else 0
        try:
            return _continue(url, part, have, progress)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.Timeout):
            if not part.exists() or part.stat().st_size <= have:
                raise


def _continue(url: str, part: Path, have: int, progress: Progress) -> None:
    # Without `identity` a server may compress once more, and byte positions would mean nothing.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing, or the hash will tell
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        have = have if resumed else 0
        total = have + int(answer.headers.get("Content-Length", 0))
        throttle = Throttle()
        with part.open("ab" if resumed else "wb") as stream:
            for block in answer.iter_content(BLOCK):
                have += stream.write(block)
                if throttle.due(last=have == total):
                    progress(have, max(total, have), part.stem)
    if have < total:
        raise requests.ConnectionError(f"the connection ended {total - have} bytes early")


def _check_disk(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise ResourceError(
            f"{path.name} takes {size / 1e6:.0f} MB, {path.parent} has {free / 1e6:.0f} MB free: "
            "free some, or give a --data-dir on another disk."
        )


def _in_one_line(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    return type(error).__name__ if isinstance(error, requests.ConnectionError) else str(error).split("\n")[0]
