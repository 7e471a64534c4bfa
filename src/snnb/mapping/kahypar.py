"""Mt-KaHyPar (Gottesbüren et al., ACM TALG 2024), which partitions hypergraphs, in processes of its own.

Only a process with a single thread that does nothing else gives the same partition for the same seed. The process ends
with the one that started it.
"""

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError, how_to_install
from snnb.core.progress import Say
from snnb.mapping.contracted import Contracted
from snnb.mapping.limits import Limits

LARGEST_SUM = 1 << 30  # of all weights: what it computes with has 32 bits
MANY_BLOCKS = 1024
MANY_SOURCES = 8
FINENESS = 10_000  # of weights that stand for neurons and synapses at once
GRAPH = "graph.npz"
PR_SET_PDEATHSIG = 1  # prctl(2)


class Hypergraph(NamedTuple):
    """What Mt-KaHyPar partitions.

    Attributes
    ----------
    node_weight : ndarray of int64, shape (nodes,)
    start, pin : ndarray of int64 and int32
        The nodes of each hyperedge.
    weight : ndarray of int64, shape (hyperedges,)
    capacity : int
        Most weight of a block.
    """

    node_weight: np.ndarray
    start: np.ndarray
    pin: np.ndarray
    weight: np.ndarray
    capacity: int


class Job(NamedTuple):
    """One partitioning.

    Attributes
    ----------
    blocks : int
    seed : int
    """

    blocks: int
    seed: int

    @property
    def preset(self) -> str:
        """Name of Mt-KaHyPar's settings."""
        return "QUALITY" if self.blocks <= MANY_BLOCKS else "LARGE_K"


def available() -> bool:
    """Whether the package mtkahypar is installed."""
    return importlib.util.find_spec("mtkahypar") is not None


def require() -> None:
    """Raise `InputError` when the package mtkahypar is not installed."""
    if not available():
        raise InputError(
            f"--method hypergraph needs Mt-KaHyPar, which is not installed: {how_to_install('mapping')}; "
            "--method groups does without it"
        )


