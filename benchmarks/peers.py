"""The engine `event` and other simulators of spiking networks: one network, the same pictures, in turn.

Each simulator is installed from its package, in a separate environment, and simulates in a separate process with one
thread; the simulation is timed without building and compiling. Printed are medians of the rounds, and of the ratios
within a round; and the number of counts of (sample, neuron) that differ from the counts of `event`, except in the
softmax layer.

    python benchmarks/peers.py RUN [--samples 10] [--duration 100] [--rounds 3] [--environments DIR] [--page]

RUN is the directory of a run that is parsed; it is not changed. DIR keeps the environments. `--page` writes the table
into docs/performance.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np
from machine import machine, write_table

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).parent / "peers"
READS = ("numpy", "h5py", "psutil", "pydantic", "pyyaml")
# By simulator: packages, and the program with its arguments.
SIMULATORS: Dict[str, Tuple[Tuple[str, ...], List[str]]] = {
    "event": ((), ["event_engine.py", "{parsed}", "{samples}", "{result}", "{steps}"]),
    "PyTorch loop": (
        ("torch", *READS),
        ["torch_network.py", "{parsed}", "{samples}", "{result}", "{steps}", "PyTorch"],
    ),
    "SpikingJelly": (
        ("torch", "torchvision", "spikingjelly", *READS),
        [
            "torch_network.py",
            "{parsed}",
            "{samples}",
            "{result}",
            "{steps}",
            "SpikingJelly",
        ],
    ),
    "NEST": (
        ("nest-simulator", *READS),
        ["nest_network.py", "{sonata}", "{samples}", "{result}"],
    ),
    "Brian2, C++": (
        ("brian2", "numpy<2.4", "setuptools", *READS),
        ["brian2_standalone.py", "{sonata}", "{samples}", "{result}"],
    ),
}
PYTHONS = [f"python3.{minor}" for minor in (11, 12, 13, 10)]


def main() -> None:
    """Simulate in turn, print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--duration", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--environments", type=Path)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        places = _prepared(options, folder)
        environments = options.environments or folder / "environments"
        pythons = {name: _python(environments, name) for name in SIMULATORS}
        seconds: Dict[str, List[float]] = {name: [] for name in pythons}
        counts: Dict[str, Dict[str, np.ndarray]] = {}
        for _ in range(options.rounds):
            for name, python in pythons.items():
                took, counts[name] = _simulated(name, python, places)
                seconds[name].append(took)
    lines = _table(options, seconds, counts)
    title = f"{options.samples} samples, {options.duration} steps, {options.rounds} rounds; {machine()}:"
    print("\n".join([title, *lines]))
    if options.page:
        write_table("peers", title, lines)


def _prepared(options: argparse.Namespace, folder: Path) -> Dict[str, str]:
    """Simulate a copy of the run, and export its graph."""
    run = Path(shutil.copytree(options.run, folder / "run"))
    snnb = [sys.executable, "-c", "from snnb.cli.app import app; app()"]
    number = ["--samples", str(options.samples), "--duration", str(options.duration)]
    for command in (["simulate", *number, "--engine", "event"], ["graph"]):
        subprocess.run(
            [*snnb, *command, "--run-dir", str(run)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
    export = [
        "export",
        str(run),
        "--format",
        "sonata",
        "--output",
        str(folder / "sonata"),
    ]
    subprocess.run([*snnb, *export], check=True, stderr=subprocess.DEVNULL)
    simulation = json.loads(
        (folder / "sonata" / "description.json").read_text(encoding="utf-8")
    )["simulation"]
    x = np.load(run / simulation["samples_file"], mmap_mode="r")[
        : options.samples
    ].astype(np.float32)
    np.save(
        folder / "samples.npy",
        x.reshape(len(x), -1) / np.float32(simulation["pixel_scale"]),
    )
    return {
        "parsed": str(next((run / "parse").glob("*_parsed.h5"))),
        "sonata": str(folder / "sonata"),
        "samples": str(folder / "samples.npy"),
        "result": str(folder / "result.npz"),
        "steps": str(options.duration),
    }


def _python(environments: Path, name: str) -> str:
    """Return the Python of a simulator's environment, which is made if it is missing."""
    packages = SIMULATORS[name][0]
    if not packages:
        return sys.executable
    environment = environments / name.split(",")[0].replace(" ", "-").lower()
    python = environment / "bin" / "python"
    if not python.exists():
        newest: Optional[str] = next(filter(None, map(shutil.which, PYTHONS)), None)
        assert newest is not None, f"none of {', '.join(PYTHONS)} is installed"
        subprocess.run([newest, "-m", "venv", str(environment)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *packages], check=True
        )
    return str(python)


def _simulated(
    name: str, python: str, places: Dict[str, str]
) -> Tuple[float, Dict[str, np.ndarray]]:
    program, *arguments = SIMULATORS[name][1]
    one_thread = {
        f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")
    }
    environment = {
        **os.environ,
        **one_thread,
        "PYTHONPATH": str(ROOT / "src"),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    command = [
        python,
        str(PEERS / program),
        *(argument.format(**places) for argument in arguments),
    ]
    subprocess.run(
        ["taskset", "-c", "0", *command],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    with np.load(places["result"]) as file:
        return float(file["seconds"]), {
            layer: file[layer] for layer in file.files if layer != "seconds"
        }


def _table(
    options: argparse.Namespace,
    seconds: Dict[str, List[float]],
    counts: Dict[str, Dict[str, np.ndarray]],
) -> List[str]:
    lines = [
        "| simulator | ms per sample | range | event is faster by | counts that differ |",
        "|---|---:|---:|---:|---:|",
    ]
    *compared, _ = counts["event"]  # all but the softmax layer, whose spikes are drawn
    for name, took in seconds.items():
        ratio = np.median(np.divide(took, seconds["event"]))
        differing = sum(
            np.count_nonzero(counts[name][layer] != counts["event"][layer])
            for layer in compared
        )
        pairs = sum(counts["event"][layer].size for layer in compared)
        low, middle, high = (
            1000 * value(took) / options.samples for value in (min, np.median, max)
        )
        lines.append(
            f"| {name} | {middle:.2f} | {low:.2f}–{high:.2f} | {ratio:.1f} × | {differing:,} of {pairs:,} |"
        )
    return lines


if __name__ == "__main__":
    main()
