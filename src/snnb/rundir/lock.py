"""One process at a time works on a run directory; the others wait, or learn which process it is.

The lock is flock(2) on `RUN/.lock`. A link there is not followed, since a run directory may come from somebody else.
"""

import errno
import fcntl
import json
import os
import socket
import stat
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from snnb.core.errors import InputError, UpstreamError
from snnb.core.progress import Say
from snnb.io.files import remove, write_text_atomically
from snnb.io.text import load_json, printable
from snnb.rundir.versions import now_utc

LOCK, HOLDER = ".lock", ".lock-holder"
POLL_SECONDS = 0.2
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def holder_of(directory: Path) -> str:
    """Say which process holds the lock."""
    try:
        holder = load_json(directory / HOLDER, "", longest=1 << 16)
    except (OSError, InputError):
        return "another process"
    if not isinstance(holder, dict):
        return "another process"
    said = {name: printable(str(holder.get(name, "?")))[:200] for name in ("pid", "host", "since", "command")}
    return f"process {said['pid']} on {said['host']} since {said['since']} ({said['command']})"


@contextmanager
def locked(directory: Path, *, wait: bool, say: Say) -> Iterator[None]:
    """Hold the run directory's lock.

    Parameters
    ----------
    directory : Path
        The run directory.
    wait : bool
        Wait while another process holds it.
    say : callable
        Called with a line that says which process is waited for.

    Raises
    ------
    UpstreamError
        Another process holds it and `wait` is false.
    InputError
        `.lock` is a link or no regular file, or the directory is read-only.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(str(directory / LOCK), flags, 0o666)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        raise InputError(f"{directory} is read-only ({error.strerror}); copy the run and work on the copy") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{directory / LOCK} is no regular file; remove it")
        if not _acquire(descriptor):
            holder = holder_of(directory)
            if not wait:
                raise UpstreamError(f"{directory} is in use by {holder}; wait for it, or leave out --no-wait")
            say(f"waiting for {directory}, in use by {holder}")
            while not _acquire(descriptor):
                time.sleep(POLL_SECONDS)
        write_text_atomically(directory / HOLDER, _this_process())
        try:
            yield
        finally:
            remove(directory / HOLDER)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _this_process() -> str:
    return json.dumps(
        {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": now_utc().isoformat(timespec="seconds"),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }
    )
