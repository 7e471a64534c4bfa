"""Entry point of the installed command `snnb`.

SIGTERM, which a cluster or `docker stop` sends, is an interruption like Ctrl-C: process 1 of a container would ignore
it otherwise. Signals are answered before anything else is imported, since imports take a while.
"""

import io
import os
import resource
import signal
import sys

from snnb.cli.exit_codes import INTERRUPTED, OUT_OF_MEMORY

LEAST_MEMORY = 300_000_000


def _end(*_: object) -> None:
    os.write(2, b"snnb: interrupted before anything was done\n")
    os._exit(INTERRUPTED)


def _answer(handler: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:  # as in the background of a shell script
            signal.signal(number, handler)  # type: ignore[arg-type]


def _require_memory() -> None:
    """End when a limit on address space (`ulimit -v`) is below what the imports need, which would fail somehow."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
        os.write(2, b"snnb: out of memory: `ulimit -v` leaves less than 300 MB; raise it\n")
        os._exit(OUT_OF_MEMORY)


def _ready_streams() -> None:
    """Print any text in any encoding, and let no file be opened in the place of a closed standard stream."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _hide(*_: object) -> None:
    """Print nothing of errors that a library cannot raise; the error that it does raise is printed in one line."""


def app() -> None:
    """Run the command and end the process with its exit code.

    The process ends at once, without Python's cleaning up, since libraries may crash in it: HDF5 when it could not
    write a file (a full disk) or has read a damaged one, TensorFlow 2.2 when it is interrupted in the middle of a batch
    and, now and then, when a thread of it still waits ("terminate called without an active exception", exit code 134).
    By then all files are closed, half-written ones are removed, and the output is flushed.
    """
    _answer(_end)
    _require_memory()
    _ready_streams()
    try:
        from snnb.cli import output, signals
        from snnb.cli.main import main
    except (ImportError, MemoryError, OSError) as error:  # with a limit below what the imports take
        from snnb.core.errors import ResourceError, out_of_memory

        if not out_of_memory(error):
            raise
        os.write(2, b"snnb: out of memory; use a machine, or a limit (`ulimit -v`), with more\n")
        os._exit(ResourceError.exit_code)

    sys.excepthook = sys.unraisablehook = _hide
    signals.ended_by_signals = True
    os._exit(output.closed(main()))
