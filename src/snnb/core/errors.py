"""Errors that a user can cause or correct, each with the exit code of the command.

Every message is one line that names the fault and its remedy. Any other exception is a
bug (exit code 1).
"""

import errno
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional


class SnnbError(Exception):
    """Base class of all errors that a user can cause or correct."""

    exit_code = 1


class SnnbWarning(UserWarning):
    """A note on a result: what is unusual, left out or assumed, and what to change."""


class UsageError(SnnbError):
    """An option or argument is not valid: an unknown model, a negative duration."""

    exit_code = 2


class InputError(SnnbError):
    """A configuration, manifest, model or data file is missing, damaged, or of another kind."""

    exit_code = 3


class ReadOnlyError(InputError):
    """A run directory cannot be written."""


class DamagedError(InputError):
    """A file is missing, incomplete, altered, or not of the expected format.

    `path` is the file, so that a caller can add how to recreate it: see `advising`.
    """

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path}: {fault}")
        self.path = path


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Append advice to the message of a `DamagedError` that the block raises."""
    try:
        yield
    except DamagedError as error:
        raise InputError(f"{error}; {advice}") from error


class UpstreamError(SnnbError):
    """A stage that must run first has not run or is stale, and may not run now; or the run is locked."""

    exit_code = 4


class VerificationError(SnnbError):
    """A result failed a check: hashes differ, or a converted network computes something else."""

    exit_code = 5


class ResourceError(SnnbError):
    """There is not enough disk space or memory."""

    exit_code = 6


FULL = (errno.ENOSPC, errno.EDQUOT)  # error numbers of a full disk
SIGNAL_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def first_line(error: BaseException) -> str:
    """Return at most 200 characters of the first line of an error's message, or its type without a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra of this package, which is not on a package index."""
    return f"pip install '.[{extra}]' in a checkout of snnb"


TOO_MANY_FILES = (
    "too many open files for the limit of this process (`ulimit -n`); raise it"
)


def has_too_many_files(error: BaseException) -> bool:
    """Whether a file or module could not be opened because of the limit on open files."""
    return getattr(error, "errno", None) == errno.EMFILE or os.strerror(
        errno.EMFILE,
    ) in str(error)


OUT_OF_MEMORY_MESSAGES = ("bad_alloc", "annot allocate memory", "can't allocate memory")


def out_of_memory(error: Optional[BaseException]) -> bool:
    """Whether an error of any library, or its cause, was caused by a lack of memory."""
    while error is not None:
        if (
            isinstance(error, MemoryError)
            or getattr(error, "errno", None) == errno.ENOMEM
        ):
            return True
        # TensorFlow's, which is not imported here
        if type(error).__name__ == "ResourceExhaustedError":
            return True
        if any(message in str(error) for message in OUT_OF_MEMORY_MESSAGES):
            return True
        error = error.__cause__ or error.__context__
    return False
