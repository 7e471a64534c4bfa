"""The processor that a benchmark runs on, the spread of its figures, and their place in the documentation."""

import os
from pathlib import Path
from typing import Sequence

import numpy as np

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def machine() -> str:
    """Return model of the processor and number of usable cores, for the first line of a benchmark."""
    lines = [
        line.split(":", 1)
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if ":" in line
    ]
    facts = {name.strip(): value.strip() for name, value in lines}
    model = (
        f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})"
    )
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} core{'s' if cores > 1 else ''}"


def write_table(name: str, title: str, lines: Sequence[str]) -> None:
    """Write a table into docs/performance.md, between the two comments with its name, after the line `title`."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(
        f"<!-- {name}: written by `make speed` -->\n"
    )
    _, end, after = rest.partition(f"<!-- end of {name} -->\n")
    if not end:
        raise ValueError(f"{PAGE} has no place for the table {name!r}")
    PAGE.write_text(
        "\n".join([before + begin + title, "", *lines, end]) + after, encoding="utf-8"
    )


def spread(values: Sequence[float], digits: int) -> str:
    """Return median, lowest and highest value, as `2.1 (2.0–2.4)`."""
    return "{} ({})".format(*cells(values, digits).split(" | "))


def cells(values: Sequence[float], digits: int) -> str:
    """Return median, lowest and highest value as two cells of a table, `2.1 | 2.0–2.4`."""
    low, middle, high = (
        f"{value:,.{digits}f}"
        for value in (min(values), np.median(values), max(values))
    )
    return f"{middle} | {low}–{high}"