def hypergraph(net: Contracted, limits: Limits) -> Hypergraph:
    """Write contracted groups as hyperedges: a group of sources and what its spikes reach.

    The λ − 1 metric of these hyperedges is the cost. A set that many groups are sources of would need as many copies of
    its targets. It becomes one hyperedge of the targets, and one of two nodes for each source: itself, and the target
    in the middle. That counts too much where a source is on the core of another target.

    Parameters
    ----------
    net : Contracted
    limits : Limits

    Returns
    -------
    Hypergraph
    """
    degrees, sources = np.diff(net.target_start), np.diff(net.source_start)
    owner = np.repeat(np.arange(sources.size), sources)
    crowded = (sources > MANY_SOURCES) & (degrees > 2)
    many = crowded[owner]
    middle = net.target[net.target_start[:-1] + degrees // 2]
    starts, pins, weights = zip(
        _with_source(net, owner[~many], net.source[~many], net.source_weight[~many]),
        (*_targets(net, np.flatnonzero(crowded)), net.total[crowded]),
        _pairs(middle[owner[many]], net.source[many], net.source_weight[many]),
    )
    offsets = np.concatenate([[0], np.cumsum([pin.size for pin in pins])])
    weight = np.concatenate(weights)
    scale = min(1.0, LARGEST_SUM / max(float(weight.sum()), 1.0))
    node_weight, capacity = _node_weights(net, limits)
    return Hypergraph(
        node_weight=node_weight,
        start=np.concatenate([*(start[:-1] + offset for start, offset in zip(starts, offsets)), offsets[-1:]]),
        pin=np.concatenate(pins),
        weight=np.maximum(1, np.rint(weight * scale)).astype(np.int64),
        capacity=capacity,
    )


def _targets(net: Contracted, sets: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """List the targets of some sets."""
    degrees = np.diff(net.target_start)[sets]
    start = np.concatenate([[0], np.cumsum(degrees)])
    return start, net.target[np.repeat(net.target_start[sets] - start[:-1], degrees) + np.arange(start[-1])]


def _with_source(
    net: Contracted, sets: np.ndarray, source: np.ndarray, weight: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the targets of some sets, each with one of its sources behind them."""
    start, pin = _targets(net, sets)
    return start + np.arange(start.size), np.insert(pin, start[1:], source), weight


def _pairs(target: np.ndarray, source: np.ndarray, weight: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    apart = target != source
    pin = np.stack([target[apart], source[apart]], axis=1).ravel()
    return 2 * np.arange(pin.size // 2 + 1), pin, weight[apart]


def _node_weights(net: Contracted, limits: Limits) -> Tuple[np.ndarray, int]:
    """Weigh groups by what they take of a core: by neurons, or by the scarcer of neurons and synapses."""
    if net.synapses.sum() / limits.synapses * 4 < net.neurons.sum() / limits.neurons:
        return net.neurons, limits.neurons
    shares = np.maximum(net.neurons / limits.neurons, net.synapses / limits.synapses)
    return np.ceil(shares * FINENESS).astype(np.int64), FINENESS


def partitions(
    graph: Hypergraph, jobs: Sequence[Job], warn: Say, processes: int = 2
) -> Iterator[Tuple[Job, np.ndarray]]:
    """Partition a hypergraph for each of several jobs.

    Parameters
    ----------
    graph : Hypergraph
    jobs : sequence of Job
    warn : callable
        Told of each job that ended without a partition, for lack of memory perhaps.
    processes : int
        How many work at a time.

    Yields
    ------
    job : Job
    block : ndarray of int32, shape (nodes,)
        Block of each node.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="snnb-")))
        np.savez(folder / GRAPH, **graph._asdict())
        begun: List[subprocess.Popen[bytes]] = []
        for number, job in enumerate(jobs):
            for number_of_next in range(len(begun), min(number + processes, len(jobs))):
                begun.append(_begin(folder, number_of_next, jobs[number_of_next]))
                stack.callback(begun[-1].wait)
                stack.callback(begun[-1].kill)
            code = begun[number].wait()
            if code == 0:
                yield job, np.load(folder / f"{number}.npy", allow_pickle=False)
            else:
                said = (folder / f"{number}.txt").read_text(encoding="utf-8", errors="replace").splitlines()
                reason = f"exit code {code}" + "".join(f", {line}" for line in said[-1:])
                warn(f"Mt-KaHyPar ended without a partition into {job.blocks:,} cores ({reason}); memory may lack")


def _begin(folder: Path, number: int, job: Job) -> "subprocess.Popen[bytes]":
    """Start a process in another session, so that only this process ends it.

    Not by `multiprocessing`, which would run a person's script again that calls `map` and has no `__main__` guard.
    """
    words = [sys.executable, "-m", __name__, str(folder), str(number), str(job.blocks), str(job.seed), job.preset]
    words.append(str(os.getpid()))
    with (folder / f"{number}.txt").open("wb") as said:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
        )


def _work(folder: Path, number: int, blocks: int, seed: int, preset: str) -> None:
    import mtkahypar

    with np.load(folder / GRAPH, allow_pickle=False) as stored:
        graph = Hypergraph(**{name: stored[name] for name in Hypergraph._fields})
    library = mtkahypar.initialize(1)
    mtkahypar.set_seed(seed)
    context = library.context_from_preset(getattr(mtkahypar.PresetType, preset))
    context.set_partitioning_parameters(blocks, 0.03, mtkahypar.Objective.KM1)
    context.set_individual_target_block_weights([int(graph.capacity)] * blocks)
    edges = [part.tolist() for part in np.split(graph.pin, graph.start[1:-1])]
    nodes = graph.node_weight.size
    made = library.create_hypergraph(
        context, nodes, len(edges), edges, graph.node_weight.tolist(), graph.weight.tolist()
    )
    np.save(folder / f"{number}.npy", np.array(made.partition(context).get_partition(), np.int32))


def _end_with_parent(parent: int) -> None:
    """Let the kernel end this process when its parent ends; Mt-KaHyPar holds the GIL, so a thread could not poll."""
    with suppress(AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    _end_with_parent(int(sys.argv[6]))
    _work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
