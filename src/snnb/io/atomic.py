"""Write files and directories that appear under their name only when they are complete."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Sequence

from snnb.core.errors import UsageError
from snnb.io.files import partial_of, remove, sync_directory, sync_tree

REPLACED = ".replaced"  # in the temporary directory, what was at the target


@contextmanager
def atomic_path(
    target: Path, *, force: bool, beside: Sequence[Path] = (), outdated: Sequence[Path] = ()
) -> Iterator[Path]:
    """Yield a temporary path for a file or directory that is renamed to `target` on success.

    The temporary path lies in a hidden directory next to `target`. A killed process leaves that directory;
    `discard_partial` removes it, and so does the next process that writes `target`.

    Raise `UsageError` if `target` exists and `force` is false, or its directory does not exist.

    Parameters
    ----------
    beside : further files in the directory of `target`; the block writes them next to the temporary path
    outdated : files that describe what `target` replaces; removed on success
    """
    discard_partial(target)
    for path in (target, *beside):
        refuse_existing(path, force=force)
    scratch = partial_of(target)
    temporary = scratch / target.name
    scratch.mkdir(mode=0o700)
    try:
        yield temporary
        sync_tree(scratch)
        for path in (*beside, *outdated):  # first, so that no old description is ever next to a new file
            path.unlink(missing_ok=True)
        if os.path.lexists(target) and (temporary.is_dir() or target.is_dir()):
            target.replace(scratch / REPLACED)  # rename(2) replaces no directory by a file, nor one that is not empty
        for path in (target, *beside):
            temporary.with_name(path.name).replace(path)
        sync_directory(target.parent)
    finally:
        discard_partial(target)


def discard_partial(target: Path) -> None:
    """Remove what an unfinished write of `target` has left, and restore the directory that it was replacing."""
    scratch = partial_of(target)
    replaced = scratch / REPLACED
    if not scratch.is_symlink() and replaced.exists() and not os.path.lexists(target):
        replaced.replace(target)
    remove(scratch)


@contextmanager
def flushed_meanwhile(path: Path, seconds: float = 0.05) -> Iterator[None]:
    """Flush a file or directory every `seconds` while the block writes it, so that the final flush is short.

    Raise `OSError` if a flush failed, which the system reports only once.
    """
    stop = threading.Event()

    def flush() -> None:
        while not stop.wait(seconds):
            with suppress(FileNotFoundError):  # not written yet, or removed by the writer
                sync_tree(path)

    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(flush)
        try:
            yield
        finally:
            stop.set()
    flushed.result()


def refuse_existing(target: Path, *, force: bool) -> None:
    """Raise `UsageError` if `target` exists and `force` is false, or if its directory does not exist."""
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such directory; make it first")
    if os.path.lexists(target) and not force:
        raise UsageError(f"{target} exists; give another path, or --force to replace it")
