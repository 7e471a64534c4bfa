"""Profile the engine `event`, and compare it with the processor's limit: `python benchmarks/event_profile.py RUN`.

RUN is the directory of a run that is parsed. Printed are, by population, milliseconds of one thread for a sample, and
weights added per second; the time of the rest; and the weights per second that the same loop adds in a block of 16 KiB,
which stays in the first-level cache, and in larger blocks.
"""

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Dict, Sequence

import numba
import numpy as np
from recorded_samples import recorded_samples

from snnb.forward.analogue import batch_of
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.compiled_loops import add_run, number_of
from snnb.simulation.engines.event.compiled_network import Work
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.loop_arrays import aligned
from snnb.simulation.settings import SimulationSettings

BLOCKS = (16, 128, 1024)  # KiB
WIDTH, ROWS, REPEATS = 64, 4096, 50


def main() -> None:
    """Read the command line, simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--duration", type=int, default=100)
    given = parser.parse_args()
    [parsed] = (given.run / "parse").glob("*_parsed.h5")
    network = read_network(parsed)
    x = recorded_samples(given.run, given.samples)
    settings = SimulationSettings(samples=len(x), duration=given.duration)
    engine = EventEngine(network, settings, threads=1)
    engine.simulate(x[:2], 0, lambda *_: None)  # compiles
    seconds: Dict[str, float] = Counter()
    spikes: Dict[str, int] = Counter()
    for name, work in engine._prepared.work.items():
        engine._prepared.work[name] = _timed(name, work, seconds, spikes)
    began = time.process_time()
    block = batch_of(network.neurons)
    for first in range(0, len(x), block):
        engine.simulate(x[first : first + block], first, lambda *_: None)
    total = time.process_time() - began
    for population in network.populations:
        if population.name not in seconds:
            continue
        added = sum(
            spikes[f"{population.name} {p.input}"] * p.geometry.fan_out().mean() for p in population.projections
        )
        rate = added / seconds[population.name] / 1e9
        print(f"{population.name:32}{1000 * seconds[population.name] / len(x):9.3f} ms{rate:8.1f} G weights/s")
    print(f"{'rest':32}{1000 * (total - sum(seconds.values())) / len(x):9.3f} ms")
    for block in BLOCKS:
        print(f"rows in a block of {block:4} KiB: {_bound(block << 10) / 1e9:6.1f} G weights/s")


def _timed(name: str, work: Work, seconds: Dict[str, float], spikes: Dict[str, int]) -> Work:
    def run(read: Sequence[np.ndarray], *others: object) -> None:
        began = time.thread_time()
        work.run(read, *others)  # type: ignore[arg-type]
        seconds[name] += time.thread_time() - began
        for (source, _), bits in zip(work.inputs, read):
            spikes[f"{name} {source}"] += number_of(bits, 0, bits.shape[1])

    return work._replace(run=run)


@numba.njit
def _add(target, weights, rows):  # type: ignore[no-untyped-def]
    add_run(target, 0, weights, 0, WIDTH, rows, 0, rows.size, 4)


def _bound(size: int) -> float:
    """Return the number of weights per second that are added from a block of `size` bytes."""
    weights = aligned(np.zeros(size // 4, np.float32))
    rows = np.random.default_rng(0).integers(0, size // 4 // WIDTH, ROWS).astype(np.int32)
    target = aligned(np.zeros(WIDTH, np.float32))
    took = []
    for _ in range(REPEATS):
        began = time.thread_time()
        _add(target, weights, rows)
        took.append(time.thread_time() - began)
    return ROWS * WIDTH / min(took)


if __name__ == "__main__":
    main()
