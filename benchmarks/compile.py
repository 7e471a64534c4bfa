"""Compilations of the loops by `simulate`, `graph` and `map` of the small network, with empty caches.

    python benchmarks/compile.py [--run DIR] [--commands simulate,graph,map] [--rows 20]

Each command runs in a fresh process; the commands share a cache of machine code, which is empty at first. Printed are
processor seconds and number of compilations of each function, as numba's events report them. The seconds of a function
are without those of the functions that it calls, which numba compiles meanwhile. `--run` takes a run with a parsed
`mini_network` in place of a new one. `PYTHONPATH` selects another version of the package.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import DefaultDict, Dict, List

from machine import machine

OPTIONS = {"map": ["--hardware", "spinemap_5x5"]}
Compilations = Dict[
    str, List[float]
]  # processor seconds of each compilation, by function


def main() -> None:
    """Print a table for each command, and the sums."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path)
    parser.add_argument("--commands", default="simulate,graph,map")
    parser.add_argument(
        "--rows", type=int, default=20, help="most functions in a table"
    )
    parser.add_argument(
        "--record", nargs=2, metavar=("COMMAND", "FILE"), help=argparse.SUPPRESS
    )
    given = parser.parse_args()
    if given.record:
        record(given.record[0], given.run, Path(given.record[1]))
        return
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        run = given.run or Path(folder) / "run"
        if given.run is None:
            _snnb("parse", "--model", "mini_network", "--run-dir", str(run), "--quiet")
        sums: Dict[str, Compilations] = {
            command: _compilations(command, run, Path(folder))
            for command in given.commands.split(",")
        }
    for command, by_function in sums.items():
        print(f"\n{command:50}{'compilations':>12}{'s':>8}")
        for name in sorted(by_function, key=lambda name: -sum(by_function[name]))[
            : given.rows
        ]:
            print(_row(name, by_function[name]))
        print(
            _row(
                "all functions",
                [seconds for each in by_function.values() for seconds in each],
            )
        )
    print(
        "\n"
        + _row(
            "all commands",
            [s for each in sums.values() for seconds in each.values() for s in seconds],
        )
    )


def _row(name: str, seconds: List[float]) -> str:
    return f"    {name:46}{len(seconds):12}{sum(seconds):8.2f}"


def _snnb(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "snnb", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _compilations(command: str, run: Path, folder: Path) -> Compilations:
    """Run a command in a new process, whose cache is in a folder."""
    arguments = [
        sys.executable,
        __file__,
        "--run",
        str(run),
        "--record",
        command,
        str(folder / "compilations.json"),
    ]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")}
    subprocess.run(arguments, env=environment, check=True, stdout=subprocess.DEVNULL)
    found: Compilations = json.loads(
        (folder / "compilations.json").read_text(encoding="utf-8")
    )
    return found


def record(command: str, run: Path, file: Path) -> None:
    """Run a command in this process, and write the compilations by function to a file."""
    from numba.core.event import Event, Listener, register

    from snnb.cli.main import main as snnb

    own: DefaultDict[str, List[float]] = defaultdict(list)
    thread = (
        threading.local()
    )  # stack of the compilations at work: when each began, seconds of those within it

    class Compilation(Listener):
        """Sum up processor seconds."""

        def on_start(self, event: Event) -> None:
            thread.stack = [*getattr(thread, "stack", []), [time.thread_time(), 0.0]]

        def on_end(self, event: Event) -> None:
            began, within = thread.stack.pop()
            seconds = time.thread_time() - began
            if thread.stack:
                thread.stack[-1][1] += seconds
            function = event.data["dispatcher"].py_func
            own[
                f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
            ].append(seconds - within)

    register("numba:compile", Compilation())
    code = snnb([command, str(run), "--force", "--quiet", *OPTIONS.get(command, [])])
    if code:
        sys.exit(code)
    file.write_text(json.dumps(own), encoding="utf-8")


if __name__ == "__main__":
    main()
