"""Sets of cores, or of groups of neurons, that sources of spikes reach; plain arrays for compiled loops."""

from typing import NamedTuple

import numpy as np


class Reached(NamedTuple):
    """The labels (cores or groups) that the neurons of a population reach, as sets.

    Neurons that reach the same labels mostly share a set.

    Attributes
    ----------
    set_of : ndarray of int64, shape (sources,)
        Index of the set of each neuron.
    start : ndarray of int64, shape (sets + 1,)
        Offset of each set in `label`.
    label : ndarray of int32
        The distinct labels of each set, in no particular order.
    """

    set_of: np.ndarray
    start: np.ndarray
    label: np.ndarray


class Contracted(NamedTuple):
    """A network of groups of neurons. Its cost equals that of the neurons if a mapping does not divide a group.

    Sources that reach the same groups form a *set*: with target groups, a number of sources (the axons that it needs on
    each core that it reaches), and for each group the spikes of those sources that are its members.

    Attributes
    ----------
    neurons, synapses : ndarray of int64, shape (groups,)
        Neurons of each group, and synapses onto them.
    axons : ndarray of int64, shape (sets,)
        Number of sources of each set.
    total : ndarray of int64, shape (sets,)
        Spikes of the placed sources of a set, over all samples.
    target_start, target : ndarray of int64 and int32
        The groups that each set reaches.
    source_start, source, source_weight : ndarray of int64, int32 and int64
        The groups of the sources of each set, and their spikes; groups without spikes are left out.
    into_start, into : ndarray of int64 and int32
        The sets that reach each group.
    from_start, from_set, from_weight : ndarray of int64, int32 and int64
        The sets that the neurons of each group are sources of, and their spikes.
    """

    neurons: np.ndarray
    synapses: np.ndarray
    axons: np.ndarray
    total: np.ndarray
    target_start: np.ndarray
    target: np.ndarray
    source_start: np.ndarray
    source: np.ndarray
    source_weight: np.ndarray
    into_start: np.ndarray
    into: np.ndarray
    from_start: np.ndarray
    from_set: np.ndarray
    from_weight: np.ndarray

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.neurons.size

    @property
    def pins(self) -> int:
        """Number of pairs of a set and a group that it reaches."""
        return self.target.size
