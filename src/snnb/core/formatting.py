"""Format times and shapes, and compare columns of tables."""

from datetime import datetime
from typing import List, Sequence


def local_time(utc: str) -> str:
    """Return an ISO 8601 time in the local time zone, to the minute: `2026-11-26 14:16`."""
    return datetime.fromisoformat(utc).astimezone().strftime("%Y-%m-%d %H:%M")


def format_shape(shape: Sequence[int]) -> str:
    """Return the sides of a shape as `28×28×1`."""
    return "×".join(map(str, shape))


def equal_columns(rows: Sequence[Sequence[str]]) -> List[int]:
    """Return the indices of the columns whose cells are equal in all rows; none of a single row."""
    if len(rows) < 2:
        return []
    return [i for i, cells in enumerate(zip(*rows)) if len(set(cells)) == 1]
