"""Print results on stdout (one JSON document with --json), messages and progress on stderr."""

import errno
import json
import logging
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
from typing import Iterator, List, Optional, Sequence, TextIO, Union

from pydantic_core import to_jsonable_python

from snnb.core.errors import ResourceError
from snnb.core.formatting import equal_columns
from snnb.core.progress import Pace, Progress, Say, Throttle, compilation, say_nothing, silent
from snnb.io.text import Document, printable

SHORTEST = 14  # characters to which a column is cut at most


class Failure(Document):
    """Output of every command with `--json` when it fails."""

    error: str  # the line that is also on stderr
    exit_code: int


@dataclass(frozen=True)
class Output:
    """Output of this process, by the options `--json`, `--verbose` and `--quiet`."""

    as_json: bool = False
    verbose: bool = False
    quiet: bool = False

    def say(self, message: str) -> None:
        """Print a message on stderr, unless --quiet is given."""
        if not self.quiet:
            print_line(sys.stderr, message)

    def result(self, lines: Sequence[str], document: Union[Document, Sequence[Document]]) -> None:
        """Print the result: `lines` for people, or the document, or a list of documents, as JSON."""
        if self.as_json:
            lines = [json.dumps(to_jsonable_python(document), indent=2)]
        print_line(sys.stdout, "\n".join(lines))

    def error(self, message: str, exit_code: int) -> None:
        """Print an error as one line on stderr, and with --json also as the document on stdout."""
        print_line(sys.stderr, f"snnb: {' '.join(message.split())}")
        if self.as_json:
            self.result([], Failure(error=message, exit_code=exit_code))

    @contextmanager
    def bar(self, label: str, time_left: bool = True) -> Iterator[Progress]:
        """Show a progress bar on a terminal, otherwise a line every ten seconds.

        The time left is not estimated for work whose totals are bounds, or that counts several parts.
        """
        global at_work
        at_work = label
        try:
            if self.quiet:
                yield silent
            elif sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty():
                with terminal_bar(label, time_left) as progress:
                    yield progress
            else:
                yield progress_lines(label, time_left)
        finally:
            compilation.show = say_nothing


at_work: Optional[str] = None  # the stage whose progress bar is shown, or was shown last
compilation_shown = False  # whether this command has reported a compilation
write_errors: List[OSError] = []  # errors of results on stdout, except those of a pipe without reader


def print_line(stream: Optional[TextIO], text: str) -> None:
    """Print text and a line end, without control characters.

    Nothing is printed to a stream that is closed, or whose reader has ended. The error of a result that cannot be
    written to stdout, for example because of a full disk, is stored for `flushed_exit_code`.
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
            write_errors.append(error)


def flushed_exit_code(code: int) -> int:
    """Flush the streams and return the exit code of the process: 6 when a result could not be written to stdout."""
    if write_errors and not code:
        code = ResourceError.exit_code
        print_line(
            sys.stderr, f"snnb: cannot write to standard output ({write_errors[0].strerror}); the command has completed"
        )
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # so that the interpreter does not try again and print an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return code


@contextmanager
def terminal_bar(label: str, time_left: bool = True) -> Iterator[Progress]:
    """Show a progress bar of rich with pace, time left once it is known, and a remark."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.table import Column
    from rich.text import Text

    class Note(ProgressColumn):
        """The only column that is cut on a narrow terminal."""

        def render(self, task: Task) -> Text:
            return Text(printable(str(task.fields["note"])), no_wrap=True, overflow="ellipsis")

    def unwrapped(min_width: Optional[int] = None) -> Column:
        return Column(no_wrap=True, min_width=min_width)

    console = Console(stderr=True)
    roomy = console.width >= 110
    columns = (
        TextColumn("{task.description}", table_column=unwrapped(8)),
        BarColumn(bar_width=40 if roomy else 8, table_column=unwrapped()),
        MofNCompleteColumn(table_column=unwrapped()),
        TextColumn("{task.fields[pace]}", table_column=unwrapped(8)),
        *([TimeElapsedColumn(table_column=unwrapped())] if roomy else []),
        Note(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        pace, task = Pace(), bars.add_task(label, total=None, pace="", note="")
        compilation.show = _once(lambda note: bars.update(task, note=note))

        def show(done: int, total: int, note: str = "") -> None:
            pace.update(done, total)
            bars.update(task, completed=done, total=total or None, pace=_pace(pace, time_left), note=note)

        yield show


def _once(show: Say) -> Say:
    """Return a function that shows the first compilation of a command, also if many functions are compiled."""

    def compiling(note: str) -> None:
        global compilation_shown
        if not (note and compilation_shown):
            compilation_shown = compilation_shown or bool(note)
            show(note)

    return compiling


def _pace(pace: Pace, time_left: bool) -> str:
    """Return the samples, batches or edges per second, and the time left; empty text before they are known."""
    if pace.per_second is None:
        return ""
    left = pace.seconds_left if time_left else None
    per_second = f"{pace.per_second:,.0f}/s" if pace.per_second >= 100 else f"{pace.per_second:.1f}/s"
    return per_second if left is None else f"{per_second}, {left:,.0f} s left"


def progress_lines(label: str, time_left: bool = True) -> Progress:
    """Show progress for log files: a line every ten seconds, with pace, and time left once it is known."""
    pace, throttle = Pace(), Throttle(10.0)
    throttle.due()  # the first line comes after ten seconds
    compilation.show = _once(lambda note: print_line(sys.stderr, f"{label}: {note}") if note else None)

    def show(done: int, total: int, note: str = "") -> None:
        pace.update(done, total)
        if done and throttle.due():
            count = f"{done:,} of {total:,}" if total else f"{done:,}"
            print_line(sys.stderr, f"{label}: {', '.join(filter(None, [count, _pace(pace, time_left), note]))}")

    return show


WIDTH = 80  # columns of blocks in a file or pipe


def terminal_width() -> Optional[int]:
    """Return `COLUMNS` of the environment, else the number of columns of the terminal that stdout is.

    Return None for a file or pipe without `COLUMNS`, in which nothing is cut.
    """
    is_terminal = sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if is_terminal or os.environ.get("COLUMNS") else None


def table_lines(
    rows: Sequence[Sequence[object]],
    right: Sequence[int] = (),
    *,
    drop: Sequence[int] = (),
    shorten: Sequence[int] = (),
    wrapped: Sequence[int] = (),
    head: bool = True,
) -> List[str]:
    """Return rows as aligned columns that fit the terminal. Columns without values are omitted.

    `right`, `drop`, `shorten` and `wrapped` are indices of columns. Columns `right` are aligned to the right. If the
    terminal is too narrow, columns `drop` are omitted, in this order, and named in a last line; then columns `shorten`
    are cut, in this order, and columns `wrapped` continue on further lines. `head`: the first row names the columns.
    """
    from rich.cells import cell_len, set_cell_size

    if not rows:
        return []
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells)]
    flexible = (*shorten, *wrapped)
    least = [min(width, SHORTEST) if i in flexible else width for i, width in enumerate(widths)]
    filled = [i for i in range(len(widths)) if any(row[i] for row in cells[head:])] or list(range(len(widths)))
    columns, room, dropped = list(filled), terminal_width(), [i for i in drop if i in filled]
    while room is not None and dropped and _line_width(columns, least) > room:
        columns.remove(dropped.pop(0))
    for column in flexible if room is not None else ():
        excess = max(0, _line_width(columns, widths) - (room or 0))
        if column in columns and excess:
            widths[column] = max(least[column], widths[column] - excess)
            for row in cells if column in shorten else ():
                if cell_len(row[column]) > widths[column]:
                    row[column] = set_cell_size(row[column], widths[column] - 1) + "…"
    lines = []
    for row in _continued(cells, wrapped, widths):
        padded = (
            " " * (widths[i] - cell_len(row[i])) + row[i] if i in right else set_cell_size(row[i], widths[i])
            for i in columns
        )
        lines.append("  ".join(padded).rstrip())
    left_out = [cells[0][i] for i in filled if i not in columns]
    return [*lines, *(wrap(f"omitted columns: {', '.join(left_out)}", room or 0) if left_out else [])]


