"""CPU seconds of the stages in two environments, in turn on one machine, and the differences of their spike counts.

The first environment trains the network that both convert. Imports and the compilation of loops are not counted.

    python benchmarks/environments.py PYTHON PYTHON --data DIR [--limit 1000] [--networks lenet_mnist ...]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

NETWORKS = {"lenet_mnist": "mnist", "resnet20_cifar10": "cifar10"}
SIMULATION = {"samples": 100, "duration": 100}
STAGES = (
    ("train", {"epochs": 1}),
    ("parse", {}),
    ("simulate", {"engine": "event", **SIMULATION}),
    ("simulate", {"engine": "tensorflow", **SIMULATION}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs=2)
    parser.add_argument("--data", type=Path, required=True, help="directory with one subdirectory per data set")
    parser.add_argument("--limit", type=int, default=1000, help="training samples")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    options = parser.parse_args()
    for name in options.networks:
        with tempfile.TemporaryDirectory() as scratch:
            runs = [Path(scratch) / "first", Path(scratch) / "second"]
            source = str(options.data / NETWORKS[name])
            measured(options.pythons[0], name, runs[0], "prepare", {"source": source, "limit": options.limit})
            shutil.copytree(runs[0], runs[1])
            for stage, keywords in STAGES:
                if stage == "parse":
                    shutil.rmtree(runs[1])
                    shutil.copytree(runs[0], runs[1])
                seconds = [measured(one, name, run, stage, keywords) for one, run in zip(options.pythons, runs)]
                row = [name, stage, keywords.get("engine", ""), *(f"{one:.1f}" for one in seconds)]
                print("|", " | ".join([*row, differences(*runs) if stage == "simulate" else ""]), "|", flush=True)


def differences(*runs: Path) -> str:
    """Return the spikes of the latest simulations, and the number of neurons with different counts."""
    first, second = (np.load(max((run / "simulations").iterdir()) / "spike_rate_sums.npz") for run in runs)
    differ = sum(np.count_nonzero(first[name] != second[name]) for name in first.files)
    spikes = [int(sum(sums[name].sum() for name in sums.files)) for sums in (first, second)]
    return (
        f"{spikes[0]:,} and {spikes[1]:,} spikes, {differ} of {sum(first[n].size for n in first.files)} counts differ"
    )


def measured(python: str, name: str, run: Path, stage: str, keywords: dict) -> float:
    """Return the CPU seconds of a stage in a process of the environment."""
    command = [python, __file__, "--stage", json.dumps([name, str(run), stage, keywords])]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()[-1])


def run_stage(name: str, path: str, stage: str, keywords: dict) -> None:
    """Print the CPU seconds of a stage, after a small simulation has compiled the loops."""
    import tensorflow  # noqa: F401

    from snnb import Run

    run = Run(name, path=path)
    if stage == "simulate":
        run.simulate(force=True, **{**keywords, "samples": 2, "duration": 2})
    before = sum(os.times()[:4])
    getattr(run, stage)(force=True, **keywords)
    print(sum(os.times()[:4]) - before)


if __name__ == "__main__":
    run_stage(*json.loads(sys.argv[2])) if sys.argv[1:2] == ["--stage"] else main()
