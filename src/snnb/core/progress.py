"""Report messages and progress through callables, so that no package depends on how they are shown."""

import time
from typing import Callable, Optional, Protocol, Tuple

Say = Callable[[str], None]  # called with one line of text


def say_nothing(message: str) -> None:
    """Say nothing."""


class Progress(Protocol):
    """Called repeatedly with the units done, the total or 0 if it is not known, and a note such as the accuracy."""

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


class Compilation:
    """Time that this process spends on compiling loops, which is excluded from estimates of the time left.

    `show` is called with a note when compilation begins, and with an empty one when it ends.
    """

    def __init__(self) -> None:
        self.show: Say = say_nothing
        self._depth, self._began, self._seconds = 0, 0.0, 0.0

    @property
    def seconds(self) -> float:
        """Time spent on compilation so far."""
        return self._seconds + (time.monotonic() - self._began if self._depth else 0.0)

    def begin(self, *, cached: bool) -> None:
        """Record that a compilation begins; `cached` is whether the machine code will be cached on disk."""
        self._depth += 1
        if self._depth == 1:  # not within another compilation
            self._began = time.monotonic()
            self.show("compiling (once per machine)" if cached else "compiling")

    def end(self) -> None:
        """Record that a compilation has ended."""
        if self._depth == 1:
            self._seconds += time.monotonic() - self._began
            self.show("")
        self._depth -= 1


compilation = Compilation()


class Pace:
    """Pace of work and, after a few advances, an estimate of the time left. Both exclude compilation.

    The estimate leaves out the first advance, in which workers may start and compile.
    """

    ADVANCES, SECONDS = 3, 2.0  # least for an estimate, after the first advance

    def __init__(self) -> None:
        self._started = self._last = self._now()
        self._done = self._total = self._advances = 0
        self._first: Optional[Tuple[float, int]] = None  # time and units done at the first advance
        self._restarted = False

    def update(self, done: int, total: int) -> None:
        """Record that `done` of `total` units are done."""
        if done < self._done or (self._done > 0 and total != self._total):
            self._restarted = True
            self._started, self._done = self._last, 0
        if done > self._done:
            self._last = self._now()
            self._advances += self._first is not None
            self._first = self._first or (self._last, done)
        self._done, self._total = done, total

    @property
    def per_second(self) -> float:
        """Units done per second."""
        return self._done / max(self._last - self._started, 1e-3)

    @property
    def seconds_left(self) -> Optional[float]:
        """Estimated time left; None after few advances, without a total, or if the count was restarted."""
        if self._first is None or self._restarted or self._advances < self.ADVANCES or not self._total:
            return None
        began, first = self._first
        seconds = self._last - began
        return None if seconds < self.SECONDS else (self._total - self._done) * seconds / (self._done - first)

    @staticmethod
    def _now() -> float:
        return time.monotonic() - compilation.seconds
