"""Refinement of initial partitions by moves of groups: descent, then annealing.

The best partitions are annealed in rounds.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Deque, Iterable, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from snnb.core.machine import processors
from snnb.core.progress import Progress
from snnb.mapping.partition.contraction import Problem
from snnb.mapping.partition.mtkahypar import Start, Starts
from snnb.mapping.partition.refinement_loops import (
    MEND_ALL_GROUPS,
    MEND_USEFUL_GROUPS,
    NO_MENDING,
    Annealing,
    anneal_moves,
    descend_moves,
    new_survey,
)
from snnb.mapping.partition.state import State, put_all

TRIALS_OF_CALL = 1 << 20  # of compiled code, which signals cannot end
Cores = Optional[np.ndarray]  # core of each neuron or group; None: no valid partition


class Refinement:
    """A partition of groups, which may exceed limits, and its improvement by moves.

    Parameters
    ----------
    core : (groups,) int32 array
        The core of each group, less than `cores`.
    cores : int
        Number of cores.
    seed : int
        Of the random numbers.

    Attributes
    ----------
    cost : int
        Spikes between cores over all samples.
    """

    def __init__(
        self,
        problem: Problem,
        core: np.ndarray,
        cores: int,
        seed: int = 0,
    ) -> None:
        net = problem.net
        limits = problem.limits
        self._net = net
        self._settings = problem.settings
        self._cores = cores
        self._limits = np.array(limits[:3], np.int64)  # neurons, axons, synapses
        most_groups = int(np.bincount(core, minlength=cores).max())
        groups_per_core = min(net.groups, max(limits.neurons, most_groups) + 1)
        self._state = State.empty(net, cores, groups_per_core)
        self.cost = int(put_all(self._state, core))
        self._order = np.random.default_rng(seed)
        annealing_seed = (seed * 2654435769 + 88172645463325252) % (1 << 63) + 1
        self._random = np.array([annealing_seed], np.uint64)

    @property
    def core(self) -> np.ndarray:
        """Core of each group: int32, shape (groups,)."""
        return self._state.groups["core"][:-1]

    @property
    def load(self) -> np.ndarray:
        """Neurons, axons and synapses of each core: int64, shape (cores, 3)."""
        names = ("neurons", "axons", "synapses")
        return np.stack([self._state.cores[name] for name in names], axis=1)

    @property
    def penalised(self) -> float:
        """Cost with the penalty of exceeded limits in an annealing."""
        excess = float(np.maximum(self.load / self._limits - 1, 0).sum())
        return self.cost * (1 + self._settings.penalty * excess / self._cores)

    @property
    def legal(self) -> bool:
        """Whether no limit is exceeded."""
        return self._excess == 0

    def descend(self) -> None:
        """Move groups within the limits where that lowers the cost most.

        It ends when the cost hardly changes.
        """
        for _ in range(self._settings.max_passes):
            cost_before = self.cost
            self._pass(NO_MENDING)
            if self.cost >= cost_before * (1 - self._settings.min_gain_of_pass):
                break

    def mend(self) -> None:
        """Move groups from overfull cores to where it costs least within the limits.

        It ends when the excess no longer falls.
        """
        for mending in (MEND_USEFUL_GROUPS, MEND_ALL_GROUPS):
            excess_before = self._excess + 1
            while 0 < self._excess < excess_before:
                excess_before = self._excess
                self._pass(mending)

    @property
    def _excess(self) -> int:
        """Sum of the neurons, axons and synapses above the limits."""
        return int(np.maximum(self.load - self._limits, 0).sum())

    def _pass(self, mending: int) -> None:
        """Try to move each group once, in random order; see `descend_moves`."""
        survey = new_survey(self._cores)
        order = self._order.permutation(self._net.groups)
        self.cost += descend_moves(self._state, self._limits, order, survey, mending)

    def anneal(
        self,
        trials: int,
        hottest: float,
        coldest: float,
        penalty: float,
    ) -> None:
        """Try random moves and exchanges; accept fewer as the temperature falls.

        See `anneal_moves`. Temperatures and penalty are in spikes over all samples.
        """
        ratio = coldest / hottest
        for begin in range(0, trials, TRIALS_OF_CALL):
            trials_of_call = min(TRIALS_OF_CALL, trials - begin)
            end = begin + trials_of_call
            annealing = Annealing(
                hottest=hottest * ratio ** (begin / trials),
                coldest=hottest * ratio ** (end / trials),
                penalty=penalty,
                max_increase_to_exchange=self._settings.max_increase_to_exchange,
            )
            self.cost += anneal_moves(
                self._state,
                self._limits,
                self._random,
                trials_of_call,
                annealing,
            )


class Refined(NamedTuple):
    """A refined partition of groups."""

    core: np.ndarray  # (groups,) int32
    cores: int
    cost: int
    penalised: float  # see `Refinement`
    legal: bool


@dataclass(frozen=True, eq=False)
class _RefinementJob:
    """The refinement of one partition, which a thread runs."""

    problem: Problem
    core: np.ndarray  # (groups,) int32
    cores: int
    seed: int
    trials: int  # of an annealing before the descent, which may be 0

    def run(self) -> Refined:
        """Anneal, descend, and mend; the result is legal if moves suffice for it."""
        problem = self.problem
        refinement = Refinement(problem, self.core, self.cores, self.seed)
        if self.trials:
            settings = problem.settings
            mean_cost = max(refinement.cost / problem.net.groups, 1e-9)
            penalty = settings.penalty * max(refinement.cost, 1)
            refinement.anneal(
                self.trials,
                hottest=mean_cost * settings.hottest,
                coldest=mean_cost * settings.coldest,
                penalty=penalty / self.cores,
            )
        refinement.descend()
        if not refinement.legal:
            refinement.mend()
            refinement.descend()
        return Refined(
            core=refinement.core.copy(),
            cores=self.cores,
            cost=refinement.cost,
            penalised=refinement.penalised,
            legal=refinement.legal,
        )


class _Effort(NamedTuple):
    """How many annealings there are, and how long."""

    trials: int  # of each annealing
    rounds: int  # 0 if there are many groups

    @classmethod
    def of(cls, problem: Problem, max_visits: int) -> "_Effort":
        """Return the effort for at most about `max_visits` neighbouring groups.

        They are those that the annealings of a partition in all rounds visit.
        """
        net = problem.net
        settings = problem.settings
        target_groups = np.diff(net.target_start)
        source_groups = np.diff(net.source_start)
        visits = int(((target_groups + source_groups) * target_groups).sum())
        visits_per_trial = settings.visits_of_trial + visits / net.groups  # at most
        max_trials = min(settings.max_trials, int(max_visits / visits_per_trial))
        max_trials = max(1, max_trials)
        trials = min(settings.trials_per_group * net.groups, max_trials)
        rounds = 0
        if net.groups <= settings.max_groups_to_anneal:
            rounds = min(max_trials // trials, settings.max_rounds)
        return cls(trials, rounds)


def refine(
    problem: Problem,
    starts: Starts,
    best_known_cost: float,
    progress: Progress,
    max_visits: int,
) -> Cores:
    """Improve initial partitions; return the best one within the limits.

    A descent begins at each; `_anneal_in_rounds` continues with the best. An annealing
    visits at most about `max_visits` neighbouring groups.

    The result is the core of each group: int32, shape (groups,).
    """
    settings = problem.settings
    effort = _Effort.of(problem, max_visits)
    annealings = settings.starts_annealed_per_round * effort.rounds
    total = starts.number + annealings + 1
    refinements: List[Refined] = []
    for partition in _run_in_parallel(_list_descents(problem, starts.partitions)):
        refinements.append(partition)
        progress(min(len(refinements), total), total)
    descents = list(refinements)
    for results in _anneal_in_rounds(problem, descents, effort, best_known_cost):
        refinements += results
        progress(min(len(refinements), total), total)
    progress(total, total)
    valid = [partition for partition in refinements if partition.legal]
    if not valid:
        return None
    return min(valid, key=lambda partition: partition.cost).core


def _anneal_in_rounds(
    problem: Problem,
    descents: Sequence[Refined],
    effort: _Effort,
    best_known_cost: float,
) -> Iterator[List[Refined]]:
    """Anneal the best partitions and their results; yield the results of each round.

    Partitions that cost much more than `best_known_cost` are not annealed. The rounds
    end when all annealings of one lead to the best cost, or when there were as many as
    the effort has; then, and at once with many groups, more partitions are annealed
    only while none is within the limits and one costs less than `best_known_cost`.
    """
    settings = problem.settings
    max_cost = settings.max_cost_ratio_to_anneal * best_known_cost
    candidates = [p for p in descents if p.cores > 1 and p.cost <= max_cost]
    least_cost = _least_valid_cost(descents)
    rounds_left = effort.rounds
    seed = problem.seed
    while candidates:
        if rounds_left <= 0:
            least_candidate_cost = min(partition.cost for partition in candidates)
            if least_cost < np.inf or least_candidate_cost >= best_known_cost:
                return
        candidates.sort(key=lambda partition: partition.penalised)
        best_candidates = candidates[: settings.starts_annealed_per_round]
        seed += settings.starts_annealed_per_round
        annealings = [
            _RefinementJob(
                problem,
                partition.core,
                partition.cores,
                seed + number,
                effort.trials,
            )
            for number, partition in enumerate(best_candidates)
        ]
        results = list(_run_in_parallel(annealings))
        yield results
        rounds_left -= 1
        candidates = candidates[len(best_candidates) :]
        if rounds_left > 0:
            candidates += results
        cost_before = least_cost
        least_cost = min(cost_before, _least_valid_cost(results))
        all_lead_to_best = all(p.legal and p.cost == least_cost for p in results)
        if len(best_candidates) > 1 and all_lead_to_best:
            return
        if least_cost >= cost_before:  # without success a round counts twice
            rounds_left -= 1


def _list_descents(
    problem: Problem, starts: Iterable[Start]
) -> Iterator[_RefinementJob]:
    """Yield the job to descend from each initial partition."""
    for start in starts:
        yield _RefinementJob(problem, start.core, start.cores, problem.seed, trials=0)


def _least_valid_cost(partitions: Iterable[Refined]) -> float:
    """Return the least cost of partitions within the limits, infinite without any."""
    costs = (partition.cost for partition in partitions if partition.legal)
    return min(costs, default=np.inf)


def _run_in_parallel(jobs: Iterable[_RefinementJob]) -> Iterator[Refined]:
    """Yield results in the order of the jobs.

    As many jobs run at a time as there are processors.
    """
    running: Deque[Future[Refined]] = deque()
    with ThreadPoolExecutor(processors()) as pool:
        for job in jobs:
            running.append(pool.submit(job.run))
            if len(running) >= processors():
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
