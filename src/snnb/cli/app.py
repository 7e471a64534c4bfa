"""Entry point of the command `snnb`: signals, standard streams and the exit code.

SIGINT and SIGTERM end the process without cleaning up. This is safe because results
appear under their names only when they are complete, and the next command removes
incomplete ones. Nothing but the standard library is imported before the signals are
handled, since imports take a while.
"""

import gc
import io
import os
import signal
import sys
from functools import partial

from snnb.cli.interruption import interruption_message
from snnb.core.errors import (
    SIGNAL_EXIT_CODES,
    TOO_MANY_FILES,
    InputError,
    has_too_many_files,
)
from snnb.core.tensorflow_process import QuietFinder, set_tensorflow_variables

CLEAR_LINE_AND_SHOW_CURSOR = b"\r\x1b[2K\x1b[?25h"


def app() -> None:
    """Run the command and end the process with its exit code.

    The process ends without Python's finalisation, in which TensorFlow 2.2 may crash if
    one of its threads still waits. By then all files are closed and the output is
    flushed.
    """
    for number in SIGNAL_EXIT_CODES:  # from now on, as soon as compiled code returns
        if signal.getsignal(number) != signal.SIG_IGN:  # ignored by `snnb … &`
            signal.signal(number, partial(_end, _copy_of_stderr()))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Any text can be printed in any encoding
            stream.reconfigure(errors="backslashreplace")
    # multiprocessing starts a process that warns of semaphores which this process has
    # not removed at its end.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    # Otherwise, idle threads of OpenBLAS, which numpy and scipy start, spin for 0.1 s.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    set_tensorflow_variables()
    # Libraries of TensorFlow print messages while they are imported
    sys.meta_path.insert(0, QuietFinder)
    # Imports make few cycles: `snnb run` of a small network takes a tenth less
    # processor time.
    gc.set_threshold(50_000)
    try:
        from snnb.cli.main import main
        from snnb.cli.streams import flush_streams
    except (OSError, ImportError) as error:
        if not has_too_many_files(error):
            raise
        os.write(2, f"snnb: {TOO_MANY_FILES}\n".encode())
        os._exit(InputError.exit_code)

    sys.unraisablehook = _hide_in_destructors
    os._exit(flush_streams(main()))


def _copy_of_stderr() -> int:
    """Return a descriptor of stderr that importing TensorFlow does not redirect.

    `import_messages_hidden` redirects descriptor 2 meanwhile.
    """
    try:
        return os.dup(2)
    except OSError:  # closed
        return 2


def _end(stderr: int, number: int, _: object) -> None:
    stage = getattr(sys.modules.get("snnb.cli.output"), "current_stage", None)
    terminal = CLEAR_LINE_AND_SHOW_CURSOR if os.isatty(stderr) else b""
    try:
        os.write(stderr, terminal + f"snnb: {interruption_message(stage)}\n".encode())
    finally:
        os._exit(SIGNAL_EXIT_CODES[signal.Signals(number)])


def _hide_in_destructors(unraisable: "sys.UnraisableHookArgs") -> None:
    """Discard an exception in a library's destructor; show one that ended a thread."""
    if "thread" in (unraisable.err_msg or ""):
        sys.__unraisablehook__(unraisable)
