"""The search for a better mapping of groups, by moves and exchanges with exact changes of the cost."""

import numpy as np

from snnb.mapping.contracted import Contracted
from snnb.mapping.limits import Limits

SLICE = 1 << 20  # trials in one call of a compiled loop
MOST_PASSES = 30


class Search:
    """A mapping of groups to cores that gets better.

    Parameters
    ----------
    net : Contracted
    core : ndarray of int32, shape (groups,)
        Core of each group; it may break limits.
    cores : int
        How many cores may be used.
    limits : Limits
    seed : int
    """

    def __init__(self, net: Contracted, core: np.ndarray, cores: int, limits: Limits, seed: int = 0) -> None:
        from snnb.mapping.moves import State, cost_of, put_all

        self._net, self._cores, self._limits = net, cores, np.array(limits, np.int64)
        hit = np.minimum(np.diff(net.target_start), cores)
        fed = np.minimum(np.diff(net.source_start), cores)
        most = int(max(limits.neurons, np.bincount(core, minlength=cores).max())) + 1
        starts = [np.concatenate([[0], np.cumsum(room)]) for room in (hit, fed, np.full(cores, min(net.groups, most)))]
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
        """Core of each group now: int32, shape (groups,)."""
        return self._state.core

    @property
    def load(self) -> np.ndarray:
        """Neurons, axons and synapses of each core now: int64, shape (cores, 3)."""
        return self._state.load

    @property
    def legal(self) -> bool:
        """Whether all limits are kept now."""
        return bool((self._state.load <= self._limits).all())

    def descend(self) -> None:
        """Move groups to where that lowers the cost most and keeps the limits, until nothing improves."""
        for _ in range(MOST_PASSES):
            before = self.cost
            self._pass(mending=0)
            if self.cost >= before * (1 - 1e-4):
                break

    def mend(self) -> None:
        """Move groups from cores that hold too much to where it costs least and keeps the limits, while that helps."""
        for mending in (1, 2):
            before = self._excess + 1
            while 0 < self._excess < before:
                before = self._excess
                self._pass(mending)

    @property
    def _excess(self) -> int:
        """By how many neurons, axons and synapses all cores together hold too much."""
        return int(np.maximum(self._state.load - self._limits, 0).sum())

    def _pass(self, mending: int) -> None:
        from snnb.mapping.search_kernels import descend

        gain, shared = np.zeros((2, self._cores), np.int64)
        order = self._order.permutation(self._net.groups)
        for first in range(0, order.size, SLICE):
            part = order[first : first + SLICE]
            self.cost += descend(self._net, self._state, self._limits, part, gain, shared, mending)

    def anneal(self, trials: int, hot: float, cold: float, penalty: float) -> None:
        """Try moves and exchanges at random; take also some that cost more, fewer as the temperature falls.

        Parameters
        ----------
        trials : int
        hot, cold : float
            Temperature at the beginning and at the end: in spikes over all samples.
        penalty : float
            Cost of a core that holds twice as much of something as it may.
        """
        from snnb.mapping.search_kernels import anneal

        for done in range(0, trials, SLICE):
            now = min(SLICE, trials - done)
            begin, end = (hot * (cold / hot) ** (at / trials) for at in (done, done + now))
            added, _ = anneal(self._net, self._state, self._limits, self._random, now, begin, end, penalty)
            self.cost += added
