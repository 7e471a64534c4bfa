"""Download files over HTTP with pooch, which compares the SHA-256 with the published one."""

from pathlib import Path
from typing import Sequence
from urllib.parse import urlsplit

import pooch
import requests

from snnb.core.errors import InputError, SnnbError, first_line
from snnb.core.progress import Progress, Throttle

BLOCK_BYTES = 2**16


def download(
    urls: Sequence[str],
    path: Path,
    *,
    sha256: str,
    progress: Progress,
) -> None:
    """Download a file from the first of several URLs that has it.

    The file `path` appears only when it is complete and has the published SHA-256; an
    existing file with another one is replaced. `progress` is called with numbers of
    bytes. Raise `InputError` if no URL has the file, or its SHA-256 is not the
    published one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("WARNING")
    exists, reason = path.exists(), ""
    for url in urls:
        downloader = pooch.HTTPDownloader(
            _DownloadProgress(progress, path.name),
            BLOCK_BYTES,
            headers={"Accept-Encoding": "identity"},
        )
        try:
            pooch.retrieve(url, sha256, path.name, path.parent, downloader=downloader)
        except (
            requests.RequestException,
            ValueError,
        ) as error:  # ValueError: another SHA-256
            reason = f"{urlsplit(url).netloc}: {first_line(_root_of(error))}"
        else:
            if not exists:
                # Pooch leaves the mode of its temporary file, which only the owner can
                # read
                path.chmod(0o644)
            return
    mismatch = "is not the published file, by its SHA-256, and " if exists else ""
    raise InputError(
        f"{path.name} {mismatch}could not be downloaded: {reason}; try again, or put "
        f"the file into {path.parent}.",
    )


def _root_of(error: BaseException) -> BaseException:
    """Return the error that caused others, whose messages have addresses of objects.

    Not one before the download.
    """
    cause = error.__cause__ or error.__context__
    return error if cause is None or isinstance(cause, SnnbError) else _root_of(cause)


class _DownloadProgress:
    """Adapter from the interface of progress bars that pooch calls to `Progress`."""

    total = 0  # set by pooch

    def __init__(self, progress: Progress, note: str) -> None:
        self._progress, self._note = progress, note
        self._done, self._throttle = 0, Throttle()

    def update(self, size: int) -> None:
        """Add to the number of bytes; pooch counts the last block as a full one."""
        self._done += size
        if self._throttle.due(last=self._done == self.total):
            self._progress(min(self._done, self.total), self.total, self._note)

    def reset(self) -> None:
        """Start again from 0; pooch does so at the end, before it adds the total."""
        self._done = 0

    def close(self) -> None:
        """Do nothing."""
