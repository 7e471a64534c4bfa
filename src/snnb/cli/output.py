"""What a person sees: results on stdout (one JSON document with --json), messages and progress on stderr."""

import errno
import io
import json
import logging
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator, List, Optional, Sequence, Set, TextIO

from snnb.cli import signals
from snnb.errors import ResourceError
from snnb.progress import Pace, Progress, Throttle, compilation, say_nothing
from snnb.text import printable

WIDEST = 100_000  # columns of a table that is never wrapped


@dataclass(frozen=True)
class Output:
    """How this command prints."""

    as_json: bool = False
    verbose: bool = False
    quiet: bool = False

    def say(self, message: str) -> None:
        """Print a message on stderr, unless --quiet is given."""
        if not self.quiet:
            print_line(sys.stderr, message)

    def result(self, lines: Sequence[str], document: object) -> None:
        """Print the result: `lines` for people, or `document` as JSON."""
        print_line(sys.stdout, json.dumps(document, indent=2, default=str) if self.as_json else "\n".join(lines))

    def error(self, message: str, exit_code: int) -> None:
        """Print an error as one line on stderr, and with --json also as the document on stdout."""
        print_line(sys.stderr, f"snnb: {' '.join(message.split())}")
        if self.as_json:
            print_line(sys.stdout, json.dumps({"error": message, "exit_code": exit_code}, indent=2))

    @contextmanager
    def bar(self, label: str, time_left: bool = True) -> Iterator[Progress]:
        """Show a progress bar on a terminal, and elsewhere a line every ten seconds.

        Work that reports progress also learns here of an interruption that a library has caught and ignored.

        Parameters
        ----------
        label : str
        time_left : bool
            Whether to estimate the time left: not for work whose totals are bounds, or that counts several parts.
        """
        global at_work
        at_work = label
        try:
            if self.quiet:
                yield _answering(lambda done, total, note="": None)
            elif sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty():
                with terminal_bar(label, time_left) as progress:
                    yield _answering(progress)
            else:
                yield _answering(line_a_while(label, time_left))
        finally:
            compilation.show = say_nothing


at_work: Optional[str] = None  # the stage whose bar is shown, or was last
lost: List[OSError] = []  # errors of results that could not be written to stdout, though its reader is still there


def print_line(stream: Optional[TextIO], text: str) -> None:
    """Print text and a line end, without control characters.

    Nothing is printed to a stream that is closed, or whose reader has ended. A result that cannot be written to stdout,
    because of a full disk say, is remembered for `closed`, which makes an error of it.
    """
    if stream is None:
        return
    try:
        stream.write(f"{printable(text)}\n")
        stream.flush()
    except ValueError:  # closed
        return
    except OSError as error:
        if stream is sys.stdout and error.errno not in (errno.EPIPE, errno.EBADF):
            lost.append(error)


def closed(code: int) -> int:
    """Flush the streams and return the exit code of the process: 6 when a result could not be written to stdout."""
    if lost and not code:
        code = ResourceError.exit_code
        print_line(sys.stderr, f"snnb: standard output cannot be written ({lost[0].strerror}); the work itself is done")
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # so that the interpreter does not try again and print an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return code


def _answering(progress: Progress) -> Progress:
    def show(done: int, total: int, note: str = "") -> None:
        if signals.interrupted.is_set():
            raise KeyboardInterrupt
        progress(done, total, note)

    return show


@contextmanager
def terminal_bar(label: str, time_left: bool = True) -> Iterator[Progress]:
    """Show a progress bar of rich with pace, time left once it is known, and a remark."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    console = Console(stderr=True)
    roomy = console.width >= 110
    figure = Column(no_wrap=True, min_width=8)
    columns = (
        TextColumn("{task.description}", table_column=figure),
        BarColumn(bar_width=40 if roomy else 8),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", table_column=figure),
        *([TimeElapsedColumn()] if roomy else []),
        TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        pace, task = Pace(), bars.add_task(label, total=None, pace="", note="")
        compilation.show = lambda note: bars.update(task, note=note)

        def show(done: int, total: int, note: str = "") -> None:
            pace.update(done, total)
            bars.update(task, completed=done, total=total, pace=_pace(pace, time_left), note=note)

        yield show


def _pace(pace: Pace, time_left: bool) -> str:
    """Return how many samples, batches or edges are done in a second, and the time left where it is known."""
    left = pace.seconds_left if time_left else None
    per_second = f"{pace.per_second:,.0f}/s" if pace.per_second >= 100 else f"{pace.per_second:.1f}/s"
    return per_second if left is None else f"{per_second}, {left:,.0f} s left"


def line_a_while(label: str, time_left: bool = True, seconds: float = 10.0) -> Progress:
    """Show progress for log files: a line every `seconds`, with pace, and time left once it is known."""
    pace, throttle = Pace(), Throttle(seconds)
    throttle.due()  # the first line comes after `seconds`
    shown: Set[str] = {""}

    def compiling(note: str) -> None:
        if note not in shown:  # of many functions, say it once
            shown.add(note)
            print_line(sys.stderr, f"{label}: {note}")

    compilation.show = compiling

    def show(done: int, total: int, note: str = "") -> None:
        pace.update(done, total)
        if done and throttle.due():
            print_line(sys.stderr, f"{label}: {done:,} of {total:,}, {_pace(pace, time_left)} {note}".rstrip())

    return show


def table_lines(rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> List[str]:
    """Lay rows out in columns, those numbered in `right` aligned to the right; the first row is the head."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in range(len(rows[0])):
        table.add_column(justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    console = Console(width=WIDEST, color_system=None, file=io.StringIO())
    with console.capture() as printed:
        console.print(table)
    return [line.rstrip() for line in printed.get().split("\n")[:-1]]


current = Output()


def configure(as_json: bool, verbose: bool, quiet: bool) -> Output:
    """Set how this process prints; messages of TensorFlow are shown with --verbose only."""
    global current
    current = Output(as_json, verbose, quiet)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "2")
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(name)s: %(message)s", force=True)
    for handler in logging.getLogger().handlers:
        handler.setLevel(level)  # a library that has set its own logger's level, as Dask does, says no more for that
    for chatty in ("matplotlib", "PIL", "numba", "h5py", "tensorflow", "filelock"):
        logging.getLogger(chatty).setLevel(logging.WARNING if verbose else logging.ERROR)
    return current
