"""What can go wrong, what it means for a person, and the exit code it ends with.

Every message is one line that says what is wrong and what to do next. The command line prints it as it is; anything
that is not a `SnnbError` is a bug (exit code 1).
"""

import errno
from typing import Optional


class SnnbError(Exception):
    """Root of all errors that a person can cause or correct."""

    exit_code = 1


class UsageError(SnnbError):
    """An option or argument that makes no sense: an unknown model, a negative duration."""

    exit_code = 2


class InputError(SnnbError):
    """A configuration, manifest, model or data file is missing, broken, or not what it should be."""

    exit_code = 3


class UpstreamError(SnnbError):
    """A stage that must run first has not run or is stale, and is not allowed to run now; or the run is locked."""

    exit_code = 4


class VerificationError(SnnbError):
    """A check of a result failed: hashes differ, or a converted network computes something else."""

    exit_code = 5


class ResourceError(SnnbError):
    """Not enough disk or memory for what was asked."""

    exit_code = 6


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra of the package, which is on no package index."""
    return f"pip install '.[{extra}]' in a checkout of snnb"


WORDS_OF_NO_MEMORY = (
    "bad_alloc",
    "annot allocate memory",
    "failed to map segment",
    "allocate memory",  # PyTorch
    "CUDA out of memory",
    "start new thread",
    "Resource temporarily unavailable",  # a thread's stack
)


def out_of_memory(error: Optional[BaseException]) -> bool:
    """Whether an error of any library means that there was not enough memory, by its type or by its text."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's, which is not imported here
            return True
        if isinstance(error, (RuntimeError, ImportError, OSError, SystemError)) and any(
            words in str(error) for words in WORDS_OF_NO_MEMORY
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