def _continued(cells: Sequence[List[str]], columns: Sequence[int], widths: Sequence[int]) -> Iterator[List[str]]:
    """Yield rows, and further rows with the text of `columns` that does not fit into their widths."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for row in cells:
        parts = {i: [line.plain.rstrip() for line in Text(row[i]).wrap(console, widths[i])] for i in columns}
        yield [parts[i][0] if parts.get(i) else cell for i, cell in enumerate(row)]
        for number in range(1, max(map(len, parts.values()), default=0)):
            yield [parts[i][number] if number < len(parts.get(i, ())) else "" for i in range(len(row))]


def block_lines(rows: Sequence[Sequence[str]], keys: int, *, drop: Sequence[int] = ()) -> List[str]:
    """Return rows, of which the first names the columns, as blocks of columns that fit the terminal.

    The first `keys` columns begin each block. If one block is too wide for the terminal, columns with the same value in
    all rows are stated in a line below, and columns `drop` are only named there.
    """
    from rich.cells import cell_len

    room, body = terminal_width(), rows[1:]
    widths = [max(cell_len(printable(cell)) for cell in column) for column in zip(*rows)]
    filled = [i for i in range(len(widths)) if any(row[i] for row in body)]
    if room is None or _line_width(filled, widths) <= room:
        return table_lines(rows, right=range(len(widths)))
    equal = [i for i in equal_columns(body) if i in filled and i >= keys and i not in drop]
    dropped = [i for i in drop if i in filled]
    first_columns = [i for i in filled if i < keys]
    columns_left = [i for i in filled if i >= keys and i not in (*equal, *dropped)]
    lines: List[str] = []
    while columns_left:
        block = [*first_columns]
        for column in columns_left:
            if block == first_columns or _line_width([*block, column], widths) <= room:
                block.append(column)
        columns_left = [i for i in columns_left if i not in block]
        table = [[row[i] for i in block] for row in rows]
        lines += ["", *table_lines(table, right=range(len(block)), shorten=range(len(first_columns)))]
    same = ", ".join(f"{rows[0][i]} {body[0][i]}" for i in equal)
    notes = [f"the same in all rows: {same}"] if equal else []
    notes += [f"omitted columns: {', '.join(rows[0][i] for i in dropped)}"] if dropped else []
    return [*lines[1:], *(line for note in notes for line in wrap(note, room))]


def _line_width(columns: Sequence[int], widths: Sequence[int]) -> int:
    return sum(widths[i] for i in columns) + 2 * (len(columns) - 1)


current = Output()


def configure(as_json: bool, verbose: bool, quiet: bool) -> Output:
    """Set how this process prints; messages of TensorFlow are shown with --verbose only."""
    global current, compilation_shown
    current, compilation_shown = Output(as_json, verbose, quiet), False
    if verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(name)s: %(message)s", force=True)
    for handler in logging.getLogger().handlers:
        handler.setLevel(level)  # also for a library that sets the level of its logger, as Dask does
    for chatty in ("matplotlib", "PIL", "numba", "h5py", "tensorflow"):
        logging.getLogger(chatty).setLevel(logging.WARNING if verbose else logging.ERROR)
    return current
