"""Refinement of initial partitions by moves of groups: descent, and annealing of the best partitions in rounds."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Callable, Deque, Iterable, Iterator, List, NamedTuple, Optional

import numpy as np

from snnb.core.machine import processors
from snnb.core.progress import Progress
from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.mtkahypar import Start
from snnb.mapping.partition.refinement_loops import Annealing, State, anneal_moves, descend_moves, put_all

TRIALS_OF_CALL = 1 << 20  # of compiled code, which signals cannot end
Cores = Optional[np.ndarray]  # core of each neuron or group; None if no valid partition was found


class Refinement:
    """A partition of groups into `cores` cores, which may exceed limits, and its improvement by moves.

    `cost` are the spikes between cores over all samples. Refine with random numbers from `seed`.
    """

    def __init__(self, problem: Problem, core: np.ndarray, cores: int, seed: int = 0) -> None:
        net, limits, self._settings = problem.net, problem.limits, problem.settings
        self._net, self._cores, self._limits = net, cores, np.array(limits[:3], np.int64)
        groups_per_core = int(max(limits.neurons, np.bincount(core, minlength=cores).max())) + 1
        self._state = State.empty(net, cores, min(net.groups, groups_per_core))
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
        """Cost with the penalty of exceeded limits in an annealing."""
        over = float(np.maximum(self.load / self._limits - 1, 0).sum())
        return self.cost * (1 + self._settings.penalty * over / self._cores)

    @property
    def legal(self) -> bool:
        """Whether no limit is exceeded."""
        return self._excess == 0

    def descend(self) -> None:
        """Move groups where that lowers the cost most within the limits, until the cost hardly changes."""
        for _ in range(self._settings.max_passes):
            cost_before = self.cost
            self._pass(mending=0)
            if self.cost >= cost_before * (1 - self._settings.min_gain_of_pass):
                break

    def mend(self) -> None:
        """Move groups from overfull cores to where it costs least within the limits, as long as the excess falls."""
        for mending in (1, 2):
            excess_before = self._excess + 1
            while 0 < self._excess < excess_before:
                excess_before = self._excess
                self._pass(mending)

    @property
    def _excess(self) -> int:
        """Sum of the neurons, axons and synapses above the limits."""
        return int(np.maximum(self.load - self._limits, 0).sum())

    def _pass(self, mending: int) -> None:
        buffers = np.zeros((4, self._cores), np.int64)
        order = self._order.permutation(self._net.groups)
        self.cost += descend_moves(self._state, self._limits, order, buffers, mending)

    def anneal(self, trials: int, hottest: float, coldest: float, penalty: float) -> None:
        """Try random moves and exchanges, fewer of which are accepted as the temperature falls; see `anneal_moves`."""
        for done in range(0, trials, TRIALS_OF_CALL):
            now = min(TRIALS_OF_CALL, trials - done)
            begin, end = (hottest * (coldest / hottest) ** (at / trials) for at in (done, done + now))
            annealing = Annealing(begin, end, penalty, self._settings.max_increase_to_exchange)
            self.cost += anneal_moves(self._state, self._limits, self._random, now, annealing)


class Refined(NamedTuple):
    """A refined partition of groups."""

    core: np.ndarray  # (groups,) int32
    cores: int
    cost: int
    penalised: float  # see `Refinement`
    legal: bool


def refine(
    problem: Problem,
    starts: Iterable[Start],
    number: int,
    best_known_cost: float,
    progress: Progress,
    max_visits: int,
) -> Cores:
    """Improve `number` initial partitions; return the best partition within the limits.

    A descent begins at each. The best are then annealed in rounds, unless even these cost much more than
    `best_known_cost`; of many groups only if no partition within the limits was found. The rounds end when all
    annealings of one lead to the best cost. An annealing visits at most about `max_visits` neighbouring groups.
    """
    net, settings = problem.net, problem.settings
    degrees, sources = np.diff(net.target_start), np.diff(net.source_start)
    visits = settings.visits_of_trial + int(((degrees + sources) * degrees).sum()) / net.groups  # of a trial, at most
    max_trials = max(1, min(settings.max_trials, int(max_visits / visits)))
    trials = min(settings.trials_per_group * net.groups, max_trials)
    rounds = min(max_trials // trials, settings.max_rounds) if net.groups <= settings.max_groups_to_anneal else 0
    total = number + settings.starts_annealed_per_round * rounds + 1
    candidates: List[Refined] = []
    for refined in _in_parallel(partial(_refined, problem, *start, problem.seed) for start in starts):
        candidates.append(refined)
        progress(min(len(candidates), total), total)
    valid, done, seed = [one for one in candidates if one.legal], len(candidates), problem.seed
    affordable = settings.max_cost_ratio_to_anneal * best_known_cost
    candidates = [one for one in candidates if one.cores > 1 and one.cost <= affordable]
    while candidates and (rounds > 0 or (not valid and min(one.cost for one in candidates) < best_known_cost)):
        candidates.sort(key=lambda one: one.penalised)
        kept = candidates[: settings.starts_annealed_per_round]
        seed += settings.starts_annealed_per_round
        lowest = min((one.cost for one in valid), default=np.inf)
        calls = [partial(_refined, problem, one.cores, one.core, seed + n, trials) for n, one in enumerate(kept)]
        annealed = list(_in_parallel(calls))
        valid += [one for one in annealed if one.legal]
        rounds -= 1
        candidates = candidates[len(kept) :] + (annealed if rounds > 0 else [])
        done += len(annealed)
        progress(min(done, total), total)
        best = min((one.cost for one in valid), default=np.inf)
        if len(kept) > 1 and all(one.legal and one.cost == best for one in annealed):
            break
        rounds -= best >= lowest  # without success they count twice
    progress(total, total)
    return min(valid, key=lambda one: one.cost).core if valid else None


def _in_parallel(calls: Iterable[Callable[[], Refined]]) -> Iterator[Refined]:
    """Yield results in the order of the calls; as many calls run at a time as there are processors."""
    running: Deque[Future[Refined]] = deque()
    with ThreadPoolExecutor(processors()) as pool:
        for call in calls:
            running.append(pool.submit(call))
            if len(running) >= processors():
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _refined(problem: Problem, cores: int, start: np.ndarray, seed: int, trials: int = 0) -> Refined:
    """Anneal, unless there are no trials, and descend; the result is within the limits if moves suffice for it."""
    refinement, settings = Refinement(problem, start, cores, seed), problem.settings
    if trials:
        mean, penalty = max(refinement.cost / problem.net.groups, 1e-9), settings.penalty * max(refinement.cost, 1)
        refinement.anneal(trials, mean * settings.hottest, mean * settings.coldest, penalty / cores)
    refinement.descend()
    if not refinement.legal:
        refinement.mend()
        refinement.descend()
    return Refined(refinement.core.copy(), cores, refinement.cost, refinement.penalised, refinement.legal)
