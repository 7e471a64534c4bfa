"""How much faster workers of a Dask cluster simulate, and what a cluster costs.

    python benchmarks/cluster.py RUN [--samples 24] [--duration 10] [--rounds 3]

The network of a run (`parse/`) simulates its test pictures, again and again until there are enough. In turn: a worker
with one thread, two workers with one thread each, and, without a cluster, this process with two threads. Of each, the
seconds of a second simulation on the cluster that is there already, so that the start is not counted; the start beside.
Processor seconds are those of this process and the workers: on a machine with other work they tell what sharing costs.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from snnb.cluster.connect import connected
from snnb.network.read import read_network
from snnb.simulation.job import Job
from snnb.simulation.samples import run_job
from snnb.simulation.settings import SimulationSettings


def _workers():
    return psutil.Process().children(recursive=True)


def _processor_seconds():
    return sum(sum(process.cpu_times()[:2]) for process in (psutil.Process(), *_workers()))


def _measured(job, x, y):
    clock, processor = time.monotonic(), _processor_seconds()
    totals = run_job(job, x, y)
    assert totals.samples == job.settings.samples
    return time.monotonic() - clock, _processor_seconds() - processor, totals


def _on_cluster(parsed, network, settings, x, y, number):
    """Start a scheduler and workers of one thread; return start, seconds and processor seconds of a simulation."""
    port, python = 8786 + number, [sys.executable, "-W", "ignore", "-m"]
    address, quiet = f"tcp://127.0.0.1:{port}", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begun = time.monotonic()
    where = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--dashboard-address", ":0"]
    processes = [subprocess.Popen([*python, "distributed.cli.dask_scheduler", *where], **quiet)]
    one = ["distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    processes += [subprocess.Popen([*python, *one], **quiet) for _ in range(number)]
    try:
        with connected(1, address) as cluster:
            while cluster.size < number:
                cluster.size = len(cluster._require_worker())
                time.sleep(0.1)
            job = Job(parsed, network, settings.changed(scheduler=address), "event", 1.0, True, 1.0)
            _measured(job, x, y)  # the network travels, and the loops are loaded
            start = time.monotonic() - begun
            return (start, *_measured(job, x, y))
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--duration", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    (parsed,) = (asked.run / "parse").glob("*_parsed.h5")
    network = read_network(parsed)
    pictures = np.load(asked.run / "dataset" / "x_test.npy", mmap_mode="r")
    x = np.resize(pictures, (asked.samples, *pictures.shape[1:])).astype(np.float32)
    x /= max(1.0, float(x.max()))
    y = np.zeros(asked.samples, np.int64)
    settings = SimulationSettings(engine="event", samples=asked.samples, duration=asked.duration)
    alone = Job(parsed, network, settings, "event", 1.0, True, 1.0)
    _measured(alone, x, y)  # compiles, or loads, the loops
    found = {"1 worker, 1 thread": [], "2 workers, 1 thread each": [], "no cluster, 2 threads": []}
    for _ in range(asked.rounds):
        for number, kind in ((1, "1 worker, 1 thread"), (2, "2 workers, 1 thread each")):
            start, clock, processor, totals = _on_cluster(parsed, network, settings, x, y, number)
            found[kind].append((clock, processor, start))
        clock, processor, same = _measured(alone, x, y)
        found["no cluster, 2 threads"].append((clock, processor, 0.0))
        assert all((same.counts[name] == counts).all() for name, counts in totals.counts.items())
        for kind, rows in found.items():
            print(kind, [f"{value:.1f}" for value in rows[-1]], flush=True)
    print(f"{network.neurons:,} neurons, {asked.samples} samples of {asked.duration} steps, {asked.rounds} rounds")
    print("| | samples/s | processor s a sample | start (s) |\n|---|---:|---:|---:|")
    for kind, rows in found.items():
        clock, processor, start = (median(column) for column in zip(*rows))
        print(f"| {kind} | {asked.samples / clock:.2f} | {processor / asked.samples:.2f} | {start:.1f} |")
    pairs = list(zip(found["1 worker, 1 thread"], found["2 workers, 1 thread each"]))
    print(
        f"two workers: {median(one[0] / two[0] for one, two in pairs):.2f} × one worker (median of ratios in a round)"
    )


if __name__ == "__main__":
    main()
