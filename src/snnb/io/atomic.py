"""A file or directory that appears under its name when it is complete, in place of what was there or not at all."""

import fcntl
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Sequence

from snnb.core.errors import UsageError
from snnb.io.files import partial_of, remove, sync_directory, sync_tree

REPLACED = ".replaced"  # in a partial directory, what its target was


@contextmanager
def written_whole(
    target: Path, *, force: bool, beside: Sequence[Path] = (), outdated: Sequence[Path] = ()
) -> Iterator[Path]:
    """Give a name to write a file or directory under; move it to `target` when the block ends without an error.

    Parameters
    ----------
    target : Path
        Where the file or directory will be.
    force : bool
        Whether it may replace what is there.
    beside : sequence of Path
        Files beside `target` that belong to it: the block writes them under their names beside the name given.
    outdated : sequence of Path
        Files beside `target` that belong to what it replaces: they are removed with that.

    Raises
    ------
    UsageError
        `target` exists and `force` is not set, its directory does not exist, or another process writes it.
    """
    remove_partial(target)
    for path in (target, *beside):
        refuse_existing(path, force=force)
    scratch = partial_of(target)
    temporary, aside, at_work = scratch / target.name, scratch / REPLACED, -1
    scratch.mkdir(mode=0o700)  # nobody else can put a link there that would be followed
    try:
        at_work = os.open(str(scratch), os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(at_work, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
        sync_tree(scratch)
        places = [*beside, target]
        if os.path.lexists(str(target)):  # killed from here on, it leaves nothing old beside what is new
            places = [target, *beside]
            for path in (*beside, *outdated):
                path.unlink(missing_ok=True)  # a folder there is somebody's
            # A directory cannot replace another file or directory in one operation.
            if temporary.is_dir() or target.is_dir():
                target.replace(aside)
        for place in places:
            temporary.with_name(place.name).replace(place)
        sync_directory(target.parent)
    finally:
        if aside.exists() and not target.exists():
            aside.replace(target)
        remove(scratch)
        if at_work != -1:
            os.close(at_work)


def remove_partial(target: Path) -> None:
    """Remove what a killed process has left of writing `target`, and put back what it was about to replace.

    Raises
    ------
    UsageError
        Another process is writing it.
    """
    scratch = partial_of(target)
    _refuse_at_work(scratch, target)
    if not scratch.is_symlink() and (scratch / REPLACED).exists() and not os.path.lexists(str(target)):
        (scratch / REPLACED).replace(target)
    remove(scratch)


def _refuse_at_work(scratch: Path, target: Path) -> None:
    """Raise `UsageError` while another process, which holds a lock on `scratch`, writes `target`."""
    if scratch.is_symlink() or not scratch.is_dir():
        return
    descriptor = os.open(str(scratch), os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"{target} is being written by another process; wait for it, or give another path") from None
    finally:
        os.close(descriptor)


@contextmanager
def flushed_meanwhile(path: Path, seconds: float = 0.05) -> Iterator[None]:
    """Flush a file or directory to disk again and again while the block writes it, so that the disk works meanwhile.

    Parameters
    ----------
    path : Path
        The file or directory; it need not exist yet.
    seconds : float
        Time between two flushes.

    Raises
    ------
    OSError
        The disk failed, and the block raised nothing. The system reports such a failure only once.
    """
    stop = threading.Event()
    errors: List[OSError] = []

    def flush() -> None:
        while not stop.wait(seconds):
            try:
                sync_tree(path)
            except FileNotFoundError:
                continue  # not written yet, or removed by the writer
            except OSError as error:
                errors.append(error)
                return

    thread = threading.Thread(target=flush, name="flush", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


def refuse_existing(target: Path, *, force: bool) -> None:
    """Raise `UsageError` when `target` exists and may not be replaced, or its directory does not exist."""
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such directory; make it first")
    if (target.exists() or target.is_symlink()) and not force:
        raise UsageError(f"{target} exists; give another path, or --force to replace it")
