"""Download files over HTTP, resume interrupted downloads, and compare the SHA-256 with the published one."""

import gzip
import hashlib
import logging
import shutil
import zlib
from pathlib import Path
from typing import Sequence

import requests
from filelock import FileLock

from snnb.core.errors import InputError, ResourceError
from snnb.core.progress import Progress, Throttle
from snnb.io.files import sha256_of

BLOCK_BYTES = 2**16  # the most that is lost when a connection breaks
TIMEOUT_S = (10, 60)

log = logging.getLogger(__name__)


def download(urls: Sequence[str], path: Path, *, sha256: str, size: int, unpacked: bool, progress: Progress) -> None:
    """Download a file from the first of several URLs that has it.

    An interrupted download is resumed. The file `path` appears only when it is complete and has the right SHA-256.

    Parameters
    ----------
    urls : sequence of str
        URLs, tried in this order.
    path : Path
        The file to write; if it exists, only its SHA-256 is checked.
    sha256 : str
        Published SHA-256.
    size : int
        Number of bytes that must be free on the disk.
    unpacked : bool
        Whether `sha256` is that of the decompressed content of a gzipped file.
    progress : Progress
        Called with numbers of bytes.

    Raises
    ------
    InputError
        No URL has the file, its SHA-256 is not the published one, or the folder is not writable.
    ResourceError
        The disk has too little free space.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if free < size:
            raise ResourceError(
                f"{path.name} takes {size / 1e6:.0f} MB, {path.parent} has {free / 1e6:.0f} MB free: "
                "make room, or choose a --data-dir on another disk."
            )
        with FileLock(str(path.with_name(f".{path.name}.lock"))):
            if not path.exists():
                _download(urls, path, sha256, unpacked, progress)
            elif _sha256(path, unpacked) != sha256:
                raise InputError(f"{path} is not the published file, by its SHA-256: remove it to download it again.")
    except PermissionError as error:
        raise InputError(f"{path.parent} cannot be written ({error.strerror}): give another --data-dir.") from None


def _download(urls: Sequence[str], path: Path, sha256: str, unpacked: bool, progress: Progress) -> None:
    part = path.with_name(path.name + ".part")
    failures = []
    for url in urls:
        try:
            _fetch(url, part, progress)
            if _sha256(part, unpacked) == sha256:
                part.replace(path)
                return
        except requests.RequestException as error:
            failures.append(f"{url}: {_reason(error)}")
            continue
        part.unlink()
        failures.append(f"{url}: the SHA-256 of the downloaded file is not the published one")
    log.info("; ".join(failures))
    raise InputError(
        f"{path.name} could not be downloaded: {failures[-1]}; try again, or put the file into {path.parent}."
    )


def _sha256(path: Path, unpacked: bool) -> str:
    if not unpacked:
        return sha256_of(path)
    try:
        return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
    except (EOFError, OSError, zlib.error) as error:
        return f"none: a damaged gzip stream ({error})"


def _fetch(url: str, part: Path, progress: Progress) -> None:
    """Complete the file `part`. Retry after a broken connection, unless the last attempt transferred nothing."""
    while True:
        have = part.stat().st_size if part.exists() else 0
        try:
            return _continue(url, part, have, progress)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.Timeout):
            if not part.exists() or part.stat().st_size <= have:
                raise


def _continue(url: str, part: Path, have: int, progress: Progress) -> None:
    # Without `identity` a server may compress the file again, which changes the byte positions.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # the file is complete, or its hash is wrong
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        have = have if resumed else 0
        total = have + int(answer.headers.get("Content-Length", 0))
        throttle = Throttle()
        with part.open("ab" if resumed else "wb") as stream:
            for block in answer.iter_content(BLOCK_BYTES):
                have += stream.write(block)
                if throttle.due(last=have == total):
                    progress(have, max(total, have), part.stem)
    if have < total:
        raise requests.ConnectionError(f"the connection ended {total - have} bytes early")


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    return type(error).__name__ if isinstance(error, requests.ConnectionError) else str(error).split("\n")[0]
