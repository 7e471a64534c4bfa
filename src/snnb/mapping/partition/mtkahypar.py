"""Mt-KaHyPar (Gottesbüren et al., ACM TALG 2024): initial partitions, and V-cycles that improve a partition."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Say
from snnb.graph.connection import offsets_of
from snnb.mapping.partition import mtkahypar_process
from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import joined_sets, take_sets

OUT_OF_MEMORY = (
    "MemoryError",
    "bad_alloc",
)  # in the last line of the messages of a process
LARGEST_SUM = 1 << 30  # of all weights: Mt-KaHyPar computes with 32 bits
FINENESS = 10_000  # of weights that combine neurons and synapses
SEED_END = 1 << 31
MESSAGES = "messages.txt"  # of the process that starts a process for each job
Job = Tuple[int, int]  # blocks, seed


class Start(NamedTuple):
    """An initial partition, which may exceed limits."""

    cores: int  # number of cores
    core: np.ndarray  # (groups,) int32: core of each group


class Starts(NamedTuple):
    """The initial partitions of a refinement, each of which is computed when needed."""

    partitions: Iterator[Start]
    number: int  # of partitions, if no job of Mt-KaHyPar fails


def hypergraph(problem: Problem, max_exact_pins: int) -> Hypergraph:
    """Convert contracted groups to hyperedges: a source group and the groups that its spikes reach.

    The λ − 1 metric of these hyperedges is the cost. A set with many source groups
    needs a copy of its targets for each of them. If that makes more than
    `max_exact_pins` pins, it becomes one hyperedge of the targets, and for each source
    one of two nodes: the source and the middle target. This overestimates the cost of a
    source on the core of another target.
    """
    net, limits, settings = problem.net, problem.limits, problem.settings
    degrees, sources = np.diff(net.target_start), np.diff(net.source_start)
    owner = np.repeat(np.arange(sources.size), sources)
    is_large_set = (
        (sources > settings.min_sources_of_set_hyperedge)
        & (degrees > 2)
        & (degrees @ sources > max_exact_pins)
    )
    in_large_set = is_large_set[owner]
    middle = net.target[net.target_start[:-1] + degrees // 2]
    pair_sources = np.flatnonzero(in_large_set & (middle[owner] != net.source))
    pairs = np.stack(
        [middle[owner[pair_sources]], net.source[pair_sources]],
        axis=1,
    ).ravel()
    # The targets of sets with few source groups, each followed by one of these groups
    # unless it is a target
    start, pin = take_sets(net.target_start, net.target, owner[~in_large_set])
    is_target, source = net.source_is_target[~in_large_set], net.source[~in_large_set]
    n_inserted = offsets_of(~is_target)
    start, pin = joined_sets(
        [
            (
                start + n_inserted,
                np.insert(pin, start[1:][~is_target], source[~is_target]),
            ),
            take_sets(net.target_start, net.target, np.flatnonzero(is_large_set)),
            (2 * np.arange(pairs.size // 2 + 1), pairs),
        ]
    )
    weight = np.concatenate(
        [
            net.source_weight[~in_large_set],
            net.total[is_large_set],
            net.source_weight[pair_sources],
        ]
    )
    scale = min(1.0, LARGEST_SUM / max(float(weight.sum()), 1.0))
    node_weight, capacity = net.neurons, limits.neurons
    cores = net.neurons.sum() / limits.neurons, net.synapses.sum() / limits.synapses
    if (
        settings.min_ratio_of_ample_memory * cores[1] >= cores[0]
    ):  # weigh by the scarcer
        shares = np.maximum(
            net.neurons / limits.neurons,
            net.synapses / limits.synapses,
        )
        node_weight, capacity = np.ceil(shares * FINENESS).astype(np.int64), FINENESS
    return Hypergraph(
        node_weight=node_weight,
        start=start,
        pin=pin,
        weight=np.maximum(1, np.rint(weight * scale)).astype(np.int64),
        capacity=capacity,
        scale=scale,
    )


def partitions(
    graph: Hypergraph,
    jobs: Sequence[Job],
    settings: SearchSettings,
    warn: Say,
    improved_partition: Optional[np.ndarray] = None,
) -> Iterator[Start]:
    """Partition a hypergraph for each job; yield blocks, and the block of each node (int32).

    With `improved_partition` (int32, shape (nodes,)), each job improves this partition
    by a V-cycle. `warn` is called with a message for each job that fails.
    """
    if not jobs:
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="snnb-")))
        for name, kind in mtkahypar_process.ARRAYS.items():
            getattr(graph, name).astype(kind).tofile(folder / name)
        if improved_partition is not None:
            improved_partition.astype(mtkahypar_process.BLOCK).tofile(
                folder / mtkahypar_process.FIRST,
            )
        small = graph.node_weight.size <= settings.max_nodes_of_quality
        preset = "quality" if small else f"{settings.contraction_limit_of_large}"
        presets = [
            preset if blocks <= settings.max_blocks_of_quality else "large_k"
            for blocks, _ in jobs
        ]
        texts = [
            f"{blocks},{seed},{preset}" for (blocks, seed), preset in zip(jobs, presets)
        ]
        process = stack.enter_context(_start_process(folder, graph.capacity, texts))
        stack.callback(process.kill)
        assert process.stdout is not None
        codes: Dict[int, int] = {}  # of the jobs that have ended
        for number, (blocks, _) in enumerate(jobs):
            while number not in codes:
                line = process.stdout.readline().split()
                if not line:  # the process has ended early
                    codes = {**dict.fromkeys(range(len(jobs)), process.wait()), **codes}
                    break
                codes[int(line[0])] = int(line[1])
            if codes[number] == 0:
                block = np.fromfile(folder / str(number), mtkahypar_process.BLOCK)
                yield Start(blocks, block)
            else:
                files = [
                    path
                    for path in (folder / f"{number}.txt", folder / MESSAGES)
                    if path.exists()
                ]
                messages = (
                    files[0].read_text(encoding="utf-8", errors="replace").splitlines()
                )
                last = "".join(messages[-1:])
                reason = f"exit code {codes[number]}" + (last and f", {last}")
                was_killed = codes[number] == -signal.SIGKILL or any(
                    name in last for name in OUT_OF_MEMORY
                )
                memory = "; possibly out of memory" if was_killed else ""
                warn(
                    f"Mt-KaHyPar ended without a partition into {blocks:,} cores "
                    f"({reason}){memory}",
                )


def _start_process(
    folder: Path,
    capacity: int,
    jobs: Sequence[str],
) -> "subprocess.Popen[str]":
    """Start the process; `multiprocessing` would execute a script without a `__main__` guard again."""
    arguments = (os.getpid(), folder, capacity, *jobs)
    with (folder / MESSAGES).open("wb") as messages:
        return subprocess.Popen(
            [
                sys.executable,
                "-S",
                "-m",
                mtkahypar_process.__name__,
                *map(str, arguments),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            },
            universal_newlines=True,
        )


def is_installed() -> bool:
    """Return whether the package mtkahypar is installed."""
    return importlib.util.find_spec("mtkahypar") is not None


def require() -> None:
    """Raise `InputError` if the package mtkahypar is not installed."""
    if not is_installed():
        raise InputError(
            "--method hypergraph needs Mt-KaHyPar, which is not installed: pip "
            "install mtkahypar; --method groups does without it"
        )


def connectivity_metric(graph: Hypergraph, block: np.ndarray) -> int:
    """Return the λ − 1 metric of a partition."""
    blocks = int(block.max()) + 1
    pairs = np.unique(
        np.repeat(np.arange(graph.weight.size), np.diff(graph.start)) * blocks
        + block[graph.pin]
    )
    return int(
        (np.bincount(pairs // blocks, minlength=graph.weight.size) - 1) @ graph.weight,
    )


class VCycleStart(NamedTuple):
    """A partition that a V-cycle of Mt-KaHyPar can improve."""

    metric: int  # λ − 1, see `connectivity_metric`
    core: np.ndarray  # (nodes,) int32: core of each node


def append_v_cycle(
    problem: Problem,
    starts: Starts,
    graph: Hypergraph,
    best: Optional[VCycleStart],
) -> Starts:
    """Add the result of a V-cycle to initial partitions.

    The V-cycle improves the best of these partitions that keep the capacity of the
    hypergraph, and of `best`.
    """
    partitions_and_v_cycle = _then_v_cycle(problem, starts.partitions, graph, best)
    return Starts(partitions_and_v_cycle, starts.number + 1)


def _then_v_cycle(
    problem: Problem,
    starts: Iterator[Start],
    graph: Hypergraph,
    best: Optional[VCycleStart],
) -> Iterator[Start]:
    """Yield the starts, then the result of a V-cycle, if it has a start."""
    for start in starts:
        yield start
        metric = connectivity_metric(graph, start.core)
        max_load = np.bincount(start.core, graph.node_weight).max()
        if max_load <= graph.capacity and (best is None or metric < best.metric):
            best = VCycleStart(metric, start.core)
    if best is None or best.metric == 0:
        return
    settings = problem.settings
    cores_needed = graph.node_weight.sum() / graph.capacity
    with_extra_cores = int(cores_needed * (1 + settings.extra_cores))
    min_cores = max(with_extra_cores, int(np.ceil(cores_needed)))
    min_cores = max(2, min(min_cores, problem.max_cores))
    cores = max(int(best.core.max()) + 1, min_cores)
    if cores < graph.node_weight.size:
        job = (cores, problem.seed % SEED_END)
        yield from partitions(graph, [job], settings, problem.warn, best.core)
