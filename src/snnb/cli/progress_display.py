"""Show the progress of a stage: a bar on a terminal, otherwise lines for a log file."""

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, ContextManager, Iterator, Protocol

from snnb.cli.streams import is_terminal, print_line
from snnb.core.progress import Pace, Throttle
from snnb.io.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

SECONDS_BETWEEN_LINES = 10.0
ROOMY_WIDTH = 110  # characters of a terminal with room for a long bar and the time


class Display(Protocol):
    """A place where progress is shown."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` units are done; a total of 0 is unknown."""

    def show_note(self, note: str) -> None:
        """Show a note, or an empty text instead of the note before."""


def open_display(label: str, time_left: bool = True) -> "ContextManager[Display]":
    """Return a context manager with the display that suits stderr."""
    if is_terminal(sys.stderr):
        return terminal_bar(label, time_left)
    return progress_lines(label, time_left)


class _Bar:
    """A progress bar of rich, with pace, time left once it is known, and a note."""

    def __init__(self, bars: "Bars", label: str, time_left: bool) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=None, pace="", note="")
        self._pace = Pace()
        self._time_left = time_left

    def update(self, done: int, total: int, note: str = "") -> None:
        self._pace.update(done, total)
        self._bars.update(
            self._task,
            completed=done,
            total=total or None,
            pace=describe_pace(self._pace, self._time_left),
            note=note,
        )

    def show_note(self, note: str) -> None:
        self._bars.update(self._task, note=note)


@contextmanager
def terminal_bar(label: str, time_left: bool = True) -> Iterator[Display]:
    """Show a progress bar until the block ends."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as Bars
    from rich.table import Column
    from rich.text import Text

    class NoteColumn(ProgressColumn):
        """The only column that is cut on a narrow terminal."""

        def render(self, task: Task) -> Text:
            note = printable(str(task.fields["note"]))
            return Text(note, no_wrap=True, overflow="ellipsis")

    console = Console(stderr=True)
    is_roomy = console.width >= ROOMY_WIDTH
    bar_width = 40 if is_roomy else 8
    columns = [
        TextColumn(
            "{task.description}",
            table_column=Column(no_wrap=True, min_width=8),
        ),
        BarColumn(bar_width, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn(
            "{task.fields[pace]}",
            table_column=Column(no_wrap=True, min_width=8),
        ),
    ]
    if is_roomy:
        columns.append(TimeElapsedColumn(table_column=Column(no_wrap=True)))
    columns.append(NoteColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        yield _Bar(bars, label, time_left)


class _Lines:
    """Progress for log files: a line every ten seconds, with pace and time left."""

    def __init__(self, label: str, time_left: bool) -> None:
        self._label = label
        self._time_left = time_left
        self._pace = Pace()
        self._throttle = Throttle(SECONDS_BETWEEN_LINES)
        self._throttle.due()  # so that the first line comes after ten seconds

    def update(self, done: int, total: int, note: str = "") -> None:
        self._pace.update(done, total)
        if not done or not self._throttle.due():
            return
        count = f"{done:,} of {total:,}" if total else f"{done:,}"
        pace = describe_pace(self._pace, self._time_left)
        words = ", ".join(filter(None, [count, pace, note]))
        print_line(sys.stderr, f"{self._label}: {words}")

    def show_note(self, note: str) -> None:
        if note:
            print_line(sys.stderr, f"{self._label}: {note}")


@contextmanager
def progress_lines(label: str, time_left: bool = True) -> Iterator[Display]:
    """Print lines about the progress of the block."""
    yield _Lines(label, time_left)


def describe_pace(pace: Pace, time_left: bool) -> str:
    """Return the units per second, and the time left; empty before they are known."""
    per_second = pace.per_second
    if per_second is None:
        return ""
    digits = 0 if per_second >= 100 else 1
    words = f"{per_second:,.{digits}f}/s"
    seconds_left = pace.seconds_left if time_left else None
    return words if seconds_left is None else f"{words}, {seconds_left:,.0f} s left"
