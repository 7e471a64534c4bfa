"""Compare mappings of two versions of snnb: spikes between cores, processor time and memory of `snnb map`.

    python benchmarks/mapping.py SOURCE … --old DIRECTORY [--hardware NAME_OR_FILE …] [--seeds 3] [--listed N]

SOURCE is what `snnb graph --from` takes, for example `src/snnb/instances/lenet_t100.h5`. DIRECTORY is a checkout of the
other version (`git worktree add DIRECTORY COMMIT`). Each mapping is a process of its own, the two versions in turn; a
mapping of a small network compiles the loops before. With `--listed` the last graph has N million listed edges:
modules of 1,000 neurons, each with 100 sources, of which one in fifty is in any module.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

import numpy as np
from machine import machine, spread

HEAD = (
    "| graph | chip | version | cores | ratio to sequential | processor s | MiB |",
    "|---|---|---|---:|---:|---:|---:|",
)


class Mapped(NamedTuple):
    """A mapping of a command of its own."""

    cores: int
    ratio: float  # of connectivity, to that of the sequential mapping
    seconds: float  # of the processor, of the command and its children
    mib: float  # largest resident size of one of these processes


def snnb(source: Path, *arguments: str) -> Tuple[float, float]:
    """Run a command of the version in a checkout; return processor seconds and MiB."""
    environment = {**os.environ, "PYTHONPATH": str(source / "src")}
    command = [sys.executable, "-m", "snnb", *arguments, "--quiet"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed in {source}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def mapped(source: Path, run: Path, hardware: str, seed: int) -> Mapped:
    """Map the graph of a run."""
    seconds, mib = snnb(
        source,
        "map",
        "--run-dir",
        str(run),
        "--hardware",
        hardware,
        "--seed",
        str(seed),
        "--force",
    )
    newest = max(run.glob("maps/*/cost.json"), key=lambda path: path.stat().st_mtime_ns)
    cost = json.loads(newest.read_text(encoding="utf-8"))
    return Mapped(
        cost["cores"]["cores"], cost["sequential"]["connectivity_ratio"], seconds, mib
    )


def rows(
    graph: str, versions: Dict[str, Path], given: argparse.Namespace, folder: Path
) -> Iterator[str]:
    """Yield the rows of a graph."""
    runs = {name: Path(tempfile.mkdtemp(dir=folder)) for name in versions}
    for name, source in versions.items():
        snnb(source, "graph", "--from", graph, "--run-dir", str(runs[name]))
    for hardware in given.hardware:
        found: Dict[str, List[Mapped]] = {name: [] for name in versions}
        for seed in range(given.seeds):
            for name, source in versions.items():
                found[name].append(mapped(source, runs[name], hardware, seed))
        for name, each in found.items():
            cores, ratios, seconds, mib = zip(*each)
            yield (
                f"| {Path(graph).name} | {Path(hardware).stem} | {name} | {spread(cores, 0)} | {spread(ratios, 3)} | "
                f"{spread(seconds, 1)} | {max(mib):,.0f} |"
            )


def write_modules(millions: int, path: Path) -> str:
    """Write a graph of listed edges into an npz file."""
    random = np.random.default_rng(0)
    target = np.repeat(np.arange(millions * 10_000), 100)
    source = target // 1000 * 1000 + random.integers(0, 1000, target.size)
    far = random.random(target.size) < 0.02
    source[far] = random.integers(0, millions * 10_000, np.count_nonzero(far))
    np.savez(path, source=source, target=target)
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("graph", nargs="*", metavar="SOURCE")
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--hardware", nargs="+", default=["loihi"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--listed", type=int, default=0)
    given = parser.parse_args()
    versions = {"old": given.old.resolve(), "new": Path(__file__).resolve().parents[1]}
    print(f"{machine()}:", "", *HEAD, sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, source in versions.items():
            run = str(Path(folder) / f"{name} compiled")
            snnb(source, "graph", "--from", "instance:mini_network", "--run-dir", run)
            snnb(source, "map", "--run-dir", run, "--hardware", "loihi_64x64")
        listed = (
            [write_modules(given.listed, Path(folder) / f"{given.listed}_million.npz")]
            if given.listed
            else []
        )
        for graph in (*given.graph, *listed):
            for row in rows(graph, versions, given, Path(folder)):
                print(row, flush=True)


if __name__ == "__main__":
    main()
