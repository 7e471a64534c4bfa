"""Mt-KaHyPar (Gottesbüren et al., ACM TALG 2024), which partitions hypergraphs, in separate processes.

It holds Python's interpreter lock while it works, and it is deterministic only in a process with a single thread.
"""

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError, how_to_install
from snnb.core.progress import Say
from snnb.mapping.search_kernels import Contracted
from snnb.mapping.traffic import joined_sets, take_sets

if TYPE_CHECKING:  # the processes start faster without this module
    from snnb.mapping.hardware import Limits

LARGEST_SUM = 1 << 30  # of all weights: Mt-KaHyPar computes with 32 bits
MANY_BLOCKS = 1024
PROCESSES = 2
MANY_SOURCES = 8
FINENESS = 10_000  # of weights that combine neurons and synapses
GRAPH = "graph.npz"
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
Job = Tuple[int, int]  # blocks, seed


class Hypergraph(NamedTuple):
    """Input of Mt-KaHyPar."""

    node_weight: np.ndarray  # (nodes,) int64
    start: np.ndarray  # int64: offset of each hyperedge in `pin`
    pin: np.ndarray  # int32: the nodes of each hyperedge
    weight: np.ndarray  # (hyperedges,) int64
    capacity: int  # maximum weight of a block


def is_installed() -> bool:
    """Return whether the package mtkahypar is installed."""
    return importlib.util.find_spec("mtkahypar") is not None


def require() -> None:
    """Raise `InputError` if the package mtkahypar is not installed."""
    if not is_installed():
        raise InputError(
            f"--method hypergraph needs Mt-KaHyPar, which is not installed: {how_to_install('mapping')}; "
            "--method groups does without it"
        )


def hypergraph(net: Contracted, limits: "Limits") -> Hypergraph:
    """Convert contracted groups to hyperedges: a source group and the groups that its spikes reach.

    The λ − 1 metric of these hyperedges is the cost. A set with many source groups would need a copy of its targets for
    each of them. It becomes one hyperedge of the targets, and for each source one of two nodes: the source and the
    middle target. This overestimates the cost of a source on the core of another target.
    """
    degrees, sources = np.diff(net.target_start), np.diff(net.source_start)
    owner = np.repeat(np.arange(sources.size), sources)
    crowded = (sources > MANY_SOURCES) & (degrees > 2)
    many = crowded[owner]
    middle = net.target[net.target_start[:-1] + degrees // 2]
    paired = np.flatnonzero(many & (middle[owner] != net.source))
    pairs = np.stack([middle[owner[paired]], net.source[paired]], axis=1).ravel()
    # The targets of sets with few source groups, each followed by one of these groups unless it is a target
    start, pin = take_sets(net.target_start, net.target, owner[~many])
    own, source = net.source_own[~many], net.source[~many]
    added = np.concatenate([[0], np.cumsum(~own)])
    start, pin = joined_sets(
        [
            (start + added, np.insert(pin, start[1:][~own], source[~own])),
            take_sets(net.target_start, net.target, np.flatnonzero(crowded)),
            (2 * np.arange(pairs.size // 2 + 1), pairs),
        ]
    )
    weight = np.concatenate([net.source_weight[~many], net.total[crowded], net.source_weight[paired]])
    scale = min(1.0, LARGEST_SUM / max(float(weight.sum()), 1.0))
    node_weight, capacity = net.neurons, limits.neurons
    if net.synapses.sum() / limits.synapses * 4 >= net.neurons.sum() / limits.neurons:  # weigh by the scarcer
        shares = np.maximum(net.neurons / limits.neurons, net.synapses / limits.synapses)
        node_weight, capacity = np.ceil(shares * FINENESS).astype(np.int64), FINENESS
    return Hypergraph(
        node_weight=node_weight,
        start=start,
        pin=pin,
        weight=np.maximum(1, np.rint(weight * scale)).astype(np.int64),
        capacity=capacity,
    )


def partitions(graph: Hypergraph, jobs: Sequence[Job], warn: Say) -> Iterator[Tuple[int, np.ndarray]]:
    """Partition a hypergraph for each job, `PROCESSES` at a time; yield blocks, and the block of each node (int32).

    `warn` is called with a message for each job that fails, possibly for lack of memory.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="snnb-")))
        np.savez(folder / GRAPH, **graph._asdict())
        started: List[subprocess.Popen[bytes]] = []
        for number, (blocks, _) in enumerate(jobs):
            for following in range(len(started), min(number + PROCESSES, len(jobs))):
                started.append(_start(folder, following, jobs[following]))
                stack.callback(started[-1].wait)
                stack.callback(started[-1].kill)
            code = started[number].wait()
            if code == 0:
                yield blocks, np.load(folder / f"{number}.npy", allow_pickle=False)
            else:
                messages = (folder / f"{number}.txt").read_text(encoding="utf-8", errors="replace").splitlines()
                reason = f"exit code {code}" + "".join(f", {message}" for message in messages[-1:])
                warn(f"Mt-KaHyPar ended without a partition into {blocks:,} cores ({reason}); memory may lack")


def _start(folder: Path, number: int, job: Job) -> "subprocess.Popen[bytes]":
    """Start a process; `multiprocessing` would execute a script without a `__main__` guard again."""
    with (folder / f"{number}.txt").open("wb") as messages:
        return subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, (os.getpid(), folder, number, *job))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=messages,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )


def _end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent has ended; a thread could not, for lack of the lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent process has ended")


def _work(folder: Path, number: int, blocks: int, seed: int) -> None:
    import mtkahypar

    with np.load(folder / GRAPH, allow_pickle=False) as stored:
        graph = Hypergraph(**{name: stored[name] for name in Hypergraph._fields})
    library = mtkahypar.initialize(1)
    mtkahypar.set_seed(seed)
    preset = mtkahypar.PresetType.QUALITY if blocks <= MANY_BLOCKS else mtkahypar.PresetType.LARGE_K
    context = library.context_from_preset(preset)
    context.set_partitioning_parameters(blocks, 0.03, mtkahypar.Objective.KM1)
    context.set_individual_target_block_weights([int(graph.capacity)] * blocks)
    edges = [part.tolist() for part in np.split(graph.pin, graph.start[1:-1])]
    nodes = graph.node_weight.size
    made = library.create_hypergraph(
        context, nodes, len(edges), edges, graph.node_weight.tolist(), graph.weight.tolist()
    )
    np.save(folder / f"{number}.npy", np.array(made.partition(context).get_partition(), np.int32))


if __name__ == "__main__":
    _end_with_parent(int(sys.argv[1]))
    _work(Path(sys.argv[2]), *map(int, sys.argv[3:]))
