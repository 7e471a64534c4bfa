"""A network of groups of neurons, whose cost is exactly the neurons' own as long as a mapping keeps each group whole.

Sources that reach the same groups form a *set*. A set has target groups, a number of sources (as many axons as they
take on each core that it reaches), and for each group the spikes of its neurons among those sources.
"""

from typing import NamedTuple

import numpy as np


class Contracted(NamedTuple):
    """Groups of neurons, and the sets of sources that reach them; plain arrays, as compiled loops take them.

    Attributes
    ----------
    neurons, synapses : ndarray of int64, shape (groups,)
        Neurons of each group, and synapses onto them.
    axons : ndarray of int64, shape (sets,)
        Number of sources in each set.
    total : ndarray of int64, shape (sets,)
        Spikes of a set's placed sources over all samples.
    target_start, target : ndarray of int64 and int32
        The groups that each set reaches.
    source_start, source, source_weight : ndarray of int64, int32 and int64
        The groups that the sources of each set are in, and their spikes, where there are any.
    into_start, into : ndarray of int64 and int32
        The sets that reach each group.
    from_start, from_set, from_weight : ndarray of int64, int32 and int64
        The sets that each group's neurons are sources of, and their spikes.
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
        """Groups reached by all sets together."""
        return self.target.size
