"""Speedup by the workers of a Dask cluster, and the overhead of a cluster.

    python benchmarks/cluster.py RUN [--samples 40] [--duration 20] [--rounds 3]

The network of a run (`parse/`) simulates its test pictures, repeated up to the number of samples. In turn: a worker
with one thread, two workers with one thread each, and, without a cluster, this process with two threads. Each simulates
`--samples` and a quarter of them: the difference is the pace, the rest the time before the first sample, in which the
network is sent to the workers and prepared there. Processor seconds are summed over this process and the workers: on a
machine with other work they show the overhead of sharing.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from recorded_samples import recorded_samples

from snnb.cluster.connect import connected
from snnb.network.read_network import read_network
from snnb.simulation.job import SimulationJob
from snnb.simulation.run_blocks import run_job
from snnb.simulation.settings import SimulationSettings


def _workers():
    return psutil.Process().children(recursive=True)


def _processor_seconds():
    return sum(
        sum(process.cpu_times()[:2]) for process in (psutil.Process(), *_workers())
    )


def _measured(job, x, y):
    """Return pace in seconds and in processor seconds a sample, and the seconds before the first sample."""
    few, spent = job.settings.samples // 4, []
    for samples in (few, job.settings.samples):
        clock, processor = time.monotonic(), _processor_seconds()
        totals = run_job(
            replace(job, settings=job.settings.changed(samples=samples)), x, y
        )
        spent.append((time.monotonic() - clock, _processor_seconds() - processor))
    assert totals.samples == job.settings.samples
    (first, first_processor), (all_, all_processor) = spent
    pace, processor = (
        (all_ - first) / (job.settings.samples - few),
        (all_processor - first_processor),
    )
    if pace <= 0:
        raise SystemExit(
            "too few samples to time, or too busy a machine: give more --samples"
        )
    return (
        pace,
        processor / (job.settings.samples - few),
        max(0.0, first - few * pace),
        totals,
    )


def _on_cluster(job, x, y, number):
    """Start a scheduler and workers of one thread, and measure on them."""
    port, python = 8786 + number, [sys.executable, "-W", "ignore", "-m"]
    address, quiet = (
        f"tcp://127.0.0.1:{port}",
        {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL},
    )
    where = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-dashboard",
        "--dashboard-address",
        ":0",
    ]
    processes = [
        subprocess.Popen([*python, "distributed.cli.dask_scheduler", *where], **quiet)
    ]
    one = [
        "distributed.cli.dask_worker",
        address,
        "--no-nanny",
        "--nthreads",
        "1",
        "--no-dashboard",
    ]
    processes += [subprocess.Popen([*python, *one], **quiet) for _ in range(number)]
    try:
        with connected(1, address) as client:
            client.wait_for_workers(number, timeout=60)
            shared = replace(job, settings=job.settings.changed(scheduler=address))
            run_job(
                replace(shared, settings=shared.settings.changed(samples=2 * number)),
                x,
                y,
            )  # imports, loads loops
            return _measured(shared, x, y)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--duration", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    (parsed,) = (asked.run / "parse").glob("*_parsed.h5")
    network = read_network(parsed)
    pixels = recorded_samples(asked.run, asked.samples)
    x = np.resize(pixels, (asked.samples, *pixels.shape[1:]))
    y = np.zeros(asked.samples, np.int64)
    settings = SimulationSettings(
        engine="event", samples=asked.samples, duration=asked.duration
    )
    job = SimulationJob(network, network, settings, "event", 1.0, True, True, 1.0)
    run_job(
        replace(job, settings=settings.changed(samples=2)), x, y
    )  # compiles the loops, or loads them
    found = {
        "1 worker, 1 thread": [],
        "2 workers, 1 thread each": [],
        "no cluster, 2 threads": [],
    }
    for _ in range(asked.rounds):
        *one, totals = _on_cluster(job, x, y, 1)
        *two, same = _on_cluster(job, x, y, 2)
        *alone, here = _measured(job, x, y)
        for rows, row in zip(found.values(), (one, two, alone)):
            rows.append(row)
            print([f"{value:.3f}" for value in row], flush=True)
        assert all(
            (same.counts[name] == counts).all()
            for name, counts in totals.counts.items()
        )
        assert all(
            (here.counts[name] == counts).all()
            for name, counts in totals.counts.items()
        )
    print(
        f"{network.neurons:,} neurons, {asked.samples} samples of {asked.duration} steps, {asked.rounds} rounds"
    )
    print(
        "| | samples/s | processor s a sample | s before the first sample |\n|---|---:|---:|---:|"
    )
    for kind, rows in found.items():
        clock, processor, before = (median(column) for column in zip(*rows))
        print(f"| {kind} | {1 / clock:.2f} | {processor:.2f} | {before:.1f} |")
    pairs = list(zip(found["1 worker, 1 thread"], found["2 workers, 1 thread each"]))
    print(
        f"two workers: {median(one[0] / two[0] for one, two in pairs):.2f} × one, median of the ratios of the rounds"
    )


if __name__ == "__main__":
    main()
