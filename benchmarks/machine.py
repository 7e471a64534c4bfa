"""The processor that a benchmark runs on, and the spread of its figures."""

import os
from pathlib import Path
from typing import Sequence

import numpy as np


def machine() -> str:
    """Return model of the processor and number of usable cores, for the first line of a benchmark."""
    lines = [line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
    facts = {name.strip(): value.strip() for name, value in lines}
    model = f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})"
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def spread(values: Sequence[float], digits: int) -> str:
    """Return median, lowest and highest value, as `2.1 (2.0–2.4)`."""
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), np.median(values), max(values)))
    return f"{middle} ({low}–{high})"
