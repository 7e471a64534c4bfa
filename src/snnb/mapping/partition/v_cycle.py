"""V-cycles of Mt-KaHyPar, which improve partitions of single neurons."""

from typing import Iterator, NamedTuple, Optional

import numpy as np

from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.initial import Start
from snnb.mapping.partition.mtkahypar import SEED_END, connectivity_metric, partitions
from snnb.mapping.partition.mtkahypar_process import Hypergraph


class Measured(NamedTuple):
    """A partition that Mt-KaHyPar can improve."""

    metric: int  # λ − 1
    core: np.ndarray


def then_v_cycle(
    problem: Problem, starts: Iterator[Start], graph: Hypergraph, best: Optional[Measured]
) -> Iterator[Start]:
    """Yield the starts, and a V-cycle of the best of them within the capacity and `best`."""
    settings = problem.settings
    for cores, start in starts:
        yield cores, start
        metric = connectivity_metric(graph, start)
        within = np.bincount(start, graph.node_weight).max() <= graph.capacity
        if within and (best is None or metric < best.metric):
            best = Measured(metric, start)
    if best is None or best.metric == 0:
        return
    needed = graph.node_weight.sum() / graph.capacity
    min_cores = max(2, min(max(int(needed * (1 + settings.extra_cores)), int(np.ceil(needed))), problem.max_cores))
    cores = max(int(best.core.max()) + 1, min_cores)
    if cores < graph.node_weight.size:
        yield from partitions(graph, [(cores, problem.seed % SEED_END)], settings, problem.warn, best.core)
