"""The lock of a run directory.

One process at a time holds it; others wait, or raise an error that names the process.
It is flock(2) on `RUN/.lock`, whose content describes the holder. A link there is not
followed, since a run directory may come from somebody else.
"""

import errno
import fcntl
import json
import os
import socket
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from snnb.core.errors import InputError, ReadOnlyError, UpstreamError
from snnb.core.progress import Say
from snnb.io.files import refuse_special
from snnb.io.text import load_json, printable
from snnb.rundir.environment import now_utc

LOCK = ".lock"
POLL_SECONDS = 0.2
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def holder_of(directory: Path) -> str:
    """Return a description of the process that holds the lock."""
    try:
        holder = load_json(directory / LOCK)
        fields = [
            printable(str(holder[name]))[:200]
            for name in ("pid", "host", "since", "command")
        ]
    except (OSError, InputError, TypeError, KeyError):
        return "another process"
    return "process {} on {} since {} ({})".format(*fields)


@contextmanager
def locked(directory: Path, *, wait: bool, say: Say) -> Iterator[None]:
    """Hold the run directory's lock.

    While another process holds it, describe that process with `say` and wait, or raise
    `UpstreamError` without `wait`.
    """
    refuse_special(directory / LOCK)
    try:
        descriptor = os.open(
            str(directory / LOCK),
            os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o666,
        )
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        raise ReadOnlyError(
            f"{directory} is read-only ({error.strerror}); copy the run and work on "
            "the copy, or give another --run-dir",
        ) from None
    try:
        if not _acquire(descriptor):
            holder = holder_of(directory)
            if not wait:
                raise UpstreamError(
                    f"{directory} is in use by {holder}; wait for it, or omit "
                    "--no-wait",
                )
            say(f"waiting for {directory}, in use by {holder}")
            while not _acquire(descriptor):
                time.sleep(POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        process = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": now_utc().isoformat(timespec="seconds"),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }
        os.write(descriptor, json.dumps(process).encode())
        yield
    finally:
        os.close(descriptor)


def is_locked(directory: Path) -> bool:
    """Whether a process holds the lock; nothing is written."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(str(directory / LOCK), flags)
    except OSError:  # there is none, or it cannot be read
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
