"""Compare the partitions of each method with the sequential mapping, for the graphs of some runs.

    python benchmarks/mapping.py RUN [RUN …] [--limits 1024/4096,4096/65536] [--methods groups,hypergraph]

Each line is a separate process, so that seconds and peak memory are measured per line. `hypergraph` is omitted if the
network is too large for it.
"""

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Dict, Tuple

HEAD = "run                      neurons/axons method           cores             spikes a sample  ratio      s    MiB"


def measure(run: Path, limits: Tuple[int, int], method: str) -> Dict[str, float]:
    """Map the latest graph of a run onto cores of these limits."""
    from snnb.core.errors import InputError
    from snnb.graph import SynapseGraph
    from snnb.mapping.hardware import read_hardware
    from snnb.mapping.neurons import PlacedNetwork
    from snnb.mapping.partition import partition

    described, _ = read_hardware("jin_84x84")
    hardware = described.model_copy(update={"neurons_per_core": limits[0], "axons_per_core": limits[1]})
    (graph, *_) = sorted(run.glob("graphs/2*/*_graph.h5"), reverse=True)
    network = PlacedNetwork.of(SynapseGraph.open(graph))
    began = time.perf_counter()
    try:
        found = partition(network, hardware, method=method)
    except InputError:
        return {}
    seconds = time.perf_counter() - began
    first = found.tried[0]
    best = next((tried for tried in found.tried if tried.method == method), first)
    return {
        "seconds": seconds,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "sequential_cores": first.cores,
        "sequential": first.connectivity,
        "cores": best.cores,
        "connectivity": best.connectivity,
    }


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
    parser.add_argument("run", nargs="+", type=Path)
    parser.add_argument("--limits", default="1024/4096,4096/65536")
    parser.add_argument("--methods", default="groups,hypergraph")
    given = parser.parse_args()
    print(HEAD)
    for run in given.run:
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
