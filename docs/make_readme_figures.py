"""Write the table of speed in README.md from the tables of docs/; a test fails when it is old. By `make docs`."""

import re
from pathlib import Path
from typing import Dict, List

DOCS = Path(__file__).resolve().parent
TARGET = DOCS.parent / "README.md"
BEGIN, END = "<!-- speed: written by `make docs` from the tables of docs/ -->\n", "<!-- end of speed -->"
HEAD = "| what | snnb | reference implementation | speed-up | measured in |\n|---|---|---|---|---|\n"
LENET, CIFAR, MINI = "`lenet_mnist`", "`rueckauer_cifar10`", "`mini_network`"
READ = "snnb, read once"
EVENT, TOOLBOX, TOOLBOX_RUN = "`event`", "toolbox, `simulate`", "toolbox, `run`"
RUN, COLD, RUNNER = "`snnb run`", "`snnb run`, caches empty", "`snntoolbox`"
CONVOLUTION = "convolution, AlexNet's second (5×5, 96 → 256): 377,880,576 edges"
POOLING = "pooling, VGG's first (2×2, 64 channels): 3,211,264 edges"
# Tables of the pages, whose first line ends with the processor
TABLES = (
    ("simulation", "engines"),
    ("simulation", "end to end"),
    ("simulation", "peers"),
    ("conversion", "normalisation"),
    ("exports", "edges"),
    ("exports", "graph"),
)


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


def ranged(page: str, column: str, first: str, second: str = "") -> str:
    """Return a cell and, in brackets, the range next to it."""
    return f"{figure(page, column, first, second)} ({figure(page, 'range', first, second)})"


def simulated(network: str) -> List[str]:
    """Return the cells about a simulation with all threads."""
    event, toolbox, whole = (
        ranged("simulation", "ms per sample", network, row) for row in (EVENT, TOOLBOX, TOOLBOX_RUN)
    )
    times = [figure("simulation", f"× {what}", network, EVENT) for what in ("toolbox's `simulate`", "its `run`")]
    return [
        f"{network} simulated, 100 steps per sample, ms",
        event,
        f"the toolbox's `simulate` {toolbox}, its `run` {whole}",
        ", ".join(f"{factor} ×" for factor in times),
        "[simulation](docs/simulation.md#speed-and-memory)",
    ]


def simulated_by_one_thread() -> List[str]:
    """Return the cells about other simulators."""
    names = ("event", "PyTorch loop", "NEST")
    ms = [ranged("simulation", "ms per sample", name) for name in names]
    times = [figure("simulation", "event is faster by", name) for name in names[1:]]
    usual = f"a dense loop in PyTorch {ms[1]}, NEST {ms[2]}"
    return [f"{LENET}, one thread, ms", ms[0], usual, ", ".join(times), "the same"]


def end_to_end(network: str) -> List[str]:
    """Return the cells about the entire command."""
    warm, cold, toolbox = (ranged("simulation", "seconds", network, row) for row in (RUN, COLD, RUNNER))
    times = [figure("simulation", "× toolbox", network, row) for row in (RUN, COLD)]
    return [
        f"{network}, end to end: `snnb run` of 100 samples, 100 steps, training apart, s",
        f"{warm}; with empty caches {cold}",
        f"the toolbox's own runner {toolbox}",
        "; ".join(f"{factor} ×" for factor in times),
        "[simulation](docs/simulation.md#speed-and-memory)",
    ]


def normalised() -> List[str]:
    """Return the cells about scale factors."""
    snnb, toolbox = (ranged("conversion", "seconds", CIFAR, row) for row in ("snnb", "toolbox"))
    where = "[conversion](docs/conversion.md#how-weights-are-normalised)"
    times = f"{figure('conversion', '× toolbox', CIFAR, 'snnb')} ×"
    return [f"scale factors of {CIFAR}, 5,000 samples, s", snnb, f"the toolbox {toolbox}", times, where]


def generated(projection: str, what: str, *ways: str) -> List[str]:
    """Return the cells about the edges of a projection, each read once."""
    column = "million edges per second"
    ours, *others = (float(figure("exports", column, projection, way).replace(",", "")) for way in (READ, *ways))
    usual = ", ".join(f"{way} {ranged('exports', column, projection, way)}" for way in ways)
    times = ", ".join(f"{ours / other:,.1f} ×" for other in others)
    where = "[exports](docs/exports.md#how-fast-the-edges-are-generated)"
    return [f"edges of {what}, million per second", ranged("exports", column, projection, READ), usual, times, where]


def processors() -> str:
    """Return the sentence about the processors of the tables."""
    pages: Dict[str, List[str]] = {}
    for page, table in TABLES:
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        [title] = re.findall(rf"^<!-- {table}: .*-->\n(.*):$", text, re.MULTILINE)
        pages.setdefault(title.rpartition("; ")[2], []).append(table)
    return "Processor: " + "; ".join(f"{name} ({', '.join(tables)})" for name, tables in pages.items()) + ".\n"


def alone() -> str:
    """Return the sentence about figures without a comparison."""
    seconds = ranged("exports", "seconds", "graph from network and counts")
    mib = figure("exports", "MiB", "graph from network and counts")
    formats = ("npz", "parquet", "sonata")
    npz, parquet, sonata = (figure("exports", "million synapses per second", f"`{name}`") for name in formats)
    return (
        f"Without a comparison: the graph of AlexNet, 921,208,576 synapses, takes {seconds} s and {mib} MiB. Synapses\n"
        f"are written at {npz} (npz), {parquet} (Parquet) and {sonata} (SONATA) million per second.\n"
    )


def readme() -> str:
    """Return README.md with the table of speed as the pages have it now."""
    before, rest = TARGET.read_text(encoding="utf-8").split(BEGIN)
    rows = [
        end_to_end(MINI),
        end_to_end(LENET),
        simulated(LENET),
        simulated_by_one_thread(),
        simulated(CIFAR),
        normalised(),
        generated(CONVOLUTION, "AlexNet's second convolution", "vectorised numpy", "scipy"),
        generated(POOLING, "VGG's first pooling", "scipy"),
    ]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return before + BEGIN + "\n" + HEAD + table + "\n" + processors() + "\n" + alone() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    TARGET.write_text(readme(), encoding="utf-8")
