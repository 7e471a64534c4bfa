"""Mt-KaHyPar (Gottesbüren et al., ACM TALG 2024).

It computes initial partitions, and improves a partition by V-cycles.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.core.progress import Say
from snnb.graph.connection import offsets_of
from snnb.mapping.partition import mtkahypar_process
from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.mtkahypar_process import Hypergraph
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import joined_sets, take_sets

# Words in the last line of the messages of a process
OUT_OF_MEMORY = ("MemoryError", "bad_alloc")
# Largest sum of the weights of all hyperedges: Mt-KaHyPar computes with 32 bits
MAX_SUM_OF_WEIGHTS = 1 << 30
# Weight of a core's capacity, where the weight of a node combines neurons and synapses
COMBINED_CAPACITY = 10_000
SEED_END = 1 << 31
# File of the messages of the process that starts a process for each job
MESSAGES = "messages.txt"
PartitionJob = Tuple[int, int]  # blocks, seed


class Start(NamedTuple):
    """An initial partition, which may exceed limits."""

    cores: int  # number of cores
    core: np.ndarray  # (groups,) int32: core of each group


class Starts(NamedTuple):
    """The initial partitions of a refinement, each of which is computed when needed."""

    partitions: Iterator[Start]
    number: int  # of partitions, if no job of Mt-KaHyPar fails


def hypergraph(problem: Problem, max_exact_pins: int) -> Hypergraph:
    """Convert contracted groups to hyperedges.

    A hyperedge has a source group and the groups that its spikes reach. The λ − 1
    metric of these hyperedges is the cost. A set with many source groups needs a copy
    of its targets for each of them. If that makes more than `max_exact_pins` pins, it
    becomes one hyperedge of the targets, and for each source one of two nodes: the
    source and the middle target. This overestimates the cost of a source on the core of
    another target.
    """
    net = problem.net
    degrees = np.diff(net.target_start)
    sources = np.diff(net.source_start)
    owner = np.repeat(np.arange(sources.size), sources)  # set of each source
    is_large_set = (
        (sources > problem.settings.min_sources_of_set_hyperedge)
        & (degrees > 2)
        & (degrees @ sources > max_exact_pins)
    )
    in_large_set = is_large_set[owner]
    middle = net.target[net.target_start[:-1] + degrees // 2]
    pair_sources = np.flatnonzero(in_large_set & (middle[owner] != net.source))
    pairs = np.stack([middle[owner[pair_sources]], net.source[pair_sources]], axis=1)
    # The spikes of the input reach the targets, from no group
    has_input = (net.input_total > 0) & ~is_large_set & (degrees > 1)
    input_sets = np.flatnonzero(has_input)
    start, pin = joined_sets(
        [
            take_sets(net.target_start, net.target, input_sets),
            _exact_hyperedges(problem, owner, ~in_large_set),
            take_sets(net.target_start, net.target, np.flatnonzero(is_large_set)),
            (2 * np.arange(len(pairs) + 1), pairs.ravel()),
        ]
    )
    weight = np.concatenate(
        [
            net.input_total[input_sets],
            net.source_weight[~in_large_set],
            net.total[is_large_set],
            net.source_weight[pair_sources],
        ]
    )
    scale = min(1.0, MAX_SUM_OF_WEIGHTS / max(float(weight.sum()), 1.0))
    node_weight, capacity = _node_weights(problem)
    return Hypergraph(
        node_weight=node_weight,
        start=start,
        pin=pin,
        weight=np.maximum(1, np.rint(weight * scale)).astype(np.int64),
        capacity=capacity,
        scale=scale,
    )


def _exact_hyperedges(
    problem: Problem,
    owner: np.ndarray,
    is_exact: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return a hyperedge for each selected source: its targets, then the source.

    The source is left out if it is a target. `owner`, int64 (sources,), is the set of
    each source, and `is_exact`, bool (sources,), selects the sources. The result is the
    offset of each hyperedge (hyperedges + 1,), and the nodes of all hyperedges.
    """
    net = problem.net
    start, pin = take_sets(net.target_start, net.target, owner[is_exact])
    is_inserted = ~net.source_is_target[is_exact]
    inserted_sources = net.source[is_exact][is_inserted]
    pins = np.insert(pin, start[1:][is_inserted], inserted_sources)
    return start + offsets_of(is_inserted), pins


def _node_weights(problem: Problem) -> Tuple[np.ndarray, int]:
    """Return the weight of each group, int64 (groups,), and the capacity of a core.

    They are neurons, or with scarce memory for synapses the larger share of a core.
    """
    net = problem.net
    limits = problem.limits
    cores_for_neurons = net.neurons.sum() / limits.neurons
    cores_for_synapses = net.synapses.sum() / limits.synapses
    min_ratio = problem.settings.min_ratio_of_ample_memory
    if min_ratio * cores_for_synapses < cores_for_neurons:
        return net.neurons, limits.neurons
    neuron_shares = net.neurons / limits.neurons
    synapse_shares = net.synapses / limits.synapses
    shares = np.maximum(neuron_shares, synapse_shares)
    return np.ceil(shares * COMBINED_CAPACITY).astype(np.int64), COMBINED_CAPACITY


def partitions(
    graph: Hypergraph,
    jobs: Sequence[PartitionJob],
    settings: SearchSettings,
    warn: Say,
    improved_partition: Optional[np.ndarray] = None,
) -> Iterator[Start]:
    """Partition a hypergraph for each job; yield the partitions of jobs that succeed.

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
                folder / mtkahypar_process.INITIAL_PARTITION,
            )
        job_texts = _list_job_texts(graph, jobs, settings)
        process = stack.enter_context(_start_process(folder, graph.capacity, job_texts))
        stack.callback(process.kill)
        assert process.stdout is not None
        codes: Dict[int, int] = {}  # exit codes of the jobs that have ended
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
                reason = _failure_reason(folder, number, codes[number])
                warn(
                    "Mt-KaHyPar ended without a partition into "
                    f"{blocks:,} cores {reason}",
                )


def _list_job_texts(
    graph: Hypergraph,
    jobs: Sequence[PartitionJob],
    settings: SearchSettings,
) -> List[str]:
    """Return the jobs as arguments of the process: number of blocks, seed and preset.

    A preset that is a number is the limit of contraction for a large hypergraph.
    """
    is_small = graph.node_weight.size <= settings.max_nodes_of_quality
    preset = "quality" if is_small else f"{settings.contraction_limit_of_large}"
    texts: List[str] = []
    for blocks, seed in jobs:
        has_many_blocks = blocks > settings.max_blocks_of_quality
        job_preset = "large_k" if has_many_blocks else preset
        texts.append(f"{blocks},{seed},{job_preset}")
    return texts


def _failure_reason(folder: Path, job_number: int, exit_code: int) -> str:
    """Return the exit code and the last message of a job, as a part of a warning."""
    paths = [folder / f"{job_number}.txt", folder / MESSAGES]
    path = next(path for path in paths if path.exists())
    messages = path.read_text(encoding="utf-8", errors="replace").splitlines()
    last_message = messages[-1] if messages else ""
    was_killed = exit_code == -signal.SIGKILL or any(
        word in last_message for word in OUT_OF_MEMORY
    )
    reason = f"exit code {exit_code}"
    if last_message:
        reason = f"{reason}, {last_message}"
    memory = "; possibly out of memory" if was_killed else ""
    return f"({reason}){memory}"


def _start_process(
    folder: Path,
    capacity: int,
    jobs: Sequence[str],
) -> "subprocess.Popen[str]":
    """Start the process.

    `multiprocessing` would execute a script without a `__main__` guard again.
    """
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
