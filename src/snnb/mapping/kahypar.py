"""A process that partitions a hypergraph by Mt-KaHyPar (Gottesbüren et al., ACM TALG 2024); `search.py` starts it.

Mt-KaHyPar holds Python's interpreter lock while it works, and it is deterministic only in a process with a single
thread. There is a process for each job, so this module imports little.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

MANY_BLOCKS = 1024
GRAPH = "graph.npz"
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class Hypergraph(NamedTuple):
    """Input of Mt-KaHyPar."""

    node_weight: np.ndarray  # (nodes,) int64
    start: np.ndarray  # int64: offset of each hyperedge in `pin`
    pin: np.ndarray  # int32: the nodes of each hyperedge
    weight: np.ndarray  # (hyperedges,) int64
    capacity: int  # maximum weight of a block


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
