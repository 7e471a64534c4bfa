"""Files and directories that appear under their name only when they are complete."""

import os
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from snnb.errors import UsageError


@contextmanager
def written_whole(target: Path, *, force: bool) -> Iterator[Path]:
    """Give a name to write a file or directory under; move it to `target` when the block ends without an error.

    Raises
    ------
    UsageError
        If `target` exists and `force` is not set, or its directory does not exist.
    """
    refuse_existing(target, force=force)
    temporary, aside = (target.with_name(f".{target.name}.{what}") for what in ("partial", "replaced"))
    _remove(temporary)  # what a killed process left
    try:
        yield temporary
        _sync(temporary)
        if temporary.is_dir() or target.is_dir():  # a directory and what stands in its place cannot change at once
            _remove(aside)
            if target.exists() or target.is_symlink():
                target.replace(aside)
        temporary.replace(target)
        _remove(aside)
    finally:
        _remove(temporary)


@contextmanager
def flushed_meanwhile(path: Path, seconds: float = 0.05) -> Iterator[None]:
    """Flush a file or directory to disk again and again while the block writes it, so that the disk does not wait.

    Raises
    ------
    OSError
        If the disk failed and nothing else did; the system tells of it only once.
    """
    stop = threading.Event()
    errors: List[OSError] = []

    def flush() -> None:
        while not stop.wait(seconds):
            try:
                _sync(path)
            except FileNotFoundError:
                continue  # not there yet, or a file of the writer's that is there no longer
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
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such directory; make it first")
    if (target.exists() or target.is_symlink()) and not force:
        raise UsageError(f"{target} exists; give another path, or --force to replace it")


def _sync(path: Path) -> None:
    for entry in [*path.rglob("*"), path] if path.is_dir() else [path]:
        descriptor = os.open(str(entry), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
