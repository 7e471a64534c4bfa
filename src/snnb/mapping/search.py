"""Search for a mapping of groups of neurons to cores, from several starts: the sequential one and Mt-KaHyPar's."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Callable, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.sparse import csr_matrix

from snnb.chips.hardware import Limits
from snnb.core.errors import InputError
from snnb.core.machine import processors
from snnb.core.progress import Progress, Say
from snnb.mapping import kahypar
from snnb.mapping.search_kernels import (
    Contracted,
    State,
    anneal_moves,
    descend_moves,
    own_sources,
    put_all,
)
from snnb.mapping.traffic import PlacedNetwork, joined_sets, take_sets, target_sets

FEWEST_GROUPS = 3_000  # up to here the search also starts from the sequential mapping
FEW_GROUPS = 20_000  # up to here it also anneals in rounds
MOST_PINS = 300_000  # of all of Mt-KaHyPar's jobs together, if there are several
FEW_PINS = 60_000  # the same for single neurons if groups of them have been partitioned
MOST_CYCLE_PINS = 4_000_000  # for a V-cycle
MOST_ANEW_PINS = 1_000_000  # for a partition after it, and for an exact hypergraph where the smaller one misjudges
POOR = 0.97  # least ratio of the costs after and before a V-cycle of a good mapping
SEEDS = 2
SEED_END = 1 << 31  # of Mt-KaHyPar's seeds
WORTH = 1.2  # largest ratio of the cost of a start and that of the best known mapping from which the search anneals
KEPT = 2  # mappings from which the search anneals in a round
TRIALS_A_GROUP = 2_000
MOST_TRIALS = 10_000_000  # of an annealing, and of all from one of the kept starts
MOST_VISITS = 1_000_000_000  # of the groups that a group's sets reach, by these trials
VISITS = 50  # as long as these takes a trial without any
MOST_ROUNDS = 4
EPOCHS = 4
HOT, COLD = 1.0, 0.05  # temperatures at the begin and the end, in mean costs of a group
PENALTY = 10.0  # of exceeded limits in the first epoch, in mean costs of a core; ten times as much in each next epoch
MORE_CORES = 0.05
MORE_CORES_FOR_AXONS = 0.10
EPOCH = 1 << 20  # trials between which the temperature is computed anew
MOST_PASSES = 30
LARGEST_SUM = 1 << 30  # of all weights: Mt-KaHyPar computes with 32 bits
OUT_OF_MEMORY = ("MemoryError", "bad_alloc")  # in the last line of the messages of a process
MESSAGES = "messages.txt"  # of the process that starts a process for each job
EXACT_PINS = 500_000  # of a hypergraph with a hyperedge for each source
MANY_SOURCES = 8  # of a set, each of which would be a hyperedge: in larger hypergraphs
ABUNDANT = 4  # least ratio of the cores for the neurons and those for the synapses if these are not scarce
FAITHFUL = 1.05  # largest ratio of the cost by the hypergraph and the cost for which a V-cycle is worth its time
FINENESS = 10_000  # of weights that combine neurons and synapses
Job = Tuple[int, int]  # of Mt-KaHyPar: blocks, seed
Cores = Optional[np.ndarray]  # core of each neuron or group; None if no valid mapping was found


def contract(network: PlacedNetwork, group: np.ndarray, groups: int, loads: np.ndarray) -> Contracted:
    """Contract neurons into groups; `group` (int32, shape (neurons,)) is the group of each placed neuron.

    `loads` (int64, shape (neurons,)) are the synapse loads, see `limits.synapse_loads`.
    """
    sets, axons, members = 0, [np.empty(0, np.int64)], [np.empty((3, 0), np.int64)]
    targets = [(np.zeros(1, np.int64), np.empty(0, np.int32))]
    for population in network.sources:
        projections = network.projections_from(population)
        if not projections:
            continue
        # Equal sets are one, and empty ones are dropped. Sets are compared with their order: neighbouring positions
        # reach the same groups in the same order.
        by_source = target_sets(projections, group, groups, network.first)
        numbers: Dict[bytes, int] = {}
        content, bounds = by_source.label.tobytes(), (by_source.label.itemsize * by_source.start).tolist()
        number = [numbers.setdefault(content[i:j], len(numbers)) if i < j else -1 for i, j in zip(bounds, bounds[1:])]
        first = np.flatnonzero(np.diff(np.maximum.accumulate(number), prepend=-1))
        targets.append(take_sets(by_source.start, by_source.label, first))
        set_of = np.array(number, np.int64)[by_source.set_of]
        axons.append(np.bincount(set_of[set_of >= 0], minlength=len(numbers)))
        if population.first >= network.first:
            part = network.part(population)
            spiking = (set_of >= 0) & (network.counts[part] > 0)
            members.append(np.stack([sets + set_of, group[part], network.counts[part]])[:, spiking])
        sets += len(numbers)
    target_start, target = joined_sets(targets)
    set_of, source, spikes = np.concatenate(members, axis=1)
    sources = csr_matrix((spikes, (set_of, source)), shape=(sets, groups))
    start = sources.indptr.astype(np.int64)
    own = np.empty(sources.indices.size, np.bool_)
    own_sources(start, sources.indices, target_start, target, np.full(groups, -1, np.int32), own)
    into = csr_matrix((np.ones(target.size, bool), target, target_start), shape=(sets, groups)).tocsc()
    by_group = sources.tocsc()
    return Contracted(
        neurons=np.bincount(group, minlength=groups),
        synapses=np.bincount(group, loads, minlength=groups).astype(np.int64),
        axons=np.concatenate(axons),
        total=np.asarray(sources.sum(axis=1)).ravel(),
        target_start=target_start,
        target=target,
        source_start=start,
        source=sources.indices,
        source_weight=sources.data,
        source_own=own,
        into_start=into.indptr.astype(np.int64),
        into=into.indices,
        from_start=by_group.indptr.astype(np.int64),
        from_set=by_group.indices,
        from_weight=by_group.data,
        from_own=csr_matrix((own, sources.indices, sources.indptr), shape=sources.shape).tocsc().data,
    )


class Search:
    """A mapping of groups to `cores` cores, which may exceed limits, and its improvement.

    `cost` are the spikes between cores over all samples.
    """

    def __init__(self, net: Contracted, core: np.ndarray, cores: int, limits: Limits, seed: int = 0) -> None:
        self._net, self._cores, self._limits = net, cores, np.array(limits[:3], np.int64)
        most = int(max(limits.neurons, np.bincount(core, minlength=cores).max())) + 1
        self._state = State.empty(net, cores, min(net.groups, most))
        self.cost = int(put_all(self._state, core))
        self._order = np.random.default_rng(seed)
        self._random = np.array([(seed * 2654435769 + 88172645463325252) % (1 << 63) + 1], np.uint64)

    @property
    def core(self) -> np.ndarray:
        """Core of each group: int32, shape (groups,)."""
        return self._state.groups["core"][:-1]

    @property
    def load(self) -> np.ndarray:
        """Neurons, axons and synapses of each core: int64, shape (cores, 3)."""
        return np.stack([self._state.cores[name] for name in ("neurons", "axons", "synapses")], axis=1)

    @property
    def penalised(self) -> float:
        """Cost with the penalty of exceeded limits with which `anneal` begins."""
        over = float(np.maximum(self.load / self._limits - 1, 0).sum())
        return self.cost * (1 + PENALTY * over / self._cores)

    @property
    def legal(self) -> bool:
        """Whether no limit is exceeded."""
        return self._excess == 0

    def descend(self) -> None:
        """Move groups where that lowers the cost most within the limits, until the cost hardly changes."""
        for _ in range(MOST_PASSES):
            before = self.cost
            self._pass(mending=0)
            if self.cost >= before * (1 - 1e-4):
                break

    def mend(self) -> None:
        """Move groups from overfull cores to where it costs least within the limits, as long as the excess falls."""
        for mending in (1, 2):
            before = self._excess + 1
            while 0 < self._excess < before:
                before = self._excess
                self._pass(mending)

    @property
    def _excess(self) -> int:
        """Sum of the neurons, axons and synapses above the limits."""
        return int(np.maximum(self.load - self._limits, 0).sum())

    def _pass(self, mending: int) -> None:
        buffers = np.zeros((4, self._cores), np.int64)
        order = self._order.permutation(self._net.groups)
        self.cost += descend_moves(self._state, self._limits, order, buffers, mending)

    def anneal(self, trials: int, hot: float, cold: float, penalty: float) -> None:
        """Try random moves and exchanges, fewer of which are accepted as the temperature falls; see `anneal_moves`."""
        for done in range(0, trials, EPOCH):
            now = min(EPOCH, trials - done)
            begin, end = (hot * (cold / hot) ** (at / trials) for at in (done, done + now))
            self.cost += anneal_moves(self._state, self._limits, self._random, now, begin, end, penalty)


class Found(NamedTuple):
    """A mapping of groups."""

    core: np.ndarray  # (groups,) int32
    cores: int
    cost: int
    penalised: float  # see `Search`
    legal: bool


def search_groups(
    net: Contracted,
    first: np.ndarray,
    known: float,
    progress: Progress,
    *,
    limits: Limits,
    most: int,
    seed: int,
    warn: Say,
    most_visits: int = MOST_VISITS,
) -> Cores:
    """Return the best valid mapping of groups that the search finds from several starts.

    It tries as few cores as neurons and synapses need, and a few more than `first` has, but at most `most`. It descends
    from each start. If groups are few, it then anneals in rounds, from the best mappings that it has not annealed from,
    unless even these cost much more than `known`, the cost of a mapping that is known.
    """
    starts, jobs = _starts(net, limits, first, most, seed, warn)
    return _best(net, starts, jobs, known, progress, limits, seed, most_visits)


def search_neurons(
    net: Contracted,
    first: np.ndarray,
    found: Cores,
    progress: Progress,
    *,
    limits: Limits,
    most: int,
    seed: int,
    warn: Say,
    most_pins: int = MOST_PINS,
    again: bool = True,
    anew: bool = False,
) -> Cores:
    """Return the best valid mapping of single neurons that Mt-KaHyPar finds and moves improve, or None.

    Mt-KaHyPar partitions the network anew with `anew`, if it has at most `most_pins` pins, or if `found` is None. It
    then improves the best partition, which can be `found`, by a V-cycle, if the hypergraph represents cost and limits.
    With `again`, it also partitions a network of at most `MOST_ANEW_PINS` pins anew if the V-cycle shows that `found`
    is poor.
    """
    graph, known = hypergraph(net, limits), np.inf
    best: Optional[Tuple[int, np.ndarray]] = None  # λ − 1 metric, and cores
    if found is not None:
        search = Search(net, found, int(found.max()) + 1, limits)
        known, metric = search.cost, _km1(graph, found)
        if metric > FAITHFUL * graph.scale * known:
            graph = hypergraph(net, limits, MOST_ANEW_PINS)
            metric = _km1(graph, found)
        if search.legal and metric <= FAITHFUL * graph.scale * known:
            best = metric, found
    starts, jobs = _starts(
        net, limits, first, most, seed, warn, graph, least=anew or found is None, most_pins=most_pins
    )
    if graph.pin.size <= MOST_CYCLE_PINS and (jobs or best is not None):
        starts, jobs = _then_cycle(starts, graph, best, most, seed, warn, again), jobs + 1
    return _best(net, starts, jobs, known, progress, limits, seed) if jobs else None


def _then_cycle(
    starts: Iterator[Tuple[int, np.ndarray]],
    graph: kahypar.Hypergraph,
    best: Optional[Tuple[int, np.ndarray]],
    most: int,
    seed: int,
    warn: Say,
    again: bool,
) -> Iterator[Tuple[int, np.ndarray]]:
    """Yield the starts, and a V-cycle of the best of them within the capacity and `best`, which has a λ − 1 metric.

    With `again`, if there are no starts, and the V-cycle multiplies the metric by less than `POOR`, Mt-KaHyPar also
    partitions anew, unless the hypergraph is too large. A better partition gets a V-cycle too.
    """
    needed = graph.node_weight.sum() / graph.capacity
    roomy = max(2, min(max(int(needed * (1 + MORE_CORES)), int(np.ceil(needed))), most))
    again = again and graph.pin.size <= MOST_ANEW_PINS
    for cores, start in starts:
        again = False
        yield cores, start
        metric = _km1(graph, start)
        if np.bincount(start, graph.node_weight).max() <= graph.capacity and (best is None or metric < best[0]):
            best = metric, start
    if best is None or best[0] == 0:
        return
    cores, seed = max(int(best[1].max()) + 1, roomy), seed % SEED_END
    if cores >= graph.node_weight.size:
        return
    for _, cycled in partitions(graph, [(cores, seed)], warn, best[1]):
        yield cores, cycled
        metric = _km1(graph, cycled)
        if not again or metric >= POOR * best[0]:
            return
        for _, start in partitions(graph, [(roomy, seed)], warn):
            yield roomy, start
            if _km1(graph, start) < metric:
                yield from partitions(graph, [(roomy, seed)], warn, start)


def _km1(graph: kahypar.Hypergraph, block: np.ndarray) -> int:
    """Return the λ − 1 metric of a partition."""
    blocks = int(block.max()) + 1
    pairs = np.unique(np.repeat(np.arange(graph.weight.size), np.diff(graph.start)) * blocks + block[graph.pin])
    return int((np.bincount(pairs // blocks, minlength=graph.weight.size) - 1) @ graph.weight)


def _best(
    net: Contracted,
    starts: Iterable[Tuple[int, np.ndarray]],
    number: int,
    known: float,
    progress: Progress,
    limits: Limits,
    seed: int,
    most_visits: int = MOST_VISITS,
) -> Cores:
    """Improve `number` starts, numbers of cores and mappings; return the best valid mapping.

    Networks of at most `FEW_GROUPS` groups are annealed in rounds, others only if no start becomes valid although one
    costs less than `known`; none if each start costs much more than that. The rounds end when all annealings of one
    lead to the best cost.
    """
    degrees, sources = np.diff(net.target_start), np.diff(net.source_start)
    visits = VISITS + int(((degrees + sources) * degrees).sum()) / net.groups  # of a trial, at most
    most_trials = max(1, min(MOST_TRIALS, int(most_visits / visits)))
    trials = min(TRIALS_A_GROUP * net.groups, most_trials)
    rounds = min(most_trials // trials, MOST_ROUNDS) if net.groups <= FEW_GROUPS else 0
    total = number + KEPT * rounds + 1
    found: List[Found] = []
    for one in _in_parallel(partial(_descended, net, start, cores, limits, seed) for cores, start in starts):
        found.append(one)
        progress(min(len(found), total), total)
    valid, number = [one for one in found if one.legal], len(found)
    found = [one for one in found if one.cores > 1 and one.cost <= WORTH * known]
    while found and (rounds > 0 or (not valid and min(one.cost for one in found) < known)):
        found.sort(key=lambda one: one.penalised)
        kept, found, rounds, seed = found[:KEPT], found[KEPT:], rounds - 1, seed + KEPT
        lowest = min((one.cost for one in valid), default=np.inf)
        calls = [partial(_annealed, net, one, limits, seed + n, trials) for n, one in enumerate(kept)]
        annealed_to = list(_in_parallel(calls))
        valid += [one for one in annealed_to if one.legal]
        found += annealed_to if rounds > 0 else []
        number += len(annealed_to)
        progress(min(number, total), total)
        best = min((one.cost for one in valid), default=np.inf)
        if len(kept) > 1 and all(one.legal and one.cost == best for one in annealed_to):
            break
        rounds -= best >= lowest  # without success they count twice
    progress(total, total)
    return min(valid, key=lambda one: one.cost).core if valid else None


def _in_parallel(calls: Iterable[Callable[[], Found]]) -> Iterator[Found]:
    """Yield results in the order of the calls; as many calls run at a time as there are processors."""
    running: Deque[Future[Found]] = deque()
    with ThreadPoolExecutor(processors()) as pool:
        for call in calls:
            running.append(pool.submit(call))
            if len(running) >= processors():
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _starts(
    net: Contracted,
    limits: Limits,
    first: np.ndarray,
    most: int,
    seed: int,
    warn: Say,
    graph: Optional[kahypar.Hypergraph] = None,
    *,
    least: bool = True,
    most_pins: int = MOST_PINS,
) -> Tuple[Iterator[Tuple[int, np.ndarray]], int]:
    """Return numbers of cores and initial mappings, Mt-KaHyPar's and the sequential one, and how many there are.

    They may exceed limits. Mt-KaHyPar has jobs with at most `most_pins` together, with `least` one in any case.
    """
    fewest = max(-(-int(net.neurons.sum()) // limits.neurons), -(-int(net.synapses.sum()) // limits.synapses))
    used = int(first.max()) + 1
    more = max(1, int(used * (MORE_CORES if used <= fewest * (1 + MORE_CORES) else MORE_CORES_FOR_AXONS)))
    wanted = [min(cores, most) for cores in (used + more, fewest, used)]
    numbers = [cores for n, cores in enumerate(wanted) if cores >= fewest and cores not in wanted[:n]]
    starts: Iterator[Tuple[int, np.ndarray]] = iter(())
    jobs: List[Job] = []
    if kahypar_is_installed() and net.groups > 1:
        graph = hypergraph(net, limits) if graph is None else graph
        possible = [n for n in numbers if 1 < n < net.groups and n * graph.capacity >= graph.node_weight.sum()]
        jobs = [(cores, (seed + n) % SEED_END) for n in range(SEEDS) for cores in possible]
        jobs = jobs[: max(int(least), most_pins // max(graph.pin.size, 1))]
        starts = partitions(graph, jobs, warn)
        if net.groups > FEWEST_GROUPS:
            return starts, len(jobs)
    others = ((cores, np.minimum(first, cores - 1).astype(np.int32)) for cores in numbers)
    return chain(starts, others), len(jobs) + len(numbers)


def _descended(net: Contracted, start: np.ndarray, cores: int, limits: Limits, seed: int) -> Found:
    """Descend from a start."""
    search = Search(net, start, cores, limits, seed)
    search.descend()
    if not search.legal:
        search.mend()
        search.descend()
    return Found(search.core.copy(), cores, search.cost, search.penalised, search.legal)


def _annealed(net: Contracted, start: Found, limits: Limits, seed: int, trials: int) -> Found:
    """Anneal, descend, and move groups from overfull cores."""
    search = Search(net, start.core, start.cores, limits, seed)
    each, penalty = max(search.cost / net.groups, 1e-9), PENALTY * max(search.cost, 1) / start.cores
    for epoch in range(EPOCHS):
        hot, cold = (each * HOT * (COLD / HOT) ** (at / EPOCHS) for at in (epoch, epoch + 1))
        search.anneal(trials // EPOCHS, hot, cold, penalty * 10**epoch)
    search.descend()
    if not search.legal:
        search.mend()
        search.descend()
    return Found(search.core.copy(), start.cores, search.cost, search.penalised, search.legal)


def kahypar_is_installed() -> bool:
    """Return whether the package mtkahypar is installed."""
    return importlib.util.find_spec("mtkahypar") is not None


def require_kahypar() -> None:
    """Raise `InputError` if the package mtkahypar is not installed."""
    if not kahypar_is_installed():
        raise InputError(
            "--method hypergraph needs Mt-KaHyPar, which is not installed: pip install mtkahypar; "
            "--method groups does without it"
        )


def hypergraph(net: Contracted, limits: Limits, exact_pins: int = EXACT_PINS) -> kahypar.Hypergraph:
    """Convert contracted groups to hyperedges: a source group and the groups that its spikes reach.

    The λ − 1 metric of these hyperedges is the cost. A set with many source groups needs a copy of its targets for each
    of them. If that makes more than `exact_pins` pins, it becomes one hyperedge of the targets, and for each source one
    of two nodes: the source and the middle target. This overestimates the cost of a source on the core of another
    target.
    """
    degrees, sources = np.diff(net.target_start), np.diff(net.source_start)
    owner = np.repeat(np.arange(sources.size), sources)
    crowded = (sources > MANY_SOURCES) & (degrees > 2) & (degrees @ sources > exact_pins)
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
    if ABUNDANT * net.synapses.sum() / limits.synapses >= net.neurons.sum() / limits.neurons:  # weigh by the scarcer
        shares = np.maximum(net.neurons / limits.neurons, net.synapses / limits.synapses)
        node_weight, capacity = np.ceil(shares * FINENESS).astype(np.int64), FINENESS
    return kahypar.Hypergraph(
        node_weight=node_weight,
        start=start,
        pin=pin,
        weight=np.maximum(1, np.rint(weight * scale)).astype(np.int64),
        capacity=capacity,
        scale=scale,
    )


def partitions(
    graph: kahypar.Hypergraph, jobs: Sequence[Job], warn: Say, first: Optional[np.ndarray] = None
) -> Iterator[Tuple[int, np.ndarray]]:
    """Partition a hypergraph for each job; yield blocks, and the block of each node (int32).

    With `first` (int32, shape (nodes,)), each job improves this partition by a V-cycle. `warn` is called with a message
    for each job that fails.
    """
    if not jobs:
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="snnb-")))
        for name, kind in kahypar.ARRAYS.items():
            getattr(graph, name).astype(kind).tofile(folder / name)
        if first is not None:
            first.astype(kahypar.BLOCK).tofile(folder / kahypar.FIRST)
        process = stack.enter_context(_start_kahypar(folder, graph.capacity, jobs))
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
                yield blocks, np.fromfile(folder / str(number), kahypar.BLOCK)
            else:
                texts = [path for path in (folder / f"{number}.txt", folder / MESSAGES) if path.exists()]
                messages = texts[0].read_text(encoding="utf-8", errors="replace").splitlines()
                last = "".join(messages[-1:])
                reason = f"exit code {codes[number]}" + (last and f", {last}")
                killed = codes[number] == -signal.SIGKILL or any(name in last for name in OUT_OF_MEMORY)
                memory = "; possibly out of memory" if killed else ""
                warn(f"Mt-KaHyPar ended without a partition into {blocks:,} cores ({reason}){memory}")


def _start_kahypar(folder: Path, capacity: int, jobs: Sequence[Job]) -> "subprocess.Popen[str]":
    """Start the process; `multiprocessing` would execute a script without a `__main__` guard again."""
    given = (os.getpid(), folder, capacity, *(f"{blocks},{seed}" for blocks, seed in jobs))
    with (folder / MESSAGES).open("wb") as messages:
        return subprocess.Popen(
            [sys.executable, "-S", "-m", kahypar.__name__, *map(str, given)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            universal_newlines=True,
        )
