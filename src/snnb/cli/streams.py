"""Write to the standard streams of the process, which may be closed."""

import errno
import os
import sys
from typing import List, Optional, TextIO

from snnb.core.errors import ResourceError
from snnb.io.text import printable

# Errors of results on stdout, except those of a pipe without reader
write_errors: List[OSError] = []


def is_terminal(stream: Optional[TextIO]) -> bool:
    """Whether a standard stream is open and a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def print_line(stream: Optional[TextIO], text: str) -> None:
    """Print text and a line end, without control characters.

    Nothing is printed to a stream that is closed, or whose reader has ended. The error
    of a result that cannot be written to stdout, for example because of a full disk, is
    stored for `flush_streams`.
    """
    if stream is None:
        return
    try:
        stream.write(f"{printable(text)}\n")
        stream.flush()
    except ValueError:  # closed
        return
    except OSError as error:
        if stream is sys.stdout and error.errno not in (errno.EPIPE, errno.EBADF):
            write_errors.append(error)


def flush_streams(exit_code: int) -> int:
    """Flush the standard streams and return the exit code of the process.

    It is 6 if the command succeeded, and a result could not be written to stdout.
    """
    if write_errors and not exit_code:
        exit_code = ResourceError.exit_code
        reason = write_errors[0].strerror
        fault = f"cannot write to standard output ({reason})"
        print_line(sys.stderr, f"snnb: {fault}; the command has completed")
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # Otherwise, the interpreter would try again and print an error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return exit_code
