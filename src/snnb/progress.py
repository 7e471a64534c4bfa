"""How work tells a person something, or how far it is: plain callables, so that no room depends on how it is shown."""

import time
from typing import Callable, Optional, Protocol

Say = Callable[[str], None]  # called with a line for a person


def say_nothing(message: str) -> None:
    """Say nothing."""


class Progress(Protocol):
    """Called now and then with the units done, the units in all, and a short remark such as the accuracy so far."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` units are done."""


def silent(done: int, total: int, note: str = "") -> None:
    """Show nothing."""


class Throttle:
    """Limits how often progress is shown.

    Parameters
    ----------
    seconds : float
        The least time between two times that it is shown.
    """

    def __init__(self, seconds: float = 0.1) -> None:
        self._seconds = seconds
        self._shown: Optional[float] = None

    def due(self, *, last: bool = False) -> bool:
        """Whether to show progress now: the first time, again after `seconds`, and always the `last` time."""
        now = time.monotonic()
        if not last and self._shown is not None and now - self._shown < self._seconds:
            return False
        self._shown = now
        return True
