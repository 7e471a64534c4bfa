"""Lay out tables for the terminal: aligned columns, and blocks of columns."""

import os
import shutil
import sys
from itertools import zip_longest
from textwrap import wrap
from typing import List, Optional, Sequence

from rich.cells import cell_len, set_cell_size

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


class _Column:
    """A column of a table: its index in the rows, its cells, its width in characters.

    `cells` begins with the head, if the table has one. The width is that of the longest
    cell. It can be reduced to `min_width` if the column is flexible.
    """

    def __init__(self, index: int, cells: Sequence[str], *, flexible: bool) -> None:
        self.index = index
        self.cells = list(cells)
        self.width = max(map(cell_len, cells))
        self.min_width = min(self.width, SHORTEST) if flexible else self.width

    def shrink(self, excess: int) -> None:
        """Reduce the width by `excess` characters, or as far as possible."""
        self.width = max(self.min_width, self.width - max(0, excess))

    def cut_cells(self) -> None:
        """End each cell that is longer than the column with an ellipsis."""
        for row, cell in enumerate(self.cells):
            if cell_len(cell) > self.width:
                self.cells[row] = set_cell_size(cell, self.width - 1) + "…"

    def wrap_cell(self, row: int) -> List[str]:
        """Return the lines of a cell that continues below; a line for an empty cell."""
        from rich.console import Console
        from rich.text import Text

        text = self.cells[row]
        lines = Text(text).wrap(Console(), self.width)
        return [line.plain.rstrip() for line in lines] or [text]

    def align(self, text: str, *, right: bool) -> str:
        """Pad a text to the width of the column."""
        if right:
            return " " * (self.width - cell_len(text)) + text
        return set_cell_size(text, self.width)


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
    if not rows:
        return []
    flexible = (*shorten, *wrapped_columns)
    texts = [[printable(str(cell)) for cell in row] for row in rows]
    columns = []
    for index, cells in enumerate(zip(*texts)):
        columns.append(_Column(index, cells, flexible=index in flexible))
    columns_with_values = [column for column in columns if any(column.cells[head:])]
    columns = columns_with_values or columns
    columns_that_fit = columns
    room = terminal_width()
    if room is not None:
        columns_that_fit = _omit_columns(columns, drop, room)
        _shrink_columns(columns_that_fit, flexible, room)
        for column in columns_that_fit:
            if column.index in shorten:
                column.cut_cells()
    lines: List[str] = []
    for row in range(len(rows)):
        lines += _row_lines(columns_that_fit, row, right, wrapped_columns)
    omitted_columns = [column for column in columns if column not in columns_that_fit]
    return lines + _omission_lines([column.cells[0] for column in omitted_columns])


def _omit_columns(
    columns: Sequence[_Column],
    drop: Sequence[int],
    room: int,
) -> List[_Column]:
    """Return the columns that fit into the room once flexible columns have shrunk.

    Columns with the indices `drop` are left out, in this order, until the others fit.
    """
    remaining_columns = list(columns)
    for index in drop:
        if _line_width([column.min_width for column in remaining_columns]) <= room:
            break
        remaining_columns = [c for c in remaining_columns if c.index != index]
    return remaining_columns


def _shrink_columns(columns: List[_Column], flexible: Sequence[int], room: int) -> None:
    """Reduce the widths of flexible columns, in this order, until all columns fit."""
    column_by_index = {column.index: column for column in columns}
    for index in flexible:
        if index in column_by_index:
            excess = _line_width([column.width for column in columns]) - room
            column_by_index[index].shrink(excess)


def _row_lines(
    columns: Sequence[_Column],
    row: int,
    right: Sequence[int],
    wrapped_columns: Sequence[int],
) -> List[str]:
    """Return the line of a row; several if a cell of a column `wrapped_columns` continues."""
    cell_lines: List[List[str]] = []
    for column in columns:
        is_wrapped = column.index in wrapped_columns
        cell_lines.append(column.wrap_cell(row) if is_wrapped else [column.cells[row]])
    lines = []
    for texts in zip_longest(*cell_lines, fillvalue=""):
        cells = []
        for column, text in zip(columns, texts):
            cells.append(column.align(text, right=column.index in right))
        lines.append(GAP.join(cells).rstrip())
    return lines


def _omission_lines(titles: Sequence[str]) -> List[str]:
    """Return lines that name the columns without a place; none without titles."""
    if not titles:
        return []
    return wrap(f"omitted columns: {', '.join(titles)}", page_width())


def _line_width(widths: Sequence[int]) -> int:
    """Return the width of a line of columns with these widths."""
    return sum(widths) + len(GAP) * (len(widths) - 1)


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
    if room is None or _line_width([widths[i] for i in columns]) <= room:
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
        block_width = _line_width([widths[i] for i in (*block, column)])
        if block == key_columns or block_width <= room:
            block.append(column)
    return block
