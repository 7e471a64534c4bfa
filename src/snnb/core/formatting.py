"""Format numbers and times for tables."""

from datetime import datetime
from typing import List, Optional, Sequence, Union


def local_time(utc: str) -> str:
    """Return an ISO 8601 time in the local time zone, to the minute: `2026-11-26 14:16`."""
    return datetime.fromisoformat(utc).astimezone().strftime("%Y-%m-%d %H:%M")


def times(shape: Sequence[int]) -> str:
    """Return the sides of a shape as `28×28×1`."""
    return "×".join(map(str, shape))


def energy(picojoules: float) -> str:
    """Return an energy with four digits and a unit prefix: `4.483 nJ`."""
    return _with_prefix(picojoules, ("pJ", "nJ", "µJ", "mJ", "J"))


def duration(nanoseconds: float) -> str:
    """Return a duration with four digits and a unit prefix: `115.9 µs`."""
    return _with_prefix(nanoseconds, ("ns", "µs", "ms", "s"))


def _with_prefix(value: float, units: Sequence[str]) -> str:
    """Return a value with the first unit in which it is below 1000; `units` differ by factors of 1000."""
    if not value:
        return f"0 {units[0]}"
    for unit in units[:-1]:
        if float(f"{value:.4g}") < 1000:
            return f"{value:#.4g} {unit}"
        value /= 1000
    return f"{value:,.4g} {units[-1]}"


def equal_columns(rows: Sequence[Sequence[str]]) -> List[int]:
    """Return the indices of the columns whose cells are equal in all rows; none of a single row."""
    if len(rows) < 2:
        return []
    return [i for i, cells in enumerate(zip(*rows)) if len(set(cells)) == 1]


def figure(value: Union[int, float]) -> str:
    """Return an integer with all its digits, or another number with six."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def quantity(value: float) -> str:
    """Return a number with four digits, or all digits before the point, with thousands separators."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def accuracy(share: float, low: Optional[float] = None, high: Optional[float] = None) -> str:
    """Return a share in percent, with its 95 % interval if given: `97.50% (95.3–98.7)`."""
    interval = "" if low is None or high is None else f" ({100 * low:.1f}–{100 * high:.1f})"
    return f"{share:.2%}{interval}"
