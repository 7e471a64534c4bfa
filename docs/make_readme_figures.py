"""Write the table of speed in README.md from the tables of docs/; a test fails when it is old. By `make docs`."""

import re
from pathlib import Path
from typing import List

DOCS = Path(__file__).resolve().parent
TARGET = DOCS.parent / "README.md"
BEGIN, END = "<!-- speed: written by `make docs` from the tables of docs/ -->\n", "<!-- end of speed -->"
HEAD = "| what | snnb | reference implementation | speed-up | measured in |\n|---|---|---|---|---|\n"
LENET, CIFAR = "`lenet_mnist`", "`rueckauer_cifar10`"
READ = "snnb, read once"
EVENT, TOOLBOX, TOOLBOX_RUN = "`event`", "toolbox, `simulate`", "toolbox, `run`"


def figure(page: str, column: str, first: str, second: str = "") -> str:
    """Return the cell in a column of a page's tables, of the row that begins with `first` (and `second`).

    An empty first cell repeats the one above it.
    """
    found = []
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
        above = ""
        for row in rows:
            above = row[0] = row[0] or above
            if column in head and row[0] == first and second in ("", row[1]):
                found.append(row[head.index(column)])
    if len(found) != 1:
        raise ValueError(f"docs/{page}.md has {len(found)} cells {column!r} in a row {first!r} {second!r}")
    return found[0]


def simulated(network: str) -> List[str]:
    """Return the cells about a simulation with all threads."""
    event, toolbox, whole = (
        figure("simulation", "ms per sample", network, row) for row in (EVENT, TOOLBOX, TOOLBOX_RUN)
    )
    times = [figure("simulation", f"× {what}", network, EVENT) for what in ("toolbox's `simulate`", "toolbox's `run`")]
    return [
        f"{network} simulated, 100 steps per sample",
        f"{event} ms",
        f"{toolbox} ms (the toolbox's `simulate`), {whole} ms (its `run`)",
        ", ".join(f"{factor} ×" for factor in times),
        "[simulation](docs/simulation.md#speed-and-memory)",
    ]


def simulated_by_one_thread() -> List[str]:
    """Return the cells about other simulators."""
    ms, times = (
        [figure("simulation", column, row) for row in ("event", "PyTorch loop", "NEST")]
        for column in ("ms per sample", "event is faster by")
    )
    usual = f"{ms[1]} ms (a dense loop in PyTorch), {ms[2]} ms (NEST)"
    return [f"{LENET}, one thread", f"{ms[0]} ms", usual, f"{times[1]}, {times[2]}", "the same"]


def normalised() -> List[str]:
    """Return the cells about scale factors."""
    snnb, toolbox = (figure("conversion", "seconds", CIFAR, row) for row in ("snnb", "toolbox"))
    where = "[conversion](docs/conversion.md#how-weights-are-normalised)"
    times = f"{float(toolbox) / float(snnb):.1f} ×"
    return [f"scale factors of {CIFAR}, 5,000 samples", f"{snnb} s", f"{toolbox} s (the toolbox)", times, where]


def generated() -> List[str]:
    """Return the cells about edges, each read once."""
    ways = ("vectorised numpy", "scipy", "igraph")
    rates = {way: figure("exports", "million edges per second", way) for way in (READ, *ways)}
    ours, *others = (float(rate.replace(",", "")) for rate in rates.values())
    usual = ", ".join(f"{rates[way]} ({way})" for way in ways)
    times = ", ".join(f"{ours / other:,.1f} ×" for other in others)
    where = "[exports](docs/exports.md#how-fast-the-edges-are-generated)"
    return ["edges of AlexNet's second convolution, million per second", rates[READ], usual, times, where]


def alone() -> str:
    """Return the sentence about figures without a comparison."""
    seconds, mib = (figure("exports", unit, "graph from network and counts") for unit in ("seconds", "MiB"))
    formats = ("npz", "parquet", "sonata")
    npz, parquet, sonata = (figure("exports", "million synapses per second", f"`{name}`") for name in formats)
    return (
        f"Without a comparison: the graph of AlexNet, 921,208,576 synapses, takes {seconds} s and {mib} MiB. Synapses\n"
        f"are written at {npz} (npz), {parquet} (Parquet) and {sonata} (SONATA) million per second.\n"
    )


def readme() -> str:
    """Return README.md with the table of speed as the pages have it now."""
    before, rest = TARGET.read_text(encoding="utf-8").split(BEGIN)
    rows = [simulated(LENET), simulated_by_one_thread(), simulated(CIFAR), normalised(), generated()]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return before + BEGIN + "\n" + HEAD + table + "\n" + alone() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    TARGET.write_text(readme(), encoding="utf-8")
