"""Lay out tables for the terminal: aligned columns, and blocks of columns."""

import os
import shutil
import sys
from io import StringIO
from textwrap import wrap
from typing import Collection, List, Optional, Sequence

from rich.cells import cell_len

from snnb.cli.streams import is_terminal
from snnb.core.formatting import equal_columns
from snnb.io.text import printable

SHORTEST = 14  # characters to which a column is cut at most
GAP = "  "  # between two columns
WIDTH = 80  # columns of blocks in a file or pipe


def terminal_width() -> Optional[int]:
    """Return `COLUMNS` of the environment, else the width of the terminal of stdout.

    Return None for a file or pipe without `COLUMNS`, in which nothing is cut.
    """
    if os.environ.get("COLUMNS") or is_terminal(sys.stdout):
        return shutil.get_terminal_size().columns
    return None


def page_width() -> int:
    """Return the number of characters of a line, in a file or pipe too."""
    return terminal_width() or WIDTH


def table_lines(
    rows: Sequence[Sequence[object]],
    right: Sequence[int] = (),
    *,
    drop: Sequence[int] = (),
    shorten: Sequence[int] = (),
    wrapped_columns: Sequence[int] = (),
    head: bool = True,
) -> List[str]:
    """Return rows as aligned columns that fit the terminal, without empty columns.

    `right`, `drop`, `shorten` and `wrapped_columns` are indices of columns. Columns
    `right` are aligned to the right. If the terminal is too narrow, columns `drop` are
    omitted, in this order, and named in a last line; then columns `shorten` are cut, in
    this order, and columns `wrapped_columns` continue on further lines. `head`: the
    first row names the columns.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return []
    texts = [[printable(str(cell)) for cell in row] for row in rows]
    columns = [
        index
        for index in range(len(texts[0]))
        if any(row[index] for row in texts[head:])
    ] or list(range(len(texts[0])))
    widths = [
        max(cell_len(row[index]) for row in texts) for index in range(len(texts[0]))
    ]
    omitted: List[int] = []
    room = terminal_width()
    if room is not None:
        least_widths = list(widths)
        for index in (*shorten, *wrapped_columns):
            least_widths[index] = min(widths[index], SHORTEST)
        for index in drop:
            if index in columns and _line_width(columns, least_widths) > room:
                columns.remove(index)
                omitted.append(index)
    table = Table.grid(padding=(0, len(GAP), 0, 0), pad_edge=False)
    for index in columns:
        table.add_column(
            justify="right" if index in right else "left",
            no_wrap=index not in (*shorten, *wrapped_columns),
        )
    for row in texts:
        table.add_row(
            *(
                Text(
                    row[index],
                    no_wrap=index not in wrapped_columns,
                    overflow="ellipsis",
                )
                for index in columns
            )
        )
    console = Console(
        file=StringIO(), width=room or _line_width(columns, widths), color_system=None
    )
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return lines + _omission_lines([texts[0][index] for index in sorted(omitted)])


def _omission_lines(titles: Sequence[str]) -> List[str]:
    """Return lines that name the columns without a place; none without titles."""
    if not titles:
        return []
    return wrap(f"omitted columns: {', '.join(titles)}", page_width())


def _line_width(columns: Collection[int], widths: Sequence[int]) -> int:
    """Return the width of a line of some columns, which have the widths of their indices."""
    return sum(widths[i] for i in columns) + len(GAP) * (len(columns) - 1)


def block_lines(
    rows: Sequence[Sequence[str]],
    keys: int,
    *,
    drop: Sequence[int] = (),
) -> List[str]:
    """Return rows as blocks of columns that fit the terminal; row 0 names the columns.

    Each block begins with the columns before index `keys`. If one block is too wide for
    the terminal, columns with the same value in all rows are stated in a line below,
    and columns `drop` are only named there.
    """
    room = terminal_width()
    titles = rows[0]
    body = rows[1:]
    widths = []
    for cells in zip(*rows):
        widths.append(max(cell_len(printable(cell)) for cell in cells))
    columns = [i for i in range(len(widths)) if any(row[i] for row in body)]
    if room is None or _line_width(columns, widths) <= room:
        return table_lines(rows, right=range(len(widths)))
    key_columns = [i for i in columns if i < keys]
    omitted_columns = [i for i in drop if i in columns]
    value_columns = [i for i in columns if i >= keys and i not in drop]
    equal = equal_columns(body)
    constant_columns = [i for i in value_columns if i in equal]
    remaining_columns = [i for i in value_columns if i not in equal]
    lines: List[str] = []
    while remaining_columns:
        block = _fill_block(key_columns, remaining_columns, widths, room)
        remaining_columns = [i for i in remaining_columns if i not in block]
        if lines:
            lines.append("")
        lines += table_lines(
            [[row[i] for i in block] for row in rows],
            right=range(len(block)),
            shorten=range(len(key_columns)),
        )
    if constant_columns:
        values = ", ".join(f"{titles[i]} {body[0][i]}" for i in constant_columns)
        lines += wrap(f"the same in all rows: {values}", room)
    return lines + _omission_lines([titles[i] for i in omitted_columns])


def _fill_block(
    key_columns: Sequence[int],
    columns: Sequence[int],
    widths: Sequence[int],
    room: int,
) -> List[int]:
    """Return the columns of a block: the keys, and of `columns` those that still fit.

    It has one of `columns` even if that does not fit.
    """
    block = list(key_columns)
    for column in columns:
        block_width = _line_width((*block, column), widths)
        if block == key_columns or block_width <= room:
            block.append(column)
    return block
