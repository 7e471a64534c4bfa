"""Sets of cores, or of groups of neurons, that sources of spikes reach; plain arrays for compiled loops."""

from typing import NamedTuple, Sequence, Tuple

import numpy as np

Sets = Tuple[np.ndarray, np.ndarray]  # offset of each set, and the labels


class Reached(NamedTuple):
    """The labels (cores or groups) that the neurons of a population reach, as sets.

    Neurons that reach the same labels mostly share a set.
    """

    set_of: np.ndarray  # (sources,) int64: index of the set of each neuron
    start: np.ndarray  # (sets + 1,) int64: offset of each set in `label`
    label: np.ndarray  # int32: the distinct labels of each set, in no particular order


class Contracted(NamedTuple):
    """A network of groups of neurons. Its cost equals that of the neurons if a mapping does not divide a group.

    Sources that reach the same groups form a *set*: with target groups, a number of sources (the axons that it needs on
    each core that it reaches), and for each group the spikes of those sources that are its members.
    """

    neurons: np.ndarray  # (groups,) int64: neurons of each group
    synapses: np.ndarray  # (groups,) int64: synapses onto them, or their entries of a limited memory
    axons: np.ndarray  # (sets,) int64: number of sources of each set
    total: np.ndarray  # (sets,) int64: spikes of the placed sources of a set, over all samples
    # int64, int32: the groups that each set reaches
    target_start: np.ndarray
    target: np.ndarray
    # int64, int32, int64: the groups of the sources of each set, and their spikes; without groups that do not spike
    source_start: np.ndarray
    source: np.ndarray
    source_weight: np.ndarray
    # int64, int32: the sets that reach each group
    into_start: np.ndarray
    into: np.ndarray
    # int64, int32, int64: the sets that the neurons of each group are sources of, and their spikes
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


def take_sets(start: np.ndarray, label: np.ndarray, which: np.ndarray) -> Sets:
    """Return some of the sets."""
    sizes = np.diff(start)[which]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return offsets, label[np.repeat(start[which] - offsets[:-1], sizes) + np.arange(offsets[-1])]


def joined_sets(found: Sequence[Sets]) -> Sets:
    """Concatenate lists of sets."""
    offsets = np.concatenate([[0], np.cumsum([label.size for _, label in found])])
    starts = [start[:-1] + offset for (start, _), offset in zip(found, offsets)]
    return np.concatenate([*starts, offsets[-1:]]), np.concatenate([label for _, label in found])
