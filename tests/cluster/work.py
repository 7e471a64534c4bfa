"""What the tests let workers do: functions that a worker finds by their names."""

import os
import signal
import time
from pathlib import Path

import numpy as np


def prepare(shared, threads):
    return {**shared, "threads": threads, "prepared in": os.getpid()}


def square(kept, number, stopped):
    """The square of a number times what is shared; the later ones take less time."""
    time.sleep(max(0.0, 0.2 - 0.02 * number))
    return number**2 * int(kept["factor"][0]), kept["prepared in"]


def die_once(kept, number, stopped):
    """As `square`, but the first worker that is given the number 3 is killed."""
    _die_once(Path(kept["folder"]) / "died", number == 3)
    return square(kept, number, stopped)


def die_on_four(kept, number, stopped):
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def until_stopped(kept, number, stopped):
    (Path(kept["folder"]) / f"begun{number}").touch()
    while not stopped():
        time.sleep(0.01)
    (Path(kept["folder"]) / f"stopped{number}").touch()


def fail(kept, number, stopped):
    if number == 2:
        raise ZeroDivisionError("two")
    return number


def _die_once(mark, now):
    if now:
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


def shared(folder="", size=1):
    return {"factor": np.full(size, 3), "folder": str(folder)}
