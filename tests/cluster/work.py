"""Calls for the workers in the tests; a worker imports them by name."""

import os
import signal
import threading
import time
from pathlib import Path

from snnb.core.errors import VerificationError

begun = threading.Event()


def prepare(shared_work, threads):
    return {**shared_work, "threads": threads, "process": os.getpid()}


def square(state, number):
    """The square of a number times the shared factor; later calls take less time."""
    time.sleep(max(0.0, 0.1 - 0.01 * number))
    return number**2 * state["factor"], state["process"]


def terminate_twice(state, number):
    """As `square`, but the first workers that are given the numbers 3 and 4 are killed."""
    mark = Path(state["folder"]) / f"killed{number}"
    if number in (3, 4) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(state, number)


def terminate(state, number):
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail(state, number):
    if number == 2:
        raise VerificationError("sample 2 is wrong")
    return number


def begin(state, number):
    """Set `begun`, in the process of the worker, and take long enough for the scheduler to be closed meanwhile."""
    begun.set()
    time.sleep(2)
