"""Report messages and progress through callables, so that no package depends on how they are shown."""

import time
from dataclasses import dataclass
from typing import Callable, Optional, Protocol

Say = Callable[[str], None]  # called with one line of text


def say_nothing(message: str) -> None:
    """Say nothing."""


class Progress(Protocol):
    """Called repeatedly with the units done, the total (0 if unknown), and a note, for example the accuracy."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` units are done."""


def silent(done: int, total: int, note: str = "") -> None:
    """Show nothing."""


class Throttle:
    """Limit how often progress is shown: at most every `seconds`."""

    def __init__(self, seconds: float = 0.1) -> None:
        self._seconds = seconds
        self._shown: Optional[float] = None

    def due(self, *, last: bool = False) -> bool:
        """Whether to show progress now: at the first call, after `seconds`, and if it is the `last` update."""
        now = time.monotonic()
        if not last and self._shown is not None and now - self._shown < self._seconds:
            return False
        self._shown = now
        return True


@dataclass
class Compilation:
    """Report that this process compiles loops."""

    # Called with a note when it begins, and with an empty one when it ends
    show: Say = say_nothing


compilation = Compilation()


class Pace:
    """Pace of work since its first advance, in which loops may be compiled and workers started."""

    SECONDS = 2.0  # least time for an estimate

    def __init__(self) -> None:
        self._began: Optional[float] = None
        self._first = self._done = self._total = 0

    def update(self, done: int, total: int) -> None:
        """Record that `done` of `total` units are done; fewer than before begin the count again."""
        if done < self._done or total != self._total:
            self._began = None
        if done and self._began is None:
            self._began, self._first = time.monotonic(), done
        self._done, self._total = done, total

    @property
    def per_second(self) -> Optional[float]:
        """Units done per second; None at the beginning."""
        seconds = 0.0 if self._began is None else time.monotonic() - self._began
        return (self._done - self._first) / seconds if seconds >= self.SECONDS else None

    @property
    def seconds_left(self) -> Optional[float]:
        """Estimated time left; None at the beginning, or without a total."""
        pace = self.per_second
        return (self._total - self._done) / pace if pace and self._total else None
