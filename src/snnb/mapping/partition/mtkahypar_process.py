"""A process that partitions a hypergraph by Mt-KaHyPar; `mtkahypar.partitions` starts it.

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
from typing import TYPE_CHECKING, Dict, NamedTuple, Sequence

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
MOST_WEIGHT = (
    1 << 31
) - 1  # of the maximum weights of all blocks, which the library adds up
ARRAYS = {
    "node_weight": "q",
    "start": "q",
    "pin": "i",
    "weight": "q",
}  # files of a hypergraph: the type of a value
BLOCK = "i"  # type of a value in the file of a partition
FIRST = "first"  # file of the partition to improve, if there is one
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
    """Let the kernel kill this process when its parent has ended; a thread could not, for lack of the lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent process has ended")


def _work(folder: Path, capacity: int, jobs: Sequence[str]) -> None:
    """Write a file for each job, named by its number; print number and exit code when a job has ended.

    A job is `BLOCKS,SEED,PRESET`: `large_k`, `quality`, or the contraction limit of
    `SETTINGS`.
    """
    import mtkahypar

    report = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for messages of the library
    library = mtkahypar.initialize(1)
    node_weight, start, pin, weight = (
        _read(folder / name, kind) for name, kind in ARRAYS.items()
    )
    first_partition = (
        _read(folder / FIRST, BLOCK).tolist() if (folder / FIRST).exists() else None
    )
    running: Dict[int, int] = {}  # by process, the number of its job

    def partition(blocks: int, seed: int, preset: str) -> bytes:
        mtkahypar.set_seed(seed)
        if preset.isdecimal():
            settings = folder / f"{os.getpid()}.ini"
            settings.write_text(SETTINGS.format(preset), encoding="utf-8")
            context = library.context_from_file(str(settings))
        else:
            context = library.context_from_preset(
                getattr(mtkahypar.PresetType, preset.upper())
            )
        context.set_partitioning_parameters(blocks, 0.03, mtkahypar.Objective.KM1)
        context.set_individual_target_block_weights(
            [min(capacity, MOST_WEIGHT // blocks)] * blocks
        )
        edges = [pin[begin:end].tolist() for begin, end in zip(start, start[1:])]
        hypergraph = library.create_hypergraph(
            context,
            len(node_weight),
            len(edges),
            edges,
            node_weight.tolist(),
            weight.tolist(),
        )
        if first_partition is None:
            return array(BLOCK, hypergraph.partition(context).get_partition()).tobytes()
        partitioned_hypergraph = hypergraph.create_partitioned_hypergraph(
            context, blocks, first_partition
        )
        partitioned_hypergraph.improve_partition(context, 1)
        return array(BLOCK, partitioned_hypergraph.get_partition()).tobytes()

    def end_one() -> None:
        process, status = os.wait()
        code = (
            -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        )
        print(running.pop(process), code, file=report)

    parent = os.getpid()
    for number, job in enumerate(jobs):
        if len(running) == PROCESSES:
            end_one()
        process = os.fork()
        if process == 0:
            _end_with_parent(parent)
            os.dup2(os.open(str(folder / f"{number}.txt"), os.O_WRONLY | os.O_CREAT), 2)
            blocks, seed, preset = job.split(",")
            (folder / str(number)).write_bytes(
                partition(int(blocks), int(seed), preset)
            )
            os._exit(0)
        running[process] = number
    while running:
        end_one()


def _read(path: Path, kind: str) -> "array[int]":
    values = array(kind)
    values.frombytes(path.read_bytes())
    return values


if __name__ == "__main__":
    _end_with_parent(int(sys.argv[1]))
    _work(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
