"""From a trained network to its result: the command `snnb run`, and the toolbox's own runner (`snntoolbox`).

Both take the same trained network, normalisation images, test images and steps. The toolbox parses, normalises,
simulates, and logs the spikes that counts are computed from; snnb also writes the graph and the report. Both are
processes from start to end, in turn. `snnb run` is timed with and without compiled code and other caches of the user.
Printed are medians with their range, and medians of the ratios within a round. The data set is prepared, and the
network trained, before.

    python benchmarks/end_to_end.py [NETWORK ...] [--data DIR] [--samples 100] [--duration 100] [--rounds 3] [--page]

DIR holds `mnist/` in its official layout; without it, snnb downloads what is missing. `--page` writes the table into
docs/performance.md.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np
from machine import cells, machine, write_table

NETWORKS: Dict[str, Optional[str]] = {
    "mini_network": None,
    "lenet_mnist": "mnist",
}  # and the folder of the data set in DIR
EPOCHS, IMAGES = 2, 10_000  # of the training
TOOLBOX_BATCH = 50
TOOLBOX, COLD, WARM = "`snntoolbox`", "`snnb run`, caches empty", "`snnb run`"
SNNB = [sys.executable, "-c", "from snnb.cli.app import app; app()"]


def main() -> None:
    """Measure and print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks",
        nargs="*",
        metavar="NETWORK",
        help=f"all of {', '.join(NETWORKS)} when left out",
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--duration", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    if options.samples % TOOLBOX_BATCH:
        parser.error(
            f"--samples {options.samples}: not a multiple of the toolbox's batch of {TOOLBOX_BATCH}"
        )
    lines = [
        "| network | | seconds | range | CPU s | × toolbox |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for network in options.networks or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            lines += _measured(network, Path(folder), options)
    title = f"{options.samples} samples, {options.duration} steps, {options.rounds} rounds; {machine()}:"
    print("\n".join([title, *lines]))
    if options.page:
        write_table("end to end", title, lines)


def _measured(network: str, folder: Path, options: argparse.Namespace) -> List[str]:
    trained = folder / "trained"
    folder_of = NETWORKS[network] if options.data is not None else None
    source = [] if folder_of is None else ["--source", str(options.data / folder_of)]
    begin = ["--model", network, "--run-dir", str(trained)]
    _timed([*SNNB, "prepare", *begin, "--limit", str(IMAGES), *source])
    _timed([*SNNB, "train", *begin, "--epochs", str(EPOCHS)])
    took: Dict[str, List[Tuple[float, float]]] = {TOOLBOX: [], COLD: [], WARM: []}
    command = [
        *SNNB,
        "run",
        "--samples",
        str(options.samples),
        "--duration",
        str(options.duration),
        "--run-dir",
    ]
    for number in range(options.rounds):
        took[TOOLBOX].append(
            _toolbox(network, trained, folder / f"toolbox{number}", options)
        )
        for name in (COLD, WARM):  # the second time with the caches of the first
            run = Path(shutil.copytree(trained, folder / "run"))
            took[name].append(_timed([*command, str(run)], folder / f"caches{number}"))
            shutil.rmtree(run)
    seconds = {name: [one[0] for one in times] for name, times in took.items()}
    lines = []
    for name, times in seconds.items():
        ratio = np.median(np.divide(seconds[TOOLBOX], times))
        processor = np.median([one[1] for one in took[name]])
        first = f"| `{network}` |" if name == TOOLBOX else "| |"
        lines.append(
            f"{first} {name} | {cells(times, 1)} | {processor:.1f} | {ratio:.1f} |"
        )
    return lines


def _toolbox(
    network: str, run: Path, folder: Path, options: argparse.Namespace
) -> Tuple[float, float]:
    """Return the seconds of the toolbox's command, for a configuration with the options that snnb has by default."""
    from snnb.conversion.conversion_settings import ConversionSettings
    from snnb.conversion.toolbox_config import configuration, write_all
    from snnb.simulation.settings import SimulationSettings

    folder.mkdir()
    shutil.copy(run / "train" / f"{network}.h5", folder)
    simulation = SimulationSettings(
        samples=options.samples, duration=options.duration, batch_size=TOOLBOX_BATCH
    )
    config = configuration(
        network, [ConversionSettings(), simulation], dataset_path=str(run / "dataset")
    )
    config.set("paths", "path_wd", str(folder))
    config.set("tools", "parse", "True")
    config.set("output", "log_vars", "{'spiketrains_n_b_l_t'}")
    write_all(config, folder / "config")
    return _timed(
        [
            str(Path(sys.executable).with_name("snntoolbox")),
            str(folder / "config"),
            "-t",
        ]
    )


def _timed(command: List[str], caches: Optional[Path] = None) -> Tuple[float, float]:
    """Return the seconds of the clock, and of the processors, that a command takes."""
    environment = {**os.environ, "MPLBACKEND": "agg", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if caches is not None:
        environment.update(
            XDG_CACHE_HOME=str(caches), NUMBA_CACHE_DIR=str(caches / "numba")
        )
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    seconds, after = (
        time.perf_counter() - began,
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode()}"
        )
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
