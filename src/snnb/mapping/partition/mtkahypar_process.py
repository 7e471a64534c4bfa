"""A process that partitions a hypergraph by Mt-KaHyPar.

`mtkahypar.partitions` starts it.

Mt-KaHyPar holds Python's interpreter lock while it works, and it is deterministic only
in a new process with a single thread. This process loads it once and forks for each
job: a small network has a dozen jobs of a few milliseconds. For the same reason it does
not import numpy.
"""

import ctypes
import os
import signal
import sys
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence, TextIO

if TYPE_CHECKING:
    import numpy as np

# The preset `quality` with another contraction limit (c-t), in nodes for each block.
# The file needs all settings of the preset that differ from the library's defaults.
SETTINGS = """\
preset-type=quality
c-type=multilevel_coarsener
c-t={}
i-perform-refinement-on-best-partitions=true
i-r-lp-type=label_propagation
i-r-fm-type=kway_fm
r-rebalancer-type=advanced_rebalancer
r-lp-type=label_propagation
r-lp-unconstrained=true
r-lp-relative-improvement-threshold=0.001
r-fm-type=unconstrained_fm
r-fm-threshold-border-node-inclusion=0.7
r-fm-unconstrained-min-improvement=0.002
r-flow-algo=flow_cutter
"""
PROCESSES = 2  # jobs at a time
# Largest sum of the maximum weights of all blocks: the library computes with 32 bits
MAX_SUM_OF_CAPACITIES = (1 << 31) - 1
# Files of a hypergraph, with the type of a value
ARRAYS = {"node_weight": "q", "start": "q", "pin": "i", "weight": "q"}
BLOCK = "i"  # type of a value in the file of a partition
INITIAL_PARTITION = "first"  # file of the partition to improve, if there is one
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class Hypergraph(NamedTuple):
    """Input of Mt-KaHyPar."""

    node_weight: "np.ndarray"  # (nodes,) int64
    start: "np.ndarray"  # int64: offset of each hyperedge in `pin`
    pin: "np.ndarray"  # int32: the nodes of each hyperedge
    weight: "np.ndarray"  # (hyperedges,) int64
    capacity: int  # maximum weight of a block
    scale: float = 1.0  # of the weights of the hyperedges, which are at least 1


def _end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent has ended.

    A thread could not do so, because the library holds the interpreter lock.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent process has ended")


class _Partitioner:
    """Mt-KaHyPar with a hypergraph, and a partition to improve if there is one."""

    def __init__(self, folder: Path, capacity: int) -> None:
        import mtkahypar

        self._folder = folder
        self._capacity = capacity
        self._package = mtkahypar
        self._library = mtkahypar.initialize(1)
        self._node_weight = _read(folder / "node_weight", ARRAYS["node_weight"])
        self._start = _read(folder / "start", ARRAYS["start"])
        self._pin = _read(folder / "pin", ARRAYS["pin"])
        self._weight = _read(folder / "weight", ARRAYS["weight"])
        self._initial_partition: Optional[List[int]] = None
        if (folder / INITIAL_PARTITION).exists():
            partition = _read(folder / INITIAL_PARTITION, BLOCK)
            self._initial_partition = partition.tolist()

    def partition(self, blocks: int, seed: int, preset: str) -> bytes:
        """Return the block of each node, of the type `BLOCK`."""
        package = self._package
        package.set_seed(seed)
        if preset.isdecimal():
            settings = self._folder / f"{os.getpid()}.ini"
            settings.write_text(SETTINGS.format(preset), encoding="utf-8")
            context = self._library.context_from_file(str(settings))
        else:
            preset_type = getattr(package.PresetType, preset.upper())
            context = self._library.context_from_preset(preset_type)
        context.set_partitioning_parameters(blocks, 0.03, package.Objective.KM1)
        capacity = min(self._capacity, MAX_SUM_OF_CAPACITIES // blocks)
        context.set_individual_target_block_weights([capacity] * blocks)
        edges = [
            self._pin[begin:end].tolist()
            for begin, end in zip(self._start, self._start[1:])
        ]
        hypergraph = self._library.create_hypergraph(
            context,
            len(self._node_weight),
            len(edges),
            edges,
            self._node_weight.tolist(),
            self._weight.tolist(),
        )
        if self._initial_partition is None:
            return array(BLOCK, hypergraph.partition(context).get_partition()).tobytes()
        partitioned_hypergraph = hypergraph.create_partitioned_hypergraph(
            context, blocks, self._initial_partition
        )
        partitioned_hypergraph.improve_partition(context, 1)
        return array(BLOCK, partitioned_hypergraph.get_partition()).tobytes()


def _work(folder: Path, capacity: int, jobs: Sequence[str]) -> None:
    """Write a file for each job, named by its number.

    Print number and exit code when a job has ended. A job is `BLOCKS,SEED,PRESET`,
    where the preset is `large_k`, `quality`, or the contraction limit of `SETTINGS`.
    """
    report = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for messages of the library
    partitioner = _Partitioner(folder, capacity)
    running_jobs: Dict[int, int] = {}  # by process, the number of its job
    parent = os.getpid()
    for number, job in enumerate(jobs):
        if len(running_jobs) == PROCESSES:
            _wait_for_job(running_jobs, report)
        process = os.fork()
        if process == 0:
            _end_with_parent(parent)
            os.dup2(os.open(str(folder / f"{number}.txt"), os.O_WRONLY | os.O_CREAT), 2)
            blocks, seed, preset = job.split(",")
            partition = partitioner.partition(int(blocks), int(seed), preset)
            (folder / str(number)).write_bytes(partition)
            os._exit(0)
        running_jobs[process] = number
    while running_jobs:
        _wait_for_job(running_jobs, report)


def _wait_for_job(running_jobs: Dict[int, int], report: TextIO) -> None:
    """Wait until a job has ended, remove it, and print its number and exit code."""
    process, status = os.wait()
    was_killed = os.WIFSIGNALED(status)
    code = -os.WTERMSIG(status) if was_killed else os.WEXITSTATUS(status)
    print(running_jobs.pop(process), code, file=report)


def _read(path: Path, kind: str) -> "array[int]":
    values = array(kind)
    values.frombytes(path.read_bytes())
    return values


if __name__ == "__main__":
    _end_with_parent(int(sys.argv[1]))
    _work(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
