"""SIGINT and SIGTERM: an interruption is raised where it does no harm.

TensorFlow 2.2 may crash the process, by a segmentation fault, when an exception comes up while its compiled code
converts arguments. So inside of TensorFlow an interruption waits for the next line of the code that has called it.
"""

import signal
import sys
from threading import Event
from types import FrameType
from typing import Optional

PATIENCE = 1.0  # seconds of waiting for TensorFlow to return
interrupted = Event()
ended_by_signals = False  # whether this process is the command `snnb`, not a program that uses it


def answer() -> None:
    """From now on let SIGINT and SIGTERM raise `KeyboardInterrupt`, since there may be half-written files to remove.

    Before that, while modules are imported, they end the process (`snnb.cli.app`), because pydantic, which is imported
    then, would crash on the exception.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) not in (signal.SIG_IGN, None) and ended_by_signals:
            signal.signal(number, interrupt)


def interrupt(_: int, frame: Optional[FrameType]) -> None:
    """Answer a signal: raise `KeyboardInterrupt`, and again at the next progress if a library has ignored that.

    Inside of TensorFlow it is raised as soon as TensorFlow returns, or after `PATIENCE`.
    """
    interrupted.set()
    caller = _caller_of_tensorflow(frame)
    if caller is None:
        _raise()
    elif not signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        caller.f_trace = _raise  # called at the next line of the caller, or when it returns
        sys.settrace(lambda *_: None)


def _raise(*_: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.settrace(None)
    raise KeyboardInterrupt


def _caller_of_tensorflow(frame: Optional[FrameType]) -> Optional[FrameType]:
    """Return the frame that has called TensorFlow; None outside of TensorFlow."""
    caller = None
    while frame is not None:
        if str(frame.f_globals.get("__name__")).split(".")[0] == "tensorflow":
            caller = frame.f_back
        frame = frame.f_back
    return caller
