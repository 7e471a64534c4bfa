"""Compare the partitions of each method with the sequential mapping, for the graphs of some runs.

    python benchmarks/mapping.py [RUN …] [--limits 1024/4096,4096/65536] [--methods groups,hypergraph] [--listed N]

Each line is a separate process, so that seconds and peak memory are measured per line. `hypergraph` is omitted if the
network is too large for it. With `--listed` the last lines are a graph of N million listed edges: modules of 1,000
neurons, each with 100 sources, of which one in fifty is in any module.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Dict, Iterator, Sequence, Tuple

import numpy as np

HEAD = "run                      neurons/axons method           cores             spikes a sample  ratio      s    MiB"


def measure(run: Path, limits: Tuple[int, int], method: str) -> Dict[str, float]:
    """Map the latest graph of a run onto cores of these limits."""
    from snnb.core.errors import InputError
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.hardware import read_hardware
    from snnb.mapping.map_network import partition
    from snnb.mapping.traffic import PlacedNetwork

    described = read_hardware("jin_84x84")
    hardware = described.model_copy(update={"neurons_per_core": limits[0], "axons_per_core": limits[1]})
    (graph, *_) = sorted(run.glob("graphs/*/*_graph.h5"), key=lambda path: path.parent.name[0] == "2", reverse=True)
    network = PlacedNetwork.of(SynapseGraph.open(graph))
    began = time.perf_counter()
    try:
        found = partition(network, hardware, method=method)
    except InputError:
        return {}
    seconds = time.perf_counter() - began
    first = found.sequential
    best = next((tried for tried in found.tried if tried.method == method), first)
    return {
        "seconds": seconds,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "sequential_cores": first.cores,
        "sequential": first.connectivity,
        "cores": best.cores,
        "connectivity": best.connectivity,
    }


def write_modules(millions: int, run: Path) -> Path:
    """Write a graph of listed edges into a directory like that of a run."""
    from snnb.graph.listed import ListedGraph, ListedPopulation, write_listed
    from snnb.graph.populations import Recording

    degree, module, neurons = 100, 1000, millions * 10_000
    random = np.random.default_rng(0)

    def edges() -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for first in range(0, neurons, 10_000):
            target = np.repeat(np.arange(first, first + 10_000), degree)
            source = target // module * module + random.integers(0, module, target.size)
            far = random.random(target.size) < 0.02
            source[far] = random.integers(0, neurons, np.count_nonzero(far))
            yield source, target, random.random(target.size, np.float32)

    population = ListedPopulation("modules", (neurons,), spikes=random.integers(0, 50, neurons))
    target = run / "graphs" / "imported" / "modules_graph.h5"
    target.parent.mkdir(parents=True)
    write_listed(ListedGraph([population], edges()), target, Recording(10, 30, 0, 1.0), "0" * 64).close()
    return run


def in_a_process(run: Path, limits: Tuple[int, int], method: str) -> Dict[str, float]:
    """Call `measure` in a new process; that process starts others, so it is not a daemon of a pool."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send, args=(theirs, run, limits, method))
    process.start()
    found: Dict[str, float] = json.loads(ours.recv())
    process.join()
    return found


def _send(pipe, run, limits, method):  # type: ignore[no-untyped-def]
    pipe.send(json.dumps(measure(run, limits, method)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="*", type=Path)
    parser.add_argument("--limits", default="1024/4096,4096/65536")
    parser.add_argument("--methods", default="groups,hypergraph")
    parser.add_argument("--listed", type=int, default=0)
    given = parser.parse_args()
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        listed = [write_modules(given.listed, Path(folder) / f"{given.listed} million listed")] if given.listed else []
        compare([*given.run, *listed], given)


def compare(runs: Sequence[Path], given: argparse.Namespace) -> None:
    """Print a line for each graph, limits and method."""
    for run in runs:
        for limits in given.limits.split(","):
            neurons, axons = (int(limit) for limit in limits.split("/"))
            for method in given.methods.split(","):
                found = in_a_process(run, (neurons, axons), method)
                if found:
                    print(
                        f"{run.name:24} {limits:>13} {method:10} "
                        f"{found['sequential_cores']:>4} → {found['cores']:>4} "
                        f"{found['sequential']:>12,.0f} → {found['connectivity']:>12,.0f} "
                        f"{found['connectivity'] / found['sequential']:6.3f} "
                        f"{found['seconds']:6.1f} {found['mib']:6.0f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
