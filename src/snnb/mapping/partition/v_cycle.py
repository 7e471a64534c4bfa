"""Refinement of single neurons: partitions from scratch and V-cycles by Mt-KaHyPar, improved by moves."""

from typing import Iterator, NamedTuple, Optional

import numpy as np

from snnb.core.progress import Progress
from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.initial import Start, initial_partitions
from snnb.mapping.partition.mtkahypar import SEED_END, connectivity_metric, hypergraph, partitions
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.refinement import Cores, Refinement, refine


class _Measured(NamedTuple):
    """A partition that Mt-KaHyPar can improve."""

    metric: int  # λ − 1
    core: np.ndarray


def refine_neurons(
    problem: Problem,
    baseline: np.ndarray,
    best: Cores,
    progress: Progress,
    *,
    max_pins: int,
    from_scratch: bool,
) -> Cores:
    """Return the best partition of single neurons within the limits that Mt-KaHyPar finds and moves improve, or None.

    Mt-KaHyPar partitions `from_scratch`, also if `best` is None or the hypergraph has at most `max_pins` pins. It then
    improves the best partition, which can be `best`, by a V-cycle, if the hypergraph represents cost and limits.
    """
    settings = problem.settings
    graph, known_cost, measured = hypergraph(problem, settings.max_exact_pins), np.inf, None
    if best is not None:
        start = Refinement(problem, best, int(best.max()) + 1)
        known_cost, metric = start.cost, connectivity_metric(graph, best)
        if metric > settings.max_metric_ratio * graph.scale * known_cost:
            graph = hypergraph(problem, settings.max_exact_pins_of_v_cycle)
            metric = connectivity_metric(graph, best)
        if start.legal and metric <= settings.max_metric_ratio * graph.scale * known_cost:
            measured = _Measured(metric, best)
    max_jobs = max(int(from_scratch or best is None), max_pins // max(graph.pin.size, 1))
    starts, number = initial_partitions(problem, baseline, graph, max_jobs)
    if graph.pin.size <= settings.max_pins_of_v_cycle and (number or measured is not None):
        starts, number = _then_v_cycle(problem, starts, graph, measured), number + 1
    return refine(problem, starts, number, known_cost, progress, settings.max_visits) if number else None


def _then_v_cycle(
    problem: Problem, starts: Iterator[Start], graph: Hypergraph, best: Optional[_Measured]
) -> Iterator[Start]:
    """Yield the starts, and a V-cycle of the best of them within the capacity and `best`."""
    settings = problem.settings
    for cores, start in starts:
        yield cores, start
        metric = connectivity_metric(graph, start)
        within = np.bincount(start, graph.node_weight).max() <= graph.capacity
        if within and (best is None or metric < best.metric):
            best = _Measured(metric, start)
    if best is None or best.metric == 0:
        return
    needed = graph.node_weight.sum() / graph.capacity
    min_cores = max(2, min(max(int(needed * (1 + settings.extra_cores)), int(np.ceil(needed))), problem.max_cores))
    cores = max(int(best.core.max()) + 1, min_cores)
    if cores < graph.node_weight.size:
        yield from partitions(graph, [(cores, problem.seed % SEED_END)], settings, problem.warn, best.core)
