"""One process at a time works on a run directory; the others wait, or learn who holds it."""

import json
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from filelock import FileLock, Timeout

from snnb.errors import UpstreamError
from snnb.rundir.environment import now_utc


def holder_of(directory: Path) -> str:
    """Who holds the lock, in words."""
    try:
        holder = json.loads((directory / ".lock-holder").read_text())
        return f"process {holder['pid']} on {holder['host']} since {holder['since']} ({holder['command']})"
    except (OSError, ValueError, KeyError):
        return "another process"


@contextmanager
def locked(directory: Path, *, wait: bool, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the run directory's lock.

    Raises
    ------
    UpstreamError
        Another process holds it and `wait` is false.
    """
    lock = FileLock(str(directory / ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = holder_of(directory)
        if not wait:
            raise UpstreamError(f"{directory} is in use by {holder}; wait for it, or leave out --no-wait") from None
        say(f"waiting for {directory}, in use by {holder}")
        lock.acquire(poll_interval=0.2)
    record = directory / ".lock-holder"
    try:
        record.write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "host": socket.gethostname(),
                    "since": now_utc().isoformat(timespec="seconds"),
                    "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
                }
            )
        )
        yield
    finally:
        record.unlink(missing_ok=True)
        lock.release()
