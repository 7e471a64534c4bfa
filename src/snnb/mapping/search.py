"""Improvement of a mapping of groups, by moves and exchanges with exact changes of the cost."""

import numpy as np

from snnb.mapping.limits import Limits
from snnb.mapping.moves import State, cost_of, put_all
from snnb.mapping.reach import Contracted
from snnb.mapping.search_kernels import anneal_moves, descend_moves

EPOCH = 1 << 20  # trials between which the temperature is computed anew
MOST_PASSES = 30


class Search:
    """A mapping of groups to `cores` cores, which may exceed limits, and its improvement.

    `cost` are the spikes between cores over all samples.
    """

    def __init__(self, net: Contracted, core: np.ndarray, cores: int, limits: Limits, seed: int = 0) -> None:
        self._net, self._cores, self._limits = net, cores, np.array(limits[:3], np.int64)
        hit = np.minimum(np.diff(net.target_start), cores)
        fed = np.minimum(np.diff(net.source_start), cores)
        most = int(max(limits.neurons, np.bincount(core, minlength=cores).max())) + 1
        sizes = (hit, fed, np.full(cores, min(net.groups, most)))
        starts = [np.concatenate([[0], np.cumsum(size)]) for size in sizes]
        sets = net.axons.size
        self._state = State(
            core=np.empty(net.groups, np.int32),
            load=np.zeros((cores, 3), np.int64),
            hit_start=starts[0],
            hit_length=np.zeros(sets, np.int32),
            hit_core=np.empty(starts[0][-1], np.int32),
            hit_count=np.empty(starts[0][-1], np.int32),
            fed_start=starts[1],
            fed_length=np.zeros(sets, np.int32),
            fed_core=np.empty(starts[1][-1], np.int32),
            fed_count=np.empty(starts[1][-1], np.int32),
            fed_weight=np.empty(starts[1][-1], np.int64),
            member_start=starts[2],
            member=np.empty(starts[2][-1], np.int32),
            slot=np.empty(net.groups, np.int32),
            size=np.zeros(cores, np.int64),
        )
        put_all(net, self._state, core)
        self.cost = int(cost_of(net, self._state))
        self._order = np.random.default_rng(seed)
        self._random = np.array([(seed * 2654435769 + 88172645463325252) % (1 << 63) + 1], np.uint64)

    @property
    def core(self) -> np.ndarray:
        """Core of each group: int32, shape (groups,)."""
        return self._state.core

    @property
    def load(self) -> np.ndarray:
        """Neurons, axons and synapses of each core: int64, shape (cores, 3)."""
        return self._state.load

    @property
    def legal(self) -> bool:
        """Whether no limit is exceeded."""
        return bool((self._state.load <= self._limits).all())

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
        return int(np.maximum(self._state.load - self._limits, 0).sum())

    def _pass(self, mending: int) -> None:
        gain, shared = np.zeros((2, self._cores), np.int64)
        order = self._order.permutation(self._net.groups)
        self.cost += descend_moves(self._net, self._state, self._limits, order, gain, shared, mending)

    def anneal(self, trials: int, hot: float, cold: float, penalty: float) -> None:
        """Try random moves and exchanges, fewer of which are accepted as the temperature falls; see `anneal_moves`."""
        for done in range(0, trials, EPOCH):
            now = min(EPOCH, trials - done)
            begin, end = (hot * (cold / hot) ** (at / trials) for at in (done, done + now))
            self.cost += anneal_moves(self._net, self._state, self._limits, self._random, now, begin, end, penalty)
