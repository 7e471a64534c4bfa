"""Report messages and progress through callables, so that no package depends on how they are shown."""

import time
from typing import Callable, List, Optional, Protocol, Tuple

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
    """Pace of work and, once it is steady, an estimate of the time left. Both exclude compilation."""

    STEPS = 4  # fewest advances for an estimate
    SECONDS = 2.0  # least time for an estimate
    STEADY = 1.5  # most by which the paces of the first and the second half of the time differ
    MOST = 64  # observations that are kept

    def __init__(self) -> None:
        self._started = self._now()
        self._seen: List[Tuple[float, int]] = []  # seconds and units done
        self._advances, self._total, self._restarted = 0, 0, False

    def update(self, done: int, total: int) -> None:
        """Record that `done` of `total` units are done."""
        last = self._seen[-1][1] if self._seen else 0
        if done < last or (last > 0 and total != self._total):
            self._restarted = True
            self._started += self._seen[-1][0]
            self._seen, last = [], 0
        self._total, now = total, self._now() - self._started
        if not self._seen or done > last:
            self._advances += bool(self._seen)
            self._seen.append((now, done))
        if len(self._seen) > self.MOST:
            del self._seen[1:-1:2]

    @property
    def per_second(self) -> float:
        """Units done per second."""
        seconds, done = self._seen[-1] if self._seen else (0.0, 0)
        return done / max(seconds, 1e-3)

    @property
    def seconds_left(self) -> Optional[float]:
        """Estimated time left; None while the pace is not steady, or if the count was restarted."""
        if self._restarted or self._advances < self.STEPS or not self._total:
            return None
        (begin, first), (end, last) = self._seen[0], self._seen[-1]
        if end - begin < self.SECONDS:
            return None
        middle = self._done_at((begin + end) / 2)
        before, after = middle - first, last - middle
        if not after / self.STEADY <= before <= after * self.STEADY:
            return None
        return (self._total - last) * (end - begin) / 2 / after

    @staticmethod
    def _now() -> float:
        return time.monotonic() - compilation.seconds

    def _done_at(self, moment: float) -> float:
        """Interpolate the units done."""
        for (t0, n0), (t1, n1) in zip(self._seen, self._seen[1:]):
            if t0 <= moment <= t1:
                return n0 + (n1 - n0) * (moment - t0) / max(t1 - t0, 1e-9)
        return self._seen[-1][1]
